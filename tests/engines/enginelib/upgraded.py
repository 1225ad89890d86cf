# SPDX-License-Identifier: Apache-2.0
"""An HTTP connection that was upgraded to carry several streams: what SPDY and websockets have in common."""

import select
import socket
import time
import urllib.parse


class Refused(Exception):
    """The server upgrades nothing: its status line and what it said."""


class Stream:
    """One of a connection's: what has come, and whether its end has."""

    def __init__(self, connection, number):
        self.connection, self.number = connection, number
        self.data, self.ended = b"", False

    def read_all(self, timeout=30):
        """All of it, up to its end."""
        self.connection.until(lambda: self.ended, timeout, "end of stream %d" % self.number)
        return self.data


class Connection:
    """To the URL that Exec, Attach or PortForward of the CRI gave. A context manager. Whoever derives from it has
    take(): to take the whole messages out of `pending`."""

    def __init__(self, url, method, headers):
        parts = urllib.parse.urlsplit(url)
        self.streams, self.closed, self.pending = {}, False, b""
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=30)
        lines = ["%s %s HTTP/1.1" % (method, parts.path), "Host: " + parts.netloc, "Connection: Upgrade",
                 *("%s: %s" % header for header in headers.items())]
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        while b"\r\n\r\n" not in self.pending:
            data = self.socket.recv(65536)
            if not data:
                raise Refused(self.pending.decode())
            self.pending += data
        head, self.pending = self.pending.split(b"\r\n\r\n", 1)
        if not head.startswith(b"HTTP/1.1 101 "):
            raise Refused((head + b"\n" + self.pending).decode())
        self.head = head.decode()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.socket.close()

    def comes(self, check, timeout):
        """Take what arrives until check() is true; False when it is not within timeout seconds or at the end."""
        end = time.monotonic() + timeout
        while not check():
            left = end - time.monotonic()
            if self.closed or left <= 0:
                return False
            if select.select([self.socket], [], [], left)[0]:
                self._receive()
        return True

    def until(self, check, timeout=30, what="condition"):
        """Demand that check() becomes true."""
        assert self.comes(check, timeout), "%s: not within %s s%s; %s" % (
            what, timeout, ", the connection has ended" if self.closed else "", self.seen())

    def seen(self):
        return {number: stream.data[-500:] for number, stream in self.streams.items()}

    def _receive(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            self.end()
        self.pending += data
        self.take()

    def end(self):
        """Nothing more comes."""
        self.closed = True
        for stream in self.streams.values():
            stream.ended = True
