#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The lists of what a sandbox's processes may call have no line that is never used: test_lists.py BUILD SOURCE TRACE.

Programs of tests/syscalls run in two containers, without and with the host's network, while TRACE looks on at the
sentry's calls or at those that stubs make of themselves. (That no call is missing in a list shows without it: the
cage kills.)
"""
import contextlib
import ctypes
import fcntl
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import re
import socket
import struct
import subprocess
import sys
import tempfile
import time

LIMIT_S = 300
# After a stop in a call that is not waited in for long enough to be tested; where the machine's load lets the policy
# of placement do without; the end of a stub that has lost its sentry.
NOT_SEEN = {"restart_syscall", "sched_yield", "sched_setaffinity", "exit_group"}
TOPICS = "memfd fallocate shared lseek readwrite statfs mremap madvise threads getrandom".split()
NETWORK_TOPICS = "tcp udp netlink".split()
# A large table of descriptors, whose memory moves when it grows; options that no topic sets; the host's socket.
MORE = """python3 -c 'import fcntl, os, socket
for fd in (3000, 30000, 300000, 900000):
    os.dup2(1, fd)
open("/volume/appended", "a").write("x" * 10)
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.setsockopt(socket.IPPROTO_UDP, 1, 1)
fcntl.ioctl(udp, 0x5411, bytes(4))
host = socket.socket(socket.AF_UNIX)
host.connect("/volume/host")
host.shutdown(socket.SHUT_WR)'
"""
LAST = "trap 'exit 0' TERM; echo done; while :; do sleep 0.1; done"


def load_run_syscalls(source):
    loader = importlib.machinery.SourceFileLoader("run_syscalls", str(source / "tests/run-syscalls"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("run_syscalls", loader))
    loader.exec_module(module)
    return module


def children(pid):
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and entry.joinpath("stat").read_text().rpartition(")")[2].split()[1] == str(pid):
                found.append(int(entry.name))
    return found


def wait_for(what, condition):
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"did not happen in {LIMIT_S} s: {what}")
        time.sleep(0.01)


def own_network():
    """A network namespace with its loopback up (SIOCSIFFLAGS)."""
    if ctypes.CDLL(None).unshare(0x40000000) == 0:
        with socket.socket() as s:
            fcntl.ioctl(s, 0x8914, struct.pack("16sh14x", b"lo", 1))


class Sandbox:
    """A container that runs programs one after the other while the tracer looks on."""

    def __init__(self, build, source, where, network, topics):
        self.command = [build / "bin/caisson", "--root", where / "state", "--isolation", "sentry", "--network", network,
                        "--host-uds", "open"]
        (where / "bundle").mkdir()
        programs = build / "tests/syscalls"
        load_run_syscalls(source).make_bundle(where / "bundle", topics[0], [], programs)
        (where / "volume").mkdir()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(where / "volume/host"))
        self.listener.listen()
        config = json.loads((where / "bundle/config.json").read_text())
        script = "".join(f"/programs/{t} -d /volume >/tmp/out 2>&1 || cat /tmp/out\n" for t in topics)
        config["process"]["args"] = ["/bin/sh", "-c", f"{script}{MORE}\n{LAST}"]
        config["process"]["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 1000000, "hard": 1000000}]
        config["mounts"].append({"type": "bind", "source": str(where / "volume"), "destination": "/volume",
                                 "options": ["rbind", "rw"]})
        if network == "host":
            config["linux"]["namespaces"] = [n for n in config["linux"]["namespaces"] if n["type"] != "network"]
        (where / "bundle/config.json").write_text(json.dumps(config))
        self.output = where / "output"
        self.where, self.name = where, f"lists-{os.getpid()}"

    def call(self, *words, **more):
        return subprocess.run([*self.command, *words], check=True, timeout=LIMIT_S, **more)

    def create(self):
        with self.output.open("wb") as out:
            self.call("create", "-b", self.where / "bundle", self.name, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                      preexec_fn=own_network)
        return json.loads(self.call("state", self.name, stdout=subprocess.PIPE).stdout)["pid"]

    def use(self):
        self.call("start", self.name)
        wait_for("the programs' end", lambda: "done" in self.output.read_text(errors="replace"))
        self.call("exec", self.name, "/bin/true")
        self.call("pause", self.name)
        self.call("resume", self.name)

    def end(self):
        self.listener.close()
        subprocess.run([*self.command, "delete", "-f", self.name], check=False, timeout=LIMIT_S)


def trace(build, source, tracer, kind, network, topics):
    """What TRACE saw: a set of numbers."""
    with tempfile.TemporaryDirectory(prefix="lists-") as where:
        sandbox = Sandbox(build, source, pathlib.Path(where), network, topics)
        try:
            pid = sandbox.create()
            pids = [pid]
            if kind == "stub":
                zygote = next(c for c in children(pid) if "caisson-stub" in pathlib.Path(f"/proc/{c}/comm").read_text())
                pids = children(zygote)
            with subprocess.Popen([tracer, kind, *map(str, pids)], stdout=subprocess.PIPE, text=True) as looker:
                assert looker.stdout.readline() == "ready\n"
                sandbox.use()
                sandbox.call("kill", sandbox.name, "TERM")
                print(sandbox.output.read_text(errors="replace")[-2000:])
                return {int(line) for line in looker.stdout}
        finally:
            sandbox.end()


def lines_of(paths):
    """[(number over all files, text)] of what is a rule."""
    lines = [line for path in paths for line in path.read_text().splitlines()]
    return [(n, line) for n, line in enumerate(lines, 1) if line.strip() and line[0] not in "#@"]


def unused_of_sentry(build, source, tracer):
    seen = trace(build, source, tracer, "sentry", "none", TOPICS)
    seen |= trace(build, source, tracer, "sentry", "host", NETWORK_TOPICS)
    if 0 in seen:
        return ["a call that no line allows"]
    rules = lines_of([source / "seccomp/sentry.list", source / "seccomp/sentry-network.list"])
    six = pathlib.Path("/proc/net/if_inet6").exists()
    return [text for n, text in rules
            if n not in seen and text.split()[0] not in NOT_SEEN and (six or "IPPROTO_IPV6 and" not in text)]


def unused_of_stub(build, source, tracer):
    numbers = {m[1]: int(m[2]) for m in re.finditer(r"#define __NR_(\w+) (\d+)", subprocess.run(
        ["cc", "-E", "-dM", "-include", "asm/unistd_64.h", "-x", "c", "/dev/null"], check=True, capture_output=True, text=True).stdout)}
    numbers["1023"] = 1023
    seen = trace(build, source, tracer, "stub", "none", TOPICS)
    listed = {word.strip(",") for _, line in lines_of([source / "seccomp/stub.txt"]) if not line[0].isspace()
              for word in re.split(r"\s{2,}", line)[0].split()}
    unknown = [n for n in seen if n not in {numbers[name] for name in listed}]
    return [*(name for name in sorted(listed - NOT_SEEN) if numbers[name] not in seen),
            *(f"call {n} is not listed" for n in unknown)]


def main(build, source, tracer, kind):
    if os.geteuid() != 0:
        print("needs root")
        return 77
    unused = (unused_of_stub if kind == "stub" else unused_of_sentry)(pathlib.Path(build), pathlib.Path(source), tracer)
    print("never used:", *unused, sep="\n  ")
    return 1 if unused else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
