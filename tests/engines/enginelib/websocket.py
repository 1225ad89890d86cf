# SPDX-License-Identifier: Apache-2.0
"""Websockets (RFC 6455) as a kubelet's streams use them: one connection, and each message names its stream by a number
before the data. Of `base64.channel.k8s.io` protocols the messages are text: a digit and the data in base64."""

import base64
import hashlib
import os
import struct

from enginelib import upgraded

NUMBERS = {"stdin": 0, "stdout": 1, "stderr": 2, "error": 3, "resize": 4}
MORE, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
LAST, MASKED = 0x80, 0x80
# What a server shows that it has understood the key with (RFC 6455, 1.3).
ACCEPTED = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CHUNK = 32768


class Stream(upgraded.Stream):
    """One of a connection's. Its half ends with the connection alone: these protocols have no message for that."""

    def send(self, data):
        for start in range(0, len(data), CHUNK):
            self.connection.send_data(self.number, data[start:start + CHUNK])


class Connection(upgraded.Connection):
    """Speaks one of the two protocols."""

    def __init__(self, url, protocol):
        self.text, self.message = "base64" in protocol, b""
        key = base64.b64encode(os.urandom(16))
        super().__init__(url, "GET", {"Upgrade": "websocket", "Sec-WebSocket-Version": 13, "Sec-WebSocket-Protocol": protocol,
                                      "Sec-WebSocket-Key": key.decode()})
        answers = dict(line.lower().split(": ", 1) for line in self.head.split("\r\n")[1:])
        accepted = base64.b64encode(hashlib.sha1(key + ACCEPTED).digest()).decode()
        assert answers["sec-websocket-accept"] == accepted.lower(), self.head
        assert answers["sec-websocket-protocol"] == protocol, self.head

    def open(self, streamtype):
        """They are all there from the beginning."""
        number = NUMBERS[streamtype]
        self.streams[number] = Stream(self, number)
        return self.streams[number]

    def send_data(self, number, data):
        if self.text:
            self._send(TEXT, b"%d" % number + base64.b64encode(data))
        else:
            self._send(BINARY, bytes((number,)) + data)

    def _send(self, kind, body):
        """One frame; a client's are masked."""
        length = len(body)
        size = bytes((MASKED | length,)) if length < 126 else b"\xfe" + struct.pack(">H", length)
        mask = os.urandom(4)
        stream = (mask * (length // 4 + 1))[:length]
        masked = (int.from_bytes(body, "big") ^ int.from_bytes(stream, "big")).to_bytes(length, "big")
        self.socket.sendall(bytes((LAST | kind,)) + size + mask + masked)

    def take(self):
        while len(self.pending) >= 2:
            kind, length, at = self.pending[0], self.pending[1], 2
            assert not length & MASKED, "a server's frames are not masked"
            if length >= 126:
                form, at = (">H", 4) if length == 126 else (">Q", 10)
                if len(self.pending) < at:
                    return
                length = struct.unpack(form, self.pending[2:at])[0]
            if len(self.pending) < at + length:
                return
            body, self.pending = self.pending[at:at + length], self.pending[at + length:]
            self._take_frame(kind & 0xf, kind & LAST, body)

    def _take_frame(self, kind, last, body):
        if kind == CLOSE:
            self.end()
        elif kind == PING:
            self._send(PONG, body)
        elif kind in (TEXT, BINARY, MORE):
            assert kind == MORE or kind == (TEXT if self.text else BINARY), kind
            self.message += body
            if last:
                number = int(self.message[:1]) if self.text else self.message[0]
                data = self.message[1:]
                self.streams[number].data += base64.b64decode(data, validate=True) if self.text else data
                self.message = b""
