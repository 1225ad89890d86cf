# SPDX-License-Identifier: Apache-2.0
"""What exists in this lane: processes, mounts and control groups, to show that nothing is left."""

import os

from enginelib import command

CGROUP_ROOT = "/sys/fs/cgroup"


def processes():
    """{pid: command line} of every process of the lane but this one, its ancestors and kin."""
    found = {}
    own = set()
    pid = os.getpid()
    while pid > 0:
        own.add(pid)
        pid = _parent(pid)
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) in own:
            continue
        try:
            with open("/proc/%s/cmdline" % name, "rb") as f:
                line = f.read().replace(b"\0", b" ").decode("utf-8", "backslashreplace").strip()
            with open("/proc/%s/stat" % name, encoding="utf-8") as f:
                state = f.read().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            continue
        found[int(name)] = line or "[%s]" % state
    return found


def _parent(pid):
    try:
        with open("/proc/%d/stat" % pid, encoding="utf-8") as f:
            return int(f.read().rpartition(")")[2].split()[1])
    except FileNotFoundError:
        return 0


def catches(pid, signum):
    """Whether the process has a handler for the signal by now."""
    with open("/proc/%d/status" % pid, encoding="utf-8") as f:
        return int(command.fields(f.read())["SigCgt"], 16) >> (signum - 1) & 1


def mounts():
    """Mount points of this mount namespace, a list (a point can be there twice)."""
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        return sorted(line.split()[4] for line in f)


def cgroups():
    """Every control group below the lane's own, as 'CONTROLLER/path'."""
    found = set()
    for top, dirs, _ in os.walk(CGROUP_ROOT):
        for name in dirs:
            path = os.path.relpath(os.path.join(top, name), CGROUP_ROOT)
            if "/" in path:
                found.add(path)
    return found


def cgroup_file(controller, pid, name):
    """Content of a control file of the group that process pid is in."""
    with open(os.path.join(cgroup_of(controller, pid), name), encoding="utf-8") as f:
        return f.read().strip()


def cgroup_of(controller, pid):
    """The directory of the group of pid in a v1 hierarchy."""
    with open("/proc/%d/cgroup" % pid, encoding="utf-8") as f:
        for line in f:
            _, names, path = line.rstrip("\n").split(":", 2)
            if controller in names.split(","):
                return os.path.join(CGROUP_ROOT, controller, path.lstrip("/"))
    raise AssertionError("process %d is in no hierarchy of %s" % (pid, controller))


class Census:
    """A picture of the lane; `assert_nothing_new()` compares a later one with it."""

    def __init__(self):
        self.processes, self.mounts, self.cgroups = processes(), mounts(), cgroups()

    def new(self, allowed=lambda kind, name: False):
        """What exists now and did not then, as lines; allowed(kind, name) excuses one."""
        extra = ["process %d: %s" % (pid, line) for pid, line in processes().items()
                 if pid not in self.processes and not allowed("process", line)]
        rest = list(self.mounts)
        for point in mounts():
            if point in rest:
                rest.remove(point)
            elif not allowed("mount", point):
                extra.append("mount " + point)
        extra += ["cgroup " + path for path in sorted(cgroups() - self.cgroups)
                  if not allowed("cgroup", path)]
        return extra

    def assert_nothing_new(self, allowed=lambda kind, name: False, timeout=5):
        """Processes on their way out get timeout seconds, then anything new fails the test."""
        left = []

        def settled():
            left[:] = self.new(allowed)
            return not left
        try:
            command.eventually(settled, timeout)
        except AssertionError:
            raise AssertionError("left behind:\n  " + "\n  ".join(left)) from None
