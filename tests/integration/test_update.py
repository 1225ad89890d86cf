# SPDX-License-Identifier: Apache-2.0
"""update: change the limits of a container that exists."""

import json
import os

import pytest

from lib import cgroups
from lib.runtime import refused

pytestmark = [pytest.mark.classes("ns", "sentry", "vm"), pytest.mark.layouts("v1", "hybrid", "v2", controllers=True)]
MIB = 1 << 20
# How much higher a limit of the host's cgroup is: CAVEATS.md#sentry-pids, CAVEATS.md#vm-limits
EXTRA = {("sentry", "pids.max"): 64, ("vm", "pids.max"): 1024, ("vm", "memory.limit_in_bytes"): 256 * MIB,
         ("vm", "memory.memsw.limit_in_bytes"): 256 * MIB}
NO_MINUS = pytest.mark.beyond("crun", reason="writes -1 as a very large number")


@pytest.fixture
def limited(runtime, bundle):
    """A running container with limits, for which read(name) reads a cgroup file."""
    resources = bundle.linux.resources
    resources.memory.limit = 64 * MIB
    resources.cpu.shares, resources.cpu.quota, resources.cpu.period = 512, 50000, 100000
    resources.pids.limit = 50
    runtime.run_detached(bundle)
    return bundle


def read(bundle, name):
    text = cgroups.read_limit(bundle.linux.cgroups_path, name)
    extra = EXTRA.get((os.environ.get("CAISSON_CLASS"), name), 0)
    return str(int(text) - extra) if extra and text not in ("max", "-1") else text


def test_limits_of_the_config_are_in_the_cgroup(limited):
    assert read(limited, "memory.limit_in_bytes") == str(64 * MIB)
    assert read(limited, "cpu.shares") == cgroups.shares(512)
    assert read(limited, "cpu.cfs_quota_us") == "50000"
    assert read(limited, "pids.max") == "50"


@pytest.mark.parametrize("flags,name,value", [
    (["--memory", str(48 * MIB)], "memory.limit_in_bytes", str(48 * MIB)),
    (["--memory=96M"], "memory.limit_in_bytes", str(96 * MIB)),
    (["--memory-reservation", str(16 * MIB)], "memory.soft_limit_in_bytes", str(16 * MIB)),
    (["--cpu-share", "256"], "cpu.shares", cgroups.shares(256)),
    (["--cpu-quota", "20000"], "cpu.cfs_quota_us", "20000"),
    (["--cpu-period", "200000", "--cpu-quota", "100000"], "cpu.cfs_period_us", "200000"),
    pytest.param(["--cpu-quota", "-1"], "cpu.cfs_quota_us", "-1", marks=NO_MINUS),
    (["--cpuset-cpus", "0"], "cpuset.cpus", "0"),
    (["--cpuset-mems", "0"], "cpuset.mems", "0"),
    (["--pids-limit", "20"], "pids.max", "20"),
    pytest.param(["--pids-limit", "-1"], "pids.max", "max", marks=NO_MINUS),
])
def test_flag_changes_its_file(runtime, limited, flags, name, value):
    if runtime.kind == "crun" and flags == ["--memory=96M"]:
        flags = ["--memory", str(96 * MIB)]
    runtime.update(limited, *flags)

    assert read(limited, name) == value


@pytest.mark.beyond("runc", "crun", reason="no --cpu-burst")
def test_cpu_burst_changes_its_file(runtime, limited):
    runtime.update(limited, "--cpu-burst", "10000")

    assert read(limited, "cpu.cfs_burst_us") == "10000"


@pytest.mark.beyond("crun", "runc", reason="no --cpu-idle")
def test_cpu_idle_changes_its_file(runtime, limited):
    runtime.update(limited, "--cpu-idle", "1")

    assert read(limited, "cpu.idle") == "1"


def test_what_is_not_named_stays(runtime, limited):
    runtime.update(limited, "--pids-limit", "30")

    assert read(limited, "memory.limit_in_bytes") == str(64 * MIB)
    assert read(limited, "cpu.shares") == cgroups.shares(512)
    assert read(limited, "cpu.cfs_quota_us") == "50000"


@pytest.mark.parametrize("flag", ["-r", "--resources"])
def test_resources_come_from_a_file(runtime, limited, flag):
    path = limited.path / "resources.json"
    path.write_text(json.dumps({"memory": {"limit": 80 * MIB}, "cpu": {"shares": 300},
                                "pids": {"limit": 33}}))

    runtime.update(limited, flag, path)
    assert read(limited, "memory.limit_in_bytes") == str(80 * MIB)
    assert read(limited, "cpu.shares") == cgroups.shares(300)
    assert read(limited, "pids.max") == "33"


def test_resources_come_from_standard_input_as_the_shim_calls_it(runtime, limited):
    text = json.dumps({"memory": {"limit": 72 * MIB}, "cpu": {"quota": 30000, "period": 100000}})

    runtime.update(limited, "--resources", "-", stdin=text)
    assert read(limited, "memory.limit_in_bytes") == str(72 * MIB)
    assert read(limited, "cpu.cfs_quota_us") == "30000"


@pytest.mark.parametrize("text", ["", "{", '{"memory":{"limit":"much"}}', '{"cpu":5}'])
@pytest.mark.beyond("crun", reason="ignores what it does not understand")
def test_malformed_resources_are_refused_and_change_nothing(runtime, limited, text):
    result = runtime.update(limited, "--resources", "-", stdin=text, check=False)

    assert result.returncode == 1 and result.stderr
    assert read(limited, "memory.limit_in_bytes") == str(64 * MIB)


@pytest.mark.parametrize("flags", [["--memory", "lots"], ["--cpu-quota", "x"], ["--cpuset-cpus", "99"]])
def test_impossible_value_is_refused_and_the_container_runs_on(runtime, limited, flags):
    result = runtime.update(limited, *flags, check=False)

    assert result.returncode not in (0, None) and result.stderr
    assert runtime.status(limited) == "running"


def test_update_of_an_unknown_container_is_refused(runtime):
    refused(runtime, runtime.update("nobody", "--pids-limit", "5", check=False), "container does not exist")


def test_update_of_a_created_container_works(runtime, bundle):
    runtime.create(bundle)

    runtime.update(bundle, "--pids-limit", "25")
    assert read(bundle, "pids.max") == "25"


def test_update_of_a_stopped_container_is_refused(runtime, bundle):
    runtime.run_detached(bundle, ["true"])
    runtime.wait_for(bundle, "stopped")

    result = runtime.update(bundle, "--pids-limit", "5", check=False)
    assert result.returncode == (0 if runtime.kind == "crun" else 1)


def test_new_limit_binds_the_running_program(runtime, limited):
    runtime.update(limited, "--pids-limit", "20")

    process = runtime.start_exec(limited, ["testinit", "fork", "40"])
    assert 1 <= int(process.read_line().removeprefix("forked ")) < 20


@pytest.mark.parametrize("flag", ["--kernel-memory", "--kernel-memory-tcp"])
def test_kernel_memory_flags_are_ignored(runtime, limited, flag):
    runtime.update(limited, flag, str(50 * MIB))


def test_memory_swap_limits_the_sum_or_names_what_is_missing(runtime, limited):
    result = runtime.update(limited, "--memory", str(64 * MIB), "--memory-swap", str(128 * MIB), check=False)

    if cgroups.is_v2():
        assert result.returncode == 0 and read(limited, "memory.memsw.limit_in_bytes") == str(64 * MIB)
    elif (cgroups.cgroup_dir(limited.linux.cgroups_path, "memory") / "memory.memsw.limit_in_bytes").exists():
        assert result.returncode == 0
        assert read(limited, "memory.memsw.limit_in_bytes") == str(128 * MIB)
    else:
        assert "memsw" in result.stderr or "swap" in result.stderr or result.returncode == 0


@pytest.mark.beyond("crun", reason="knows blkio.weight only")
@pytest.mark.layouts("v1", "hybrid")
def test_blkio_weight_is_set_or_named(runtime, limited):
    result = runtime.update(limited, "--blkio-weight", "300", check=False)

    directory = cgroups.cgroup_dir(limited.linux.cgroups_path, "blkio")
    files = [f for f in ("blkio.weight", "blkio.bfq.weight") if (directory / f).exists()]
    if files:
        assert result.returncode == 0 and (directory / files[0]).read_text().split()[-1] == "300"
    elif runtime.kind == "caisson":
        assert result.returncode == 1 and "blkio" in result.stderr


def test_a_later_update_keeps_what_an_earlier_one_set(runtime, limited):
    runtime.update(limited, "--pids-limit", "40")
    runtime.update(limited, "--cpu-share", "600")

    assert read(limited, "pids.max") == "40"
    assert read(limited, "cpu.shares") == cgroups.shares(600)


@pytest.mark.layouts("v1", "hybrid")
def test_device_rules_survive_an_update(runtime, bundle):
    runtime.run_detached(bundle)
    before = read(bundle, "devices.list")

    runtime.update(bundle, "--pids-limit", "40")
    assert read(bundle, "devices.list") == before
