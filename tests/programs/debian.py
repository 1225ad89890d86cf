# SPDX-License-Identifier: Apache-2.0
"""The Debian root file system that the programs live in, source packages, and packages of newer suites; made once, kept in
a cache."""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import time

PACKAGES = ("bash", "bc", "bzip2", "coreutils", "curl", "dash", "file", "findutils", "gawk", "gcc", "git", "grep",
            "gzip", "iproute2", "libc6-dev", "libpython3.11-testsuite", "make", "nginx-light", "openssl", "perl",
            "procps", "python3", "redis-server", "redis-tools", "sed", "sqlite3", "strace", "tar", "wrk", "xz-utils",
            "zstd")
SUITE = "bookworm"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
CACHE = pathlib.Path(os.environ.get("CAISSON_TEST_CACHE", "/var/cache/caisson-tests"))


class NotToBeHad(Exception):
    """Debian's archive cannot be reached, or has another version by now."""


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
    partial = CACHE / f"partial-{os.getpid()}"
    shutil.rmtree(partial, ignore_errors=True)
    run(["mmdebstrap", "--variant=minbase", "--quiet", "--include=" + ",".join(PACKAGES), SUITE, partial])
    partial.chmod(0o755)
    os.rename(partial, target)
    return target


def apt_in(work, kind, suite):
    """The beginning of an apt-get command line with lists, cache and status of its own in `work`: the system's stay as they
    are. What is not signed with a key of Debian's archive is refused."""
    (work / "lists/partial").mkdir(parents=True)
    (work / "archives/partial").mkdir(parents=True)
    (work / "status").touch()
    (work / "sources").write_text(f"{kind} [signed-by={KEYRING}] http://deb.debian.org/debian {suite} main\n")
    settings = {"Dir::Etc::sourcelist": work / "sources", "Dir::Etc::sourceparts": "/dev/null",
                "Dir::Etc::preferences": "/dev/null", "Dir::Etc::preferencesparts": "/dev/null",
                "Dir::State::Lists": work / "lists", "Dir::State::status": work / "status", "Dir::Cache": work,
                "Acquire::Languages": "none", "APT::Update::Error-Mode": "any", "APT::Sandbox::User": "root"}
    return ["apt-get", "-q", *(f"-o{name}={value}" for name, value in settings.items())]


def source(package):
    """The unpacked source of a package (apt-get source with lists of its own)."""
    target = CACHE / f"source-{package}"
    if target.is_dir():
        return target
    CACHE.mkdir(parents=True, exist_ok=True)
    work = CACHE / f"partial-source-{os.getpid()}"
    shutil.rmtree(work, ignore_errors=True)
    apt = apt_in(work, "deb-src", SUITE)
    run([*apt, "update"], cwd=work)
    # Only the original archive is unpacked: no dpkg-dev is needed.
    run([*apt, "source", "--download-only", package], cwd=work)
    archive = next(iter(sorted(work.glob("*.orig.tar.*"))), None) or next(work.glob("*.tar.*"))
    unpacked = work / "unpacked"
    unpacked.mkdir()
    run(["tar", "-xf", archive, "-C", unpacked, "--strip-components=1", "--no-same-owner"])
    os.rename(unpacked, target)
    shutil.rmtree(work, ignore_errors=True)
    return target


def unpacked(package, suite, series):
    """The files of a package of another suite, as it would install them, unpacked in a directory. `series`: how its version
    has to begin ("2.1."). What is in the cache stays in use when the suite has gone on. Raises NotToBeHad."""
    target = CACHE / f"{package}-{series.rstrip('.')}"
    if target.is_dir():
        return target
    CACHE.mkdir(parents=True, exist_ok=True)
    work = CACHE / f"partial-{package}-{os.getpid()}"
    shutil.rmtree(work, ignore_errors=True)
    try:
        apt = apt_in(work, "deb", suite)
        began = time.monotonic()
        try:
            run([*apt, "update"], cwd=work)
            run([*apt, "download", package], cwd=work)
        except RuntimeError as e:
            if any(word in str(e) for word in ("GPG error", "not signed", "Hash Sum", "unauthenticated")):
                raise
            raise NotToBeHad(" ".join(str(e).split())[-300:]) from e
        deb = next(work.glob("*.deb"))
        version = run(["dpkg-deb", "--field", deb, "Version"]).strip()
        if not version.startswith(series):
            raise NotToBeHad(f"{suite} has {package} {version}, not {series}*")
        run(["dpkg-deb", "--extract", deb, work / "files"])
        print(f"{package} {version} of {suite}: fetched in {time.monotonic() - began:.0f} s (once)", file=sys.stderr)
        try:
            os.rename(work / "files", target)
        except OSError:
            if not target.is_dir():  # somebody else's, at the same time
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return target


if __name__ == "__main__":
    # Outside of the lane, which has no network.
    rootfs()
    source("zlib")
