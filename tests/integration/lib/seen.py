# SPDX-License-Identifier: Apache-2.0
"""What `testinit report` printed, in the form that tests ask about it."""

import os


class Mount:
    """One line of mountinfo: point, root, fstype, source, options, super_options, propagation."""

    def __init__(self, line):
        left, right = line.split(" - ", 1)
        fields = left.split()
        self.root, self.point = fields[3], fields[4]
        self.options = set(fields[5].split(","))
        self.propagation = fields[6:]
        self.fstype, self.source, super_options = right.split(" ", 2)
        self.super_options = set(super_options.split(","))

    def __repr__(self):
        return (f"Mount({self.point} {self.fstype} {self.source} {sorted(self.options)} "
                f"{self.propagation} {sorted(self.super_options)})")


def mounts(report):
    return [Mount(line) for line in report["mountinfo"].splitlines()]


def mount(report, point):
    """The topmost mount at that place."""
    found = [m for m in mounts(report) if m.point == point]
    assert found, f"nothing is mounted at {point}: {report['mountinfo']}"
    return found[-1]


NAMESPACE_LINKS = {"network": "net", "mount": "mnt"}


def namespace_path(kind, pid="self"):
    return f"/proc/{pid}/ns/{NAMESPACE_LINKS.get(kind, kind)}"


def namespace(kind, pid="self"):
    """The identity of a process's namespace, such as `uts:[4026532001]`."""
    return os.readlink(namespace_path(kind, pid))


def namespace_in(report, kind):
    return report["namespaces"][NAMESPACE_LINKS.get(kind, kind)]
