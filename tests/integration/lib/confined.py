# SPDX-License-Identifier: Apache-2.0
"""A verb that survives a fault must confine its process as without the fault: run and exec of a process
that reports all it sees of itself."""

import json
import re

from .faults import Verb
from .verbs import VERBS

# Fields of testinit's report that differ from run to run.
VARYING = ("pid", "ppid", "pgid", "sid", "monotonic_s", "boottime_s", "namespaces", "status")


def normal(report):
    """What a process sees of itself, without what differs from run to run."""
    seen = {k: v for k, v in report.items() if k not in VARYING}
    # HOME is / where passwd cannot be read.
    seen["env"] = [e for e in report["env"] if not e.startswith("HOME=")]
    seen["fds"] = sorted(report["fds"])
    # Identifiers of mounts and devices; siblings come in the order in which they were opened.
    lines = (re.sub(r"(master|shared|propagate_from):\d+", r"\1", line) for line in seen["mountinfo"].splitlines())
    seen["mountinfo"] = sorted(re.sub(r"^\d+ \d+ \d+:\d+ ", "", line) for line in lines)
    return seen


# A user namespace that may not mount sysfs gets the host's, as with crun.
MOUNT_CALLS = ("fsopen", "fsconfig", "fsmount", "mount")


def tolerant(seen, syscall):
    """Without what has a stand-in where the kernel refuses it."""
    mounts = seen["mountinfo"]
    if syscall in MOUNT_CALLS:
        mounts = [line for line in mounts if " /sys" not in line]
    if syscall == "mknodat":
        # A device that may not be made is bound from the host, as with runc and crun; so is what masks files.
        mounts = [line.split()[1] if " /proc/" in line else line for line in mounts if " /dev/" not in line]
    return {**seen, "mountinfo": sorted(mounts)}


def sees_the_same():
    """A check: whatever failed, a process that runs is confined as the first time, without the failure."""
    state = {}

    def check(_runtime, _bundle, outcome):
        try:
            seen = normal(json.loads(outcome.result.stdout))
        except ValueError:
            return "the report of the container's process is not whole"
        wanted = state.setdefault("wanted", seen)
        if seen == wanted or "level=warning" in outcome.message:
            return None
        seen, wanted = (tolerant(s, outcome.syscall) for s in (seen, wanted))
        if seen == wanted:
            return None
        return "the container differs: " + "; ".join(
            f"{k}: {seen.get(k)!r}, not {wanted.get(k)!r}" for k in wanted if seen.get(k) != wanted.get(k))
    return check


def run():
    verb = VERBS["run"]
    return Verb(verb.name, verb.args, process=["testinit", "report"], check=sees_the_same())


def exec_():
    verb = VERBS["exec"]
    return Verb(verb.name, ["exec", "{id}", "testinit", "report"], verb.prepare, sees_the_same(), verb.process)
