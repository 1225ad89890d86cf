#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Memory of idle containers of class vm, many at once: each host process's own, the sum of PSS, what the cgroups have
been charged, and by how much less memory the host has.

    tests/bench/many.py [--count N] [--memory MIB] [--config FILE]

Runs itself in a lane. Every figure is the mean of all machines, in MiB.
"""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
RUNTIME = str(ROOT / "build/bin/caisson")
KERNEL = ROOT / "build/guest/vmlinux"
CGROUPS = pathlib.Path("/sys/fs/cgroup/memory")
BUSYBOX = pathlib.Path("/bin/busybox")
SETTLE_S = 4  # what boots have freed is given back within two seconds
PARTS = {"dirty": ("Private_Dirty",), "private": ("Private_Dirty", "Private_Clean"), "PSS": ("Pss",),
         "guest": ("Pss_Shmem",)}


def bundle(work, name, memory):
    directory = work / name
    directory.mkdir()
    config = {"ociVersion": "1.0.2", "root": {"path": str(work / "rootfs")},
              "process": {"user": {"uid": 0, "gid": 0}, "cwd": "/", "env": ["PATH=/bin"], "args": ["sleep", "1000"]},
              "linux": {"cgroupsPath": f"/many/{name}", "resources": {"memory": {"limit": memory << 20}},
                        "namespaces": [{"type": kind} for kind in ("pid", "mount", "network", "ipc", "uts")]}}
    (directory / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return directory


def available():
    return int(re.search(r"MemAvailable: +(\d+)", pathlib.Path("/proc/meminfo").read_text())[1])


def family(pid):
    pids = [pid, *map(int, pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    return {pathlib.Path(f"/proc/{p}/comm").read_text().strip(): p for p in pids}


def rollup(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = {name: int(kib) for name, kib in re.findall(r"^(\w+): +(\d+) kB", text, re.M)}
    return {part: sum(found.get(name, 0) for name in names) for part, names in PARTS.items()}


def measure(call, names):
    """Sums over all machines, KiB: {process: {part: sum}}, and what the cgroups say."""
    sums, charged = {}, 0
    for name in names:
        for process, pid in family(json.loads(call("state", name))["pid"]).items():
            for part, kib in rollup(pid).items():
                sums.setdefault(process, dict.fromkeys(PARTS, 0))[part] += kib
        charged += int((CGROUPS / f"many/{name}/memory.usage_in_bytes").read_text()) >> 10
    return sums, charged


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--memory", type=int, default=64, help="limit of each container, MiB")
    parser.add_argument("--config", help="a caisson.json")
    options = parser.parse_args()
    if not KERNEL.exists():
        print("many.py: no kernel for class vm (make guest)")
        return
    if not os.environ.get("CAISSON_LANE"):
        os.execv(ROOT / "tests/lane", ["lane", "--cgroup", "hybrid", "--", sys.executable, *sys.argv])
    with tempfile.TemporaryDirectory() as directory:
        work = pathlib.Path(directory)
        environment = {**os.environ, **({"CAISSON_CONFIG": options.config} if options.config else {})}

        def call(*words):
            return subprocess.run([RUNTIME, "--root", work / "state", "--isolation", "vm", *words], check=True,
                                  stdout=subprocess.PIPE, text=True, env=environment).stdout

        (work / "rootfs/bin").mkdir(parents=True)
        (work / "rootfs/bin/sleep").write_bytes(BUSYBOX.read_bytes())
        (work / "rootfs/bin/sleep").chmod(0o755)
        names = [f"m{number}" for number in range(options.count)]
        before, began = available(), time.monotonic()
        try:
            for name in names:
                subprocess.run([RUNTIME, "--root", work / "state", "--isolation", "vm", "run", "--detach", "--bundle",
                                bundle(work, name, options.memory), name], check=True, stdout=subprocess.DEVNULL,
                               env=environment)
            print(f"{options.count} machines, limit {options.memory} MiB each, started in {time.monotonic() - began:.1f} s")
            time.sleep(SETTLE_S)
            less = before - available()
            sums, charged = measure(call, names)
        finally:
            for name in names:
                subprocess.run([RUNTIME, "--root", work / "state", "delete", "--force", name], check=False)
    mean = options.count * 1024
    for process, parts in sums.items():
        print(f"{process:16}", ", ".join(f"{part} {kib / mean:.1f}" for part, kib in parts.items()))
    print(f"all: PSS {sum(parts['PSS'] for parts in sums.values()) / mean:.1f}, cgroup {charged / mean:.1f}, "
          f"host's available memory less {less / mean:.1f}")


if __name__ == "__main__":
    main()
