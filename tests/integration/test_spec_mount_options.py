# SPDX-License-Identifier: Apache-2.0
"""mounts[].options beyond mount(2): recursive attributes, tmpcopyup, links, mapped owners."""

import os
import stat

import pytest

from lib import hostmount, seen
from lib.runtime import refused

pytestmark = pytest.mark.classes("ns", "sentry", "vm")
WORDING = pytest.mark.beyond("runc", "crun", reason="our wording: the field and what is wrong with it")
NEWER = pytest.mark.beyond("runc", reason="not in 1.1")
CRUNS = pytest.mark.beyond("runc", reason="an option of crun")


@pytest.fixture
def tree(bundle):
    """A mount with a mount below it, each with a file of user 0 and of user 7."""
    path = bundle.path / "tree"
    path.mkdir()
    for directory in (path, path / "sub"):
        directory.mkdir(exist_ok=True)
        hostmount.mount("tmpfs", directory, "tmpfs")
        for name, owner in (("root", 0), ("seven", 7)):
            (directory / name).write_text(name)
            os.chown(directory / name, owner, owner + 1)
    yield path
    hostmount.unmount(path / "sub")
    hostmount.unmount(path)


# ----------------------------------------------------------------------------------- recursive attributes

RECURSIVE = [("rro", "ro"), ("rnosuid", "nosuid"), ("rnodev", "nodev"), ("rnoexec", "noexec"),
             ("rnoatime", "noatime"), ("rnodiratime", "nodiratime"), ("rrelatime", "relatime"),
             pytest.param("rnosymfollow", "nosymfollow", marks=NEWER)]


@pytest.mark.parametrize("option,shown", RECURSIVE)
def test_recursive_option_is_set_on_every_mount_below(runtime, bundle, tree, option, shown):
    bundle.mount("/mnt", tree, "bind", ["rbind", option])

    report = runtime.run(bundle, ["report"]).report
    assert shown in seen.mount(report, "/mnt").options
    assert shown in seen.mount(report, "/mnt/sub").options


@pytest.mark.parametrize("option,back,hidden", [
    ("rro", "rrw", "ro"), ("rnosuid", "rsuid", "nosuid"), ("rnodev", "rdev", "nodev"),
    ("rnoexec", "rexec", "noexec"), pytest.param("rnoatime", "ratime", "noatime", marks=NEWER),
    ("rnodiratime", "rdiratime", "nodiratime"),
    pytest.param("rnosymfollow", "rsymfollow", "nosymfollow", marks=NEWER)])
def test_recursive_opposite_clears_it_below(runtime, bundle, tree, option, back, hidden):
    flags = {"ro": hostmount.MS_RDONLY, "nosuid": hostmount.MS_NOSUID, "nodev": hostmount.MS_NODEV,
             "noexec": hostmount.MS_NOEXEC, "noatime": 1024, "nodiratime": 2048, "nosymfollow": 256}[hidden]
    hostmount.mount(None, tree / "sub", None, 32 | hostmount.MS_BIND | flags)
    bundle.mount("/kept", tree, "bind", ["rbind"])
    words = [back] if runtime.kind == "runc" else [option, back]  # 1.1 sends both to the kernel
    bundle.mount("/cleared", tree, "bind", ["rbind", *words])

    report = runtime.run(bundle, ["report"]).report
    assert hidden in seen.mount(report, "/kept/sub").options
    assert hidden not in seen.mount(report, "/cleared/sub").options


@pytest.mark.parametrize("options,wanted", [
    (["rnoatime", "rstrictatime"], set()), (["rnoatime", "rrelatime"], {"relatime"}),
    (["rstrictatime", "rnoatime"], {"noatime"}), (["rstrictatime", "rnostrictatime"], {"relatime"}),
    (["rnoatime", "rnostrictatime"], {"noatime"}), (["rnoatime", "rnorelatime"], {"noatime"})])
@NEWER
def test_recursive_access_time_is_one_choice(runtime, bundle, tree, options, wanted):
    bundle.mount("/mnt", tree, "bind", ["rbind", *options])

    shown = seen.mount(runtime.run(bundle, ["report"]).report, "/mnt/sub").options
    assert shown & {"relatime", "noatime", "strictatime"} == wanted


def test_ro_leaves_the_mounts_below_writable_and_rro_does_not(runtime, bundle, tree):
    bundle.mount("/top", tree, "bind", ["rbind", "ro"])
    bundle.mount("/all", tree, "bind", ["rbind", "rro"])

    out = runtime.run(bundle, ["sh", "-c", "echo >/top/sub/written; echo >/all/sub/refused; echo >/top/x"],
                      check=False)
    assert "/all/sub/refused: Read-only" in out.stderr and "/top/x: Read-only" in out.stderr
    assert (tree / "sub/written").exists() and not (tree / "sub/refused").exists()


# ---------------------------------------------------------------------------------------------- tmpcopyup


def test_tmpcopyup_fills_the_tmpfs_with_what_it_covers(runtime, bundle):
    files = bundle.rootfs
    files.write("data/plain", "text", 0o640)
    files.write("data/deep/er/file", "deep")
    files.symlink("data/link", "plain")
    os.chown(files / "data/plain", 12, 34)
    os.utime(files / "data/plain", (1000000000, 1000000000))
    if runtime.kind != "runc":
        os.mkfifo(files / "data/pipe")  # runc 1.1 fails to copy one
    (files / "data/empty").mkdir(mode=0o1770)
    os.setxattr(files / "data/plain", "user.note", b"kept")
    bundle.mount("/data", "tmpfs", "tmpfs", ["tmpcopyup"])
    bundle.process.cwd = "/data"
    bundle.capabilities("CAP_DAC_OVERRIDE")

    names = ["plain", "deep/er/file", "link", "empty"] + (["pipe"] if runtime.kind != "runc" else [])
    out = runtime.run(bundle, ["sh", "-c", "cat plain; echo; cat deep/er/file; echo; readlink link; "
                               f"echo $(ls -A); testinit stat {' '.join(names)}"]).stdout
    plain, deep, link, listing, *stats = out.splitlines()
    assert (plain, deep, link) == ("text", "deep", "plain")
    assert sorted(listing.split()) == sorted(os.listdir(files / "data"))
    modes = {line.split()[0]: line.split()[1:4] for line in stats}
    assert modes["plain"] == ["mode=100640", "uid=12", "gid=34"]
    assert modes["empty"][0] == "mode=41750"
    assert runtime.kind == "runc" or modes["pipe"][0].startswith("mode=10")


def test_tmpcopyup_fills_a_tmpfs_that_is_then_read_only(runtime, bundle):
    bundle.rootfs.write("data/f", "kept")
    bundle.mount("/data", "tmpfs", "tmpfs", ["tmpcopyup", "ro"])

    result = runtime.run(bundle, ["sh", "-c", "cat /data/f; echo x > /data/g"], check=False)
    assert result.stdout == "kept" and "Read-only file system" in result.stderr


def test_what_is_written_over_tmpcopyup_stays_in_the_tmpfs(runtime, bundle):
    bundle.rootfs.write("data/file", "image")
    bundle.mount("/data", "tmpfs", "tmpfs", ["tmpcopyup"])

    out = runtime.run(bundle, ["sh", "-c", "cat /data/file; echo changed >/data/file; echo >/data/new"]).stdout
    assert out == "image" and bundle.rootfs.read("data/file") == "image"
    assert not bundle.rootfs.exists("data/new")


def test_tmpcopyup_follows_no_link_out_of_the_root(runtime, bundle, work_dir):
    secret = work_dir / "secret"
    secret.mkdir()
    (secret / "file").write_text("host")
    bundle.rootfs.symlink("data", str(secret))
    bundle.mount("/data", "tmpfs", "tmpfs", ["tmpcopyup"])

    result = runtime.run(bundle, ["sh", "-c", "ls -A /data/"], check=False)
    assert "file" not in result.stdout


@WORDING
def test_tmpcopyup_is_for_a_tmpfs(runtime, bundle, tree):
    bundle.mount("/mnt", "ramfs", "ramfs", ["tmpcopyup"])

    refused(runtime, runtime.create(bundle, check=False), "mount ramfs at /mnt: tmpcopyup is for a tmpfs")


# -------------------------------------------------------------------------------------------------- links


@CRUNS
def test_copy_symlink_makes_the_link_itself(runtime, bundle, work_dir):
    link = work_dir / "localtime"
    link.symlink_to("../usr/share/zoneinfo/UTC")
    bundle.mount("/etc/localtime", link, "bind", ["bind", "copy-symlink"])

    out = runtime.run(bundle, ["readlink", "/etc/localtime"]).stdout
    assert out == "../usr/share/zoneinfo/UTC\n"


@CRUNS
def test_copy_symlink_binds_what_is_no_link(runtime, bundle, tree):
    bundle.mount("/etc/localtime", tree / "root", "bind", ["bind", "copy-symlink"])

    assert runtime.run(bundle, ["cat", "/etc/localtime"]).stdout == "root"


@CRUNS
def test_src_nofollow_does_not_follow_the_source(runtime, bundle, tree, work_dir):
    link = work_dir / "link"
    link.symlink_to(tree / "root")
    bundle.mount("/followed", link, "bind", ["bind"])
    assert runtime.run(bundle, ["cat", "/followed"]).stdout == "root"

    bundle.mount("/kept", link, "bind", ["bind", "src-nofollow"])
    result = runtime.run(bundle, ["readlink", "/kept"], check=False)
    assert result.stdout.strip() == str(tree / "root") or result.returncode != 0
    assert "root" != result.stdout


@CRUNS
def test_dest_nofollow_does_not_follow_the_destination(runtime, bundle, tree):
    bundle.rootfs.write("real", "image")
    bundle.rootfs.symlink("alias", "real")
    bundle.mount("/alias", tree / "root", "bind", ["bind", "dest-nofollow"])

    out = runtime.run(bundle, ["cat", "/real"], check=False)
    assert "root" not in out.stdout


# -------------------------------------------------------------------------------------------------- idmap


def owners(runtime, bundle, *names):
    out = runtime.run(bundle, ["testinit", "stat", *names]).stdout
    fields = [dict(f.split("=") for f in line.split()[1:]) for line in out.splitlines()]
    return [(int(f["uid"]), int(f["gid"])) for f in fields]


def maps(inside, outside, size):
    return [{"containerID": inside, "hostID": outside, "size": size}]


@NEWER
def test_mappings_of_a_mount_show_other_owners(runtime, bundle, tree):
    bundle.mount("/mnt", tree, "bind", ["bind", "idmap"], uidMappings=maps(0, 1000, 10),
                 gidMappings=maps(0, 2000, 20))

    assert owners(runtime, bundle, "/mnt/root", "/mnt/seven") == [(1000, 2001), (1007, 2008)]


@NEWER
def test_mappings_alone_ask_for_an_idmapped_mount(runtime, bundle, tree):
    bundle.mount("/mnt", tree, "bind", ["bind"], uidMappings=maps(0, 1000, 10),
                 gidMappings=maps(0, 2000, 20))

    assert owners(runtime, bundle, "/mnt/seven") == [(1007, 2008)]


@NEWER
def test_owner_outside_of_the_mapping_is_nobody(runtime, bundle, tree):
    bundle.mount("/mnt", tree, "bind", ["bind", "idmap"], uidMappings=maps(0, 1000, 5),
                 gidMappings=maps(0, 2000, 5))

    assert owners(runtime, bundle, "/mnt/root", "/mnt/seven") == [(1000, 2001), (65534, 65534)]


@NEWER
def test_several_ranges_map_each_its_ids(runtime, bundle, tree):
    bundle.mount("/mnt", tree, "bind", ["bind", "idmap"],
                 uidMappings=maps(0, 1000, 1) + maps(7, 3000, 1),
                 gidMappings=maps(1, 1000, 1) + maps(8, 4000, 1))

    assert owners(runtime, bundle, "/mnt/root", "/mnt/seven") == [(1000, 1000), (3000, 4000)]


@NEWER
@pytest.mark.parametrize("option,below", [("idmap", (7, 8)), ("ridmap", (1007, 1008))])
def test_ridmap_maps_the_mounts_below_and_idmap_does_not(runtime, bundle, tree, option, below):
    bundle.mount("/mnt", tree, "bind", ["rbind", option], uidMappings=maps(0, 1000, 10),
                 gidMappings=maps(0, 1000, 10))

    assert owners(runtime, bundle, "/mnt/seven", "/mnt/sub/seven") == [(1007, 1008), below]


@NEWER
def test_idmap_without_mappings_takes_those_of_the_container(runtime, bundle, tree):
    bundle.user_namespace(100000)
    bundle.mount("/plain", tree, "bind", ["bind"])
    bundle.mount("/mnt", tree, "bind", ["bind", "idmap"])

    assert owners(runtime, bundle, "/plain/seven", "/mnt/seven") == [(65534, 65534), (7, 8)]


@NEWER
def test_writer_in_an_idmapped_mount_owns_by_the_inner_id(runtime, bundle, tree):
    bundle.user_namespace(100000)
    bundle.mount("/mnt", tree, "bind", ["bind", "idmap"])

    runtime.run(bundle, ["sh", "-c", "echo >/mnt/new"])
    assert (os.stat(tree / "new").st_uid, os.stat(tree / "new").st_gid) == (0, 0)


@NEWER
@pytest.mark.parametrize("option", ["idmap=uids=0-1000-10;gids=0-2000-10",
                                    "ridmap=uids=0-1000-10;gids=0-2000-10"])
@CRUNS
def test_idmap_takes_mappings_in_the_option_as_crun_does(runtime, bundle, tree, option):
    bundle.mount("/mnt", tree, "bind", ["rbind", option])

    below = (1007, 2008) if option.startswith("r") else (7, 8)
    assert owners(runtime, bundle, "/mnt/seven", "/mnt/sub/seven") == [(1007, 2008), below]


@CRUNS
def test_idmap_option_counts_from_the_containers_mapping_with_an_at(runtime, bundle, tree):
    bundle.user_namespace(100000)
    bundle.mount("/mnt", tree, "bind", ["bind", "idmap=uids=@7-0-1;gids=@8-0-1"])

    assert owners(runtime, bundle, "/mnt/seven") == [(0, 0)]


@NEWER
def test_new_file_system_can_be_idmapped(runtime, bundle):
    bundle.mount("/mnt", "tmpfs", "tmpfs", ["idmap"], uidMappings=maps(0, 1000, 10),
                 gidMappings=maps(0, 2000, 10))

    assert owners(runtime, bundle, "/mnt") == [(1000, 2000)]


@WORDING
@pytest.mark.parametrize("more,options,text", [
    ({"uidMappings": maps(0, 0, 1)}, [], "mounts[6]: uidMappings and gidMappings must be given together"),
    ({"gidMappings": maps(0, 0, 1)}, [], "mounts[6]: uidMappings and gidMappings must be given together"),
    ({"uidMappings": maps(0, 0, 0), "gidMappings": maps(0, 0, 1)}, [], "mounts[6].uidMappings[0].size"),
    ({"uidMappings": maps(0, 0, 1), "gidMappings": maps(0, -1, 1)}, [], "mounts[6].gidMappings[0].hostID"),
    ({"uidMappings": maps(0, 0, 1), "gidMappings": maps("0", 0, 1)}, [],
     "mounts[6].gidMappings[0].containerID"),
    ({"uidMappings": maps(2 ** 32, 0, 1), "gidMappings": maps(0, 0, 1)}, [],
     "mounts[6].uidMappings[0].containerID"),
    ({"uidMappings": maps(0, 2 ** 32 - 1, 2), "gidMappings": maps(0, 0, 1)}, [],
     "mounts[6].uidMappings[0].size"),
    ({"uidMappings": maps(0, 0, 1), "gidMappings": maps(0, 0, -1)}, [], "mounts[6].gidMappings[0].size"),
    ({}, ["idmap"], "mounts: /mnt: idmap without mappings"),
    ({}, ["idmap="], 'mount option idmap: ""'),
    ({}, ["idmap=uids=0-0"], 'mount option idmap: "uids=0-0"'),
    ({}, ["idmap=uids=0-0-1;gids=0-0-x"], "mount option idmap"),
])
def test_malformed_mapping_is_refused_by_its_path(runtime, bundle, tree, more, options, text):
    bundle.mount("/mnt", tree, "bind", ["bind", *options], **more)

    refused(runtime, runtime.create(bundle, check=False), text)


@WORDING
def test_file_system_that_cannot_be_idmapped_is_named(runtime, bundle):
    bundle.mount("/mnt", "proc", "proc", ["idmap"], uidMappings=maps(0, 1000, 10),
                 gidMappings=maps(0, 1000, 10))

    refused(runtime, runtime.create(bundle, check=False), "mount proc at /mnt: idmap: ")
