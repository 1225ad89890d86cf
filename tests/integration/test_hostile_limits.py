# SPDX-License-Identifier: Apache-2.0
"""Everything that is counted is taken until it is refused; every way to wait is stopped and frozen; bombs. The
sandbox goes on afterwards as if nothing had been, and so does its neighbour."""

import os
import random
import signal
import subprocess
import time

import pytest

from lib import guest
from lib.runtime import wait_until

pytestmark = [pytest.mark.classes("sentry"), pytest.mark.beyond("runc", "crun", reason="have no sentry"),
              pytest.mark.timeout(900)]
CALL_S = 120
KINDS = subprocess.run([guest.PROGRAM, "exhaust"], capture_output=True, text=True, check=True).stdout.split() \
    if guest.PROGRAM.exists() else []


def settles(runtime, bundle, sentry, before):
    """One task, and no more descriptors of the host than a store of a few."""
    wait_until(lambda: guest.metric(runtime, bundle, "caisson_sentry_tasks") == 1, 60, "the tasks are gone")
    wait_until(lambda: guest.descriptors(sentry) <= before + 64, 60,
               f"descriptors: {before} before, {guest.descriptors(sentry)} now")


@pytest.mark.parametrize("user", ["root", "nobody"])
def test_what_is_counted_is_refused_in_the_end_and_given_back(runtime, bundle, user):
    assert len(KINDS) > 20
    guest.install(bundle, memory=1 << 30, pids=300)
    bundle.mount("/tmp", "tmpfs", "tmpfs", ["mode=1777"])
    bundle.mount("/dev/mqueue", "mqueue", "mqueue")
    bundle.mount("/dev/shm", "shm", "tmpfs", ["mode=1777"])
    runtime.run_detached(bundle, ["guest", "init"])
    sentry = runtime.state(bundle).pid
    runtime.exec(bundle, ["guest", "exhaust", "pipe"], timeout_s=CALL_S)
    before = guest.descriptors(sentry)
    flags = [] if user == "root" else ["--user", "1000"]
    for kind in KINDS:
        taken = runtime.exec(bundle, ["guest", "exhaust", kind], *flags, check=False, timeout_s=CALL_S)
        # Killed for want of memory is an end as well, of that process alone.
        assert taken.returncode in (0, 137), f"{kind}: {taken}"
        assert runtime.exec(bundle, ["echo", "alive"], timeout_s=CALL_S).stdout == "alive\n", kind
        settles(runtime, bundle, sentry, before)


def test_a_guest_that_has_opened_all_it_can_is_still_listed_and_signalled(runtime, bundle):
    guest.install(bundle, memory=1 << 30)
    bundle.process.rlimits = [{"type": "RLIMIT_NOFILE", "soft": 1048576, "hard": 1048576}]
    run = runtime.start_run(bundle, ["guest", "hoard"], prefix=["prlimit", "--nofile=2048:2048"])
    assert run.read_line() == "full"

    assert "guest hoard" in runtime.call("ps", bundle.id, timeout_s=CALL_S).stdout
    # Its program is one file more that is opened for the guest: that may be refused, but it is answered.
    entered = runtime.exec(bundle, ["echo", "alive"], check=False, timeout_s=CALL_S)
    assert entered.stdout == "alive\n" or "Too many open files" in entered.stderr
    runtime.call("kill", bundle.id, "USR1", timeout_s=CALL_S)
    runtime.call("kill", bundle.id, "KILL", timeout_s=CALL_S)
    run.finish(timeout_s=CALL_S)


def signal_to(pid, number):
    """One that was in store has been used, and has ended, meanwhile."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def test_stops_and_freezes_of_the_host_end_no_wait(runtime, bundle, scaled):
    guest.install(bundle)
    bundle.mount("/tmp", "tmpfs", "tmpfs", ["mode=1777"])
    chance = random.Random(os.environ.get("CAISSON_SEED") or time.strftime("%Y-%m-%d"))
    run = runtime.start_run(bundle, ["guest", "wait"])
    assert run.read_line() == "ready"
    stubs = guest.stubs_of(runtime.state(bundle).pid)
    assert len(stubs) > 20
    for _ in range(scaled(100, 10)):
        some = chance.sample(stubs, chance.randrange(1, len(stubs)))
        for pid in some:
            signal_to(pid, signal.SIGSTOP)
        if chance.random() < 0.5:
            runtime.pause(bundle)
            assert runtime.status(bundle) == "paused"
            time.sleep(chance.uniform(0, 0.05))
            runtime.resume(bundle)
        time.sleep(chance.uniform(0, 0.02))
        for pid in some:
            signal_to(pid, signal.SIGCONT)
        assert runtime.exec(bundle, ["echo", "alive"], timeout_s=CALL_S).stdout == "alive\n"
    runtime.kill(bundle, "USR1")
    said = run.finish(timeout_s=CALL_S)
    assert run.returncode == 0, said


def test_frames_that_no_kernel_made_keep_no_process_from_its_end(runtime, bundle):
    guest.install(bundle)
    done = runtime.run(bundle, ["guest", "deaf"], check=False, timeout_s=300)
    lines = done.stdout.splitlines()

    assert done.returncode == 0, done
    assert len(lines) == 48, done
    assert not any(line.startswith(("asleep ", "mask ")) and "had ended" in line for line in lines), \
        f"the frames are not those that were meant: {done}"
    if os.environ.get("CAISSON_SOAK") == "1":
        times = [int(line.split()[2]) for line in lines if not line.startswith("asleep ")]
        assert max(times) < 1000 and sorted(times)[len(times) // 2] < 100, done


@pytest.mark.parametrize("where", ["tmpfs", "root"])
@pytest.mark.parametrize("kind", ["forks", "depth", "rope", "links", "paths"])
def test_a_bomb_hurts_nobody_else(runtime, bundle, kind, where):
    guest.install(bundle)
    if where == "tmpfs":
        bundle.mount("/tmp", "tmpfs", "tmpfs", ["mode=1777"])
    runtime.run_detached(bundle, ["guest", "init"])
    # What stays on the host must be removable by a program that recurses.
    deep = 20000 if where == "tmpfs" else 700
    done = runtime.exec(bundle, ["guest", "bomb", kind, deep], check=False, timeout_s=CALL_S)
    assert done.returncode == 0, done
    assert runtime.exec(bundle, ["echo", "alive"], timeout_s=CALL_S).stdout == "alive\n"
    wait_until(lambda: guest.metric(runtime, bundle, "caisson_sentry_tasks") == 1, 60, "the tasks are gone")


def test_a_set_user_id_program_is_out_of_reach_of_who_executed_it(runtime, bundle):
    guest.install(bundle)
    bundle.mount("/tmp", "tmpfs", "tmpfs", ["mode=1777"])
    bundle.process.no_new_privileges = False
    runtime.run_detached(bundle, ["guest", "init"])
    runtime.exec(bundle, ["sh", "-c", "cp /bin/guest /tmp/secret; chmod 4755 /tmp/secret"])
    done = runtime.exec(bundle, ["guest", "setid", "/tmp/secret"], "--user", "1000", check=False, timeout_s=CALL_S)

    assert done.returncode == 0, done
    assert done.stdout.startswith("raised "), done
