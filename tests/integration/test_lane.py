# SPDX-License-Identifier: Apache-2.0
"""The lane that every suite runs in: tests/lane. These tests start lanes inside a lane."""

import os
import signal
import subprocess
import time

import pytest

from lib import cgroups
from lib.programs import TESTS_DIR
from lib.runtime import wait_until

pytestmark = pytest.mark.classes("ns")
LANE = str(TESTS_DIR / "lane")
FREEZE = {
    "v1": "mkdir /sys/fs/cgroup/freezer/x; sleep 300 & echo $! > /sys/fs/cgroup/freezer/x/cgroup.procs; "
          "echo FROZEN > /sys/fs/cgroup/freezer/x/freezer.state",
    "v2": "mkdir /sys/fs/cgroup/x; sleep 300 & echo $! > /sys/fs/cgroup/x/cgroup.procs; "
          "echo 1 > /sys/fs/cgroup/x/cgroup.freeze",
}
FREEZE["hybrid"] = FREEZE["v1"]


def lane(*args, script="true", **options):
    layout = cgroups.layout()
    return subprocess.run([LANE, "--cgroup", layout, *args, "--", "sh", "-c", script], capture_output=True, text=True,
                          timeout=30, check=False, stdin=subprocess.DEVNULL, **options)


@pytest.fixture(autouse=True)
def nothing_left():
    """No cgroup and no process may be there after a test that was not there before."""
    before = cgroups.all_cgroups()
    pids = {p for p in os.listdir("/proc") if p.isdigit()}
    yield
    wait_until(lambda: cgroups.all_cgroups() == before, what="the lane's cgroups are gone")
    wait_until(lambda: not {p for p in os.listdir("/proc") if p.isdigit()} - pids, what="its processes are gone")


@pytest.mark.parametrize("script,status", [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137)])
def test_exit_status_is_the_commands(script, status):
    assert lane(script=script).returncode == status


def test_missing_command_exits_127():
    assert subprocess.run([LANE, "--cgroup", cgroups.layout(), "/no/such"], capture_output=True,
                          check=False).returncode == 127


def test_frozen_and_detached_processes_end_with_the_lane():
    assert lane(script=f"{FREEZE[cgroups.layout()]}; setsid sleep 300 & exit 3").returncode == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_signal_to_the_lane_ends_all_of_it(number):
    script = f"{FREEZE[cgroups.layout()]}; setsid sleep 300 & echo ready; exec sleep 300"
    process = subprocess.Popen([LANE, "--cgroup", cgroups.layout(), "sh", "-c", script], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    assert process.wait(20) in (128 + number, -number)
    process.stdout.close()


def test_namespaces_network_and_nodes_are_its_own():
    out = lane(script="for n in mnt pid net ipc uts cgroup; do readlink /proc/self/ns/$n; done; "
                      "cat /sys/class/net/lo/operstate; ls /run; stat -c %t:%T /dev/null").stdout.split()

    own = [os.readlink(f"/proc/self/ns/{n}") for n in ("mnt", "pid", "net", "ipc", "uts", "cgroup")]
    assert not set(out[:6]) & set(own)
    assert out[6:] == ["unknown", "lock", "1:3"]


def test_change_of_dev_null_stays_inside():
    before = os.stat("/dev/null")
    lane(script="chown 5:5 /dev/null; chmod 600 /proc/self/fd/0")

    after = os.stat("/dev/null")
    assert (before.st_uid, before.st_mode) == (after.st_uid, after.st_mode)


@pytest.mark.layouts("v1", "hybrid")
def test_pids_limit_holds():
    result = lane("--pids", "30", script="for i in $(seq 40); do sleep 100 & done; echo all")

    assert "all" not in result.stdout


def test_check_names_what_outlived_its_owner_and_clean_removes_it():
    top = cgroups.hierarchies()[0] / ("session" if cgroups.is_v2() else "")
    stale = top / "caisson-lane-999999/below"
    stale.mkdir(parents=True)

    found = subprocess.run([LANE, "--check"], capture_output=True, text=True, check=False)
    assert found.returncode == 1 and str(stale.parent) in found.stdout
    assert subprocess.run([LANE, "--clean"], capture_output=True, check=False).returncode == 0
    assert not stale.exists()
    assert subprocess.run([LANE, "--check"], capture_output=True, check=False).returncode == 0


def test_standard_input_passes():
    result = subprocess.run([LANE, "--cgroup", cgroups.layout(), "cat"], input="typed", capture_output=True, text=True,
                            timeout=20, check=True)
    assert result.stdout == "typed"


def test_start_and_end_are_quick():
    started = time.monotonic()
    lane()

    assert time.monotonic() - started < 20
