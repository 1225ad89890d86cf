# SPDX-License-Identifier: Apache-2.0
"""Pauses of a pod and of one container of it, in any order, left half done: what `state` says is what runs inside."""

import contextlib
import itertools
import os
import signal

import pytest

from lib.faults import SOAK, Outcome, find_nth
from lib.machines import below, name_of
from lib.pods import Pod, alive
from lib.runtime import refused, wait_until

pytestmark = pytest.mark.classes("ns", "sentry", "vm")

TICK = ["sh", "-c", "while :; do echo tick; sleep 0.02; done"]
TOO_MANY = 1000  # of anything that has an end


class Pauses:
    """A pod with a container `a` that is paused, and `b` that tells how time goes by."""

    def __init__(self, runtime, make_bundle):
        self.runtime = runtime
        self.pod = Pod(runtime, make_bundle)
        self.a, self.b = self.pod.add("a", TICK), self.pod.add("b", TICK)
        self.alone, self.all = False, False
        self.runs()

    @property
    def sandbox(self):
        return self.pod.sandbox

    @property
    def holds_all(self):
        """In class ns the sandbox's pause is its own."""
        return self.all and self.runtime.isolation != "ns"

    def ticks(self, bundle):
        return len(self.runtime.output(bundle))

    def moves(self, bundle, times=1):
        before = self.ticks(bundle)
        wait_until(lambda: self.ticks(bundle) >= before + 5 * times, what=f"{bundle.id} goes on")

    def runs(self):
        for bundle in (self.a, self.b):
            self.moves(bundle)

    def stands(self):
        """What it had said comes yet; what `b` says ten times, who runs says too."""
        def stood():
            before = self.ticks(self.a)
            self.moves(self.b, 10)
            return self.ticks(self.a) == before
        wait_until(stood, what="a stands still")

    def toggle(self, what, **options):
        """The pod, or the one."""
        bundle, paused = (self.sandbox, self.all) if what == "pod" else (self.a, self.alone)
        result = (self.runtime.resume if paused else self.runtime.pause)(bundle, **options)
        if what == "pod":
            self.all = not paused
        else:
            self.alone = not paused
        return result

    def judge(self):
        assert self.runtime.status(self.sandbox) == ("paused" if self.all else "running")
        assert self.runtime.status(self.a) == ("paused" if self.alone or self.holds_all else "running")
        if self.holds_all:
            return
        if self.alone:
            self.stands()
        else:
            self.moves(self.a)

    def learn(self):
        """After a call that was killed: what is paused says the runtime, and the rest must be the same."""
        self.all = self.runtime.status(self.sandbox) == "paused"
        if self.holds_all:
            self.runtime.resume(self.sandbox)
            self.all = False
        self.alone = self.runtime.status(self.a) == "paused"
        self.judge()

    def reset(self):
        if self.all:
            self.toggle("pod")
        if self.alone:
            self.toggle("one")


@pytest.fixture
def pauses(runtime, make_bundle):
    return Pauses(runtime, make_bundle)


# Before each round, and what is killed then: for each of a pause and a resume, alone and within the pod's.
KILLED = {
    "pause of one": ([], "one"),
    "resume of one": (["one"], "one"),
    "pause of one while all are paused": (["pod"], "one"),
    "resume of one while all are paused": (["one", "pod"], "one"),
    "pause of all": ([], "pod"),
    "pause of all with one": (["one"], "pod"),
    "resume of all with one that was paused meanwhile": (["pod", "one"], "pod"),
    "resume of all with one that was resumed meanwhile": (["one", "pod", "one"], "pod"),
}


@pytest.mark.timeout(1200)  # at each call of it in the soak
@pytest.mark.parametrize("case", KILLED)
def test_a_call_that_is_killed_leaves_what_state_says(runtime, pauses, case):
    before, what = KILLED[case]
    step = {"vm": 7}.get(runtime.isolation, 1) if SOAK else {"vm": 47}.get(runtime.isolation, 17)
    for n in range(1, TOO_MANY, step):
        for each in before:
            pauses.toggle(each)
        outcome = Outcome(pauses.toggle(what, check=False, prefix=[find_nth(), "kill", str(n)]))
        pauses.learn()
        pauses.reset()
        if outcome.succeeded:
            break
    assert n > step and outcome.succeeded
    assert alive(runtime, pauses.sandbox, pauses.a, pauses.b)


def orders(length):
    """A walk in which each order of so many calls comes: a sequence of de Bruijn."""
    word, found = "0" * length, {"0" * length}
    while True:
        for bit in "10":
            if (window := word[-length + 1:] + bit) not in found:
                found.add(window)
                word += bit
                break
        else:
            return ["one" if bit == "1" else "pod" for bit in word]


def test_the_walk_has_every_order():
    walk = orders(4)
    seen = {tuple(walk[i:i + 4]) for i in range(len(walk) - 3)}
    assert seen == set(itertools.product(("one", "pod"), repeat=4))


def test_every_order_of_pauses_and_resumes(pauses):
    for what in orders(4):
        pauses.toggle(what)
        pauses.judge()


@pytest.mark.classes("sentry", "vm", ns_caveat="ns-pods")
def test_the_last_of_many_calls_holds_when_the_pod_goes_on(runtime, pauses):
    """More than once, so that none of them can have been the last one by chance."""
    for rounds in range(1, 5):
        pauses.toggle("pod")
        for _ in range(rounds):
            pauses.toggle("one")
        ticks = pauses.ticks(pauses.a)
        pauses.toggle("pod")
        pauses.judge()
        if not pauses.alone:
            assert pauses.ticks(pauses.a) > ticks


def test_both_are_paused_and_resumed_at_one_time(runtime, pauses):
    """As `podman pod pause` does it: none waits for an answer that the other one's pause keeps back."""
    for verb in ("pause", "resume") * 5:
        order = [pauses.a, pauses.b, pauses.sandbox]
        calls = [runtime.start_call(verb, bundle.id) for bundle in order]
        for call in calls:
            assert call.wait() == 0, call.errors
        assert {runtime.status(bundle) for bundle in order} == {"paused" if verb == "pause" else "running"}
        if verb == "resume":
            pauses.runs()


@pytest.mark.classes("sentry", "vm", ns_caveat="ns-pods")
def test_as_many_requests_wait_for_a_paused_pod_as_have_room(runtime, pauses):
    pauses.toggle("pod")
    for n in range(TOO_MANY):
        result = runtime.kill(pauses.a, "CONT", check=False)
        if result.returncode:
            break
    refused(runtime, result, "is paused, and too many requests wait for its resume")
    assert n == 64
    refused(runtime, runtime.pause(pauses.a, check=False), "too many requests wait")
    pauses.toggle("pod")
    pauses.judge()
    pauses.toggle("one")
    pauses.judge()


def named(name, top):
    """Processes of that name among those that `top` has made."""
    return [pid for pid in below(top) if name_of(pid) == name]


def create_whose_gofer_is_stopped(runtime, bundle):
    """A create and its gofer, which was stopped as soon as it was there: before it has answered the sentry, or after."""
    for _ in range(100):
        create = runtime.start_call("create", "--bundle", bundle.path, bundle.id)
        while not (gofers := named("caisson-gofer", create.pid)) and create.poll() is None:
            pass
        for gofer in gofers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(gofer, signal.SIGSTOP)
                wait_until(lambda: named("caisson-wait", create.pid) or create.poll() is not None)  # noqa: B023
                return create, gofer
        assert create.wait() == 0, create.errors
        runtime.delete(bundle, "--force")
    raise AssertionError("no gofer was there when it was looked for")


@pytest.mark.classes("sentry")
def test_a_pod_is_paused_while_a_container_of_it_is_made(runtime, make_bundle):
    """Its sentry waits for the new one's gofer, and knows of it neither files nor processes."""
    pod = Pod(runtime, make_bundle)
    late = pod.bundle("late")
    late.process.args = ["sleep", "1000"]
    late.save()
    for _ in range(100):
        create, gofer = create_whose_gofer_is_stopped(runtime, late)
        for _ in range(3):
            runtime.pause(pod.sandbox)
            runtime.resume(pod.sandbox)
        was_made_meanwhile = create.poll() is None
        os.kill(gofer, signal.SIGCONT)
        assert create.wait() == 0, create.errors
        if was_made_meanwhile:
            break
        runtime.delete(late, "--force")
    assert was_made_meanwhile
    runtime.start(late)
    assert alive(runtime, pod.sandbox, late)
