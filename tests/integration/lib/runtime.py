# SPDX-License-Identifier: Apache-2.0
"""The runtime under test, called as an engine or a person calls it.

Standard output and error always go to files, never to pipes: a detached container keeps them,
and reading a pipe to its end would wait for the container. Every call has a time limit. Every
call inherits one more descriptor, the sentinel; leaks.py looks for it in what is left.
"""

import json
import os
import pathlib
import re
import select
import shlex
import signal
import subprocess
import time

from lib import cgroups

CLEAN_ENV = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root",
             "LANG": "C.UTF-8"}
if "CAISSON_TEST_CONFIG" in os.environ:  # of all calls that have none of their own
    CLEAN_ENV["CAISSON_CONFIG"] = os.environ["CAISSON_TEST_CONFIG"]
CALL_TIMEOUT_S = float(os.environ.get("CAISSON_CALL_TIMEOUT", "15"))
PATIENCE_S = 30.0  # for what must happen, on a machine with other work


class CallFailed(AssertionError):
    """A call that should have succeeded."""


class Result:
    """What a call left: returncode, stdout, stderr, argv, seconds."""

    def __init__(self, argv, returncode, out_path, err_path, seconds):
        self.argv, self.returncode, self.seconds = argv, returncode, seconds
        self.out_path, self.err_path = out_path, err_path

    @property
    def stdout(self):
        return self.out_path.read_text(encoding="utf-8", errors="surrogateescape")

    @property
    def stderr(self):
        return self.err_path.read_text(encoding="utf-8", errors="surrogateescape")

    @property
    def json(self):
        return json.loads(self.stdout)

    @property
    def report(self):
        """The object that `testinit report` printed."""
        return json.loads(self.stdout)

    def __str__(self):
        return (f"$ {shlex.join(self.argv)}\n[{self.returncode}] {self.seconds * 1000:.1f} ms\n"
                f"stdout: {self.stdout}\nstderr: {self.stderr}")


class State(Result):
    """The answer of `state`: the fields of the specification's state object as attributes."""

    def __getattr__(self, name):
        if name in ("ociVersion", "id", "status", "pid", "bundle", "annotations", "created", "owner",
                    "rootfs"):
            return self.json.get(name)
        raise AttributeError(name)


class Process:
    """A call that runs while the test goes on; stdin and stdout are pipes or what was given."""

    def __init__(self, argv, popen, err_path):
        self.argv, self.popen, self.err_path = argv, popen, err_path

    def __getattr__(self, name):
        return getattr(self.popen, name)

    @property
    def errors(self):
        return self.err_path.read_text(encoding="utf-8", errors="replace")

    def wait(self, timeout_s=CALL_TIMEOUT_S):
        return self.popen.wait(timeout_s)

    def read_line(self):
        return self.popen.stdout.readline().decode(errors="replace").rstrip("\n")

    def finish(self, text=b"", timeout_s=CALL_TIMEOUT_S):
        """Give the rest of standard input, close it. Returns all of standard output."""
        out, _ = self.popen.communicate(text.encode() if isinstance(text, str) else text, timeout_s)
        return (out or b"").decode(errors="replace")


def probe(path):
    """(kind, version text): kind is the first word of `--version`, such as runc or caisson."""
    out = subprocess.run([path, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                         timeout=CALL_TIMEOUT_S, check=True).stdout
    return out.split()[0].split("-")[0], out


def name_of(target):
    """The container ID of a bundle or the ID itself."""
    return target if isinstance(target, str) else target.id


def wait_until(condition, timeout_s=PATIENCE_S, what=None):
    """Poll until condition() is true. Returns its value."""
    deadline = time.monotonic() + timeout_s
    pause_s = 0.0005
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"did not happen in {timeout_s} s: {what or condition}")
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, 0.02)


def ends_within(child, timeout_s):
    """Whether a Popen ends in time; it sleeps until then (Popen.wait with a limit polls, up to 50 ms too long)."""
    fd = os.pidfd_open(child.pid)
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        return bool(poll.poll(timeout_s * 1000))
    finally:
        os.close(fd)


class Runtime:
    """One runtime with one --root. Verbs take a bundle (or an ID) and extra flags."""

    def __init__(self, path, kind, isolation, directory, sentinel, profile=None):
        self.path, self.kind, self.isolation, self.profile = path, kind, isolation, profile
        self.directory = pathlib.Path(directory)
        self.root = self.directory / "root"
        self.logs = self.directory / "logs"
        self.logs.mkdir()
        self.sentinel = sentinel
        self.calls = []
        self.processes = []
        self.bundles = []
        self.outputs = {}

    # -------------------------------------------------------------------------- plumbing

    def argv(self, *args, global_flags=()):
        chosen = []
        if self.kind == "caisson" and args and args[0] in ("create", "run", "do"):
            chosen = ["--isolation", self.isolation]
            if self.profile:
                chosen += ["--stub-profile", self.profile]
        if "--isolation" in global_flags:
            chosen = []
        return [str(self.path), "--root", str(self.root), *chosen, *map(str, global_flags),
                *map(str, args)]

    def _log_paths(self):
        number = len(self.calls)
        return self.logs / f"{number:03d}.out", self.logs / f"{number:03d}.err"

    def _wrap(self, argv, fds, prefix):
        """Give fds the numbers 3, 4, ... (with LISTEN_PID, as systemd does) and put a command in front."""
        argv = [*map(str, prefix), *argv]
        if fds:
            moves = " ".join(f"{3 + i}<&{fd}" for i, fd in enumerate(fds))
            closes = " ".join(f"{fd}<&-" for fd in fds if fd >= 3 + len(fds))
            argv = ["bash", "-c", f'exec {moves}; exec {closes}; export LISTEN_PID=$$; exec "$@"', "fds", *argv]
        return argv

    def call(self, *args, check=True, timeout_s=CALL_TIMEOUT_S, stdin=None, env=None, cwd=None, fds=(),
             global_flags=(), prefix=(), kind=Result, stdout=None, raw=None):
        """Run to the end. stdin is text, a file or None (the lane's /dev/null)."""
        argv = raw or self.argv(*args, global_flags=global_flags)
        out_path, err_path = self._log_paths()
        if isinstance(stdin, (str, bytes)):
            path = out_path.with_suffix(".in")
            path.write_bytes(stdin.encode() if isinstance(stdin, str) else stdin)
            stdin = open(path, "rb")
        started = time.monotonic()
        with open(out_path, "wb") as out, open(err_path, "wb") as err:
            child = subprocess.Popen(self._wrap(argv, fds, prefix), stdin=stdin or subprocess.DEVNULL,
                                     stdout=stdout or out, stderr=err, cwd=cwd,
                                     env={**CLEAN_ENV, **(env or {})},
                                     pass_fds=(self.sentinel, *fds))
            self.calls.append((argv, None))
            ended = ends_within(child, timeout_s)
            if not ended:
                child.kill()
            child.wait()
        if not ended:
            result = kind(argv, None, out_path, err_path, timeout_s)
            raise CallFailed(f"no end within {timeout_s} s:\n{result}")
        result = kind(argv, child.returncode, out_path, err_path, time.monotonic() - started)
        self.calls[-1] = (argv, child.returncode)
        if check and child.returncode != 0:
            raise CallFailed(str(result))
        return result

    def start_call(self, *args, env=None, cwd=None, fds=(), global_flags=(), prefix=(),
                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, new_session=False):
        """Begin a call. Returns a Process; the end of the test ends it."""
        argv = self.argv(*args, global_flags=global_flags)
        _, err_path = self._log_paths()
        with open(err_path, "wb") as err:
            popen = subprocess.Popen(self._wrap(argv, fds, prefix), stdin=stdin, stdout=stdout, stderr=err,
                                     cwd=cwd, env={**CLEAN_ENV, **(env or {})},
                                     start_new_session=new_session, pass_fds=(self.sentinel, *fds))
        self.calls.append((argv, "running"))
        process = Process(argv, popen, err_path)
        self.processes.append(process)
        return process

    def _remember(self, bundle, result):
        self.outputs[name_of(bundle)] = result
        return result

    def output(self, bundle):
        """What the container has written to standard output so far."""
        return self.outputs[name_of(bundle)].stdout

    def wait_for_output(self, bundle, text, timeout_s=PATIENCE_S):
        wait_until(lambda: text in self.output(bundle), timeout_s,
                   f"{text!r} in the output of {name_of(bundle)}")
        return self.output(bundle)

    # ------------------------------------------------------------------------------ verbs

    def create(self, bundle, *flags, save=True, **options):
        if save:
            bundle.save()
        return self._remember(bundle, self.call("create", "--bundle", bundle.path, *flags, bundle.id,
                                                **options))

    def start(self, bundle, **options):
        return self.call("start", name_of(bundle), **options)

    def run(self, bundle, args=None, *flags, save=True, check=None, **options):
        """Foreground run of args (or the config's). check defaults to True."""
        if args is not None:
            bundle.process.args = [str(a) for a in args]
        if save:
            bundle.save()
        return self._remember(bundle, self.call("run", "--bundle", bundle.path, *flags, bundle.id,
                                                check=check is not False, **options))

    def run_detached(self, bundle, args=None, *flags, **options):
        """`run -d`; the container's program sleeps unless args say otherwise."""
        return self.run(bundle, args or ["sleep", "1000"], "-d", *flags, **options)

    def start_run(self, bundle, args=None, *flags, **options):
        """Foreground run with pipes. Returns a Process."""
        if args is not None:
            bundle.process.args = [str(a) for a in args]
        bundle.save()
        return self.start_call("run", "--bundle", bundle.path, *flags, bundle.id, **options)

    def state(self, bundle, **options):
        return self.call("state", name_of(bundle), kind=State, **options)

    def status(self, bundle):
        """The status, or None when there is no such container."""
        state = self.state(bundle, check=False)
        return state.status if state.returncode == 0 else None

    def kill(self, bundle, signal_name=None, *flags, **options):
        extra = [] if signal_name is None else [signal_name]
        return self.call("kill", *flags, name_of(bundle), *extra, **options)

    def delete(self, bundle, *flags, **options):
        return self.call("delete", *flags, name_of(bundle), **options)

    def exec(self, bundle, args, *flags, **options):
        """flags stand before the ID, as every engine writes them."""
        return self.call("exec", *flags, name_of(bundle), *map(str, args), **options)

    def start_exec(self, bundle, args, *flags, **options):
        return self.start_call("exec", *flags, name_of(bundle), *map(str, args), **options)

    def list(self, *flags, **options):
        return self.call("list", *flags, **options)

    def ps(self, bundle, *flags, **options):
        return self.call("ps", *flags, name_of(bundle), **options)

    def inside(self, bundle):
        """The processes of a container: the host's pids, of classes sentry and vm those inside."""
        if self.isolation in ("sentry", "vm"):
            return set(self.ps(bundle, "--format", "json").json or [])
        return cgroups.pids(bundle.linux.cgroups_path)

    def pause(self, bundle, **options):
        return self.call("pause", name_of(bundle), **options)

    def resume(self, bundle, **options):
        return self.call("resume", name_of(bundle), **options)

    def update(self, bundle, *flags, **options):
        return self.call("update", *flags, name_of(bundle), **options)

    def events(self, bundle, *flags, **options):
        return self.call("events", *flags, name_of(bundle), **options)

    def spec(self, *flags, **options):
        return self.call("spec", *flags, **options)

    def features(self, **options):
        return self.call("features", **options)

    def version(self, **options):
        return self.call("--version", **options)

    # -------------------------------------------------------------------------- helpers

    def wait_for(self, bundle, status, timeout_s=PATIENCE_S):
        """Until `state` says so; status None means: until there is no such container."""
        wait_until(lambda: self.status(bundle) == status, timeout_s,
                   f"{name_of(bundle)} is {status!r}, last {self.status(bundle)!r}")

    def stop(self, bundle):
        """Kill, wait and delete."""
        self.kill(bundle, "KILL")
        self.wait_for(bundle, "stopped")
        self.delete(bundle)

    def container_ids(self):
        """Names of the state directories below --root."""
        try:
            return sorted(e.name for e in os.scandir(self.root)
                          if e.is_dir() and not e.name.startswith("@"))
        except FileNotFoundError:
            return []

    def end_processes(self):
        for process in self.processes:
            if process.poll() is None:
                process.popen.send_signal(signal.SIGKILL)
                process.popen.wait()
            for stream in (process.popen.stdin, process.popen.stdout):
                if stream is not None:
                    try:
                        stream.close()
                    except BrokenPipeError:
                        pass

    def delete_everything(self):
        for name in self.container_ids():
            try:
                self.call("delete", "--force", name, check=False)
            except CallFailed:
                pass  # it hangs; the leak check names what that leaves


def error_line(result):
    """The last line of standard error, without logrus's time and level."""
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    line = lines[-1] if lines else ""
    match = re.search(r'msg="((?:[^"\\]|\\.)*)"', line)
    return match.group(1).encode().decode("unicode_escape") if match else line


def refused(runtime, result, text, code=1):
    """Assert that a call failed with this status and wording (runc's; crun has other words)."""
    if runtime.kind == "crun":
        assert result.returncode not in (0, None), str(result)
        return
    assert result.returncode == code, str(result)
    assert text in result.stderr.replace('\\"', '"'), f"wanted {text!r} in:\n{result}"
