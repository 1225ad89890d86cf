# SPDX-License-Identifier: Apache-2.0
"""Class ns where the host's tests cannot show it: pure cgroup v2 with all controllers, systemd as process 1."""

import pytest

from conftest import SOAK

CONTROLLERS = {"cpu", "cpuset", "io", "memory", "pids"}
RUN = "build/bin/caisson --isolation ns do -- "


@pytest.mark.parametrize("kernel", ["caisson", "debian"])
def test_a_container_runs_on_pure_cgroup_v2(guest, kernel):
    done = guest("--kernel", kernel, script=f"cat /sys/fs/cgroup/cgroup.subtree_control; grep cgroup /proc/mounts | "
                 f"cut -d' ' -f3; {RUN} sh -c 'cat /proc/self/cgroup; exit 3'")
    lines = done.out.splitlines()
    assert done.code == 3 and CONTROLLERS <= set(lines[0].split()) and lines[1:] == ["cgroup2", "0::/"], done


def test_the_life_cycle_suite_runs_on_pure_cgroup_v2(guest_suite):
    files = ["test_lifecycle.py", "test_spec_cgroup_v2.py"]
    if SOAK:
        files += ["test_create.py", "test_delete.py", "test_do.py", "test_events.py", "test_pause.py", "test_update.py"]
    guest_suite("--time-limit", "1800", script="tests/run-integration --cgroup v2 -q " + " ".join(files))


def test_a_container_runs_beside_systemd(guest):
    done = guest("--systemd", script=f"systemctl is-system-running; cat /proc/1/comm /proc/self/cgroup; {RUN} true")
    assert done.code == 0 and done.out.split() == ["running", "systemd", "0::/system.slice/guest-job.service"], done
