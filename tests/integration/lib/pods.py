# SPDX-License-Identifier: Apache-2.0
"""Containers of a Kubernetes pod, as engines describe them: by annotations, with the namespaces of the first by path."""

TYPE, SANDBOX = "io.kubernetes.cri.container-type", "io.kubernetes.cri.sandbox-id"
CRIO_TYPE, CRIO_SANDBOX = "io.kubernetes.cri-o.ContainerType", "io.kubernetes.cri-o.SandboxID"
FOREVER = ["sleep", "1000"]


class Pod:
    """A sandbox that runs, and what is added to it."""

    def __init__(self, runtime, make_bundle, first=FOREVER):
        self.runtime, self.make_bundle = runtime, make_bundle
        self.sandbox = make_bundle("pod")
        self.sandbox.config["annotations"] = {TYPE: "sandbox", SANDBOX: self.sandbox.id}
        self.sandbox.config["hostname"] = "of-the-pod"
        runtime.run_detached(self.sandbox, first)

    def bundle(self, name, *shared):
        """A container's bundle; namespaces that are not shared with others but network, ipc and uts are its own."""
        bundle = self.make_bundle(name)
        bundle.config["annotations"] = {TYPE: "container", SANDBOX: self.sandbox.id}
        bundle.config.pop("hostname", None)
        self.share(bundle, "network", "ipc", "uts", *shared)
        return bundle

    def share(self, bundle, *kinds, of=None):
        pid = self.runtime.state(of or self.sandbox).pid
        for kind in kinds:
            name = {"network": "net"}.get(kind, kind)
            bundle.namespace(kind, f"/proc/{pid}/ns/{name}")

    def add(self, name, args=None, *shared):
        bundle = self.bundle(name, *shared)
        self.runtime.run_detached(bundle, args or FOREVER)
        return bundle


def alive(runtime, *bundles):
    return [runtime.status(b) for b in bundles] == ["running"] * len(bundles)
