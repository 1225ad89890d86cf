# SPDX-License-Identifier: Apache-2.0
"""What `debug ID ...` shows of a sentry: tasks, stacks, mounts, areas, descriptors, counters."""

import os
import re
import signal

import pytest

from lib.runtime import refused, wait_until

pytestmark = [pytest.mark.classes("sentry"), pytest.mark.beyond("runc", "crun", reason="have no such verb")]
WAIT_S = 30
RECVMSG = "47"


def call_number(pid):
    """Of the system call that a process of the host waits in."""
    with open(f"/proc/{pid}/syscall", encoding="ascii") as file:
        return file.read().split()[0]


def metrics(runtime, bundle):
    text = runtime.call("debug", bundle.id, "metrics").stdout
    return {name: int(value) for name, value in re.findall(r"^(caisson_\S+) (\d+)$", text, re.M)}


@pytest.mark.parametrize("what,words", [("tasks", "sleep"), ("mounts", "/proc rw"), ("fds", "1 0 mode"),
                                        ("vmas", "000"), ("metrics", "caisson_sentry_tasks 1")])
def test_debug_looks_into_the_sentry(runtime, bundle, what, words):
    runtime.run_detached(bundle, ["sleep", "1000"])

    assert words in runtime.call("debug", bundle.id, what).stdout


def test_debug_lists_its_words(runtime, bundle):
    runtime.run_detached(bundle)

    refused(runtime, runtime.call("debug", bundle.id, "stakcs", check=False), '"stakcs" is none of stacks')


def test_stacks_say_what_each_task_waits_for_and_where(runtime, bundle):
    runtime.run_detached(bundle, ["sh", "-c", "sleep 1000 & wait"])
    stacks = ""

    def waits():
        nonlocal stacks
        stacks = runtime.call("debug", bundle.id, "stacks").stdout
        return "nanosleep, parked" in stacks

    wait_until(waits, WAIT_S)
    paragraphs = re.split(r"^(?=\S)", stacks, flags=re.M)
    sleeper = next(p for p in paragraphs if "nanosleep, parked" in p)
    assert re.match(r"pid \d+ tid \d+ \w+: \w*nanosleep, parked, interruptible, until in \d+ ms\n", sleeper)
    frames = re.findall(r"^    \+0x[0-9a-f]+ (\w+)[.\w]*\+0x[0-9a-f]+$", sleeper, re.M)
    assert frames[0] == "fiber_park" and "syscall_dispatch" in frames and frames[-1] == "fiber_first"
    assert any("kernel fiber control, running" in p for p in paragraphs)


def test_a_task_in_guest_code_is_said_to_be_there(runtime, bundle):
    runtime.run_detached(bundle, ["testinit", "spin"])

    wait_until(lambda: ": guest code" in runtime.call("debug", bundle.id, "stacks").stdout, WAIT_S)


def test_a_sentry_that_says_nothing_makes_no_verb_hang(runtime, bundle):
    runtime.run_detached(bundle)
    sentry = runtime.state(bundle).pid
    os.kill(sentry, signal.SIGSTOP)
    calls = [runtime.start_call(*words) for words in (("kill", bundle.id, "TERM"), ("ps", bundle.id),
                                                      ("debug", bundle.id, "tasks"))]
    for call in calls:
        assert call.wait(100) == 1
        assert "sandbox %s has said nothing for 20 s" % bundle.id in call.errors


@pytest.mark.parametrize("verb", [("kill", "TERM"), ("update", "--pids-limit=100")], ids=["kill", "update"])
def test_who_waits_for_a_sentry_keeps_nobody_from_killing_it(runtime, bundle, verb):
    runtime.run_detached(bundle)
    os.kill(runtime.state(bundle).pid, signal.SIGSTOP)
    waits = runtime.start_call(verb[0], bundle.id, verb[1])
    wait_until(lambda: call_number(waits.pid) == RECVMSG, WAIT_S)

    runtime.call("kill", bundle.id, "KILL")
    runtime.wait_for(bundle, "stopped")
    assert waits.wait(WAIT_S) == 1


def test_metrics_are_prometheus_text(runtime, bundle):
    runtime.run_detached(bundle)
    lines = runtime.call("debug", bundle.id, "metrics").stdout.splitlines()

    types = {line.split()[2]: line.split()[3] for line in lines if line.startswith("# TYPE ")}
    helped = {line.split()[2] for line in lines if line.startswith("# HELP ")}
    assert set(types) == helped and set(types.values()) <= {"counter", "gauge"}
    for line in lines:
        match = re.fullmatch(r'#.*|(caisson_\w+)(\{call="\w+"\})? \d+', line)
        assert match, line
        if match[1]:
            assert match[1] in types
            assert match[1].endswith("_total") == (types[match[1]] == "counter")


def test_calls_are_counted_by_how_they_are_served(runtime, bundle):
    """500 and 99999 are no calls, 175 is init_module(2), 16 ioctl(2)."""
    runtime.run_detached(bundle)
    before = metrics(runtime, bundle)
    for number in ("500", "500", "175", "16", "99999"):
        runtime.exec(bundle, ["testinit", "syscall", number], check=False)
    after = metrics(runtime, bundle)

    def grown(name):
        return after.get(name, 0) - before.get(name, 0)

    assert grown('caisson_sentry_syscalls_unknown_total{call="500"}') == 2
    assert grown('caisson_sentry_syscalls_unknown_total{call="other"}') == 1
    assert grown('caisson_sentry_syscalls_refused_total{call="init_module"}') == 1
    assert grown('caisson_sentry_syscalls_partial_total{call="ioctl"}') >= 1
    assert grown("caisson_sentry_syscalls_total") > 10


def test_faults_and_opens_are_counted(runtime, bundle):
    bundle.rootfs.write("new", "")
    runtime.run_detached(bundle)
    before = metrics(runtime, bundle)
    runtime.exec(bundle, ["testinit", "segv"], check=False)
    runtime.exec(bundle, ["cat", "/new"])
    after = metrics(runtime, bundle)

    assert after["caisson_sentry_faults_total"] > before["caisson_sentry_faults_total"]
    assert after["caisson_gofer_opens_total"] > before["caisson_gofer_opens_total"]
    assert after["caisson_gofer_requests_total"] > before["caisson_gofer_requests_total"]
    assert after["caisson_sentry_memory_bytes"] > 0 and after["caisson_sentry_fibers"] >= 2


@pytest.mark.parametrize("room,words", [
    ("boot", "the gate is open"), ("fs", "gofer: request"), ("mm", "mmap of"), ("net", "socket of family 2 type 1"),
    ("syscall", "set_mempolicy_home_node is refused"), ("task", "executes /bin/cat"), ("vfs", "open /etc/passwd flags")])
def test_a_room_logs_what_it_does_and_no_other(runtime, bundle, work_dir, room, words):
    log = work_dir / "log"
    script = "testinit tcp 127.0.0.1 1; testinit syscall 450; /bin/cat /etc/passwd"
    runtime.run(bundle, ["sh", "-c", script], global_flags=["--log", log, f"--debug={room}"])

    rooms = re.findall(r"^\[ *\d+\.\d{6} (\w+)\] ", log.read_text(errors="replace"), re.M)
    assert set(rooms) == {room} and words in log.read_text(errors="replace")


def test_a_room_that_is_none_is_an_error_that_names_it(runtime, bundle):
    refused(runtime, runtime.create(bundle, global_flags=["--debug=vsf"], check=False), "--debug=vsf: Invalid argument")


def test_a_guests_text_stays_in_its_line_of_the_log(runtime, bundle, work_dir):
    log = work_dir / "log"
    runtime.run(bundle, ["sh", "-c", r"""cat "$(printf 'a\nb\033[2Jc')"; true"""],
                global_flags=["--log", log, "--debug=vfs"])

    assert "open a?b?[2Jc flags" in log.read_text(errors="replace")
