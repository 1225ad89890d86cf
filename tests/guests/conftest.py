# SPDX-License-Identifier: Apache-2.0
"""`guest(*options, script=...)` runs a shell script in a test guest with scripts/guest-run."""

import os
import pathlib
import subprocess

import pytest

REPO = pathlib.Path(__file__).resolve().parents[2]
GUEST_RUN = REPO / "scripts/guest-run"
SOAK = os.environ.get("CAISSON_SOAK") == "1"
LIMIT_S = 600  # of a machine that emulates beside other work


def pytest_collection_modifyitems(config, items):
    elsewhere = [item for item in items if item.get_closest_marker("soak") and not SOAK]
    if elsewhere:
        items[:] = [item for item in items if item not in elsewhere]
        config.hook.pytest_deselected(items=elsewhere)


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
