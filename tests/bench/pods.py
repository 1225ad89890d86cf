#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Pods through containerd's CRI plugin: our shim against containerd's own with Debian's runc.

    tests/bench/pods.py [--rounds N] [--class ns|sentry|vm] [--templates] [--only PART,PART] [--json FILE]

One containerd, the handlers in turns. Parts:
  calls     RunPodSandbox, CreateContainer and StartContainer, the end of all; medians in milliseconds.
            Of class vm, in the same turns, pods of class ns, and what a pod costs over its machine alone
            (machines()), with the stages of both
  parallel  ten pods at once against ten in a row
  idle      of a pod with one container that sleeps: memory of its shim with all that is private to it, as a
            shim alone on its host has it, what each process on the host has written (KiB), and what the whole
            uses of a CPU
FILE gets the last part's figures, for scripts/update-overhead. With --templates machines are clones.
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

from alone import Alone

HERE = os.path.dirname(os.path.abspath(__file__))
REPO = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(REPO, "tests", "engines"))

POINTS = ("RunPodSandbox", "container start", "stop and remove")
HANDLER = """
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{name}]
      runtime_type = "io.containerd.caisson-{name}.v2"
"""
PODS_STATE = "/run/containerd/caisson/k8s.io"  # the runtime's root for containers of pods
SHIM = "containerd-shim"
SETTLE_S = 4  # what boots have freed is given back within two seconds
IDLE_S = 5


def look_away(*_):
    """Looks at nothing."""


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

    def lend(self, handler):
        """The id of a pod without a container, which stays until the engine removes all."""
        return self.cri.RunPodSandbox(config=self.config(), runtime_handler=handler).pod_sandbox_id

    def life(self, handler, look=look_away):
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


class Stages:
    """Where a machine's start spends its time, by the supervisor's own clock."""

    def __init__(self):
        self.samples = {}

    def look(self, command, name):
        text = subprocess.run([*command, "debug", name, "metrics"], check=True, stdout=subprocess.PIPE,
                              text=True).stdout
        before = 0
        for stage, ns in re.findall(r'start_ns{until="(\w+)"} (\d+)', text):
            self.samples.setdefault("to " + stage, []).append((int(ns) - before) / 1e6)
            before = int(ns)
        self.samples.setdefault("all", []).append(before / 1e6)

    def medians(self):
        return {stage: statistics.median(values) for stage, values in self.samples.items()}


def print_row(what, cells):
    print("%-30s" % what + "".join("%12s" % cell for cell in cells))


def print_lives(lives):
    """The medians of {handler: [seconds of each of POINTS]}."""
    print_row("ms", lives)
    for i, point in enumerate(POINTS):
        print_row(point, ("%.1f" % median_ms(lives[h], i) for h in lives))


def median_ms(lives, point):
    return 1000 * statistics.median(life[point] for life in lives)


def measure(pods, handlers, rounds):
    for handler in handlers:
        pods.life(handler)
    lives = {handler: [] for handler in handlers}
    for _ in range(rounds):
        for handler in handlers:
            lives[handler].append(pods.life(handler))
    print_lives(lives)


def machines(pods, engine, rounds):
    """What a pod of class vm costs over its machine alone, which is `caisson run --detach` of the sandbox's bundle as
    containerd wrote it, in a network namespace that the same CNI plugin has made before (or in one with a loopback
    device alone). Of class ns the same difference is what containerd, CNI's plugins and any shim take."""
    caisson = os.path.join(os.path.dirname(engine.runtime), "caisson")
    alone = Alone(pods.lend("ns"), engine.network, engine.directory)
    kinds = {"ns alone": ("ns", True), "vm alone": ("vm", True), "no network": ("vm", False)}
    lives, runs = {handler: [] for handler in ("runc", "ns", "vm")}, {kind: [] for kind in kinds}
    stages = {kind: Stages() for kind in ("vm", "vm alone", "no network")}
    for number in range(rounds + 1):
        looks = {kind: s.look for kind, s in stages.items()} if number else {}  # the first is warm-up
        for handler, seen in lives.items():
            look = looks.get(handler, look_away)
            seen.append(pods.life(handler, lambda pod, l=look: l([caisson, "--root", PODS_STATE], pod)))
        for kind, seen in runs.items():
            isolation, network = kinds[kind]
            seen.append(alone.life("%s-%s" % (caisson, isolation), network, looks.get(kind, look_away)))
    for seen in (*lives.values(), *runs.values()):
        del seen[0]
    print_lives(lives)
    print_row("ms", runs)
    for i, what in enumerate(("run --detach", "delete --force")):
        print_row(what, ("%.1f" % median_ms(runs[kind], i) for kind in runs))
    medians = {kind: s.medians() for kind, s in stages.items()}
    print_row("stages of a start, ms", medians)
    for stage in medians["vm"]:
        print_row("  " + stage, ("%.1f" % found.get(stage, 0) for found in medians.values()))
    for point, of_life, of_run in (("RunPodSandbox", 0, 0), ("stop and remove", 2, 1)):
        over = {c: statistics.median(1000 * (life[of_life] - run[of_run])
                                     for life, run in zip(lives[c], runs[c + " alone"])) for c in ("ns", "vm")}
        print("%s: class vm over its machine alone %.1f ms, class ns over its container alone %.1f ms: a machine in a "
              "pod costs %.1f ms more than alone" % (point, over["vm"], over["ns"], over["vm"] - over["ns"]))


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


def make_template(runtime, work):
    """Engines that are started from here on have shims whose machines are its clones."""
    path = os.path.join(work, "templates.json")
    with open(path, "w", encoding="utf-8") as f:
        json.dump({"vm.templates": "on", "vm.template_dir": os.path.join(work, "templates")}, f)
    os.environ["CAISSON_CONFIG"] = path
    subprocess.run([runtime, "template", "create"], check=True, stdout=subprocess.DEVNULL)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--class", dest="isolation", default="ns")
    parser.add_argument("--only", default="calls,parallel,idle", help="parts with commas between")
    parser.add_argument("--templates", action="store_true", help="machines are clones of a template")
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
    if args.templates:
        make_template(runtime, work)
    handlers, names = ("runc", args.isolation), ("ns", "sentry", "vm")
    engine = Containerd(os.path.join(work, "engine"), runtime, images.build(os.path.join(work, "images")), work,
                        handlers="".join(HANDLER.format(name=name) for name in names))
    only, figures = args.only.split(","), {}
    try:
        pods = Pods(engine, images.TEST_IMAGE)
        if "calls" in only:
            if args.isolation == "vm":
                machines(pods, engine, args.rounds)
            else:
                measure(pods, handlers, args.rounds)
        if "parallel" in only:
            parallel(pods, handlers)
        if "idle" in only:
            figures = idle(pods, handlers)
        if args.json:
            with open(args.json, "w", encoding="utf-8") as f:
                json.dump({args.isolation: figures[args.isolation]}, f, indent=1)
    finally:
        engine.remove_all()
        engine.stop()
        if args.templates:
            subprocess.run([runtime, "template", "remove", "--all"], check=True)
        shutil.rmtree(work, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
