# SPDX-License-Identifier: Apache-2.0
"""When the memory of a container of class sentry is used up: a guest's process is killed, as Linux would, and its
kernel is not; inside it is SIGKILL of that process, outside an event of the cgroup."""

import json
import os
import pathlib

import pytest

from lib import cgroups, guest
from lib.runtime import wait_until

MIB = 1 << 20
LIMIT = 48 * MIB
pytestmark = [pytest.mark.classes("sentry"), pytest.mark.beyond("runc", "crun", reason="have no sentry")]
LIMITED = pytest.mark.skipif(not cgroups.has_controller("memory"), reason="needs the memory controller: CAVEATS.md#cgroup-layout")


def score(pid):
    return int(pathlib.Path(f"/proc/{pid}/oom_score_adj").read_text(encoding="ascii"))


def name(pid):
    return pathlib.Path(f"/proc/{pid}/comm").read_text(encoding="ascii").strip()


def may_lower():
    """CAP_SYS_RESOURCE, which lowers oom_score_adj."""
    text = pathlib.Path("/proc/self/status").read_text(encoding="ascii")
    return int(text.split("CapEff:\t")[1].split()[0], 16) >> 24 & 1


LOWERING = pytest.mark.skipif(not may_lower(), reason="needs CAP_SYS_RESOURCE: CAVEATS.md#test-capability")


def scores(runtime, bundle):
    """(those of the stubs, {name of another process: its own})"""
    everybody = cgroups.pids(bundle.linux.cgroups_path)
    stubs = {pid for pid in everybody if name(pid) == "caisson-stub"}
    assert len(stubs) >= 3, "zygote, template, the first process"
    return {score(pid) for pid in stubs}, {name(pid): score(pid) for pid in everybody - stubs}


@LOWERING
@pytest.mark.parametrize("value,last", [(None, -900), (1000, -900), (-997, -999), (-1000, -1000)])
def test_stubs_have_the_score_of_the_config_and_who_serves_them_a_lower_one(runtime, bundle, value, last):
    if value is not None:
        bundle.process.oom_score_adj = value
    runtime.run_detached(bundle)
    runtime.exec(bundle, ["sleep", "1000"], "-d")
    own = score("self")

    assert scores(runtime, bundle) == ({own if value is None else value}, {
        "caisson-sentry": last, "caisson-gofer": last, "caisson-wait": -900 if own > -900 else -999})


@pytest.mark.parametrize("value", [None, 300, 1000])
def test_without_the_right_to_lower_it_who_serves_stubs_has_the_score_of_the_runtime(runtime, bundle, value):
    """As setpriv(1) makes it: no CAP_SYS_RESOURCE."""
    if value is not None:
        bundle.process.oom_score_adj = value
    runtime.run_detached(bundle, prefix=["setpriv", "--bounding-set=-sys_resource"])
    own = score("self")

    assert scores(runtime, bundle) == ({own if value is None else value},
                                       {"caisson-sentry": own, "caisson-gofer": own})
    assert int(runtime.exec(bundle, ["cat", "/proc/1/oom_score_adj"]).stdout) == (own if value is None else value)


HOGS = "i=0; while [ $i -lt 4 ]; do testinit memory 268435456; echo $?; i=$((i+1)); done"


@LIMITED
@pytest.mark.parametrize("value", [None, pytest.param(-998, marks=LOWERING), 1000])
def test_who_takes_all_memory_is_killed_alone(runtime, bundle, value):
    bundle.linux.resources.memory.limit = LIMIT
    if value is not None:
        bundle.process.oom_score_adj = value
    runtime.run_detached(bundle)
    before = set(guest.stubs_of(runtime.state(bundle).pid))

    hogs = runtime.exec(bundle, ["sh", "-c", HOGS], timeout_s=120)
    assert hogs.stdout.split() == ["137"] * 4
    assert runtime.exec(bundle, ["echo", "alive"]).stdout == "alive\n"
    assert runtime.status(bundle) == "running"
    # Zygote, template and the first process are those of before.
    assert len(before & set(guest.stubs_of(runtime.state(bundle).pid))) >= 3


@LIMITED
def test_a_first_process_that_takes_all_memory_ends_the_container(runtime, bundle):
    bundle.linux.resources.memory.limit = LIMIT

    assert runtime.run(bundle, ["testinit", "memory", str(256 * MIB)], check=False, timeout_s=120).returncode == 137


@LIMITED
def test_the_engine_hears_of_it(runtime, bundle):
    bundle.linux.resources.memory.limit = LIMIT
    runtime.run_detached(bundle)
    listener = runtime.start_call("events", "--interval", "100s", bundle.id)
    # The listener is registered before the first line of statistics, or tells of what came meanwhile.
    runtime.exec(bundle, ["true"])
    runtime.exec(bundle, ["true"])

    def killed():
        runtime.exec(bundle, ["testinit", "memory", str(256 * MIB)], check=False, timeout_s=120)
        return cgroups.read(bundle.linux.cgroups_path, "memory.events" if cgroups.is_v2() else "memory.oom_control",
                            "memory")

    assert "oom_kill 0" not in killed()
    kinds = set()
    while "oom" not in kinds:
        line = listener.read_line()
        assert line, "events ended without an oom event"
        kinds.add(json.loads(line)["type"])


@LIMITED
def test_a_full_tmpfs_ends_who_fills_it_or_all(runtime, bundle):
    """Nobody's memory but the container's: whoever is killed, it is told, and nothing hangs."""
    bundle.linux.resources.memory.limit = LIMIT
    script = "dd if=/dev/zero of=/dev/shm/file bs=65536 count=4096 2>/dev/null; echo $?"

    filled = runtime.run(bundle, ["sh", "-c", script], check=False, timeout_s=120)
    assert filled.returncode == 137 or filled.stdout.split() in (["137"], ["1"]), filled
    wait_until(lambda: not os.path.exists(cgroups.cgroup_dir(bundle.linux.cgroups_path, "memory")) or
               not cgroups.pids(bundle.linux.cgroups_path, "memory"), 30)
