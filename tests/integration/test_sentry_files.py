# SPDX-License-Identifier: Apache-2.0
"""Class sentry: where the files of a container are kept, and what of the host's they reach."""

import os
import stat

import pytest

from lib import hostmount
from lib.runtime import refused

pytestmark = pytest.mark.classes("sentry")
SELF = ("--overlay", "root:self")
MEMORY = ("--overlay", "root:memory")


def nameless_files(pid, device):
    """Sizes of the regular files without a name on that device that a process holds."""
    sizes = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            info = os.stat(f"/proc/{pid}/fd/{name}")
        except FileNotFoundError:
            continue
        if stat.S_ISREG(info.st_mode) and info.st_dev == device and info.st_nlink == 0:
            sizes.append(info.st_size)
    return sizes


def tree(directory):
    return sorted(os.path.join(at, name) for at, dirs, files in os.walk(directory) for name in dirs + files)


# --------------------------------------------------------------------------------------- --overlay=root:self


def test_root_self_keeps_data_in_nameless_files_on_the_roots_disk(runtime, bundle):
    before = tree(bundle.rootfs.path)
    bundle.process.args = ["sh", "-c", "dd if=/dev/zero of=/big bs=1024k count=3 2>/dev/null; echo small >/small; "
                           "echo changed >>/etc/hosts; echo written; sleep 100"]
    runtime.run(bundle, None, "-d", global_flags=SELF)
    runtime.wait_for_output(bundle, "written")

    sizes = nameless_files(runtime.state(bundle).pid, os.stat(bundle.rootfs.path).st_dev)
    assert 3 << 20 in sizes
    assert tree(bundle.rootfs.path) == before
    runtime.call("kill", bundle.id, "KILL")
    runtime.wait_for(bundle, "stopped")
    assert tree(bundle.rootfs.path) == before


def test_root_memory_keeps_nothing_on_the_roots_disk(runtime, bundle):
    bundle.process.args = ["sh", "-c", "dd if=/dev/zero of=/big bs=1024k count=3 2>/dev/null; echo written; sleep 100"]
    runtime.run(bundle, None, "-d", global_flags=MEMORY)
    runtime.wait_for_output(bundle, "written")

    assert nameless_files(runtime.state(bundle).pid, os.stat(bundle.rootfs.path).st_dev) == []


def test_data_of_root_self_reads_as_it_was_written(runtime, bundle):
    script = ("i=0; while [ $i -lt 300 ]; do echo line $i of a file that grows beyond a page >>/text; i=$((i+1)); done; "
              "cp /text /copy; dd if=/copy of=/part bs=1 skip=5000 count=40 2>/dev/null; cmp /text /copy && wc -l </copy; "
              "cat /part; echo; rm /text; tail -n 1 /copy; : >/copy; wc -c </copy")
    out = {}
    for flags in (SELF, MEMORY):
        out[flags] = runtime.run(bundle, ["sh", "-c", script], global_flags=flags).stdout
    assert out[SELF] == out[MEMORY]
    assert out[SELF].startswith("300\n") and out[SELF].endswith("line 299 of a file that grows beyond a page\n0\n")


def test_disk_of_root_self_is_the_roots(runtime, bundle):
    hostmount.mount("tmpfs", bundle.rootfs.path / "tmp", "tmpfs")  # the lane's own; not seen as a limit
    try:
        blocks = os.statvfs(bundle.rootfs.path).f_blocks
        out = runtime.run(bundle, ["sh", "-c", "stat -f -c %b /"], global_flags=SELF).stdout
    finally:
        hostmount.unmount(bundle.rootfs.path / "tmp")
    assert int(out) == blocks


def test_root_self_of_a_root_that_cannot_be_written_is_an_error(runtime, bundle):
    top = bundle.rootfs.path
    hostmount.mount(top, top, None, hostmount.MS_BIND)
    hostmount.mount(None, top, None, hostmount.MS_BIND | 32 | hostmount.MS_RDONLY)
    try:
        refused(runtime, runtime.create(bundle, check=False, global_flags=SELF),
                "overlay root:self: make a file on the root's disk: Read-only file system")
        assert runtime.run(bundle, ["sh", "-c", "echo >/new && echo done"], global_flags=MEMORY).stdout == "done\n"
    finally:
        hostmount.unmount(top)
