# SPDX-License-Identifier: Apache-2.0
"""Commands with a time limit, a record of each, and assertions that show what was printed."""

import os
import re
import signal
import subprocess
import time

DEFAULT_TIMEOUT_S = 60
PATIENCE = float(os.environ.get("CAISSON_PATIENCE") or 1)  # every limit of time that is waited for is this many times as long
record_path = None  # set by conftest.py: every command and its result are appended there


class Result:
    """What a command did: argv, rc (negative for a signal), out and err as text."""

    def __init__(self, argv, rc, out, err, seconds):
        self.argv, self.rc, self.out, self.err, self.seconds = argv, rc, out, err, seconds

    def __str__(self):
        return "$ %s\n[rc %s, %.2f s]\n--- out\n%s--- err\n%s" % (
            " ".join(self.argv), self.rc, self.seconds, self.out, self.err)

    @property
    def text(self):
        return self.out.strip()

    def lines(self):
        return self.out.splitlines()


def _record(text):
    if record_path:
        with open(record_path, "a", encoding="utf-8") as f:
            f.write("%.2f %s\n" % (time.time(), text))


def _decode(data):
    return (data or b"").decode("utf-8", "backslashreplace")


def run(argv, rc=0, timeout=DEFAULT_TIMEOUT_S, stdin="", **popen):
    """Run argv to its end and return a Result.

    rc: the status demanded (None: any). A command that exceeds timeout (seconds) is killed with its
    process group and fails the test. stdin is text for its standard input.
    """
    argv = [str(a) for a in argv]
    start = time.monotonic()
    proc = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, start_new_session=True, **popen)
    try:
        out, err = proc.communicate(stdin.encode(), timeout=timeout * PATIENCE)
        late = False
    except subprocess.TimeoutExpired:
        os.killpg(proc.pid, signal.SIGKILL)
        try:
            out, err = proc.communicate(timeout=5)
        except subprocess.TimeoutExpired as e:  # a descendant still holds the pipes
            out, err = e.stdout, e.stderr
        late = True
    result = Result(argv, proc.returncode, _decode(out), _decode(err), time.monotonic() - start)
    _record(str(result))
    assert not late, "no end within %s s: %s" % (timeout, result)
    if rc is not None:
        assert result.rc == rc, "expected status %s: %s" % (rc, result)
    return result


def eventually(check, timeout=30, what="condition", interval=0.05):
    """Call check until it returns something true; return that, or fail after timeout seconds."""
    end = time.monotonic() + timeout * PATIENCE
    while True:
        value = check()
        if value:
            return value
        assert time.monotonic() < end, "%s: not within %s s (last: %r)" % (what, timeout, value)
        time.sleep(interval)


def fields(text):
    """'Key:\\tvalue' lines, as in /proc/PID/status, as a dict."""
    return dict(re.match(r"([^:]+):\s*(.*)", line).groups() for line in text.splitlines()
                if ":" in line)
