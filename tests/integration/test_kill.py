# SPDX-License-Identifier: Apache-2.0
"""kill: send a signal to the container's init process, or to all (runtime.md#kill)."""

import os
import signal

import pytest

from lib import cgroups
from lib.runtime import refused, wait_until

pytestmark = pytest.mark.classes("ns", "sentry", "vm")


@pytest.fixture
def trapping(runtime, bundle):
    """A container that prints the signals it gets."""
    runtime.run_detached(bundle, ["testinit", "trap"])
    runtime.wait_for_output(bundle, "ready\n")
    return bundle


def test_default_signal_is_term(runtime, trapping):
    runtime.kill(trapping)

    runtime.wait_for_output(trapping, "signal 15\n")
    runtime.wait_for(trapping, "stopped")


@pytest.mark.parametrize("spelling,number", [
    ("USR1", 10), ("SIGUSR1", 10), ("10", 10), ("HUP", 1), ("1", 1),
    ("SIGWINCH", 28), ("PWR", 30), ("34", 34), ("64", 64), ("STKFLT", 16)])
def test_signal_may_be_a_name_with_or_without_sig_or_a_number(runtime, trapping, spelling, number):
    runtime.kill(trapping, spelling)

    runtime.wait_for_output(trapping, f"signal {number}\n")


@pytest.mark.beyond("crun", reason="knows upper case only")
@pytest.mark.parametrize("spelling", ["sigusr2", "usr2", "SigUsr2"])
def test_case_of_a_signal_name_does_not_matter(runtime, trapping, spelling):
    runtime.kill(trapping, spelling)

    runtime.wait_for_output(trapping, "signal 12\n")


@pytest.mark.beyond("crun", reason="takes it for signal 0")
def test_empty_signal_is_the_default_one(runtime, trapping):
    runtime.kill(trapping, "")

    runtime.wait_for_output(trapping, "signal 15\n")


@pytest.mark.beyond("runc", reason="does not know real-time names")
@pytest.mark.parametrize("spelling,number", [("RTMIN", 34), ("SIGRTMIN+3", 37), ("RTMAX-1", 63)])
def test_real_time_signals_have_names(runtime, trapping, spelling, number):
    runtime.kill(trapping, spelling)

    runtime.wait_for_output(trapping, f"signal {number}\n")


@pytest.mark.beyond("crun", reason="takes an unknown name for signal 0")
@pytest.mark.parametrize("spelling", ["NOSUCH", "SIG", "-1", "65", "1000", "9x", "99999999999999999999"])
def test_unknown_signal_is_refused_and_nothing_is_sent(runtime, trapping, spelling):
    result = runtime.call("kill", "--", trapping.id, spelling, check=False)

    assert result.returncode == 1 and result.stderr
    assert runtime.status(trapping) == "running"
    assert runtime.output(trapping) == "ready\n"


def test_kill_of_an_unknown_container_is_refused(runtime):
    refused(runtime, runtime.kill("nobody", check=False), "container does not exist")


def test_kill_of_a_stopped_container_is_refused(runtime, bundle):
    runtime.run_detached(bundle, ["true"])
    runtime.wait_for(bundle, "stopped")

    refused(runtime, runtime.kill(bundle, "KILL", check=False), "container not running")


def test_kill_stops_a_created_container(runtime, bundle):
    runtime.create(bundle)

    runtime.kill(bundle, "KILL")
    runtime.wait_for(bundle, "stopped")


def test_kill_all_reaches_every_process_of_the_cgroup(runtime, bundle):
    runtime.run_detached(bundle, ["testinit", "ignore"])
    runtime.exec(bundle, ["sleep", "1000"], "-d")
    path = bundle.linux.cgroups_path
    wait_until(lambda: len(runtime.inside(bundle)) == 2)

    runtime.kill(bundle, "9", "--all")
    wait_until(lambda: not cgroups.pids(path), what="the cgroup is empty")
    runtime.wait_for(bundle, "stopped")


def test_kill_all_reaches_forked_processes_in_a_shared_pid_namespace(runtime, bundle):
    bundle.drop_namespace("pid")
    runtime.run_detached(bundle, ["testinit", "fork", "20"])
    runtime.wait_for_output(bundle, "forked 20\n")
    path = bundle.linux.cgroups_path
    assert len(runtime.inside(bundle)) == 21

    runtime.kill(bundle, "KILL", "-a")
    wait_until(lambda: not cgroups.pids(path), what="the cgroup is empty")


@pytest.mark.beyond("runc", "crun", reason="kill only the init process there")
def test_kill_leaves_no_orphan_in_a_shared_pid_namespace(runtime, bundle):
    bundle.drop_namespace("pid")
    runtime.run_detached(bundle, ["testinit", "fork", "5"])
    runtime.wait_for_output(bundle, "forked 5\n")

    runtime.kill(bundle, "KILL")
    wait_until(lambda: not cgroups.pids(bundle.linux.cgroups_path), what="the cgroup is empty")


@pytest.mark.beyond("crun", reason="tells that the container is not running")
@pytest.mark.classes("ns", caveat="sentry-pid-namespace", vm_caveat="vm-pid-namespace")
def test_kill_ends_what_outlived_init_in_a_shared_pid_namespace(runtime, bundle):
    bundle.drop_namespace("pid")
    runtime.run_detached(bundle, ["testinit", "fork", "5"])
    runtime.wait_for_output(bundle, "forked 5\n")
    os.kill(runtime.state(bundle).pid, signal.SIGKILL)
    runtime.wait_for(bundle, "stopped")
    assert cgroups.pids(bundle.linux.cgroups_path)

    runtime.kill(bundle, "KILL")
    wait_until(lambda: not cgroups.pids(bundle.linux.cgroups_path), what="the cgroup is empty")
    refused(runtime, runtime.kill(bundle, "KILL", check=False), "container not running")


def test_kill_all_of_a_stopped_container_is_no_error_for_the_shim(runtime, bundle):
    runtime.run_detached(bundle, ["true"])
    runtime.wait_for(bundle, "stopped")

    result = runtime.kill(bundle, "9", "--all", check=False)
    assert result.returncode == 0 or "container not running" in result.stderr or runtime.kind == "crun"


def test_init_that_ignores_everything_dies_of_kill_only(runtime, bundle):
    runtime.run_detached(bundle, ["testinit", "ignore"])
    runtime.wait_for_output(bundle, "ready\n")

    for name in ("TERM", "INT", "HUP", "USR1"):
        runtime.kill(bundle, name)
    assert runtime.status(bundle) == "running"
    runtime.kill(bundle, "KILL")
    runtime.wait_for(bundle, "stopped")


def test_signal_0_tells_whether_it_runs(runtime, trapping):
    runtime.kill(trapping, "0")

    assert runtime.status(trapping) == "running"


@pytest.mark.beyond("runc", "crun", reason="leave a paused v1 container frozen")
def test_kill_signal_ends_a_paused_container(runtime, bundle):
    runtime.run_detached(bundle)
    runtime.pause(bundle)

    runtime.kill(bundle, "KILL")
    runtime.wait_for(bundle, "stopped")


def test_stop_and_continue_reach_the_process(runtime, bundle):
    runtime.run_detached(bundle)
    pid = runtime.state(bundle).pid

    def letter():
        if runtime.isolation in ("sentry", "vm"):
            return runtime.ps(bundle).stdout.splitlines()[1].split()[3]
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0]

    runtime.kill(bundle, "STOP")
    wait_until(lambda: letter() == "T")
    runtime.kill(bundle, "CONT")
    wait_until(lambda: letter() == "S")


@pytest.mark.beyond("runc", reason="no --regex")
def test_regex_kills_every_container_that_matches(runtime, make_bundle):
    first, second, other = make_bundle("web"), make_bundle("web"), make_bundle("db")
    for container in (first, second, other):
        runtime.run_detached(container)

    runtime.call("kill", "--regex", "^web.*", "KILL")
    runtime.wait_for(first, "stopped")
    runtime.wait_for(second, "stopped")
    assert runtime.status(other) == "running"
