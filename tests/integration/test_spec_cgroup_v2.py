# SPDX-License-Identifier: Apache-2.0
"""linux.resources on cgroup2: limits where the lane has controllers (test guests), else their refusals."""

import pytest

from lib import cgroups
from lib.runtime import refused

pytestmark = [pytest.mark.classes("ns", "sentry", "vm"), pytest.mark.layouts("v2")]
WITH = pytest.mark.layouts("v2", controllers=True)
WITHOUT = pytest.mark.layouts("v2", controllers=False)
MIB = 1 << 20
WORDING = pytest.mark.beyond("runc", "crun", reason="our wording: the field and what is wrong with it")


def test_cgroups_path_is_the_place_of_the_container(runtime, bundle):
    bundle.linux.cgroups_path = "/place"
    runtime.run_detached(bundle)

    assert runtime.state(bundle).pid in cgroups.pids("/place")
    runtime.stop(bundle)
    assert not cgroups.cgroup_dir("/place").exists()


def test_cgroup_namespace_makes_it_the_root(runtime, bundle):
    bundle.namespace("cgroup")

    lines = runtime.run(bundle, ["cat", "/proc/self/cgroup"]).stdout.splitlines()
    assert [line for line in lines if line.startswith("0:")] == ["0::/"]


@pytest.mark.parametrize("name,value", [("cgroup.max.descendants", "7"), ("cgroup.max.depth", "3")])
def test_unified_writes_any_file_of_the_cgroup(runtime, bundle, name, value):
    bundle.linux.resources.unified = {name: value}
    runtime.create(bundle)

    assert cgroups.read(bundle.linux.cgroups_path, name) == value


@WORDING
@pytest.mark.parametrize("name,value,text", [
    pytest.param("memory.max", "1000000", 'linux.resources.unified["memory.max"]: no such file',
                 marks=[WITHOUT, pytest.mark.classes("ns", "sentry", caveat="vm-unified")]),
    ("cgroup.max.depth", "many", 'linux.resources.unified["cgroup.max.depth"]: write many'),
    ("../cgroup.procs", "1", "linux.resources.unified"), ("plain", "1", "linux.resources.unified"),
])
def test_unified_that_cannot_be_written_is_refused_by_name(runtime, bundle, name, value, text):
    bundle.linux.resources.unified = {name: value}

    refused(runtime, runtime.create(bundle, check=False), text)
    assert not cgroups.cgroup_dir(bundle.linux.cgroups_path).exists()


@WITH
@pytest.mark.parametrize("resources,name,value", [
    ({"memory": {"limit": 64 * MIB}}, "memory.max", str(64 * MIB)),
    ({"memory": {"limit": -1}}, "memory.max", "max"),
    ({"memory": {"limit": 64 * MIB, "swap": 96 * MIB}}, "memory.swap.max", str(32 * MIB)),
    ({"memory": {"reservation": 16 * MIB}}, "memory.low", str(16 * MIB)),
    ({"cpu": {"shares": 1024}}, "cpu.weight", "100"), ({"cpu": {"shares": 2}}, "cpu.weight", "1"),
    ({"cpu": {"quota": 50000, "period": 200000}}, "cpu.max", "50000 200000"),
    ({"cpu": {"quota": -1}}, "cpu.max", "max 100000"), ({"cpu": {"period": 50000}}, "cpu.max", "max 50000"),
    ({"cpu": {"quota": 50000, "burst": 10000}}, "cpu.max.burst", "10000"), ({"cpu": {"idle": 1}}, "cpu.idle", "1"),
    ({"cpu": {"cpus": "0"}}, "cpuset.cpus", "0"), ({"cpu": {"mems": "0"}}, "cpuset.mems", "0"),
    ({"pids": {"limit": 50}}, "pids.max", "50"), ({"pids": {"limit": -1}}, "pids.max", "max"),
    ({"hugepageLimits": [{"pageSize": "2MB", "limit": 4 * MIB}]}, "hugetlb.2MB.max", str(4 * MIB)),
    ({"unified": {"memory.high": str(32 * MIB)}}, "memory.high", str(32 * MIB)),
])
def test_limit_is_in_its_file(runtime, bundle, resources, name, value):
    bundle.linux.resources = resources
    runtime.create(bundle)

    assert cgroups.read(bundle.linux.cgroups_path, name) == value


@WITH
def test_memory_limit_ends_the_one_that_takes_more(runtime, bundle):
    bundle.linux.resources = {"memory": {"limit": 32 * MIB, "swap": 32 * MIB}}
    runtime.run_detached(bundle)

    assert runtime.exec(bundle, ["testinit", "memory", str(128 * MIB)], check=False).returncode == 137
    assert runtime.status(bundle) == "running"


@WITH
def test_pids_limit_refuses_the_birth_past_it(runtime, bundle):
    bundle.linux.resources = {"pids": {"limit": 20}}
    runtime.run_detached(bundle)

    process = runtime.start_exec(bundle, ["testinit", "fork", "40"])
    assert 1 <= int(process.read_line().removeprefix("forked ")) < 20


@WORDING
@WITHOUT
@pytest.mark.parametrize("resources,field", [
    ({"memory": {"limit": 1 << 26}}, "linux.resources.memory.limit"),
    ({"memory": {"reservation": 1 << 26}}, "linux.resources.memory.reservation"),
    ({"memory": {"swappiness": 10}}, "linux.resources.memory.swappiness"),
    ({"memory": {"disableOOMKiller": True}}, "linux.resources.memory.disableOOMKiller"),
    ({"cpu": {"shares": 100}}, "linux.resources.cpu.shares"), ({"cpu": {"quota": 1000}}, "linux.resources.cpu.quota"),
    ({"cpu": {"idle": 1}}, "linux.resources.cpu.idle"), ({"cpu": {"cpus": "0"}}, "linux.resources.cpu.cpus"),
    ({"cpu": {"mems": "0"}}, "linux.resources.cpu.mems"), ({"pids": {"limit": 5}}, "linux.resources.pids.limit"),
    ({"cpu": {"realtimeRuntime": 5}}, "linux.resources.cpu.realtimeRuntime"),
    ({"blockIO": {"weight": 100}}, "linux.resources.blockIO.weight"),
    ({"blockIO": {"throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 9}]}},
     "linux.resources.blockIO.throttle"),
    ({"hugepageLimits": [{"pageSize": "2MB", "limit": 0}]}, "linux.resources.hugepageLimits"),
    ({"rdma": {"mlx5_1": {"hcaHandles": 3}}}, "linux.resources.rdma"),
    ({"network": {"classID": 5}}, "linux.resources.network"),
])
def test_limit_without_its_controller_is_an_error_that_names_the_field(runtime, bundle, resources, field):
    bundle.linux.resources = resources

    refused(runtime, runtime.create(bundle, check=False), field)
    assert not cgroups.cgroup_dir(bundle.linux.cgroups_path).exists()


@pytest.mark.classes("ns", caveat="sentry-device-nodes", vm_caveat="vm-devices")
@pytest.mark.parametrize("access,outcome", [("rwm", ["ok", "ok", "ok"]), ("m", ["ok", "errno EPERM", "errno EPERM"]),
                                            ("rm", ["ok", "ok", "errno EPERM"]),
                                            ("wm", ["ok", "errno EPERM", "ok"]), (None, ["ok"] + ["errno EPERM"] * 2)])
def test_device_rules_are_a_bpf_program_that_grants_exactly_their_access(runtime, bundle, access, outcome):
    bundle.linux.resources.devices = [{"allow": False, "access": "rwm"}]
    if access:
        bundle.linux.resources.devices += [{"allow": True, "type": "c", "major": 10, "minor": 229, "access": access}]
    bundle.capabilities("CAP_MKNOD")
    bundle.mount("/nodes", "tmpfs", "tmpfs")

    out = runtime.run(bundle, ["sh", "-c", "testinit mknod /nodes/fuse c 10 229; testinit open /nodes/fuse r; "
                               "testinit open /nodes/fuse w"], check=False).stdout
    assert out.splitlines() == outcome


def test_default_devices_are_allowed_by_the_bpf_program(runtime, bundle):
    out = runtime.run(bundle, ["sh", "-c", "for d in null zero full random urandom; do "
                               "testinit open /dev/$d rw; done; testinit open /dev/ptmx rw"]).stdout
    assert out.split() == ["ok"] * 6
