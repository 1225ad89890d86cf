# SPDX-License-Identifier: Apache-2.0
"""`caisson install` for an engine whose files lie in a directory."""

import os

from enginelib import command

HANDLERS = ["caisson", "caisson-ns", "caisson-sentry", "caisson-vm"]


def programs_of(runtime):
    """The program that is installed, beside the runtime under test."""
    return os.path.join(os.path.dirname(runtime), "caisson")


def install(engine, runtime, root="/", shims=False):
    """Into the engine's files below root; our programs stay where they are. `shims`: the node has ours of containerd."""
    program = programs_of(runtime)
    if root != "/":
        # What is written are paths of the node: they have to be there below root, too.
        here = os.path.join(root, os.path.dirname(program).lstrip("/"))
        os.makedirs(here, exist_ok=True)
        for name in HANDLERS + ["containerd-shim-%s-v2" % name for name in HANDLERS if shims]:
            with open(os.path.join(here, name), "w", encoding="utf-8"):
                pass
    return command.run([program, "install", "--for", engine, "--root", root, "--runtime-path", program])


def uninstall(engine, runtime, root="/"):
    return command.run([programs_of(runtime), "uninstall", "--for", engine, "--root", root])
