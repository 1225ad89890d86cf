# SPDX-License-Identifier: Apache-2.0
"""The engine's end of a console socket, and a terminal to talk to."""

import array
import fcntl
import os
import select
import socket
import struct
import termios
import time


class Terminal:
    """The master side of a pseudo terminal."""

    def __init__(self, fd):
        self.fd = fd
        self.text = ""

    def send(self, text):
        os.write(self.fd, text.encode())

    def expect(self, wanted, timeout_s=30.0):
        """Read until `wanted` has come. Returns the text up to its end, which is then used up."""
        deadline = time.monotonic() + timeout_s
        while wanted not in self.text:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                raise AssertionError(f"terminal: {wanted!r} did not come, but {self.text!r}")
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                data = b""  # EIO: the last slave is closed
            if not data:
                raise AssertionError(f"terminal ended without {wanted!r}: {self.text!r}")
            self.text += data.decode(errors="replace")
        end = self.text.index(wanted) + len(wanted)
        seen, self.text = self.text[:end], self.text[end:]
        return seen

    def read_all(self, timeout_s=30.0):
        """Read until the other side is closed. Returns what expect() has not used up."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if not select.select([self.fd], [], [], deadline - time.monotonic())[0]:
                break
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                return self.text
            if not data:
                return self.text
            self.text += data.decode(errors="replace")
        raise AssertionError(f"terminal stayed open after {self.text!r}")

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    @property
    def size(self):
        data = fcntl.ioctl(self.fd, termios.TIOCGWINSZ, bytes(8))
        return struct.unpack("HHHH", data)[:2]

    def close(self):
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class FdSocket:
    """A listening socket that receives descriptors: --console-socket, --pidfd-socket."""

    def __init__(self, path):
        self.path = str(path)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen()
        self.listener.settimeout(30)
        self.fds = []

    def receive(self):
        """One message. Returns (descriptors, data)."""
        connection, _ = self.listener.accept()
        with connection:
            connection.settimeout(30)
            data, ancillary, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(64))
        fds = array.array("i")
        for level, kind, payload in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
        self.fds += fds
        return list(fds), data

    def terminal(self):
        fds, _ = self.receive()
        assert len(fds) == 1, f"console socket carried {len(fds)} descriptors"
        self.fds.remove(fds[0])
        return Terminal(fds[0])

    def close(self):
        self.listener.close()
        for fd in self.fds:
            os.close(fd)
        self.fds.clear()
