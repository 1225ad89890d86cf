# SPDX-License-Identifier: Apache-2.0
"""`guest(*options, script=...)` runs a shell script in a test guest with scripts/guest-run; `guest_suite` a test suite."""

import collections
import importlib.machinery
import importlib.util
import os
import pathlib
import subprocess

import pytest

REPO = pathlib.Path(__file__).resolve().parents[2]
GUEST_RUN = REPO / "scripts/guest-run"
SOAK = os.environ.get("CAISSON_SOAK") == "1"
LIMIT_S = 600  # of a machine that emulates beside other work
skips_inside = collections.Counter()  # reasons


def load(path):
    loader = importlib.machinery.SourceFileLoader(path.name.replace("-", "_"), str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


run_tests = load(REPO / "scripts/run-tests")


def pytest_collection_modifyitems(config, items):
    elsewhere = [item for item in items if item.get_closest_marker("soak") and not SOAK]
    if elsewhere:
        items[:] = [item for item in items if item not in elsewhere]
        config.hook.pytest_deselected(items=elsewhere)


def pytest_terminal_summary(terminalreporter):
    for reason, count in sorted(skips_inside.items()):
        terminalreporter.write_line(f"inside a guest skipped {count}: {reason}")


class Result:
    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    def __repr__(self):
        return f"exit status {self.code}\n--- stdout\n{self.out[-8000:]}\n--- stderr\n{self.err[-8000:]}"


@pytest.fixture
def guest():
    def run(*options, script, cwd=REPO):
        argv = [GUEST_RUN, "--time-limit", str(LIMIT_S), *options, "--", "sh", "-c", script]
        done = Result(subprocess.run([str(a) for a in argv], cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True,
                                     text=True, errors="replace"))
        print(done)  # an assertion's own message is cut
        return done
    return run


def judge(done):
    """A suite's run has to pass, and each skip in it to name a row of CAVEATS.md, as everywhere. Returns the reasons."""
    counts = run_tests.count_pytest(done.out, 0)
    assert done.code == 0 and counts.passed and not counts.failed, done
    assert counts.skipped == sum(counts.reasons.values()), f"skips without a reason: {done}"
    assert not list(run_tests.unexplained(counts.reasons)), f"skips that name no row of CAVEATS.md: {counts.reasons}"
    return counts.reasons


@pytest.fixture
def guest_suite(guest):
    def run(*options, script):
        skips_inside.update(judge(guest(*options, script=script)))
    return run
