# SPDX-License-Identifier: Apache-2.0
"""The n-th system call of a verb fails, in the runtime or in the process it is making: the verb does all of
its work nevertheless, or it fails with a word; it neither hangs nor crashes, and nothing is left."""

import errno
import json
import re

import pytest

from lib.faults import SEED, Campaign, Verb
from lib.verbs import SHAPES, VERBS

pytestmark = [pytest.mark.classes("ns"), pytest.mark.timeout(7200),
              pytest.mark.beyond("runc", "crun", reason="their error paths are theirs")]

ERRORS = ["EPERM", "EIO", "ENOMEM", "EMFILE", "ENOSPC"]
# How many of each verb's system calls fail outside the soak; there each fails with every error.
FEW = {"create": 24, "run": 24, "run -d": 12, "start": 12, "delete": 12, "delete --force": 8, "exec": 14,
       "exec -d": 6, "kill": 5, "update": 6, "pause": 5, "resume": 5}

# Fields of testinit's report that differ from run to run.
VARYING = ("pid", "ppid", "pgid", "sid", "monotonic_s", "boottime_s", "namespaces", "status")
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


def normal(report):
    """What a process sees of itself, without what differs from run to run."""
    seen = {k: v for k, v in report.items() if k not in VARYING}
    # HOME is / where passwd cannot be read.
    seen["env"] = [e for e in report["env"] if not e.startswith("HOME=")]
    seen["fds"] = sorted(report["fds"])
    # Identifiers of mounts and devices.
    seen["mountinfo"] = [re.sub(r"^\d+ \d+ \d+:\d+ ", "", re.sub(r"(master|shared|propagate_from):\d+", r"\1", line))
                         for line in seen["mountinfo"].splitlines()]
    return seen


def without_sys(seen):
    return {**seen, "mountinfo": [line for line in seen["mountinfo"] if " /sys" not in line]}


def sees_the_same(campaign_state):
    """A check for run: whatever call failed, a container that runs is confined as without the failure."""
    def check(_runtime, _bundle, outcome):
        try:
            seen = normal(json.loads(outcome.result.stdout))
        except ValueError:
            return "the report of the container's process is not whole"
        wanted = campaign_state.setdefault("wanted", seen)
        if seen == wanted or "level=warning" in outcome.message:
            return None
        if outcome.syscall in ("fsopen", "fsconfig", "fsmount", "mount"):
            # A user namespace that may not mount sysfs gets the host's, as with crun.
            seen, wanted = without_sys(seen), without_sys(wanted)
        if seen == wanted:
            return None
        return "the container differs: " + "; ".join(
            f"{k}: {seen.get(k)!r}, not {wanted.get(k)!r}" for k in wanted if seen.get(k) != wanted.get(k))
    return check


def judge(campaign, outcome):
    verb, message = campaign.verb, outcome.message
    if outcome.end != "exit":
        return "hung" if outcome.end == "hung" else f"ended by signal {outcome.status}"
    if outcome.succeeded:
        return verb.check(campaign.runtime, campaign.bundle, outcome) if verb.check else None
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
    chosen = VERBS[verb]
    if verb == "run":
        chosen = Verb("run", chosen.args, process=["testinit", "report"], check=sees_the_same({}))
    if verb == "exec":
        chosen = Verb("exec", ["exec", "{id}", "testinit", "report"], chosen.prepare, sees_the_same({}),
                      chosen.process)
    campaign = Campaign(runtime, bundle, chosen, True, request.node.nodeid, FEW[verb])
    if chosen is not VERBS[verb]:
        assert judge(campaign, campaign.call(["count"])) is None  # what is wanted
        campaign.forget()
    fail_everywhere(campaign)
