# SPDX-License-Identifier: Apache-2.0
"""Podman with storage, configuration and state of its own, told to use the runtime under test."""

import contextlib
import itertools
import json
import os
import re

from enginelib import census, command
from enginelib.images import TEST_IMAGE
from enginelib.terminal import Terminal

# Groups that podman itself keeps: the parent of all, and in the hierarchies without a controller,
# which it does not know on v1, those of removed pods.
OWN_CGROUPS = re.compile(r"[^/]+/libpod_parent(/conmon)?$"
                         r"|(systemd|unified)/libpod_parent/[0-9a-f]{64}$")


class Podman:
    """One podman installation below a directory; `prefix` starts every command (to become a user).
    """

    def __init__(self, directory, runtime, run_dir, prefix=(), env=None, json_log=False):
        self.directory, self.runtime, self.run_dir = directory, runtime, run_dir
        self.storage = os.path.join(directory, "storage")
        self.env = dict(os.environ, DISABLE_HC_SYSTEMD="true", **(env or {}))
        self.env["CONTAINERS_CONF"] = self._write_conf(json_log)
        self.argv = [*prefix, "podman", "--root", self.storage,
                     "--runroot", os.path.join(run_dir, "root"),
                     "--tmpdir", os.path.join(run_dir, "tmp"),
                     "--storage-driver", "overlay", "--cgroup-manager", "cgroupfs",
                     "--events-backend", "file", "--runtime", runtime]
        self.cwd = os.path.join(directory, "cwd")  # conmon's too: it writes a file `oom` there
        os.mkdir(self.cwd)
        self.numbers = itertools.count(1)

    def _write_conf(self, json_log):
        """containers.conf: with json_log, podman reads errors from the runtime's --log file."""
        path = os.path.join(self.directory, "containers-json.conf" if json_log
                            else "containers.conf")
        known = [os.path.basename(self.runtime)] if json_log else []
        with open(path, "w", encoding="utf-8") as f:
            f.write("[containers]\nlog_size_max = -1\npids_limit = 0\n"
                    "[engine]\nruntime_supports_json = %s\n" % json.dumps(known))
        return path

    def with_json_log(self):
        """The same installation, for a runtime that podman knows to write a JSON log."""
        other = Podman.__new__(Podman)
        other.__dict__.update(self.__dict__)
        other.env = dict(self.env, CONTAINERS_CONF=self._write_conf(True))
        return other

    def __call__(self, *args, rc=0, timeout=30, stdin=""):
        return command.run([*self.argv, *args], rc=rc, timeout=timeout, stdin=stdin, env=self.env,
                           cwd=self.cwd)

    def terminal(self, *args, **kwargs):
        return Terminal([*self.argv, *args], env=self.env, cwd=self.cwd, **kwargs)

    def name(self):
        return "box%d" % next(self.numbers)

    def once(self, *args, options=(), rc=0, **kwargs):
        """`podman run --rm` of args in the test image; the Result."""
        return self("run", "--rm", "--network", "none", "--pull", "never", *options, TEST_IMAGE,
                    *args, rc=rc, **kwargs)

    def start(self, *args, options=()):
        """`podman run -d` of args; the name of the container."""
        name = self.name()
        self("run", "-d", "--name", name, "--network", "none", "--pull", "never", *options,
             TEST_IMAGE, *args)
        return name

    def inspect(self, name):
        return json.loads(self("inspect", name).out)[0]

    def state(self, name):
        return self.inspect(name)["State"]

    def pid(self, name):
        return self.state(name)["Pid"]

    def remove_all(self):
        """Remove every pod and container. A container that others depend on can need a round."""
        for last in (False, True):
            self("pod", "rm", "--force", "--all", "--time", "0")
            done = self("rm", "--force", "--all", "--time", "0", "--volumes",
                        rc=0 if last else None)
            if done.rc == 0:
                return

    def allowed(self, kind, name):
        """What may be left when no container is: see OWN_CGROUPS."""
        if kind == "cgroup":
            return OWN_CGROUPS.match(name)
        if kind == "mount":
            # Where it names network namespaces, as long as the machine runs.
            return name in (os.path.join(self.storage, "overlay"), self.storage, "/run/netns")
        return False


@contextlib.contextmanager
def installed(work, name, runtime, image_archives):
    """A Podman of its own below `work`, with the test images. In the end nothing of it is left, nor of its runtime."""
    before = census.Census()
    directory = os.path.join(work, name)
    os.mkdir(directory)
    podman = Podman(directory, runtime, "/run/%s-test" % name)
    for archive in image_archives.values():
        podman("load", "--input", archive)
    yield podman
    podman.remove_all()
    for point in census.mounts():
        if point.startswith(directory):
            command.run(["umount", "--lazy", point])
    before.assert_nothing_new(podman.allowed)
    listed = command.run([runtime, "list", "--quiet"]).text
    assert listed == "", "the runtime still knows containers: " + listed


def cgroups_of_containers():
    return sorted(path for path in census.cgroups()
                  if not OWN_CGROUPS.match(path))


class RootlessHost:
    """An ordinary user with subordinate ids, who exists in this lane only.

    The account files are bound over /etc/passwd and the like in the lane's mount namespace, so the
    machine's own are never written. undo() unmounts them.
    """

    NAME, UID, SUB_FIRST, SUB_COUNT = "caisson-user", 54321, 400000, 65536

    def __init__(self, directory):
        self.home = os.path.join(directory, "home")
        self.run_dir = "/run/user/%d" % self.UID
        self.bound = []
        for path in (self.home, self.run_dir):
            os.makedirs(path, 0o700)
            os.chown(path, self.UID, self.UID)
        os.chmod(directory, 0o755)
        account = "%s:x:%d:%d::%s:/bin/sh\n" % (self.NAME, self.UID, self.UID, self.home)
        ids = "%s:%d:%d\n" % (self.NAME, self.SUB_FIRST, self.SUB_COUNT)
        self._bind(directory, "passwd", self._content("/etc/passwd") + account)
        self._bind(directory, "group", self._content("/etc/group")
                   + "%s:x:%d:\n" % (self.NAME, self.UID))
        self._bind(directory, "subuid", ids)
        self._bind(directory, "subgid", ids)

    @staticmethod
    def _content(path):
        with open(path, encoding="utf-8") as f:
            return f.read()

    def _bind(self, directory, name, content):
        path, target = os.path.join(directory, name), os.path.join("/etc", name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(content)
        assert os.path.exists(target), "%s is needed as a mount point (package uidmap)" % target
        command.run(["mount", "--bind", path, target])
        self.bound.append(target)

    def prefix(self):
        """The words before a command that the user runs."""
        return ["setpriv", "--reuid", self.UID, "--regid", self.UID, "--clear-groups",
                "--inh-caps=-all"]

    def env(self):
        return {"HOME": self.home, "USER": self.NAME, "XDG_RUNTIME_DIR": self.run_dir,
                "XDG_CONFIG_HOME": os.path.join(self.home, ".config"),
                "XDG_DATA_HOME": os.path.join(self.home, ".local/share")}

    def undo(self):
        for target in self.bound:
            command.run(["umount", target])
