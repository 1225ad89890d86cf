# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the engine tests. They run inside a lane; tests/run-engines makes it.

Environment:
  CAISSON_RUNTIME        the OCI runtime under test (default: build/bin/caisson-ns of this tree)
  CAISSON_ARTIFACTS      where logs of a failed run are kept (default: build/artifacts)
  CAISSON_ENGINE_TRACE   a file: the engines call the runtime through a script that appends each
                         command line to it
  CAISSON_CONTAINERD     1.7 or 2.1: the programs of that containerd are the first in PATH; CAISSON_CONTAINERD_MISSING:
                         they are not to be had here
  CAISSON_PATIENCE       how many times as long as usual is waited (default: 1): in an emulated machine
  CAISSON_VM_TEMPLATES   on: of class vm, machines of the default size are clones of a template
"""

import json
import os
import shutil
import sys
import tempfile
import time

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
REPO = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)

from enginelib import command, containerd_config, images  # noqa: E402

TAIL_LINES = 40


def pytest_configure(config):
    if not os.environ.get("CAISSON_ENGINES_LANE"):
        raise pytest.UsageError("the engine tests run in a lane: use tests/run-engines")
    root = os.environ.get("CAISSON_ARTIFACTS") or os.path.join(REPO, "build", "artifacts")
    config.artifacts = os.path.join(root, "engines-" + os.environ["CAISSON_ENGINES_LANE"])
    shutil.rmtree(config.artifacts, ignore_errors=True)
    os.makedirs(config.artifacts)
    command.record_path = os.path.join(config.artifacts, "commands.log")
    config.addinivalue_line("markers", "series(name): a test of this containerd alone (1.6, 1.7, 2.1)")
    config.addinivalue_line("markers", "lane(name): a test of this lane alone; in the others it is not one")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        item.config.failed_any = True
        tails = []
        for name in sorted(os.listdir(item.config.artifacts)):
            if name != "commands.log":
                path = os.path.join(item.config.artifacts, name)
                with open(path, encoding="utf-8", errors="replace") as f:
                    tails.append("== %s\n%s" % (path, "".join(f.readlines()[-TAIL_LINES:])))
        report.sections.append(("engine and runtime logs", "\n".join(tails)))


def pytest_runtest_logstart(nodeid, location):
    command._record("=== " + nodeid)


def pytest_sessionfinish(session, exitstatus):
    if not getattr(session.config, "failed_any", False):
        shutil.rmtree(session.config.artifacts, ignore_errors=True)


def class_name():
    """By the name of the runtime's program."""
    return os.path.basename(os.environ.get("CAISSON_RUNTIME") or "caisson-ns").removeprefix("caisson-")


@pytest.fixture(scope="session")
def isolation():
    """The class that is tested."""
    return class_name()


def pytest_collection_modifyitems(config, items):
    """Leave out what is of another lane or containerd. Skip what a class cannot do (in one lane, where a line names it), by
    its row of CAVEATS.md (a test's, or its file's); CAISSON_ENGINE_ALL=1 runs it all the same."""
    lane = os.environ["CAISSON_ENGINES_LANE"]
    others = [item for item in items if any(mark.args[0] != lane for mark in item.iter_markers("lane"))
              or any(mark.args[0] != containerd_config.SERIES for mark in item.iter_markers("series"))]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if item not in others]
    if os.environ.get("CAISSON_CONTAINERD_MISSING"):
        for item in items:
            item.add_marker(pytest.mark.skip(reason="containerd %s is not to be had: CAVEATS.md#newer-containerd" %
                                             os.environ["CAISSON_CONTAINERD"]))
        return
    name = class_name()
    if name not in ("sentry", "vm") or os.environ.get("CAISSON_ENGINE_ALL") == "1":
        return
    with open(os.path.join(os.path.dirname(__file__), "caveats-%s.txt" % name), encoding="utf-8") as f:
        lines = [line.split() for line in f if line.strip() and not line.startswith("#")]
    rows = {test: anchor for test, anchor, *only in lines if only in ([], [lane])}
    for item in items:
        file = os.path.basename(str(item.fspath))
        anchor = rows.get("%s::%s" % (file, item.name)) or rows.get(file)
        if anchor:
            item.add_marker(pytest.mark.skip(reason="class %s: CAVEATS.md#%s" % (name, anchor)))


@pytest.fixture(scope="session")
def artifacts(pytestconfig):
    """Directory of the logs that are kept when a test fails."""
    return pytestconfig.artifacts


@pytest.fixture(scope="session")
def work():
    """A directory for the engine's data, removed at the end; readable by other users."""
    # Podman makes a reference of a layout's path, in which "-_" cannot be.
    path = os.path.join(tempfile.gettempdir(), "caisson-engines-" + os.urandom(6).hex())
    os.mkdir(path, 0o700)
    os.chmod(path, 0o755)
    yield path
    # An engine's last unmounts can be asynchronous; a tree that stays is an error.
    for _ in range(50):
        shutil.rmtree(path, ignore_errors=True)
        if not os.path.exists(path):
            return
        time.sleep(0.1)
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def runtime(work):
    """Path of the runtime that the engines are told to use."""
    path = os.environ.get("CAISSON_RUNTIME") or os.path.join(REPO, "build", "bin", "caisson-ns")
    path = os.path.abspath(path)
    if not os.access(path, os.X_OK):
        pytest.exit("no runtime at %s (build it, or set CAISSON_RUNTIME)" % path, 3)
    trace = os.environ.get("CAISSON_ENGINE_TRACE")
    if trace:
        wrapper = os.path.join(work, os.path.basename(path))
        with open(wrapper, "w", encoding="utf-8") as f:
            # One write for each call: lines of parallel calls must not mix.
            f.write("#!/bin/bash\nprintf -v line '%%q ' \"$@\"\nprintf '%%s\\n' \"$line\" >> '%s'\n"
                    "exec '%s' \"$@\"\n" % (trace, path))
        os.chmod(wrapper, 0o755)
        with open(trace, "a", encoding="utf-8"):
            os.chmod(trace, 0o666)
        return wrapper
    return path


@pytest.fixture(scope="session", autouse=True)
def templates(work, isolation):
    """A template, and a configuration that starts its clones, where CAISSON_VM_TEMPLATES asks for them."""
    if isolation != "vm" or os.environ.get("CAISSON_VM_TEMPLATES") != "on":
        yield
        return
    path = os.environ.get("CAISSON_RUNTIME") or os.path.join(REPO, "build", "bin", "caisson-vm")
    settings = os.path.join(work, "templates.json")
    with open(settings, "w", encoding="utf-8") as f:
        json.dump({"vm.templates": "on", "vm.template_dir": os.path.join(work, "templates")}, f)
    os.environ["CAISSON_CONFIG"] = settings  # of the engines, and so of their shims
    command.run([path, "template", "create"], timeout=300)
    yield
    command.run([path, "template", "remove", "--all"])
    del os.environ["CAISSON_CONFIG"]


@pytest.fixture(scope="session")
def is_runc(runtime):
    """Whether the runtime is runc, which the suite is checked against."""
    return command.run([runtime, "--version"]).out.startswith("runc version")


@pytest.fixture(scope="session")
def image_archives(work):
    """{reference: docker-archive file} of the two images."""
    out = os.path.join(work, "images")
    os.mkdir(out)
    return images.build(out)
