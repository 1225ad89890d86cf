# SPDX-License-Identifier: Apache-2.0
"""A pod's sandbox without its pod: `caisson run` of the bundle that containerd wrote, for tests/bench/pods.py."""

import contextlib
import copy
import json
import os
import shutil
import subprocess
import time

STATE = "/run/containerd/io.containerd.runtime.v2.task/k8s.io"  # of bundles
ROOT = "/run/caisson-bench"


class Alone:
    """Runs of the sandbox of a pod that lives as long as this is used: it lends its root file system and its files."""

    def __init__(self, pod, network, directory):
        self.bundle, self.directory, self.count = os.path.join(STATE, pod), directory, 0
        with open(os.path.join(self.bundle, "config.json"), encoding="utf-8") as f:
            self.config = json.load(f)
        self.plugin = {**network, **network["plugins"][0]}

    def cni(self, command, name, netns):
        environment = {"CNI_COMMAND": command, "CNI_CONTAINERID": name, "CNI_IFNAME": "eth0", "CNI_NETNS": netns,
                       "CNI_PATH": "/usr/lib/cni"}
        subprocess.run(["/usr/lib/cni/" + self.plugin["type"]], input=json.dumps(self.plugin), text=True, check=True,
                       stdout=subprocess.DEVNULL, env={**os.environ, **environment})

    @contextlib.contextmanager
    def network(self, name):
        """The path of a network namespace as the engine makes it for a pod."""
        netns = os.path.join(self.directory, name + ".net")
        with open(netns, "w", encoding="utf-8"):
            pass
        subprocess.run(["unshare", "--net=" + netns, "ip", "link", "set", "lo", "up"], check=True)
        self.cni("ADD", name, netns)
        yield netns
        self.cni("DEL", name, netns)
        subprocess.run(["umount", netns], check=True)
        os.unlink(netns)

    def write(self, name, netns):
        """Its bundle, with names of its own; a network namespace by path, or None for one without a device."""
        config, bundle = copy.deepcopy(self.config), os.path.join(self.directory, name)
        config["root"]["path"] = os.path.join(self.bundle, config["root"]["path"])
        config["linux"]["cgroupsPath"] = "/kubepods/bench/" + name
        for namespace in config["linux"]["namespaces"]:
            namespace.pop("path", None)
            if namespace["type"] == "network" and netns:
                namespace["path"] = netns
        os.mkdir(bundle)
        with open(os.path.join(bundle, "config.json"), "w", encoding="utf-8") as f:
            json.dump(config, f)
        return bundle

    def life(self, runtime, network, look):
        """Seconds of `run --detach` and of `delete --force`; `look` gets the command and the name between them."""
        self.count += 1
        name = "alone%d" % self.count
        with self.network(name) if network else contextlib.nullcontext() as netns:
            bundle = self.write(name, netns)
            times = self.run([runtime, "--root", ROOT], bundle, name, look)
        shutil.rmtree(bundle)
        return times

    @staticmethod
    def run(command, bundle, name, look):
        quiet, times = {"check": True, "stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}, [time.monotonic()]
        subprocess.run([*command, "run", "--detach", "--bundle", bundle, name], **quiet)
        times.append(time.monotonic())
        look(command, name)
        times.append(time.monotonic())
        subprocess.run([*command, "delete", "--force", name], **quiet)
        return times[1] - times[0], time.monotonic() - times[2]
