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

from lib.loops import Loop
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


def test_writes_of_a_shared_root_file_system_are_the_hosts(runtime, bundle, allowing):
    bundle.annotations[ROOTFS] = "shared"

    runtime.run(bundle, ["sh", "-c", "echo new > /etc/made"], env=allowing)
    assert (bundle.rootfs / "etc/made").read_text() == "new\n"


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


def test_trusted_attributes_are_the_guests_own(runtime, bundle, work_dir):
    """setxattr(2) is call 188, getxattr(2) 191, listxattr(2) 194 of x86-64."""
    volume = work_dir / "volume"
    volume.mkdir()
    (volume / "file").touch()
    os.setxattr(volume / "file", "trusted.hosts", b"secret")
    bundle.bind(volume, "/volume")
    bundle.all_capabilities()
    script = ("testinit syscall 188 @/volume/file @trusted.inside @value 5 0; "
              "testinit syscall 191 @/volume/file @trusted.inside 0 0; "
              "testinit syscall 188 @/volume/file @user.virtiofs.trusted.inside @other 5 0; "
              "testinit syscall 188 @/volume/file @user.plain @text 4 0; "
              "testinit syscall 191 @/volume/file @trusted.hosts 0 0")

    out = runtime.run(bundle, ["sh", "-c", script], check=False)
    assert out.stdout.split("\n")[:4] == ["ret 0", "ret 5", "errno EPERM", "ret 0"]
    assert "errno ENODATA" in out.stdout
    assert os.getxattr(volume / "file", "user.virtiofs.trusted.inside") == b"value"
    assert os.getxattr(volume / "file", "user.plain") == b"text"
    assert os.getxattr(volume / "file", "trusted.hosts") == b"secret"


def test_machine_that_remembers_always_sees_its_own_changes_at_once(runtime, bundle, work_dir):
    config = work_dir / "caisson.json"
    config.write_text('{"vm.cache": "sometimes"}')
    refused(runtime, runtime.run(bundle, ["true"], check=False, env={"CAISSON_CONFIG": str(config)}), "vm.cache")

    config.write_text('{"vm.cache": "always"}')
    volume = work_dir / "volume"
    volume.mkdir()
    bundle.bind(volume, "/volume")
    runtime.run_detached(bundle, env={"CAISSON_CONFIG": str(config)})
    out = runtime.exec(bundle, ["sh", "-c", "cd /volume; echo a > x; mv x y; ls; echo b > z; rm y; ls; cat z"])
    assert out.stdout == "y\nz\nb\n"
    assert (volume / "z").read_text() == "b\n"
    inner = servers(runtime, bundle)[-1]
    assert "cache=always" in open(f"/proc/{inner}/cmdline", encoding="utf-8").read()
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
# virtiofsd 1.x makes its namespaces as root alone: CAVEATS.md#vm-files-root
AS_ROOT = os.path.exists("/usr/libexec/virtiofsd")
FILES_CAPS = 1 << 0 | 1 << 1 | 1 << 3 | 1 << 4 | 1 << 6 | 1 << 7 | 1 << 31


def test_server_of_files_has_no_more_than_it_takes(runtime, bundle):
    runtime.run_detached(bundle)

    outer, inner = servers(runtime, bundle)
    for pid in (outer, inner):
        now = status(pid)
        assert ("0" in now["Uid"].split()) == ("0" in now["Gid"].split()) == AS_ROOT and now["Groups"] == ""
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
            lines = [line.split() for line in open(f"/proc/{pid}/{kind}_map", encoding="ascii")]
            assert lines[0] == ["100000", "100000", "1000"]
            # Root inside of it is the server's own user, who is nobody else.
            assert [(first, n) for first, _, n in lines[1:]] == ([("0", "1")] if AS_ROOT else [])
            assert not {"0", "100000"} & {outside for _, outside, _ in lines[1:]}
            assert set(status(pid)[kind.capitalize()].split()) == {lines[-1][1]}
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
    bundle.process.rlimits = []
    runtime.run_detached(bundle, prefix=["prlimit", "--nofile=700:700"])

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


# -------------------------------------------------------------------------------------- block devices

@pytest.fixture
def loop(work_dir):
    """loop(): a block device of 8 MiB with an attribute `file`, its bytes."""
    made = []

    def make(file=None):
        if not os.path.exists("/dev/loop-control"):
            pytest.skip("needs loop devices: CAVEATS.md#test-loop")
        if file is None:
            file = work_dir / f"disk{len(made)}"
            with open(file, "wb") as f:
                f.truncate(8 << 20)
        made.append(Loop(file, f"/dev/loop-of-test{len(made)}"))  # a lane's other directories are nodev
        made[-1].file = file
        return made[-1]

    yield make
    for device in made:
        device.free()


def give(bundle, device, access="rwm", path="/dev/xvdz", **more):
    """As engines do it: the device, and a rule."""
    bundle.linux.devices = [*(bundle.linux.devices or []), {"type": "b", "path": path, "major": device.major,
                                                             "minor": device.minor, **more}]
    allow(bundle, device, access)


def allow(bundle, device, access="rwm"):
    rules = bundle.linux.resources.devices or [{"allow": False, "access": "rwm"}]
    bundle.linux.resources.devices = [*rules, {"allow": True, "type": "b", "major": device.major,
                                               "minor": device.minor, "access": access}]


def test_more_block_devices_than_a_machine_has_disks_are_refused(runtime, bundle, loop):
    device = loop()
    for i in range(17):
        give(bundle, device, path=f"/dev/many{i}")

    refused(runtime, runtime.run(bundle, ["true"], check=False), "/dev/many16: a machine has 16 disks at most")


def test_block_device_that_is_not_there_is_refused(runtime, bundle, loop):
    device = loop()
    device.free()
    device.free = lambda: None
    device.major = 4000  # nobody has it
    give(bundle, device, "rw")

    refused(runtime, runtime.run(bundle, ["true"], check=False), "linux.devices: /dev/xvdz: ")


def test_block_device_is_a_disk_of_the_machine(runtime, bundle, loop):
    device = loop()
    device.file.write_bytes(b"before".ljust(8 << 20))
    give(bundle, device, fileMode=0o640, uid=0, gid=6)

    out = runtime.run(bundle, ["sh", "-c", "head -c 6 /dev/xvdz; testinit stat /dev/xvdz; echo after > /dev/xvdz"])
    assert out.stdout.startswith("before") and "uid=0 gid=6" in out.stdout and "640" in out.stdout
    assert device.file.read_bytes()[:6] == b"after\n"


@pytest.mark.parametrize("kind", ["device", "mount", "rootfs"])
def test_block_devices_are_opened_where_the_hosts_rules_hold_already(runtime, bundle, loop, kind):
    """With a hook the child that opens them is in its cgroup long before; of other devices nothing is allowed there."""
    device = loop(image(bundle, "ext4") if kind == "rootfs" else None)
    bundle.hook("prestart", "/bin/true")
    if kind == "device":
        give(bundle, device)
    elif kind == "mount":
        bundle.bind(device.node, "/dev/xvdz")
        allow(bundle, device)
    else:
        bundle.root.path = device.node
        allow(bundle, device, "r")

    out = runtime.run(bundle, ["sh", "-c", "cat /sys/block/vda/ro; cat /sys/block/vda/size"])
    assert out.stdout.split()[0] == ("1" if kind == "rootfs" else "0") and int(out.stdout.split()[1]) > 0


def test_block_device_of_a_user_namespace_is_a_disk_of_the_machine(runtime, bundle, loop):
    device = loop()
    device.file.write_bytes(b"before".ljust(8 << 20))
    bundle.user_namespace(100000)
    give(bundle, device, fileMode=0o660, uid=100000, gid=100000)

    assert runtime.run(bundle, ["head", "-c", "6", "/dev/xvdz"]).stdout == "before"


def test_block_device_without_the_right_to_write_is_a_read_only_disk(runtime, bundle, loop):
    device = loop()
    give(bundle, device, "rm")

    out = runtime.run(bundle, ["sh", "-c", "cat /sys/block/vda/ro; echo x > /dev/xvdz"], check=False)
    assert out.stdout == "1\n" and "not permitted" in out.stderr
    assert device.file.read_bytes()[:1] == b"\0"


def test_rules_of_other_devices_of_the_host_mean_nothing_inside(runtime, bundle, loop):
    """254:0 is the machine's first disk, whatever the host has under these numbers."""
    first, second = loop(), loop()
    give(bundle, first, "rwm", path="/dev/first")
    give(bundle, second, "r", path="/dev/second")
    bundle.linux.resources.devices += [{"allow": True, "type": "b", "major": m, "minor": n, "access": "rwm"}
                                       for m in (252, 253, 254) for n in (0, 16, 32)]

    out = runtime.run(bundle, ["sh", "-c", "echo x > /dev/first && echo written; echo x > /dev/second"], check=False)
    assert out.stdout == "written\n" and "not permitted" in out.stderr


def file_system(device):
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("needs mkfs.ext4: CAVEATS.md#vm-images")
    subprocess.run(["mkfs.ext4", "-q", "-F", str(device.file)], check=True, timeout=WAIT_S)


def test_file_system_of_a_block_device_is_mounted_by_the_machine(runtime, bundle, loop, work_dir):
    file = work_dir / "ext4"
    with open(file, "wb") as f:
        f.truncate(16 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(file)], check=True, timeout=WAIT_S)
    device = loop(file)
    bundle.mount("/data", device.node, "ext4", ["noatime"])
    refused(runtime, runtime.run(bundle, ["true"], check=False), "does not allow the block device")
    allow(bundle, device)

    out = runtime.run(bundle, ["sh", "-c", "echo kept > /data/made; grep /data /proc/mounts"])
    assert "ext4" in out.stdout and "noatime" in out.stdout
    place = work_dir / "place"
    place.mkdir()
    subprocess.run(["mount", "-t", "ext4", device.node, str(place)], check=True, timeout=WAIT_S)
    try:
        assert (place / "made").read_text() == "kept\n"
        refused(runtime, runtime.run(bundle, ["true"], check=False), "has mounted it")
    finally:
        subprocess.run(["umount", str(place)], check=True, timeout=WAIT_S)


def test_read_only_file_system_of_a_block_device_stays_so(runtime, bundle, loop):
    device = loop()
    file_system(device)
    before = digest(device.file)
    bundle.mount("/data", device.node, "ext4", ["ro"])
    allow(bundle, device, "r")

    out = runtime.run(bundle, ["sh", "-c", "cat /sys/block/vda/ro; echo x > /data/made"], check=False)
    assert out.stdout == "1\n" and "Read-only file system" in out.stderr
    assert digest(device.file) == before


@pytest.mark.parametrize("kind", ["erofs", "ext4"])
def test_root_file_system_is_an_image_on_a_block_device(runtime, bundle, loop, kind):
    bundle.rootfs.write("etc/kept", "image")
    device = loop(image(bundle, kind))
    bundle.root.path = device.node
    allow(bundle, device, "r")
    before = digest(device.file)

    out = runtime.run(bundle, ["sh", "-c", "cat /etc/kept; echo new > /etc/kept; cat /etc/kept"])
    assert out.stdout == "imagenew\n"
    assert digest(device.file) == before


# ----------------------------------------------------------------------- volumes that the host changes

WATCH = "io.caisson.vm.watch"
LARGE = 2 << 20


def write_atomically(volume, number, **files):
    """As kubelet's AtomicWriter does: a new directory, and a link that comes to lead there."""
    fresh = volume / f"..{number}"
    fresh.mkdir(parents=True)
    for name, text in files.items():
        (fresh / name).write_text(text)
    old = os.readlink(volume / "..data") if (volume / "..data").is_symlink() else None
    (volume / "..data_tmp").symlink_to(fresh.name)
    os.rename(volume / "..data_tmp", volume / "..data")
    for name in files:
        if not (volume / name).is_symlink():
            (volume / name).symlink_to(f"..data/{name}")
    if old:
        shutil.rmtree(volume / old)


def watch(runtime, bundle, wait_for, volume, change):
    """Events that a program inside gets; it waits for ..data and reads `key` then."""
    out = bundle.path / "out"
    out.mkdir()
    bundle.bind(out, "/out")
    script = "testinit inotify /conf ..data > /out/events; cat /conf/key > /out/key.new; mv /out/key.new /out/key"
    runtime.run_detached(bundle, ["sh", "-c", script])
    wait_for(lambda: (out / "events").exists() and "watching" in (out / "events").read_text(), WAIT_S, "a watch")
    change()
    wait_for((out / "key").exists, WAIT_S, "the change inside")
    runtime.wait_for(bundle, "stopped")
    return (out / "events").read_text(), (out / "key").read_text()


def test_program_inside_is_told_of_a_new_config_map(runtime, bundle, work_dir, wait_for):
    volume = work_dir / "volumes/kubernetes.io~configmap/conf"
    write_atomically(volume, 1, key="old")
    bundle.bind(volume, "/conf", "ro")

    events, key = watch(runtime, bundle, wait_for, volume, lambda: write_atomically(volume, 2, key="new"))
    assert key == "new"
    assert "..2\n" in events  # the directory came first


def test_copy_of_a_volume_follows_all_its_changes(runtime, bundle, work_dir, wait_for):
    volume = work_dir / "volumes/kubernetes.io~projected/conf"
    write_atomically(volume, 0, key="0", other="0")
    (volume / "..0/key").chmod(0o640)
    os.chown(volume / "..0/key", 5, 6)
    bundle.bind(volume, "/conf", "ro")
    runtime.run_detached(bundle)
    assert "uid=5 gid=6" in runtime.exec(bundle, ["testinit", "stat", "/conf/..0/key"]).stdout

    for i in range(1, 6):
        write_atomically(volume, i, key=str(i))
    (volume / "other").unlink()
    wait_for(lambda: runtime.exec(bundle, ["sh", "-c", "cat /conf/key; ls -a /conf | tr '\\n' ' '"]).stdout
             == "5. .. ..5 ..data key ", WAIT_S, "the last change")
    runtime.stop(bundle)


def test_volume_that_is_too_large_for_a_copy_is_shared(runtime, bundle, work_dir):
    volume = work_dir / "volumes/kubernetes.io~secret/conf"
    write_atomically(volume, 1, key="x" * LARGE)
    bundle.bind(volume, "/conf", "ro")

    assert " virtiofs " in runtime.run(bundle, ["sh", "-c", "grep ' /conf ' /proc/mounts"]).stdout


def test_volume_that_grows_too_large_keeps_what_it_had(runtime, bundle, work_dir, wait_for):
    volume = work_dir / "volumes/kubernetes.io~secret/conf"
    write_atomically(volume, 1, key="old")
    bundle.bind(volume, "/conf", "ro")
    runtime.run_detached(bundle)
    write_atomically(volume, 2, key="x" * 8 * LARGE)

    wait_for(lambda: "not up to date" in runtime.call("debug", bundle.id, "dmesg").stdout, WAIT_S, "a line in the log")
    assert runtime.exec(bundle, ["cat", "/conf/key"]).stdout == "old"
    write_atomically(volume, 3, key="small")
    wait_for(lambda: runtime.exec(bundle, ["cat", "/conf/key"]).stdout == "small", WAIT_S, "the next change")
    runtime.stop(bundle)


def test_volume_that_may_be_written_is_no_copy(runtime, bundle, work_dir):
    volume = work_dir / "volumes/kubernetes.io~configmap/conf"
    write_atomically(volume, 1, key="old")
    bundle.bind(volume, "/conf")

    runtime.run(bundle, ["sh", "-c", "echo new > /conf/made"])
    assert (volume / "made").read_text() == "new\n"


def test_annotation_names_other_volumes_to_watch(runtime, bundle, work_dir, wait_for):
    config = work_dir / "caisson.json"
    config.write_text(f'{{"allowed_annotations": ["{WATCH}"]}}')
    volume = work_dir / "plain"
    volume.mkdir()
    (volume / "key").write_text("old")
    bundle.bind(volume, "/conf", "ro")
    bundle.annotations[WATCH] = "/other,/conf"
    refused(runtime, runtime.run(bundle, ["true"], check=False), "allowed_annotations does not list it")

    runtime.run_detached(bundle, env={"CAISSON_CONFIG": str(config)})
    assert " tmpfs " in runtime.exec(bundle, ["grep", " /conf ", "/proc/mounts"]).stdout
    (volume / "key").write_text("new")
    wait_for(lambda: runtime.exec(bundle, ["cat", "/conf/key"]).stdout == "new", WAIT_S, "the change")
    runtime.stop(bundle)


# ------------------------------------------------------------------------------------------ full disks

@pytest.fixture
def small(work_dir):
    """small(name, options): a tmpfs of the host."""
    places = []

    def make(place, options):
        place.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "small", str(place)], check=True)
        places.append(place)
        return place

    yield make
    for place in places:
        subprocess.run(["umount", "-l", str(place)], check=True)


# What a removed file had is free when virtiofsd has forgotten it, a moment later (CAVEATS.md#vm-files).
FILL = ("cat /dev/zero > {0}/fill; rm {0}/fill; "
        "for try in $(seq 100); do echo again > {0}/made && break; sleep 0.1; done; cat {0}/made")


def test_full_volume_is_an_error_inside_and_the_machine_goes_on(runtime, bundle, small, work_dir):
    volume = small(work_dir / "volume", "size=2m")
    bundle.bind(volume, "/volume")
    runtime.run_detached(bundle)

    out = runtime.exec(bundle, ["sh", "-c", FILL.format("/volume")], check=False)
    assert out.stdout == "again\n" and "No space left" in out.stderr
    assert (volume / "made").read_text() == "again\n"
    (volume / "fill").write_bytes(bytes((2 << 20) - 8192))
    runtime.stop(bundle)


def test_full_root_file_system_is_an_error_inside_and_delete_works(runtime, bundle, small, work_dir):
    root = small(work_dir / "full", "size=64m") / "rootfs"
    shutil.copytree(bundle.path / "rootfs", root, symlinks=True)
    bundle.root.path = str(root)
    runtime.run_detached(bundle)

    out = runtime.exec(bundle, ["sh", "-c", "cat /dev/zero > /fill; echo more > /more; echo goes on"], check=False)
    assert out.stdout == "goes on\n" and "No space left" in out.stderr
    runtime.stop(bundle)
    assert bundle.id not in runtime.container_ids()


def test_full_file_system_of_a_block_device_is_an_error_inside(runtime, bundle, loop):
    device = loop()
    file_system(device)
    bundle.mount("/data", device.node, "ext4")
    allow(bundle, device)

    out = runtime.run(bundle, ["sh", "-c", FILL.format("/data")], check=False)
    assert out.stdout == "again\n" and "No space left" in out.stderr


def test_full_disk_below_a_block_device_is_an_error_inside(runtime, bundle, loop, small, work_dir):
    """The image has holes, and the host no room to fill them."""
    path = small(work_dir / "small", "size=1m") / "image"
    with open(path, "wb") as f:
        f.truncate(8 << 20)
    give(bundle, loop(path))
    runtime.run_detached(bundle)

    out = runtime.exec(bundle, ["sh", "-c", "dd if=/dev/urandom of=/dev/xvdz bs=64k count=64 conv=fsync; echo goes on"])
    assert out.stdout == "goes on\n" and ("Input/output error" in out.stderr or "No space left" in out.stderr)
    assert runtime.exec(bundle, ["echo", "alive"]).stdout == "alive\n"
    runtime.stop(bundle)


def test_full_overlay_is_an_error_inside_and_the_machine_goes_on(runtime, bundle, allowing, work_dir):
    """Its writes are in the memory of the machine."""
    (work_dir / "caisson.json").write_text(f'{{"allowed_annotations": ["{ROOTFS}"], "vm.memory": "64M"}}')
    bundle.annotations[ROOTFS] = "overlay"
    runtime.run_detached(bundle, env=allowing)

    out = runtime.exec(bundle, ["sh", "-c", "cat /dev/zero > /fill; rm /fill; echo again > /made && cat /made"], check=False,
                       timeout_s=WAIT_S)
    assert out.stdout == "again\n" and "No space left" in out.stderr
    assert not bundle.rootfs.exists("fill")
    runtime.stop(bundle)


@pytest.mark.parametrize("options", ["mode=700,size=4k,nr_inodes=64", "mode=700,size=1m,nr_inodes=3"])
def test_full_state_directory_is_told_and_nothing_stays(runtime, bundle, small, options):
    place = small(runtime.root, options)
    for i in range(64):  # until nothing fits
        try:
            (place / f"{i}").write_bytes(bytes(4096))
        except OSError:
            break

    result = runtime.create(bundle, check=False)
    assert result.returncode == 1 and "No space left on device" in result.stderr
    for entry in place.iterdir():
        if entry.is_file():
            entry.unlink()
    assert runtime.container_ids() == []


# ------------------------------------------------------------------------- an image as persistent memory

def shares(runtime, bundle, name):
    """(Rss, Pss) in KiB of what the container's QEMU has mapped of a file."""
    sums = {"Rss": 0, "Pss": 0}
    for pid in open(f"/proc/{runtime.state(bundle).pid}/task/{runtime.state(bundle).pid}/children", encoding="ascii").read().split():
        inside = False
        for line in open(f"/proc/{pid}/smaps", encoding="utf-8"):
            words = line.split()
            if "-" in words[0] and not words[0].endswith(":"):
                inside = len(words) > 5 and words[5].endswith(name)
            elif inside and words[0][:-1] in sums:
                sums[words[0][:-1]] += int(words[1])
    return sums["Rss"], sums["Pss"]


def grain(path):
    """A multiple of 2 MiB, as persistent memory must be."""
    with open(path, "r+b") as f:
        f.truncate(-(-path.stat().st_size // (2 << 20)) * (2 << 20))


def test_pages_of_an_image_are_there_once_for_eight_machines(runtime, make_bundle, work_dir):
    config = work_dir / "caisson.json"
    config.write_text('{"vm.machine": "q35", "vm.memory": "128M"}')
    first = make_bundle()
    (first.path / "rootfs/large").write_bytes(os.urandom(8 << 20))
    path = image(first, "erofs")
    grain(path)
    before = digest(path)
    bundles = [first] + [make_bundle() for _ in range(7)]
    for b in bundles:
        b.root.path = str(path)
        runtime.run_detached(b, env={"CAISSON_CONFIG": str(config)})

    for b in bundles:
        out = runtime.exec(b, ["sh", "-c", "cat /large | wc -c; grep -c 'pmem0.*dax' /proc/mounts; cat /proc/mounts"])
        assert out.stdout.split()[0] == str(8 << 20), out.stdout
    rss, pss = zip(*(shares(runtime, b, path.name) for b in bundles))
    assert min(rss) >= 8 << 10
    assert sum(pss) <= path.stat().st_size >> 10  # who has which page does not matter: each counts once
    assert digest(path) == before
    for b in bundles:
        runtime.stop(b)


def test_image_of_another_size_is_a_disk_of_a_q35(runtime, bundle, work_dir):
    config = work_dir / "caisson.json"
    config.write_text('{"vm.machine": "q35"}')
    path = image(bundle, "ext4")
    with open(path, "r+b") as f:
        f.truncate(path.stat().st_size + 4096)

    out = runtime.run(bundle, ["sh", "-c", "ls /sys/block"], env={"CAISSON_CONFIG": str(config)})
    assert "vda" in out.stdout and "pmem" not in out.stdout
