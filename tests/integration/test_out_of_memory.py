# SPDX-License-Identifier: Apache-2.0
"""The n-th allocation of a verb fails, or all from the n-th on: it does its work nevertheless or fails with a
word, it does not crash, and nothing is left. The program is caisson-faulty (tests/unit/faults), which is
the product with another allocator; in a sanitizer build the sanitizers judge, too."""

import os
import pathlib
import re

import pytest

from lib import confined, programs
from lib.faults import SOAK, Campaign, Verb
from lib.verbs import SHAPES, VERBS, running

pytestmark = [pytest.mark.classes("ns"), pytest.mark.timeout(7200),
              pytest.mark.beyond("runc", "crun", reason="the allocator is built into our program")]

LINE = re.compile(r"^faulty: calls=(\d+) hit=([01]) at=(0x[0-9a-f]+) by=(\w+)$", re.M)
FEW = {"create": 30, "run": 30, "exec": 24}
READING = {verb.name: verb for verb in [
    Verb("state", ["state", "{id}"], running, process=["sleep", "1000"]),
    Verb("list", ["list"], running, process=["sleep", "1000"]),
    Verb("ps", ["ps", "{id}"], running, process=["sleep", "1000"]),
    Verb("events --stats", ["events", "--stats", "{id}"], running, process=["sleep", "1000"]),
    Verb("features", ["features"]),
    Verb("spec", ["spec", "--bundle", "{spec}"]),
]}
ALL = {**VERBS, **READING}


def find_faulty():
    path = os.environ.get("CAISSON_FAULTY") or programs.REPO_DIR / "build/tests/unit/faults/caisson-faulty"
    if not os.access(path, os.X_OK):
        pytest.fail(f"{path} is not built: run make, or set CAISSON_FAULTY", pytrace=False)
    return pathlib.Path(path)


class Outcome:
    """One call of the faulty program. `hit` is -1 if no allocation failed."""

    def __init__(self, result):
        self.result = result
        match = LINE.search(result.stderr)
        self.calls = int(match.group(1)) if match else 0
        self.hit = 0 if match and match.group(2) == "1" else -1
        self.site = match.group(3) if match else "unknown"
        self.by = match.group(4) if match else "unknown"
        self.syscall = self.site  # what a campaign counts the kinds of
        self.crashed = result.returncode is None or result.returncode < 0 or not match
        self.message = LINE.sub("", result.stderr).strip()

    @property
    def succeeded(self):
        return self.result.returncode == 0

    def __str__(self):
        return (f"allocation at {self.site} (addr2line -fie caisson-faulty {self.site}) of {self.by}, "
                f"status {self.result.returncode}, said {self.message!r}")


class AllocationCampaign(Campaign):
    """The mode is the value of CAISSON_ALLOC_FAULT, "count" is 0."""

    what = "allocations"

    def call(self, mode):
        self.prepare()
        number = "0" if mode == ["count"] else mode[0]
        argv = [str(find_faulty()), *self.runtime.argv(*self.args())[1:]]
        return Outcome(self.runtime.call(raw=argv, check=False, timeout_s=30, env={
            "CAISSON_ALLOC_FAULT": number,
            "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
            "ASAN_OPTIONS": "allocator_may_return_null=1:exitcode=99"}))


def judge(campaign, outcome):
    if outcome.crashed or outcome.result.returncode == 99:
        return "crashed"
    if "runtime error:" in outcome.message or "Sanitizer" in outcome.message:
        return "the sanitizers complain"
    if outcome.succeeded:
        check = campaign.verb.check
        return check(campaign.runtime, campaign.bundle, outcome) if check else None
    if not outcome.message:
        return "failed without a word"
    if campaign.verb.name in ("create", "run", "run -d"):
        left = campaign.left()
        if left:
            return f"the runtime did not clean up: {left}"
    return None


@pytest.mark.parametrize("shape", ["plain", "rich"])
@pytest.mark.parametrize("verb", ALL)
def test_an_allocation_fails(runtime, bundle, request, verb, shape):
    SHAPES[shape](bundle)
    few = FEW.get(verb, 9)
    chosen = {"run": confined.run(), "exec": confined.exec_()}.get(verb, ALL[verb])
    campaign = AllocationCampaign(runtime, bundle, chosen, False, request.node.nodeid, few)
    campaign.learn()
    campaign.run(lambda n: [str(n)], lambda outcome: judge(campaign, outcome))
    campaign.few = few if SOAK else few // 3
    campaign.run(lambda n: [f"{n}+"], lambda outcome: judge(campaign, outcome), "+")
    campaign.finish()
