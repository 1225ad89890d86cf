# SPDX-License-Identifier: Apache-2.0
"""A command on a pseudoterminal of its own, driven like a person would."""

import errno
import fcntl
import os
import select
import signal
import struct
import subprocess
import termios
import time

from enginelib import command


class Terminal:
    """Runs argv with a new session whose controlling terminal is a new pty.

    Use as a context manager: at the end the process group is killed if it still runs.
    """

    def __init__(self, argv, rows=30, cols=97, env=None, cwd=None):
        self.argv = [str(a) for a in argv]
        self.master, slave = os.openpty()
        self.seen = ""
        self.resize(rows, cols, tell=False)
        self.proc = subprocess.Popen(
            self.argv, stdin=slave, stdout=slave, stderr=slave, env=env, cwd=cwd,
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.proc.poll() is None:
            os.killpg(self.proc.pid, signal.SIGKILL)
            self.proc.wait(5)
        os.close(self.master)

    def resize(self, rows, cols, tell=True):
        """Set the window size; the kernel sends SIGWINCH to the foreground group by itself."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
        if tell:
            os.kill(self.proc.pid, signal.SIGWINCH)

    def send(self, text):
        os.write(self.master, text.encode())

    def _read(self, timeout):
        """Append what arrives within timeout seconds to self.seen; False at the end."""
        if not select.select([self.master], [], [], timeout)[0]:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError as e:
            if e.errno != errno.EIO:  # EIO: no one has the other side open any more
                raise
            return False
        self.seen += data.decode("utf-8", "backslashreplace")
        return bool(data)

    def expect(self, text, timeout=30):
        """Wait until text appears in what was not yet expected; drop all up to its end."""
        end = time.monotonic() + timeout
        alive = True
        while text not in self.seen:
            left = end - time.monotonic()
            assert alive and left > 0, "no %r on the terminal of %s; seen: %r" % (
                text, " ".join(self.argv), self.seen)
            alive = self._read(left)
        before, self.seen = self.seen.split(text, 1)
        return before

    def expect_size(self, rows, cols, timeout=30):
        """Resize until the program inside says so: a client listens for SIGWINCH only after its first size is set."""
        end = time.monotonic() + timeout
        text = "size %d %d" % (rows, cols)
        self.resize(rows, cols)
        while text not in self.seen and time.monotonic() < end:
            if select.select([self.master], [], [], 0.5)[0]:
                self._read(0)
            else:
                os.kill(self.proc.pid, signal.SIGWINCH)
        return self.expect(text, 1)

    def wait(self, timeout=30):
        """Read to the end and return the exit status."""
        end = time.monotonic() + timeout
        while self._read(0.1):
            if self.proc.poll() is not None and not select.select([self.master], [], [], 0)[0]:
                break
            assert time.monotonic() < end, "no end of %s; seen: %r" % (
                " ".join(self.argv), self.seen)
        status = self.proc.wait(max(0.1, end - time.monotonic()))
        command._record("$ [tty] %s\n[rc %s] last: %r" % (" ".join(self.argv), status, self.seen))
        return status
