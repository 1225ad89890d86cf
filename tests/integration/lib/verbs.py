# SPDX-License-Identifier: Apache-2.0
"""The verbs that fault campaigns run, with what each acts on and what its success means."""

from . import cgroups
from .faults import Verb
from .runtime import wait_until


def running(runtime, bundle):
    runtime.run_detached(bundle, bundle.process.args)


def created(runtime, bundle):
    runtime.create(bundle)


def stopped(runtime, bundle):
    runtime.run_detached(bundle, ["true"])
    runtime.wait_for(bundle, "stopped")


def paused(runtime, bundle):
    running(runtime, bundle)
    runtime.pause(bundle)


def is_status(*wanted):
    def check(runtime, bundle, _outcome):
        status = runtime.status(bundle)
        return None if status in wanted else f"status is {status}, not {' or '.join(map(str, wanted))}"
    return check


def is_killed(runtime, bundle, _outcome):
    wait_until(lambda: runtime.status(bundle) == "stopped", what="killed and stopped")


def is_limited(_runtime, bundle, _outcome):
    if cgroups.is_v2():
        return None
    limit = cgroups.read(bundle.linux.cgroups_path, "pids.max")
    return None if limit == "50" else f"pids.max is {limit}"


def plain(_bundle):
    """Namespaces of its own, the usual mounts, cgroups."""


def rich(bundle):
    """Much of what a specification can ask for, so that many paths are taken."""
    bundle.config["linux"]["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{"names": ["ptrace", "keyctl"], "action": "SCMP_ACT_ERRNO"}]}
    for kind in ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"):
        bundle.hook(kind, "/bin/true")
    bundle.namespace("cgroup")
    bundle.namespace("time")
    bundle.mount("/sys/fs/cgroup", "cgroup", "cgroup", ["ro", "nosuid", "noexec", "nodev"])
    bundle.mount("/var", "tmpfs", "tmpfs", ["tmpcopyup", "mode=755"])
    bundle.bind(bundle.rootfs / "home", "/tmp", "ro")
    bundle.root.readonly = True
    bundle.user_namespace()
    bundle.process.oom_score_adj = 100
    if cgroups.has_controller("memory"):
        bundle.linux.resources.pids.limit = 64
        bundle.linux.resources.memory.limit = 64 << 20
    bundle.linux.sysctl["net.ipv4.ip_forward"] = "1"


def joined(bundle):
    """Namespaces of others: a process in between joins them and makes the container's."""
    bundle.namespace("pid", "/proc/self/ns/pid")
    bundle.namespace("ipc", "/proc/self/ns/ipc")
    bundle.namespace("network", "/proc/self/ns/net")


SHAPES = {"plain": plain, "rich": rich, "joined": joined}
SLEEP = ["sleep", "1000"]
CREATE = ["--bundle", "{bundle}", "--pid-file", "{bundle}/pid", "{id}"]
VERBS = {verb.name: verb for verb in [
    Verb("create", ["create", *CREATE], check=is_status("created")),
    Verb("run", ["run", *CREATE], process=["true"], check=is_status(None)),
    Verb("run -d", ["run", "-d", *CREATE], process=SLEEP, check=is_status("running")),
    Verb("start", ["start", "{id}"], created, is_status("running"), SLEEP),
    Verb("delete", ["delete", "{id}"], stopped, is_status(None)),
    Verb("delete --force", ["delete", "--force", "{id}"], running, is_status(None), SLEEP),
    Verb("exec", ["exec", "{id}", "true"], running, process=SLEEP),
    Verb("exec -d", ["exec", "-d", "{id}", "sleep", "1000"], running, process=SLEEP),
    Verb("kill", ["kill", "{id}", "KILL"], running, is_killed, SLEEP),
    Verb("update", ["update", "--pids-limit", "50", "{id}"], running, is_limited, SLEEP),
    Verb("pause", ["pause", "{id}"], running, is_status("paused"), SLEEP),
    Verb("resume", ["resume", "{id}"], paused, is_status("running"), SLEEP),
]}
