# SPDX-License-Identifier: Apache-2.0
"""annotations that a runtime heeds, and fields of the specification that this host cannot honour."""

import os

import pytest

from lib.console import FdSocket
from lib.runtime import refused

pytestmark = [pytest.mark.classes("ns", "sentry", "vm"), pytest.mark.beyond("runc", reason="annotations of crun and our own")]
WORDING = pytest.mark.beyond("crun", reason="our wording: the field and what is wrong with it")


# ------------------------------------------------------------------------------------ io.caisson.isolation


def without_flag(runtime, bundle):
    """The harness's own calls name the class with --isolation."""
    return [str(runtime.path), "--root", str(runtime.root), "run", "--bundle", str(bundle.path), bundle.id]


@WORDING
def test_class_of_the_annotation_runs_without_a_flag(runtime, bundle):
    bundle.annotations["io.caisson.isolation"] = "ns"
    bundle.process.args = ["echo", "ran"]
    bundle.save()

    assert runtime.call(raw=without_flag(runtime, bundle)).stdout == "ran\n"


# ----------------------------------------------------------------------------------------------- run.oci.*


def test_hook_output_goes_to_the_files_of_the_annotations(runtime, bundle, work_dir):
    out, err = work_dir / "hooks.out", work_dir / "hooks.err"
    bundle.annotations["run.oci.hooks.stdout"] = str(out)
    bundle.annotations["run.oci.hooks.stderr"] = str(err)
    bundle.hook("createRuntime", "/bin/sh", "-c", "echo out; echo err >&2")
    bundle.hook("poststop", "/bin/sh", "-c", "echo stopped")

    result = runtime.run(bundle, ["echo", "program"])
    assert result.stdout == "program\n"
    assert out.read_text() == "out\nstopped\n" and err.read_text() == "err\n"


@WORDING
def test_hook_output_that_cannot_be_opened_is_an_error_that_names_the_annotation(runtime, bundle):
    bundle.annotations["run.oci.hooks.stdout"] = "/nowhere/file"
    bundle.hook("createRuntime", "/bin/true")

    refused(runtime, runtime.create(bundle, check=False), "annotation run.oci.hooks.stdout: open /nowhere/file")


@pytest.mark.parametrize("value,kept", [("1", True), ("0", False), (None, False)])
def test_original_groups_are_kept_where_the_annotation_says_so(runtime, bundle, value, kept):
    if value is not None:
        bundle.annotations["run.oci.keep_original_groups"] = value
    bundle.process.user = {"uid": 1000, "gid": 1000}

    groups = runtime.run(bundle, ["report"], prefix=["setpriv", "--groups", "0,7,8"]).report["groups"]
    assert ({7, 8} <= set(groups)) == kept


def test_pidfd_goes_to_the_receiver_of_the_annotation(runtime, bundle, work_dir):
    server = FdSocket(work_dir / "pidfd.sock")
    bundle.annotations["run.oci.pidfd_receiver"] = server.path
    try:
        runtime.run_detached(bundle)
        fds, _ = server.receive()
        with open(f"/proc/self/fdinfo/{fds[0]}", encoding="ascii") as file:
            assert f"Pid:\t{runtime.state(bundle).pid}\n" in file.read()
    finally:
        server.close()


def test_annotations_of_engines_change_nothing(runtime, bundle):
    bundle.annotations.data.update({
        "io.kubernetes.cri.container-type": "sandbox", "io.container.manager": "libpod",
        "org.opencontainers.image.stopSignal": "15", "org.systemd.property.TimeoutStopUSec": "uint64 10",
        "io.kubernetes.cri-o.SandboxID": "x" * 64})

    assert runtime.run(bundle, ["echo", "ran"]).stdout == "ran\n"


# ------------------------------------------------------------------------------- what this host cannot do


@WORDING
@pytest.mark.parametrize("path,value,text", [
    ("linux.intelRdt", {"closID": "x"}, "linux.intelRdt"),
    ("linux.intelRdt", {"closID": "x", "l3CacheSchema": "L3:0=f"}, "linux.intelRdt"),
    ("linux.intelRdt", {"memBwSchema": "MB:0=50"}, "linux.intelRdt"),
    ("linux.intelRdt", {"schemata": ["L3:0=f"]}, "linux.intelRdt"),
    ("linux.intelRdt", {"enableMonitoring": True}, "linux.intelRdt"),
    ("linux.intelRdt", {"closID": "../up"}, "linux.intelRdt.closID"),
    ("linux.intelRdt", {"closID": 5}, "linux.intelRdt.closID: expected string"),
    ("linux.intelRdt", {"schemata": "L3"}, "linux.intelRdt.schemata: expected array"),
    ("linux.intelRdt", {"enableCMT": "yes"}, "linux.intelRdt.enableCMT: expected boolean"),
    ("process.apparmorProfile", "docker-default", "apparmorProfile"),
    ("process.selinuxLabel", "system_u:system_r:container_t:s0", "selinuxLabel"),
    ("linux.mountLabel", "system_u:object_r:container_file_t:s0", "mountLabel"),
])
def test_field_that_the_host_cannot_honour_is_an_error_that_names_it(runtime, bundle, path, value, text):
    if os.path.ismount("/sys/fs/resctrl") or os.path.exists("/sys/kernel/security/apparmor"):
        pytest.skip("this host can: CAVEATS.md#ns-rdt, #ns-apparmor say it could not")
    node = bundle.config
    *parents, last = path.split(".")
    for name in parents:
        node = node[name]
    node[last] = value

    refused(runtime, runtime.create(bundle, check=False), text)


@pytest.mark.parametrize("path", ["process.apparmorProfile", "process.selinuxLabel", "linux.mountLabel"])
def test_empty_label_asks_for_nothing(runtime, bundle, path):
    parent, last = path.split(".")
    bundle.config[parent][last] = ""

    assert runtime.run(bundle, ["echo", "ran"]).stdout == "ran\n"


@WORDING
@pytest.mark.parametrize("field", ["windows", "solaris", "zos", "vm"])
def test_section_of_another_platform_is_not_read(runtime, bundle, field):
    bundle.config[field] = {"anything": [1, 2, 3]}

    assert runtime.run(bundle, ["echo", "ran"]).stdout == "ran\n"


# ------------------------------------------------------------------------------------------------ features


@pytest.fixture
def features(runtime):
    return runtime.features().json


@WORDING
def test_every_mount_option_of_features_is_accepted(runtime, bundle, features):
    data = {"bind", "rbind", "remount", "tmpcopyup", "idmap", "ridmap", "copy-symlink", "src-nofollow"}
    words = [o for o in features["mountOptions"] if o not in data]
    for number, word in enumerate(words):
        bundle.mount(f"/m{number}", "tmpfs", "tmpfs", [word])

    assert len(words) > 60 and runtime.run(bundle, ["echo", "ran"]).stdout == "ran\n"


@WORDING
def test_every_seccomp_word_of_features_is_accepted(runtime, bundle, features):
    seccomp = features["linux"]["seccomp"]
    actions = [a for a in seccomp["actions"] if a not in ("SCMP_ACT_NOTIFY", "SCMP_ACT_ALLOW")]
    unused = iter("""acct quotactl swapon swapoff reboot settimeofday init_module delete_module lookup_dcookie
                     vhangup pivot_root adjtimex iopl ioperm kexec_load""".split())
    rules = [{"names": [next(unused)], "action": action} for action in actions]
    rules += [{"names": [next(unused)], "action": "SCMP_ACT_ERRNO",
               "args": [{"index": 0, "value": 9, "valueTwo": 1, "op": op}]} for op in seccomp["operators"]]
    flags = [f for f in seccomp["supportedFlags"] if not f.endswith("WAIT_KILLABLE_RECV")]  # needs a listener
    bundle.linux.seccomp = {"defaultAction": "SCMP_ACT_ALLOW", "flags": flags, "syscalls": rules}

    assert runtime.run(bundle, ["echo", "ran"]).stdout == "ran\n"
    assert len(actions) == 7 and len(seccomp["operators"]) == 7
    assert flags and set(seccomp["supportedFlags"]) <= set(seccomp["knownFlags"])


@WORDING
def test_features_say_what_the_runtime_does(features):
    linux = features["linux"]
    assert set(linux["namespaces"]) == {"cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"}
    assert linux["mountExtensions"]["idmap"] == {"enabled": True}
    assert linux["memoryPolicy"]["modes"] and linux["memoryPolicy"]["flags"]
    assert linux["cgroup"]["systemd"] is False and "intelRdt" in linux
    assert linux["apparmor"]["enabled"] is False and linux["selinux"]["enabled"] is False
    assert linux["cgroup"]["rdma"] is True
    assert "run.oci." in features["potentiallyUnsafeConfigAnnotations"]
