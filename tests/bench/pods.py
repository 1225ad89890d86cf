#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Pods through containerd's CRI plugin: our shim against containerd's own with Debian's runc.

    tests/bench/pods.py [--rounds N] [--class ns]

One containerd, the handlers in turns: RunPodSandbox, CreateContainer and StartContainer, the end of
all; medians in milliseconds. Then ten pods at once against ten in a row, and the private memory of
an idle shim and of the pause process (class ns; other classes have none that could be looked at).
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
REPO = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(REPO, "tests", "engines"))

POINTS = ("RunPodSandbox", "container start", "stop and remove")


def private_memory(program):
    """KiB that the newest process of this lane whose name begins so has for itself."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % name, encoding="utf-8") as f:
                line = f.read()
            with open("/proc/%s/smaps_rollup" % name, encoding="utf-8") as f:
                sizes = dict(words for words in (s.split()[:2] for s in f) if len(words) == 2)
        except (FileNotFoundError, ProcessLookupError, UnicodeDecodeError):
            continue
        if os.path.basename(line.split("\0")[0]).startswith(program):
            found.append((int(name), int(sizes["Private_Clean:"]) + int(sizes["Private_Dirty:"])))
    return max(found)[1] if found else 0


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

    def life(self, handler, look=lambda: None):
        """Seconds of each of POINTS."""
        config, times = self.config(), [time.monotonic()]
        pod = self.cri.RunPodSandbox(config=config, runtime_handler=handler).pod_sandbox_id
        times.append(time.monotonic())
        container = self.cri.CreateContainer(pod_sandbox_id=pod, sandbox_config=config, config={
            "metadata": {"name": "c"}, "image": {"image": self.image},
            "command": ["/bin/sleep", "1000"], "log_path": "c.log"}).container_id
        self.cri.StartContainer(container_id=container)
        times.append(time.monotonic())
        look()
        self.cri.StopContainer(container_id=container, timeout=0)
        self.cri.StopPodSandbox(pod_sandbox_id=pod)
        self.cri.RemovePodSandbox(pod_sandbox_id=pod)
        times.append(time.monotonic())
        return [b - a for a, b in zip(times, times[1:])]


def measure(pods, handlers, rounds):
    seen = {h: [] for h in handlers}
    for handler in handlers:
        pods.life(handler)
    for _ in range(rounds):
        for handler in handlers:
            seen[handler].append(pods.life(handler))
    print("%-22s" % "ms" + "".join("%14s" % h for h in handlers))
    for i, point in enumerate(POINTS):
        print("%-22s" % point + "".join(
            "%14.1f" % (1000 * statistics.median(life[i] for life in seen[h])) for h in handlers))
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


def memory(pods, handlers):
    for handler in handlers:
        sizes = []
        pods.life(handler, look=lambda: sizes.extend(map(private_memory, ("containerd-shim-", "pause"))))
        print("%-22s%14s: %d KiB private" % ("a pod's shim", handler, sizes[0]))
        if sizes[1]:
            print("%-22s%14s: %d KiB private" % ("a pod's pause", handler, sizes[1]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--class", dest="isolation", default="ns")
    args = parser.parse_args()
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
    engine = Containerd(os.path.join(work, "engine"),
                        os.path.join(REPO, "build", "bin", "caisson-" + args.isolation),
                        images.build(os.path.join(work, "images")), work)
    handlers = ("runc", "caisson")
    try:
        pods = Pods(engine, images.TEST_IMAGE)
        measure(pods, handlers, args.rounds)
        parallel(pods, handlers)
        memory(pods, handlers)
    finally:
        engine.remove_all()
        engine.stop()
        shutil.rmtree(work, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
