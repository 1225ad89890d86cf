# SPDX-License-Identifier: Apache-2.0
"""The n-th system call of a verb fails, in the runtime or in the process it is making: the verb does all of
its work nevertheless, or it fails with a word; it neither hangs nor crashes, and nothing is left."""

import errno

import pytest

from lib import confined
from lib.faults import SEED, Campaign
from lib.verbs import SHAPES, VERBS

pytestmark = [pytest.mark.classes("ns"), pytest.mark.timeout(7200),
              pytest.mark.beyond("runc", "crun", reason="their error paths are theirs")]

ERRORS = ["EPERM", "EIO", "ENOMEM", "EMFILE", "ENOSPC"]
# How many of each verb's system calls fail outside the soak; there each fails with every error.
FEW = {"create": 24, "run": 24, "run -d": 12, "start": 12, "delete": 12, "delete --force": 8, "exec": 14,
       "exec -d": 6, "kill": 5, "update": 6, "pause": 5, "resume": 5}

# System calls whose failure may be left behind without `delete --force`, and why.
LEFT_WITHOUT_DELETE = {
    "unlinkat": "what cannot be removed stays, for delete to try again",
    "rmdir": "what cannot be removed stays, for delete to try again",
    "umount2": "what cannot be removed stays, for delete to try again",
    "kill": "who cannot be killed stays",
    "pidfd_send_signal": "who cannot be killed stays",
    "newfstatat": "a directory that may be another one meanwhile is not removed",
    "flock": "without the lock nothing may be removed",
}


def judge(campaign, outcome):
    verb, message = campaign.verb, outcome.message
    if outcome.end != "exit":
        return "hung" if outcome.end == "hung" else f"ended by signal {outcome.status}"
    if outcome.succeeded:
        if verb.name == "create" and outcome.by in ("child", "stage") and outcome.syscall == "accept4":
            return None  # create has answered; the container ends at its gate
        if not verb.check or "level=warning" in message:
            return None
        return verb.check(campaign.runtime, campaign.bundle, outcome)
    speechless = outcome.syscall in ("write", "writev") and outcome.argument == 2
    if not message and not speechless:
        return "failed without a word"
    if verb.name in ("create", "run", "run -d") and outcome.syscall not in LEFT_WITHOUT_DELETE:
        left = campaign.left()
        if left:
            return f"the runtime did not clean up: {left}"
    return None


def fail_everywhere(campaign):
    day = sum(SEED.encode())
    numbers = [getattr(errno, name) for name in ERRORS]
    for shift in range(campaign.rounds(len(ERRORS))):
        campaign.run(lambda n, s=shift: ["fail", str(n), str(numbers[(n + day + s) % len(ERRORS)])],
                     lambda outcome: judge(campaign, outcome))
    campaign.finish()


@pytest.mark.parametrize("shape", ["plain", "rich"])
@pytest.mark.parametrize("verb", VERBS)
def test_a_system_call_of_the_runtime_fails(runtime, bundle, request, verb, shape):
    SHAPES[shape](bundle)
    fail_everywhere(Campaign(runtime, bundle, VERBS[verb], False, request.node.nodeid, FEW[verb]))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("verb", ["create", "run", "exec"])
def test_a_system_call_of_the_runtime_or_its_child_fails(runtime, bundle, request, verb, shape):
    SHAPES[shape](bundle)
    chosen = {"run": confined.run(), "exec": confined.exec_()}.get(verb, VERBS[verb])
    campaign = Campaign(runtime, bundle, chosen, True, request.node.nodeid, FEW[verb])
    campaign.learn()
    fail_everywhere(campaign)
