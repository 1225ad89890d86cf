# SPDX-License-Identifier: Apache-2.0
"""pause and resume."""

import time

import pytest

from lib import cgroups
from lib.runtime import refused, wait_until

pytestmark = pytest.mark.classes("ns", "sentry", "vm")


def processor_time(bundle):
    """Ticks of every process in the container's cgroup: guests of a sentry run in its stubs."""
    used = 0
    for pid in cgroups.pids(bundle.linux.cgroups_path):
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        used += int(fields[11]) + int(fields[12])
    return used


def test_pause_freezes_and_resume_thaws(runtime, bundle):
    runtime.run_detached(bundle, ["testinit", "spin"])
    runtime.wait_for_output(bundle, "ready\n")

    runtime.pause(bundle)
    assert runtime.status(bundle) == "paused"
    assert cgroups.is_frozen(bundle.linux.cgroups_path)
    used = processor_time(bundle)
    time.sleep(0.05)
    assert processor_time(bundle) == used

    runtime.resume(bundle)
    assert runtime.status(bundle) == "running"
    wait_until(lambda: processor_time(bundle) > used, what="the program goes on")


def test_all_processes_of_the_container_freeze(runtime, bundle):
    runtime.run_detached(bundle, ["testinit", "fork", "30"])
    runtime.wait_for_output(bundle, "forked 30\n")

    runtime.pause(bundle)
    assert runtime.status(bundle) == "paused"
    runtime.resume(bundle)
    assert runtime.status(bundle) == "running"


def test_pause_of_a_paused_container_is_refused(runtime, bundle):
    runtime.run_detached(bundle)
    runtime.pause(bundle)

    result = runtime.pause(bundle, check=False)
    assert result.returncode == (0 if runtime.kind == "crun" else 1)
    assert runtime.status(bundle) == "paused"


def test_resume_of_a_running_container_is_refused(runtime, bundle):
    runtime.run_detached(bundle)

    result = runtime.resume(bundle, check=False)
    assert result.returncode == (0 if runtime.kind == "crun" else 1)
    if runtime.kind != "crun":
        assert "container not paused" in result.stderr


def test_pause_of_a_stopped_container_is_refused(runtime, bundle):
    runtime.run_detached(bundle, ["true"])
    runtime.wait_for(bundle, "stopped")

    refused(runtime, runtime.pause(bundle, check=False), "container not running")


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_unknown_container_is_refused(runtime, verb):
    refused(runtime, runtime.call(verb, "nobody", check=False), "container does not exist")


def test_a_signal_to_a_paused_container_arrives_after_the_resume(runtime, bundle):
    runtime.run_detached(bundle, ["testinit", "trap"])
    runtime.wait_for_output(bundle, "ready\n")
    runtime.pause(bundle)
    runtime.kill(bundle, "USR1")
    time.sleep(0.02)
    assert runtime.output(bundle) == "ready\n"

    runtime.resume(bundle)
    runtime.wait_for_output(bundle, "signal 10\n")


def test_pause_and_resume_many_times_under_forking(runtime, bundle, scaled):
    runtime.run_detached(bundle, ["sh", "-c", "while :; do /bin/busybox true; done"])

    for _ in range(scaled(400, 40)):
        runtime.pause(bundle)
        assert runtime.status(bundle) == "paused"
        runtime.resume(bundle)
    assert runtime.status(bundle) == "running"


@pytest.mark.timeout(600)  # ten pauses in the soak
def test_a_pause_longer_than_a_birth_may_take_ends_nobody(runtime, bundle, scaled):
    forker = "while :; do /bin/busybox true; done"
    forkers = f"for i in 1 2 3 4 5 6 7 8; do ({forker}) || echo lost $? & done; echo ready; wait"
    runtime.run_detached(bundle, ["sh", "-c", forkers])
    runtime.wait_for_output(bundle, "ready\n")

    for _ in range(scaled(10, 1)):
        runtime.pause(bundle)
        time.sleep(11)
        runtime.resume(bundle)
        runtime.exec(bundle, ["true"])
    assert runtime.output(bundle) == "ready\n"
