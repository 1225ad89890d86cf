# SPDX-License-Identifier: Apache-2.0
"""What pods leave on a node: the lane's census, and files, sockets, links, addresses, snapshots and containerd's own
descriptors and memory."""

import os

from enginelib import census, command
from enginelib.containerd import NAMESPACE, RUN_DIR

SOCKETS = RUN_DIR + "/s"
BUNDLES = "%s/io.containerd.runtime.v2.task/%s" % (RUN_DIR, NAMESPACE)
# Of containerd and CNI, once for a node: a lock, and the address that was given out last.
OF_THE_NODE = ("/lock", "/last_reserved_ip.0")
# Parents of cgroups that containerd leaves to the machine: of ctr's containers and of a kubelet's pods.
PARENTS = {NAMESPACE, "kubepods"}


def files():
    """Every path below /run, which is the lane's own."""
    found = set()
    for top, directories, names in os.walk("/run"):
        found.update(os.path.join(top, name) for name in directories + names)
    return {path for path in found if not path.endswith(OF_THE_NODE)}


def links():
    """Network devices of the lane's own network namespace."""
    return set(os.listdir("/sys/class/net"))


def descriptors(pid):
    """How many a process has open."""
    return len(os.listdir("/proc/%d/fd" % pid))


def anonymous_kib(pid):
    """Memory of a process that no file backs, whoever else has it since a fork: program text is its own or shared as
    other programs come and go."""
    with open("/proc/%d/smaps_rollup" % pid, encoding="utf-8") as f:
        return int(command.fields(f.read())["Anonymous"].split()[0])


class Remains:
    """A picture of a node without pods; `assert_none()` compares a later one with it. containerd's own process, which may
    have been started anew meanwhile, is no remains."""

    def __init__(self, containerd):
        self.containerd = containerd
        self.files, self.links, self.snapshots = files(), links(), self._snapshots()
        self.processes, self.mounts, self.cgroups = set(census.processes()), census.mounts(), census.cgroups()

    def _snapshots(self):
        lines = self.containerd.ctr("snapshots", "list").lines()[1:]
        return {line.split()[0] for line in lines}

    def found(self):
        """What is there now and was not then, as lines."""
        own = self.processes | {self.containerd.daemon.proc.pid}
        left = ["process %d: %s" % (pid, line) for pid, line in census.processes().items() if pid not in own]
        rest = list(self.mounts)
        for point in census.mounts():
            if point in rest:
                rest.remove(point)
            else:
                left.append("mount " + point)
        left += ["cgroup " + path for path in sorted(census.cgroups() - self.cgroups)
                 if path.split("/", 1)[1] not in PARENTS]
        left += ["file " + path for path in sorted(files() - self.files)]
        left += ["link " + name for name in sorted(links() - self.links)]
        left += ["snapshot " + key for key in sorted(self._snapshots() - self.snapshots)]
        return left

    def assert_none(self, excused=lambda line: False, timeout=30, why=""):
        """What is on its way out gets timeout seconds; excused(line) says what is somebody else's."""
        left = []

        def settled():
            left[:] = [line for line in self.found() if not excused(line)]
            return not left
        try:
            command.eventually(settled, timeout, interval=0.1)
        except AssertionError:
            raise AssertionError("left behind %s:\n  %s" % (why, "\n  ".join(left))) from None
