# SPDX-License-Identifier: Apache-2.0
"""Exec, Attach and PortForward of the CRI as streams: `kubectl exec`, `attach` and `port-forward`."""

import contextlib
import itertools
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from conftest import class_name
from enginelib import command
from enginelib.containerd_config import SERIES
from enginelib.remote import WEBSOCKETS, Forward, attach_to, exec_in
from test_containerd import containerd, engine, make_pod, pod, sh  # noqa: F401 (fixtures)

WORDS = "".join("line %d\n" % number for number in range(20000))


# What reads its input to the end, and what is left of it when its client has hung up: containerd 2 kills it at once.
READS = "echo $$ > /tmp/pid; cat; echo over > /tmp/over"
LEFT = sh("kill -0 $(cat /tmp/pid) 2> /dev/null || echo ended; cat /tmp/over 2> /dev/null; true")
AFTER_HANGING_UP = "ended\n" + ("over\n" if SERIES != "2.1" else "")


@pytest.fixture
def sleeper(pod):  # noqa: F811
    return pod.start("a", ("/bin/sleep", "1000"))


# ------------------------------------------------------------------------------------ exec


def test_exec_streams_are_whole_and_apart(pod, sleeper):  # noqa: F811
    with exec_in(pod.cri, sleeper, sh("cat; echo to-err >&2; exit 7"), stdin=True) as process:
        process.say(WORDS[:5])
        process.expect(WORDS[:5])
        with ThreadPoolExecutor(1) as writer:  # the other side stops reading when nobody reads its output
            sent = writer.submit(process.say, WORDS[5:])
            process.expect(WORDS[-10:])
            sent.result()
        process.stdin.end()
        assert process.wait() == (7, "command terminated with non-zero exit code: error executing command "
                                  "[/bin/sh -c cat; echo to-err >&2; exit 7], exit code 7")
        assert process.stdout.data.decode() == WORDS
        assert process.stderr.data == b"to-err\n"


def test_exec_without_input_reads_the_end(pod, sleeper):  # noqa: F811
    with exec_in(pod.cri, sleeper, ("/bin/cat",)) as process:
        assert process.wait() == (0, None)


def test_exec_on_a_terminal_of_a_size(pod, sleeper):  # noqa: F811
    with exec_in(pod.cri, sleeper, ("/bin/sh",), stdin=True, tty=True) as process:
        process.expect("# ")
        process.say("probe term\n")
        process.expect("0:tty 1:tty 2:tty")
        for rows, cols in ((41, 88), (25, 132)):
            process.set_size(rows, cols)
            process.say('until [ "$(stty size)" = "%d %d" ]; do sleep 0.1; done; echo re""sized %d\n' % (
                rows, cols, rows))
            process.expect("resized %d" % rows)
        process.say("exit 12\n")
        assert process.wait()[0] == 12


def test_exec_that_cannot_start_says_why(pod, sleeper):  # noqa: F811
    with exec_in(pod.cri, sleeper, ("/bin/missing-program",)) as process:
        status, error = process.wait()
    assert status is None and "no such file or directory" in error.lower(), error


def test_exec_ended_by_a_signal(pod, sleeper):  # noqa: F811
    with exec_in(pod.cri, sleeper, sh("kill -9 $$")) as process:
        assert process.wait()[0] == 137


def test_exec_whose_client_hangs_up_reads_the_end(pod, sleeper):  # noqa: F811
    with exec_in(pod.cri, sleeper, sh(READS), stdin=True) as process:
        process.say("here\n")
        process.expect("here\n")
    command.eventually(lambda: pod.exec(sleeper, *LEFT) == AFTER_HANGING_UP, what="the end of the input")


def test_several_execs_at_once(pod, sleeper):  # noqa: F811
    def life(number):
        with exec_in(pod.cri, sleeper, sh("cat; exit %d" % number), stdin=True) as process:
            process.say("number %d\n" % number)
            process.stdin.end()
            return process.wait()[0], process.stdout.data.decode()

    with ThreadPoolExecutor(6) as workers:
        assert list(workers.map(life, range(6))) == [(n, "number %d\n" % n) for n in range(6)]


# ---------------------------------------------------------------------------------- attach

def join(client):
    """Speak until the client hears an answer: its streams are open before it is attached to the container's."""
    for _ in range(100):
        client.say("hello\n")
        if client.hears("got hello\n", 0.3):
            return
    raise AssertionError("not attached: %s" % client.connection.seen())


ANSWERS = sh("echo begun; while read -r line; do echo got $line; [ $line != end ] || exit 5; done; echo over; exit 6")


def test_clients_attached_at_once_see_the_same(pod):  # noqa: F811
    container = pod.start("a", ANSWERS, stdin=True)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(attach_to(pod.cri, container, stdin=True)) for _ in range(3)]
        for client in clients:
            join(client)
        for number, client in enumerate(clients):
            client.say("word%d\n" % number)
            for each in clients:
                each.expect("got word%d\n" % number)
        clients.pop().connection.socket.close()
        clients[0].say("still\n")
        clients[1].expect("got still\n")
        clients[1].say("end\n")
        for each in clients:
            assert each.wait() == (0, None)  # of the attachment: the container's own is in its status
    assert pod.wait_exited(container).exit_code == 5
    said = lambda: [line[3] for line in pod.log("a") if line[3] != "got hello"]
    command.eventually(lambda: "got end" in said(), what="the log")
    assert said() == ["begun", "got word0", "got word1", "got word2", "got still", "got end"]


def test_end_of_a_clients_input_is_the_containers_if_it_has_one_client(pod):  # noqa: F811
    """stdinOnce; without it the container reads on when its client has gone."""
    once = pod.start("once", ANSWERS, stdin=True, stdin_once=True)
    many = pod.start("many", ANSWERS, stdin=True)
    for container in (once, many):
        with attach_to(pod.cri, container, stdin=True) as client:
            join(client)
            client.stdin.end()
            if container == once:
                client.expect("over\n")
    assert pod.wait_exited(once).exit_code == 6
    with attach_to(pod.cri, many, stdin=True) as client:
        join(client)
        client.say("end\n")
    assert pod.wait_exited(many).exit_code == 5
    # Not by the client: containerd 1.6 ends its output when the container's stderr has ended, which may be first.
    command.eventually(lambda: pod.log("many")[-1][3] == "got end", what="the log")


def test_attach_to_a_terminal_of_a_size(pod):  # noqa: F811
    container = pod.start("a", sh("trap 'exit 9' INT; probe winsize; exit 8"), stdin=True, tty=True)
    with attach_to(pod.cri, container, stdin=True, tty=True) as client:
        rows = itertools.count(33)  # what was shown before it was attached it does not hear
        command.eventually(lambda: client.set_size(next(rows), 101) or client.hears(" 101", 0.3), what="its size")
        client.say("\x03")  # its line discipline makes a signal of it
        assert client.wait() == (0, None)
    assert pod.wait_exited(container).exit_code == 9


# ------------------------------------------------------------------------------ websockets


@pytest.mark.parametrize("protocol", WEBSOCKETS)
def test_exec_through_a_websocket(pod, sleeper, protocol):  # noqa: F811
    script = "while read -r line && [ \"$line\" != end ]; do echo \"$line\"; done; echo to-err >&2; exit 7"
    with exec_in(pod.cri, sleeper, sh(script), stdin=True, web=protocol) as process:
        words = WORDS[:WORDS.index("line 2000\n")]
        with ThreadPoolExecutor(1) as writer:
            sent = writer.submit(process.say, words)
            process.expect(words[-10:])
            sent.result()
        process.say("end\n")  # these protocols have no word for the end of an input
        assert process.wait()[0] == 7
        assert process.stdout.data.decode() == words
        assert process.stderr.data == b"to-err\n"
    with exec_in(pod.cri, sleeper, sh(READS), stdin=True, web=protocol) as process:
        process.say("here\n")
        process.expect("here\n")
    command.eventually(lambda: pod.exec(sleeper, *LEFT) == AFTER_HANGING_UP, what="the end of the input")


@pytest.mark.parametrize("protocol", WEBSOCKETS)
def test_attach_to_a_terminal_through_a_websocket(pod, protocol):  # noqa: F811
    """Beside a client of SPDY: both hear what the container says."""
    container = pod.start("a", sh("trap 'echo by''e; exit 9' INT; probe winsize; exit 8"), stdin=True, tty=True)
    with attach_to(pod.cri, container, stdin=True, tty=True, web=protocol) as client, \
            attach_to(pod.cri, container, tty=True) as other:
        for each, columns in ((client, 101), (other, 102)):
            rows = itertools.count(33)
            command.eventually(lambda: each.set_size(next(rows), columns) or each.hears(" %d" % columns, 0.3),
                               what="its size")
        client.say("\x03")
        for each in (client, other):
            each.expect("bye")
            assert each.wait() == (0, None)
    assert pod.wait_exited(container).exit_code == 9


# ---------------------------------------------------------------------------- port forward


def serve(pod, address, *programs):  # noqa: F811
    """Each program at a port from 8001 on, of this address."""
    ports = range(8001, 8001 + len(programs))
    container = pod.start("a", sh("".join(
        "probe serve %s %d %s & " % (address, port, program) for port, program in zip(ports, programs)) + "wait"))
    to = "::1" if ":" in address else "127.0.0.1"
    for port in ports:
        pod.exec(container, *sh("until nc %s %d < /dev/null > /dev/null; do sleep 0.1; done" % (to, port)))
    return container


@pytest.fixture
def both_are_localhost(tmp_path):
    """containerd finds its way to ::1 alone by what the node calls localhost; a machine looks for itself."""
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n::1 localhost\n")
    command.run(["mount", "--bind", hosts, "/etc/hosts"])
    yield
    command.run(["umount", "/etc/hosts"])


@pytest.mark.usefixtures("both_are_localhost")
@pytest.mark.parametrize("address", ["0.0.0.0", "127.0.0.1", "::", "::1"])
def test_port_forward_to_ports_of_the_pod(pod, address):  # noqa: F811
    """containerd connects inside of the pod's network namespace, to its loopback device."""
    serve(pod, address, "cat", "hostname")
    with Forward(pod.cri, pod.id) as forward:
        echoes = [forward.connect(8001) for _ in range(12)]
        for number, (_, data) in enumerate(echoes):
            data.send(b"word%02d\n" % number)
        for number, (_, data) in enumerate(echoes):
            forward.connection.until(lambda: data.data == b"word%02d\n" % number, what="the answer")
        assert forward.connect(8002)[1].read_all() == b"pod\n"
        data = echoes[0][1]
        with ThreadPoolExecutor(1) as writer:
            sent = writer.submit(data.send, WORDS.encode())
            forward.connection.until(lambda: data.data.endswith(WORDS[-10:].encode()), what="all of it")
            sent.result()
        assert data.data.decode() == "word00\n" + WORDS
        data.end()
        assert [stream.read_all() for stream in echoes[0]] == [b"", data.data]


def test_loopback_device_of_a_pod_is_reached_from_the_node(pod):  # noqa: F811
    """As engines do that connect in its network namespace themselves, whichever address they call localhost."""
    serve(pod, "::", "cat")
    info = json.loads(pod.cri.PodSandboxStatus(pod_sandbox_id=pod.id, verbose=True).info["info"])
    (path,) = [each["path"] for each in info["runtimeSpec"]["linux"]["namespaces"] if each["type"] == "network"]
    for to in ("127.0.0.1", "::1"):
        argv = ["nsenter", "--net=" + path, "/bin/busybox", "nc", to, "8001"]
        assert command.run(argv, stdin="word\n").out == "word\n", to


def test_port_forward_brings_a_large_answer_whole(pod):  # noqa: F811
    """More than all buffers on the way hold, to a reader that begins late."""
    size = 6 << 20
    serve(pod, "127.0.0.1", "head -c %d /dev/zero" % size)
    with Forward(pod.cri, pod.id) as forward:
        late, first = forward.connect(8001)[1], forward.connect(8001)[1]
        assert len(first.read_all()) == size
        data = late.read_all()
    assert len(data) == size and not data.strip(b"\0")


def test_port_forward_that_is_open_ends_with_its_pod(pod):  # noqa: F811
    serve(pod, "127.0.0.1", "cat")
    with Forward(pod.cri, pod.id) as forward:
        data = forward.connect(8001)[1]
        data.send(b"word\n")
        forward.connection.until(lambda: data.data == b"word\n", what="the answer")
        pod.cri.StopPodSandbox(pod_sandbox_id=pod.id)
        assert data.read_all() == b"word\n"
    pod.cri.RemovePodSandbox(pod_sandbox_id=pod.id)


def test_port_forward_to_nobody_says_so(pod, sleeper):  # noqa: F811
    """Of a machine only its inside knows that nobody listens: the connection is made, and reset."""
    with Forward(pod.cri, pod.id) as forward:
        error, data = forward.connect(8003)
        told = error.read_all().decode()
        assert "8003" in told and ("reset" if class_name() == "vm" else "refused") in told, told
        assert data.read_all() == b""
