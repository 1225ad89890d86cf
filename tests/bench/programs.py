# SPDX-License-Identifier: Apache-2.0
"""How long programs take in a container, against the host with the same root and user: the Debian root of
tests/programs, everything warm, times taken inside by the clock of the guest.

"sentry" has the volume to itself (--file-access-mounts=exclusive), as the root file system always; "volume" is the
same with a volume that others may write to, where every name is asked for again.
"""
import json
import pathlib
import shutil
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/programs"))
sys.dont_write_bytecode = True

import container  # noqa: E402
import debian  # noqa: E402

TREE_DIRS, TREE_FILES = 200, 100  # 20,000 files of 1 KiB
CAISSON = str(ROOT / "build/bin/caisson")
SENTRY = [CAISSON, "--isolation", "sentry"]
# What others may do to a volume matters to files alone.
RUNNERS = {"host": [], "ns": [CAISSON, "--isolation", "ns"], "runc": ["/usr/sbin/runc"],
           "sentry": [*SENTRY, "--file-access-mounts=exclusive"], "volume": SENTRY}
SHARED = {"find", "tar", "gcc"}
# Ratio to the host's time that issue 3 allows; of redis the host's requests per second to ours.
BARS = {"python": 2, "find": 3, "tar": 3, "gcc": 2, "redis set": 1 / 0.3, "redis get": 1 / 0.3}

# Each prints "NAME SECONDS"; whatever is first read or translated was so before the clock starts.
SCRIPTS = {
    "python": 'python3 -c pass; t python sh -c "for i in 1 2 3 4 5 6 7 8 9 10; do python3 -c pass; done"',
    "find": "find tree -type f -size +100k; t find find tree -type f -size +100k",
    "tar": "tar cf /tmp/x tree; rm /tmp/x; t tar tar cf /tmp/x tree",
    "gcc": """rm -rf build; cp -r zlib build; cd build; ./configure >/dev/null; make -j2 libz.a >/dev/null; make clean >/dev/null
        t gcc make -j2 libz.a; cd ..""",
    "redis": r"""redis-server --port 6379 --save '' >/dev/null &
        until redis-cli ping >/dev/null 2>&1; do sleep 0.02; done
        redis-benchmark -q -n 2000 -c 20 -t set >/dev/null
        redis-benchmark --csv -n REQUESTS -c 20 -t set,get | awk -F'"' '/^"(SET|GET)"/ { print "redis " tolower($2), 1 / $4 }'
        redis-cli shutdown nosave; wait""",
}
PRELUDE = r"""set -e; cd /work; ip link set lo up 2>/dev/null || true
t() { local name=$1 from=$EPOCHREALTIME to; shift; "$@" >/dev/null; to=$EPOCHREALTIME
      awk -v n="$name" -v a="$from" -v b="$to" 'BEGIN { printf "%s %.6f\n", n, b - a }'; }
"""


def host_command(root, work, script):
    """The script in the root, with mounts, processes and network of its own, and nothing else around it."""
    mounts = "".join(f"mount -t tmpfs -o mode=1777 tmpfs {root}{path}\n" for path in container.TMPFS)
    setup = (f"set -e\nmount --bind {root} {root}\nmount -t proc proc {root}/proc\nmount --rbind /dev {root}/dev\n{mounts}"
             f'mount --bind {work} {root}/work\nexec chroot {root} /usr/bin/env -i PATH="$PATH" HOME=/root LANG=C.UTF-8 '
             'TERM=dumb /bin/bash -c "$1"')
    return ["unshare", "-m", "-p", "-f", "-n", "-i", "-u", "--propagation", "private", "sh", "-c", setup, "sh", script]


class Programs:
    def __init__(self, work, short):
        self.work, self.short = pathlib.Path(work), short
        self.root = self.root_with_work()
        self.volume = self.work / "volume"
        for n in range(TREE_DIRS):
            directory = self.volume / f"tree/d{n}"
            directory.mkdir(parents=True)
            for i in range(TREE_FILES):
                (directory / f"file{i}").write_bytes(b"x" * 1024)
        shutil.copytree(debian.source("zlib"), self.volume / "zlib", symlinks=True)
        self.samples = {}
        self.count = 0

    @staticmethod
    def root_with_work():
        root = debian.rootfs()
        (root / "work").mkdir(exist_ok=True)
        return root

    def run(self, runner, what):
        script = PRELUDE + SCRIPTS[what].replace("REQUESTS", "5000" if self.short else "20000")
        if runner == "host":
            command = host_command(self.root, self.volume, script)
        else:
            self.count += 1
            bundle = self.work / f"programs-{self.count}"
            bundle.mkdir()
            (bundle / "config.json").write_text(json.dumps(container.config_of(script, self.root, self.volume, 0)))
            command = [*RUNNERS[runner], "--root", str(self.work / f"state-programs-{runner}"), "run", "--bundle",
                       str(bundle), f"programs-{self.count}"]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
        if done.returncode:
            return f"{what} of {runner}: {done.stderr[-400:]}"
        for line in done.stdout.splitlines():
            name, seconds = line.rsplit(" ", 1)
            self.samples.setdefault(name, {}).setdefault(runner, []).append(float(seconds))
        return None

    def measure(self, rounds, only=None):
        runners = list(RUNNERS)
        for _ in range(rounds):
            for what in only or SCRIPTS:
                for runner in list(runners):
                    if (runner == "volume" and what not in SHARED) or (self.short and runner in ("ns", "runc")):
                        continue
                    failed = self.run(runner, what)
                    if failed:
                        print(failed)
                        if runner == "runc":
                            runners.remove(runner)
        return self.report()

    def report(self):
        rows = {}
        print(f"\n{'':12}" + "".join(f"{n:>10}" for n in RUNNERS) + "  sentry/host volume/host     bar")
        for what, by in self.samples.items():
            medians = {n: statistics.median(v) for n, v in by.items()}
            ratios = [medians[n] / medians["host"] if n in medians and "host" in medians else float("nan")
                      for n in ("sentry", "volume")]
            # Per program started, per request: what the eye compares.
            unit = {"python": 0.1 * 1e3}.get(what, 1e6 if what.startswith("redis") else 1e3)
            print(f"{what:12}" + "".join(f"{medians.get(n, float('nan')) * unit:10.1f}" for n in RUNNERS)
                  + f"  {ratios[0]:11.2f} {ratios[1]:11.2f} {BARS[what]:7.2f}")
            rows[what] = {"median_s": medians, "sentry_of_host": ratios[0], "volume_of_host": ratios[1]}
        print("medians: milliseconds, of redis microseconds per request; bar: times the host's")
        return rows

