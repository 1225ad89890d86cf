# SPDX-License-Identifier: Apache-2.0
"""After each test the lane must look as before it: processes, mounts, cgroups, state, descriptors."""

import os
import pathlib
import signal
import time

from . import cgroups

SETTLE_S = 3.0
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
    return pathlib.Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()


def lasting_sentinels(pids):
    """Processes that go on holding a descriptor which the harness gave to the runtime and nobody
    else; one that is ending just now does not count."""
    for _ in range(20):
        found = inherited_sentinels(pids)
        if not found:
            break
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
    """Taken before a test, asked after it."""

    def __init__(self):
        self.pids = processes()
        self.mounts = set(mounts())
        self.cgroups = cgroups.all_cgroups()
        self.template = None

    def new_pids(self):
        return processes() - self.pids

    def _differences(self, root):
        found = [f"process {describe(pid)}" for pid in sorted(self.new_pids())]
        found += [f"mount {line}" for line in mounts() if line not in self.mounts]
        found += [f"cgroup {path}" for path in sorted(cgroups.all_cgroups() - self.cgroups)]
        try:
            # A name with @ cannot be a container's ID: a cache of the runtime.
            found += [f"state {root}/{name}" for name in os.listdir(root) if not name.startswith("@")]
        except FileNotFoundError:
            pass
        return found

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
        for line in reversed([m for m in mounts() if m not in self.mounts]):
            os.system(f"umount -l '{line.split()[4]}' 2>/dev/null")
        time.sleep(0.05)
        cgroups.remove_all_but(self.cgroups)
