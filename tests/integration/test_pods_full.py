# SPDX-License-Identifier: Apache-2.0
"""A sentry that has no more room: what is full is said to who wants more, and it rests meanwhile."""

import contextlib
import os
import pathlib
import re
import socket
import struct

import pytest

from lib import guest
from lib.pods import Pod, alive
from lib.runtime import refused, wait_until

pytestmark = pytest.mark.classes("sentry")

CALL_S = 60
FULL_S = 5  # until a queue that nobody takes from is known


@pytest.fixture
def full(runtime, make_bundle):
    """A pod whose guest has opened all that it can."""
    pod = Pod(runtime, make_bundle)
    hog = pod.bundle("hog")
    guest.install(hog, memory=1 << 30)
    hog.process.rlimits = [{"type": "RLIMIT_NOFILE", "soft": 1048576, "hard": 1048576}]
    run = runtime.start_run(hog, ["guest", "hoard"])
    assert run.read_line() == "full"
    return pod


def connect(clients, runtime, bundle, count):
    """As many as are taken, and those that wait for that."""
    directory = os.open(runtime.root / bundle.id, os.O_PATH)
    clients.callback(os.close, directory)
    for _ in range(count):
        client = clients.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", FULL_S, 0))
        try:
            client.connect(f"/proc/self/fd/{directory}/sentry.sock")
        except BlockingIOError:
            return


def sleeps(pid):
    """How often it has gone to sleep."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", status, re.M)[1])


def test_a_create_says_what_is_full_and_how_much_there_is(runtime, full):
    late = full.bundle("late")
    refused(runtime, runtime.create(late, check=False, timeout_s=CALL_S), "descriptors open that guests may use")
    assert runtime.status(late) is None
    assert alive(runtime, full.sandbox)


def test_a_sentry_without_descriptors_sleeps_and_serves_again(runtime, full):
    """What it has for its callers they can use up, too."""
    pid = runtime.state(full.sandbox).pid
    with contextlib.ExitStack() as clients:
        connect(clients, runtime, full.sandbox, 264)
        before = sleeps(pid)
        wait_until(lambda: sleeps(pid) > before + 5, CALL_S, "it does not sleep")
    wait_until(lambda: runtime.call("ps", full.sandbox.id, check=False, timeout_s=CALL_S).returncode == 0, CALL_S)


def test_who_finds_all_connections_taken_is_told_how_many_there_are(runtime, make_bundle):
    pod = Pod(runtime, make_bundle)
    with contextlib.ExitStack() as clients:
        connect(clients, runtime, pod.sandbox, 264)
        wait_until(lambda: "has all 256 connections that it may have, and 8 more" in
                   runtime.call("ps", pod.sandbox.id, check=False, timeout_s=CALL_S).stderr, CALL_S)
    wait_until(lambda: runtime.call("ps", pod.sandbox.id, check=False, timeout_s=CALL_S).returncode == 0, CALL_S)
