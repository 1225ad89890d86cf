# SPDX-License-Identifier: Apache-2.0
"""What exists in this lane: processes, mounts and control groups, to show that nothing is left."""

import math
import os
import signal
import time

from enginelib import command

CGROUP_ROOT = "/sys/fs/cgroup"
UNIFIED = os.path.exists(CGROUP_ROOT + "/cgroup.controllers")  # v2 alone
SESSION = "./session"  # of tests/lane on v2: the group of all that is no container's
# With CAISSON_VM_TEMPLATES=on the keeper of the session's template is there all the time.
TEMPLATE = "caisson-template" if os.environ.get("CAISSON_VM_TEMPLATES") == "on" else None


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
        if not TEMPLATE or not line.startswith(TEMPLATE):
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


def hierarchies():
    """Directories of the hierarchies: of v1 one for each controller, of v2 one."""
    return [CGROUP_ROOT] if UNIFIED else [os.path.join(CGROUP_ROOT, name) for name in os.listdir(CGROUP_ROOT)]


def cgroups():
    """Every control group below the lane's own, as 'CONTROLLER/path'; of v2 './path'."""
    found = set()
    for top, dirs, _ in os.walk(CGROUP_ROOT):
        for name in dirs:
            path = os.path.relpath(os.path.join(top, name), CGROUP_ROOT)
            if UNIFIED:
                path = "./" + path
            if "/" in path and path != SESSION and not (TEMPLATE and TEMPLATE in path):
                found.add(path)
    return found


def cgroup_file(controller, pid, name):
    """Content of a control file of the group that process pid is in."""
    with open(os.path.join(cgroup_of(controller, pid), name), encoding="utf-8") as f:
        return f.read().strip()


def cgroup_of(controller, pid):
    """The directory of the group of pid in the hierarchy that has the controller."""
    with open("/proc/%d/cgroup" % pid, encoding="utf-8") as f:
        for line in f:
            number, names, path = line.rstrip("\n").split(":", 2)
            if UNIFIED and number == "0":
                return os.path.join(CGROUP_ROOT, path.lstrip("/"))
            if controller in names.split(","):
                return os.path.join(CGROUP_ROOT, controller, path.lstrip("/"))
    raise AssertionError("process %d is in no hierarchy of %s" % (pid, controller))


def memory_limit(pid):
    """In bytes."""
    return int(cgroup_file("memory", pid, "memory.max" if UNIFIED else "memory.limit_in_bytes"))


def cpu_limit(pid):
    """(quota, period) in microseconds."""
    if UNIFIED:
        return tuple(map(int, cgroup_file("cpu", pid, "cpu.max").split()))
    return tuple(int(cgroup_file("cpu", pid, "cpu.cfs_%s_us" % name)) for name in ("quota", "period"))


def has_cpu_shares(pid, shares):
    """Whether the group has these shares of v1, on v2 as the weight on the curve that runc and crun follow."""
    if UNIFIED:
        log = math.log2(shares)
        return int(cgroup_file("cpu", pid, "cpu.weight")) == math.ceil(10 ** ((log * log + 125 * log) / 612 - 7 / 34))
    return int(cgroup_file("cpu", pid, "cpu.shares")) == shares


def is_frozen(pid):
    if UNIFIED:
        return "frozen 1" in cgroup_file("freezer", pid, "cgroup.events").splitlines()
    return cgroup_file("freezer", pid, "freezer.state") == "FROZEN"


def assert_gone(groups, pids, timeout=30):
    """Demand that nothing is left of containers, within timeout seconds.

    groups() and pids() name what is left now. Whatever still is fails the test, and is ended and
    removed first, so that the next test starts clean.
    """
    end = time.monotonic() + timeout * command.PATIENCE
    while (pids() or groups()) and time.monotonic() < end:
        time.sleep(0.05)
    lines = processes()
    left_pids, left_groups = sorted(pids()), sorted(groups())
    if not left_pids and not left_groups:
        return
    _clear(left_groups, left_pids)
    raise AssertionError("left of a container:\n  " + "\n  ".join(
        left_groups + ["process %d: %s" % (pid, lines.get(pid, "?")) for pid in left_pids]))


def _clear(groups, pids):
    paths = sorted((os.path.join(CGROUP_ROOT, path) for path in groups), reverse=True)
    for path in paths:
        _try_write(os.path.join(path, "freezer.state"), "THAWED")
        _try_write(os.path.join(path, "cgroup.freeze"), "0")
    for path in paths:
        with open(os.path.join(path, "cgroup.procs"), encoding="utf-8") as f:
            pids = pids + [int(pid) for pid in f.read().split()]
    for pid in set(pids):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    for _ in range(40):
        for path in paths:
            try:
                os.rmdir(path)
            except OSError:
                pass
        if not any(os.path.exists(path) for path in paths):
            return
        time.sleep(0.05)


def _try_write(path, text):
    if os.path.exists(path):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)


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

    def assert_nothing_new(self, allowed=lambda kind, name: False, timeout=30):
        """Processes on their way out get timeout seconds, then anything new fails the test."""
        left = []

        def settled():
            left[:] = self.new(allowed)
            return not left
        try:
            command.eventually(settled, timeout)
        except AssertionError:
            raise AssertionError("left behind:\n  " + "\n  ".join(left)) from None
