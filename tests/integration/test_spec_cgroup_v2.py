# SPDX-License-Identifier: Apache-2.0
"""linux.resources on cgroup2 as far as a hierarchy without controllers goes (CAVEATS.md#ns-cgroup-v2)."""

import pytest

from lib import cgroups
from lib.runtime import refused

pytestmark = [pytest.mark.classes("ns"), pytest.mark.layouts("v2")]
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
    ("memory.max", "1000000", 'linux.resources.unified["memory.max"]: no such file'),
    ("cgroup.max.depth", "many", 'linux.resources.unified["cgroup.max.depth"]: write many'),
    ("../cgroup.procs", "1", "linux.resources.unified"), ("plain", "1", "linux.resources.unified"),
])
def test_unified_that_cannot_be_written_is_refused_by_name(runtime, bundle, name, value, text):
    bundle.linux.resources.unified = {name: value}

    refused(runtime, runtime.create(bundle, check=False), text)
    assert not cgroups.cgroup_dir(bundle.linux.cgroups_path).exists()


@WORDING
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
