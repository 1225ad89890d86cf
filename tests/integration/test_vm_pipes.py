# SPDX-License-Identifier: Apache-2.0
"""Class vm: standard streams whose pipe is locked, inside or on the host, by who moves bytes between it and a slow
file: the kernel lets nobody read, write or close such a pipe, whatever O_NONBLOCK says. The machine lives, nothing is
lost."""

import fcntl
import os
import pathlib
import shutil
import signal
import subprocess
import time

import pytest

from lib import programs, slowfs
from lib.runtime import wait_until
from test_vm_files import image

pytestmark = [pytest.mark.classes("vm"), pytest.mark.beyond("runc", "crun", reason="have no machines"),
              pytest.mark.timeout(600)]
CALL_S = 120
# Longer than an agent that is silent, and emulated, is borne with.
SILENCE_S = 8
LOCK_MEMORY = programs.REPO_DIR / "build/tests/unit/agent/lock-memory"


@pytest.fixture
def slow(bundle, work_dir):
    """/volume, whose files are answered when the test says so; all other files are the machine's own (an image)."""
    try:
        fs = slowfs.SlowFs(work_dir / "slow", ["other"])
    except OSError as failed:
        pytest.skip(f"no FUSE here ({failed}): CAVEATS.md#test-fuse")
    shutil.copy(LOCK_MEMORY, bundle.rootfs / "bin/lock-memory")
    (bundle.rootfs / "volume").mkdir(exist_ok=True)
    image(bundle, "erofs")
    bundle.bind(fs.path, "/volume")
    yield fs
    fs.close()


def outlive_silence(runtime, bundle, waiting):
    end = time.monotonic() + SILENCE_S
    while time.monotonic() < end:
        assert runtime.exec(bundle, ["echo", "beside"], timeout_s=CALL_S).stdout == "beside\n"
        runtime.call("events", "--stats", bundle.id, timeout_s=CALL_S)
        runtime.kill(bundle, "CONT", timeout_s=CALL_S)
        time.sleep(1)
    assert waiting.poll() is None
    assert runtime.status(bundle) == "running"


def test_output_out_of_a_slow_file_keeps_nobody_waiting(runtime, bundle, slow):
    runtime.run_detached(bundle)
    run = runtime.start_exec(bundle, ["cat", "/volume/other"])
    wait_until(lambda: slow.waiting, 60, "the file is being read")
    outlive_silence(runtime, bundle, run)
    slow.release()
    assert run.finish(timeout_s=CALL_S) == "s" * slowfs.SIZE
    assert run.wait() == 0


def test_who_reads_output_out_of_a_slow_page_may_go(runtime, bundle, slow):
    """The other end closes the pipe then."""
    runtime.run_detached(bundle)
    run = runtime.start_exec(bundle, ["lock-memory", "/volume/other", "write"])
    wait_until(lambda: slow.waiting, 60, "the page is being read")
    other = runtime.start_exec(bundle, ["sleep", "1000"])
    run.stdout.close()
    outlive_silence(runtime, bundle, other)
    slow.release()
    # The write that waited for the page has gone well, or nobody read any more.
    assert run.wait(CALL_S) in (0, 128 + signal.SIGPIPE)


def test_output_of_a_container_out_of_a_slow_file_keeps_nobody_waiting(runtime, bundle, slow):
    run = runtime.start_run(bundle, ["cat", "/volume/other"])
    wait_until(lambda: slow.waiting, 60, "the file is being read")
    outlive_silence(runtime, bundle, run)
    slow.release()
    assert run.finish(timeout_s=CALL_S) == "s" * slowfs.SIZE
    assert run.wait() == 0


def test_input_into_a_slow_page_keeps_nobody_waiting(runtime, bundle, slow):
    runtime.run_detached(bundle)
    run = runtime.start_exec(bundle, ["sh", "-c", "lock-memory /volume/other read && exec cat"])
    run.stdin.write(b"first ")
    run.stdin.flush()
    wait_until(lambda: slow.waiting, 60, "the page is being read")
    run.stdin.write(b"second ")
    run.stdin.flush()
    outlive_silence(runtime, bundle, run)
    slow.release()
    assert run.finish("third", timeout_s=CALL_S) == "first second third"
    assert run.wait() == 0


def test_a_container_whose_output_is_kept_is_deleted(runtime, bundle, slow):
    runtime.run_detached(bundle)
    run = runtime.start_exec(bundle, ["cat", "/volume/other"])
    wait_until(lambda: slow.waiting, 60, "the file is being read")
    runtime.call("delete", "--force", bundle.id, timeout_s=CALL_S)
    assert run.wait(CALL_S) != 0
    assert bundle.id not in runtime.container_ids()


# -------------------------------------------------------------------------------------- on the host


@pytest.fixture
def held(work_dir):
    """A file of the host alone, which is answered when the test says so."""
    try:
        fs = slowfs.SlowFs(work_dir / "held", ["other"])
    except OSError as failed:
        pytest.skip(f"no FUSE here ({failed}): CAVEATS.md#test-fuse")
    fs.interruptible = True
    yield fs
    fs.close()


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


def named(name, parent=None):
    """Pids of processes of this name, of this parent."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            head, _, rest = (entry / "stat").read_text().rpartition(")")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if head.partition("(")[2] == name[:15] and parent in (None, int(rest.split()[1])):
            found.append(int(entry.name))
    return found


def reading(held):
    """What has the file as its standard input: never this process, which serves the file, too."""
    return ["sh", "-c", f'exec "$@" < {held.path}/other', "sh"]


def loud(text):
    """A program that says the text, and more than sockets and pipe hold when it is told to."""
    return ["sh", "-c", f"echo {text}; read line; head -c 1000000 /dev/zero"]


def test_who_keeps_the_pipe_of_an_exec_keeps_nobody_else(runtime, bundle, held, holder):
    """Its reader reads into a page that does not come."""
    runtime.run_detached(bundle)
    ours, theirs = os.pipe()
    run = runtime.start_exec(bundle, loud("said"), stdout=theirs)
    os.close(theirs)
    holder("read", stdin=ours, stdout=subprocess.DEVNULL)
    run.stdin.write(b"go on\n")
    run.stdin.flush()
    outlive_silence(runtime, bundle, run)
    held.release()
    with open(ours, "rb") as out:
        assert len(out.read()) == 1000000
    assert run.wait(CALL_S) == 0


def test_who_keeps_the_pipe_of_a_container_keeps_nobody_else(runtime, bundle, held, holder):
    ours, theirs = os.pipe()
    run = runtime.start_run(bundle, loud("said"), stdout=theirs)
    os.close(theirs)
    holder("read", stdin=ours, stdout=subprocess.DEVNULL)
    run.stdin.write(b"go on\n")
    run.stdin.flush()
    outlive_silence(runtime, bundle, run)
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


def test_who_writes_input_out_of_a_slow_page_keeps_nobody_else(runtime, bundle, held, holder):
    runtime.run_detached(bundle)
    theirs, ours = os.pipe()
    run = runtime.start_exec(bundle, ["sh", "-c", "until test -e /go; do sleep 0.1; done; exec wc -c"], stdin=theirs)
    os.close(theirs)
    total = fill(ours)
    fcntl.fcntl(ours, fcntl.F_SETPIPE_SZ, 1 << 20)  # room, for which the writer would wait without the lock
    holder("write", stdout=ours)
    os.close(ours)
    runtime.exec(bundle, ["touch", "/go"], timeout_s=CALL_S)
    outlive_silence(runtime, bundle, run)
    held.release()
    assert int(run.finish(timeout_s=CALL_S)) == total + 4096
    assert run.wait() == 0


def test_input_from_a_file_that_does_not_come_keeps_nobody_else(runtime, bundle, held):
    runtime.run_detached(bundle)
    run = runtime.start_exec(bundle, ["cat"], prefix=reading(held))
    wait_until(lambda: held.waiting, 60, "the file is being read")
    outlive_silence(runtime, bundle, run)
    held.release()
    assert run.finish(timeout_s=CALL_S) == "s" * slowfs.SIZE
    assert run.wait() == 0


def test_an_exec_ends_whether_its_input_comes_or_not(runtime, bundle, held):
    runtime.run_detached(bundle)
    before = named("caisson-carrier")
    run = runtime.start_exec(bundle, ["sh", "-c", "sleep 1; exit 7"], prefix=reading(held))
    wait_until(lambda: held.waiting, 60, "the file is being read")
    assert run.wait(CALL_S) == 7
    wait_until(lambda: named("caisson-carrier") == before, 30, "its carriers end")


def test_a_container_whose_reader_keeps_the_pipe_is_deleted(runtime, bundle, held, holder):
    """The test has both ends of the pipe, so that nobody else closes it."""
    runtime.run_detached(bundle)
    ours, theirs = os.pipe()
    run = runtime.start_exec(bundle, loud("said"), stdout=theirs)
    keeps = holder("read", stdin=ours, stdout=subprocess.DEVNULL)
    run.stdin.write(b"go on\n")
    run.stdin.flush()
    runtime.kill(bundle, "KILL", timeout_s=CALL_S)
    assert run.wait(CALL_S) == 128 + signal.SIGKILL
    assert not named("caisson-wait")
    keeps.kill()  # its read is over, and so is the lock
    runtime.call("delete", "--force", bundle.id, timeout_s=CALL_S)
    os.close(ours)
    os.close(theirs)
    assert bundle.id not in runtime.container_ids()
    wait_until(lambda: not named("caisson-carrier"), 30, "they are gone")


@pytest.mark.parametrize("whose", ["container", "exec"])
def test_carriers_that_are_killed_are_the_end_of_their_streams(runtime, bundle, whose):
    """The program meets the end of its input, or SIGPIPE; its end is told, and nothing is left."""
    program = ["sh", "-c", "cat; echo over > /over; while echo on; do sleep 0.1; done; exit 3"]
    if whose == "exec":
        runtime.run_detached(bundle)
        run = runtime.start_exec(bundle, ["sh", "-c", "echo here; " + program[2]])
    else:
        run = runtime.start_run(bundle, ["sh", "-c", "echo here; " + program[2]])
    assert run.read_line() == "here"
    carriers = named("caisson-carrier")
    assert len(carriers) >= 3
    for pid in carriers:
        os.kill(pid, signal.SIGKILL)
    assert run.wait(CALL_S) in (3, 128 + signal.SIGPIPE)
    if whose == "exec":
        assert runtime.exec(bundle, ["echo", "beside"], timeout_s=CALL_S).stdout == "beside\n"
    wait_until(lambda: len(named("caisson-carrier")) <= (3 if whose == "exec" else 0), 30, "they are gone")


def test_carriers_end_with_a_waiter_that_is_killed(runtime, bundle):
    runtime.run_detached(bundle)
    before = len(named("caisson-carrier"))
    run = runtime.start_exec(bundle, ["sh", "-c", "echo here; exec cat"])
    assert run.read_line() == "here"
    waiter, = named("caisson-wait")
    assert len(named("caisson-carrier")) == before + 3
    os.kill(waiter, signal.SIGKILL)
    assert run.wait(CALL_S) == 128 + signal.SIGKILL
    wait_until(lambda: len(named("caisson-carrier")) == before, 30, "its carriers are gone")
    wait_until(lambda: not any("cat" in line for line in runtime.ps(bundle).stdout.split("\n")), 30, "the process is")


def test_nothing_of_what_was_said_is_lost_at_the_end(runtime, bundle):
    """More than pipe, sockets and credit hold, to who reads late; a container and an exec."""
    text = "head -c 3000000 /dev/zero; echo the end"
    assert runtime.start_run(bundle, ["sh", "-c", text]).finish(timeout_s=CALL_S) == "\0" * 3000000 + "the end\n"
    runtime.run_detached(bundle)
    run = runtime.start_exec(bundle, ["sh", "-c", text])
    time.sleep(1)
    assert run.poll() is None
    assert run.finish(timeout_s=CALL_S) == "\0" * 3000000 + "the end\n"
    assert run.wait() == 0
