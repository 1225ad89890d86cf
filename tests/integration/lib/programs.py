# SPDX-License-Identifier: Apache-2.0
"""The programs that test containers run: testinit and busybox's applets."""

import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile

TESTS_DIR = pathlib.Path(__file__).resolve().parents[2]
REPO_DIR = TESTS_DIR.parent

# Sub-commands of testinit that are also commands of their own in the rootfs.
TESTINIT_LINKS = ("true", "false", "echo", "cat", "sleep", "report", "getenv")
APPLETS = ("sh", "ls", "ps", "id", "mkdir", "rm", "ln", "mv", "cp", "chmod", "chown", "touch", "grep",
           "head", "tail", "wc", "readlink", "stty", "tty", "kill", "env", "test", "printf", "pwd",
           "stat", "dd", "mountpoint", "hostname", "ip", "nc", "su", "umount", "mount", "tr", "sed",
           "cut", "find", "mkfifo", "usleep", "date", "uname", "whoami", "xargs", "ulimit", "nice")


def find_testinit():
    """The built testinit, or one compiled into a cache directory from the same sources."""
    for path in (os.environ.get("CAISSON_TESTINIT"), REPO_DIR / "build/tests/lib/testinit"):
        if path and os.access(path, os.X_OK):
            return pathlib.Path(path)
    sources = sorted((TESTS_DIR / "lib").glob("testinit*.[ch]"))
    digest = hashlib.sha256(b"".join(s.read_bytes() for s in sources)).hexdigest()[:16]
    built = pathlib.Path(tempfile.gettempdir()) / f"caisson-testinit-{os.getuid()}-{digest}"
    if not built.exists():
        scratch = f"{built}.{os.getpid()}"
        subprocess.run(["cc", "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-static", "-o", scratch]
                       + [str(s) for s in sources if s.suffix == ".c"], check=True)
        os.rename(scratch, built)
    return built


def make_rootfs(target):
    """A small root file system: testinit, busybox, passwd and the usual empty directories."""
    target = pathlib.Path(target)
    for name in ("bin", "dev", "etc", "home", "proc", "root", "run", "sys", "tmp", "usr/bin", "usr/sbin",
                 "var"):
        (target / name).mkdir(parents=True)
    (target / "tmp").chmod(0o1777)
    shutil.copy2(find_testinit(), target / "bin/testinit")
    busybox = shutil.which("busybox")
    if busybox is None:
        raise RuntimeError("busybox-static is not installed")
    shutil.copy2(busybox, target / "bin/busybox")
    for name in ("testinit", "busybox"):
        (target / "bin" / name).chmod(0o755)
    for name in TESTINIT_LINKS:
        (target / "bin" / name).symlink_to("testinit")
    for name in APPLETS:
        (target / "bin" / name).symlink_to("busybox")
    (target / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n"
                                       "tester:x:1000:1000:tester:/home:/bin/sh\n")
    (target / "etc/group").write_text("root:x:0:\ntester:x:1000:\nextra:x:2000:tester\n")
    return target


def clone_rootfs(template, target):
    """A copy of the template in which the two programs are hard links."""
    template, target = str(template), str(target)
    for directory, _, files in os.walk(template):
        inner = target + directory[len(template):]
        os.mkdir(inner)
        shutil.copymode(directory, inner)
        for name in files:
            source, copy = f"{directory}/{name}", f"{inner}/{name}"
            if os.path.islink(source):
                os.symlink(os.readlink(source), copy)
            elif name in ("testinit", "busybox"):
                os.link(source, copy)
            else:
                shutil.copy2(source, copy)
        # os.walk lists links to directories among directories; the template has none.
