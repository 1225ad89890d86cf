# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the sentry, its gofer, its zygote, a stub or a waiter at moments of chance in every phase of a
container's life: its exit is reported, and nothing stays."""

import os
import random
import signal
import subprocess
import time

import pytest

from lib import cgroups
from lib.runtime import CallFailed, wait_until

pytestmark = [pytest.mark.classes("sentry"), pytest.mark.beyond("runc", "crun", reason="have no sentry"),
              pytest.mark.timeout(1800)]
VICTIMS = ["caisson-sentry", "caisson-gofer", "caisson-stub", "zygote"]
CALL_S = 60  # longer than anything may take; what hangs takes for ever
STORM = ["sh", "-c", "while :; do (/bin/busybox true; sleep 0) & /bin/busybox true; wait; done"]


def seed():
    """A new one each day; a failure's can be given."""
    return os.environ.get("CAISSON_SEED") or time.strftime("%Y-%m-%d")


def names(pid):
    """(name, parent) of a process of the host, or nothing when it has gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            text = file.read()
        return text[text.index("(") + 1:text.rindex(")")], int(text[text.rindex(")") + 2:].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


def candidates(before, victim):
    """New processes of that name. The zygote is the stub that the sentry itself has made."""
    found = {pid: names(pid) for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if pid not in before}
    found = {pid: what for pid, what in found.items() if what}
    sentries = {pid for pid, (name, _) in found.items() if name == "caisson-sentry"}
    if victim == "zygote":
        return [pid for pid, (name, parent) in found.items() if name == "caisson-stub" and parent in sentries]
    if victim == "caisson-stub":
        return [pid for pid, (name, parent) in found.items() if name == "caisson-stub" and parent not in sentries]
    return [pid for pid, (name, _) in found.items() if name == victim]


def children(parent):
    found = {pid: names(pid) for pid in map(int, filter(str.isdigit, os.listdir("/proc")))}
    return [pid for pid, what in found.items() if what and what[1] == parent]


def family(root):
    """A process and all that descend from it."""
    parents = {pid: what[1] for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if (what := names(pid))}
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def in_cgroup(path):
    """Nobody when it goes meanwhile."""
    try:
        return cgroups.pids(path)
    except OSError:
        return set()


class Killer:
    """Kills one victim of this container, as soon as there is one after a time of chance. `hit` says whom, if
    anybody. Other sandboxes of the host are nobody's business."""

    def __init__(self, bundle, chance, victim, within_s):
        self.cgroup, self.call = bundle.linux.cgroups_path, None
        self.before = set(map(int, filter(str.isdigit, os.listdir("/proc"))))
        self.victim, self.delay_s, self.chance, self.hit = victim, chance.uniform(0, within_s), chance, None

    def strike(self, call):
        """While a call is on its way: wait, look, kill. The call's end ends the search."""
        self.call = call
        end = time.monotonic() + self.delay_s
        while call.poll() is None and time.monotonic() < end:
            time.sleep(0.0005)
        while self.hit is None and call.poll() is None:
            self.try_now()

    def try_now(self):
        found = candidates(self.before, self.victim)
        if found:  # its own are in its cgroup, or on their way there
            mine = in_cgroup(self.cgroup) | (family(self.call.pid) if self.call else set())
            found = [pid for pid in found if pid in mine]
        for pid in self.chance.sample(found, len(found)):
            try:
                os.kill(pid, signal.SIGKILL)
                self.hit = pid
                return
            except ProcessLookupError:
                pass


def ends(process):
    """The exit status; a call that does not end is the failure."""
    try:
        return process.wait(CALL_S)
    except subprocess.TimeoutExpired:
        process.kill()
        raise CallFailed(f"no end within {CALL_S} s: {process.argv}") from None


def nothing_stays(runtime, bundle):
    runtime.call("delete", "--force", bundle.id, check=False, timeout_s=CALL_S)
    wait_until(lambda: not cgroups.pids(bundle.linux.cgroups_path), 30, "the cgroup is empty")
    assert runtime.status(bundle) is None
    assert runtime.container_ids() == []


@pytest.mark.parametrize("victim", VICTIMS)
@pytest.mark.parametrize("phase", ["create", "run", "exec", "delete", "storm"])
def test_a_killed_process_of_a_sandbox_leaves_nothing(runtime, bundle, scaled, phase, victim):
    chance = random.Random(f"{seed()} {phase} {victim}")
    hits = 0
    for _ in range(scaled(100, 4)):
        hits += PHASES[phase](runtime, bundle, chance, victim)
        nothing_stays(runtime, bundle)
    assert hits, "nobody was ever there to be killed"


def in_create(runtime, bundle, chance, victim):
    bundle.process.args = ["true"]
    bundle.save()
    killer = Killer(bundle, chance, victim, 0.05)
    create = runtime.start_call("create", "--bundle", bundle.path, bundle.id, stdout=subprocess.DEVNULL)
    killer.strike(create)
    status = ends(create)
    if status == 0 and killer.hit is None:
        killer.try_now()
    assert status in (0, 1), create.errors
    if status == 1:
        assert create.errors, "failed without a word"
    # A dead container can be told so and cannot be started; a living one can.
    runtime.call("start", bundle.id, check=False, timeout_s=CALL_S)
    wait_until(lambda: runtime.status(bundle) in (None, "stopped"), CALL_S, "the end is reported")
    return killer.hit is not None


def in_run(runtime, bundle, chance, victim):
    killer = Killer(bundle, chance, victim, 0.1)
    run = runtime.start_run(bundle, ["sh", "-c", "/bin/busybox true; sleep 0.1; cat /etc/passwd"])
    killer.strike(run)
    status = ends(run)
    # Of stubs, any status: one in store, the program's child, the program.
    if killer.hit and victim != "caisson-stub":
        assert status in (1, 137) or "tester" in run.stdout.read().decode(), f"{status}: {run.errors}"
    return killer.hit is not None


def in_exec(runtime, bundle, chance, victim):
    runtime.run_detached(bundle)
    killer = Killer(bundle, chance, victim, 0.05)
    if victim in ("caisson-sentry", "caisson-gofer", "zygote"):
        killer.before = set()  # whoever is there already
    elif chance.random() < 0.3:
        killer.victim = "caisson"  # the waiter itself
    call = runtime.start_exec(bundle, ["sh", "-c", "/bin/busybox true; sleep 0.1; cat /etc/passwd"])
    killer.strike(call)
    status = ends(call)
    if killer.hit and victim in ("caisson-sentry", "caisson-gofer", "zygote"):
        assert status != 0 or "tester" in call.stdout.read().decode(), call.errors
        runtime.wait_for(bundle, "stopped", CALL_S)
    elif runtime.status(bundle) == "running":
        assert runtime.exec(bundle, ["echo", "alive"], timeout_s=CALL_S).stdout == "alive\n"
    return killer.hit is not None


def in_delete(runtime, bundle, chance, victim):
    killer = Killer(bundle, chance, victim, 0.02)
    runtime.run_detached(bundle)
    delete = runtime.start_call("delete", "--force", bundle.id, stdout=subprocess.DEVNULL)
    if chance.random() < 0.5:
        killer.try_now()
    killer.strike(delete)
    assert ends(delete) == 0, delete.errors
    return 1


def in_storm(runtime, bundle, chance, victim):
    bundle.linux.resources = {"memory": {"limit": 256 << 20}, "pids": {"limit": 100}}
    killer = Killer(bundle, chance, victim, 0)
    runtime.run_detached(bundle, STORM)
    time.sleep(chance.uniform(0, 0.3))
    killer.try_now()
    if victim == "caisson-stub":
        # One of the storm's, one in store, or the shell itself: then all ends.
        wait_until(lambda: runtime.status(bundle) in ("running", "stopped"), CALL_S)
    else:
        runtime.wait_for(bundle, "stopped", CALL_S)
        wait_until(lambda: not cgroups.pids(bundle.linux.cgroups_path), 30, "the cgroup is empty")
    return killer.hit is not None


PHASES = {"create": in_create, "run": in_run, "exec": in_exec, "delete": in_delete, "storm": in_storm}


def test_a_killed_waiter_takes_its_process_along_at_whatever_moment(runtime, bundle, scaled):
    chance = random.Random(f"{seed()} waiter")
    runtime.run_detached(bundle)
    for _ in range(scaled(100, 8)):
        call = runtime.start_exec(bundle, ["sh", "-c", "exec sleep 1000"])
        wait_until(lambda: children(call.pid), 30, "there is a waiter")
        time.sleep(chance.uniform(0, 0.03))
        for pid in children(call.pid):
            os.kill(pid, signal.SIGKILL)
        assert ends(call) != 0
        wait_until(lambda: len(runtime.inside(bundle)) == 1, 30, "the process of a killed waiter ends")
