# SPDX-License-Identifier: Apache-2.0
"""Calls that wait for a container's files, in class vm: they take as long as the files do, who asked for them bounds
them, and whatever needs no file is answered meanwhile (the others wait as well: CAVEATS.md#vm-patience)."""

import pathlib
import signal
import time

import pytest

from lib import slowfs
from lib.runtime import wait_until

pytestmark = [pytest.mark.classes("vm"), pytest.mark.beyond("runc", "crun", reason="have no machines"),
              pytest.mark.timeout(600)]
CALL_S = 120
# Longer than an agent that is silent, and emulated, is borne with.
SILENCE_S = 8


@pytest.fixture
def slow(work_dir):
    """A volume of the host whose files are answered when the test says so."""
    with slowfs.served(work_dir / "slow", "program", "other") as fs:
        yield fs


def begin_slow_exec(runtime, bundle, slow):
    before = len(slow.waiting)
    run = runtime.start_exec(bundle, ["/volume/program"])
    wait_until(lambda: len(slow.waiting) > before, 60, "the program's file is being read")
    return run


def test_a_program_whose_file_is_slow_keeps_nobody_waiting(runtime, bundle, slow):
    bundle.bind(slow.path, "/volume")
    runtime.run_detached(bundle)
    run = begin_slow_exec(runtime, bundle, slow)
    end = time.monotonic() + SILENCE_S
    while time.monotonic() < end:
        assert len(runtime.inside(bundle)) == 2
        runtime.call("events", "--stats", bundle.id, timeout_s=CALL_S)
        time.sleep(0.5)
    assert run.poll() is None
    assert runtime.status(bundle) == "running"
    slow.release()

    # It is none, after all.
    assert run.wait(CALL_S) != 0
    assert "exec format error" in run.errors.lower()
    assert runtime.exec(bundle, ["echo", "alive"], timeout_s=CALL_S).stdout == "alive\n"


@pytest.mark.skipif(not pathlib.Path("/usr/libexec/virtiofsd").exists(),
                    reason="QEMU 7.2's virtiofsd serves one request after the other: CAVEATS.md#vm-patience")
def test_a_slow_file_keeps_no_other_file_waiting(runtime, bundle, slow):
    """Of files that the guest has not in its memory."""
    bundle.bind(slow.path, "/volume")
    bundle.rootfs.write("fresh", "here")
    runtime.run_detached(bundle)
    run = begin_slow_exec(runtime, bundle, slow)
    assert runtime.exec(bundle, ["cat", "/fresh"], timeout_s=CALL_S).stdout == "here"
    assert run.poll() is None
    slow.release()
    assert run.wait(CALL_S) != 0


def test_a_slow_exec_goes_with_who_asked_for_it(runtime, bundle, slow):
    bundle.bind(slow.path, "/volume")
    runtime.run_detached(bundle)
    run = begin_slow_exec(runtime, bundle, slow)
    run.send_signal(signal.SIGKILL)
    run.wait(CALL_S)
    time.sleep(SILENCE_S)
    slow.release()
    wait_until(lambda: len(runtime.inside(bundle)) == 1, 60, "the process that waited has ended")
    assert runtime.exec(bundle, ["echo", "alive"], timeout_s=CALL_S).stdout == "alive\n"


# A shell that needs no file when it is told to go on: what serves files serves one at a time. What it has done once it
# has in memory.
KILL_WORKERS = """
look() {
    for at in /proc/[0-9]*; do
        read name <$at/comm && [ "$name" = "$1" ] || continue
        while read key value; do
            [ "$key" = PPid: ] && [ "$value" = 1 ] && kill -$2 ${at#/proc/} && echo signalled
        done <$at/status
    done 2>/dev/null
}
look caisson-agent 0
look sh 0
echo ready
read word
look caisson-worker KILL
"""


def test_who_serves_an_exec_dies_in_the_machine(runtime, bundle, slow, work_dir):
    """As for want of memory: that exec fails and says so, and nothing of it runs on."""
    config = work_dir / "caisson.json"
    config.write_text('{"vm.debug_console": "true"}', encoding="ascii")
    bundle.bind(slow.path, "/volume")
    runtime.run_detached(bundle, env={"CAISSON_CONFIG": str(config)})
    shell = runtime.start_call("debug", bundle.id, "console", "--", "/bin/sh", "-c", KILL_WORKERS)
    while shell.read_line() != "ready":
        pass
    run = begin_slow_exec(runtime, bundle, slow)
    shell.stdin.write(b"go\n")
    shell.stdin.flush()
    assert shell.read_line() == "signalled"
    assert run.wait(CALL_S) == 255
    assert "EXEC has died" in run.errors
    slow.release()
    assert shell.wait(CALL_S) == 0
    wait_until(lambda: len(runtime.inside(bundle)) == 1, 60, "the process that waited has ended")
    assert runtime.exec(bundle, ["echo", "alive"], timeout_s=CALL_S).stdout == "alive\n"


def test_a_signal_to_all_waits_for_nobody_who_reads_a_slow_file(runtime, bundle, slow):
    """Who waits for a file cannot be frozen: all are signalled the same, soon, and nobody takes the agent for silent."""
    bundle.bind(slow.path, "/volume")
    runtime.run_detached(bundle, ["sh", "-c", "trap 'echo got TERM' TERM; (read x </volume/other) & "
                                              "echo ready; while :; do sleep 0.1; done"])
    runtime.wait_for_output(bundle, "ready")
    wait_until(lambda: slow.waiting, 60, "the file is being read")
    runtime.call("kill", "--all", bundle.id, "TERM", timeout_s=CALL_S)
    slow.release()
    runtime.wait_for_output(bundle, "got TERM")
    assert runtime.exec(bundle, ["echo", "alive"], timeout_s=CALL_S).stdout == "alive\n"


def test_a_container_is_deleted_while_an_exec_hangs(runtime, bundle, slow):
    bundle.bind(slow.path, "/volume")
    runtime.run_detached(bundle)
    run = begin_slow_exec(runtime, bundle, slow)
    runtime.call("delete", "--force", bundle.id, timeout_s=CALL_S)
    assert run.wait(CALL_S) != 0
    assert bundle.id not in runtime.container_ids()


def test_a_start_takes_as_long_as_its_programs_file(runtime, bundle, slow):
    bundle.bind(slow.path, "/volume")
    bundle.process.args = ["/volume/program"]
    runtime.create(bundle)
    start = runtime.start_call("start", bundle.id)
    wait_until(lambda: slow.waiting, 60, "the program's file is being read")
    time.sleep(SILENCE_S)
    assert start.poll() is None
    assert runtime.status(bundle) in ("created", "running")
    slow.release()
    assert start.wait(CALL_S) != 0
    assert "exec format error" in start.errors.lower()


def test_a_start_container_hook_that_takes_long_is_no_silence(runtime, bundle):
    bundle.hook("startContainer", "/bin/sh", "-c", f"sleep {SILENCE_S}")
    bundle.process.args = ["sleep", "1000"]
    runtime.create(bundle)
    runtime.start(bundle, timeout_s=CALL_S)
    assert runtime.exec(bundle, ["echo", "alive"], timeout_s=CALL_S).stdout == "alive\n"
