# SPDX-License-Identifier: Apache-2.0
"""What serves the containers of a pod in class sentry is killed: who ends, who goes on, and what each verb says."""

import os
import pathlib
import signal

import pytest

from lib.pods import FOREVER, Pod, alive
from lib.runtime import refused, wait_until

pytestmark = pytest.mark.classes("ns", "sentry", "vm")


@pytest.fixture
def pod(runtime, make_bundle):
    return Pod(runtime, make_bundle)


def gofers():
    found = []
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and pathlib.Path(f"/proc/{entry}/comm").read_text() == "caisson-gofer\n":
                found.append(int(entry))
        except OSError:
            continue
    return found


@pytest.mark.classes("sentry", ns_caveat="ns-pods")
def test_a_killed_gofer_ends_its_container_alone(runtime, pod):
    before = set(gofers())
    a = pod.add("a")
    (own,) = set(gofers()) - before
    b = pod.add("b")
    os.kill(own, signal.SIGKILL)
    runtime.wait_for(a, "stopped")
    runtime.delete(a)
    assert alive(runtime, pod.sandbox, b)
    assert runtime.exec(b, ["ls", "/"]).returncode == 0


@pytest.mark.classes("sentry", ns_caveat="ns-pods")
@pytest.mark.parametrize("moment", ["created", "running", "entered", "paused"])
def test_each_verb_knows_that_a_gofer_was_killed(runtime, pod, moment):
    before = set(gofers())
    a = pod.bundle("a")
    a.process.args = FOREVER
    runtime.create(a)
    (own,) = set(gofers()) - before
    b = pod.add("b")
    if moment != "created":
        runtime.start(a)
    entered = runtime.start_exec(a, ["sh", "-c", "echo in; exec sleep 1000"]) if moment == "entered" else None
    if entered:
        assert entered.read_line() == "in"
    if moment == "paused":
        runtime.pause(a)
    os.kill(own, signal.SIGKILL)
    if moment == "paused":
        runtime.resume(a, check=False)
    runtime.wait_for(a, "stopped")
    if entered:
        entered.finish()
        assert entered.returncode == 137
    refused(runtime, runtime.exec(a, ["true"], check=False), "cannot exec in a stopped container", code=255)
    assert runtime.kill(a, "TERM", check=False).returncode != 0
    assert runtime.call("ps", a.id, check=False).stdout.count("sleep") == 0
    for c in (b, pod.sandbox):
        assert runtime.exec(c, ["ls", "/"]).returncode == 0
        assert "sleep" in runtime.call("ps", c.id).stdout
    runtime.delete(a)
    assert runtime.status(a) is None
    runtime.kill(b, "KILL")
    runtime.wait_for(b, "stopped")
    runtime.delete(b)
    again = pod.add("a2")
    assert alive(runtime, pod.sandbox, again)


@pytest.mark.classes("sentry", ns_caveat="ns-pods")
def test_a_killed_waiter_ends_its_container_alone(runtime, pod):
    before = set(gofers())
    a = pod.add("a")
    (own,) = set(gofers()) - before
    b = pod.add("b", None, "pid")
    os.kill(runtime.state(a).pid, signal.SIGKILL)
    runtime.wait_for(a, "stopped")
    wait_until(lambda: own not in gofers())
    runtime.delete(a)
    assert alive(runtime, pod.sandbox, b)


@pytest.mark.classes("sentry", ns_caveat="ns-pods")
def test_a_killed_sentry_leaves_nothing(runtime, pod):
    a, b = pod.add("a"), pod.add("b")
    os.kill(runtime.state(pod.sandbox).pid, signal.SIGKILL)
    for c in (pod.sandbox, a, b):
        runtime.wait_for(c, "stopped")
        runtime.delete(c)
    wait_until(lambda: gofers() == [])
