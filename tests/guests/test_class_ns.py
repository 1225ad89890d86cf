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


# As containerd's CRI plugin asks for it where the kubelet has systemd make the slice of a pod.
IN_A_SLICE = """
mkdir -p /run/b && cd /run/b && cat > config.json <<EOF
{"ociVersion": "1.2.0", "root": {"path": "/", "readonly": true},
 "process": {"cwd": "/", "user": {"uid": 0, "gid": 0}, "args": ["/bin/sleep", "1000"], "env": ["PATH=/bin:/usr/bin"]},
 "linux": {"cgroupsPath": "pods-a-one.slice:cri:c1", "namespaces": [{"type": "pid"}, {"type": "mount"}],
           "resources": {"memory": {"limit": 67108864}}}}
EOF
slice=/sys/fs/cgroup/pods.slice/pods-a.slice/pods-a-one.slice
systemctl set-property --runtime pods-a-one.slice MemoryMax=200M && systemctl start pods-a-one.slice
/src/build/bin/caisson --isolation ns run -d c1 < /dev/null > /dev/null 2>&1
cat $slice/memory.max $slice/cri-c1.scope/memory.max
systemctl daemon-reload
cat $slice/memory.max && wc -l < $slice/cri-c1.scope/cgroup.procs
/src/build/bin/caisson delete --force c1 && ls $slice | grep -c scope
"""


def test_a_container_is_in_the_slice_of_its_pod(guest):
    done = guest("--systemd", script=IN_A_SLICE)
    # What systemd takes away at its reload are the limits of the container alone (CAVEATS.md#install-systemd-cgroup).
    assert done.out.split() == [str(200 << 20), str(64 << 20), str(200 << 20), "1", "0"], done


def test_a_container_runs_beside_systemd(guest):
    done = guest("--systemd", script=f"systemctl is-system-running; cat /proc/1/comm /proc/self/cgroup; {RUN} true")
    assert done.code == 0 and done.out.split() == ["running", "systemd", "0::/system.slice/guest-job.service"], done
