# SPDX-License-Identifier: Apache-2.0
"""SPDY/3.1 over an upgraded HTTP connection, as much of it as the streams of a kubelet need.

A client opens streams with a few headers and both sides send data until they end their half. What it sends is packed
without the dictionary of the protocol (a zlib stream says itself whether it needs one), and no headers of the server
are looked at: its answer to a stream is that it is there. Nobody here bounds windows, and neither does the server.
"""

import struct
import zlib

from enginelib import upgraded

SYN_STREAM, SYN_REPLY, RST_STREAM, PING, GOAWAY = 1, 2, 3, 6, 7
CONTROL, VERSION, END = 1 << 31, 3, 1
CHUNK = 32768


class Stream(upgraded.Stream):
    """One of a connection's."""

    def __init__(self, connection, number):
        super().__init__(connection, number)
        self.answered = False

    def send(self, data):
        for start in range(0, len(data), CHUNK):
            self.connection.send_data(self.number, data[start:start + CHUNK], 0)

    def end(self):
        """Nothing more will be sent."""
        self.connection.send_data(self.number, b"", END)


class Connection(upgraded.Connection):
    """Speaks protocol above SPDY."""

    def __init__(self, url, protocol):
        self.next, self.packer = 1, zlib.compressobj()
        super().__init__(url, "POST", {"Upgrade": "SPDY/3.1", "Content-Length": 0, "X-Stream-Protocol-Version": protocol})

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

    def take(self):
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
            stream.ended |= kind == RST_STREAM or bool(flags & END)
