# SPDX-License-Identifier: Apache-2.0
"""`sandbox(script)` runs a bash script in a container of the class under test: read-only Debian root, /work for
itself, tmpfs where servers write."""

import itertools
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import debian  # noqa: E402
from container import config_of  # noqa: E402

REPO = pathlib.Path(__file__).resolve().parents[2]
ISOLATION = os.environ.get("CAISSON_CLASS", "ns")
PLATFORM = os.environ.get("CAISSON_PLATFORM")
PROFILE = os.environ.get("CAISSON_STUB_PROFILE")
RUNTIME = os.environ.get("CAISSON_RUNTIME") or str(REPO / "build/bin/caisson")
SOAK = os.environ.get("CAISSON_SOAK") == "1"
WORK = pathlib.Path("/run/caisson-programs")
serial = itertools.count(1)


def pytest_report_header(config):
    return (f"runtime: {RUNTIME}, class {ISOLATION}, platform {PLATFORM or 'default'}, "
            f"stub profile {PROFILE or 'default'}, soak {SOAK}")


class Result:
    def __init__(self, code, out, err, seconds, work):
        self.code, self.out, self.err, self.seconds, self.work = code, out, err, seconds, work

    def __str__(self):
        return (f"exit status {self.code} after {self.seconds:.1f} s\n--- stdout\n{self.out[-6000:]}\n"
                f"--- stderr\n{self.err[-6000:]}")


class Sandboxes:
    def __init__(self, directory, root):
        self.directory, self.root = directory, root

    def begin(self, script, user=0, files=None, network=None):
        """Start a sandbox, in the network namespace of a path if one is given; finish() waits for it."""
        name = f"p{next(serial)}-{os.getpid()}"
        bundle = self.directory / name
        work = bundle / "work"
        work.mkdir(parents=True)
        work.chmod(0o777)
        for source, target in (files or {}).items():
            shutil.copytree(source, work / target, symlinks=True)
        config = config_of(script, self.root, work, user)
        if network:
            next(n for n in config["linux"]["namespaces"] if n["type"] == "network")["path"] = network
        (bundle / "config.json").write_text(json.dumps(config))
        flags = []
        if ISOLATION == "sentry":
            flags += ["--platform", PLATFORM] if PLATFORM else []
            flags += ["--stub-profile", PROFILE] if PROFILE else []
            flags += ["--network", "host"] if network else []
        out, err = open(bundle / "out", "wb"), open(bundle / "err", "wb")
        child = subprocess.Popen([RUNTIME, "--root", self.directory / "root", "--isolation", ISOLATION, *flags, "run",
                                  "--bundle", bundle, name], stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        return child, name, bundle, work, time.monotonic()

    def finish(self, begun, timeout):
        child, name, bundle, work, started = begun
        if ISOLATION == "vm":  # emulated, and beside other machines
            timeout = min(4 * timeout, 500)
        try:
            code = child.wait(timeout)
        except subprocess.TimeoutExpired:
            subprocess.run([RUNTIME, "--root", self.directory / "root", "delete", "--force", name], check=False)
            child.kill()
            child.wait()
            code = None
        read = [(bundle / n).read_text(errors="replace") for n in ("out", "err")]
        return Result(code, *read, time.monotonic() - started, work)

    def __call__(self, script, timeout=120, user=0, check=True, files=None):
        result = self.finish(self.begin(script, user, files), timeout)
        if check and result.code != 0:
            pytest.fail(f"{script}\n{result}", pytrace=False)
        return result


@pytest.fixture(scope="session")
def debian_root():
    return debian.rootfs()


@pytest.fixture
def sandbox(request, debian_root):
    directory = WORK / f"t{request.session.items.index(request.node)}"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True, mode=0o755)
    yield Sandboxes(directory, debian_root)
    shutil.rmtree(directory, ignore_errors=True)
