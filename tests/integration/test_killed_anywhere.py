# SPDX-License-Identifier: Apache-2.0
"""SIGKILL before the n-th system call of a verb, in the runtime or in the process it is making: whatever
was half done, `delete --force` succeeds and nothing is left."""

import pytest

from lib.faults import Campaign
from lib.verbs import SHAPES, VERBS

pytestmark = [pytest.mark.classes("ns"), pytest.mark.timeout(3600),
              pytest.mark.beyond("runc", "crun", reason="a killed runc or crun leaves things behind")]

# How many of each verb's system calls are hit outside the soak.
FEW = {"create": 24, "run": 16, "run -d": 10, "start": 12, "delete": 12, "delete --force": 8, "exec": 10,
       "exec -d": 5, "kill": 5, "update": 6, "pause": 5, "resume": 5}


@pytest.mark.classes("ns", "sentry")
@pytest.mark.parametrize("shape", ["plain", "rich"])
@pytest.mark.parametrize("verb", VERBS)
def test_delete_force_cleans_after_a_runtime_that_was_killed(runtime, bundle, request, verb, shape):
    SHAPES[shape](bundle)
    Campaign(runtime, bundle, VERBS[verb], False, request.node.nodeid, FEW[verb]).kill_everywhere()


# What caisson-init does once it was told to go on. The runtime hears only that the socket was closed, as by
# the exec of the user's program; create and start have succeeded, run passes on the status.
PAST_THE_GATE = {"accept4", "close", "prctl", "mmap", "seccomp", "execve"}


# The same of the staged child, which waits at the gate itself when there are startContainer hooks.
CHILD_PAST_THE_GATE = {"accept4", "close", "prctl", "sendmsg"}


def is_past_the_gate(outcome):
    calls = {"stage": PAST_THE_GATE, "child": CHILD_PAST_THE_GATE}[outcome.by]
    return outcome.syscall == "exit_group" or outcome.syscall in calls


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("verb", ["create", "run", "run -d", "exec", "exec -d"])
def test_a_runtime_whose_child_was_killed_says_so_and_cleans_up(runtime, bundle, request, verb, shape):
    SHAPES[shape](bundle)
    campaign = Campaign(runtime, bundle, VERBS[verb], True, request.node.nodeid, FEW[verb])

    def judge(outcome):
        if outcome.by not in ("child", "stage") or "poststop hook" in outcome.message:
            return None  # a poststop hook that fails is a warning
        if outcome.end != "exit":
            return "the runtime did not end by itself"
        if outcome.status in (0, 137) and not is_past_the_gate(outcome):
            return "success, although the process was killed"
        if outcome.status not in (0, 137) and not outcome.message:
            return "failed without a word"
        if verb in ("create", "run", "run -d") and outcome.status != 0:
            left = campaign.left()
            return f"the runtime did not clean up: {left}" if left else None
        return None

    campaign.run(lambda n: ["kill", str(n)], judge)
    campaign.finish()
