# SPDX-License-Identifier: Apache-2.0
"""linux.cgroupsPath and linux.resources on cgroup v1 and the hybrid: read back from the files, or refused by name."""

import json
import os

import pytest

from lib import cgroups
from lib.runtime import refused
from test_update import EXTRA

pytestmark = [pytest.mark.classes("ns", "sentry", "vm"), pytest.mark.layouts("v1", "hybrid")]
WORDING = pytest.mark.beyond("runc", "crun", reason="our wording: the field and what is wrong with it")
NEWER = pytest.mark.beyond("runc", reason="not in 1.1")
MIB = 1 << 20
# The rules of the host's cgroup are those of what runs the machine.
HOST_RULES = pytest.mark.classes("ns", "sentry", caveat="vm-devices")


def created(runtime, bundle, **resources):
    """A created container with these resources. Returns read(file)."""
    bundle.linux.resources = {"devices": [{"allow": False, "access": "rwm"}], **resources}
    runtime.create(bundle)
    return lambda name: cgroups.read(bundle.linux.cgroups_path, name)


def refusal(runtime, bundle, text, **resources):
    bundle.linux.resources = resources
    refused(runtime, runtime.create(bundle, check=False), text)
    assert not [p for p in cgroups.all_cgroups() if bundle.id in p], "the cgroups of the failed create stay"


# ------------------------------------------------------------------------------------------- cgroupsPath


@pytest.mark.parametrize("path", ["/flat", "/deep/er/place"])
def test_cgroups_path_is_the_place_in_every_hierarchy(runtime, bundle, path):
    bundle.linux.cgroups_path = path
    runtime.run_detached(bundle)

    pid = runtime.state(bundle).pid
    for name in cgroups.v1_hierarchies():
        assert pid in cgroups.pids(path, name), name
    runtime.stop(bundle)
    assert not [p for p in cgroups.all_cgroups() if p.endswith(path)]
    for left in sorted((p for p in cgroups.all_cgroups() if "/deep" in p), key=len, reverse=True):
        os.rmdir(left)  # what stands above the container's cgroup is the engine's


@pytest.mark.parametrize("path", ["relative", None])
def test_relative_or_absent_cgroups_path_is_a_place_of_the_runtimes_choice(runtime, bundle, path):
    bundle.linux.cgroups_path = path
    if path is None:
        del bundle.linux.cgroups_path
    runtime.run_detached(bundle)

    with open(f"/proc/{runtime.state(bundle).pid}/cgroup", encoding="ascii") as file:
        freezer = next(line for line in file if ":freezer:" in line).strip()
    assert freezer.endswith(path or bundle.id)


def test_cgroup_that_is_there_already_is_used_and_kept_only_if_others_live_in_it(runtime, bundle):
    runtime.run_detached(bundle)
    directory = cgroups.cgroup_dir(bundle.linux.cgroups_path, "pids")

    assert directory.is_dir()
    runtime.stop(bundle)
    assert not directory.exists()


@WORDING
@pytest.mark.parametrize("path", ["/a/../../escape", "../escape"])
def test_path_that_climbs_is_refused_or_stays_below(runtime, bundle, path):
    bundle.linux.cgroups_path = path

    result = runtime.create(bundle, check=False)
    if result.returncode == 0:
        with open(f"/proc/{runtime.state(bundle).pid}/cgroup", encoding="ascii") as file:
            assert ".." not in file.read()
    else:
        assert "cgroupsPath" in result.stderr


# ------------------------------------------------------------------------------------------------ devices


def devices_list(read):
    return sorted(read("devices.list").splitlines())


@HOST_RULES
@pytest.mark.beyond("runc", reason="1.1 does not take a part of a rule back")
def test_rules_are_applied_in_their_order(runtime, bundle):
    bundle.linux.resources.devices = [
        {"allow": False, "access": "rwm"},
        {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rw"},
        {"allow": True, "type": "b", "major": 7, "access": "r"},
        {"allow": True, "type": "c", "major": 10, "minor": 200, "access": "rwm"},
        {"allow": False, "type": "c", "major": 10, "minor": 200, "access": "w"},
    ]
    runtime.create(bundle)

    found = devices_list(lambda name: cgroups.read(bundle.linux.cgroups_path, name))
    assert {"c 10:229 rw", "b 7:* r", "c 10:200 rm"} <= set(found)
    assert "a *:* rwm" not in found


@HOST_RULES
def test_default_devices_are_allowed_whatever_the_rules(runtime, bundle):
    read = created(runtime, bundle)

    found = devices_list(read)
    for number in ("1:3", "1:5", "1:7", "1:8", "1:9", "5:0", "5:2"):
        assert f"c {number} rwm" in found, number
    assert "c 136:* rwm" in found and {"c *:* m", "b *:* m"} <= set(found)


@HOST_RULES
@pytest.mark.parametrize("rule", [{"allow": True, "access": "rwm"},
                                  {"allow": True, "type": "a", "access": "rwm"},
                                  {"allow": True, "type": "a", "major": -1, "minor": -1, "access": "rwm"}])
def test_type_a_or_none_means_all_devices(runtime, bundle, rule):
    bundle.linux.resources.devices = [{"allow": False, "access": "rwm"}, rule]
    runtime.create(bundle)

    assert cgroups.read(bundle.linux.cgroups_path, "devices.list") == "a *:* rwm"


@pytest.mark.classes("ns", caveat="sentry-device-nodes", vm_caveat="vm-devices")
@pytest.mark.parametrize("access,outcome", [("rwm", ["ok", "ok", "ok"]), ("m", ["ok", "errno EPERM", "errno EPERM"]),
                                            ("rm", ["ok", "ok", "errno EPERM"]),
                                            ("wm", ["ok", "errno EPERM", "ok"])])
def test_kernel_grants_exactly_the_access_of_the_rule(runtime, bundle, access, outcome):
    bundle.linux.resources.devices = [{"allow": False, "access": "rwm"},
                                      {"allow": True, "type": "c", "major": 10, "minor": 229, "access": access}]
    bundle.capabilities("CAP_MKNOD")
    bundle.mount("/nodes", "tmpfs", "tmpfs")

    out = runtime.run(bundle, ["sh", "-c", "testinit mknod /nodes/fuse c 10 229; testinit open /nodes/fuse r; "
                               "testinit open /nodes/fuse w"], check=False).stdout
    assert out.splitlines() == outcome


def test_making_a_node_can_be_denied(runtime, bundle):
    bundle.linux.resources.devices = [{"allow": True, "access": "rwm"},
                                      {"allow": False, "type": "c", "major": 1, "minor": 11, "access": "m"}]
    bundle.capabilities("CAP_MKNOD")

    out = runtime.run(bundle, ["testinit", "mknod", "/tmp/kmsg", "c", "1", "11"], check=False).stdout
    assert out == "errno EPERM\n"


@WORDING
@pytest.mark.parametrize("rule,text", [
    ({"type": "c"}, "linux.resources.devices[0].allow: missing"), ({"allow": "yes"}, "devices[0].allow"),
    ({"allow": True, "type": "d"}, 'devices[0].type: unknown device type "d"'),
    ({"allow": True, "access": "rwx"}, 'devices[0].access: "rwx" is not made of'),
    ({"allow": True, "major": -2}, "devices[0].major"), ({"allow": True, "minor": "1"}, "devices[0].minor"),
])
def test_malformed_device_rule_is_refused(runtime, bundle, rule, text):
    refusal(runtime, bundle, text, devices=[rule])


# ------------------------------------------------------------------------------------- numbers in files

NUMBERS = [
    ({"memory": {"limit": 64 * MIB}}, "memory.limit_in_bytes", str(64 * MIB)),
    ({"memory": {"limit": -1}}, "memory.limit_in_bytes", str(2 ** 63 - 4096)),
    ({"memory": {"reservation": 16 * MIB}}, "memory.soft_limit_in_bytes", str(16 * MIB)),
    ({"memory": {"limit": 64 * MIB, "swap": 96 * MIB}}, "memory.memsw.limit_in_bytes", str(96 * MIB)),
    ({"memory": {"limit": 64 * MIB, "swap": -1}}, "memory.memsw.limit_in_bytes", str(2 ** 63 - 4096)),
    ({"memory": {"swappiness": 11}}, "memory.swappiness", "11"),
    ({"memory": {"swappiness": 0}}, "memory.swappiness", "0"),
    ({"memory": {"swappiness": 100}}, "memory.swappiness", "100"),
    ({"memory": {"useHierarchy": True}}, "memory.use_hierarchy", "1"),
    ({"memory": {"kernel": 1 * MIB}}, "memory.kmem.limit_in_bytes", str(2 ** 63 - 4096)),
    ({"cpu": {"shares": 512}}, "cpu.shares", "512"),
    ({"cpu": {"shares": 262144}}, "cpu.shares", "262144"),
    ({"cpu": {"quota": 50000}}, "cpu.cfs_quota_us", "50000"),
    ({"cpu": {"quota": -1}}, "cpu.cfs_quota_us", "-1"),
    ({"cpu": {"period": 250000}}, "cpu.cfs_period_us", "250000"),
    ({"cpu": {"period": 20000, "quota": 10000}}, "cpu.cfs_quota_us", "10000"),
    ({"cpu": {"quota": 50000, "burst": 20000}}, "cpu.cfs_burst_us", "20000"),
    ({"cpu": {"idle": 1}}, "cpu.idle", "1"),
    ({"cpu": {"cpus": "1"}}, "cpuset.cpus", "1"),
    ({"cpu": {"cpus": "0-1"}}, "cpuset.cpus", "0-1"),
    ({"cpu": {"mems": "0"}}, "cpuset.mems", "0"),
    ({"pids": {"limit": 17}}, "pids.max", "17"),
    ({"pids": {"limit": -1}}, "pids.max", "max"),
    ({"blockIO": {"weight": 321}}, "blkio.bfq.weight", "321"),
]
NOT_IN_RUNC_1_1 = {"burst", "idle"}


@pytest.mark.parametrize("resources,name,value", NUMBERS, ids=[f"{json.dumps(n[0])}" for n in NUMBERS])
def test_number_is_in_its_file(runtime, bundle, resources, name, value):
    if runtime.kind == "runc" and NOT_IN_RUNC_1_1 & set(next(iter(resources.values()))):
        pytest.skip("stand-in runc: not in 1.1")

    if value.isdigit() and int(value) < 1 << 60:  # a limit at all
        value = str(int(value) + EXTRA.get((runtime.isolation, name), 0))
    assert created(runtime, bundle, **resources)(name).split()[-1] == value


def test_oom_killer_can_be_disabled(runtime, bundle):
    read = created(runtime, bundle, memory={"limit": 32 * MIB, "disableOOMKiller": True})

    assert "oom_kill_disable 1" in read("memory.oom_control")


def test_oom_killer_is_enabled_otherwise(runtime, bundle):
    read = created(runtime, bundle, memory={"limit": 32 * MIB, "disableOOMKiller": False})

    assert "oom_kill_disable 0" in read("memory.oom_control")


def test_memory_limit_ends_what_exceeds_it(runtime, bundle):
    bundle.linux.resources = {"memory": {"limit": 16 * MIB, "swap": 16 * MIB}}

    result = runtime.run(bundle, ["testinit", "memory", 64 * MIB], check=False)
    assert result.returncode == 128 + 9 and "held" not in result.stdout


def test_pids_limit_stops_a_fork_bomb(runtime, bundle):
    bundle.linux.resources = {"pids": {"limit": 8}}
    process = runtime.start_run(bundle, ["testinit", "fork", "100"])

    assert 1 <= int(process.read_line().removeprefix("forked ")) < 8


@pytest.mark.classes("ns", caveat="sentry-sched", vm_caveat="vm-cpus")
def test_cpus_are_those_that_the_program_may_use(runtime, bundle):
    bundle.linux.resources = {"cpu": {"cpus": "1"}}

    assert runtime.run(bundle, ["report"]).report["affinity"] == [1]


@WORDING
@pytest.mark.classes("ns", "sentry", caveat="vm-limits")
@pytest.mark.parametrize("check", [True, False])
def test_limit_below_the_usage_is_refused_and_says_how_much_is_used(runtime, bundle, check):
    bundle.linux.resources = {"memory": {"limit": 64 * MIB, "swap": 64 * MIB}}
    runtime.run_detached(bundle, ["testinit", "memory", 32 * MIB])
    runtime.wait_for_output(bundle, "held")

    text = json.dumps({"memory": {"limit": 8 * MIB, "checkBeforeUpdate": check}})
    result = runtime.update(bundle, "--resources", "-", stdin=text, check=False)
    refused(runtime, result, "the container uses")
    assert cgroups.read(bundle.linux.cgroups_path, "memory.limit_in_bytes") == str(64 * MIB)


# ------------------------------------------------------------------------------------- block input/output


def block_device():
    """A whole disk that throttles can name, as (major, minor)."""
    for name in sorted(os.listdir("/sys/block")):
        if not name.startswith(("ram", "zram", "loop")):
            with open(f"/sys/block/{name}/dev", encoding="ascii") as file:
                return tuple(int(n) for n in file.read().split(":"))
    pytest.skip("no disk: CAVEATS.md#ns-blkio")


@pytest.mark.parametrize("field,name", [("throttleReadBpsDevice", "blkio.throttle.read_bps_device"),
                                        ("throttleWriteBpsDevice", "blkio.throttle.write_bps_device"),
                                        ("throttleReadIOPSDevice", "blkio.throttle.read_iops_device"),
                                        ("throttleWriteIOPSDevice", "blkio.throttle.write_iops_device")])
@pytest.mark.parametrize("rate", [1000, 12345678])
def test_throttle_of_a_device_is_in_its_file(runtime, bundle, field, name, rate):
    major, minor = block_device()

    read = created(runtime, bundle, blockIO={field: [{"major": major, "minor": minor, "rate": rate}]})
    assert read(name) == f"{major}:{minor} {rate}"


THROTTLES = ["throttleReadBpsDevice", "throttleWriteBpsDevice", "throttleReadIOPSDevice", "throttleWriteIOPSDevice"]


@WORDING
@pytest.mark.parametrize("field", THROTTLES)
@pytest.mark.parametrize("entry,text", [({"minor": 0, "rate": 1}, "major: missing"),
                                        ({"major": 1, "rate": 1}, "minor: missing"),
                                        ({"major": 1, "minor": 0}, "rate: missing"),
                                        ({"major": "1", "minor": 0, "rate": 1}, "major: expected"),
                                        ({"major": 1, "minor": 0.5, "rate": 1}, "minor: expected"),
                                        ({"major": 1, "minor": 0, "rate": -1}, "rate: ")])
def test_malformed_throttle_is_refused(runtime, bundle, field, entry, text):
    refusal(runtime, bundle, f"linux.resources.blockIO.{field}[0].{text}", blockIO={field: [entry]})


@WORDING
@pytest.mark.parametrize("field,file", zip(THROTTLES, ["read_bps", "write_bps", "read_iops", "write_iops"]))
def test_throttle_of_a_device_that_is_not_there_is_an_error_that_names_it(runtime, bundle, field, file):
    refusal(runtime, bundle, f"linux.resources.blockIO.{field}: blkio: write 4095:77 5 to blkio.throttle.{file}_device",
            blockIO={field: [{"major": 4095, "minor": 77, "rate": 5}]})


@WORDING
@pytest.mark.parametrize("value,text", [
    ({"leafWeight": 100}, "linux.resources.blockIO.leafWeight: "),
    ({"weightDevice": [{"major": 4095, "minor": 7, "weight": 200}]},
     "linux.resources.blockIO.weightDevice: blkio: write 4095:7 200 to"),
    ({"weightDevice": [{"major": 4095, "minor": 7, "leafWeight": 200}]},
     "linux.resources.blockIO.weightDevice: blkio: write 4095:7 200: this host has no"),
    ({"weightDevice": [{"major": 4095, "minor": 7}]}, "blockIO.weightDevice[0]: needs weight or leafWeight"),
    ({"weightDevice": [{"minor": 7, "weight": 1}]}, "blockIO.weightDevice[0].major: missing"),
    ({"weightDevice": [{"major": 7, "weight": 1}]}, "blockIO.weightDevice[0].minor: missing"),
    ({"weightDevice": [{"major": 7, "minor": 1, "weight": 65536}]}, "blockIO.weightDevice[0].weight"),
    ({"weightDevice": [{"major": 7, "minor": 1, "leafWeight": -1}]}, "blockIO.weightDevice[0].leafWeight"),
    ({"leafWeight": 65536}, "blockIO.leafWeight"), ({"weight": "10"}, "blockIO.weight: expected"),
])
def test_weight_that_this_kernel_does_not_have_is_refused_by_name(runtime, bundle, value, text):
    refusal(runtime, bundle, text, blockIO=value)


# ------------------------------------------------------------ controllers that this machine does not have


@WORDING
@pytest.mark.parametrize("resources,field", [
    ({"hugepageLimits": [{"pageSize": "2MB", "limit": 0}]}, "linux.resources.hugepageLimits"),
    ({"network": {"classID": 5}}, "linux.resources.network.classID"),
    ({"network": {"priorities": [{"name": "lo", "priority": 3}]}}, "linux.resources.network.priorities"),
    ({"rdma": {"mlx5_1": {"hcaHandles": 3}}}, "linux.resources.rdma"),
    ({"rdma": {"mlx5_1": {"hcaObjects": 30}}}, "linux.resources.rdma"),
])
def test_controller_that_is_not_there_is_an_error_that_names_the_field(runtime, bundle, resources, field):
    have = {"hugepageLimits": "hugetlb", "network": "net_cls", "rdma": "rdma"}[next(iter(resources))]
    if have in cgroups.v1_hierarchies():
        pytest.skip(f"this machine has {have}: CAVEATS.md#ns-controllers says it had not")

    refusal(runtime, bundle, field, **resources)


@WORDING
@pytest.mark.parametrize("resources,text", [
    ({"cpu": {"realtimeRuntime": 950000}}, "linux.resources.cpu.realtimeRuntime: "),
    ({"cpu": {"realtimePeriod": 1000000, "realtimeRuntime": 500000}}, "linux.resources.cpu.realtimeRuntime: "),
])
def test_realtime_budget_that_the_parent_does_not_have_is_refused_by_name(runtime, bundle, resources, text):
    refusal(runtime, bundle, text, **resources)


@pytest.mark.parametrize("period", [500000, 2000000])
def test_realtime_period_is_in_its_file(runtime, bundle, period):
    read = created(runtime, bundle, cpu={"realtimePeriod": period})

    assert read("cpu.rt_period_us") == str(period)


@WORDING
@pytest.mark.parametrize("resources,text", [
    ({"memory": {"limit": "64m"}}, "linux.resources.memory.limit: expected"),
    ({"memory": {"swappiness": 101}}, "linux.resources.memory.swappiness"),
    ({"memory": {"swappiness": -1}}, "linux.resources.memory.swappiness"),
    ({"memory": {"useHierarchy": False}}, "linux.resources.memory.useHierarchy"),
    ({"memory": {"disableOOMKiller": 1}}, "linux.resources.memory.disableOOMKiller"),
    ({"memory": {"checkBeforeUpdate": "no"}}, "linux.resources.memory.checkBeforeUpdate"),
    ({"memory": {"limit": 8 * MIB, "swap": 4 * MIB}}, "linux.resources.memory.swap: "),
    ({"memory": []}, "linux.resources.memory: expected object"),
    ({"cpu": {"shares": 1}}, "linux.resources.cpu.shares: the minimum allowed is 2"),
    ({"cpu": {"shares": 300000}}, "linux.resources.cpu.shares: the maximum allowed is 262144"),
    ({"cpu": {"quota": 10}}, "linux.resources.cpu.quota: "), ({"cpu": {"period": 10}}, "linux.resources.cpu.period: "),
    ({"cpu": {"period": -1}}, "linux.resources.cpu.period"), ({"cpu": {"cpus": "99"}}, "linux.resources.cpu.cpus: "),
    ({"cpu": {"cpus": "x"}}, "linux.resources.cpu.cpus: "), ({"cpu": {"mems": "9"}}, "linux.resources.cpu.mems: "),
    ({"cpu": {"realtimePeriod": -1}}, "linux.resources.cpu.realtimePeriod"),
    ({"cpu": {"cpus": 1}}, "linux.resources.cpu.cpus: expected"),
    ({"cpu": 5}, "linux.resources.cpu: expected object"),
    ({"pids": {"limit": "x"}}, "linux.resources.pids.limit: expected"), ({"pids": 5}, "linux.resources.pids: expected"),
    ({"blockIO": {"weight": 65536}}, "linux.resources.blockIO.weight"), ({"blockIO": []}, "linux.resources.blockIO"),
    ({"hugepageLimits": {}}, "linux.resources.hugepageLimits: expected array"),
    ({"hugepageLimits": [{"limit": 1}]}, "linux.resources.hugepageLimits[0].pageSize: missing"),
    ({"hugepageLimits": [{"pageSize": "2MB"}]}, "linux.resources.hugepageLimits[0].limit: missing"),
    ({"hugepageLimits": [{"pageSize": "../x", "limit": 1}]}, "linux.resources.hugepageLimits[0].pageSize"),
    ({"network": {"classID": -1}}, "linux.resources.network.classID"),
    ({"network": {"priorities": [{"name": "lo"}]}}, "linux.resources.network.priorities[0].priority: missing"),
    ({"network": {"priorities": [{"priority": 1}]}}, "linux.resources.network.priorities[0].name: missing"),
    ({"rdma": {"x": {}}}, "linux.resources.rdma.x: needs hcaHandles or hcaObjects"),
    ({"rdma": {"x": {"hcaHandles": -1}}}, "linux.resources.rdma.x.hcaHandles"),
    ({"rdma": {"x": {"hcaObjects": "1"}}}, "linux.resources.rdma.x.hcaObjects"),
    ({"unified": {"memory.max": 5}}, 'linux.resources.unified["memory.max"]: expected string'),
    ({"unified": {"../cgroup.procs": "1"}}, "linux.resources.unified"),
    pytest.param({"unified": {"memory.max": "1000000"}}, 'linux.resources.unified["memory.max"]',
                 marks=pytest.mark.classes("ns", "sentry", caveat="vm-unified")),
])
def test_value_that_cannot_be_is_refused_by_name(runtime, bundle, resources, text):
    refusal(runtime, bundle, text, **resources)


@pytest.mark.parametrize("resources", [{}, {"memory": {}}, {"cpu": {}}, {"pids": {}}, {"blockIO": {}}, {"network": {}},
                                       {"rdma": {}}, {"unified": {}}, {"hugepageLimits": []},
                                       {"cpu": {"shares": 0, "quota": 0, "period": 0, "cpus": "", "mems": ""}},
                                       {"memory": {"limit": 0, "swap": 0, "reservation": 0}},
                                       {"blockIO": {"weight": 0}, "network": {"classID": 0}}])
def test_zeros_that_engines_fill_in_set_nothing(runtime, bundle, resources):
    if runtime.kind == "runc":
        resources = {k: v for k, v in resources.items() if k != "pids"}
    read = created(runtime, bundle, **resources)

    assert read("memory.limit_in_bytes") == str(2 ** 63 - 4096) and read("cpu.shares") == "1024"
    assert read("cpu.cfs_quota_us") == "-1" and read("pids.max") == "max"
