# SPDX-License-Identifier: Apache-2.0
"""Class vm: volumes in memory (emptyDir with `medium: Memory`, /dev/shm) lie in the machine's memory, not the host's."""

import subprocess

import pytest

pytestmark = pytest.mark.classes("vm")

EMPTY_DIR = "pods/1/volumes/kubernetes.io~empty-dir"


@pytest.fixture
def tmpfs(work_dir):
    """tmpfs(name, options): one of the host."""
    places = []

    def make(name, options):
        place = work_dir / name
        place.mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], check=True)
        places.append(place)
        return place

    yield make
    for place in places:
        subprocess.run(["umount", "-l", place], check=True)


def test_empty_dir_in_memory_is_the_guests_with_the_hosts_size_mode_and_owner(runtime, bundle, tmpfs):
    volume = tmpfs(f"{EMPTY_DIR}/cache", "size=2m,mode=2770,gid=1234")
    bundle.bind(volume, "/cache", "rprivate")
    bundle.bind(volume, "/again", "ro")

    out = runtime.run(bundle, ["sh", "-c", "stat -c '%a %u %g' /cache; df -k /cache | awk 'END { print $2 }';"
                               "echo inside > /cache/file; cat /again/file; grep -c ' /cache tmpfs ' /proc/mounts;"
                               "echo no > /again/file"], check=False)
    assert out.stdout.splitlines() == ["2770 0 1234", "2048", "inside", "1"]
    assert "Read-only file system" in out.stderr
    assert list(volume.iterdir()) == []


def test_full_empty_dir_in_memory_is_an_error_inside(runtime, bundle, tmpfs):
    bundle.bind(tmpfs(f"{EMPTY_DIR}/cache", "size=1m"), "/cache")

    out = runtime.run(bundle, ["sh", "-c", "cat /dev/zero > /cache/file; wc -c < /cache/file"], check=False)
    assert out.stdout == f"{1 << 20}\n" and "No space left" in out.stderr


def test_empty_dir_larger_than_the_machine_has_half_of_its_memory(runtime, bundle, tmpfs):
    bundle.bind(tmpfs(f"{EMPTY_DIR}/cache", "size=100g"), "/cache")

    out = runtime.run(bundle, ["sh", "-c", "df -k /cache | awk 'END { print $2 }'; awk '/MemTotal/ { print $2 }' /proc/meminfo"])
    size, memory = (int(line) for line in out.stdout.split())
    assert abs(size - memory // 2) < 4096


def test_empty_dir_of_a_user_namespace_belongs_to_its_root(runtime, bundle, tmpfs):
    bundle.user_namespace(host_id=100000)
    bundle.bind(tmpfs(f"{EMPTY_DIR}/cache", "size=1m,mode=700,uid=100000,gid=100000"), "/cache")

    out = runtime.run(bundle, ["sh", "-c", "echo mine > /cache/file; stat -c '%u %g' /cache /cache/file"])
    assert out.stdout.split() == ["0"] * 4


def test_shared_memory_of_an_engine_is_the_guests(runtime, bundle, tmpfs):
    shm = tmpfs("shm", "size=65536k,mode=1777")
    bundle.mounts = [m for m in bundle.mounts if m["destination"] != "/dev/shm"]
    bundle.bind(shm, "/dev/shm", "nosuid", "nodev", "noexec")

    out = runtime.run(bundle, ["sh", "-c", "echo inside > /dev/shm/file; stat -c %a /dev/shm; grep ' /dev/shm ' /proc/mounts"])
    assert out.stdout.startswith("1777\ntmpfs /dev/shm tmpfs ")
    assert {"nosuid", "nodev", "noexec", "size=65536k"} <= set(out.stdout.split()[4].split(","))
    assert list(shm.iterdir()) == []


def test_volume_that_the_host_has_filled_stays_shared(runtime, bundle, tmpfs):
    volume = tmpfs(f"{EMPTY_DIR}/cache", "size=1m")
    (volume / "given").write_text("host")
    bundle.bind(volume, "/cache")

    out = runtime.run(bundle, ["sh", "-c", "cat /cache/given; echo inside > /cache/made"])
    assert out.stdout == "host"
    assert (volume / "made").read_text() == "inside\n"


def test_empty_dir_on_a_disk_and_other_tmpfs_stay_shared(runtime, bundle, tmpfs, work_dir):
    on_disk = work_dir / EMPTY_DIR / "disk"
    on_disk.mkdir(parents=True)
    other = tmpfs("other", "size=1m")
    bundle.bind(on_disk, "/disk")
    bundle.bind(other, "/other")

    runtime.run(bundle, ["sh", "-c", "echo inside > /disk/made; echo inside > /other/made"])
    assert (on_disk / "made").read_text() == (other / "made").read_text() == "inside\n"
