# SPDX-License-Identifier: Apache-2.0
"""The management socket of a shim, and `caisson metrics`, which asks all of them."""

import glob
import json
import os
import signal
import socket
import stat

import pytest

from enginelib import command
from enginelib.containerd import NAMESPACE
from enginelib.prometheus import Families
from test_containerd import containerd, engine, make_pod, pod, sh  # noqa: F401 (fixtures)
from test_shim import SOCKETS, shim_of

ROOT = "/run/containerd/caisson/" + NAMESPACE
MIB = 1 << 20


def sockets():
    return glob.glob(SOCKETS + "/*.caisson")


def socket_of(pid):
    """The management socket of a shim, by the addresses that it listens at."""
    with open("/proc/net/unix", encoding="utf-8") as f:
        paths = {line.split()[6]: line.split()[7] for line in f if line.strip().endswith(".caisson")}
    for fd in os.listdir("/proc/%d/fd" % pid):
        inode = os.readlink("/proc/%d/fd/%s" % (pid, fd))
        if inode.startswith("socket:[") and inode[8:-1] in paths:
            return paths[inode[8:-1]]
    raise AssertionError("shim %d has no management socket" % pid)


def say(path, request):
    """Send bytes, return (status, headers, body) of the answer, which must be whole."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(30)
        sock.connect(path)
        sock.sendall(request)
        data = b""
        while True:
            try:
                piece = sock.recv(65536)
            except ConnectionResetError:  # it did not read all that was sent
                piece = b""
            if not piece:
                break
            data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    version, status, _ = lines[0].split(" ", 2)
    headers = dict(line.split(": ", 1) for line in lines[1:])
    assert version == "HTTP/1.1" and headers["Connection"] == "close"
    assert int(headers["Content-Length"]) == len(body)
    return int(status), headers, body.decode()


def get(path, target, status=200):
    answer = say(path, b"GET %s HTTP/1.1\r\nHost: shim\r\n\r\n" % target.encode())
    assert answer[0] == status, answer
    return answer


def test_metrics_of_a_pod(pod, containerd, isolation):  # noqa: F811
    container = pod.start("a", ("/bin/sleep", "1000"))
    shim = shim_of(pod.id)
    path = socket_of(shim)
    info = os.stat(path)
    assert (stat.S_IMODE(info.st_mode), info.st_uid) == (0o600, os.geteuid())
    assert stat.S_IMODE(os.stat(SOCKETS).st_mode) == 0o700
    _, headers, text = get(path, "/metrics")
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    found = Families(text)
    assert sorted(labels["id"] for labels, _ in found["caisson_container_info"]) == sorted([pod.id, container])
    one = {"root": ROOT, "id": container, "class": isolation}
    assert found.value("caisson_container_info", **one, pod="pod", container="a", sandbox=pod.id) == 1
    assert found.value("caisson_container_state", **one, state="running") == 1
    assert found.value("caisson_container_measured", **one) == 1
    assert found.value("caisson_container_cpu_seconds_total", **one) > 0
    assert 0 < found.value("caisson_container_memory_usage_bytes", **one) < 1 << 40
    assert found.value("caisson_container_pids", **one) >= 1
    if isolation == "sentry":
        assert found.value("caisson_sentry_tasks", **one) >= 1
        assert found.value("caisson_sentry_syscalls_total", **one) > 0
    if isolation == "vm":
        machine = dict(one, id=pod.id)  # of the whole pod
        assert found.value("caisson_vm_cpus", **machine) >= 1
        assert found.value("caisson_vm_guest_memory_bytes", **machine) > 0
    own = {"namespace": NAMESPACE, "group": pod.id}
    assert found.value("caisson_shim_containers", **own) == 2
    assert 0 < found.value("caisson_shim_memory_private_bytes", **own) < 3 * MIB
    assert found.value("caisson_shim_calls_total", **own) > 0
    assert found.value("caisson_shim_requests_answered_total", **own) == 0
    get(path, "/nowhere", 404)
    found = Families(get(path, "/metrics")[2])
    assert found.value("caisson_shim_requests_answered_total", **own) == 1
    assert found.value("caisson_shim_requests_refused_total", **own) == 1
    assert found.value("caisson_shim_loop_rounds_total", **own) > 0
    assert 0 < found.value("caisson_shim_loop_longest_seconds", **own) < 10
    assert Families(get(path, "/metrics/shim")[2]).keys() == {name for name in found if "_shim_" in name}


def test_state_and_debug(pod, isolation):  # noqa: F811
    container = pod.start("a", ("/bin/sleep", "1000"))
    shim = shim_of(pod.id)
    path = socket_of(shim)
    state = json.loads(get(path, "/state")[2])
    assert (state["namespace"], state["group"], state["pid"]) == (NAMESPACE, pod.id, shim)
    found = {c["id"]: c for c in state["containers"]}
    assert sorted(found) == sorted([pod.id, container])
    assert (found[container]["status"], found[container]["class"]) == ("running", isolation)
    assert os.path.isdir("/proc/%d" % found[container]["pid"]) and found[container]["root"] == ROOT
    assert "/metrics\n" in get(path, "/")[2]
    if isolation == "ns":
        assert "no kernel of its own" in get(path, "/debug/%s/tasks" % container, 404)[2]
    else:
        assert "sleep" in get(path, "/debug/%s/tasks" % container)[2]
        assert "none of" in get(path, "/debug/%s/frob" % container, 404)[2]
    assert "no such container" in get(path, "/debug/nowhere/tasks", 404)[2]


def test_wrong_requests_are_refused(pod):  # noqa: F811
    path = socket_of(shim_of(pod.id))
    for target in ("/metricsx", "/metrics/", "//metrics", "/debug", "/debug/", "/../state", "/%73tate"):
        get(path, target, 404)
    host = b"Host: x\r\n"
    for request, status in (
            (b"GET /state HTTP/1.1\r\n\r\n", 400), (b"GET /state HTTP/1.1\n\n", 400),
            (b"GET state HTTP/1.1\r\n" + host + b"\r\n", 400),
            (b"GET /state HTTP/1.1\r\n" + host + b"Content-Length: 5\r\n\r\nhello", 400),
            (b"POST /state HTTP/1.1\r\n" + host + b"\r\n", 405),
            (b"GET /" + b"a" * 2000 + b" HTTP/1.1\r\n" + host + b"\r\n", 414),
            (b"GET /state HTTP/1.1\r\n" + host + b"A: b\r\n" * 100 + b"\r\n", 431),
            (b"GET /state HTTP/3.0\r\n" + host + b"\r\n", 505)):
        assert say(path, request)[0] == status, request
    # Half a request, and nothing: neither keeps others from being served.
    waiting = []
    for piece in (b"GET /sta", b""):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.connect(path)
        sock.sendall(piece)
        waiting.append(sock)
    get(path, "/state")
    for sock in waiting:
        sock.settimeout(30)
        assert sock.recv(65536).startswith(b"HTTP/1.1 408 ")
        sock.close()


def test_another_user_is_not_heard(pod):  # noqa: F811
    """Even one who has got hold of the path: root who has become nobody."""
    path = socket_of(shim_of(pod.id))
    child = os.fork()
    if child == 0:
        status = 2
        try:
            os.chdir(SOCKETS)
            os.setuid(65534)
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
                sock.connect(os.path.basename(path))
            status = 1
        except PermissionError:
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0


def test_a_frozen_container_does_not_hold_up_the_others(pod, containerd):  # noqa: F811
    container = pod.start("a", ("/bin/sleep", "1000"))
    path = socket_of(shim_of(pod.id))
    containerd.ctr("tasks", "pause", container)
    try:
        found = Families(get(path, "/metrics")[2])
        assert found.value("caisson_container_state", id=container, state="paused") == 1
        assert found.value("caisson_container_memory_usage_bytes", id=container) > 0
        assert found.value("caisson_container_measured", id=pod.id) == 1
    finally:
        containerd.ctr("tasks", "resume", container)


def test_sandbox_that_hangs_lacks_figures_and_no_more(containerd, isolation):  # noqa: F811
    """Stopped, its sentry or supervisor answers nobody."""
    name = containerd.start("/bin/sleep", "1000")
    path = socket_of(shim_of(name))
    pid = containerd.task(name)[0]
    os.kill(pid, signal.SIGSTOP)
    try:
        found = Families(get(path, "/metrics")[2])
        assert found.value("caisson_container_measured", id=name) == (isolation == "ns")
        assert found.value("caisson_container_memory_usage_bytes", id=name) > 0
        assert found.value("caisson_shim_containers") == 1
    finally:
        os.kill(pid, signal.SIGCONT)


def test_many_that_hang_take_no_longer_than_a_few(make_pod, containerd, isolation):  # noqa: F811
    """A pod whose sandbox is stopped: its containers are not waited for one after the other for ever."""
    pod = make_pod("many")
    names = [pod.start("c%d" % n, ("/bin/sleep", "1000")) for n in range(7)]
    path = socket_of(shim_of(pod.id))
    pids = {c["pid"] for c in json.loads(get(path, "/state")[2])["containers"]}
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        found = Families(get(path, "/metrics")[2])
        for name in names:
            assert found.value("caisson_container_measured", id=name) == (isolation == "ns")
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def test_metrics_of_the_node(make_pod, containerd, runtime, isolation):  # noqa: F811
    one, other = make_pod("one"), make_pod("other")
    container = other.start("a", ("/bin/sleep", "1000"))
    found = Families(command.run([runtime, "metrics", "--all-roots"]).out)
    ids = {labels["id"] for labels, _ in found["caisson_container_info"] if labels["root"] == ROOT}
    assert ids == {one.id, other.id, container}
    groups = {labels["group"] for labels, _ in found["caisson_shim_info"]}
    assert groups == {one.id, other.id}
    assert found.value("caisson_container_cpu_seconds_total", id=container, root=ROOT) > 0
    # The same as the shim says of them.
    theirs = Families(get(socket_of(shim_of(other.id)), "/metrics")[2])
    assert {name for name in found if "_container_" in name} == {n for n in theirs if "_container_" in n}
    # Of one root, without the shims.
    found = Families(command.run([runtime, "--root", ROOT, "metrics"]).out)
    assert len(found["caisson_container_info"]) == 3 and "caisson_shim_info" not in found


def test_socket_goes_with_its_shim(containerd, runtime):  # noqa: F811
    name = containerd.start("/bin/sleep", "1000")
    path = socket_of(shim_of(name))
    assert sockets() == [path]
    os.kill(shim_of(name), signal.SIGKILL)
    command.eventually(lambda: containerd.task(name) is None, what="the end of the task")
    command.eventually(lambda: os.listdir(SOCKETS) == [], what="no socket")
    # One that nobody removed says nothing, and is replaced by the next shim of the group.
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.bind(path)
    found = command.run([runtime, "metrics", "--all-roots"])
    assert "caisson_shim_info" not in found.out and found.err == ""
    containerd.ctr("containers", "delete", name)
    containerd.ctr(*containerd.run_argv(name, ["/bin/sleep", "1000"], ("--detach",)))
    assert get(path, "/state")[0] == 200
    containerd.remove(name)
    command.eventually(lambda: os.listdir(SOCKETS) == [], what="no socket")


def test_pod_runs_without_a_management_socket(containerd):  # noqa: F811
    """Something that is in the way of it is in the way of nothing else."""
    name = containerd.start("/bin/sleep", "1000")
    path = socket_of(shim_of(name))
    containerd.remove(name)
    command.eventually(lambda: os.listdir(SOCKETS) == [], what="no socket")
    os.mkdir(path)
    try:
        assert containerd.ctr(*containerd.run_argv(name, ["/bin/echo", "on"], ("--rm",))).text == "on"
    finally:
        os.rmdir(path)


@pytest.mark.parametrize("word", ["/metrics", "/state"])
def test_many_at_once_are_served_or_told_to_come_again(containerd, word):  # noqa: F811
    name = containerd.start("/bin/sleep", "1000")
    path = socket_of(shim_of(name))
    clients = []
    for _ in range(40):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(30)
        sock.connect(path)
        sock.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % word.encode())
        clients.append(sock)
    statuses = set()
    for sock in clients:
        data = b""
        try:
            while piece := sock.recv(65536):
                data += piece
        except ConnectionResetError:
            pass
        statuses.add(data[9:12])
        sock.close()
    assert b"200" in statuses and statuses <= {b"200", b"503"}
    assert containerd.ctr("tasks", "exec", "--exec-id", "e", name, "/bin/echo", "on").text == "on"
    get(path, word)
