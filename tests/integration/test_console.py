# SPDX-License-Identifier: Apache-2.0
"""Terminals: the console socket of engines, and the caller's own terminal."""

import os
import pty
import socket
import time

import pytest

from lib.console import Terminal
from lib.runtime import refused, wait_until

pytestmark = pytest.mark.classes("ns", "sentry", "vm")


@pytest.fixture
def terminal_bundle(bundle):
    bundle.process.terminal = True
    return bundle


@pytest.fixture
def own_terminal():
    """A terminal for the runtime's standard streams: (master as Terminal, slave descriptor)."""
    master, slave = pty.openpty()
    terminal = Terminal(master)
    yield terminal, slave
    os.close(slave)
    terminal.close()


def test_console_socket_receives_the_terminal_of_create(runtime, terminal_bundle, console):
    terminal_bundle.process.args = ["sh", "-c", "tty; echo done"]

    runtime.create(terminal_bundle, "--console-socket", console.path)
    terminal = console.terminal()
    runtime.start(terminal_bundle)
    text = terminal.expect("done")
    assert text.splitlines()[0] in ("/dev/pts/0", "/dev/console")


@pytest.mark.beyond("crun", reason="sends a blank")
def test_console_socket_carries_the_name_of_the_terminal(runtime, terminal_bundle, console):
    runtime.create(terminal_bundle, "--console-socket", console.path)

    fds, name = console.receive()
    assert len(fds) == 1 and os.isatty(fds[0])
    assert name in (b"/dev/ptmx", b"\0") or b"pts" in name or b"ptmx" in name


def test_all_three_streams_are_the_terminal_and_it_controls_the_session(runtime, terminal_bundle, console):
    terminal_bundle.process.args = ["testinit", "report"]

    runtime.run(terminal_bundle, None, "-d", "--console-socket", console.path)
    text = console.terminal().expect('"status":')
    assert '"tty":[1,1,1]' in text
    assert '"sid":1' in text


@pytest.mark.beyond("crun", reason="keeps ONLCR")
def test_foreground_run_adds_no_carriage_returns(runtime, terminal_bundle, own_terminal):
    terminal, slave = own_terminal

    process = runtime.start_run(terminal_bundle, ["sh", "-c", "stty -a; echo one; echo two"], stdin=slave, stdout=slave,
                                new_session=True)
    assert process.wait() == 0
    # The container's terminal leaves lines alone, the caller's ends them.
    text = terminal.expect("two\r\n")
    assert " -onlcr" in text and text.endswith("one\r\ntwo\r\n")


def test_input_and_signals_pass_through_the_terminal(runtime, terminal_bundle, console):
    terminal_bundle.process.args = ["sh", "-c", "trap 'echo trapped' INT; echo begin; cat; echo end"]

    runtime.run(terminal_bundle, None, "-d", "--console-socket", console.path)
    terminal = console.terminal()
    terminal.expect("begin")
    terminal.send("to and fro\n")
    terminal.expect("to and fro")
    terminal.expect("to and fro")
    terminal.send("\x03")
    terminal.expect("trapped")
    terminal.expect("end")
    runtime.wait_for(terminal_bundle, "stopped")


def test_console_size_of_the_config_is_set(runtime, terminal_bundle, console):
    terminal_bundle.process.console_size.height = 33
    terminal_bundle.process.console_size.width = 77
    terminal_bundle.process.args = ["testinit", "winsize"]

    runtime.run(terminal_bundle, None, "-d", "--console-socket", console.path)
    terminal = console.terminal()
    if runtime.kind == "caisson":
        terminal.expect("size 33 77")
    terminal.resize(44, 88)
    terminal.expect("size 44 88")


def test_dev_console_is_the_terminal(runtime, terminal_bundle, console):
    terminal_bundle.process.args = ["sh", "-c", "echo through > /dev/console"]

    runtime.run(terminal_bundle, None, "-d", "--console-socket", console.path)
    console.terminal().expect("through")


def test_terminal_belongs_to_the_user_of_the_process(runtime, terminal_bundle, console):
    terminal_bundle.process.user.uid, terminal_bundle.process.user.gid = 1000, 1000
    terminal_bundle.process.args = ["sh", "-c", "echo reopened > $(tty)"]

    runtime.run(terminal_bundle, None, "-d", "--console-socket", console.path)
    console.terminal().expect("reopened")


@pytest.mark.beyond("crun", reason="makes one without a reader")
def test_terminal_without_a_console_socket_is_refused_for_create(runtime, terminal_bundle):
    result = runtime.create(terminal_bundle, check=False)

    refused(runtime, result, "detach without setting console socket")
    assert runtime.container_ids() == []


@pytest.mark.beyond("crun", reason="makes one without a reader")
def test_terminal_without_a_console_socket_is_refused_for_detached_run(runtime, terminal_bundle):
    result = runtime.run(terminal_bundle, None, "-d", check=False)

    refused(runtime, result, "detach without setting console socket")


@pytest.mark.beyond("crun", reason="ignores it")
def test_console_socket_without_a_terminal_is_refused(runtime, bundle, console):
    result = runtime.create(bundle, "--console-socket", console.path, check=False)

    refused(runtime, result, "cannot use console socket")
    assert runtime.container_ids() == []


@pytest.mark.parametrize("path", ["/no/such/socket", "relative.sock", "/" + "x" * 200])
def test_missing_console_socket_is_an_error_and_leaves_nothing(runtime, terminal_bundle, path):
    result = runtime.create(terminal_bundle, "--console-socket", path, check=False)

    assert result.returncode == 1 and result.stderr
    assert runtime.container_ids() == []


def test_console_socket_that_hangs_up_is_survived(runtime, terminal_bundle, work_dir):
    terminal_bundle.process.args = ["true"]
    path = work_dir / "hangup.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        process = runtime.start_run(terminal_bundle, None, "-d", "--console-socket", path)
        connection, _ = listener.accept()
        connection.close()
        assert process.wait() in (0, 1)


def test_exec_has_a_terminal_of_its_own(runtime, bundle, console):
    runtime.run_detached(bundle)

    runtime.exec(bundle, ["sh", "-c", "tty; echo done"], "-t", "-d", "--console-socket", console.path)
    text = console.terminal().expect("done")
    assert text.startswith("/dev/pts/")


def test_exec_terminal_in_a_container_with_a_terminal_has_another_name(runtime, terminal_bundle, console):
    terminal_bundle.process.args = ["sleep", "1000"]
    runtime.run(terminal_bundle, None, "-d", "--console-socket", console.path)
    console.terminal()

    runtime.exec(terminal_bundle, ["sh", "-c", "tty; echo done"], "--tty", "-d", "--console-socket", console.path)
    assert console.terminal().expect("done").startswith("/dev/pts/1")


@pytest.mark.beyond("crun", reason="does not pass the size on")
def test_run_connects_the_callers_terminal(runtime, terminal_bundle, own_terminal):
    terminal, slave = own_terminal
    terminal.resize(25, 81)

    process = runtime.start_run(terminal_bundle, ["sh"], stdin=slave, stdout=slave, new_session=True)
    terminal.send("tty; stty size\n")
    terminal.expect("/dev/pts/0")
    terminal.expect("25 81")
    terminal.send("exit 5\n")
    assert process.wait() == 5


def test_exec_connects_the_callers_terminal(runtime, bundle, own_terminal):
    runtime.run_detached(bundle)
    terminal, slave = own_terminal

    process = runtime.start_exec(bundle, ["sh"], "-t", stdin=slave, stdout=slave, new_session=True)
    terminal.send("echo hel''lo; exit 6\n")
    terminal.expect("hello")
    assert process.wait() == 6


def test_callers_terminal_is_restored_after_the_run(runtime, terminal_bundle, own_terminal):
    import termios

    terminal, slave = own_terminal
    before = termios.tcgetattr(slave)

    process = runtime.start_run(terminal_bundle, ["true"], stdin=slave, stdout=slave, new_session=True)
    assert process.wait() == 0
    assert termios.tcgetattr(slave) == before


@pytest.mark.beyond("crun", reason="does not pass the size on")
def test_window_size_changes_reach_the_container(runtime, terminal_bundle, own_terminal):
    terminal, slave = own_terminal
    terminal.resize(30, 90)
    # A session leader with the terminal as its controlling one gets SIGWINCH from the resize.
    process = runtime.start_run(terminal_bundle, ["testinit", "winsize"], stdin=slave, stdout=slave,
                                prefix=["setsid", "-c"])
    terminal.expect("size 30 90")
    terminal.resize(31, 91)
    terminal.expect("size 31 91")
    runtime.kill(terminal_bundle, "KILL")
    wait_until(lambda: process.poll() is not None)


@pytest.mark.beyond("runc", "crun", reason="end differently when nobody reads")
def test_exec_whose_output_nobody_takes_ends_by_a_signal(runtime, bundle):
    runtime.run_detached(bundle)

    # A pipe of 64 KiB and our buffer of 8 hold its 69 KiB, so that the program itself ends.
    text = "i=0; while [ $i -lt 5900 ]; do echo 0123456789; i=$((i+1)); done; touch /written"
    process = runtime.start_call("exec", "-t", bundle.id, "sh", "-c", text)
    wait_until(lambda: bundle.rootfs.exists("written"), 30, "the program is through")
    time.sleep(0.2)
    assert process.popen.poll() is None
    process.popen.terminate()
    assert process.wait(30) is not None
