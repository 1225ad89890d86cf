# SPDX-License-Identifier: Apache-2.0
"""The settings of a containerd for tests, by its series: 1.6 (Debian bookworm's) and 1.7 have a file of version 2, 2.1 one of
version 3, whose CRI plugin is two: of images and of the runtime."""

import os

SERIES = os.environ.get("CAISSON_CONTAINERD") or "1.6"
VERSION = 2 if SERIES.startswith("1.") else 3

HEAD = """version = {version}
root = "{directory}/root"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.aufs",
  "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "{socket}"
[ttrpc]
  address = "{socket}.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
"""

PAUSE = {
    2: """  sandbox_image = "{pause}"
""",
    3: """[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "{pause}"
[plugins."io.containerd.cri.v1.runtime"]
""",
}

PLUGIN = 'plugins."io.containerd.%s"' % {2: "grpc.v1.cri", 3: "cri.v1.runtime"}[VERSION]
RUNTIMES = PLUGIN + ".containerd.runtimes"

# The handlers end where CNI begins: test_containerd_install.py takes them out.
FIRST_OF_HANDLERS, END_OF_HANDLERS = "    default_runtime_name", "  [%s.cni]" % PLUGIN
TAIL = """  disable_apparmor = true
  restrict_oom_score_adj = true
  [{plugin}.containerd]
    {snapshotter}
    default_runtime_name = "caisson"
    [{runtimes}.caisson]
      runtime_type = "{shim}"
      pod_annotations = ["org.caisson.*"]
      container_annotations = ["org.caisson.*"]
      [{runtimes}.caisson.options]
        {options}
    [{runtimes}.plain]
      runtime_type = "io.containerd.runc.v2"
      [{runtimes}.plain.options]
        BinaryName = "{runtime}"
        NoPivotRoot = true
        NoNewKeyring = true
    [{runtimes}.runc]
      runtime_type = "io.containerd.runc.v2"
{handlers}
  [{plugin}.cni]
    {bin_dir}
    conf_dir = "{directory}/cni"
{more}
"""


def text(**facts):
    """The file. `facts`: directory, socket, pause (image), runtime (program), shim (runtime type), options handlers and
    more (lines)."""
    old = VERSION == 2
    return (HEAD + PAUSE[VERSION] + TAIL).format(
        version=VERSION, plugin=PLUGIN, runtimes=RUNTIMES, snapshotter='snapshotter = "overlayfs"' if old else "",
        bin_dir='bin_dir = "/usr/lib/cni"' if old else 'bin_dirs = ["/usr/lib/cni"]', **facts)
