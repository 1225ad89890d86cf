#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Files of a volume by the host itself, in class ns and in class vm (shared, the default), and of class vm's own
overlay; exec and stop of class vm against class ns.

    tests/bench/files.py [--rounds N] [--mib N] [--json FILE]

Runs itself in a lane. All take turns; printed are medians.
"""
import argparse
import json
import os
import pathlib
import select
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
RUNTIME = str(ROOT / "build/bin/caisson")
PROGRAM = ROOT / "build/tests/bench/bench-files"
BUSYBOX = pathlib.Path("/bin/busybox")
# Who, the class, where inside.
PLACES = (("host", None, None), ("ns", "ns", "/data"), ("vm", "vm", "/data"), ("vm overlay", "vm", "/work"))


class Bench:
    def __init__(self, work):
        self.work, self.rates, self.times = work, {}, {}
        (work / "data").mkdir()
        rootfs = work / "rootfs"
        for directory in ("bin", "proc", "dev", "data", "work"):
            (rootfs / directory).mkdir(parents=True)
        for name, source in (("files", PROGRAM), ("sleep", BUSYBOX), ("true", BUSYBOX)):
            (rootfs / "bin" / name).write_bytes(source.read_bytes())
            (rootfs / "bin" / name).chmod(0o755)
        (work / "caisson.json").write_text('{"allowed_annotations": ["io.caisson.vm.*"]}', encoding="utf-8")
        self.environment = {**os.environ, "CAISSON_CONFIG": str(work / "caisson.json")}

    def bundle(self, name, args, overlay=False):
        bundle = self.work / name
        bundle.mkdir()
        config = {"ociVersion": "1.0.2", "root": {"path": str(self.work / "rootfs")},
                  "process": {"user": {"uid": 0, "gid": 0}, "cwd": "/", "env": ["PATH=/bin"], "args": args},
                  "annotations": {"io.caisson.vm.rootfs": "overlay"} if overlay else {},
                  "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
                             {"destination": "/data", "type": "bind", "source": str(self.work / "data"),
                              "options": ["rbind"]}],
                  "linux": {"namespaces": [{"type": kind} for kind in ("pid", "mount", "network", "ipc", "uts")]}}
        (bundle / "config.json").write_text(json.dumps(config), encoding="utf-8")
        return str(bundle)

    def call(self, isolation, *words):
        return subprocess.run([RUNTIME, "--root", self.work / "state", "--isolation", isolation, *words], check=True,
                              stdout=subprocess.PIPE, text=True, env=self.environment).stdout

    def files(self, number, mib):
        for who, isolation, place in PLACES:
            if isolation:
                name = f"f{number}-{who.replace(' ', '-')}"
                bundle = self.bundle(name, ["files", place, mib], place == "/work")
                out = self.call(isolation, "run", "--bundle", bundle, name)
            else:
                out = subprocess.run([PROGRAM, self.work / "data", mib], check=True, stdout=subprocess.PIPE,
                                     text=True).stdout
            for line in out.splitlines():
                name, value, unit = line.split()
                self.rates.setdefault((name, unit), {}).setdefault(who, []).append(float(value))

    def timed(self, what, isolation, action):
        began = time.monotonic()
        action()
        self.times.setdefault(what, {}).setdefault(isolation, []).append((time.monotonic() - began) * 1e3)

    def life(self, number):
        for isolation in ("ns", "vm"):
            name = f"l{number}-{isolation}"
            bundle = self.bundle(name, ["sleep", "1000"])
            subprocess.run([RUNTIME, "--root", self.work / "state", "--isolation", isolation, "run", "--detach",
                            "--bundle", bundle, name], check=True, stdout=subprocess.DEVNULL, env=self.environment)
            self.timed("exec of true", isolation, lambda: self.call(isolation, "exec", name, "true"))
            pidfd = os.pidfd_open(json.loads(self.call(isolation, "state", name))["pid"])

            def stop():
                self.call(isolation, "kill", name, "KILL")
                select.select([pidfd], [], [], 60)
            self.timed("kill to its end", isolation, stop)
            os.close(pidfd)
            self.timed("delete", isolation, lambda: self.call(isolation, "delete", name))

    def report(self):
        print(f"{'':20}" + "".join(f"{who:>12}" for who, _, _ in PLACES) + "   vm, overlay of host")
        for (name, unit), by in self.rates.items():
            median = {who: statistics.median(values) for who, values in by.items()}
            print(f"{name + ' ' + unit:20}" + "".join(f"{median[who]:12.1f}" for who, _, _ in PLACES)
                  + f"   {median['vm'] / median['host']:.3g}, {median['vm overlay'] / median['host']:.3g}")
        for what, by in self.times.items():
            ns, vm = (statistics.median(by[isolation]) for isolation in ("ns", "vm"))
            print(f"{what + ' ms':20}{'':12}{ns:12.1f}{vm:12.1f}   {vm / ns:.3g} of ns")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--mib", default="64", help="size of the large file")
    parser.add_argument("--json")
    options = parser.parse_args()
    if not os.environ.get("CAISSON_LANE"):
        os.execv(ROOT / "tests/lane", ["lane", "--cgroup", "hybrid", "--", sys.executable, *sys.argv])
    with tempfile.TemporaryDirectory() as work:
        bench = Bench(pathlib.Path(work))
        for number in range(options.rounds):
            bench.files(number, options.mib)
            bench.life(number)
    bench.report()
    if options.json:
        rows = {f"{name} {unit}": by for (name, unit), by in bench.rates.items()}
        pathlib.Path(options.json).write_text(json.dumps({**rows, **bench.times}), encoding="utf-8")


if __name__ == "__main__":
    main()
