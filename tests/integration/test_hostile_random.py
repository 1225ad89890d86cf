# SPDX-License-Identifier: Apache-2.0
"""Random calls with random arguments from many threads: the sentry neither crashes nor hangs nor leaks."""

import os
import time

import pytest

from lib import guest

pytestmark = [pytest.mark.classes("sentry"), pytest.mark.beyond("runc", "crun", reason="have no sentry"),
              pytest.mark.timeout(1500)]


def seed(scaled):
    """In the soak a new one each day; a failure's can be given."""
    return os.environ.get("CAISSON_SEED_RANDOM") or scaled(time.strftime("%Y%m%d"), "31")


def test_random_calls_leave_the_sentry_alive_and_clean(runtime, bundle, scaled):
    guest.install(bundle, memory=1 << 30)
    bundle.mount("/tmp", "tmpfs", "tmpfs", ["mode=1777"])
    seconds = float(os.environ.get("CAISSON_RANDOM_S") or scaled(600, 60))
    run = runtime.start_run(bundle, ["guest", "random", int(seconds), seed(scaled), 8])
    deadline = time.monotonic() + seconds + 120

    while run.poll() is None and time.monotonic() < deadline:
        runtime.call("ps", bundle.id, check=False, timeout_s=60)
        time.sleep(1)
    ended = run.poll()
    if ended is None:
        runtime.kill(bundle, "KILL")
    # Whatever was made, nothing but pid 1 was left to the end. (137: the sentry was killed, or crashed.)
    said = run.finish(timeout_s=60).splitlines()
    assert ended == 0, f"{ended}: {said[-3:]} {run.errors}"
    assert said[-1].startswith("slices "), said[-3:]
