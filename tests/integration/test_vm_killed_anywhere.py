# SPDX-License-Identifier: Apache-2.0
"""Class vm: the runtime is killed before the n-th system call of a verb, or that call fails; the same of the processes
that it makes (the staged child, QEMU's and virtiofsd's until they are these programs, an exec's waiter); and QEMU,
virtiofsd or the supervisor is killed there. Whatever was half made (processes, taps, mounts, sockets, cgroups, ids),
`delete --force` succeeds and nothing is left."""


import shutil

import pytest

from lib.faults import SOAK, Campaign, Verb
from lib.machines import FILES, QEMU, SUPERVISOR
from lib.runtime import wait_until
from lib.verbs import VERBS
from test_failed_anywhere import fail_everywhere
from test_vm_network import plain, pod  # noqa: F401

pytestmark = [pytest.mark.classes("vm"), pytest.mark.timeout(7200),
              pytest.mark.beyond("runc", "crun", reason="have no machines")]

# How many of each verb's system calls are hit outside the soak: each costs a machine.
KILLED = {"create": 8, "run -d": 3, "start": 3, "delete": 4, "delete --force": 2, "exec": 4, "kill": 1}
FAILED = {"create": 6, "start": 2, "delete": 3, "exec": 3}
CHILD_KILLED = {"create": 4, "exec": 2, **({"run": 0, "exec -d": 0} if SOAK else {})}
CHILD_FAILED = {"create": 4, "exec": 1, **({"run": 0} if SOAK else {})}
OTHERS = {"start": 1, "exec": 2, "delete --force": 2,
          **({"create": 0, "run": 0, "kill": 0, "update": 0, "pause": 0, "resume": 0} if SOAK else {})}
DELETED = {"delete": 6, "delete --force": 3}
# As an older kernel, which has no links, keeps it, and a tap of a QEMU that fell.
LEFT = ("ip tuntap add caisson7 mode tap; tc qdisc add dev eth0 ingress; tc filter add dev eth0 parent ffff: prio 51721 "
        "protocol all u32 match u32 0 0 action mirred egress redirect dev caisson7")
VICTIMS = [QEMU, FILES, SUPERVISOR]
PATIENCE_S = 100


def campaign_of(runtime, bundle, request, verb, follow, few):
    return Campaign(runtime, bundle, VERBS[verb], follow, request.node.nodeid, few, patience_s=PATIENCE_S)


@pytest.mark.parametrize("verb", KILLED)
def test_delete_force_cleans_after_a_runtime_that_was_killed(runtime, bundle, request, verb):
    campaign_of(runtime, bundle, request, verb, False, KILLED[verb]).kill_everywhere()


@pytest.mark.skipif(shutil.which("tc") is None, reason="needs tc(8): CAVEATS.md#unit-iproute2")
@pytest.mark.parametrize("verb", DELETED)
def test_delete_force_cleans_an_interface_after_a_delete_that_was_killed(runtime, bundle, plain, request,  # noqa: F811
                                                                         verb):
    class WithInterface(Campaign):
        def left(self):
            found = super().left()
            if not found:
                wait_until(plain.is_clean, PATIENCE_S, "the tap and its redirects to go")
            return found

    def prepare(*made):
        VERBS[verb].prepare(*made)
        plain.sh(LEFT)

    WithInterface(runtime, bundle, Verb(verb, VERBS[verb].args, prepare, process=VERBS[verb].process), False,
                  request.node.nodeid, DELETED[verb], patience_s=PATIENCE_S).kill_everywhere()


@pytest.mark.parametrize("verb", FAILED)
def test_a_system_call_of_the_runtime_fails(runtime, bundle, request, verb):
    fail_everywhere(campaign_of(runtime, bundle, request, verb, False, FAILED[verb]))


@pytest.mark.parametrize("verb", CHILD_KILLED)
def test_a_runtime_whose_child_was_killed_says_so_and_cleans_up(runtime, bundle, request, verb):
    campaign = campaign_of(runtime, bundle, request, verb, "children", CHILD_KILLED[verb])

    def judge(outcome):
        if outcome.end != "exit":
            return "the runtime did not end by itself"
        # A carrier's end is that of its stream alone.
        if verb == "create" and outcome.status == 0 and runtime.status(bundle) != "created":
            return "success without a container"
        if outcome.status not in (0, 137) and not outcome.message:
            return "failed without a word"
        if verb == "run" or (verb == "create" and outcome.status != 0):
            left = campaign.left()
            return f"the runtime did not clean up: {left}" if left else None
        return None

    campaign.run(lambda n: ["kill", str(n)], judge)
    campaign.finish()


@pytest.mark.parametrize("verb", CHILD_FAILED)
def test_a_system_call_of_the_runtimes_child_fails(runtime, bundle, request, verb):
    fail_everywhere(campaign_of(runtime, bundle, request, verb, "children", CHILD_FAILED[verb]))


@pytest.mark.parametrize("verb", OTHERS)
def test_a_verb_whose_machine_is_killed_does_its_work_or_fails_with_a_word(runtime, bundle, request, verb):
    campaign = campaign_of(runtime, bundle, request, verb, False, OTHERS[verb])

    def judge(outcome):
        if outcome.end != "exit":
            return "the runtime did not end by itself"
        if outcome.status not in (0, 137) and not outcome.message:
            return "failed without a word"
        if verb == "delete --force":
            return None if outcome.succeeded and runtime.status(bundle) is None else "it did not delete"
        if verb in ("create", "run") and outcome.status != 0:
            left = campaign.left()
            return f"the runtime did not clean up: {left}" if left else None
        return None

    for shift in range(campaign.rounds(len(VICTIMS))):
        campaign.run(lambda n, s=shift: ["other", str(n), VICTIMS[(n + s) % len(VICTIMS)]], judge)
    campaign.finish()
