# SPDX-License-Identifier: Apache-2.0
"""containerd and its CRI plugin, told to use the runtime under test: through the runc shim, which
calls it, or (lane "shim") by our own shim, which is the program beside it.
"""

import collections
import itertools
import json
import os

import grpc

from enginelib import census, command, containerd_config, cri
from enginelib.daemon import Daemon
from enginelib.images import PAUSE_IMAGE, TEST_IMAGE
from enginelib.terminal import Terminal

NAMESPACE = "k8s.io"
OWN_SHIM = os.environ.get("CAISSON_ENGINES_LANE") == "shim"
# State has to be there: the shim's sockets are below /run/containerd whatever is configured. The
# lane's /run is private.
RUN_DIR = "/run/containerd"
SOCKET = RUN_DIR + "/test.sock"

Figures = collections.namedtuple("Figures", "cpu memory memory_limit tasks")

BRIDGE = "caisson0"
PLUGINS = [{
    "type": "bridge", "bridge": BRIDGE, "isGateway": True, "ipMasq": False,
    "ipam": {"type": "host-local", "dataDir": "/run/caisson-cni",
             "ranges": [[{"subnet": "10.89.0.0/24"}]]},
}]


class Containerd:
    """A running containerd, its command line client and a CRI client. `handlers`: more of them, as its configuration has
    them; `plugins`: the network of its pods, whose bridge goes with it; `more`: lines at the end of its settings."""

    def __init__(self, directory, runtime, archives, artifacts, handlers="", plugins=PLUGINS, bridge=BRIDGE,
                 more=""):
        self.directory, self.runtime, self.bridge = directory, runtime, bridge
        self.shim, options = "io.containerd.runc.v2", 'BinaryName = "%s"' % runtime
        if OWN_SHIM:
            # caisson-ns: containerd-shim-caisson-ns-v2
            self.shim, options = "io.containerd.%s.v2" % os.path.basename(runtime), ""
            os.environ["PATH"] = os.path.dirname(runtime) + ":" + os.environ["PATH"]
        self.numbers = itertools.count(1)
        os.makedirs(os.path.join(directory, "cni"))
        os.makedirs(RUN_DIR, 0o711, exist_ok=True)
        with open(os.path.join(directory, "cni", "10-test.conflist"), "w", encoding="utf-8") as f:
            self.network = {"cniVersion": "0.4.0", "name": "caisson-test", "plugins": plugins}
            json.dump(self.network, f)
        config = os.path.join(directory, "config.toml")
        with open(config, "w", encoding="utf-8") as f:
            f.write(containerd_config.text(directory=directory, socket=SOCKET, pause=PAUSE_IMAGE, runtime=runtime,
                                           shim=self.shim, options=options, handlers=handlers, more=more))
        self.argv = ["ctr", "--address", SOCKET, "--namespace", NAMESPACE]
        self.config, self.log = config, os.path.join(artifacts, "containerd.log")
        self._start()
        for archive in archives.values():
            self.ctr("images", "import", archive)

    def _start(self):
        self.daemon = Daemon(["containerd", "--config", self.config], self.log,
                             lambda: self.ctr("version", rc=None).rc == 0)
        self.cri = cri.Client(SOCKET, self.directory)
        command.eventually(self._serves_pods, what="containerd's CRI plugin")

    def _serves_pods(self):
        """The plugin comes after the daemon, and refuses calls until it knows the pods that are there."""
        try:
            self.cri.ListPodSandbox()
        except grpc.RpcError:
            return False
        return True

    def restart(self):
        """Stop and start the daemon; the shims and their containers go on."""
        self.cri.close()
        self.daemon.stop()
        self._start()

    def stop(self):
        self.cri.close()
        self.daemon.stop()
        link = command.run(["ip", "link", "delete", self.bridge], rc=None)
        assert link.rc == 0 or "Cannot find device" in link.err, link

    # -------------------------------------------------------------------------------- ctr

    def ctr(self, *args, rc=0, timeout=30, stdin=""):
        return command.run([*self.argv, *args], rc=rc, timeout=timeout, stdin=stdin)

    def run_argv(self, name, args, options=()):
        binary = () if OWN_SHIM else ("--runc-binary", self.runtime)
        return ["run", "--runtime", self.shim, *binary, *options, TEST_IMAGE, name, *args]

    def name(self):
        return "ctr%d" % next(self.numbers)

    def once(self, *args, options=(), rc=0, **kwargs):
        """`ctr run --rm` of args; the Result."""
        return self.ctr(*self.run_argv(self.name(), args, ("--rm", *options)), rc=rc, **kwargs)

    def start(self, *args, options=()):
        """`ctr run --detach` of args; the container's name."""
        name = self.name()
        self.ctr(*self.run_argv(name, args, ("--detach", *options)))
        return name

    def terminal(self, *args):
        return Terminal([*self.argv, *args])

    def task(self, name):
        """(pid, status) of a task, or None."""
        for line in self.ctr("tasks", "list").lines()[1:]:
            words = line.split()
            if words[0] == name:
                return int(words[1]), words[2]
        return None

    def figures(self, name):
        """What a task's metrics say, of the types of v1 or of v2: CPU time (ns), memory, its limit (bytes), processes."""
        found = json.loads(self.ctr("tasks", "metrics", "--format", "json", name).out)
        memory, tasks = found["memory"], found["pids"]["current"]
        if census.UNIFIED:
            return Figures(found["cpu"]["usage_usec"] * 1000, memory["usage"], memory["usage_limit"], tasks)
        return Figures(found["cpu"]["usage"]["total"], memory["usage"]["usage"], memory["usage"]["limit"], tasks)

    def remove(self, name):
        """Kill and delete the task if there is one, then the container."""
        if self.task(name):
            self.ctr("tasks", "delete", "--force", name, rc=None)
        self.ctr("containers", "delete", name)

    def remove_all(self):
        """Every pod, then every container that ctr made."""
        for pod in self.cri.ListPodSandbox().items:
            self.cri.StopPodSandbox(pod_sandbox_id=pod.id)
            self.cri.RemovePodSandbox(pod_sandbox_id=pod.id)
        for name in self.ctr("containers", "list", "--quiet").lines():
            self.remove(name)
