# SPDX-License-Identifier: Apache-2.0
"""The attacker's program (tests/lib/hostile.c) and what it prints."""

import collections
import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile

from .programs import REPO_DIR, TESTS_DIR

SOURCE = TESTS_DIR / "lib/hostile.c"


def find_program():
    """The built program, or one compiled into a cache directory when that is older than its source."""
    built = REPO_DIR / "build/tests/lib/hostile"
    if built.exists() and built.stat().st_mtime >= SOURCE.stat().st_mtime:
        return built
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
    cached = pathlib.Path(tempfile.gettempdir()) / f"caisson-hostile-{os.getuid()}-{digest}"
    if not cached.exists():
        scratch = f"{cached}.{os.getpid()}"
        subprocess.run(["cc", "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-static", "-o", scratch, str(SOURCE)],
                       check=True)
        os.rename(scratch, cached)
    return cached


def install(bundle):
    """Put it into a bundle's root file system as /bin/hostile."""
    shutil.copy2(find_program(), bundle.rootfs / "bin/hostile")


def attempts(text):
    """{pid: {what: result}} of the lines `PID WHAT RESULT`."""
    found = collections.defaultdict(dict)
    for line in text.splitlines():
        fields = line.split(" ", 2)
        if len(fields) == 3 and fields[0].isdigit():
            found[int(fields[0])][fields[1]] = fields[2]
    found.pop(0, None)
    return dict(found)


class Race:
    """Two names of the host are exchanged as fast as possible while the block runs."""

    def __init__(self, a, b, seconds=600):
        self.argv = [str(find_program()), "swap", str(a), str(b), str(seconds)]

    def __enter__(self):
        self.process = subprocess.Popen(self.argv, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        return self

    def __exit__(self, *_):
        alive = self.process.poll() is None
        self.process.kill()
        self.process.communicate()
        assert alive, "the attacker's race ended before the victim"
