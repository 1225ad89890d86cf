# SPDX-License-Identifier: Apache-2.0
"""Limits and statistics of one container of a pod whose kernel all share (class sentry): its guests are in its own
cgroup, which is counted, limited and told of alone (ADR 0024)."""

import json
import os
import pathlib
import signal
import time

import pytest

from lib import cgroups
from lib.machines import name_of
from lib.pods import FOREVER, Pod, alive
from lib.runtime import refused, wait_until

MIB = 1 << 20
pytestmark = [pytest.mark.classes("sentry"), pytest.mark.beyond("runc", "crun", reason="have no sentry"),
              pytest.mark.layouts("v1", "hybrid", "v2", controllers=True)]


@pytest.fixture
def pod(runtime, make_bundle):
    return Pod(runtime, make_bundle)


def proc(pid, name):
    return pathlib.Path(f"/proc/{pid}/{name}").read_text(encoding="ascii").strip()


def processes(bundle, name):
    return {pid for pid in cgroups.pids(bundle.linux.cgroups_path, "memory") if name_of(pid) == name}


def stubs_by_age(bundle):
    """The nursery, the first program's, the next one's. Times of start may be the same to a tick, and the host's pids
    may have begun again; those of the sandbox's own namespace have not."""
    return sorted(processes(bundle, "caisson-stub"),
                  key=lambda pid: int(proc(pid, "status").partition("NSpid:")[2].partition("\n")[0].split()[-1]))


def oom_kills(bundle):
    text = cgroups.read(bundle.linux.cgroups_path, "memory.events" if cgroups.is_v2() else "memory.oom_control", "memory")
    return int(dict(line.split() for line in text.splitlines())["oom_kill"])


def stats(runtime, bundle):
    return runtime.events(bundle, "--stats").json["data"]


def usage(runtime, bundle):
    return stats(runtime, bundle)["memory"]["usage"]["usage"]


def eat(runtime, bundle, size, *flags, **options):
    return runtime.exec(bundle, ["testinit", "memory", str(size)], *flags, **options)


def limited(pod, name, **resources):
    bundle = pod.bundle(name)
    for kind, value in resources.items():
        setattr(bundle.linux.resources, kind, value)
    pod.runtime.run_detached(bundle, FOREVER)
    return bundle


def test_the_guests_of_each_are_in_its_own_cgroup_with_its_own_oom_score(runtime, pod):
    a, b = pod.bundle("a"), pod.bundle("b")
    b.process.oom_score_adj = 500
    for c in (a, b):
        runtime.run_detached(c, FOREVER)
        runtime.exec(c, ["sleep", "1000"], "-d")
    stubs = {c.id: processes(c, "caisson-stub") for c in (a, b)}
    # What they come from, the first process and the exec's; a child in advance may be there.
    assert all(len(pids) in (3, 4) for pids in stubs.values()), stubs
    # Zygote, template, the first process and a child in advance.
    assert len(processes(pod.sandbox, "caisson-stub")) <= 4
    own = int(proc("self", "oom_score_adj"))
    assert {int(proc(pid, "oom_score_adj")) for pid in stubs[a.id]} == {own}
    assert {int(proc(pid, "oom_score_adj")) for pid in stubs[b.id]} == {500}
    # A child and what it executes stay where they are.
    runtime.exec(a, ["sh", "-c", "sleep 1001 & exec sleep 1002"], "-d")
    wait_until(lambda: len(processes(a, "caisson-stub")) >= len(stubs[a.id]) + 2)
    assert len(processes(pod.sandbox, "caisson-stub")) <= 4


def test_who_takes_all_memory_of_one_is_killed_alone_and_told_of_that_one(runtime, pod):
    a, b = limited(pod, "a", memory={"limit": 48 * MIB}), limited(pod, "b")
    listener = runtime.start_call("events", "--interval", "100s", a.id)
    # The listener is registered before the first line of statistics, or tells of what came meanwhile.
    runtime.exec(a, ["true"])
    runtime.exec(a, ["true"])
    for _ in range(3):
        assert eat(runtime, a, 256 * MIB, check=False, timeout_s=120).returncode == 137
    assert runtime.exec(a, ["echo", "alive"]).stdout == "alive\n"
    assert alive(runtime, pod.sandbox, a, b)
    assert oom_kills(a) >= 3 and oom_kills(b) == oom_kills(pod.sandbox) == 0
    kinds = set()
    while "oom" not in kinds:
        line = listener.read_line()
        assert line, "events ended without an oom event"
        kinds.add(json.loads(line)["type"])


def test_a_first_process_that_takes_all_memory_ends_its_container_alone(runtime, pod):
    b = limited(pod, "b")
    a = pod.bundle("a")
    a.linux.resources.memory.limit = 48 * MIB
    assert runtime.run(a, ["testinit", "memory", str(256 * MIB)], check=False, timeout_s=120).returncode == 137
    assert alive(runtime, pod.sandbox, b)
    assert pod.add("c", ["true"]) and alive(runtime, pod.sandbox, b)


def test_memory_that_one_holds_is_its_own_in_statistics(runtime, pod):
    a, b = limited(pod, "a"), limited(pod, "b")
    before = {c.id: usage(runtime, c) for c in (pod.sandbox, a, b)}
    eater = runtime.start_exec(a, ["testinit", "memory", str(64 * MIB)])
    assert eater.read_line() == "held"
    grown = {c.id: usage(runtime, c) - before[c.id] for c in (pod.sandbox, a, b)}
    assert 60 * MIB < grown[a.id] < 90 * MIB, grown
    assert grown[b.id] < 8 * MIB and grown[pod.sandbox.id] < 16 * MIB, grown
    eater.terminate()
    wait_until(lambda: usage(runtime, a) - before[a.id] < 16 * MIB)


def test_an_update_changes_what_one_may_have(runtime, pod):
    a = limited(pod, "a", memory={"limit": 32 * MIB})
    assert eat(runtime, a, 64 * MIB, check=False, timeout_s=120).returncode == 137
    runtime.update(a, "--memory", str(160 * MIB))
    eater = runtime.start_exec(a, ["testinit", "memory", str(64 * MIB)])
    assert eater.read_line() == "held"
    killed = oom_kills(a)
    runtime.update(a, "--memory", str(96 * MIB))
    assert eat(runtime, a, 128 * MIB, check=False, timeout_s=120).returncode == 137
    assert oom_kills(a) > killed
    assert alive(runtime, pod.sandbox, a)


def throttled(runtime, bundle):
    return stats(runtime, bundle)["cpu"]["throttling"].get("throttledPeriods", 0)


def cpu_ns(runtime, bundle):
    return stats(runtime, bundle)["cpu"]["usage"]["total"]


def test_processor_time_of_one_is_limited_and_counted_as_its_own(runtime, pod):
    a, b = limited(pod, "a", cpu={"quota": 10000, "period": 100000}), limited(pod, "b")
    before = {c.id: cpu_ns(runtime, c) for c in (pod.sandbox, a, b)}
    begin = time.monotonic_ns()
    spinners = [runtime.start_exec(c, ["testinit", "spin"]) for c in (a, a, b)]
    wait_until(lambda: throttled(runtime, a) >= 15 and cpu_ns(runtime, b) - before[b.id] > 500_000_000, 120)
    used = {c.id: cpu_ns(runtime, c) - before[c.id] for c in (pod.sandbox, a, b)}
    elapsed = time.monotonic_ns() - begin
    assert 50_000_000 < used[a.id] < 0.2 * elapsed + 50_000_000, (used, elapsed)
    # The kernel of all works for them, but their code is theirs.
    assert used[pod.sandbox.id] < used[a.id] + used[b.id], (used, elapsed)
    assert throttled(runtime, b) == throttled(runtime, pod.sandbox) == 0
    # Its kernel is not slowed with it.
    assert runtime.exec(b, ["echo", "alive"]).stdout == "alive\n"
    assert runtime.exec(a, ["echo", "alive"], timeout_s=60).stdout == "alive\n"

    runtime.update(a, "--cpu-quota", "-1")
    last = throttled(runtime, a)
    now = cpu_ns(runtime, a)
    wait_until(lambda: cpu_ns(runtime, a) - now > 500_000_000, 120)
    assert throttled(runtime, a) <= last + 1
    for spinner in spinners:
        spinner.terminate()


def test_a_process_that_is_throttled_can_be_paused_and_killed(runtime, pod):
    a, b = limited(pod, "a", cpu={"quota": 1000, "period": 100000}), limited(pod, "b")
    runtime.exec(a, ["testinit", "spin"], "-d")
    wait_until(lambda: throttled(runtime, a) >= 3, 60)
    runtime.pause(a)
    assert runtime.status(a) == "paused" and alive(runtime, b)
    before = cpu_ns(runtime, a)
    assert throttled(runtime, b) == 0 and cpu_ns(runtime, a) < before + 5_000_000
    runtime.resume(a)
    runtime.kill(a, "KILL")
    runtime.wait_for(a, "stopped")
    runtime.delete(a)
    assert not os.path.exists(cgroups.cgroup_dir(a.linux.cgroups_path, "cpu"))
    assert alive(runtime, pod.sandbox, b)


def test_a_pause_of_all_that_one_does_not_heed_fails_and_holds_nobody(runtime, pod):
    b = pod.add("b", ["sh", "-c", "while :; do echo tick; sleep 0.02; done"])
    a = limited(pod, "a")
    spinner = runtime.start_exec(a, ["testinit", "spin"])
    wait_until(lambda: cpu_ns(runtime, a) > 500_000_000)
    stubs = processes(a, "caisson-stub")
    for pid in stubs:
        os.kill(pid, signal.SIGSTOP)
    try:
        refused(runtime, runtime.pause(pod.sandbox, check=False, timeout_s=60), "wait for processes to leave their code")
        assert alive(runtime, pod.sandbox, a, b)
        ticks = len(runtime.output(b))
        wait_until(lambda: len(runtime.output(b)) > ticks)
    finally:
        for pid in stubs:
            os.kill(pid, signal.SIGCONT)
    spinner.terminate()
    assert runtime.exec(a, ["echo", "alive"]).stdout == "alive\n"


def test_a_nursery_that_is_killed_ends_its_container_alone(runtime, pod):
    a, b = limited(pod, "a"), limited(pod, "b")
    os.kill(stubs_by_age(a)[0], signal.SIGKILL)
    runtime.wait_for(a, "stopped")
    runtime.delete(a)
    assert alive(runtime, pod.sandbox, b)


def test_the_end_of_one_leaves_no_process_in_its_cgroup(runtime, pod):
    a = pod.bundle("a")
    runtime.run_detached(a, ["sh", "-c", "for i in 1 2 3 4 5 6 7 8; do sleep 1000 & done; "
                                  "while [ ! -e /tmp/end ]; do sleep 0.05; done; exit 3"])
    wait_until(lambda: len(processes(a, "caisson-stub")) >= 9)
    runtime.exec(a, ["touch", "/tmp/end"])
    runtime.wait_for(a, "stopped")
    assert not processes(a, "caisson-stub")
    runtime.delete(a)
    assert not os.path.exists(cgroups.cgroup_dir(a.linux.cgroups_path))
