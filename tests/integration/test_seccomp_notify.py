# SPDX-License-Identifier: Apache-2.0
"""SCMP_ACT_NOTIFY: who answers the container's calls gets the listener before the program runs.

config-linux.md#seccomp. The hand-over must not depend on a call that is itself notified, so write, sendmsg
and execve, with which the program begins, are as good as any other.
"""

import array
import errno
import fcntl
import json
import select
import socket
import struct
import threading

import pytest

from lib.runtime import refused

pytestmark = [pytest.mark.classes("ns", caveat="sentry-seccomp-notify", vm_caveat="vm-descriptors"),
              pytest.mark.beyond("runc", reason="refuses write; sendmsg and execve block it for good"),
              pytest.mark.beyond("crun", reason="waits for itself")]

# seccomp_unotify(2): struct seccomp_notif and seccomp_notif_resp.
NOTIF_RECV, NOTIF_SEND = 0xC0502100, 0xC0182101
CONTINUE = 1
NUMBERS = {"write": 1, "sendmsg": 46, "execve": 59, "mkdir": 83}  # x86-64


class Supervisor:
    """Takes the listener and answers every call with `answer(nr)`: None lets it go on, else an errno."""

    def __init__(self, path, answer):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        self.socket.listen()
        self.answer, self.calls, self.state = answer, [], None
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        peer, _ = self.socket.accept()
        with peer:
            text, fds, _, _ = socket.recv_fds(peer, 65536, 4)
        self.state = json.loads(text)
        self.state["listener"] = fds[self.state["fds"].index("seccompFd")]
        poll = select.poll()
        poll.register(self.state["listener"], select.POLLIN)
        while not poll.poll()[0][1] & select.POLLHUP:
            self.answer_one(self.state["listener"])

    def answer_one(self, listener):
        notif = array.array("B", bytes(80))
        try:
            fcntl.ioctl(listener, NOTIF_RECV, notif)
            cookie, _, _, number = struct.unpack_from("QIIi", notif)
            self.calls.append(number)
            error = self.answer(number)
            response = struct.pack("QqiI", cookie, 0, -(error or 0), 0 if error else CONTINUE)
            fcntl.ioctl(listener, NOTIF_SEND, array.array("B", response))
        except OSError as e:
            assert e.errno == errno.ENOENT  # the caller has ended meanwhile


def notify(bundle, path, *names):
    bundle.config["linux"]["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": str(path), "listenerMetadata": "for the test",
        "syscalls": [{"names": list(names), "action": "SCMP_ACT_NOTIFY"}]}


@pytest.fixture
def supervise(bundle, work_dir):
    """supervise(*names, answer=...) makes the profile and the one who answers."""
    def make(*names, answer=lambda number: None):
        path = work_dir / "listener.sock"
        notify(bundle, path, *names)
        return Supervisor(path, answer)
    return make


@pytest.mark.parametrize("names", [["write"], ["sendmsg"], ["execve"], ["write", "sendmsg", "execve"]])
def test_calls_of_the_hand_over_itself_may_be_notified(runtime, bundle, supervise, names):
    supervisor = supervise(*names)

    assert runtime.run(bundle, ["sh", "-c", "echo one; exec echo two"]).stdout == "one\ntwo\n"
    supervisor.thread.join(30)
    assert not supervisor.thread.is_alive()
    expected = {NUMBERS[name] for name in names} - {NUMBERS["sendmsg"]}
    assert set(supervisor.calls) == expected


def test_the_listener_comes_with_start_not_with_create(runtime, bundle, supervise):
    bundle.process.args = ["sh", "-c", "echo one; sleep 1000"]
    supervisor = supervise("write", "sendmsg", "execve")

    runtime.create(bundle)
    assert supervisor.state is None
    runtime.start(bundle)
    runtime.wait_for_output(bundle, "one\n")
    assert set(supervisor.calls) == {NUMBERS["write"], NUMBERS["execve"]}


def test_a_refusing_supervisor_makes_the_exec_of_the_program_fail(runtime, bundle, supervise):
    supervise("execve", answer=lambda number: errno.EACCES)

    refused(runtime, runtime.run(bundle, ["true"], check=False), "Permission denied")


def test_the_supervisor_gets_the_state_document(runtime, bundle, supervise):
    supervisor = supervise("mkdir")

    runtime.run(bundle, ["mkdir", "/tmp/x"])
    supervisor.thread.join(30)
    assert supervisor.state["metadata"] == "for the test"
    assert supervisor.state["state"]["id"] == bundle.id
    assert supervisor.state["pid"] > 0
    assert supervisor.calls == [NUMBERS["mkdir"]]


def test_without_anybody_at_the_listener_path_the_container_does_not_start(runtime, bundle, work_dir):
    notify(bundle, work_dir / "nobody.sock", "mkdir")

    refused(runtime, runtime.run(bundle, ["true"], check=False), "nobody.sock")
