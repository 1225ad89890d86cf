# SPDX-License-Identifier: Apache-2.0
"""Class vm: who is root in a machine asks virtiofsd for what lies outside the share, as far as Linux inside lets him:
nothing there is seen, and nothing there changes."""

import os
import stat

import pytest

from lib import hostile

pytestmark = [pytest.mark.classes("vm"), pytest.mark.beyond("runc", "crun", reason="have no machines")]
WAIT_S = 60
SECRET, NAME = "s3cret-of-the-host", "hidden-name"


def facts(directory):
    """Everything below a directory that a guest could have changed."""
    found = {}
    for path in sorted([directory, *directory.rglob("*")]):
        info = path.lstat()
        found[str(path)] = (info.st_mode, info.st_uid, info.st_gid, info.st_nlink, info.st_size, info.st_mtime_ns,
                            info.st_ctime_ns, os.listxattr(path, follow_symlinks=False),
                            path.read_bytes() if path.is_file() else b"")
    return found


@pytest.fixture
def outside(work_dir):
    """A directory of the host beside the volume."""
    directory = work_dir / "outside"
    (directory / "deeper").mkdir(parents=True)
    for path in (directory / NAME, directory / "deeper" / NAME):
        path.write_text(SECRET)
    return directory


@pytest.fixture
def shared(runtime, bundle, work_dir, outside):
    """A container with all capabilities, whose volume has links that lead out of it."""
    volume = work_dir / "volume"
    (volume / "inner").mkdir(parents=True)
    (volume / "inner/absolute").symlink_to(outside)
    (volume / "inner/relative").symlink_to("../../outside")
    (volume / "inner/file").symlink_to(outside / NAME)
    (volume / "inner/above").symlink_to("../../../../../../../..")
    bundle.bind(volume, "/volume")
    bundle.all_capabilities()
    hostile.install(bundle)
    config = work_dir / "caisson.json"
    config.write_text('{"vm.debug_console": "true"}', encoding="ascii")
    runtime.run_detached(bundle, env={"CAISSON_CONFIG": str(config)})
    return volume


def attack(runtime, bundle, script):
    """As root in the container and as root of the machine. Returns what both have said."""
    said = ""
    for words in (("exec", bundle.id), ("debug", bundle.id, "console", "--")):
        result = runtime.call(*words, "/bin/sh", "-c", script, check=False, timeout_s=WAIT_S)
        said += result.stdout + result.stderr
    return said


def test_links_lead_nowhere_of_the_host(runtime, bundle, shared, outside):
    before = facts(outside)
    said = attack(runtime, bundle, f"""
        cd /volume/inner
        for link in absolute relative above absolute/deeper relative/deeper; do
            ls -R $link/{NAME} $link/outside; cat $link/{NAME}; echo x >$link/made
        done
        cat file; echo x >>file; chown -h 7:7 file absolute relative; touch -h -d 2001-01-01 file absolute
        ln absolute hard; ln file hard-file; cat hard-file hard/{NAME}; chmod 777 file absolute; chown 7:7 file
        mv absolute moved; mv moved absolute""")

    assert SECRET not in said
    assert facts(outside) == before
    assert (shared / "inner/file").lstat().st_uid == 7, "the link itself is the guest's"


def test_handles_of_a_guest_open_what_is_shared_alone(runtime, bundle, shared, outside):
    """Its kernel asks for "." of nodes that it has made up, and for "..": of the share, and of the share's root."""
    before = facts(outside)
    said = attack(runtime, bundle, "hostile handles /volume 100; hostile handles / 100")

    assert said.count("opened") >= 2, said[:2000]
    assert "own has inner" in said
    assert SECRET not in said and NAME not in said and "outside" not in said
    assert not {f"has {name}" for name in ("logs", "root.lock", "state.json", "boot", "lost+found")} & set(said.split("\n"))
    assert facts(outside) == before


def test_whole_share_mounted_once_more_has_no_more_than_the_container(runtime, bundle, shared, outside):
    before = facts(outside)
    said = attack(runtime, bundle, f"""
        mkdir -p /tmp/again; mount -t virtiofs caisson /tmp/again && cd /tmp/again && find . | head -2000
        ls -la ..; ls ../..; find /tmp/again/../.. -maxdepth 2 -name '{NAME}'""")

    assert SECRET not in said and NAME not in said
    assert facts(outside) == before


def test_nodes_attributes_and_bits_of_a_guest_reach_no_further(runtime, bundle, shared, outside):
    """setxattr(2) is call 188 of x86-64. A device is none at the host; attributes that the host's kernel obeys are
    not to be set."""
    before = facts(outside)
    said = attack(runtime, bundle, """
        cd /volume
        for node in "b 8 0" "c 1 1" "b 7 0" "c 10 232"; do testinit mknod /volume/node-${node%% *} $node; done
        echo x >plain
        for name in security.selinux security.ima security.evm security.apparmor system.nfs4_acl; do
            testinit syscall 188 @/volume/plain @$name @value 5 0
        done""")

    assert "errno EPERM" in said and "ret 0" not in said
    assert not [path for path in shared.rglob("*") if stat.S_ISBLK(path.lstat().st_mode) or stat.S_ISCHR(path.lstat().st_mode)]
    listed = os.listxattr(shared / "plain")
    assert not [name for name in listed if name.startswith(("security.", "trusted.", "system."))], listed
    assert facts(outside) == before
