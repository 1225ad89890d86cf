# SPDX-License-Identifier: Apache-2.0
"""Class sentry: where the files of a container are kept, and what of the host's they reach."""

import hashlib
import os
import socket
import stat
import threading

import pytest

from lib import hostmount
from lib.runtime import refused, wait_until

pytestmark = pytest.mark.classes("sentry")
SELF = ("--overlay", "root:self")
MEMORY = ("--overlay", "root:memory")


def nameless_files(pid, device):
    """Sizes of the regular files without a name on that device that a process holds."""
    sizes = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            info = os.stat(f"/proc/{pid}/fd/{name}")
        except FileNotFoundError:
            continue
        if stat.S_ISREG(info.st_mode) and info.st_dev == device and info.st_nlink == 0:
            sizes.append(info.st_size)
    return sizes


def tree(directory):
    return sorted(os.path.join(at, name) for at, dirs, files in os.walk(directory) for name in dirs + files)


# --------------------------------------------------------------------------------------- --overlay=root:self


def test_root_self_keeps_data_in_nameless_files_on_the_roots_disk(runtime, bundle):
    before = tree(bundle.rootfs.path)
    bundle.process.args = ["sh", "-c", "dd if=/dev/zero of=/big bs=1024k count=3 2>/dev/null; echo small >/small; "
                           "echo changed >>/etc/hosts; echo written; sleep 100"]
    runtime.run(bundle, None, "-d", global_flags=SELF)
    runtime.wait_for_output(bundle, "written", 30)

    sizes = nameless_files(runtime.state(bundle).pid, os.stat(bundle.rootfs.path).st_dev)
    assert 3 << 20 in sizes
    assert tree(bundle.rootfs.path) == before
    runtime.call("kill", bundle.id, "KILL")
    runtime.wait_for(bundle, "stopped")
    assert tree(bundle.rootfs.path) == before


def test_root_memory_keeps_nothing_on_the_roots_disk(runtime, bundle):
    bundle.process.args = ["sh", "-c", "dd if=/dev/zero of=/big bs=1024k count=3 2>/dev/null; echo written; sleep 100"]
    runtime.run(bundle, None, "-d", global_flags=MEMORY)
    runtime.wait_for_output(bundle, "written", 30)

    assert nameless_files(runtime.state(bundle).pid, os.stat(bundle.rootfs.path).st_dev) == []


def test_data_of_root_self_reads_as_it_was_written(runtime, bundle):
    script = ("i=0; while [ $i -lt 300 ]; do echo line $i of a file that grows beyond a page >>/text; i=$((i+1)); done; "
              "cp /text /copy; dd if=/copy of=/part bs=1 skip=5000 count=40 2>/dev/null; cmp /text /copy && wc -l </copy; "
              "cat /part; echo; rm /text; tail -n 1 /copy; : >/copy; wc -c </copy")
    out = {}
    for flags in (SELF, MEMORY):
        out[flags] = runtime.run(bundle, ["sh", "-c", script], global_flags=flags).stdout
    assert out[SELF] == out[MEMORY]
    assert out[SELF].startswith("300\n") and out[SELF].endswith("line 299 of a file that grows beyond a page\n0\n")


def test_disk_of_root_self_is_the_roots(runtime, bundle):
    hostmount.mount("tmpfs", bundle.rootfs.path / "tmp", "tmpfs")  # the lane's own; not seen as a limit
    try:
        blocks = os.statvfs(bundle.rootfs.path).f_blocks
        out = runtime.run(bundle, ["sh", "-c", "stat -f -c %b /"], global_flags=SELF).stdout
    finally:
        hostmount.unmount(bundle.rootfs.path / "tmp")
    assert int(out) == blocks


def test_root_self_of_a_root_that_cannot_be_written_is_an_error(runtime, bundle):
    top = bundle.rootfs.path
    hostmount.mount(top, top, None, hostmount.MS_BIND)
    hostmount.mount(None, top, None, hostmount.MS_BIND | 32 | hostmount.MS_RDONLY)
    try:
        refused(runtime, runtime.create(bundle, check=False, global_flags=SELF),
                "overlay root:self: make a file on the root's disk: Read-only file system")
        assert runtime.run(bundle, ["sh", "-c", "echo >/new && echo done"], global_flags=MEMORY).stdout == "done\n"
    finally:
        hostmount.unmount(top)


# ------------------------------------------------------------------------------------------------ --host-uds

UDS = [("none", False, False), ("open", True, False), ("create", False, True), ("all", True, True)]


@pytest.fixture
def volume(work_dir):
    """A directory with a listening stream socket and a datagram socket: volume.stream, volume.dgram."""
    class Volume:
        path = work_dir / "v"

        def __init__(self):
            self.path.mkdir()
            self.stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.dgram = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            for name, sock in (("s", self.stream), ("d", self.dgram)):
                sock.bind(str(self.path / name))
                sock.settimeout(30)
            self.stream.listen(4)

    made = Volume()
    yield made
    made.stream.close()
    made.dgram.close()


def echo_once(listener):
    """Answers one connection with what it says, in capitals, until it says no more."""
    def serve():
        connection, _ = listener.accept()
        with connection:
            text = b""
            while part := connection.recv(65536):
                text += part
            connection.sendall(text.upper())
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("mode,may_open,may_create", UDS)
def test_sockets_of_the_host_are_reached_where_it_is_allowed(runtime, bundle, volume, mode, may_open, may_create):
    bundle.bind(volume.path, "/v")
    script = ("testinit uds connect stream /v/s; testinit uds send dgram /v/d hello; testinit uds bind stream /v/new; "
              "ls /v")
    flags = () if mode == "none" else ("--host-uds", mode)
    out = runtime.run(bundle, ["sh", "-c", script], global_flags=flags).stdout.splitlines()

    refused_or = lambda allowed: "ok" if allowed else "errno ECONNREFUSED"  # noqa: E731
    assert out == [refused_or(may_open), refused_or(may_open), "ok", "d", "new", "s"]
    if may_open:
        assert volume.dgram.recv(100) == b"hello"
    # A name of the sandbox's own is a node that nobody of the host listens at.
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        with pytest.raises(ConnectionRefusedError):
            client.connect(str(volume.path / "new"))


def test_stream_of_the_host_carries_bytes_both_ways_and_its_ends(runtime, bundle, volume):
    bundle.bind(volume.path, "/v")
    thread = echo_once(volume.stream)

    out = runtime.run(bundle, ["sh", "-c", "testinit uds talk stream /v/s 300000 | md5sum"],
                      global_flags=("--host-uds", "open")).stdout
    thread.join(30)
    assert out.split()[0] == hashlib.md5(b"A" * 300000).hexdigest()


def test_socket_of_the_sandbox_is_reached_from_the_host_where_it_is_allowed(runtime, bundle, volume):
    bundle.bind(volume.path, "/v")
    bundle.process.args = ["sh", "-c", "testinit uds serve stream /v/served; echo served"]
    process = runtime.start_run(bundle, None, global_flags=("--host-uds", "create"))
    wait_until(lambda: (volume.path / "served").exists(), 30, "a socket of the sandbox")

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(30)
        client.connect(str(volume.path / "served"))
        client.sendall(b"knock")
        client.shutdown(socket.SHUT_WR)
        assert client.recv(100) == b"KNOCK"
    assert process.wait() == 0


def test_datagrams_reach_the_sandbox_from_the_host_and_from_inside(runtime, bundle, volume):
    bundle.bind(volume.path, "/v")
    bundle.process.args = ["testinit", "uds", "recv", "dgram", "/v/in"]
    runtime.run(bundle, None, "-d", global_flags=("--host-uds", "create"))
    wait_until(lambda: (volume.path / "in").exists(), 30, "a socket of the sandbox")

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.sendto(b"from the host", str(volume.path / "in"))
    runtime.wait_for_output(bundle, "from the host", 30)
    # With the answer the container's first process ends, and perhaps this one with it.
    runtime.exec(bundle, ["testinit", "uds", "send", "dgram", "/v/in", "from inside"], check=False)
    runtime.wait_for(bundle, "stopped")
    assert runtime.output(bundle) == "from the host\nfrom inside\n"


def test_descriptors_do_not_cross_to_the_host(runtime, bundle, volume):
    bundle.bind(volume.path, "/v")

    out = runtime.run(bundle, ["sh", "-c", "testinit uds pass dgram /v/d"], global_flags=("--host-uds", "all")).stdout
    assert out == "errno EPERM\n"
