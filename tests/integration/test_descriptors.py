# SPDX-License-Identifier: Apache-2.0
"""What descriptors and sockets of the caller reach the container: --preserve-fds, LISTEN_FDS,
NOTIFY_SOCKET."""

import os
import socket
import threading

import pytest

from lib.runtime import wait_until

pytestmark = pytest.mark.classes("ns", "sentry", "vm")
REPORT = ["testinit", "report"]


@pytest.fixture
def pipes():
    """Three pipes whose read ends hold the texts one, two and three."""
    ends = []
    for text in (b"one", b"two", b"three"):
        read_end, write_end = os.pipe()
        os.write(write_end, text)
        os.close(write_end)
        ends.append(read_end)
    yield ends
    for end in ends:
        os.close(end)


def test_only_the_three_streams_are_open(runtime, bundle, pipes):
    report = runtime.run(bundle, REPORT, fds=pipes).report

    assert sorted(report["fds"]) == ["0", "1", "2"]


def test_only_the_three_streams_are_open_after_create_and_start(runtime, bundle, pipes):
    bundle.process.args = REPORT

    runtime.create(bundle, fds=pipes)
    runtime.start(bundle, fds=pipes)
    runtime.wait_for(bundle, "stopped")
    assert sorted(runtime.outputs[bundle.id].report["fds"]) == ["0", "1", "2"]


@pytest.mark.classes("ns", "sentry", caveat="vm-descriptors")
def test_preserve_fds_passes_as_many_as_it_says(runtime, bundle, pipes):
    report = runtime.run(bundle, REPORT, "--preserve-fds", "2", fds=pipes).report

    assert sorted(report["fds"]) == ["0", "1", "2", "3", "4"]


@pytest.mark.classes("ns", "sentry", caveat="vm-descriptors")
@pytest.mark.parametrize("number,text", [(3, "one"), (4, "two"), (5, "three")])
def test_preserved_descriptors_keep_their_numbers(runtime, bundle, pipes, number, text):
    result = runtime.run(bundle, ["testinit", "fd", number], "--preserve-fds", "3", fds=pipes)

    assert result.stdout == text


@pytest.mark.classes("ns", "sentry", caveat="vm-descriptors")
def test_preserve_fds_works_for_create(runtime, bundle, pipes):
    bundle.process.args = ["testinit", "fd", "3"]

    runtime.create(bundle, "--preserve-fds=1", fds=pipes)
    runtime.start(bundle)
    runtime.wait_for(bundle, "stopped")
    assert runtime.output(bundle) == "one"


@pytest.mark.beyond("runc", "crun", reason="go on without them")
def test_preserving_a_closed_descriptor_is_an_error(runtime, bundle):
    result = runtime.run(bundle, ["true"], "--preserve-fds", "3", check=False)

    assert result.returncode == 1 and result.stderr
    assert runtime.container_ids() == []


@pytest.mark.parametrize("value", ["-1", "many", ""])
def test_malformed_count_is_refused(runtime, bundle, value):
    result = runtime.run(bundle, ["true"], "--preserve-fds", value, check=False)

    if runtime.kind == "caisson":
        assert result.returncode == 1
    assert runtime.container_ids() == []


@pytest.mark.classes("ns", "sentry", caveat="vm-descriptors")
@pytest.mark.beyond("crun", reason="loses LISTEN_FDS")
def test_listen_fds_pass_with_their_variables(runtime, bundle, pipes):
    report = runtime.run(bundle, REPORT, fds=pipes[:2], env={"LISTEN_FDS": "2"}).report

    assert {"3", "4"} <= set(report["fds"])
    assert "LISTEN_FDS=2" in report["env"] and "LISTEN_PID=1" in report["env"]


@pytest.mark.classes("ns", "sentry", caveat="vm-descriptors")
def test_listen_fds_and_preserve_fds_add_up(runtime, bundle, pipes):
    report = runtime.run(bundle, REPORT, "--preserve-fds", "1", fds=pipes, env={"LISTEN_FDS": "2"}).report

    assert sorted(report["fds"]) == ["0", "1", "2", "3", "4", "5"]


def test_environment_of_the_caller_does_not_reach_the_program(runtime, bundle):
    env = runtime.run(bundle, REPORT, env={"SECRET": "x", "LD_PRELOAD": "", "_LIBCONTAINER_X": "y"}).report["env"]

    assert not [e for e in env if e.startswith(("SECRET", "LD_PRELOAD", "_LIBCONTAINER", "NOTIFY_SOCKET"))]


class ServiceManager(threading.Thread):
    """Receives notifications as systemd does: at once, and closing the descriptors of a barrier."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path = str(path)
        self.lines = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)

    def run(self):
        while "stop" not in self.lines:
            self.lines += self.socket.recv(4096).decode().splitlines()

    def expect(self, line):
        wait_until(lambda: line in self.lines, what=f"{line} in {self.lines}")

    def stop(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
            client.sendto(b"stop", self.path)
        self.join()
        self.socket.close()


@pytest.fixture
def manager(work_dir):
    """A service manager that listens at manager.path."""
    thread = ServiceManager(work_dir / "notify.sock")
    thread.start()
    yield thread
    thread.stop()


@pytest.mark.beyond("crun", reason="never stops waiting")
def test_ready_of_the_program_reaches_the_service_manager(runtime, bundle, manager):
    process = runtime.start_run(bundle, ["sh", "-c", "testinit notify READY=1; sleep 1000"],
                                env={"NOTIFY_SOCKET": manager.path})

    manager.expect("READY=1")
    runtime.kill(bundle, "KILL")
    process.wait()


@pytest.mark.beyond("crun", reason="never stops waiting")
def test_detached_run_tells_the_service_manager_the_main_pid(runtime, bundle, manager):
    runtime.run_detached(bundle, ["sh", "-c", "testinit notify READY=1; sleep 1000"],
                         env={"NOTIFY_SOCKET": manager.path})

    manager.expect("READY=1")
    manager.expect(f"MAINPID={runtime.state(bundle).pid}")


def test_start_waits_for_nobody_without_a_manager(runtime, bundle):
    runtime.run_detached(bundle)

    env = runtime.exec(bundle, REPORT).report["env"]
    assert not [e for e in env if e.startswith("NOTIFY_SOCKET")]


@pytest.mark.beyond("crun", reason="hands the socket itself on")
def test_only_known_notifications_pass(runtime, bundle, manager):
    process = runtime.start_run(bundle, ["sh", "-c", "testinit notify EVIL=1; testinit notify READY=1; sleep 1000"],
                                env={"NOTIFY_SOCKET": manager.path})

    manager.expect("READY=1")
    assert "EVIL=1" not in manager.lines
    runtime.kill(bundle, "KILL")
    wait_until(lambda: process.poll() is not None)
