# SPDX-License-Identifier: Apache-2.0
"""SPDY/3.1 over an upgraded HTTP connection, as much of it as the streams of a kubelet need.

A client opens streams with a few headers and both sides send data until they end their half. What it sends is packed
without the dictionary of the protocol (a zlib stream says itself whether it needs one), and no headers of the server
are looked at: its answer to a stream is that it is there. Nobody here bounds windows, and neither does the server.
"""

import select
import socket
import struct
import time
import urllib.parse
import zlib

SYN_STREAM, SYN_REPLY, RST_STREAM, PING, GOAWAY = 1, 2, 3, 6, 7
CONTROL, VERSION, END = 1 << 31, 3, 1
CHUNK = 32768


class Refused(Exception):
    """The server upgrades nothing: its status line and what it said."""


class Stream:
    """One of a connection's: what has come, and whether its end has."""

    def __init__(self, connection, number):
        self.connection, self.number = connection, number
        self.data, self.ended, self.answered, self.reset = b"", False, False, False

    def send(self, data):
        for start in range(0, len(data), CHUNK):
            self.connection.send_data(self.number, data[start:start + CHUNK], 0)

    def end(self):
        """Nothing more will be sent."""
        self.connection.send_data(self.number, b"", END)

    def read_all(self, timeout=30):
        """All of it, up to its end."""
        self.connection.until(lambda: self.ended, timeout, "end of stream %d" % self.number)
        return self.data


class Connection:
    """To the URL that Exec, Attach or PortForward of the CRI gave, speaking protocol above SPDY. A context manager."""

    def __init__(self, url, protocol):
        parts = urllib.parse.urlsplit(url)
        self.streams, self.next, self.closed, self.pending = {}, 1, False, b""
        self.packer = zlib.compressobj()
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=30)
        self.socket.sendall((
            "POST %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nContent-Length: 0\r\n"
            "X-Stream-Protocol-Version: %s\r\n\r\n" % (parts.path, parts.netloc, protocol)).encode())
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

    def open(self, **headers):
        """A new stream, once the server has answered it. Names of headers have no dashes in this protocol."""
        number, self.next = self.next, self.next + 2
        stream = self.streams[number] = Stream(self, number)
        block = struct.pack(">I", len(headers))
        for name, value in headers.items():
            value = str(value).encode()
            block += struct.pack(">I", len(name)) + name.encode() + struct.pack(">I", len(value)) + value
        packed = self.packer.compress(block) + self.packer.flush(zlib.Z_SYNC_FLUSH)
        self._control(SYN_STREAM, struct.pack(">IIH", number, 0, 0) + packed)
        self.until(lambda: stream.answered, 30, "answer to stream %d" % number)
        return stream

    def _control(self, kind, body):
        self.socket.sendall(struct.pack(">II", CONTROL | VERSION << 16 | kind, len(body)) + body)

    def send_data(self, number, data, flags):
        self.socket.sendall(struct.pack(">II", number, flags << 24 | len(data)) + data)

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
            self.closed = True
            for stream in self.streams.values():
                stream.ended = True
        self.pending += data
        while len(self.pending) >= 8:
            first, second = struct.unpack(">II", self.pending[:8])
            flags, length = second >> 24, second & 0xffffff
            if len(self.pending) < 8 + length:
                return
            body, self.pending = self.pending[8:8 + length], self.pending[8 + length:]
            if first & CONTROL:
                self._take_control(first & 0xffff, flags, body)
            else:
                self.streams[first].data += body
                self.streams[first].ended |= bool(flags & END)

    def _take_control(self, kind, flags, body):
        if kind == PING:
            self._control(PING, body)
        elif kind in (SYN_REPLY, RST_STREAM):
            stream = self.streams[struct.unpack(">I", body[:4])[0]]
            stream.answered = True
            stream.reset |= kind == RST_STREAM
            stream.ended |= kind == RST_STREAM or bool(flags & END)
