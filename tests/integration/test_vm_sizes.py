# SPDX-License-Identifier: Apache-2.0
"""How big a machine of class vm is: limits, engines' sums and the configuration's bounds; update; what holds inside and
what outside; too little memory; what comes back to the host; twenty machines at once."""

import json
import os
import pathlib
import re
import signal

import pytest

from lib import cgroups
from lib.runtime import error_line, wait_until

pytestmark = [pytest.mark.classes("vm"), pytest.mark.layouts("v1", "hybrid", "v2", controllers=True),
              pytest.mark.beyond("runc", "crun", reason="have no machines")]
MIB = 1 << 20
WAIT_S = 60
HOST_MIB = 192  # what QEMU and virtiofsd may need besides the machine
MEMORY = "io.kubernetes.cri.sandbox-memory"
CRIO = "pod-linux-resources.crio.io"
TWO_CPUS = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="the host has one CPU")


@pytest.fixture
def config(work_dir):
    """config(key=value): the environment in which vm.KEY is so."""
    def write(**settings):
        path = work_dir / "caisson.json"
        path.write_text(json.dumps({f"vm.{key}": value for key, value in settings.items()}), encoding="ascii")
        return {"CAISSON_CONFIG": str(path)}
    return write


def memory_of(runtime, bundle, **options):
    """Memory of the machine as its kernel tells it, in MiB."""
    return int(runtime.exec(bundle, ["cat", "/proc/meminfo"], **options).stdout.split()[1]) >> 10


def metric(runtime, bundle, name, **options):
    return int(re.search(rf"^caisson_vm_{name} (\d+)$", runtime.call("debug", bundle.id, "metrics", **options).stdout, re.M)[1])


def inside(runtime, bundle, name, **options):
    """A file of the container's cgroup2 in the guest."""
    return runtime.exec(bundle, ["cat", f"/sys/fs/cgroup/{name}"], **options).stdout.strip()


def see_cgroup(bundle):
    bundle.mounts.append({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro"]})
    return bundle


def family(runtime, bundle):
    """{name: pid} of the supervisor and its children; carriers have one memory."""
    pid = runtime.state(bundle).pid
    pids = [pid, *map(int, pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split())]
    return {pathlib.Path(f"/proc/{p}/comm").read_text(encoding="ascii").strip(): p for p in pids}


def rollup(pid, *names):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    return sum(int(kib) << 10 for name, kib in re.findall(r"^(\w+): +(\d+) kB", text, re.M) if name in names)


def hold(runtime, bundle, mib, env):
    """A process of the container holds so much memory. Returns what ends it."""
    pid_file = bundle.path / "held.pid"
    held = runtime.exec(bundle, ["testinit", "memory", str(mib * MIB)], "-d", "--pid-file", pid_file, env=env)
    wait_until(lambda: "held" in held.stdout, WAIT_S, held)

    def release():
        os.kill(int(pid_file.read_text(encoding="ascii")), signal.SIGKILL)
        wait_until(lambda: len(runtime.inside(bundle)) == 1, WAIT_S, "its end")
    return release


def host_limit(bundle, name="memory.limit_in_bytes"):
    text = cgroups.read_limit(bundle.linux.cgroups_path, name)
    return None if text in ("max", "-1") or int(text) >= 1 << 62 else int(text)


# ------------------------------------------------------------------------------------ sums of engines

@pytest.mark.parametrize("key,value", [
    (MEMORY, "lots"), (MEMORY, "-2"), (MEMORY, "9" * 30), ("io.kubernetes.cri.sandbox-cpu-quota", "50%"),
    ("io.kubernetes.cri.sandbox-cpu-period", "-7"), ("io.kubernetes.cri.sandbox-cpu-shares", "x"),
    (CRIO, '{"memory_limit_in_bytes":"1G"}'), ("io.kubernetes.cri-o.PodLinuxResources", "wrong")])
def test_a_sum_that_is_none_is_refused_by_its_name(runtime, bundle, key, value):
    bundle.annotations[key] = value

    result = runtime.run(bundle, check=False)
    assert result.returncode == 1 and f"annotation {key}" in result.stderr
    assert runtime.container_ids() == []


@pytest.mark.parametrize("key,value", [(MEMORY, str(200 * MIB)), (CRIO, json.dumps({"memory_limit_in_bytes": 200 * MIB}))])
def test_a_machine_has_the_pods_memory_and_the_host_room_for_it(runtime, bundle, key, value):
    bundle.annotations[key] = value
    bundle.linux.resources.memory.limit = 64 * MIB
    runtime.run_detached(see_cgroup(bundle))

    assert metric(runtime, bundle, "memory_bytes") == 264 * MIB
    assert 200 < memory_of(runtime, bundle) < 264
    assert inside(runtime, bundle, "memory.max") == str(64 * MIB)
    assert host_limit(bundle) == (264 + HOST_MIB) * MIB


def test_nobody_gets_more_than_the_configuration_allows(runtime, bundle, config):
    env = config(max_memory="160M", max_cpus="1")
    bundle.annotations[MEMORY] = str(1 << 40)
    bundle.annotations["io.kubernetes.cri.sandbox-cpu-quota"] = "6400000"
    bundle.linux.resources.memory.limit = 1 << 30
    runtime.run_detached(bundle, env=env)

    assert metric(runtime, bundle, "memory_bytes", env=env) == 160 * MIB
    assert metric(runtime, bundle, "cpus", env=env) == 1


@TWO_CPUS
def test_cpus_are_the_quotas_but_no_more_than_the_cpusets(runtime, make_bundle):
    count = {}
    for cpuset in (None, "0"):
        bundle = make_bundle()
        bundle.linux.resources.cpu.quota, bundle.linux.resources.cpu.period = 150000, 100000
        if cpuset:
            bundle.linux.resources.cpu.cpus = cpuset
        count[cpuset] = runtime.run(bundle, ["grep", "-c", "^processor", "/proc/cpuinfo"]).stdout.strip()

    assert count == {None: "2", "0": "1"}


def test_what_a_pod_asks_for_is_no_more_than_its_cgroup_has(runtime, bundle):
    """Some engines take annotations as users write them."""
    pod = cgroups.cgroup_dir(f"/caisson-test-pod-{bundle.id}", "memory")
    if cgroups.is_v2():
        (cgroups.BASE / "cgroup.subtree_control").write_text("+memory", encoding="ascii")
    pod.mkdir()
    try:
        limit_memory(pod, 400 * MIB)
        bundle.linux.cgroups_path = f"/{pod.name}/{bundle.id}"
        bundle.annotations[MEMORY] = str(1024 * MIB)
        runtime.run_detached(bundle)
        assert metric(runtime, bundle, "memory_bytes") == 464 * MIB
        runtime.stop(bundle)
    finally:
        for top in cgroups.hierarchies():
            if (top / pod.name).exists():
                (top / pod.name).rmdir()


# ------------------------------------------------------------------------------------ update

def test_an_update_above_a_microvm_is_refused_and_changes_nothing(runtime, bundle):
    bundle.linux.resources.memory.limit = 64 * MIB
    bundle.linux.resources.pids = {"limit": 30}
    bundle.linux.resources.cpu.shares = 512
    runtime.run_detached(see_cgroup(bundle))
    files = ("memory.limit_in_bytes", "pids.max", "cpu.shares")
    outside = {name: host_limit(bundle, name) for name in files}
    before = outside[files[0]]

    result = runtime.update(bundle, "--memory", str(512 * MIB), "--pids-limit", "40", "--cpu-share", "700", check=False)
    assert result.returncode == 1 and "more than the machine has or can get" in result.stderr
    assert inside(runtime, bundle, "memory.max") == str(64 * MIB)
    assert {name: host_limit(bundle, name) for name in files} == outside

    runtime.update(bundle, "--memory", str(100 * MIB))
    assert inside(runtime, bundle, "memory.max") == str(100 * MIB)
    assert host_limit(bundle) == before + 36 * MIB
    runtime.update(bundle, "--memory", str(48 * MIB))
    assert inside(runtime, bundle, "memory.max") == str(48 * MIB)
    assert host_limit(bundle) < before


@TWO_CPUS
def test_cpus_go_off_line_and_on_again_with_the_quota(runtime, bundle):
    bundle.linux.resources.cpu.quota, bundle.linux.resources.cpu.period = 200000, 100000
    runtime.run_detached(bundle)

    def on_line():
        return runtime.exec(bundle, ["grep", "-c", "^processor", "/proc/cpuinfo"]).stdout.strip()

    assert on_line() == "2"
    runtime.update(bundle, "--cpu-quota", "60000")
    assert on_line() == "1" and metric(runtime, bundle, "cpus") == 1
    runtime.update(bundle, "--cpu-quota", "-1")
    assert on_line() == "2"


@pytest.fixture
def q35(runtime, bundle, config):
    """A running machine that can grow, and its environment."""
    env = config(machine="q35", max_memory="600M")
    bundle.linux.resources.memory.limit = 64 * MIB
    bundle.linux.resources.cpu.quota, bundle.linux.resources.cpu.period = 50000, 100000
    runtime.run_detached(see_cgroup(bundle), env=env)
    return bundle, env


def test_memory_of_a_q35_follows_its_limit(runtime, q35):
    bundle, env = q35
    before, outside = memory_of(runtime, bundle, env=env), host_limit(bundle)

    runtime.update(bundle, "--memory", str(320 * MIB), env=env, timeout_s=WAIT_S)
    assert metric(runtime, bundle, "memory_bytes", env=env) == 384 * MIB
    assert memory_of(runtime, bundle, env=env) >= before + 250
    assert inside(runtime, bundle, "memory.max", env=env) == str(320 * MIB)
    assert host_limit(bundle) == outside + 256 * MIB
    # It is there to be used.
    hold(runtime, bundle, 250, env)()

    runtime.update(bundle, "--memory", str(64 * MIB), env=env, timeout_s=WAIT_S)
    assert metric(runtime, bundle, "memory_bytes", env=env) == 128 * MIB
    assert memory_of(runtime, bundle, env=env) <= before + 8
    assert host_limit(bundle) == outside


def test_an_update_above_the_maximum_is_refused_and_changes_nothing(runtime, q35):
    bundle, env = q35
    before = host_limit(bundle)

    result = runtime.update(bundle, "--memory", str(601 * MIB), check=False, env=env)
    assert result.returncode == 1 and "vm.max_memory" in result.stderr
    assert host_limit(bundle) == before and inside(runtime, bundle, "memory.max", env=env) == str(64 * MIB)


@TWO_CPUS
def test_a_q35_gets_cpus_and_loses_them(runtime, q35):
    bundle, env = q35

    def on_line():
        return runtime.exec(bundle, ["grep", "-c", "^processor", "/proc/cpuinfo"], env=env).stdout.strip()

    assert on_line() == "1"
    runtime.update(bundle, "--cpu-quota", "200000", env=env, timeout_s=WAIT_S)
    assert on_line() == "2"
    runtime.update(bundle, "--cpu-quota", "50000", env=env, timeout_s=WAIT_S)
    assert on_line() == "1"


def test_what_is_updated_inside_and_what_outside(runtime, bundle):
    bundle.linux.resources.memory.limit = 64 * MIB
    bundle.linux.resources.pids.limit = 50
    runtime.run_detached(see_cgroup(bundle))
    runtime.update(bundle, "--pids-limit", "30", "--memory-reservation", str(16 * MIB), "--cpu-share", "512")

    assert inside(runtime, bundle, "pids.max") == "30" and host_limit(bundle, "pids.max") == 30 + 1024
    assert inside(runtime, bundle, "memory.low") == str(16 * MIB)
    assert inside(runtime, bundle, "cpu.weight") != "100"
    assert cgroups.read_limit(bundle.linux.cgroups_path, "cpu.shares") == cgroups.shares(512)


# ------------------------------------------------------------------------------------ files of cgroup2

def test_files_of_cgroup2_hold_inside(runtime, bundle):
    bundle.linux.resources.unified = {"memory.max": str(96 * MIB), "memory.high": str(80 * MIB), "memory.low": str(8 * MIB),
                                      "pids.max": "40", "cpu.weight": "50"}
    runtime.run_detached(see_cgroup(bundle))

    files = {"memory.max": str(96 * MIB), "memory.high": str(80 * MIB), "memory.low": str(8 * MIB), "pids.max": "40",
             "cpu.weight": "50"}
    assert {name: inside(runtime, bundle, name) for name in files} == files
    assert metric(runtime, bundle, "memory_bytes") == 160 * MIB
    assert host_limit(bundle) == (160 + HOST_MIB) * MIB and host_limit(bundle, "pids.max") == 40 + 1024


def test_a_file_that_no_side_has_is_refused_by_its_name(runtime, bundle):
    bundle.linux.resources.unified = {"memory.nonsense": "1"}

    result = runtime.run(bundle, check=False)
    assert result.returncode == 1 and "memory.nonsense" in result.stderr


# ------------------------------------------------------------------------------------ too little

@pytest.mark.parametrize("limit", [1, 16])
def test_a_limit_that_is_too_low_for_the_program_is_said(runtime, bundle, limit):
    """1 MiB lets no program begin; 16 MiB let it begin, and not hold more."""
    bundle.linux.resources.memory.limit = limit * MIB

    result = runtime.run(bundle, ["testinit", "memory", str(64 * MIB)], check=False, timeout_s=WAIT_S)
    assert result.returncode in (1, 137), result
    assert "held" not in result.stdout
    assert "linux.resources.memory.limit" in result.stderr, result


@pytest.mark.parametrize("key,value", [("memory", "8M"), ("max_memory", "47M")])
def test_a_machine_below_what_its_kernel_needs_is_refused_with_the_range(runtime, bundle, config, key, value):
    result = runtime.run(bundle, check=False, env=config(**{key: value}))

    assert result.returncode == 1 and f'vm.{key}: "{value}" is not a size from 48M to' in error_line(result)


def test_the_smallest_machine_runs(runtime, bundle, config):
    assert runtime.run(bundle, ["echo", "small"], env=config(memory="48M")).stdout == "small\n"


def limit_memory(directory, size):
    (directory / ("memory.max" if cgroups.is_v2() else "memory.limit_in_bytes")).write_text(str(size), encoding="ascii")


def test_a_host_cgroup_that_is_too_small_is_named(runtime, bundle):
    """As a pod's is whose runtime class has no overhead: QEMU is killed, and the sentence says by whom and why."""
    parent = cgroups.cgroup_dir(f"/small-{bundle.id}", "memory")
    parent.mkdir()
    if cgroups.is_v2():
        (parent / "cgroup.subtree_control").write_text("+memory", encoding="ascii")
    limit_memory(parent, 40 * MIB)
    bundle.linux.cgroups_path = f"/small-{bundle.id}/{bundle.id}"

    result = runtime.run(bundle, check=False, timeout_s=WAIT_S)
    assert result.returncode == 1, result
    assert "the host has killed QEMU for want of memory" in result.stderr and "raise that limit" in result.stderr
    wait_until(lambda: not cgroups.pids(f"/small-{bundle.id}", "memory"), WAIT_S)
    for top in cgroups.hierarchies():
        if (top / f"small-{bundle.id}").is_dir():
            os.rmdir(top / f"small-{bundle.id}")


def test_a_machine_that_the_host_starves_later_is_named(runtime, bundle):
    run = runtime.start_run(bundle, ["sleep", "1000"])
    wait_until(lambda: runtime.status(bundle) == "running", WAIT_S)
    directory = cgroups.cgroup_dir(bundle.linux.cgroups_path, "memory")

    def grow():
        limit_memory(directory, 60 * MIB)
        try:
            runtime.exec(bundle, ["testinit", "memory", str(200 * MIB)], check=False, timeout_s=WAIT_S)
        except AssertionError:
            pass

    try:
        grow()
    except OSError:  # v1 does not go below what is used
        limit_memory(directory, int((directory / "memory.usage_in_bytes").read_text()) + 4 * MIB)
        runtime.exec(bundle, ["testinit", "memory", str(200 * MIB)], check=False, timeout_s=WAIT_S)
    assert run.wait(WAIT_S) == 137
    assert "the host has killed QEMU for want of memory" in run.errors and "the limit of its cgroup is" in run.errors


# ------------------------------------------------------------------------------------ what comes back

@pytest.mark.parametrize("machine", ["microvm", "q35"])
def test_memory_that_a_container_has_freed_comes_back_to_the_host(runtime, bundle, config, machine):
    env = config(machine=machine)
    runtime.run_detached(bundle, env=env)
    qemu = family(runtime, bundle)["qemu-system-x86"]
    release = hold(runtime, bundle, 128, env)
    full = rollup(qemu, "Rss")

    release()
    wait_until(lambda: rollup(qemu, "Rss") < full - 96 * MIB, WAIT_S, "the host has got the memory back")


def test_figures_of_both_sides_are_told(runtime, bundle):
    bundle.linux.resources.memory.limit = 64 * MIB
    runtime.run_detached(bundle)

    text = runtime.call("debug", bundle.id, "metrics").stdout
    total, free = (int(re.search(rf"^{name} (\d+)$", text, re.M)[1]) for name in ("guest_memory_bytes", "guest_memory_free_bytes"))
    assert 0 < free < total < 128 * MIB == metric(runtime, bundle, "memory_bytes")
    memory = runtime.events(bundle, "--stats").json["data"]["memory"]["usage"]
    # The container's own, from inside; the machine's processes are in the cgroup of the host.
    assert memory["limit"] == 64 * MIB and 0 < memory["usage"] < 64 * MIB


# ------------------------------------------------------------------------------------ many

def private(pids):
    return sum(rollup(pid, "Private_Clean", "Private_Dirty") for pid in pids)


def shared_memory(pids):
    """A guest's memory is its monitor's and virtiofsd's together: each has its part."""
    return sum(rollup(pid, "Pss_Shmem") for pid in pids)


@pytest.mark.timeout(400)
def test_twenty_machines_at_once_are_accounted_and_leave_nothing(runtime, make_bundle):
    bundles = [make_bundle() for _ in range(20)]
    starts = []
    for bundle in bundles:
        bundle.linux.resources.memory.limit = 48 * MIB
        bundle.process.args = ["sleep", "1000"]
        bundle.save()
    for at in range(0, 20, 4):
        starts = [runtime.start_call("run", "--bundle", b.path, "-d", b.id, stdout=open(os.devnull, "wb")) for b in bundles[at:at + 4]]
        for start in starts:
            assert start.wait(WAIT_S) == 0, start.errors
    assert all(runtime.status(bundle) == "running" for bundle in bundles)
    assert all(len(runtime.inside(bundle)) == 1 for bundle in bundles)

    total = 0
    for bundle in bundles:
        pids = family(runtime, bundle)
        assert sorted(pids) == ["caisson-carrier", "caisson-vm", "qemu-system-x86", "virtiofsd"]
        own = private(pids.values())
        guest = shared_memory(pids.values())
        used = own + guest
        total += used
        assert private([pids["caisson-vm"]]) < 4 * MIB and private([pids["virtiofsd"]]) < 8 * MIB
        assert used < host_limit(bundle) == (112 + HOST_MIB) * MIB
        directory = cgroups.cgroup_dir(bundle.linux.cgroups_path, "memory")
        charged = int((directory / ("memory.current" if cgroups.is_v2() else "memory.usage_in_bytes")).read_text())
        # The cgroup has the kernel's share and cached files besides; mapped files of programs are others'.
        assert used - 48 * MIB < charged < host_limit(bundle)
    assert total < 20 * (112 + HOST_MIB) * MIB
    print(f"twenty machines: {total / MIB:.0f} MiB, {total / 20 / MIB:.1f} each")

    for bundle in bundles:
        runtime.delete(bundle, "--force")
    assert runtime.container_ids() == []
    for bundle in bundles:
        assert not cgroups.cgroup_dir(bundle.linux.cgroups_path, "memory").exists()
