# SPDX-License-Identifier: Apache-2.0
"""Class vm: the runtime is killed before the n-th system call of a verb, or that call fails: whatever was half made
(processes, taps, mounts, sockets, cgroups, ids), `delete --force` succeeds and nothing is left."""

import errno

import pytest

from lib.faults import SEED, Campaign
from lib.verbs import VERBS
from test_failed_anywhere import ERRORS, judge as judge_failure

pytestmark = [pytest.mark.classes("vm"), pytest.mark.timeout(7200),
              pytest.mark.beyond("runc", "crun", reason="have no machines")]

# How many of each verb's system calls are hit outside the soak: each costs a machine.
KILLED = {"create": 8, "run -d": 3, "start": 3, "delete": 4, "delete --force": 2, "exec": 4, "kill": 1}
FAILED = {"create": 6, "start": 2, "delete": 3, "exec": 3}


@pytest.mark.parametrize("verb", KILLED)
def test_delete_force_cleans_after_a_runtime_that_was_killed(runtime, bundle, request, verb):
    campaign = Campaign(runtime, bundle, VERBS[verb], False, request.node.nodeid, KILLED[verb])

    def judge(outcome):
        if outcome.hit >= 0 and (outcome.end, outcome.status) != ("signal", 9):
            return "the runtime was hit and not killed"
        return None

    campaign.run(lambda n: ["kill", str(n)], judge)
    campaign.finish()


@pytest.mark.parametrize("verb", FAILED)
def test_a_system_call_of_the_runtime_fails(runtime, bundle, request, verb):
    campaign = Campaign(runtime, bundle, VERBS[verb], False, request.node.nodeid, FAILED[verb])
    day = sum(SEED.encode())
    numbers = [getattr(errno, name) for name in ERRORS]
    for shift in range(campaign.rounds(len(ERRORS))):
        campaign.run(lambda n, s=shift: ["fail", str(n), str(numbers[(n + day + s) % len(ERRORS)])],
                     lambda outcome: judge_failure(campaign, outcome))
    campaign.finish()
