# SPDX-License-Identifier: Apache-2.0
"""An engine's daemon: started with its log in the artifacts, ended by its process id."""

import signal
import subprocess

from enginelib import command


class Daemon:
    """Runs argv in the background; ready() tells when it can be used."""

    def __init__(self, argv, log, ready, env=None, timeout=30):
        self.argv, self.log_path = argv, log
        with open(log, "ab") as f:
            self.proc = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=f, stderr=f,
                                         env=env, start_new_session=True)

        def up():
            assert self.proc.poll() is None, "%s ended with status %s; its log: %s" % (
                argv[0], self.proc.returncode, self.log()[-2000:])
            return ready()
        command.eventually(up, timeout, "start of " + argv[0], interval=0.1)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def stop(self, timeout=20):
        """TERM and wait; an engine that does not end is killed and fails the test."""
        self.proc.send_signal(signal.SIGTERM)
        try:
            self.proc.wait(timeout * command.PATIENCE)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait(5)
            raise AssertionError("%s did not end on SIGTERM" % self.argv[0]) from None
