# SPDX-License-Identifier: Apache-2.0
"""Whoever waits, learns: the pid in the pid file exits with the container's status."""

import ctypes
import os
import signal

import pytest

pytestmark = pytest.mark.classes("ns", "sentry", "vm")
PR_SET_CHILD_SUBREAPER = 36


@pytest.fixture
def subreaper():
    """This process adopts what the runtime leaves, as conmon and the shim do."""
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    yield
    libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def reap_strays(runtime):
    """crun leaves the first of its two forks to the subreaper."""
    while runtime.kind == "crun":
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return
        except ChildProcessError:
            return


@pytest.mark.parametrize("status", [0, 7, 255])
def test_supervisor_learns_the_exit_status_of_a_created_container(runtime, bundle, subreaper, status):
    bundle.process.args = ["testinit", "exit", str(status)]
    runtime.create(bundle, "--pid-file", bundle.path / "pid")
    pid = int((bundle.path / "pid").read_text())

    runtime.start(bundle)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == status
    assert runtime.status(bundle) == "stopped"


def test_supervisor_learns_the_signal_that_ended_it(runtime, bundle, subreaper):
    runtime.run_detached(bundle, None, "--pid-file", bundle.path / "pid")
    pid = int((bundle.path / "pid").read_text())

    runtime.kill(bundle, "KILL")
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status in (-signal.SIGKILL, 128 + signal.SIGKILL)
    reap_strays(runtime)


def test_zombie_of_a_container_counts_as_stopped(runtime, bundle, subreaper, wait_for):
    runtime.run_detached(bundle, ["true"], "--pid-file", bundle.path / "pid")
    pid = int((bundle.path / "pid").read_text())

    wait_for(lambda: os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT) is not None)
    assert runtime.status(bundle) == "stopped"
    runtime.delete(bundle)
    os.waitpid(pid, 0)
    reap_strays(runtime)


@pytest.mark.parametrize("status", [0, 9])
def test_supervisor_learns_the_exit_status_of_a_detached_exec(runtime, bundle, subreaper, status):
    runtime.run_detached(bundle, None, "--pid-file", bundle.path / "pid")

    runtime.exec(bundle, ["testinit", "exit", status], "-d", "--pid-file", bundle.path / "exec.pid")
    pid = int((bundle.path / "exec.pid").read_text())
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == status
    runtime.kill(bundle, "KILL")
    os.waitpid(int((bundle.path / "pid").read_text()), 0)
    reap_strays(runtime)
