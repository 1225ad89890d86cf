# SPDX-License-Identifier: Apache-2.0
"""Class vm: the runtime is killed before the n-th system call of a verb, or that call fails: whatever was half made
(processes, taps, mounts, sockets, cgroups, ids), `delete --force` succeeds and nothing is left."""

import pytest

from lib.faults import Campaign
from lib.verbs import VERBS
from test_failed_anywhere import fail_everywhere

pytestmark = [pytest.mark.classes("vm"), pytest.mark.timeout(7200),
              pytest.mark.beyond("runc", "crun", reason="have no machines")]

# How many of each verb's system calls are hit outside the soak: each costs a machine.
KILLED = {"create": 8, "run -d": 3, "start": 3, "delete": 4, "delete --force": 2, "exec": 4, "kill": 1}
FAILED = {"create": 6, "start": 2, "delete": 3, "exec": 3}


@pytest.mark.parametrize("verb", KILLED)
def test_delete_force_cleans_after_a_runtime_that_was_killed(runtime, bundle, request, verb):
    Campaign(runtime, bundle, VERBS[verb], False, request.node.nodeid, KILLED[verb]).kill_everywhere()


@pytest.mark.parametrize("verb", FAILED)
def test_a_system_call_of_the_runtime_fails(runtime, bundle, request, verb):
    fail_everywhere(Campaign(runtime, bundle, VERBS[verb], False, request.node.nodeid, FAILED[verb]))
