# SPDX-License-Identifier: Apache-2.0
"""Where a container's cgroup is, in either version, and what its files say."""

import math
import os
import pathlib

BASE = pathlib.Path("/sys/fs/cgroup")
LAYOUTS = ("v1", "hybrid", "v2")


def layout():
    """v1, hybrid or v2: the lane's --cgroup."""
    return os.environ.get("CAISSON_LANE", "hybrid")


def is_v2():
    return layout() == "v2"


def v1_hierarchies():
    """Names of the mounted v1 hierarchies, without links such as cpu -> cpu,cpuacct."""
    if is_v2():
        return []
    return sorted(d.name for d in BASE.iterdir()
                  if d.is_dir() and not d.is_symlink() and d.name != "unified")


def has_controller(name):
    """Whether containers of this lane can be limited by a controller."""
    if is_v2():
        return name in (BASE / "cgroup.controllers").read_text().split()
    return name in v1_hierarchies()


def hierarchies():
    """The top directory of every mounted hierarchy."""
    return [BASE] if is_v2() else sorted(d for d in BASE.iterdir()
                                         if d.is_dir() and not d.is_symlink())


def cgroup_dir(path, controller="freezer"):
    """The directory of the cgroup at `path` ("/ID") for a v1 controller, or the only one of v2."""
    top = BASE if is_v2() else BASE / controller
    return top / path.lstrip("/")


def read(path, name, controller=None):
    """A cgroup file's text; the controller is the part before the first dot unless given."""
    directory = cgroup_dir(path, controller or name.split(".")[0])
    return (directory / name).read_text(encoding="ascii").strip()


def shares(number):
    """What read_limit(path, "cpu.shares") is for cpu.shares of v1: v2's weight, 1, 100, 10000 for 2, 1024, 262144."""
    level = math.log2(number)
    return str(math.ceil(10 ** ((level ** 2 + 125 * level) / 612 - 7 / 34)) if is_v2() else number)


def read_limit(path, name):
    """The limit that v1 keeps in the file `name`, from v2's file where the lane has v2: numbers as v1 has them."""
    if not is_v2():
        return read(path, name)
    renamed = {"memory.limit_in_bytes": "memory.max", "memory.soft_limit_in_bytes": "memory.low",
               "memory.memsw.limit_in_bytes": "memory.swap.max", "cpu.cfs_burst_us": "cpu.max.burst", "cpu.shares": "cpu.weight"}
    if name in ("cpu.cfs_quota_us", "cpu.cfs_period_us"):
        quota, period = read(path, "cpu.max").split()
        return period if "period" in name else quota.replace("max", "-1")
    return read(path, renamed.get(name, name))


def write(path, name, text, controller=None):
    directory = cgroup_dir(path, controller or name.split(".")[0])
    (directory / name).write_text(str(text), encoding="ascii")


def pids(path, controller="freezer"):
    directory = cgroup_dir(path, controller)
    found = set()
    for sub, _, _ in os.walk(directory):
        found.update(int(p) for p in pathlib.Path(sub, "cgroup.procs").read_text().split())
    return found


def all_cgroups():
    """Every cgroup below the lane's own, as paths."""
    found = set()
    for top in hierarchies():
        for directory, _, _ in os.walk(top):
            if directory != str(top):
                found.add(directory)
    return found


def remove_all_but(baseline):
    for path in sorted(all_cgroups() - baseline, key=len, reverse=True):
        try:
            os.rmdir(path)
        except OSError:
            pass


def is_frozen(path):
    if is_v2():
        return "frozen 1" in (cgroup_dir(path) / "cgroup.events").read_text(encoding="ascii")
    state = (cgroup_dir(path, "freezer") / "freezer.state").read_text(encoding="ascii")
    return state.strip() in ("FROZEN", "FREEZING")


def thaw_everything():
    for path in all_cgroups():
        for name, text in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
            if os.path.exists(f"{path}/{name}"):
                try:
                    pathlib.Path(path, name).write_text(text, encoding="ascii")
                except OSError:
                    pass
