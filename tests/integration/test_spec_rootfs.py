# SPDX-License-Identifier: Apache-2.0
"""The container's root: root.readonly, propagation, masked and read-only paths, devices, console."""

import os
import stat

import pytest

from lib import hostmount, seen
from lib.runtime import refused

pytestmark = pytest.mark.classes("ns", "sentry", "vm")
WORDING = pytest.mark.beyond("runc", "crun", reason="our wording: the field and what is wrong with it")


def stats(text):
    """Output of `testinit stat` by name: mode, uid, gid, rdev."""
    found = {}
    for line in text.splitlines():
        name, *fields = line.split()
        found[name] = dict(f.split("=") for f in fields)
    return found


# ------------------------------------------------------------------------------------------ read-only root


@pytest.mark.parametrize("readonly", [True, False])
def test_readonly_root_cannot_be_written(runtime, bundle, readonly):
    bundle.root.readonly = readonly
    bundle.mount("/scratch", "tmpfs", "tmpfs")
    bundle.rootfs.mkdir("scratch")

    result = runtime.run(bundle, ["sh", "-c", "echo >/scratch/x && echo >/written"], check=False)
    assert (result.returncode != 0) == readonly
    assert bundle.rootfs.exists("written") != readonly
    if readonly:
        assert "/written: Read-only file system" in result.stderr


def test_readonly_root_is_a_flag_of_the_mount_not_of_the_host(runtime, bundle):
    bundle.root.readonly = True

    report = runtime.run(bundle, ["report"]).report
    assert "ro" in seen.mount(report, "/").options
    bundle.rootfs.write("still", "writable")


def test_mount_points_are_made_in_a_readonly_root(runtime, bundle):
    bundle.root.readonly = True
    bundle.mount("/made/for/it", "tmpfs", "tmpfs")

    assert "tmpfs" == seen.mount(runtime.run(bundle, ["report"]).report, "/made/for/it").fstype


# -------------------------------------------------------------------------------------- rootfsPropagation


@pytest.mark.parametrize("word,field", [("shared", "shared"), ("rshared", "shared"), ("private", None),
                                        ("rprivate", None), ("unbindable", "unbindable"),
                                        ("runbindable", "unbindable"), ("slave", None), ("rslave", None)])
@pytest.mark.beyond("runc", reason="sets it for the host's mounts only")
def test_rootfs_propagation_is_that_of_the_root_mount(runtime, bundle, word, field):
    bundle.rootfs.write("data/file", "x")
    bundle.linux.readonly_paths += ["/data"]
    bundle.linux.rootfs_propagation = word

    root = seen.mount(runtime.run(bundle, ["report"]).report, "/")
    names = [f.split(":")[0] for f in root.propagation]
    assert names == ([field] if field else [])


@pytest.fixture
def shared_holder(bundle):
    """The bundle's root on a shared mount, with a directory in it to mount on."""
    top = bundle.rootfs.path
    hostmount.mount(top, top, None, hostmount.MS_BIND)
    hostmount.mount(None, top, None, hostmount.MS_SHARED)
    (top / "late").mkdir()
    yield top
    hostmount.unmount(top)


@pytest.mark.parametrize("word", [None, "private", "rprivate", "slave", "rslave", "shared"])
def test_mounts_of_the_container_stay_out_of_the_hosts_rootfs(runtime, bundle, shared_holder, word):
    if word:
        bundle.linux.rootfs_propagation = word
    bundle.capabilities("CAP_SYS_ADMIN")
    runtime.run_detached(bundle)

    runtime.exec(bundle, ["testinit", "mount", "tmpfs", "/tmp", "tmpfs", "0"])
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        points = [seen.Mount(line).point for line in file.read().splitlines()]
    assert f"{shared_holder}/tmp" not in points
    runtime.stop(bundle)


@WORDING
@pytest.mark.parametrize("word", ["sharedd", "rbind", "SHARED"])
def test_unknown_rootfs_propagation_is_refused(runtime, bundle, word):
    bundle.linux.rootfs_propagation = word

    refused(runtime, runtime.create(bundle, check=False), f'linux.rootfsPropagation: unknown value "{word}"')


# ---------------------------------------------------------------------------- masked and read-only paths


def test_masked_file_reads_empty_and_masked_directory_is_empty(runtime, bundle):
    bundle.rootfs.write("etc/secret", "s3cret")
    bundle.rootfs.write("etc/secrets/one", "s3cret")
    bundle.linux.masked_paths += ["/etc/secret", "/etc/secrets"]

    out = runtime.run(bundle, ["sh", "-c", "cat /etc/secret; ls -A /etc/secrets; "
                                           "testinit stat /etc/secret /etc/secrets"]).stdout
    assert "s3cret" not in out
    info = stats(out)
    assert info["/etc/secret"]["rdev"] == "1:3" and info["/etc/secrets"]["mode"].startswith("4")


def test_masked_paths_cannot_be_written(runtime, bundle):
    bundle.rootfs.write("etc/secret", "s3cret")
    bundle.rootfs.mkdir("etc/secrets")
    bundle.linux.masked_paths += ["/etc/secret", "/etc/secrets"]

    result = runtime.run(bundle, ["sh", "-c", "echo x >/etc/secret; echo x >/etc/secrets/new"], check=False)
    assert "Read-only file system" in result.stderr
    assert bundle.rootfs.read("etc/secret") == "s3cret" and not bundle.rootfs.exists("etc/secrets/new")


def test_default_masked_paths_of_proc_are_covered(runtime, bundle):
    report = runtime.run(bundle, ["report"]).report

    points = {m.point: m for m in seen.mounts(report)}
    covered = [p for p in bundle.linux.masked_paths if os.path.exists(p)]
    assert len(covered) > 2
    assert all(p in points and points[p].fstype in ("tmpfs", "devtmpfs") for p in covered)


def test_masked_path_that_does_not_exist_is_ignored(runtime, bundle):
    bundle.linux.masked_paths += ["/no/such"] if runtime.kind == "runc" else ["/no/such", "/etc/passwd/below"]

    runtime.run(bundle, ["true"])
    assert not bundle.rootfs.exists("no")


def test_readonly_path_can_be_read_and_not_written(runtime, bundle):
    bundle.rootfs.write("data/dir/file", "text")
    bundle.rootfs.write("data/single", "text")
    bundle.linux.readonly_paths += ["/data/dir", "/data/single"]

    result = runtime.run(bundle, ["sh", "-c", "cat /data/dir/file; echo x >/data/dir/file; "
                                              "echo x >/data/single; echo y >/data/new"], check=False)
    assert result.stdout == "text"
    assert result.stderr.count("Read-only file system") == 2
    assert bundle.rootfs.read("data/single") == "text" and bundle.rootfs.exists("data/new")


def test_default_readonly_paths_of_proc_refuse_writes(runtime, bundle):
    bundle.all_capabilities()

    for path in ("/proc/sys/kernel/hostname", "/proc/irq/default_smp_affinity"):
        bundle.process.args = ["sh", "-c", f"echo 1 >{path}"]
        result = runtime.run(bundle, None, check=False)
        assert result.returncode != 0 and "Read-only file system" in result.stderr, path


def test_readonly_path_that_does_not_exist_is_ignored(runtime, bundle):
    bundle.linux.readonly_paths += ["/no/such"]

    runtime.run(bundle, ["true"])
    assert not bundle.rootfs.exists("no")


@WORDING
@pytest.mark.parametrize("field", ["masked_paths", "readonly_paths"])
@pytest.mark.parametrize("paths,text", [(["etc"], '[0]: "etc" is not an absolute path'), ([5], "[0]: expected "),
                                        ("/etc", ": expected ")])
def test_malformed_path_is_refused(runtime, bundle, field, paths, text):
    setattr(bundle.linux, field, paths)

    name = "maskedPaths" if field == "masked_paths" else "readonlyPaths"
    refused(runtime, runtime.create(bundle, check=False), f"linux.{name}{text}")


# ------------------------------------------------------------------------------------------------- devices

DEFAULTS = {"/dev/null": "1:3", "/dev/zero": "1:5", "/dev/full": "1:7", "/dev/random": "1:8",
            "/dev/urandom": "1:9", "/dev/tty": "5:0"}


@pytest.mark.parametrize("user_namespace", [False, True])
def test_default_devices_are_there_and_work(runtime, bundle, user_namespace):
    if user_namespace:
        bundle.user_namespace()

    out = runtime.run(bundle, ["sh", "-c", "testinit stat /dev/null /dev/zero /dev/full /dev/random "
                               "/dev/urandom /dev/tty; echo x >/dev/null; head -c 4 /dev/zero | wc -c; "
                               "head -c 4 /dev/urandom | wc -c; echo x >/dev/full"], check=False)
    info = stats("\n".join(line for line in out.stdout.splitlines() if line.startswith("/")))
    assert {name: fields["rdev"] for name, fields in info.items()} == DEFAULTS
    assert all(fields["mode"] == "20666" for fields in info.values())
    assert out.stdout.split()[-2:] == ["4", "4"] and "No space left" in out.stderr


def test_default_links_are_there(runtime, bundle):
    out = runtime.run(bundle, ["sh", "-c", "for l in fd stdin stdout stderr ptmx core; do "
                                           "readlink /dev/$l; done; true"]).stdout.split()
    assert out[:5] == ["/proc/self/fd", "/proc/self/fd/0", "/proc/self/fd/1", "/proc/self/fd/2", "pts/ptmx"]
    assert out[5:] in ([], ["/proc/kcore"])


def test_ptmx_opens_a_terminal_of_the_containers_own_devpts(runtime, bundle):
    before = sorted(os.listdir("/dev/pts"))

    out = runtime.run(bundle, ["sh", "-c", "exec 5<>/dev/ptmx; ls /dev/pts"]).stdout
    assert "0" in out.split() and sorted(os.listdir("/dev/pts")) == before


def test_console_is_the_terminal(runtime, bundle, console):
    bundle.process.terminal = True
    bundle.process.args = ["sh", "-c", "testinit stat /dev/console; echo to-console >/dev/console; sleep 100"]
    runtime.run(bundle, None, "-d", "--console-socket", console.path)

    text = console.terminal().expect("to-console")
    assert "/dev/console mode=20" in text and "rdev=136:0" in text


def test_there_is_no_console_without_a_terminal(runtime, bundle):
    assert runtime.run(bundle, ["sh", "-c", "test -e /dev/console"], check=False).returncode == 1


@pytest.mark.classes("ns", "vm", caveat="sentry-nodes")
def test_devices_below_a_dev_of_the_image_are_there_at_every_start(runtime, bundle):
    """Without a mount at /dev the devices are nodes of the root file system, or bound there where it takes none."""
    bundle.node.mounts = [m for m in bundle.config["mounts"] if not m["destination"].startswith("/dev")]

    for _ in range(2):
        out = runtime.run(bundle, ["testinit", "stat", "/dev/null", "/dev/zero", "/dev/urandom"]).stdout
        assert [word for line in out.splitlines() for word in line.split() if word.startswith("rdev=")] == [
            "rdev=1:3", "rdev=1:5", "rdev=1:9"]


@pytest.mark.classes("ns", "sentry", caveat="vm-devices")
def test_devices_of_the_config_are_made_as_it_says(runtime, bundle):
    bundle.linux.devices = [
        {"path": "/dev/odd", "type": "c", "major": 1, "minor": 5, "fileMode": 0o640, "uid": 7, "gid": 8},
        {"path": "/dev/block", "type": "b", "major": 259, "minor": 4095, "fileMode": 0o600},
        {"path": "/dev/pipe", "type": "p", "fileMode": 0o622},
        {"path": "/dev/unbuffered", "type": "u", "major": 1, "minor": 7, "fileMode": 0o666},
        {"path": "/var/deep/er/device", "type": "c", "major": 4095, "minor": 1048575, "fileMode": 0o600},
    ]

    names = [d["path"] for d in bundle.config["linux"]["devices"]]
    info = stats(runtime.run(bundle, ["testinit", "stat", *names]).stdout)
    assert info["/dev/odd"] == {"mode": "20640", "uid": "7", "gid": "8", "rdev": "1:5", "size": "0"}
    assert (info["/dev/block"]["mode"], info["/dev/block"]["rdev"]) == ("60600", "259:4095")
    assert info["/dev/pipe"]["mode"] == "10622"
    assert (info["/dev/unbuffered"]["mode"], info["/dev/unbuffered"]["rdev"]) == ("20666", "1:7")
    assert info["/var/deep/er/device"]["rdev"] == "4095:1048575"


@pytest.mark.beyond("runc", reason="1.1 does without a mode: 0")
def test_device_without_mode_and_owner_is_roots_and_anybodys(runtime, bundle):
    bundle.linux.devices = [{"path": "/dev/plain", "type": "c", "major": 1, "minor": 5}]

    info = stats(runtime.run(bundle, ["testinit", "stat", "/dev/plain"]).stdout)["/dev/plain"]
    assert (info["mode"], info["uid"], info["gid"]) == ("20666", "0", "0")


@pytest.mark.beyond("runc", reason="takes the file type bits as they are")
def test_file_mode_may_carry_the_type(runtime, bundle):
    mode = stat.S_IFCHR | 0o604
    bundle.linux.devices = [{"path": "/dev/typed", "type": "c", "major": 1, "minor": 5, "fileMode": mode}]

    assert "mode=20604" in runtime.run(bundle, ["testinit", "stat", "/dev/typed"]).stdout


def test_device_of_the_config_replaces_the_default(runtime, bundle):
    bundle.linux.devices = [{"path": "/dev/full", "type": "c", "major": 1, "minor": 3, "fileMode": 0o600}]

    info = stats(runtime.run(bundle, ["testinit", "stat", "/dev/full"]).stdout)["/dev/full"]
    assert (info["rdev"], info["mode"]) == ("1:3", "20600")


@pytest.mark.classes("ns", "vm", caveat="sentry-nodes")
def test_device_is_bound_from_the_host_in_a_user_namespace(runtime, bundle):
    bundle.user_namespace()
    bundle.linux.devices = [{"path": "/dev/zero", "type": "c", "major": 1, "minor": 5, "fileMode": 0o666}]
    bundle.linux.resources.devices += [{"allow": True, "type": "c", "major": 1, "minor": 5, "access": "rwm"}]

    report = runtime.run(bundle, ["sh", "-c", "head -c 3 /dev/zero | wc -c >&2; report"])
    assert report.stderr.strip() == "3"
    assert seen.mount(report.report, "/dev/zero").root.endswith("/zero")


def test_dev_that_is_bound_from_the_host_is_left_alone(runtime, bundle, work_dir):
    mine = work_dir / "dev"
    mine.mkdir()
    (mine / "only").write_text("mine")
    os.mknod(mine / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    bundle.config["mounts"] = [m for m in bundle.config["mounts"] if not m["destination"].startswith("/dev")]
    bundle.bind(mine, "/dev")
    bundle.linux.masked_paths = []

    assert runtime.run(bundle, ["ls", "/dev"]).stdout == "null\nonly\n"
    assert sorted(p.name for p in mine.iterdir()) == ["null", "only"]


@WORDING
@pytest.mark.parametrize("device,text", [
    ({"type": "c", "major": 1, "minor": 3}, "linux.devices[0].path: missing"),
    ({"path": "dev/x", "type": "c", "major": 1, "minor": 3}, 'linux.devices[0].path: "dev/x" is not an absolute'),
    ({"path": "/dev/x", "major": 1, "minor": 3}, "linux.devices[0].type: missing"),
    ({"path": "/dev/x", "type": "d", "major": 1, "minor": 3}, 'linux.devices[0].type: unknown device type "d"'),
    ({"path": "/dev/x", "type": "c", "major": 4096, "minor": 3}, "linux.devices[0].major"),
    ({"path": "/dev/x", "type": "c", "major": 1, "minor": 1048576}, "linux.devices[0].minor"),
    ({"path": "/dev/x", "type": "c", "major": "1", "minor": 3}, "linux.devices[0].major"),
    ({"path": "/dev/x", "type": "c", "major": 1, "minor": 3, "fileMode": "0600"}, "linux.devices[0].fileMode"),
    ({"path": "/dev/x", "type": "c", "major": 1, "minor": 3, "uid": -1}, "linux.devices[0].uid"),
    ({"path": "/dev/x", "type": "c", "major": 1, "minor": 3, "gid": 4294967296}, "linux.devices[0].gid"),
])
def test_malformed_device_is_refused(runtime, bundle, device, text):
    bundle.linux.devices = [device]

    refused(runtime, runtime.create(bundle, check=False), text)


@WORDING
def test_device_where_something_else_stands_is_an_error_that_names_it(runtime, bundle):
    bundle.rootfs.write("var/device", "a file")
    bundle.linux.devices = [{"path": "/var/device", "type": "c", "major": 1, "minor": 3}]

    refused(runtime, runtime.create(bundle, check=False), "device /var/device: File exists")
