# SPDX-License-Identifier: Apache-2.0
"""Class vm: the start of a clone, with the runtime or a process that it makes killed at, or failing in, one of its
system calls, and with its template's holder killed there: a clone, a cold start or a failure with a word."""

import json

import pytest

from lib import machines
from lib.faults import SOAK, Campaign, Outcome, choose, find_nth
from lib.runtime import wait_until
from lib.verbs import VERBS
from test_failed_anywhere import fail_everywhere
from test_vm_killed_anywhere import PATIENCE_S
from test_vm_templates import Templates

pytestmark = [pytest.mark.classes("vm"), pytest.mark.timeout(7200),
              pytest.mark.beyond("runc", "crun", reason="have no machines")]
FEW = 2
WAIT_S = 120


@pytest.fixture
def templates(runtime, work_dir):
    """One that is held; its environment is templates.env."""
    made = Templates(runtime, work_dir, templates="on", template_dir=str(work_dir / "templates"))
    made.env = {"CAISSON_CONFIG": str(made.path)}
    made.create()
    yield made
    made.call("remove", "--all", check=False)


def is_clone(runtime, bundle):
    return 'until="restored"' in runtime.call("debug", bundle.id, "metrics").stdout


@pytest.fixture
def campaign(runtime, bundle, templates, request):
    """campaign(follow): a `create` that clones."""
    def make(follow):
        made = Campaign(runtime, bundle, VERBS["create"], follow, request.node.nodeid, FEW, templates.env, PATIENCE_S)
        made.call(["count"])
        assert is_clone(runtime, bundle), "it booted"
        made.forget()
        return made
    return make


def test_delete_force_cleans_after_a_runtime_that_was_killed(campaign):
    campaign(False).kill_everywhere()


@pytest.mark.parametrize("follow", [False, "children"] if SOAK else ["children"])
def test_a_system_call_of_a_clones_start_fails(campaign, follow):
    fail_everywhere(campaign(follow))


def test_a_runtime_whose_child_was_killed_says_so_and_cleans_up(campaign):
    made = campaign("children")

    def judge(outcome):
        if outcome.end != "exit":
            return "the runtime did not end by itself"
        if outcome.status == 0:
            # A carrier's end is that of its stream alone.
            return None if made.runtime.status(made.bundle) == "created" else "success without a container"
        if not outcome.message:
            return "failed without a word"
        left = made.left()
        return f"the runtime did not clean up: {left}" if left else None

    made.run(lambda n: ["kill", str(n)], judge)
    made.finish()


def test_a_clone_whose_templates_holder_is_killed_boots_or_fails_with_a_word(runtime, bundle, templates, request):
    """Killed before the n-th system call of the start; the descriptors of who has them already go on."""
    bundle.process.args = ["sleep", "1000"]
    bundle.save()

    def create(*mode):
        return Outcome(runtime.call("create", "--bundle", bundle.path, bundle.id, check=False, timeout_s=PATIENCE_S + 20,
                                    env={**templates.env, "NTH_TIMEOUT": str(PATIENCE_S)}, prefix=[find_nth(), *mode]))

    total = create("count").calls
    runtime.delete(bundle, "--force")
    ends = []
    for n in choose(total, 3, request.node.nodeid):
        templates.create()
        holder = templates.list()[0]["pid"]
        outcome = create("other", str(n), str(holder))
        wait_until(lambda p=holder: machines.name_of(p) != "caisson-templat", WAIT_S, "the holder has ended")

        assert outcome.end == "exit", outcome
        assert outcome.succeeded or outcome.message, f"n={n}: failed without a word: {outcome}"
        if outcome.succeeded:
            assert runtime.status(bundle) == "created"
            ends.append(is_clone(runtime, bundle))
            runtime.start(bundle)
            assert runtime.exec(bundle, ["echo", "alive"]).stdout == "alive\n"
        else:
            assert runtime.container_ids() == [], f"n={n}: {outcome}"
            ends.append(outcome.message)
        runtime.delete(bundle, "--force")
        assert templates.list() == []
    print(json.dumps(ends))
    assert True in ends or False in ends, ends
