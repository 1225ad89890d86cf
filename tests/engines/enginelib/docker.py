# SPDX-License-Identifier: Apache-2.0
"""dockerd with its own containerd, its default runtime the runtime under test."""

import itertools
import json
import os

from enginelib import command
from enginelib.daemon import Daemon
from enginelib.images import TEST_IMAGE
from enginelib.terminal import Terminal

CLIENT = "/usr/bin/docker"  # the distribution's, of the daemon's version
RUN_DIR = "/run/caisson-docker"
SOCKET = RUN_DIR + "/docker.sock"
RUNTIME_NAME = "caisson-under-test"
RUNTIME_ROOT = RUN_DIR + "/exec/runtime-runc/moby"  # dockerd's --root for every runc-like runtime


class Docker:
    """A running dockerd and its client."""

    def __init__(self, directory, runtime, archive, artifacts):
        self.directory, self.log = directory, os.path.join(artifacts, "dockerd.log")
        self.numbers = itertools.count(1)
        os.makedirs(RUN_DIR, 0o711)
        self.config = os.path.join(directory, "daemon.json")
        with open(self.config, "w", encoding="utf-8") as f:
            json.dump({
                "data-root": os.path.join(directory, "data"),
                "exec-root": os.path.join(RUN_DIR, "exec"),
                "pidfile": os.path.join(RUN_DIR, "pid"),
                "hosts": ["unix://" + SOCKET],
                "bridge": "none", "iptables": False, "ip6tables": False,
                "storage-driver": "overlay2",
                "runtimes": {RUNTIME_NAME: {"path": runtime}},
                "default-runtime": RUNTIME_NAME,
                "live-restore": True,
            }, f)
        # The client reads a configuration of its own, not that of who runs the tests.
        self.env = dict(os.environ, DOCKER_CONFIG=os.path.join(directory, "client"))
        self.argv = [CLIENT, "--host", "unix://" + SOCKET]
        self._start()
        self("load", "--input", archive)

    def _start(self):
        self.daemon = Daemon(["dockerd", "--config-file", self.config], self.log,
                             lambda: self("version", rc=None).rc == 0)

    def restart(self):
        """Stop and start the daemon; its containers go on (live-restore)."""
        self.daemon.stop()
        self._start()

    def stop(self):
        self.daemon.stop()

    def __call__(self, *args, rc=0, timeout=30, stdin=""):
        return command.run([*self.argv, *args], rc=rc, timeout=timeout, stdin=stdin, env=self.env)

    def terminal(self, *args, **kwargs):
        return Terminal([*self.argv, *args], env=self.env, **kwargs)

    def name(self):
        return "dock%d" % next(self.numbers)

    def once(self, *args, options=(), rc=0, **kwargs):
        """`docker run --rm` of args; the Result."""
        return self("run", "--rm", "--network", "none", *options, TEST_IMAGE, *args, rc=rc,
                    **kwargs)

    def start(self, *args, options=()):
        """`docker run -d` of args; the container's name."""
        name = self.name()
        self("run", "-d", "--name", name, "--network", "none", *options, TEST_IMAGE, *args)
        return name

    def inspect(self, name):
        return json.loads(self("inspect", name).out)[0]

    def state(self, name):
        return self.inspect(name)["State"]

    def pid(self, name):
        return self.state(name)["Pid"]

    def remove_all(self):
        names = self("ps", "--all", "--quiet").lines()
        if names:
            self("rm", "--force", "--volumes", *names)
