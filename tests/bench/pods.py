#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Pods through containerd's CRI plugin: our shim against containerd's own with Debian's runc.

    tests/bench/pods.py [--rounds N] [--class ns|sentry|vm] [--only PART,PART] [--json FILE]

One containerd, the handlers in turns. Parts:
  calls     RunPodSandbox, CreateContainer and StartContainer, the end of all; medians in milliseconds.
            Of class vm, where the time of RunPodSandbox goes
  parallel  ten pods at once against ten in a row
  idle      of a pod with one container that sleeps: memory of its shim with all that is private to it, as a
            shim alone on its host has it, what each process on the host has written (KiB), and what the whole
            uses of a CPU
FILE gets the last part's figures, for scripts/update-overhead.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
REPO = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(REPO, "tests", "engines"))

POINTS = ("RunPodSandbox", "container start", "stop and remove")
STAGES = ("machine", "supervisor", "monitor", "agent", "created", "started")
SHIM = "containerd-shim"
SETTLE_S = 4  # what boots have freed is given back within two seconds
IDLE_S = 5


def read(path):
    try:
        with open(path, encoding="utf-8") as f:
            return f.read()
    except (OSError, UnicodeDecodeError):
        return ""


def newest_shim():
    """The pid of the newest one in this lane. What it has forked has its command line, and a name of its own."""
    return max(int(pid) for pid in os.listdir("/proc") if pid.isdigit() and
               read("/proc/%s/comm" % pid).startswith(SHIM))


def family(pid):
    """{pid: name} of it and all below it."""
    found, left = {}, [pid]
    while left:
        pid = left.pop()
        found[pid] = read("/proc/%d/comm" % pid).strip()
        for thread in os.listdir("/proc/%d/task" % pid):
            left += map(int, read("/proc/%d/task/%s/children" % (pid, thread)).split())
    return found


def kib(pid, *names):
    sizes = dict(re.findall(r"^(\w+): +(\d+) kB", read("/proc/%d/smaps_rollup" % pid), re.M))
    return sum(int(sizes.get(name, 0)) for name in names)


def cpu_ms(pids):
    return sum(int(read("/proc/%d/task/%s/schedstat" % (pid, thread)).split()[0]) / 1e6
               for pid in pids for thread in os.listdir("/proc/%d/task" % pid))


def idle_figures(shim):
    """What a pod costs the host while nobody uses it: what each process has written, since files that they map are one
    copy for all pods. The guest's memory is shared with virtiofsd: it counts once."""
    time.sleep(SETTLE_S)
    pids = family(shim)
    before = cpu_ms(pids)
    time.sleep(IDLE_S)
    figures = {"processes_kib": {}, "guest_kib": 0, "cpu_ms_per_s": round((cpu_ms(pids) - before) / IDLE_S, 2)}
    for pid, name in pids.items():
        written = kib(pid, "Private_Dirty")
        if name.startswith("qemu"):
            figures["guest_kib"] = kib(pid, "Pss_Shmem")
            written = kib(pid, "Pss_Anon")
        figures["processes_kib"][name] = figures["processes_kib"].get(name, 0) + written
    return figures


class Pods:
    """Lives of pods with one container each."""

    def __init__(self, engine, image):
        self.cri, self.image, self.count = engine.cri, image, 0
        self.logs = os.path.join(engine.directory, "logs")
        os.makedirs(self.logs, exist_ok=True)

    def config(self):
        self.count += 1
        name = "bench%d" % self.count
        return {"metadata": {"name": name, "uid": name, "namespace": "default"}, "hostname": name,
                "log_directory": self.logs, "linux": {"cgroup_parent": "/kubepods/bench"}}

    def life(self, handler, look=lambda pod: None):
        """Seconds of each of POINTS. `look` gets the pod's id while all of it runs."""
        config, times = self.config(), [time.monotonic()]
        pod = self.cri.RunPodSandbox(config=config, runtime_handler=handler).pod_sandbox_id
        times.append(time.monotonic())
        container = self.cri.CreateContainer(pod_sandbox_id=pod, sandbox_config=config, config={
            "metadata": {"name": "c"}, "image": {"image": self.image},
            "command": ["/bin/sleep", "1000"], "log_path": "c.log"}).container_id
        self.cri.StartContainer(container_id=container)
        times.append(time.monotonic())
        look(pod)
        looked = time.monotonic() - times[-1]
        self.cri.StopContainer(container_id=container, timeout=0)
        self.cri.StopPodSandbox(pod_sandbox_id=pod)
        self.cri.RemovePodSandbox(pod_sandbox_id=pod)
        times.append(time.monotonic() - looked)
        return [b - a for a, b in zip(times, times[1:])]


class Machines:
    """Where RunPodSandbox of class vm spends its time, by the supervisor's own clock."""

    def __init__(self, runtime):
        self.command = [os.path.join(os.path.dirname(runtime), "caisson"), "--root", "/run/containerd/caisson/k8s.io"]
        self.samples = {}

    def look(self, pod):
        text = subprocess.run([*self.command, "debug", pod, "metrics"], check=True, stdout=subprocess.PIPE,
                              text=True).stdout
        times = dict(re.findall(r'start_ns{until="(\w+)"} (\d+)', text))
        before = 0
        for stage in STAGES:
            self.samples.setdefault(stage, []).append((int(times[stage]) - before) / 1e6)
            before = int(times[stage])
        self.samples.setdefault("all", []).append(before / 1e6)

    def print(self):
        for stage, values in self.samples.items():
            print("%-36s%14.1f" % ("  of a machine: " + stage if stage == "all" else "    to " + stage,
                                   statistics.median(values)))


def measure(pods, handlers, rounds, machines):
    seen = {h: [] for h in handlers}
    for handler in handlers:
        pods.life(handler)
    for _ in range(rounds):
        for handler in handlers:
            look = machines.look if machines and handler == "caisson" else lambda pod: None
            seen[handler].append(pods.life(handler, look))
    print("%-22s" % "ms" + "".join("%14s" % h for h in handlers))
    for i, point in enumerate(POINTS):
        print("%-22s" % point + "".join(
            "%14.1f" % (1000 * statistics.median(life[i] for life in seen[h])) for h in handlers))
        if i == 0 and machines:
            machines.print()
    return seen


def parallel(pods, handlers):
    for handler in handlers:
        start = time.monotonic()
        for _ in range(10):
            pods.life(handler)
        row = time.monotonic() - start
        start = time.monotonic()
        with ThreadPoolExecutor(10) as workers:
            list(workers.map(lambda _, h=handler: pods.life(h), range(10)))
        print("%-22s%14s: ten in a row %.2f s, at once %.2f s" % (
            "whole lives", handler, row, time.monotonic() - start))


def idle(pods, handlers):
    found = {}

    def look(handler):
        shim = newest_shim()
        private = kib(shim, "Private_Clean", "Private_Dirty")
        figures = found[handler] = idle_figures(shim)
        print("%-22s%14s: shim %d KiB private; written: %s; guest %d; %.2f ms of CPU time each second" % (
            "an idle pod", handler, private, ", ".join("%s %d" % item for item in figures["processes_kib"].items()),
            figures["guest_kib"], figures["cpu_ms_per_s"]))

    for handler in handlers:
        pods.life(handler, lambda pod, h=handler: look(h))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--class", dest="isolation", default="ns")
    parser.add_argument("--only", default="calls,parallel,idle", help="parts with commas between")
    parser.add_argument("--json", help="a file for scripts/update-overhead")
    args = parser.parse_args()
    if args.json and "idle" not in args.only.split(","):
        parser.error("--json has the figures of part idle")
    if os.environ.get("CAISSON_ENGINES_LANE") != "shim":
        lane = os.path.join(REPO, "tests", "lane")
        os.execv(lane, [lane, "--cgroup", "hybrid", "env", "CAISSON_ENGINES_LANE=shim",
                        "/usr/bin/python3", os.path.abspath(__file__), *sys.argv[1:]])
    from enginelib import images
    from enginelib.containerd import Containerd
    work = tempfile.mkdtemp(prefix="caisson-bench-pods-")
    os.chmod(work, 0o755)
    for name in ("images", "engine"):
        os.mkdir(os.path.join(work, name))
    runtime = os.path.join(REPO, "build", "bin", "caisson-" + args.isolation)
    engine = Containerd(os.path.join(work, "engine"), runtime, images.build(os.path.join(work, "images")), work)
    handlers = ("runc", "caisson")
    only, figures = args.only.split(","), {}
    try:
        pods = Pods(engine, images.TEST_IMAGE)
        if "calls" in only:
            measure(pods, handlers, args.rounds, Machines(runtime) if args.isolation == "vm" else None)
        if "parallel" in only:
            parallel(pods, handlers)
        if "idle" in only:
            figures = idle(pods, handlers)
        if args.json:
            with open(args.json, "w", encoding="utf-8") as f:
                json.dump({args.isolation: figures["caisson"]}, f, indent=1)
    finally:
        engine.remove_all()
        engine.stop()
        shutil.rmtree(work, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
