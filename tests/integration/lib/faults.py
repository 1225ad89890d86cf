# SPDX-License-Identifier: Apache-2.0
"""Verbs of the runtime that are killed or meet an error at their n-th system call (tests/lib/nth.c).

A Campaign runs one verb many times, each time with another n, and judges what is left. Which n: all of
them in the soak, else a spread sample that another day draws anew (CAISSON_SEED gives one again);
CAISSON_FAULT_AT=N,M names them, as the repro line of a failure does. CAISSON_SHARE=2/4: of all of them every
fourth only; the soak runs the shares side by side, each in a lane of its own.
"""

import datetime
import hashlib
import os
import pathlib
import random
import re
import subprocess
import tempfile

from . import cgroups, leaks, programs
from .runtime import CallFailed

SOAK = os.environ.get("CAISSON_SOAK") == "1"
SEED = os.environ.get("CAISSON_SEED") or datetime.date.today().isoformat()
SHARE, SHARES = map(int, os.environ.get("CAISSON_SHARE", "1/1").split("/"))
FAILURES_MAX = 8  # a campaign stops there
LINE = re.compile(r"^nth: calls=(\d+) hit=(-?\d+) arg=(-?\d+) by=(\w+) end=(\w+)(?::(\d+))?$", re.M)


def find_nth():
    """The built program, or one compiled into a cache directory from the same source."""
    built = programs.REPO_DIR / "build/tests/lib/nth"
    source = programs.TESTS_DIR / "lib/nth.c"
    if os.access(built, os.X_OK) and built.stat().st_mtime > source.stat().st_mtime:
        return built
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    cached = pathlib.Path(tempfile.gettempdir()) / f"caisson-nth-{os.getuid()}-{digest}"
    if not cached.exists():
        scratch = f"{cached}.{os.getpid()}"
        subprocess.run(["cc", "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-static", "-o", scratch, str(source)],
                       check=True)
        os.rename(scratch, cached)
    return cached


def syscall_names():
    """Number -> name, from the headers; without them numbers stay numbers."""
    path = pathlib.Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
    text = path.read_text(encoding="ascii") if path.exists() else ""
    return {int(n): name for name, n in re.findall(r"#define __NR_(\w+)\s+(\d+)", text)}


NAMES = syscall_names()


# Test file -> [sites hit, sites there are]; the summary of the session prints it.
SITES = {}


class Outcome:
    """One call under nth: what was hit and how the command ended."""

    def __init__(self, result):
        self.result = result
        match = LINE.search(result.stderr)
        assert match, f"nth did not report:\n{result}"
        self.calls = int(match.group(1))
        self.hit, self.argument = int(match.group(2)), int(match.group(3))
        self.by = match.group(4)  # command, child, stage (caisson-init) or nobody
        self.end, self.status = match.group(5), int(match.group(6) or 0)
        self.message = LINE.sub("", result.stderr).strip()

    @property
    def syscall(self):
        return NAMES.get(self.hit, str(self.hit))

    @property
    def succeeded(self):
        return self.end == "exit" and self.status == 0

    def __str__(self):
        return f"{self.syscall}({self.argument}...) of {self.by}, ended {self.end}:{self.status}, said {self.message!r}"


def choose(total, few, salt):
    """The numbers to hit: CAISSON_FAULT_AT, all of this share in the soak, else one of each of `few` equal parts."""
    if os.environ.get("CAISSON_FAULT_AT"):
        return [int(n) for n in os.environ["CAISSON_FAULT_AT"].split(",")]
    if SOAK or few >= total:
        return list(range(SHARE, total + 1, SHARES))
    rng = random.Random(f"{SEED}:{salt}")
    edges = [1 + i * total // few for i in range(few + 1)]
    return [rng.randrange(low, high) for low, high in zip(edges, edges[1:]) if low < high]


class Verb:
    """What a campaign runs. `prepare` makes what the verb acts on, `check` judges a success."""

    def __init__(self, name, args, prepare=None, check=None, process=None):
        self.name, self.args = name, args
        self.prepare, self.check, self.process = prepare, check, process


class Campaign:
    """One verb, one bundle; hits it again and again and collects what went wrong.

    follow: True counts and hits the processes that the verb makes, too, "children" them alone. env: of the verb's
    calls. A call that has not ended within patience_s hangs."""

    what = "system calls"

    def __init__(self, runtime, bundle, verb, follow, node, few, env=None, patience_s=10):
        self.runtime, self.bundle, self.verb, self.follow, self.few = runtime, bundle, verb, follow, few
        self.node, self.patience_s = node, patience_s
        self.env = {**(env or {}), "NTH_TIMEOUT": str(patience_s)}
        self.nth = find_nth()
        self.sites, self.tried, self.failures, self.syscalls = 0, 0, [], set()
        if verb.process:
            bundle.process.args = verb.process
        bundle.save()
        # Once undisturbed: mount points and the cache are made by the first, and do not count as left.
        self.call(["count"])
        self.forget()
        self.guard = leaks.Guard(runtime.root)
        self.files = self.listing()
        self.total = self.call(["count"]).calls
        self.forget()
        assert not self.left(), f"left behind by {verb.name} without any fault: {self.left()}"

    # ------------------------------------------------------------------------------- steps

    def prepare(self):
        """Make what the verb acts on."""
        if self.verb.prepare:
            self.verb.prepare(self.runtime, self.bundle)

    def args(self):
        scratch = self.runtime.directory / "spec"
        scratch.mkdir(exist_ok=True)
        (scratch / "config.json").unlink(missing_ok=True)
        return [a.format(bundle=self.bundle.path, id=self.bundle.id, spec=scratch) for a in self.verb.args]

    def call(self, mode):
        """Prepare, then the verb under nth."""
        self.prepare()
        flags = {False: [], True: ["-f"], "children": ["-c"]}[self.follow]
        return Outcome(self.runtime.call(*self.args(), check=False, prefix=[self.nth, *mode, *flags], env=self.env,
                                         timeout_s=self.patience_s + 20))

    def learn(self):
        """Let the verb's check see how it is without any fault."""
        outcome = self.call(["count"])
        problem = self.verb.check(self.runtime, self.bundle, outcome) if self.verb.check else None
        assert not problem, problem
        self.forget()

    def forget(self):
        """`delete --force` must do it. Returns what it said, or None."""
        try:
            result = self.runtime.call("delete", "--force", self.bundle.id, check=False)
        except CallFailed as error:
            return str(error)
        (self.bundle.path / "pid").unlink(missing_ok=True)
        return None if result.returncode == 0 else str(result)

    def listing(self):
        """Files that the runtime could leave: in the bundle and its rootfs, beside state directories, /run."""
        found, skip = set(), len(str(self.bundle.path)) + 1
        for directory, directories, files in os.walk(self.bundle.path):
            found.update(f"{directory}/{name}"[skip:] for name in (*directories, *files))
        found |= {f"/run/{name}" for name in os.listdir("/run")}
        found |= {f"/dev/shm/{name}" for name in os.listdir("/dev/shm")}
        return found - {"pid"}

    def left(self):
        """What is there now that was not before the campaign."""
        found = self.guard.leaks(self.runtime.root)
        return found + [f"file {name}" for name in sorted(self.listing() - self.files)]

    def clean(self):
        self.guard.clean_up()
        self.runtime.delete_everything()
        for name in self.listing() - self.files:
            path = self.bundle.path / name
            if path.is_file():
                path.unlink()

    # ----------------------------------------------------------------------------- campaign

    def fail(self, n, outcome, text, environment=""):
        layout = cgroups.layout()
        soak = "CAISSON_SOAK=1 " if SOAK else ""
        self.failures.append(
            f"{self.verb.name}, n={n}: {text}\n    hit: {outcome}\n    repro: CAISSON_RUNTIME={self.runtime.path} "
            f"CAISSON_FAULT_AT={n} CAISSON_SEED={SEED} {soak}{environment}tests/run-integration --cgroup {layout} "
            f"'{self.node}'")

    def rounds(self, count):
        """How often to go over all n, each time with something else: once outside the soak."""
        return count if SOAK else 1

    def run(self, mode, judge, salt=""):
        """mode(n) -> arguments of nth; judge(outcome) -> what is wrong with it, or None."""
        for n in choose(self.total, self.few, f"{self.node}{salt}"):
            outcome, problems = None, []
            try:
                outcome = self.call(mode(n))
                problems.append(judge(outcome))
            except CallFailed as error:
                problems.append(str(error))
            if outcome and outcome.hit >= 0:
                self.tried += 1
                self.syscalls.add(outcome.syscall)
            problems.append(self.forget())
            problems += self.left()
            problems = [p for p in problems if p]
            if problems:
                self.clean()
                self.fail(n, outcome, "; ".join(problems))
            if len(self.failures) >= FAILURES_MAX:
                break

    def kill_everywhere(self):
        """SIGKILL before each system call of the runtime itself."""
        def judge(outcome):
            if outcome.hit >= 0 and (outcome.end, outcome.status) != ("signal", 9):
                return "the runtime was hit and not killed"
            return None

        self.run(lambda n: ["kill", str(n)], judge)
        self.finish()

    def finish(self):
        """Count the sites and fail if anything went wrong."""
        sites = SITES.setdefault(self.node.split("::")[0], [0, 0])
        sites[0] += self.tried
        sites[1] += self.total
        print(f"seed {SEED}: {self.tried} of {self.total} {self.what} of `{self.verb.name}` hit, "
              f"{len(self.syscalls)} kinds")
        assert not self.failures, "\n".join(["", *self.failures])
        # A share may have got the numbers of a short verb that are hit in some runs only.
        assert self.tried > 0 or SHARES > 1, "nothing was hit"
