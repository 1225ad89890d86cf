# SPDX-License-Identifier: Apache-2.0
"""Class vm: standard streams whose pipe is locked, inside or on the host, by who moves bytes between it and a slow
file: the kernel lets nobody read, write or close such a pipe, whatever O_NONBLOCK says. The machine lives, nothing is
lost. The program is a machine's first container, an exec, or a container that has joined the machine."""

import fcntl
import os
import pathlib
import pty
import shutil
import signal
import socket
import struct
import subprocess
import termios
import time

import pytest

from lib import programs, slowfs
from lib.console import Terminal
from lib.pods import Pod
from lib.runtime import wait_until
from test_vm_files import image

pytestmark = [pytest.mark.classes("vm"), pytest.mark.beyond("runc", "crun", reason="have no machines"),
              pytest.mark.timeout(600)]
CALL_S = 120
# Longer than an agent that is silent, and emulated, is borne with.
SILENCE_S = 8
LOCK_MEMORY = programs.REPO_DIR / "build/tests/unit/agent/lock-memory"
NO_PROGRAM = ["/no/such/program"]


def named(name):
    """Pids of processes of this name."""
    found = set()
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "comm").read_text() == f"{name[:15]}\n":
                found.add(int(entry.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def wait_for_carriers(count, before=frozenset()):
    """Carriers that are not of `before`, when there are as many: they name themselves, and may not have come to that when
    their program speaks. (Of a detached container they are two: its output and its errors are files.)"""
    wait_until(lambda: len(named("caisson-carrier") - before) >= count, CALL_S, f"{count} carriers")
    return named("caisson-carrier") - before


class Place:
    """Where a program runs. `own` is its container, `machine` the one of which is asked whether others are served."""

    def __init__(self, kind, runtime, make_bundle):
        self.kind, self.runtime, self.before = kind, runtime, set()
        if kind == "member":
            pod = Pod(runtime, make_bundle)
            self.machine, self.own = pod.sandbox, pod.bundle("member")
            self.before = wait_for_carriers(2)
        else:
            self.machine = self.own = make_bundle()

    def begin(self, args, *flags, **options):
        if self.kind != "exec":
            return self.runtime.start_run(self.own, args, *flags, **options)
        if self.runtime.status(self.own) is None:
            self.runtime.run_detached(self.own)
            self.before = wait_for_carriers(2)
        return self.runtime.start_exec(self.own, args, *flags, **options)

    def carriers(self):
        return named("caisson-carrier") - self.before

    def are_gone(self):
        wait_until(lambda: not self.carriers(), 30, "its carriers are gone")
        assert self.kind == "container" or self.is_served()

    def is_served(self):
        return self.runtime.exec(self.machine, ["echo", "beside"], timeout_s=CALL_S).stdout == "beside\n"


@pytest.fixture(params=["container", "exec", "member"])
def place(request, runtime, make_bundle):
    return Place(request.param, runtime, make_bundle)


def outlive_silence(place, waiting):
    runtime, end = place.runtime, time.monotonic() + SILENCE_S
    while time.monotonic() < end:
        assert place.is_served()
        runtime.call("events", "--stats", place.machine.id, timeout_s=CALL_S)
        runtime.kill(place.machine, "CONT", timeout_s=CALL_S)
        time.sleep(1)
    assert waiting.poll() is None
    assert runtime.status(place.machine) == runtime.status(place.own) == "running"


# ------------------------------------------------------------------------------------------ inside


@pytest.fixture
def slow(place, work_dir):
    """/volume, whose files are answered when the test says so; all other files are the machine's own (an image)."""
    bundle = place.own
    with slowfs.served(work_dir / "slow", "other") as fs:
        shutil.copy(LOCK_MEMORY, bundle.rootfs / "bin/lock-memory")
        (bundle.rootfs / "volume").mkdir(exist_ok=True)
        image(bundle, "erofs")
        bundle.bind(fs.path, "/volume")
        yield fs


# The files of a container that has joined are served by who serves the slow one, too (CAVEATS.md, vm-patience).
with_files_of_its_own = pytest.mark.parametrize("place", ["container", "exec"], indirect=True)
in_an_exec = pytest.mark.parametrize("place", ["exec"], indirect=True)


@with_files_of_its_own
def test_output_out_of_a_slow_file_keeps_nobody_waiting(place, slow):
    run = place.begin(["cat", "/volume/other"])
    wait_until(lambda: slow.waiting, 60, "the file is being read")
    outlive_silence(place, run)
    slow.release()
    assert run.finish(timeout_s=CALL_S) == "s" * slowfs.SIZE
    assert run.wait() == 0


@in_an_exec
def test_who_reads_output_out_of_a_slow_page_may_go(place, slow):
    """The other end closes the pipe then."""
    run = place.begin(["lock-memory", "/volume/other", "write"])
    wait_until(lambda: slow.waiting, 60, "the page is being read")
    other = place.begin(["sleep", "1000"])
    run.stdout.close()
    outlive_silence(place, other)
    slow.release()
    # The write that waited for the page has gone well, or nobody read any more.
    assert run.wait(CALL_S) in (0, 128 + signal.SIGPIPE)


@in_an_exec
def test_input_into_a_slow_page_keeps_nobody_waiting(place, slow):
    run = place.begin(["sh", "-c", "lock-memory /volume/other read && exec cat"])
    run.stdin.write(b"first ")
    run.stdin.flush()
    wait_until(lambda: slow.waiting, 60, "the page is being read")
    run.stdin.write(b"second ")
    run.stdin.flush()
    outlive_silence(place, run)
    slow.release()
    assert run.finish("third", timeout_s=CALL_S) == "first second third"
    assert run.wait() == 0


@in_an_exec
def test_a_container_whose_output_is_kept_is_deleted(runtime, place, slow):
    run = place.begin(["cat", "/volume/other"])
    wait_until(lambda: slow.waiting, 60, "the file is being read")
    runtime.call("delete", "--force", place.own.id, timeout_s=CALL_S)
    assert run.wait(CALL_S) != 0
    assert place.own.id not in runtime.container_ids()


# -------------------------------------------------------------------------------------- on the host


@pytest.fixture
def held(work_dir):
    """A file of the host alone, which is answered when the test says so."""
    with slowfs.served(work_dir / "held", "other") as fs:
        fs.interruptible = True
        yield fs


@pytest.fixture
def holder(held):
    """holder(how, **ends): a process of the host that moves a page between a pipe and that file."""
    started = []

    def start(how, **ends):
        process = subprocess.Popen([LOCK_MEMORY, held.path / "other", how], **ends)
        started.append(process)
        wait_until(lambda: held.waiting, 60, "the page is being read")
        return process

    yield start
    held.release()
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def locked(place, holder):
    """A program whose standard output is a pipe that its reader has locked, reading into a page that does not come:
    the program, the pipe's ends, and who has it locked."""
    ours, theirs = os.pipe()
    # It says something, and more than sockets and pipe hold when it is told to.
    run = place.begin(["sh", "-c", "echo said; read line; head -c 1000000 /dev/zero"], stdout=theirs)
    keeps = holder("read", stdin=ours, stdout=subprocess.DEVNULL)
    run.stdin.write(b"go on\n")
    run.stdin.flush()
    return run, ours, theirs, keeps


def reading(held):
    """What has the file as its standard input: never this process, which serves the file, too."""
    return ["sh", "-c", f'exec "$@" < {held.path}/other', "sh"]


def test_who_keeps_the_pipe_of_its_output_keeps_nobody_else(place, held, locked):
    run, ours, theirs, _ = locked
    os.close(theirs)
    outlive_silence(place, run)
    held.release()
    with open(ours, "rb") as out:
        assert len(out.read()) == 1000000
    assert run.wait(CALL_S) == 0


def fill(fd):
    """Until all between it and a program that does not read is full. Returns the bytes."""
    os.set_blocking(fd, False)
    total, since = 0, time.monotonic()
    while time.monotonic() < since + 2:
        try:
            total, since = total + os.write(fd, b"f" * 4096), time.monotonic()
        except BlockingIOError:
            time.sleep(0.02)
    os.set_blocking(fd, True)
    return total


@pytest.mark.parametrize("place", ["exec", "member"], indirect=True)
def test_who_writes_input_out_of_a_slow_page_keeps_nobody_else(runtime, place, held, holder):
    theirs, ours = os.pipe()
    run = place.begin(["sh", "-c", "echo here; until test -e /go; do sleep 0.1; done; exec wc -c"], stdin=theirs)
    os.close(theirs)
    assert run.read_line() == "here"
    total = fill(ours)
    fcntl.fcntl(ours, fcntl.F_SETPIPE_SZ, 1 << 20)  # room, for which the writer would wait without the lock
    holder("write", stdout=ours)
    os.close(ours)
    runtime.exec(place.own, ["touch", "/go"], timeout_s=CALL_S)
    outlive_silence(place, run)
    held.release()
    assert int(run.finish(timeout_s=CALL_S)) == total + 4096
    assert run.wait() == 0


@pytest.mark.parametrize("place", ["container", "member"], indirect=True)
def test_input_from_a_file_that_does_not_come_keeps_nobody_else(place, held):
    run = place.begin(["cat"], prefix=reading(held))
    wait_until(lambda: held.waiting, 60, "the file is being read")
    outlive_silence(place, run)
    held.release()
    assert run.finish(timeout_s=CALL_S) == "s" * slowfs.SIZE
    assert run.wait() == 0


def test_a_program_ends_whether_its_input_comes_or_not(place, held):
    run = place.begin(["sh", "-c", "echo here; until test -e /go; do sleep 0.1; done; exit 7"], prefix=reading(held))
    assert run.read_line() == "here"
    wait_until(lambda: held.waiting, 60, "the file is being read")
    place.runtime.exec(place.own, ["touch", "/go"], timeout_s=CALL_S)
    assert run.wait(CALL_S) == 7
    place.are_gone()


def test_a_program_that_is_not_there_leaves_its_input_to_others(place, work_dir):
    if place.kind == "exec":
        place.begin(["true"]).finish()
    (work_dir / "input").write_text("all of it")
    with open(work_dir / "input", "rb") as ours:
        run = place.begin(NO_PROGRAM, stdin=ours)
        assert run.wait(CALL_S) != 0 and "no such" in run.errors.lower()
        assert os.lseek(ours.fileno(), 0, os.SEEK_CUR) == 0
    place.are_gone()


def test_a_machine_of_an_older_version_is_not_given_input_that_waits(runtime, bundle, monkeypatch):
    """It would never ask for it, and ends the connection of who asks what it does not know."""
    runtime.run_detached(bundle)
    at = runtime.root / bundle.id / "sentry.sock"
    at.rename(at.with_name("aside"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as older:
        monkeypatch.chdir(at.parent)  # a socket's path has 108 bytes
        older.bind(at.name)
        older.listen()
        older.settimeout(CALL_S)
        run = runtime.start_exec(bundle, ["cat"])
        client, _ = older.accept()
        with client:
            flags = struct.unpack("=IIiIII", client.recv(24))[4]
        assert flags == 1
        assert run.wait(CALL_S) != 0 and "an older caisson has started it" in run.errors
    at.unlink()
    at.with_name("aside").rename(at)
    assert runtime.exec(bundle, ["echo", "on"]).stdout == "on\n"


@pytest.mark.parametrize("place", ["exec", "member"], indirect=True)
def test_what_ends_under_a_reader_that_keeps_the_pipe_is_deleted(runtime, place, locked):
    """The test has both ends of the pipe, so that nobody else closes it."""
    run, ours, theirs, keeps = locked
    if place.kind == "exec":
        runtime.kill(place.own, "KILL", timeout_s=CALL_S)
        assert run.wait(CALL_S) == 128 + signal.SIGKILL
        assert not named("caisson-wait")
    else:
        os.kill(runtime.state(place.own).pid, signal.SIGKILL)
        assert place.is_served()
    keeps.kill()  # its read is over, and so is the lock
    runtime.call("delete", "--force", place.own.id, timeout_s=CALL_S)
    os.close(ours)
    os.close(theirs)
    assert place.own.id not in runtime.container_ids()
    wait_until(lambda: not place.carriers(), 30, "they are gone")
    assert place.kind == "exec" or place.is_served()


# ------------------------------------------------------------------------------- what carriers are


def fields(pid):
    """Of /proc/PID/stat, from the state on."""
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def cgroups_of(pid):
    return pathlib.Path(f"/proc/{pid}/cgroup").read_text()


def ends(kind, work_dir):
    """Standard input and output of a kind, and what reads the output."""
    if kind == "nothing":
        return subprocess.DEVNULL, subprocess.DEVNULL, lambda: "here\n"
    if kind == "pipe":
        return subprocess.PIPE, subprocess.PIPE, None
    if kind == "socket":
        ours, theirs = socket.socketpair()
        return theirs, theirs, lambda: ours.recv(100).decode()
    files = [work_dir / f"{kind}-{end}" for end in ("in", "out")]
    for path in files:
        os.mkfifo(path) if kind == "fifo" else path.touch()
    fds = [os.open(path, os.O_RDWR) for path in files]
    return *fds, lambda: os.read(os.open(files[1], os.O_RDONLY), 100).decode()


@pytest.mark.parametrize("place", ["exec", "member"], indirect=True)
def test_carriers_are_for_what_may_keep_waiting_alone(runtime, place, work_dir):
    """Standard error is a file, and input that is an empty one is over. They count with their container."""
    there = ["sh", "-c", "echo here; touch /here; until test -e /go; do sleep 0.1; done; rm /here /go"]
    for kind, count in {"nothing": 1, "socket": 1, "pipe": 3, "fifo": 3, "file": 2}.items():
        stdin, stdout, read = ends(kind, work_dir)
        run = place.begin(there, stdin=stdin, stdout=stdout)
        wait_until(lambda: place.own.rootfs.exists("here"), CALL_S)
        carriers = wait_for_carriers(count, place.before)
        assert len(carriers) == count, kind
        assert {cgroups_of(pid) for pid in carriers} == {cgroups_of(runtime.state(place.own).pid)}
        (place.own.rootfs / "go").touch()
        assert (read() if read else run.finish(timeout_s=CALL_S)) == "here\n", kind
        assert run.wait(CALL_S) == 0
        place.are_gone()


@pytest.mark.parametrize("place", ["exec", "member"], indirect=True)
def test_a_terminal_has_no_carriers(place):
    master, slave = pty.openpty()
    terminal = Terminal(master)
    place.own.process.terminal = place.kind == "member"
    run = place.begin(["sh", "-c", "read line; echo got $line"], *["-t"][:place.kind == "exec"], stdin=slave, stdout=slave)
    terminal.send("this\n")
    terminal.expect("got this")
    assert not place.carriers()
    assert run.wait(CALL_S) == 0
    os.close(slave)
    terminal.close()


def test_carriers_that_are_killed_are_the_end_of_their_streams(place):
    """The program meets the end of its input, or SIGPIPE; its end is told, and nothing is left."""
    run = place.begin(["sh", "-c", "echo here; cat; echo over > /over; while echo on; do sleep 0.1; done; exit 3"])
    assert run.read_line() == "here"
    carriers = wait_for_carriers(3, place.before)
    assert len(carriers) == 3
    for pid in carriers:
        os.kill(pid, signal.SIGKILL)
    assert run.wait(CALL_S) in (3, 128 + signal.SIGPIPE)
    place.are_gone()


@pytest.mark.parametrize("place", ["exec", "member"], indirect=True)
def test_carriers_end_with_who_has_made_them(runtime, place):
    run = place.begin(["sh", "-c", "echo here; exec cat"])
    assert run.read_line() == "here"
    maker, = {int(fields(pid)[1]) for pid in wait_for_carriers(3, place.before)}
    assert maker in named("caisson-wait")
    os.kill(maker, signal.SIGKILL)
    assert run.wait(CALL_S) == 128 + signal.SIGKILL
    place.are_gone()
    tasks = lambda: runtime.call("debug", place.machine.id, "tasks").stdout
    wait_until(lambda: "cat" not in tasks(), 30, "the process is gone")


LONG = 3000000


def full(run):
    """Nothing more goes into the pipe of its output, which nobody reads yet."""
    lies = lambda: struct.unpack("i", fcntl.ioctl(run.stdout, termios.FIONREAD, b"1234"))[0]
    wait_until(lambda: lies() == 1 << 16, CALL_S, "the pipe is full")


def test_nothing_of_what_was_said_is_lost_at_the_end(place):
    """More than pipe, sockets and credit hold, to who reads late."""
    run = place.begin(["sh", "-c", f"head -c {LONG} /dev/zero; echo the end"])
    full(run)
    assert run.poll() is None
    assert run.finish(timeout_s=CALL_S) == "\0" * LONG + "the end\n"
    assert run.wait() == 0
    place.are_gone()


@pytest.mark.parametrize("place", ["container", "member"], indirect=True)
def test_nothing_is_lost_by_a_pause(runtime, place):
    run = place.begin(["sh", "-c", f"head -c {LONG} /dev/zero; echo the end"])
    full(run)
    runtime.pause(place.own)
    assert len(os.read(run.stdout.fileno(), 1 << 16)) == 1 << 16
    runtime.resume(place.own)
    assert run.finish(timeout_s=CALL_S) == "\0" * (LONG - (1 << 16)) + "the end\n"
    assert run.wait() == 0
    place.are_gone()


def test_what_is_paused_is_deleted_with_its_carriers(runtime, place):
    run = place.begin(["sh", "-c", "echo here; exec cat"])
    assert run.read_line() == "here"
    runtime.pause(place.own)
    runtime.call("delete", "--force", place.own.id, timeout_s=CALL_S)
    assert run.wait(CALL_S) != 0
    wait_until(lambda: not place.carriers(), 30, "they are gone")
    assert place.kind != "member" or place.is_served()
