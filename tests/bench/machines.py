#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The life of a container of class vm: its start in stages, beside a bare QEMU that boots the same kernel to an
empty process 1, cold and from a template; exec and delete; private memory of an idle one; files against class ns.

    tests/bench/machines.py [--rounds N] [--json FILE]

Runs itself in a lane. Bare and whole starts take turns; printed are medians and, in brackets, minima.
"""
import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
RUNTIME = str(ROOT / "build/bin/caisson")
BARE = ROOT / "build/tests/qemu/qemu_boot"
BUSYBOX = pathlib.Path("/bin/busybox")
STAGES = ("machine", "supervisor", "monitor", "restored", "agent", "created", "started")
# Of a start: what is printed, the configuration, the root file system, mounts.
STARTS = (("cold, virtio-fs", "off", "rootfs", True), ("cold, image disk", "off", "rootfs.img", False),
          ("clone, virtio-fs", "on", "rootfs", True), ("clone, image disk", "on", "rootfs.img", False))
BARS = {"clone, virtio-fs": 0.7, "clone, image disk": 0.25}
AGENT_BAR = 0.15
FILES = """
t() { s=$(cut -d' ' -f1 /proc/uptime); "$@" >/dev/null 2>&1; e=$(cut -d' ' -f1 /proc/uptime); echo "$s $e"; }
cd /data
write() { dd if=/dev/zero of=big bs=1M count=128 conv=fsync; }
reading() { dd if=big of=/dev/null bs=1M; }
small() { i=0; while [ $i -lt 500 ]; do echo $i >f$i; i=$((i+1)); done; }
stats() { ls -l; ls -l; }
removing() { rm -f f*; }
for step in write reading small stats removing; do echo "$step $(t $step)"; done
rm -f big
"""


class Machines:
    def __init__(self, work):
        self.work, self.samples, self.idle = work, {}, {}
        (work / "data").mkdir()
        rootfs = work / "rootfs"
        for directory in ("bin", "proc", "dev", "sys", "tmp", "data"):
            (rootfs / directory).mkdir(parents=True)
        (rootfs / "bin/busybox").write_bytes(BUSYBOX.read_bytes())
        (rootfs / "bin/busybox").chmod(0o755)
        for name in ("sh", "sleep", "true", "cut", "dd", "ls", "rm", "echo"):
            (rootfs / "bin" / name).symlink_to("busybox")
        subprocess.run(["mkfs.erofs", work / "rootfs.img", rootfs], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        for word in ("off", "on"):
            (work / f"{word}.json").write_text(json.dumps({"vm.templates": word}), encoding="utf-8")
        self.template("create")

    def template(self, *words):
        subprocess.run(self.command("vm", "template", *words), check=True, stdout=subprocess.DEVNULL,
                       env=self.environment("on"))

    def environment(self, templates):
        return {**os.environ, "CAISSON_CONFIG": str(self.work / f"{templates}.json")}

    def bundle(self, name, args, root="rootfs", volume=True):
        bundle = self.work / name
        bundle.mkdir()
        config = {"ociVersion": "1.0.2", "root": {"path": str(self.work / root)},
                  "process": {"user": {"uid": 0, "gid": 0}, "cwd": "/", "env": ["PATH=/bin"], "args": args},
                  "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
                             {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
                             {"destination": "/data", "type": "bind", "source": str(self.work / "data"),
                              "options": ["rbind"]}],
                  "hostname": "bench", "linux": {"namespaces": [{"type": kind} for kind in ("pid", "mount", "network", "ipc", "uts")]}}
        if not volume:
            config["mounts"].pop()
        (bundle / "config.json").write_text(json.dumps(config), encoding="utf-8")
        return str(bundle)

    def command(self, isolation, *words):
        return [RUNTIME, "--root", str(self.work / "state"), "--isolation", isolation, *words]

    def call(self, isolation, *words):
        return subprocess.run(self.command(isolation, *words), check=True, stdout=subprocess.PIPE, text=True).stdout

    def note(self, name, value):
        self.samples.setdefault(name, []).append(value)

    def timed(self, name, *words, templates="off"):
        began = time.monotonic()
        subprocess.run(self.command("vm", *words), check=True, stdout=subprocess.DEVNULL,  # a container may keep it
                       env=self.environment(templates))
        self.note(name, (time.monotonic() - began) * 1e3)

    def stages(self, container, kind):
        text = self.call("vm", "debug", container, "metrics")
        before, times = 0, {}
        for stage in STAGES:
            found = re.search(rf'start_ns{{until="{stage}"}} (\d+)', text)
            if found:
                times[stage] = int(found[1]) / 1e6
                self.note(f"{kind}:   to {stage}", times[stage] - before)
                before = times[stage]
        self.note(f"{kind}: from QEMU's start to the agent", times["agent"] - times["machine"])
        self.note(f"{kind}: from the runtime's start to the first process", times["started"])
        if "restored" in times:
            return
        # Of a boot, by the guest's clock, which begins with its kernel: what of "to agent" is whose.
        kernel, agent = (int(re.search(rf"guest_{name}_ns (\d+)", text)[1]) / 1e6 for name in ("kernel", "agent"))
        self.note(f"{kind}:     of it to the kernel", times["agent"] - times["monitor"] - agent)
        self.note(f"{kind}:     the kernel", kernel)
        self.note(f"{kind}:     the agent", agent - kernel)

    def memory(self, container):
        """Memory of their own of the supervisor and the processes below it, KiB: what they wrote. Pages of files are
        private only as long as there is one machine."""
        supervisor = json.loads(self.call("vm", "state", container))["pid"]
        family, found = [supervisor], {}
        for pid in family:
            family += [int(word) for word in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        for pid in family:
            rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            name = pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
            found[name] = found.get(name, 0) + sum(map(int, re.findall(r"Private_Dirty: +(\d+)", rollup)))
            # The guest's memory is shared with virtiofsd: it counts once, as what QEMU has of it.
            if name.startswith("qemu"):
                found["guest"] = int(re.search(r"Pss_Shmem: +(\d+)", rollup)[1])
        return found

    def life(self, number):
        began = time.monotonic()
        bare = subprocess.run([BARE, "0", "1", "512", "1"], check=True, stdout=subprocess.PIPE, text=True).stdout
        self.note("bare QEMU to process 1", float(re.search(r"init ([\d.]+)", bare)[1]))
        for place, (kind, templates, root, volume) in enumerate(STARTS):
            name = f"m{number}-{place}"
            bundle = self.bundle(name, ["sleep", "1000"], root, volume)
            self.timed(f"{kind}: run, detached", "run", "--detach", "--bundle", bundle, name, templates=templates)
            self.stages(name, kind)
            self.timed(f"{kind}: exec", "exec", name, "true")
            if number == 0:
                time.sleep(1)
                self.idle[kind] = self.memory(name)
            self.timed(f"{kind}: kill and delete", "delete", "--force", name)
        self.note("all", (time.monotonic() - began) * 1e3)

    def files(self, isolation):
        bundle = self.bundle(f"files-{isolation}", ["sh", "-c", FILES])
        for line in self.call(isolation, "run", "--bundle", bundle, f"f{isolation}").splitlines():
            step, began, ended = line.split()
            self.samples.setdefault(f"files {step}", []).append((float(ended) - float(began)) * 1e3)


def print_ratios(bench):
    bare = statistics.median(bench.samples["bare QEMU to process 1"])

    def ratio(kind, what, bar):
        value = statistics.median(bench.samples[f"{kind}: {what}"]) / bare
        print(f"{kind}, {what} / bare: {value:.3f}" + (f" (bar {bar})" if bar else ""))

    for kind, *_ in STARTS:
        ratio(kind, "from QEMU's start to the agent", AGENT_BAR if kind in BARS else 1.2)
        ratio(kind, "from the runtime's start to the first process", BARS.get(kind))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--starts", action="store_true", help="starts alone, no files")
    parser.add_argument("--json")
    options = parser.parse_args()
    if not os.environ.get("CAISSON_LANE"):
        os.execv(ROOT / "tests/lane", ["lane", "--cgroup", "hybrid", "--", sys.executable, *sys.argv])
    with tempfile.TemporaryDirectory() as work:
        bench = Machines(pathlib.Path(work))
        try:
            for number in range(options.rounds):
                bench.life(number)
            for isolation in () if options.starts else ("ns", "vm"):
                bench.files(isolation)
        finally:
            bench.template("remove", "--all")
    for name, values in bench.samples.items():
        if name.startswith("files"):
            print(f"{name:32}{values[0]:9.0f} ms class ns{values[1]:9.0f} ms class vm")
        else:
            print(f"{name:64}{statistics.median(values):9.1f} ({min(values):.1f}) ms")
    print_ratios(bench)
    for kind, found in bench.idle.items():
        print(f"private memory of an idle one, {kind}, KiB:", ", ".join(f"{name} {kib}" for name, kib in found.items()))
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(bench.samples), encoding="utf-8")


if __name__ == "__main__":
    main()
