# SPDX-License-Identifier: Apache-2.0
"""Hooks: order, moment, state on standard input, namespaces, time limits, failures.

config.md#posix-platform-hooks: prestart, createRuntime and createContainer run during create;
startContainer during start before the program, poststart after it; poststop after delete. All but
createContainer and startContainer run in the runtime's namespaces.
"""

import json
import os
import time

import pytest

from lib.runtime import refused, wait_until

pytestmark = pytest.mark.classes("ns", "sentry", "vm")
HOST_SIDE = ("prestart", "createRuntime", "poststart", "poststop")
CONTAINER_SIDE = ("createContainer", "startContainer")
ORDER = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
DURING_CREATE = ("prestart", "createRuntime", "createContainer")


@pytest.fixture
def record(bundle, work_dir):
    """record(kind, script="") adds a hook that appends its kind to a file; record.seen() reads it."""
    log = bundle.path / "order"
    log.touch()
    log.chmod(0o666)
    bundle.bind(bundle.path, "/bundle")

    class Record:
        def __call__(self, kind, script="", **options):
            # createContainer runs in the container's mount namespace before pivot_root, and
            # startContainer after it.
            path = "/bundle/order" if kind == "startContainer" else log
            bundle.rootfs.mkdir("bundle")
            bundle.hook(kind, "/bin/sh", "-c", f"echo {kind} >> {path}; {script}", **options)

        @staticmethod
        def seen():
            return log.read_text().split()

    return Record()


@pytest.mark.beyond("runc", "crun", reason="run poststart too early")
def test_all_six_kinds_run_in_their_order(runtime, bundle, record):
    for kind in reversed(ORDER):
        record(kind)
    bundle.process.args = ["sh", "-c", "echo program >> /bundle/order; sleep 1000"]

    runtime.create(bundle)
    assert record.seen() == list(DURING_CREATE)
    runtime.start(bundle)
    assert "poststart" in record.seen()
    wait_until(lambda: len(record.seen()) == 6)
    assert record.seen()[3] == "startContainer"
    assert set(record.seen()[4:]) == {"poststart", "program"}
    runtime.kill(bundle, "KILL")
    runtime.wait_for(bundle, "stopped")
    assert "poststop" not in record.seen()
    runtime.delete(bundle)
    assert record.seen()[-1] == "poststop"


def test_hooks_of_one_kind_run_in_the_order_of_the_config(runtime, bundle, work_dir):
    log = work_dir / "order"
    for number in range(5):
        bundle.hook("createRuntime", "/bin/sh", "-c", f"sleep 0.00{5 - number}; echo {number} >> {log}")

    runtime.run(bundle)
    assert log.read_text().split() == list("01234")


@pytest.mark.parametrize("kind,status", [
    ("prestart", "creating"), ("createRuntime", "creating"), ("createContainer", "creating"),
    
    pytest.param("startContainer", "created", marks=pytest.mark.beyond("crun", reason="its bundle is /")),
    pytest.param("poststart", "running", marks=pytest.mark.beyond("runc", reason="runs it during create")),
    ("poststop", "stopped")])
def test_state_arrives_on_standard_input(runtime, bundle, record, kind, status):
    bundle.annotations["key"] = "value"
    place = "/bundle" if kind == "startContainer" else bundle.path
    record(kind, f"cat > {place}/state")

    runtime.run_detached(bundle)
    pid = runtime.state(bundle).pid
    runtime.stop(bundle)
    state = json.loads((bundle.path / "state").read_text())
    assert state["id"] == bundle.id
    assert state["bundle"] == str(bundle.path)
    assert state["annotations"]["key"] == "value"
    assert state["ociVersion"]
    expected = {status, "created"} if runtime.kind == "crun" else {status}
    assert state["status"] in expected
    if kind == "poststop":
        assert state.get("pid", 0) == 0 or runtime.kind == "crun"
    elif kind not in CONTAINER_SIDE:
        assert state["pid"] == pid


@pytest.mark.parametrize("kind", HOST_SIDE)
def test_host_side_hooks_run_in_the_runtimes_namespaces(runtime, bundle, record, kind):
    record(kind, f"for n in mnt pid net uts ipc; do readlink /proc/self/ns/$n; done > {bundle.path}/ns")

    runtime.run_detached(bundle)
    runtime.stop(bundle)
    own = [os.readlink(f"/proc/self/ns/{n}") for n in ("mnt", "pid", "net", "uts", "ipc")]
    assert (bundle.path / "ns").read_text().split() == own


@pytest.mark.parametrize("kind", [
    pytest.param("createContainer", marks=pytest.mark.classes("ns", caveat="sentry-hooks", vm_caveat="vm-hooks")),
    "startContainer"])
def test_container_side_hooks_run_in_the_containers_namespaces(runtime, bundle, record, kind):
    place = "/bundle" if kind == "startContainer" else bundle.path
    script = "for n in mnt net uts ipc; do readlink /proc/self/ns/$n; done"
    record(kind, f"{script} > {place}/ns")

    runtime.run_detached(bundle)
    pid = runtime.state(bundle).pid
    if kind == "startContainer":
        inside = runtime.exec(bundle, ["sh", "-c", script]).stdout.split()
    else:
        inside = [os.readlink(f"/proc/{pid}/ns/{n}") for n in ("mnt", "net", "uts", "ipc")]
    assert (bundle.path / "ns").read_text().split() == inside


def test_create_container_hooks_see_the_host_and_mounts_of_the_container(runtime, bundle, record):
    # config.md: the path of createContainer is resolved in the runtime's namespace.
    bundle.rootfs.mkdir("added")
    record("createContainer", f"mount -t tmpfs added {bundle.rootfs}/added && echo from-hook > {bundle.rootfs}/added/x")

    assert runtime.run(bundle, ["cat", "/added/x"]).stdout == "from-hook\n"
    assert not bundle.rootfs.exists("added/x")


def test_start_container_hooks_see_the_containers_root(runtime, bundle):
    bundle.hook("startContainer", "/bin/busybox", "touch", "/made-by-hook")
    bundle.hook("startContainer", "/bin/sh", "-c", "hostname > /its-name")

    runtime.run(bundle)
    assert bundle.rootfs.exists("made-by-hook")
    assert bundle.rootfs.read("its-name") == "caisson-test\n"


def test_start_container_hooks_have_the_credentials_of_the_program(runtime, bundle):
    bundle.capabilities("CAP_KILL")
    bundle.process.user.uid = 1000
    bundle.process.user.gid = 1001
    bundle.rootfs.mkdir("seen", 0o777)
    bundle.hook("startContainer", "/bin/sh", "-c", "cat /proc/self/status > /seen/hook")

    runtime.run(bundle, ["sh", "-c", "cat /proc/self/status > /seen/program"])
    hook, program = ({line.split(":")[0]: line.split(":")[1].split()
                      for line in bundle.rootfs.read(f"seen/{name}").splitlines()} for name in ("hook", "program"))
    for field in ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs"):
        assert hook[field] == program[field]


def test_failing_start_container_hook_fails_start_and_the_program_never_runs(runtime, bundle, record):
    record("startContainer", "echo the-reason >&2; exit 7")
    bundle.process.args = ["testinit", "write", "/ran", "yes"]
    runtime.create(bundle)
    assert record.seen() == []

    result = runtime.start(bundle, check=False)
    assert result.returncode == 1
    if runtime.kind == "caisson":
        assert "startContainer hook 0 (/bin/sh): exit status 7: the-reason" in result.stderr
    runtime.wait_for(bundle, "stopped")
    assert not bundle.rootfs.exists("ran")


@pytest.mark.beyond("runc", "crun", reason="word it in other ways")
@pytest.mark.classes("ns", "vm", caveat="sentry-loads-at-create")
def test_missing_program_is_an_error_of_start_after_its_hooks(runtime, bundle, record):
    record("startContainer")
    bundle.process.args = ["/bin/not-executable"]
    bundle.rootfs.write("bin/not-executable", "no program", 0o755)
    runtime.create(bundle)

    refused(runtime, runtime.start(bundle, check=False), "Exec format error")
    assert record.seen() == ["startContainer"]


def test_created_container_with_start_hooks_is_like_any_other(runtime, bundle, record):
    record("startContainer")
    bundle.process.args = ["sleep", "1000"]
    runtime.create(bundle)

    assert runtime.status(bundle) == "created"
    assert runtime.exec(bundle, ["sh", "-c", "exec echo alive"]).stdout == "alive\n"
    if runtime.kind == "caisson" and runtime.isolation != "sentry":
        # What waits is not the container's to look at.
        assert runtime.exec(bundle, ["sh", "-c", "cat /proc/1/exe > /dev/null"], check=False).returncode != 0
    runtime.start(bundle)
    assert runtime.status(bundle) == "running"
    assert record.seen() == ["startContainer"]


def test_create_runtime_hooks_may_set_up_the_network_namespace(runtime, bundle, record):
    record("createRuntime", f"cat > {bundle.path}/s; pid=$(sed 's/.*\"pid\": *\\([0-9]*\\).*/\\1/' {bundle.path}/s); "
                            "nsenter -t $pid -n ip link set lo up")

    assert "UP" in runtime.run(bundle, ["ip", "link", "show", "lo"]).stdout


def test_arguments_and_environment_are_exactly_those_of_the_config(runtime, bundle):
    out = bundle.path / "out"
    entry = bundle.hook("createRuntime", "/bin/sh", env=["A=1", "B=two words"])
    entry["args"] = ["named-otherwise", "-c",
                     f'echo "$0|$1|$A|$B|$HOME" > {out}; /usr/bin/env >> {out}', "zero", "one arg"]

    runtime.run(bundle, env={"LEAKED": "yes"})
    first, *env = out.read_text().splitlines()
    assert first == "zero|one arg|1|two words|"
    assert "LEAKED=yes" not in env and {"A=1", "B=two words"} <= set(env)


@pytest.mark.beyond("runc", reason="does not check it before it runs")
@pytest.mark.beyond("crun", reason="does not check it before it runs")
@pytest.mark.parametrize("path", ["relative/hook", "hook", ""])
def test_path_must_be_absolute(runtime, bundle, path):
    bundle.hook("createRuntime", path)

    result = runtime.create(bundle, check=False)
    assert result.returncode == 1 and "hooks" in result.stderr
    assert runtime.container_ids() == []


@pytest.mark.parametrize("kind", ORDER[:4])
def test_failing_hook_before_the_program_fails_the_run_and_cleans_up(runtime, bundle, record, kind):
    record(kind, "echo the-reason >&2; exit 7")
    bundle.process.args = ["testinit", "write", "/ran", "yes"]

    result = runtime.run(bundle, check=False)
    refused(runtime, result, "")
    assert not bundle.rootfs.exists("ran")
    assert runtime.container_ids() == []


@pytest.mark.parametrize("kind", DURING_CREATE)
def test_failing_hook_during_create_stops_the_later_ones_and_poststop_runs(runtime, bundle, record, kind):
    record(kind, "exit 1")
    record(kind, "echo second-must-not-run")
    for later in ORDER[ORDER.index(kind) + 1:5]:
        record(later)
    record("poststop")

    refused(runtime, runtime.create(bundle, check=False), "")
    assert runtime.container_ids() == []
    assert record.seen()[0] == kind and record.seen().count(kind) == 1
    assert not set(record.seen()) & set(ORDER[ORDER.index(kind) + 1:5])
    if runtime.kind == "caisson":
        assert record.seen()[-1] == "poststop"


@pytest.mark.beyond("crun", "runc", reason="name it in other ways")
@pytest.mark.parametrize("kind", ORDER[:3])
def test_message_names_the_hook_its_status_and_its_last_words(runtime, bundle, record, kind):
    record(kind, "echo the-reason >&2; exit 7")

    message = runtime.create(bundle, check=False).stderr
    assert kind in message and "/bin/sh" in message and "7" in message and "the-reason" in message


@pytest.mark.beyond("crun", "runc", reason="specification 1.3: the failure fails start")
def test_failing_poststart_fails_start_and_ends_the_container(runtime, bundle, record):
    record("poststart", "exit 1")
    bundle.process.args = ["sleep", "1000"]
    runtime.create(bundle)
    pid = runtime.state(bundle).pid

    result = runtime.start(bundle, check=False)
    assert result.returncode == 1 and "poststart" in result.stderr
    wait_until(lambda: not os.path.exists(f"/proc/{pid}") or runtime.status(bundle) == "stopped")


def test_failing_poststop_does_not_fail_delete_and_the_next_one_runs(runtime, bundle, record):
    record("poststop", "exit 1")
    record("poststop")
    runtime.run_detached(bundle, ["true"])
    runtime.wait_for(bundle, "stopped")

    result = runtime.delete(bundle, check=False)
    assert runtime.status(bundle) is None
    if runtime.kind == "caisson":
        assert result.returncode == 0
        assert record.seen() == ["poststop", "poststop"]


@pytest.mark.parametrize("kind", ORDER[:3])
def test_missing_program_of_a_hook_fails_create(runtime, bundle, kind):
    bundle.hook(kind, "/no/such/hook")

    result = runtime.create(bundle, check=False)
    refused(runtime, result, "")
    assert runtime.container_ids() == []


@pytest.mark.parametrize("kind", DURING_CREATE)
def test_hook_that_outlasts_its_timeout_is_killed_and_fails_create(runtime, bundle, record, kind):
    record(kind, "exec sleep 100", timeout=1)

    started = time.monotonic()
    refused(runtime, runtime.create(bundle, check=False), "")
    assert 0.9 <= time.monotonic() - started < 50
    assert runtime.container_ids() == []


@pytest.mark.beyond("runc", "crun", reason="end the hook's first process only")
def test_children_of_a_hook_end_with_it_at_its_timeout(runtime, bundle, record):
    record("createRuntime", "sleep 100 & sleep 100", timeout=1)

    assert runtime.create(bundle, check=False).returncode == 1


def test_hook_within_its_timeout_is_left_alone(runtime, bundle, record):
    record("createRuntime", "sleep 0.05", timeout=5)

    runtime.run(bundle)
    assert record.seen() == ["createRuntime"]


@pytest.mark.beyond("runc", "crun", reason="do not judge it")
@pytest.mark.parametrize("timeout", [0, -1])
def test_timeout_must_be_positive(runtime, bundle, timeout):
    bundle.hook("createRuntime", "/bin/true", timeout=timeout)

    result = runtime.create(bundle, check=False)
    assert result.returncode == 1 and "timeout" in result.stderr


@pytest.mark.beyond("crun", reason="dies of the broken pipe now and then")
def test_hook_that_does_not_read_its_standard_input_is_fine(runtime, bundle):
    bundle.annotations["big"] = "x" * 200000
    bundle.hook("createRuntime", "/bin/true")
    bundle.hook("poststop", "/bin/true")

    runtime.run(bundle)


def test_hook_inherits_no_descriptor(runtime, bundle, record):
    record("createRuntime", f"ls /proc/$$/fd > {bundle.path}/fds; ls -l /proc/$$/fd > {bundle.path}/links")

    runtime.run(bundle)
    assert "caisson-sentinel" not in (bundle.path / "links").read_text()


def test_poststop_runs_after_a_foreground_run(runtime, bundle, record):
    record("poststop")

    runtime.run(bundle)
    assert record.seen() == ["poststop"]


def test_poststop_runs_after_a_forced_delete(runtime, bundle, record):
    record("poststop")
    runtime.run_detached(bundle)

    runtime.delete(bundle, "--force")
    assert record.seen() == ["poststop"]


def test_empty_hooks_are_fine(runtime, bundle):
    bundle.config["hooks"] = {kind: [] for kind in ORDER}

    assert runtime.run(bundle, ["echo", "fine"]).stdout == "fine\n"
