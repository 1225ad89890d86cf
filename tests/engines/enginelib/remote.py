# SPDX-License-Identifier: Apache-2.0
"""Exec, Attach and PortForward of the CRI as a kubelet's clients use them: streams of one connection."""

import json

from enginelib import spdy, websocket

COMMAND_PROTOCOL = "v4.channel.k8s.io"
WEBSOCKETS = COMMAND_PROTOCOL, "v4.base64.channel.k8s.io"
FORWARD_PROTOCOL = "portforward.k8s.io"


class Command:
    """A process on the other side of an URL of Exec or Attach; through SPDY, or one of WEBSOCKETS. A context manager: the
    end hangs up."""

    def __init__(self, url, stdin=False, tty=False, web=None):
        self.connection = websocket.Connection(url, web) if web else spdy.Connection(url, COMMAND_PROTOCOL)
        kinds = ["error", *(["stdin"] if stdin else []), "stdout", *(["resize"] if tty else ["stderr"])]
        for kind in kinds:  # the server waits for all that the request has named
            setattr(self, kind, self.connection.open(streamtype=kind))
        self.expected = 0

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.connection.__exit__(*exc)

    def say(self, text):
        self.stdin.send(text.encode())

    def set_size(self, rows, cols):
        self.resize.send(json.dumps({"Width": cols, "Height": rows}).encode())

    def expect(self, text, timeout=30):
        """Wait for text in the output after what was expected before."""
        assert self.hears(text, timeout), "%r: not within %s s; %s" % (text, timeout, self.connection.seen())

    def hears(self, text, timeout):
        """Whether text comes within timeout seconds."""
        found = lambda: self.stdout.data.find(text.encode(), self.expected)
        if not self.connection.comes(lambda: found() >= 0, timeout):
            return False
        self.expected = found() + len(text.encode())
        return True

    def wait(self, timeout=30):
        """(exit status, error) when all is told: 0 and None of a success."""
        told = self.error.read_all(timeout)
        # The rest of the output may come behind the status.
        for stream in self.connection.streams.values():
            if stream in (self.stdout, getattr(self, "stderr", None)):
                stream.read_all(timeout)
        status = json.loads(told)
        if status["status"] == "Success":
            return 0, None
        codes = [cause["message"] for cause in status.get("details", {}).get("causes", ())
                 if cause.get("reason") == "ExitCode"]
        return (int(codes[0]) if codes else None), status["message"]


def exec_in(cri, container, args, stdin=False, tty=False, web=None):
    """Starts a command in a container."""
    return Command(cri.Exec(container_id=container, cmd=list(args), stdin=stdin, stdout=True, stderr=not tty,
                            tty=tty).url, stdin, tty, web)


def attach_to(cri, container, stdin=False, tty=False, web=None):
    """Joins the streams of a container's first process."""
    return Command(cri.Attach(container_id=container, stdin=stdin, stdout=True, stderr=not tty, tty=tty).url, stdin,
                   tty, web)


class Forward:
    """Connections to ports of a pod. A context manager."""

    def __init__(self, cri, pod):
        self.connection = spdy.Connection(cri.PortForward(pod_sandbox_id=pod).url, FORWARD_PROTOCOL)
        self.requests = 0

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.connection.__exit__(*exc)

    def connect(self, port):
        """(stream of errors, stream of data) of one connection."""
        number, self.requests = self.requests, self.requests + 1
        error, data = (self.connection.open(streamtype=kind, port=port, requestid=number) for kind in ("error", "data"))
        error.end()
        return error, data
