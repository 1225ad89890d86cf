# SPDX-License-Identifier: Apache-2.0
"""The host's processes of a machine of class vm, found while they are being made, and how far they are."""

import os
import pathlib

from . import cgroups
from .runtime import PATIENCE_S, wait_until

QEMU, FILES, SUPERVISOR = "qemu-system-x86", "virtiofsd", "caisson-vm"


def name_of(pid):
    """Its name, or "" when it is gone."""
    try:
        return pathlib.Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def children(pid):
    try:
        return [int(one) for one in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
    except OSError:
        return []


def below(pid):
    """A process and all that it has made."""
    found, left = [], [pid]
    while left:
        found.append(left.pop())
        left += children(found[-1])
    return found


def find(root, name):
    """The first process of a machine of this name at or below `root`, or None: not what probes for KVM."""
    left = [(root, "")]
    while left:
        pid, parent = left.pop()
        here = name_of(pid)
        if here == name and (name == SUPERVISOR or parent == SUPERVISOR or parent.startswith("caisson:[")):
            return pid
        left += [(child, here) for child in children(pid)]
    return None


def used_ms(pid):
    """Of CPU time, of all threads: how far a guest is, however busy the host."""
    used = 0
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            used += int(pathlib.Path(f"/proc/{pid}/task/{thread}/schedstat").read_text(encoding="ascii").split()[0])
    except (OSError, IndexError):
        pass
    return used // 1000000


def wait_for_moment(call, used, is_over, timeout_s=120):
    """Until QEMU below a call has used so many milliseconds, or the call has ended, or is_over()."""
    def reached():
        pid = find(call.pid, QEMU)
        return call.poll() is not None or pid and used_ms(pid) >= used or is_over()
    wait_until(reached, timeout_s, f"QEMU has worked for {used} ms")


def kill(pid):
    """SIGKILL. It may have gone meanwhile."""
    try:
        os.kill(pid, 9)
    except ProcessLookupError:
        pass


def wait_until_empty(path, timeout_s=PATIENCE_S):
    """Nothing of a container's cgroup lives any more."""
    def empty():
        try:
            return not cgroups.pids(path)
        except OSError:  # it goes meanwhile
            return True
    wait_until(empty, timeout_s, f"cgroup {path} is empty")
