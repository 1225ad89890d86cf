# SPDX-License-Identifier: Apache-2.0
"""The host's processes of a sandbox of class sentry: whichever is killed, at whatever moment, everything ends
and the exit is reported; what they may and hold."""

import os
import pathlib
import signal
import time

import pytest

from lib import cgroups
from lib.runtime import wait_until

pytestmark = [pytest.mark.classes("sentry"), pytest.mark.beyond("runc", "crun", reason="have no sentry")]
VICTIMS = ["sentry", "gofer", "zygote"]


def status(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def has_ended(pid):
    """Gone, at whatever moment, or a zombie."""
    try:
        return status(pid)["State"].startswith("Z")
    except (FileNotFoundError, ProcessLookupError):
        return True


def children(pid):
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and status(entry.name)["PPid"] == str(pid):
                found.append(int(entry.name))
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def processes(runtime, bundle):
    sentry = runtime.state(bundle).pid
    names = {status(pid)["Name"]: pid for pid in children(sentry)}
    return {"sentry": sentry, "gofer": names["caisson-gofer"], "zygote": names["caisson-stub"]}


@pytest.fixture
def busy(runtime, bundle):
    """A container whose processes make others all the time."""
    runtime.run_detached(bundle, ["sh", "-c", "sleep 1000 & while :; do /bin/busybox true; done"])
    return bundle


@pytest.mark.parametrize("victim", VICTIMS)
def test_killing_one_process_of_a_sandbox_ends_all(runtime, busy, victim):
    path = busy.linux.cgroups_path
    os.kill(processes(runtime, busy)[victim], signal.SIGKILL)

    runtime.wait_for(busy, "stopped")
    wait_until(lambda: not cgroups.pids(path), 1, "the cgroup is empty within a second")
    runtime.delete(busy)


@pytest.mark.parametrize("victim", VICTIMS)
def test_the_exit_of_a_killed_sandbox_is_reported(runtime, bundle, victim):
    run = runtime.start_run(bundle, ["sleep", "1000"])
    wait_until(lambda: runtime.status(bundle) == "running")
    os.kill(processes(runtime, bundle)[victim], signal.SIGKILL)

    assert run.wait() == 137


def test_killing_a_stub_ends_its_process_alone(runtime, bundle):
    runtime.run_detached(bundle)
    zygote = processes(runtime, bundle)["zygote"]
    before = set(children(zygote))
    sleeper = runtime.start_exec(bundle, ["sleep", "1000"])
    wait_until(lambda: len(runtime.inside(bundle)) == 2)
    for pid in set(children(zygote)) - before:
        os.kill(pid, signal.SIGKILL)

    # The new one, or one in store: then the process goes on.
    time.sleep(0.2)
    assert runtime.status(bundle) == "running"
    sleeper.kill()
    assert runtime.exec(bundle, ["echo", "alive"]).stdout == "alive\n"


def test_a_killed_waiter_takes_its_process_along(runtime, bundle):
    runtime.run_detached(bundle)
    pid_file = bundle.path / "exec.pid"
    runtime.exec(bundle, ["sleep", "1000"], "-d", "--pid-file", pid_file)
    assert len(runtime.inside(bundle)) == 2

    os.kill(int(pid_file.read_text()), signal.SIGKILL)
    wait_until(lambda: len(runtime.inside(bundle)) == 1)


def test_a_waiter_ends_with_the_sandbox(runtime, bundle):
    runtime.run_detached(bundle)
    pid_file = bundle.path / "exec.pid"
    runtime.exec(bundle, ["sleep", "1000"], "-d", "--pid-file", pid_file)
    waiter = int(pid_file.read_text())

    runtime.kill(bundle, "KILL")
    wait_until(lambda: has_ended(waiter))


def test_sentry_and_gofer_have_no_power_and_ids_of_their_own(runtime, make_bundle):
    owners = []
    for bundle in (make_bundle(), make_bundle()):
        runtime.run_detached(bundle)
        pids = processes(runtime, bundle)
        sentry, gofer = status(pids["sentry"]), status(pids["gofer"])
        owners += [sentry["Uid"].split()[0], gofer["Uid"].split()[0]]
        for process, capabilities in ((sentry, 0), (gofer, 0b11011)):  # CHOWN, DAC_OVERRIDE, FOWNER, FSETID
            assert int(process["CapEff"], 16) == int(process["CapPrm"], 16) == capabilities
            assert int(process["CapBnd"], 16) | int(process["CapAmb"], 16) == 0
            assert process["NoNewPrivs"] == "1" and process["Seccomp"] == "2"
            assert process["Groups"].strip() == ""
    assert len(set(owners)) == 4 and all(int(owner) > 1 << 20 for owner in owners)


def test_sentry_and_gofer_see_an_empty_root_and_leave_no_core(runtime, bundle):
    runtime.run_detached(bundle)

    for name, pid in processes(runtime, bundle).items():
        if name == "zygote":
            continue
        assert os.listdir(f"/proc/{pid}/root") == [], name
        limits = pathlib.Path(f"/proc/{pid}/limits").read_text(encoding="ascii").splitlines()
        core = next(line for line in limits if line.startswith("Max core file size"))
        assert core.split()[4:6] == ["1", "1"], name
        assert os.stat(f"/proc/{pid}/mem").st_uid == 0, "not dumpable: its files are root's"


def test_namespaces_are_none_of_the_hosts(runtime, bundle):
    runtime.run_detached(bundle)
    pids = processes(runtime, bundle)

    for kind in ("pid", "mnt", "ipc", "uts", "net"):
        own = os.readlink(f"/proc/self/ns/{kind}")
        assert os.readlink(f"/proc/{pids['sentry']}/ns/{kind}") != own, kind
    assert os.readlink(f"/proc/{pids['zygote']}/ns/user") != os.readlink("/proc/self/ns/user")
    assert os.readlink(f"/proc/{pids['zygote']}/ns/pid") != os.readlink(f"/proc/{pids['sentry']}/ns/pid")


def test_the_sentrys_list_is_short_and_every_line_has_a_reason():
    path = pathlib.Path(__file__).parents[2] / "seccomp/sentry.list"
    lines = [line for line in path.read_text(encoding="ascii").splitlines() if line and line[0] not in "#@"]
    names = {line.split()[0] for line in lines}

    assert len(names) <= 50
    assert all(line.split("#", 1)[1].strip() for line in lines)
    assert not names & {"open", "openat", "openat2", "socket", "execve", "execveat", "clone", "clone3", "fork", "vfork",
                        "ptrace", "prctl", "seccomp", "mount", "setns", "unshare", "io_uring_setup", "pidfd_getfd"}
