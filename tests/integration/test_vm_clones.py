# SPDX-License-Identifier: Apache-2.0
"""Class vm: containers in clones of a template are machines of their own, and start, serve and end as any other."""

import fcntl
import functools
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import pytest

from lib import cgroups
from lib.runtime import CLEAN_ENV, refused, wait_until
from test_vm_files import ROOTFS, image
from test_vm_pods import FOREVER, Pod

pytestmark = [pytest.mark.classes("vm"), pytest.mark.beyond("runc", "crun", reason="have no machines")]
WAIT_S = 120
ALLOWED = [ROOTFS, *(f"io.caisson.vm.{key}" for key in ("templates", "cpus", "memory", "nested"))]
DRAWN = ("getrandom", "urandom", "at_random", "stack", "map", "sequence")


@pytest.fixture(scope="module")
def clones(request):
    """The environment of a configuration with templates, one of which is there."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="caisson-clones-", dir="/run"))
    config = directory / "caisson.json"
    config.write_text(json.dumps({"vm.templates": "on", "vm.template_dir": str(directory / "templates"),
                                  "vm.boot_timeout": "120", "allowed_annotations": ALLOWED}))

    def template(*words):
        subprocess.run([request.config.runtime_path, "--root", directory / "root", "template", *words], check=True,
                       env={**CLEAN_ENV, "CAISSON_CONFIG": str(config)}, timeout=WAIT_S, stdout=subprocess.DEVNULL)

    try:
        template("create")
        template("create", "--cpus", "2", "--memory", "256M")
        yield {"CAISSON_CONFIG": str(config)}
    finally:
        template("remove", "--all")
        shutil.rmtree(directory)


def starts(runtime, bundle):
    """{stage: nanoseconds} of a running container."""
    text = runtime.call("debug", bundle.id, "metrics").stdout
    return {stage: int(at) for stage, at in re.findall(r'start_ns{until="(\w+)"} (\d+)', text)}


def start_clone(runtime, bundle, env):
    runtime.run_detached(bundle, env=env, timeout_s=WAIT_S)
    assert "restored" in starts(runtime, bundle), "it booted"


def draw(runtime, bundle):
    before = time.time()
    drawn = runtime.exec(bundle, ["testinit", "draw"]).json
    assert before - 1 <= drawn["realtime_ns"] / 1e9 <= time.time() + 1
    assert 0.05 <= drawn["slept_ns"] / 1e9 < 60, "timers"
    assert 0 < drawn["monotonic_ns"] <= drawn["boottime_ns"] < 600e9
    return drawn


def test_machine_that_may_run_machines_is_no_clone_of_one_that_may_not(runtime, bundle, clones):
    bundle.annotations["io.caisson.vm.nested"] = "true"

    runtime.run_detached(bundle, env=clones, timeout_s=WAIT_S)
    assert "restored" not in starts(runtime, bundle)
    flags = runtime.exec(bundle, ["grep", "-m1", "flags", "/proc/cpuinfo"]).stdout.split()
    assert "svm" in flags or "vmx" in flags


class FalseHolder:
    """Holds a template whose state no machine can read, in the place of the one that is there."""

    def __init__(self, runtime, env):
        call = functools.partial(runtime.call, "template", env=env, timeout_s=WAIT_S)
        template = call("status", "--format", "json").json["template"]
        self.path = pathlib.Path(env["CAISSON_CONFIG"]).parent / "templates" / template["key"] / "socket"
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
            sock.connect(str(self.path))
            self.said, (self.memory, state), _, _ = socket.recv_fds(sock, 16384, 2)
        self.state = os.memfd_create("state", os.MFD_ALLOW_SEALING)
        os.write(self.state, os.pread(state, 512, 0) + b"no state" * 100)
        fcntl.fcntl(self.state, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
        os.close(state)
        self.kept = self.path.with_name("kept")
        self.path.rename(self.kept)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.bind(str(self.path))
        self.sock.listen()
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        while True:
            try:
                with self.sock.accept()[0] as taken:
                    socket.send_fds(taken, [self.said], [self.memory, self.state])
            except OSError:
                return

    def end(self):
        self.sock.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.sock.close()
        self.kept.rename(self.path)
        os.close(self.memory)
        os.close(self.state)


@pytest.fixture
def false_holder(runtime, clones):
    holder = FalseHolder(runtime, clones)
    yield holder
    holder.end()


@pytest.mark.layouts("v1", "hybrid", "v2", controllers=True)
def test_machine_whose_clone_does_not_come_up_boots(runtime, bundle, clones, false_holder):
    log = bundle.path / "log"
    bundle.linux.cgroups_path = f"/caisson-test-{bundle.id}"
    bundle.linux.resources.pids = {"limit": 100}
    bundle.linux.resources.unified = {"memory.low": str(8 << 20)}  # inside alone
    bundle.mounts.append({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro"]})
    runtime.run_detached(bundle, env=clones, timeout_s=WAIT_S, global_flags=["--log", str(log)])
    assert "restored" not in starts(runtime, bundle)
    assert "a clone of a template has not come up, its machine boots: QEMU ended with status 1" in log.read_text()
    assert runtime.exec(bundle, ["cat", "/sys/fs/cgroup/pids.max", "/sys/fs/cgroup/memory.low"]).stdout == "100\n8388608\n"
    assert int(cgroups.read_limit(bundle.linux.cgroups_path, "pids.max")) == 100 + 1024


def test_machine_that_boots_after_all_has_the_whole_input(runtime, bundle, clones, false_holder):
    log = bundle.path / "log"
    done = runtime.run(bundle, ["cat"], env=clones, timeout_s=WAIT_S, stdin="all of it", global_flags=["--log", str(log)])
    assert "has not come up" in log.read_text()
    assert done.stdout == "all of it"


def test_clone_that_does_not_come_up_behind_a_hook_is_a_failure(runtime, bundle, clones, false_holder):
    """A hook runs once."""
    bundle.hook("prestart", "/bin/true")
    refused(runtime, runtime.run(bundle, ["true"], env=clones, check=False, timeout_s=WAIT_S), "a clone of a template: QEMU ")


@pytest.mark.parametrize("mode", ["shared", "overlay", "block"])
def test_two_clones_are_two_machines(runtime, make_bundle, clones, mode):
    drawn, boot_ids = [], set()
    for name in ("one", "two"):
        bundle = make_bundle(name)
        bundle.process.capabilities = {kind: ["CAP_NET_RAW", "CAP_NET_BIND_SERVICE"]
                                       for kind in ("bounding", "effective", "permitted")}
        if mode == "block":
            image(bundle, "erofs")
        else:
            bundle.annotations[ROOTFS] = mode
        start_clone(runtime, bundle, clones)
        drawn.append(draw(runtime, bundle))
        boot_ids.add(runtime.exec(bundle, ["cat", "/proc/sys/kernel/random/boot_id"]).stdout)

    assert len(boot_ids) == 2
    for name in DRAWN:
        assert drawn[0][name] and drawn[0][name] != drawn[1][name], name
    # One of 28,000 pairs has one port; the sequence numbers above have no such luck.
    assert all(1023 < d["port"] < 65536 for d in drawn)


def test_clone_serves_its_volumes(runtime, bundle, clones, work_dir):
    volume = work_dir / "volume"
    volume.mkdir()
    (volume / "note").write_text("host")
    bundle.bind(volume, "/volume", "rbind")
    image(bundle, "erofs")
    start_clone(runtime, bundle, clones)

    assert runtime.exec(bundle, ["cat", "/volume/note"]).stdout == "host"
    runtime.exec(bundle, ["testinit", "write", "/volume/made", "guest"])
    assert (volume / "made").read_text().strip() == "guest"
    runtime.stop(bundle)


def test_containers_join_a_clone_and_have_one_volume(runtime, make_bundle, clones, work_dir):
    """Its file server was plugged in after the clone, and what they share is put below that later."""
    pod, volume, both = Pod(runtime, make_bundle), work_dir / "volume", []
    volume.mkdir()
    start_clone(runtime, pod.sandbox, clones)
    for name in ("a", "b"):
        both.append(pod.bundle(name))
        both[-1].bind(volume, "/data", "rbind")
        runtime.run_detached(both[-1], FOREVER, env=clones, timeout_s=WAIT_S)

    runtime.exec(both[0], ["sh", "-c", "echo word > /data/file; echo kept > /tmp-of-a"])
    assert runtime.exec(both[1], ["cat", "/data/file"]).stdout == "word\n" == (volume / "file").read_text()
    assert pod.device(both[0]) == pod.device(both[1])
    assert (both[0].rootfs / "tmp-of-a").exists() and not (both[1].rootfs / "tmp-of-a").exists()
    runtime.stop(both[0])
    assert runtime.exec(both[1], ["cat", "/data/file"]).stdout == "word\n"


def test_clone_has_the_cpus_of_its_template(runtime, bundle, clones):
    bundle.annotations["io.caisson.vm.cpus"] = "2"
    bundle.annotations["io.caisson.vm.memory"] = "256M"
    start_clone(runtime, bundle, clones)

    assert runtime.exec(bundle, ["testinit", "report"]).report["affinity"] == [0, 1]


def surroundings(runtime, bundle):
    """What a container sees of its mounts, devices, cgroup and limits, without numbers that the kernel gives in turn."""
    def read(*paths):
        return runtime.exec(bundle, ["cat", *paths], timeout_s=WAIT_S).stdout

    # Without mount ids, device numbers and peer groups.
    mounts = [line.split(" - ") for line in read("/proc/self/mountinfo").splitlines()]
    return {"mounts": sorted((*left.split()[3:6], *right.split()) for left, right in mounts),
            "optional": sorted(word.split(":")[0] for left, _ in mounts for word in left.split()[6:]),
            "cgroups": read("/proc/self/cgroup", "/proc/1/cgroup"),
            "limits": read("/cg/pids.max", "/cg/cpu.max", "/cg/cpu.weight"),
            "inside": read("/cg/cgroup.controllers", "/cg/cgroup.type"),
            "devices": runtime.exec(bundle, ["ls", "/dev"], timeout_s=WAIT_S).stdout.split(),
            "hostname": read("/proc/sys/kernel/hostname")}


def test_clone_has_the_surroundings_of_a_container_that_booted(runtime, make_bundle, clones):
    seen = []
    for name in ("cold", "clone"):
        bundle = make_bundle(name)
        if name == "cold":
            bundle.annotations["io.caisson.vm.templates"] = "off"
        bundle.hostname = "same"
        bundle.mount("/cg", "cgroup", "cgroup", ["ro", "nosuid"])
        bundle.linux.resources.pids.limit = 77
        bundle.linux.resources.cpu.shares = 512
        bundle.linux.resources.cpu.quota, bundle.linux.resources.cpu.period = 100000, 100000
        runtime.run_detached(bundle, env=clones, timeout_s=WAIT_S)
        assert ("restored" in starts(runtime, bundle)) == (name == "clone")
        seen.append(surroundings(runtime, bundle))
        runtime.stop(bundle)
    assert seen[0] == seen[1]
    assert seen[1]["limits"].startswith("77\n100000 100000\n"), "they hold in the guest"


def pids(bundle):
    try:
        return cgroups.pids(bundle.linux.cgroups_path)
    except OSError:  # it goes meanwhile
        return set()


def process_of(bundle, name):
    """The pid of a process of the container's cgroup, once it has this name."""
    for pid in pids(bundle):
        try:
            if pathlib.Path(f"/proc/{pid}/comm").read_text(encoding="ascii").strip() == name:
                return pid
        except (FileNotFoundError, ProcessLookupError):
            pass
    return None


@pytest.mark.parametrize("victim", ["qemu-system-x86", "virtiofsd"])
def test_clone_that_is_killed_on_its_way_leaves_nothing(runtime, make_bundle, clones, victim):
    """Before its state is read, while it is, with the agent at work and after the start."""
    for number, pause_s in enumerate((0, 0.03, 0.06, 0.12, 0.3)):
        bundle = make_bundle(f"k{number}")
        run = runtime.start_run(bundle, ["sleep", "1000"], env=clones)
        pid = wait_until(lambda b=bundle: process_of(b, victim), WAIT_S, f"{victim} runs")
        time.sleep(pause_s)
        os.kill(pid, signal.SIGKILL)

        assert run.wait(WAIT_S) != 0
        # The other one may have ended meanwhile, and be named.
        assert "QEMU" in run.errors or "virtiofsd" in run.errors
        assert runtime.status(bundle) is None
        wait_until(lambda b=bundle: not pids(b), WAIT_S, "the cgroup is empty")


def test_machine_of_another_size_boots(runtime, bundle, clones):
    bundle.annotations["io.caisson.vm.memory"] = "260M"
    runtime.run_detached(bundle, env=clones, timeout_s=WAIT_S)

    assert "restored" not in starts(runtime, bundle)


def test_annotation_takes_no_template(runtime, bundle, clones):
    bundle.annotations["io.caisson.vm.templates"] = "off"
    runtime.run_detached(bundle, env=clones, timeout_s=WAIT_S)

    assert "restored" not in starts(runtime, bundle)


def test_annotation_that_is_not_allowed_is_refused(runtime, bundle):
    bundle.annotations["io.caisson.vm.templates"] = "on"

    refused(runtime, runtime.run(bundle, ["true"], check=False), "allowed_annotations does not list it")
