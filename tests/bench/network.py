#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Throughput and latency over a veth pair: from the namespace itself, from class ns, from class vm.

    tests/bench/network.py [--megabytes N] [--round-trips N] [--rounds N] [--short] [--json FILE]

Runs itself in a lane. The three take turns; printed are medians, and of round trips the lowest, too.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAM = ROOT / "build/tests/bench/bench-net"
RUNTIME = str(ROOT / "build/bin/caisson")
OUTSIDE, INSIDE, PORT = "10.8.0.1", "10.8.0.7", "7007"


def sh(script):
    subprocess.run(["sh", "-ec", script], check=True)


def make_bundle(directory, args, pid):
    (directory / "rootfs/bin").mkdir(parents=True)
    (directory / "rootfs/proc").mkdir()
    (directory / "rootfs/bin/net").write_bytes(PROGRAM.read_bytes())
    (directory / "rootfs/bin/net").chmod(0o755)
    config = {"ociVersion": "1.0.2", "root": {"path": "rootfs"},
              "process": {"user": {"uid": 0, "gid": 0}, "cwd": "/", "args": ["/bin/net", *args]},
              "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
              "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"},
                                       {"type": "network", "path": f"/proc/{pid}/ns/net"}]}}
    (directory / "config.json").write_text(json.dumps(config), encoding="utf-8")


def measure(options, work):
    holder = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo ready; exec sleep 1000"], stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"ready\n"
    enter = ["nsenter", "-t", str(holder.pid), "-n"]
    sh(f"ip link add outside type veth peer name eth0 netns {holder.pid}; ip link set outside up; "
       f"ip addr add {OUTSIDE}/24 dev outside; "
       f"{' '.join(enter)} sh -ec 'ip link set eth0 up; ip addr add {INSIDE}/24 dev eth0'")
    server = subprocess.Popen([PROGRAM, "serve", OUTSIDE, PORT], stdout=subprocess.PIPE)
    assert server.stdout.readline() == b"ready\n"
    ask = ["ask", OUTSIDE, PORT, str(options.megabytes), str(options.round_trips)]
    make_bundle(work, ask, holder.pid)
    commands = {"veth": [*enter, str(PROGRAM), *ask]}
    for name in ("ns", "vm"):
        commands[name] = [RUNTIME, "--root", str(work / "state"), "--isolation", name, "run", "--bundle", str(work), name]
    samples = {}
    for _ in range(options.rounds):
        for name, command in commands.items():
            words = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
            samples.setdefault(name, []).append([int(words[i]) for i in (1, 3, 5, 6)])
    server.kill()
    holder.kill()
    return {name: [statistics.median(column) for column in zip(*rows)] for name, rows in samples.items()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--round-trips", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--short", action="store_true", help="one round of a quarter as much")
    parser.add_argument("--json")
    options = parser.parse_args()
    if options.short:
        options.megabytes, options.round_trips, options.rounds = 50, 500, 1
    if not os.environ.get("CAISSON_LANE"):
        os.execv(ROOT / "tests/lane", ["lane", "--cgroup", "hybrid", "--", sys.executable, *sys.argv])
    with tempfile.TemporaryDirectory() as work:
        result = measure(options, pathlib.Path(work))
    print(f"{'':6}{'up MB/s':>10}{'down MB/s':>11}{'rtt us':>9}{'lowest':>9}   of the veth itself")
    for name, row in result.items():
        up, down, rtt, lowest = row
        ratios = " ".join(f"{mine / veth:.2f}" for mine, veth in zip(row, result["veth"]))
        print(f"{name:6}{up / 1e6:10.0f}{down / 1e6:11.0f}{rtt / 1e3:9.1f}{lowest / 1e3:9.1f}   {ratios}")
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(result), encoding="utf-8")


main()
