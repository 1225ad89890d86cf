# SPDX-License-Identifier: Apache-2.0
"""The Debian root file system that the programs live in, and sources of packages; made once, kept in a cache."""

import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess

PACKAGES = ("bash", "bc", "bzip2", "coreutils", "curl", "dash", "file", "findutils", "gawk", "gcc", "git", "grep",
            "gzip", "iproute2", "libc6-dev", "libpython3.11-testsuite", "make", "nginx-light", "openssl", "perl",
            "procps", "python3", "redis-server", "redis-tools", "sed", "sqlite3", "strace", "tar", "wrk", "xz-utils",
            "zstd")
SUITE = "bookworm"
SCRIPTS = pathlib.Path(__file__).resolve().parents[2] / "scripts"
CACHE = pathlib.Path(os.environ.get("CAISSON_TEST_CACHE", "/var/cache/caisson-tests"))


def run(argv, **options):
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, errors="replace", **options)
    if done.returncode:
        raise RuntimeError(f"{argv[0]} failed with status {done.returncode}:\n{done.stderr[-4000:]}")
    return done.stdout


def rootfs():
    """A bookworm with PACKAGES. Made in about 30 s the first time."""
    digest = hashlib.sha256(" ".join(PACKAGES).encode()).hexdigest()[:12]
    target = CACHE / f"programs-{digest}"
    if target.is_dir():
        return target
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / ".programs.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # suites side by side; held as long as it is at work, also without us
        if target.is_dir():
            return target
        partial = CACHE / "partial-programs"
        shutil.rmtree(partial, ignore_errors=True)
        run([SCRIPTS / "debian-root", SUITE, partial, *PACKAGES], pass_fds=[lock.fileno()])
        partial.chmod(0o755)
        os.rename(partial, target)
    return target


def source(package):
    """The unpacked source of a package."""
    return pathlib.Path(run([SCRIPTS / "fetch-debian", "--source", SUITE, CACHE / "debian", package]).strip()) / "root"


if __name__ == "__main__":
    # Outside of the lane, which has no network.
    rootfs()
    source("zlib")
