# SPDX-License-Identifier: Apache-2.0
"""After each test the lane must look as before it: processes, mounts, cgroups, state, descriptors, network devices,
ids that a sandbox has locked."""

import errno
import fcntl
import os
import pathlib
import signal
import struct
import time

from . import cgroups

SETTLE_S = 8.0  # on a machine with other work, but less than the time limits after which something would go (10 s)
SENTINEL_NAME = "caisson-sentinel"


def processes():
    """Pids of the lane, without zombies that nobody has reaped yet."""
    return {int(entry) for entry in os.listdir("/proc") if entry.isdigit()}


def describe(pid):
    try:
        command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        status = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
        return f"{pid} {status.rsplit(')', 1)[1].split()[0]} {command or status.split(' (')[1]}"
    except OSError:
        return f"{pid} (gone)"


def mounts():
    """{what a mount stays: its line}. Its paths become others when a directory of them is renamed, which somebody
    outside may do: a lane begins with copies of what is mounted below /tmp and the caches."""
    lines = pathlib.Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    return {(*fields[:3], *fields[5:]): line for line in lines for fields in [line.split(" ")]}


OURS = "caisson"  # how the names of what the runtime makes beyond --root begin
LASTING = {"caisson", "caisson-it", "caisson-do", "caisson-kvm", "caisson-kvm.lock", "caisson-tsc"}
CACHES = {"@ids", "@seccomp", "@templates"}  # below --root: a name with @ cannot be a container's ID


def devices():
    """Network devices of the lane that are machines'."""
    return {name for name in os.listdir("/sys/class/net") if name.startswith(OURS)}


def run_files():
    """What the runtime could have left in /run."""
    return {f"/run/{name}" for name in os.listdir("/run") if name.startswith(OURS) and name not in LASTING}


def is_locked(path):
    """Whether somebody has a lock on any byte of a file."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        # struct flock: type, whence, start, len (0: to the end), pid.
        asked = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        return struct.unpack("hhqqi4x", fcntl.fcntl(fd, F_OFD_GETLK, asked))[0] != fcntl.F_UNLCK
    except OSError as failed:
        if failed.errno == errno.EINVAL:
            return False
        raise
    finally:
        os.close(fd)


F_OFD_GETLK = 36


def below(root):
    """What is in --root and should not be."""
    try:
        names = os.listdir(root)
    except FileNotFoundError:
        return []
    found = [f"state {root}/{name}" for name in names if name not in CACHES]
    if "@templates" in names:
        found += [f"template {name}" for name in os.listdir(f"{root}/@templates")]
    if is_locked(f"{root}/@ids"):
        found.append("ids of a sandbox")
    return found


def lasting_sentinels(pids):
    """Processes that go on holding a descriptor which the harness gave to the runtime and nobody
    else; one that is ending just now does not count."""
    deadline = time.monotonic() + SETTLE_S
    while (found := inherited_sentinels(pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def inherited_sentinels(pids):
    found = []
    for pid in pids:
        try:
            for fd in os.listdir(f"/proc/{pid}/fd"):
                if SENTINEL_NAME in os.readlink(f"/proc/{pid}/fd/{fd}"):
                    found.append(f"{describe(pid)} inherited descriptor {fd}")
        except OSError:
            continue
    return found


class Guard:
    """Taken before a test, asked after it. What is in `root` then is no leak."""

    def __init__(self, root=None):
        self.pids = processes()
        self.mounts = mounts()
        self.cgroups = cgroups.all_cgroups()
        self.devices, self.files = devices(), run_files()
        self.known = set(below(root)) if root else set()

    def new_pids(self):
        return processes() - self.pids

    def new_mounts(self):
        return [line for mount, line in mounts().items() if mount not in self.mounts]

    def _differences(self, root):
        found = [f"process {describe(pid)}" for pid in sorted(self.new_pids())]
        found += [f"mount {line}" for line in self.new_mounts()]
        found += [f"cgroup {path}" for path in sorted(cgroups.all_cgroups() - self.cgroups)]
        found += [f"network device {name}" for name in sorted(devices() - self.devices)]
        found += [f"file {name}" for name in sorted(run_files() - self.files)]
        return found + [one for one in below(root) if one not in self.known]

    def leaks(self, root):
        """What is left once everything had time to go."""
        deadline = time.monotonic() + SETTLE_S
        pause_s = 0.001
        while True:
            found = self._differences(root)
            if not found or time.monotonic() > deadline:
                return found
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, 0.05)

    def clean_up(self):
        """Remove what leaked, so that the next test does not pay for it."""
        cgroups.thaw_everything()
        for pid in self.new_pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for line in reversed(self.new_mounts()):
            os.system(f"umount -l '{line.split()[4]}' 2>/dev/null")
        time.sleep(0.05)
        cgroups.remove_all_but(self.cgroups)
