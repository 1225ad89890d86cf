# SPDX-License-Identifier: Apache-2.0
"""Class vm: where a root file system lies, what of the host's files a machine sees and may change."""

import hashlib
import os
import shutil
import socket
import stat
import subprocess
import time

import pytest

from lib.runtime import refused
from lib.users import USER

pytestmark = pytest.mark.classes("vm")

WAIT_S = 60
ROOTFS = "io.caisson.vm.rootfs"


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def image(bundle, kind):
    """The bundle's root file system as an image, in its place."""
    tree, path = bundle.path / "rootfs", bundle.path / "rootfs.img"
    if kind == "erofs":
        tool = ["mkfs.erofs", str(path), str(tree)]
    else:
        with open(path, "wb") as f:
            f.truncate(64 << 20)
        tool = ["mkfs.ext4", "-q", "-d", str(tree), str(path)]
    if shutil.which(tool[0]) is None:
        pytest.skip(f"needs {tool[0]}: CAVEATS.md#vm-images")
    subprocess.run(tool, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=WAIT_S)
    bundle.root.path = "rootfs.img"
    return path


@pytest.fixture
def allowing(work_dir):
    """The environment of a configuration that allows the annotation."""
    config = work_dir / "caisson.json"
    config.write_text(f'{{"allowed_annotations": ["{ROOTFS}"]}}')
    return {"CAISSON_CONFIG": str(config)}


def test_place_of_a_root_file_system_needs_leave(runtime, bundle):
    bundle.annotations[ROOTFS] = "overlay"

    refused(runtime, runtime.run(bundle, ["true"], check=False), "allowed_annotations does not list it")


def test_writes_of_an_overlay_stay_in_the_machine(runtime, bundle, allowing):
    bundle.annotations[ROOTFS] = "overlay"
    bundle.rootfs.write("etc/kept", "host")

    out = runtime.run(bundle, ["sh", "-c", "echo new > /etc/kept; echo new > /etc/made; cat /etc/kept /etc/made"],
                      env=allowing)
    assert out.stdout == "new\nnew\n"
    assert (bundle.rootfs / "etc/kept").read_text() == "host"
    assert not bundle.rootfs.exists("etc/made")


@pytest.mark.parametrize("kind", ["erofs", "ext4"])
def test_image_is_a_disk_that_nothing_is_written_to(runtime, bundle, kind):
    bundle.rootfs.write("etc/kept", "image")
    path = image(bundle, kind)
    before = digest(path)

    out = runtime.run(bundle, ["sh", "-c", "cat /etc/kept; echo new > /etc/kept; cat /etc/kept"])
    assert out.stdout == "imagenew\n"
    assert digest(path) == before


def test_file_that_is_no_image_is_refused(runtime, bundle):
    (bundle.path / "rootfs.img").write_text("nothing")
    bundle.root.path = "rootfs.img"

    refused(runtime, runtime.run(bundle, ["true"], check=False), "neither erofs nor ext4")


def test_unknown_place_of_a_root_file_system_is_refused(runtime, bundle, allowing):
    bundle.annotations[ROOTFS] = "elsewhere"

    refused(runtime, runtime.run(bundle, ["true"], check=False, env=allowing), "is not shared, overlay or block")


def test_block_device_that_config_json_denies_is_no_disk(runtime, bundle, work_dir):
    """Who may make nodes on a volume could otherwise have the host's disks opened by the runtime."""
    node = work_dir / "node"
    os.mknod(node, 0o600 | stat.S_IFBLK, os.makedev(259, 4095))
    bundle.bind(node, "/disk", "bind")
    bundle.linux.resources.devices = [{"allow": False, "access": "rwm"}]

    refused(runtime, runtime.run(bundle, ["true"], check=False), "linux.resources.devices does not allow")


def test_host_kernel_below_a_volume_is_covered(runtime, bundle, work_dir):
    """virtiofsd is the host's root: nothing of procfs may lie in what it serves."""
    volume = work_dir / "volume"
    for name in ("proc", "plain"):
        (volume / name).mkdir(parents=True)
    subprocess.run(["mount", "-t", "proc", "proc", volume / "proc"], check=True)
    try:
        bundle.bind(volume, "/volume", "rbind")
        out = runtime.run(bundle, ["sh", "-c", "ls /volume; ls -A /volume/proc | wc -l"])
        assert out.stdout.split() == ["plain", "proc", "0"]
    finally:
        subprocess.run(["umount", volume / "proc"], check=True)


def test_host_kernel_by_a_relative_path_is_refused(runtime, bundle):
    (bundle.path / "p").symlink_to("/proc")
    bundle.bind("p", "/volume", "bind")

    refused(runtime, runtime.run(bundle, ["true"], check=False), "a file system of the host's kernel")


@pytest.mark.parametrize("kind", ["socket", "fifo"])
def test_source_that_leads_into_no_machine_is_refused_by_name(runtime, bundle, work_dir, kind):
    path = work_dir / "source"
    sock = socket.socket(socket.AF_UNIX)
    if kind == "socket":
        sock.bind(str(path))
    else:
        os.mkfifo(path)
    bundle.bind(path, "/there")

    refused(runtime, runtime.run(bundle, ["true"], check=False), f"mount {path} at /there: a {kind}")
    sock.close()


def test_device_of_a_volume_is_the_guests_own(runtime, bundle, work_dir):
    os.mknod(work_dir / "nothing", 0o20666, os.makedev(1, 3))
    bundle.bind(work_dir / "nothing", "/nothing")

    out = runtime.run(bundle, ["sh", "-c", "echo lost > /nothing; cat /nothing; echo read"])
    assert out.stdout == "read\n"


def test_read_only_volume_stays_so_whatever_the_guest_does(runtime, bundle, work_dir):
    (work_dir / "volume").mkdir()
    bundle.bind(work_dir / "volume", "/volume", "ro")
    bundle.all_capabilities()

    # MS_REMOUNT | MS_BIND: inside it is writable then, on the host it is not.
    out = runtime.run(bundle, ["sh", "-c", f"testinit mount none /volume none {32 | 4096}; echo x > /volume/x"],
                      check=False)
    assert "ok" in out.stdout
    assert "Read-only file system" in out.stderr
    assert not (work_dir / "volume/x").exists()


def test_member_of_a_group_makes_files_in_its_directory(runtime, bundle, work_dir):
    """virtiofsd knows the ids of who makes a file, not the groups."""
    volume = work_dir / "volume"
    volume.mkdir()
    os.chown(volume, 0, 500)
    volume.chmod(0o770)
    bundle.bind(volume, "/volume")
    bundle.process.user = {"uid": 78, "gid": 77, "additionalGids": [500]}
    bundle.capabilities()

    runtime.run(bundle, ["sh", "-c", "echo x > /volume/file"])
    info = (volume / "file").stat()
    assert (info.st_uid, info.st_gid) == (78, 77)


def test_no_device_node_reaches_the_host(runtime, bundle, work_dir):
    (work_dir / "volume").mkdir()
    bundle.bind(work_dir / "volume", "/volume")
    bundle.all_capabilities()

    out = runtime.run(bundle, ["testinit", "mknod", "/volume/disk", "b", "8", "0"], check=False)
    assert "EPERM" in out.stdout
    assert not (work_dir / "volume/disk").exists()


def test_what_the_host_changes_is_seen_inside(runtime, bundle, work_dir):
    volume = work_dir / "volume"
    volume.mkdir()
    (volume / "file").write_text("old")
    bundle.bind(volume, "/volume")
    runtime.run_detached(bundle)
    assert runtime.exec(bundle, ["cat", "/volume/file"]).stdout == "old"

    (volume / "new").write_text("new")
    os.rename(volume / "new", volume / "file")
    end = time.monotonic() + WAIT_S
    while runtime.exec(bundle, ["cat", "/volume/file"]).stdout != "new":
        assert time.monotonic() < end
    runtime.stop(bundle)


# ------------------------------------------------------------------------------- who serves the files

def status(pid):
    lines = open(f"/proc/{pid}/status", encoding="ascii").read().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def servers(runtime, bundle):
    """The processes that are virtiofsd, parents first."""
    found, level = [], [runtime.state(bundle).pid]
    while level:
        children = [int(p) for parent in level
                    for p in open(f"/proc/{parent}/task/{parent}/children", encoding="ascii").read().split()]
        found += [p for p in children if status(p)["Name"].startswith("virtiofsd")]
        level = children
    return found


# CHOWN, DAC_OVERRIDE, FOWNER, FSETID, SETGID, SETUID, SETFCAP: capabilities(7)
FILES_CAPS = 1 << 0 | 1 << 1 | 1 << 3 | 1 << 4 | 1 << 6 | 1 << 7 | 1 << 31


def test_server_of_files_has_no_more_than_it_takes(runtime, bundle):
    runtime.run_detached(bundle)

    outer, inner = servers(runtime, bundle)
    for pid in (outer, inner):
        now = status(pid)
        assert "0" not in now["Uid"].split() + now["Gid"].split() and now["Groups"] == ""
        assert int(now["CapPrm"], 16) & ~FILES_CAPS == 0 and int(now["CapAmb"], 16) == 0
        assert now["NoNewPrivs"] == "1"
    assert status(inner)["Seccomp"] == "2"
    assert int(status(inner)["CapBnd"], 16) & ~FILES_CAPS == 0
    for kind in ("mnt", "net", "pid"):
        assert os.readlink(f"/proc/{inner}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}")
    assert "rootfs" in os.listdir(f"/proc/{inner}/root") and "etc" not in os.listdir(f"/proc/{inner}/root")
    limit = next(line for line in open(f"/proc/{inner}/limits", encoding="ascii") if line.startswith("Max open files"))
    assert int(limit.split()[4]) <= 1 << 19
    runtime.stop(bundle)


def test_server_of_a_user_namespace_has_only_its_ids(runtime, bundle, work_dir):
    """A machine whose kernel has been taken over must not be the host's root in what it shares."""
    bundle.user_namespace(100000, 1000)
    volume = work_dir / "volume"
    volume.mkdir()
    os.chown(volume, 100000, 100000)
    (volume / "of-root").write_text("secret")
    (volume / "of-root").chmod(0o600)
    (volume / "open").write_text("everybody's")
    bundle.bind(volume, "/volume")
    runtime.run_detached(bundle)

    for pid in servers(runtime, bundle):
        assert os.readlink(f"/proc/{pid}/ns/user") != os.readlink("/proc/self/ns/user")
        for kind in ("uid", "gid"):
            assert open(f"/proc/{pid}/{kind}_map", encoding="ascii").read().split() == ["100000", "100000", "1000"]
            assert set(status(pid)[kind.capitalize()].split()) == {"100000"}
    out = runtime.exec(bundle, ["sh", "-c", "echo x > /volume/made; cat /volume/open; cat /volume/of-root"], check=False)
    assert out.stdout == "everybody's" and "Permission denied" in out.stderr
    assert (volume / "made").stat().st_uid == 100000
    runtime.stop(bundle)


def test_more_files_than_the_server_may_have_are_an_error_inside(runtime, bundle, work_dir):
    """The limit of who starts the machine is the server's, which has one for each file that is known inside."""
    volume = work_dir / "volume"
    volume.mkdir()
    for i in range(1000):
        (volume / str(i)).touch()
    bundle.bind(volume, "/volume")
    runtime.run_detached(bundle, prefix=["prlimit", "--nofile=600:600"])

    out = runtime.exec(bundle, ["sh", "-c", "cat /volume/*"], check=False)
    assert "open files" in out.stderr
    assert runtime.state(bundle).status == "running"
    assert any("sleep" in line for line in runtime.ps(bundle).stdout.splitlines())
    runtime.stop(bundle)


def test_file_in_a_directory_of_another_group_is_not_set_group_id(runtime, bundle, work_dir):
    """CVE-2022-0358"""
    volume = work_dir / "volume"
    volume.mkdir()
    os.chown(volume, 0, 500)
    volume.chmod(0o2777)
    bundle.bind(volume, "/volume")
    bundle.process.user = {"uid": 78, "gid": 77}
    bundle.capabilities()

    runtime.run(bundle, ["sh", "-c", "umask 0; echo x > /volume/file; chmod 2777 /volume/file"], check=False)
    info = (volume / "file").stat()
    assert (info.st_uid, info.st_gid) == (78, 500) and not info.st_mode & stat.S_ISGID


def test_machine_of_an_ordinary_user_maps_ids_once(runtime, bundle, as_user):
    bundle.rootfs.mkdir("tmp", 0o1777)
    volume = bundle.path / "volume"
    volume.mkdir()
    os.chown(volume, USER, USER)
    bundle.bind(volume, "/volume")

    out = runtime.run(bundle, ["sh", "-c", "echo x > /volume/made; testinit stat /volume/made; testinit report"],
                      **as_user)
    info = (volume / "made").stat()
    assert "uid=0 gid=0" in out.stdout and (info.st_uid, info.st_gid) == (USER, USER)
