# SPDX-License-Identifier: Apache-2.0
"""Attacks from inside a sandbox of class sentry (tests/hostile/guest), and how its sentry does meanwhile."""

import os
import pathlib
import re
import shutil

from .programs import REPO_DIR

PROGRAM = REPO_DIR / "build/tests/hostile/guest"


def install(bundle, memory=512 << 20, pids=200):
    """Put the program into the bundle as /bin/guest; bound the container's cgroup, for the host's sake.

    What it may change is its own: the programs that all bundles share by hard links are copied."""
    shutil.copy2(PROGRAM, bundle.rootfs / "bin/guest")
    for path in (bundle.rootfs / "bin").iterdir():
        if not path.is_symlink() and path.stat().st_nlink > 1:
            copy = path.with_name(path.name + ".copy")
            shutil.copy2(path, copy)
            copy.replace(path)
    bundle.linux.resources = {"memory": {"limit": memory}, "pids": {"limit": pids}}


def metric(runtime, bundle, name):
    """A number of `caisson debug ID metrics`."""
    text = runtime.call("debug", bundle.id, "metrics").stdout
    found = re.search(rf"^{name} (\d+)$", text, re.M)
    assert found, f"{name} in:\n{text}"
    return int(found[1])


def descriptors(pid):
    """How many descriptors a process of the host has."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def private_kib(pid):
    """Memory of a process of the host that nobody else has, and its memory files."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return sum(int(re.search(rf"^{name}:\s+(\d+)", status, re.M)[1]) for name in ("RssAnon", "RssShmem"))


def stubs_of(sentry):
    """The host's processes below a sentry, but for its gofer."""
    found, todo = [], [sentry]
    while todo:
        parent = todo.pop()
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{entry}/stat", encoding="ascii", errors="replace") as file:
                    text = file.read()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(text[text.rindex(")") + 2:].split()[1]) == parent:
                todo.append(int(entry))
                if "(caisson-stub)" in text:
                    found.append(int(entry))
    return found
