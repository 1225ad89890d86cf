# SPDX-License-Identifier: Apache-2.0
"""mounts[]: destination, type, source, and the options that are flags of mount(2) or file system data."""

import json

import pytest

from lib import hostmount, seen
from lib.runtime import refused

pytestmark = pytest.mark.classes("ns", "sentry", "vm")
WORDING = pytest.mark.beyond("runc", "crun", reason="our wording: the field and what is wrong with it")
NEWER = pytest.mark.beyond("runc", reason="not in 1.1")


@pytest.fixture
def source(bundle):
    """A directory of the bundle with a file in it and a mount of its own below: sub/deep."""
    path = bundle.path / "source"
    (path / "sub").mkdir(parents=True)
    (path / "file").write_text("top")
    hostmount.mount("tmpfs", path, "tmpfs")
    (path / "sub").mkdir()
    (path / "file").write_text("top")
    hostmount.mount("tmpfs", path / "sub", "tmpfs")
    (path / "sub/deep").write_text("deep")
    yield path
    hostmount.unmount(path / "sub")
    hostmount.unmount(path)


def report_of(runtime, bundle):
    return runtime.run(bundle, ["report"]).report


# -------------------------------------------------------------------------------------- order and place


def test_mounts_are_made_in_their_order(runtime, bundle, source):
    bundle.mount("/mnt", "tmpfs", "tmpfs")
    bundle.bind(source, "/mnt/inner")
    bundle.mount("/mnt/inner/sub", "tmpfs", "tmpfs")

    report = report_of(runtime, bundle)
    points = [m.point for m in seen.mounts(report) if m.point.startswith("/mnt")]
    assert points == ["/mnt", "/mnt/inner", "/mnt/inner/sub", "/mnt/inner/sub"]
    assert points.index("/mnt") < points.index("/mnt/inner")


def test_later_mount_covers_an_earlier_one_at_the_same_place(runtime, bundle, source):
    bundle.mount("/mnt", "tmpfs", "tmpfs")
    bundle.bind(source, "/mnt")

    assert runtime.run(bundle, ["cat", "/mnt/file"]).stdout == "top"


def test_missing_destination_is_made_directory_by_directory(runtime, bundle, source):
    bundle.bind(source, "/a/b/c")

    assert runtime.run(bundle, ["cat", "/a/b/c/file"]).stdout == "top"
    assert (bundle.rootfs / "a/b/c").is_dir()


def test_destination_of_a_file_is_made_as_a_file(runtime, bundle, source):
    bundle.bind(source / "file", "/a/b/config")

    assert runtime.run(bundle, ["cat", "/a/b/config"]).stdout == "top"
    assert (bundle.rootfs / "a/b/config").is_file()


def test_relative_destination_counts_from_the_root(runtime, bundle, source):
    bundle.bind(source, "mnt/relative")

    assert runtime.run(bundle, ["cat", "/mnt/relative/file"]).stdout == "top"


def test_destination_through_a_link_stays_in_the_root(runtime, bundle, source, work_dir):
    outside = work_dir / "outside"
    outside.mkdir()
    bundle.rootfs.symlink("escape", str(outside))
    bundle.bind(source, "/escape/here")

    out = runtime.run(bundle, ["cat", f"{outside}/here/file"]).stdout
    assert out == "top" and list(outside.iterdir()) == []


@WORDING
@pytest.mark.parametrize("entry,text", [
    ({"type": "tmpfs"}, "mounts[6].destination: missing"),
    ({"destination": 7, "type": "tmpfs"}, "mounts[6].destination: expected "),
    ({"destination": "/m", "type": ["tmpfs"]}, "mounts[6].type: expected "),
    ({"destination": "/m", "type": "tmpfs", "options": "ro"}, "mounts[6].options: expected "),
    ({"destination": "/m", "type": "tmpfs", "options": ["ro", 1]}, "mounts[6].options[1]: expected "),
    ({"destination": "/m", "source": "/tmp"}, "at /m"),
    ({"destination": "/m", "type": "bind"}, "at /m: a bind mount needs a source"),
])
def test_malformed_mount_is_refused_by_its_path(runtime, bundle, entry, text):
    bundle.config["mounts"].append(entry)

    refused(runtime, runtime.create(bundle, check=False), text)


# -------------------------------------------------------------------------------------- type and source


@pytest.mark.parametrize("fstype,source_name", [("tmpfs", "mysource"), ("proc", "proc"), ("sysfs", "sysfs"),
                                                ("mqueue", "mqueue"), ("ramfs", "ramfs")])
def test_type_is_a_file_system(runtime, bundle, fstype, source_name):
    bundle.mount("/mnt", source_name, fstype)

    found = seen.mount(report_of(runtime, bundle), "/mnt")
    assert found.fstype == fstype and found.source == source_name


@WORDING
def test_unknown_type_is_an_error_that_names_type_and_place(runtime, bundle):
    bundle.mount("/mnt", "none", "nosuchfs")

    refused(runtime, runtime.create(bundle, check=False), "mount nosuchfs at /mnt: No such device")


@pytest.mark.parametrize("fstype,options", [("bind", []), ("bind", ["bind"]), ("none", ["bind"]),
                                            ("none", ["rbind"]), ("tmpfs", ["bind"]), ("", ["bind"])])
def test_bind_is_a_type_or_an_option(runtime, bundle, source, fstype, options):
    if runtime.kind == "runc" and fstype != "tmpfs" and not options:
        options = ["bind"]
    bundle.mount("/mnt", source, fstype, options)

    assert runtime.run(bundle, ["cat", "/mnt/file"]).stdout == "top"


def test_bind_takes_one_mount_and_rbind_all_below_it(runtime, bundle, source):
    bundle.mount("/one", source, "bind", ["bind"])
    bundle.mount("/all", source, "bind", ["rbind"])

    out = runtime.run(bundle, ["sh", "-c", "ls /one/sub; echo -; ls /all/sub"]).stdout
    assert out == "-\ndeep\n"


def test_mount_below_a_source_is_a_mount_of_its_own_inside(runtime, bundle, source):
    bundle.mount("/all", source, "bind", ["rbind"])
    bundle.capabilities("CAP_SYS_ADMIN")

    out = runtime.run(bundle, ["sh", "-c", "find /all -xdev | sort; umount /all/sub; "
                               "grep -c /all /proc/self/mountinfo"]).stdout
    assert out.split() == ["/all", "/all/file", "/all/sub", "1"]


@NEWER
def test_type_rbind_takes_all_below_it(runtime, bundle, source):
    bundle.mount("/all", source, "rbind")

    assert runtime.run(bundle, ["ls", "/all/sub"]).stdout == "deep\n"


def test_relative_source_of_a_bind_counts_from_the_bundle(runtime, bundle, source):
    bundle.mount("/mnt", "source", "bind", ["bind"])

    assert runtime.run(bundle, ["cat", "/mnt/file"], cwd="/").stdout == "top"


def test_missing_source_is_an_error_that_names_it(runtime, bundle):
    bundle.mount("/mnt", "/run/nowhere", "bind", ["bind"])

    result = runtime.create(bundle, check=False)
    assert result.returncode == 1 and "/run/nowhere" in result.stderr


def test_socket_and_device_can_be_bound(runtime, bundle):
    bundle.bind("/dev/zero", "/run/zeros")

    out = runtime.run(bundle, ["sh", "-c", "head -c 3 /run/zeros | wc -c"]).stdout
    assert out.strip() == "3"


# -------------------------------------------------------------------------------------------- the flags

SET = [("ro", "ro"), ("nosuid", "nosuid"), ("nodev", "nodev"), ("noexec", "noexec"), ("noatime", "noatime"),
       ("nodiratime", "nodiratime"), ("relatime", "relatime"),
       pytest.param("nosymfollow", "nosymfollow", marks=NEWER)]
OPPOSITE = [("ro", "rw", "ro"), ("nosuid", "suid", "nosuid"), ("nodev", "dev", "nodev"),
            ("noexec", "exec", "noexec"), ("noatime", "atime", "noatime"),
            ("nodiratime", "diratime", "nodiratime"), ("relatime", "norelatime", "none-of-it"),
            pytest.param("nosymfollow", "symfollow", "nosymfollow", marks=NEWER)]


@pytest.mark.parametrize("option,shown", SET)
def test_flag_is_set_on_a_new_file_system(runtime, bundle, option, shown):
    bundle.mount("/mnt", "tmpfs", "tmpfs", [option])

    assert shown in seen.mount(report_of(runtime, bundle), "/mnt").options


@pytest.mark.parametrize("option,shown", SET)
def test_flag_is_set_on_a_bind_and_on_nothing_else(runtime, bundle, source, option, shown):
    bundle.mount("/mnt", source, "bind", ["rbind", option])

    report = report_of(runtime, bundle)
    assert shown in seen.mount(report, "/mnt").options
    if option != "relatime":
        assert shown not in seen.mount(report, "/mnt/sub").options
    assert shown not in next(m for m in own_mounts() if m.point == str(source)).options or option == "relatime"


def own_mounts():
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        return [seen.Mount(line) for line in file.read().splitlines()]


@pytest.mark.parametrize("option,opposite,hidden", OPPOSITE)
def test_later_option_takes_an_earlier_one_back(runtime, bundle, option, opposite, hidden):
    bundle.mount("/mnt", "tmpfs", "tmpfs", [option, opposite])

    assert hidden not in seen.mount(report_of(runtime, bundle), "/mnt").options


def test_strictatime_shows_neither_relatime_nor_noatime(runtime, bundle):
    bundle.mount("/mnt", "tmpfs", "tmpfs", ["strictatime"])

    assert not {"relatime", "noatime"} & seen.mount(report_of(runtime, bundle), "/mnt").options


@pytest.mark.parametrize("flag,option", [(hostmount.MS_NOSUID, "suid"), (hostmount.MS_NODEV, "dev"),
                                         (hostmount.MS_NOEXEC, "exec"), (hostmount.MS_RDONLY, "rw")])
@pytest.mark.beyond("runc", reason="1.1 keeps the flags of the source")
def test_opposite_clears_a_flag_that_the_source_of_a_bind_has(runtime, bundle, work_dir, flag, option):
    path = work_dir / "flagged"
    path.mkdir()
    hostmount.mount("tmpfs", path, "tmpfs", flag if option != "rw" else 0)
    if option == "rw":
        hostmount.mount(None, path, None, 32 | hostmount.MS_BIND | flag)
    try:
        bundle.mount("/kept", path, "bind", ["bind"])
        bundle.mount("/cleared", path, "bind", ["bind", option])
        report = report_of(runtime, bundle)
    finally:
        hostmount.unmount(path)
    word = {"suid": "nosuid", "dev": "nodev", "exec": "noexec", "rw": "ro"}[option]
    assert word in seen.mount(report, "/kept").options
    assert word not in seen.mount(report, "/cleared").options


@pytest.mark.classes("ns", caveat="sentry-devices", vm_caveat="vm-files")
def test_flags_do_what_they_say(runtime, bundle):
    for name, option in (("ro", "ro"), ("noexec", "noexec"), ("nodev", "nodev")):
        bundle.bind(bundle.rootfs / "bin", f"/{name}", option)
    bundle.capabilities("CAP_MKNOD", "CAP_DAC_OVERRIDE")
    bundle.linux.resources.devices = [{"allow": True, "access": "rwm"}]

    out = runtime.run(bundle, ["sh", "-c", "touch /ro/x; /noexec/testinit true; "
                               "testinit mknod /nodev/null c 1 3 && testinit open /nodev/null r"],
                      check=False)
    assert "/ro/x: Read-only file system" in out.stderr
    assert "/noexec/testinit: Permission denied" in out.stderr
    assert "ok\nerrno EACCES" in out.stdout


@pytest.mark.parametrize("option", ["sync", "dirsync", "lazytime"])
@pytest.mark.beyond("runc", reason="1.1 has no lazytime")
def test_flag_of_the_superblock_is_set(runtime, bundle, option):
    bundle.mount("/mnt", "tmpfs", "tmpfs", [option])

    assert option in seen.mount(report_of(runtime, bundle), "/mnt").super_options


@pytest.mark.parametrize("option,opposite", [("sync", "async"), ("lazytime", "nolazytime")])
@pytest.mark.beyond("runc", reason="1.1 has no lazytime")
def test_flag_of_the_superblock_is_taken_back(runtime, bundle, option, opposite):
    bundle.mount("/mnt", "tmpfs", "tmpfs", [option, opposite])

    assert option not in seen.mount(report_of(runtime, bundle), "/mnt").super_options


# mount(8): of no concern to the kernel, or the default anyway.
NO_EFFECT = ["defaults", "auto", "noauto", "nofail", "_netdev", "user", "nouser", "users", "nousers", "owner",
             "noowner", "group", "nogroup", "silent", "loud", "mand", "nomand", "noiversion",
             "x-systemd.automount", "X-mount.mkdir", "comment=text", "rw", "suid", "dev", "exec", "async", "atime",
             "diratime", "norelatime", "nostrictatime", "symfollow"]


@pytest.mark.parametrize("option", NO_EFFECT)
@pytest.mark.beyond("runc", reason="1.1 gives some of mount(8)'s words to the file system")
def test_word_of_mount_8_without_effect_changes_nothing(runtime, bundle, option):
    bundle.mount("/mnt", "tmpfs", "tmpfs", [option])

    found = seen.mount(report_of(runtime, bundle), "/mnt")
    assert found.options == {"rw", "relatime"} and "rw" in found.super_options


def test_other_options_are_data_of_the_file_system(runtime, bundle):
    bundle.mount("/mnt", "tmpfs", "tmpfs", ["nosuid", "size=64k", "mode=0700", "nr_inodes=33", "uid=5"])

    out = runtime.run(bundle, ["sh", "-c", "testinit stat /mnt && testinit report"]).stdout
    stat, report = out.split("\n", 1)
    shown = seen.mount(json.loads(report), "/mnt").super_options
    assert {"size=64k", "mode=700", "nr_inodes=33", "uid=5"} <= shown
    assert "mode=40700 uid=5" in stat


@WORDING
def test_option_that_the_file_system_does_not_know_is_named(runtime, bundle):
    bundle.mount("/mnt", "tmpfs", "tmpfs", ["frobnicate=1"])

    result = runtime.create(bundle, check=False)
    refused(runtime, result, "mount tmpfs at /mnt")
    assert "frobnicate" in result.stderr


def test_tmpfs_without_a_mode_takes_that_of_the_directory(runtime, bundle):
    bundle.rootfs.mkdir("sticky", 0o1777)
    bundle.mount("/sticky", "tmpfs", "tmpfs")

    assert "mode=41777" in runtime.run(bundle, ["testinit", "stat", "/sticky"]).stdout


def test_overlay_takes_its_directories_from_the_options(runtime, bundle, work_dir):
    for name in ("lower", "upper", "work"):
        (work_dir / name).mkdir()
    (work_dir / "lower/file").write_text("lower")
    bundle.mount("/mnt", "overlay", "overlay", [f"lowerdir={work_dir}/lower", f"upperdir={work_dir}/upper",
                                                f"workdir={work_dir}/work"])

    assert runtime.run(bundle, ["sh", "-c", "cat /mnt/file; echo >/mnt/new"]).stdout == "lower"
    assert (work_dir / "upper/new").exists()


# ------------------------------------------------------------------------------------------------ remount


def test_remount_changes_the_flags_of_what_is_there(runtime, bundle):
    bundle.mount("/mnt", "tmpfs", "tmpfs", ["size=64k"])
    bundle.mount("/mnt", "tmpfs", "tmpfs", ["remount", "ro", "nosuid", "size=64k"])

    report = report_of(runtime, bundle)
    assert len([m for m in seen.mounts(report) if m.point == "/mnt"]) == 1
    assert {"ro", "nosuid"} <= seen.mount(report, "/mnt").options


@WORDING
def test_remount_changes_the_data_of_what_is_there(runtime, bundle):
    bundle.mount("/mnt", "tmpfs", "tmpfs", ["size=64k"])
    bundle.mount("/mnt", "tmpfs", "tmpfs", ["remount", "size=128k"])

    assert "size=128k" in seen.mount(report_of(runtime, bundle), "/mnt").super_options


def test_bind_remount_changes_only_the_mount(runtime, bundle, source):
    bundle.mount("/mnt", source, "bind", ["bind"])
    bundle.mount("/mnt", source, "bind", ["remount", "bind", "ro"])

    found = seen.mount(report_of(runtime, bundle), "/mnt")
    assert "ro" in found.options and "rw" in found.super_options


@WORDING
def test_remount_of_what_is_not_there_is_an_error(runtime, bundle):
    bundle.mount("/nowhere", "tmpfs", "tmpfs", ["remount", "ro"])

    refused(runtime, runtime.create(bundle, check=False),
            "at /nowhere: /nowhere in the root file system: No such file or directory")


# ------------------------------------------------------------------------------------------- propagation


@pytest.mark.parametrize("option,wanted", [("private", []), ("rprivate", []), ("slave", []), ("rslave", []),
                                           pytest.param("shared", ["shared"], marks=pytest.mark.classes(
                                               "ns", "sentry", caveat="vm-propagation")),
                                           ("rshared", ["shared"]),
                                           ("unbindable", ["unbindable"]), ("runbindable", ["unbindable"])])
def test_propagation_is_set_on_the_mount_and_by_r_on_those_below(runtime, bundle, source, option, wanted):
    bundle.mount("/mnt", source, "bind", ["rbind", option])

    report = report_of(runtime, bundle)
    top = [field.split(":")[0] for field in seen.mount(report, "/mnt").propagation]
    below = [field.split(":")[0] for field in seen.mount(report, "/mnt/sub").propagation]
    assert top == wanted
    assert below == (wanted if option.startswith("r") else [])


def test_propagation_is_set_on_a_new_file_system(runtime, bundle):
    bundle.mount("/mnt", "tmpfs", "tmpfs", ["shared"])

    assert seen.mount(report_of(runtime, bundle), "/mnt").propagation[0].startswith("shared:")


@pytest.fixture
def shared_source(source):
    hostmount.mount(None, source, None, hostmount.MS_SHARED)
    (source / "late").mkdir()
    return source


@pytest.mark.classes("ns", "vm", caveat="sentry-propagation")
def test_slave_of_a_shared_source_sees_what_the_host_mounts_later(runtime, bundle, shared_source):
    bundle.mount("/mnt", shared_source, "bind", ["rbind", "rslave"])
    runtime.run_detached(bundle)

    hostmount.mount("tmpfs", shared_source / "late", "tmpfs")
    try:
        (shared_source / "late/file").write_text("late")
        assert runtime.exec(bundle, ["cat", "/mnt/late/file"]).stdout == "late"
    finally:
        hostmount.unmount(shared_source / "late")


def test_private_mount_of_a_shared_source_does_not(runtime, bundle, shared_source):
    bundle.mount("/mnt", shared_source, "bind", ["rbind", "rprivate"])
    runtime.run_detached(bundle)

    hostmount.mount("tmpfs", shared_source / "late", "tmpfs")
    try:
        (shared_source / "late/file").write_text("late")
        assert runtime.exec(bundle, ["ls", "/mnt/late"]).stdout == ""
    finally:
        hostmount.unmount(shared_source / "late")


@pytest.mark.parametrize("propagation,arrives", [
    pytest.param("shared", True, marks=pytest.mark.classes("ns", caveat="sentry-propagation", vm_caveat="vm-propagation")),
    (None, False)])
def test_mount_in_the_container_reaches_the_host_only_from_a_shared_root(runtime, bundle, shared_source,
                                                                        propagation, arrives):
    bundle.mount("/mnt", shared_source, "bind", ["rbind", "rshared"])
    if propagation:
        bundle.linux.rootfs_propagation = propagation
    bundle.capabilities("CAP_SYS_ADMIN")
    runtime.run_detached(bundle)

    runtime.exec(bundle, ["testinit", "mount", "tmpfs", "/mnt/late", "tmpfs", "0"])
    try:
        assert any(m.point == str(shared_source / "late") for m in own_mounts()) == arrives
    finally:
        runtime.stop(bundle)
        hostmount.unmount(shared_source / "late")
