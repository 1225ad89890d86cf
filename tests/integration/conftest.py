# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the life cycle suite. README.md explains how to write a test with them."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import zlib

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from lib import cases, cgroups, faults, leaks, programs  # noqa: E402
from lib.bundle import Bundle  # noqa: E402
from lib.console import FdSocket  # noqa: E402
from lib.runtime import CLEAN_ENV, Runtime, probe, wait_until  # noqa: E402
from lib.users import USER, ids  # noqa: E402

WORK = pathlib.Path("/run/caisson-it")
SOAK = os.environ.get("CAISSON_SOAK") == "1"
ISOLATION = os.environ.get("CAISSON_CLASS", "ns")
PROFILE = os.environ.get("CAISSON_STUB_PROFILE")  # of class sentry; without it the runtime's default
TEMPLATES = os.environ.get("CAISSON_VM_TEMPLATES")  # of class vm: machines of the default size are clones
# With CAISSON_VM_TEMPLATES=mixed these files boot their machines, as their subject is the boot, how a machine ends or its
# size, and so does one test of COLD_OF in all others.
COLD_FILES = {"test_vm_cage.py", "test_vm_clones.py", "test_vm_guest.py", "test_vm_killed_anywhere.py",
              "test_vm_patience.py", "test_vm_sizes.py", "test_vm_templates.py", "test_kill.py", "test_start.py"}
COLD_OF = 8
SOAK_TIMEOUT_S = 1800  # of one test of class vm
PART = os.environ.get("CAISSON_PART")  # "2/3": every third test, from the second on; all of them if unset
CASES = os.environ.get("CAISSON_CASES")  # "1/2": the first of two shares of the cases of tests that have many
outcome = pytest.StashKey()
chosen_cases = pytest.StashKey()


def pytest_configure(config):
    if not os.environ.get("CAISSON_LANE") and not config.option.collectonly:
        raise pytest.UsageError("run these tests with tests/run-integration: they need a lane")
    path = os.environ.get("CAISSON_RUNTIME") or str(programs.REPO_DIR / "build/bin/caisson")
    path = shutil.which(path) or os.path.abspath(path)
    config.runtime_path = path
    config.runtime_kind, config.runtime_version = probe(path)
    os.umask(0o022)


def pytest_report_header(config):
    return (f"runtime: {config.runtime_path} ({config.runtime_version.splitlines()[0]}), "
            f"class {ISOLATION}, stub profile {PROFILE or 'default'}, cgroup layout {cgroups.layout()}, soak {SOAK}")


def caveat_of(classes):
    """The row of CAVEATS.md that a mark names for this class, or None."""
    return classes.kwargs.get(f"{ISOLATION}_caveat", classes.kwargs.get("caveat"))


def is_elsewhere(item):
    """The test belongs to another run: other classes, another layout of the lane, or make soak."""
    classes = item.get_closest_marker("classes")
    layouts = item.get_closest_marker("layouts")
    return (classes and ISOLATION not in classes.args and not caveat_of(classes)
            or layouts and cgroups.layout() not in layouts.args
            or layouts and layouts.kwargs.get("controllers") == (not cgroups.has_controller("memory"))
            or item.get_closest_marker("soak") and not SOAK)


def skip_reason(item, kind):
    """What is missing here and in which row of CAVEATS.md it stands, or None."""
    classes = item.get_closest_marker("classes")
    if classes and ISOLATION not in classes.args:
        row = caveat_of(classes)
        other = {"sentry": "vm", "vm": "sentry"}.get(ISOLATION)
        if row.startswith(f"{other}-"):
            raise pytest.UsageError(f"{item.nodeid}: {row} is no row of class {ISOLATION}: {ISOLATION}_caveat=")
        return f"class {ISOLATION}: CAVEATS.md#{row}"
    for marker in item.iter_markers("beyond"):
        if kind in marker.args and cgroups.layout() in marker.kwargs.get("layouts", cgroups.LAYOUTS):
            return f"stand-in {kind}: {marker.kwargs.get('reason', 'our contract differs')}"
    return None


def is_clone(item):
    """Whether the machines of a test are clones, unless it has a configuration of its own."""
    name = item.nodeid.split("::")[0]
    return TEMPLATES == "on" or TEMPLATES == "mixed" and not (
        name in COLD_FILES or item.get_closest_marker("cold") or zlib.crc32(item.nodeid.encode()) % COLD_OF == 0)


def pytest_collection_modifyitems(config, items):
    elsewhere = [item for item in items if is_elsewhere(item)]
    if elsewhere:
        items[:] = [item for item in items if item not in elsewhere]
        config.hook.pytest_deselected(items=elsewhere)
    if CASES:
        share = tuple(map(int, CASES.split("/")))
        out, there_are = cases.left_out([item.nodeid for item in items], *share)
        config.stash[chosen_cases] = f"{there_are - len(out)} of the {there_are} cases of tests with more than {cases.MANY}"
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid in out])
        items[:] = [item for item in items if item.nodeid not in out]
    if PART:
        part, parts = map(int, PART.split("/"))
        config.hook.pytest_deselected(items=[item for i, item in enumerate(items) if i % parts != part - 1])
        items[:] = items[part - 1::parts]
    for item in items:
        if SOAK and ISOLATION == "vm" and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SOAK_TIMEOUT_S))
        reason = skip_reason(item, config.runtime_kind)
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_terminal_summary(terminalreporter, config):
    if CASES:
        terminalreporter.write_line(f"share {CASES}, by the day: {config.stash[chosen_cases]}")
    for name, (hit, there_are) in sorted(faults.SITES.items()):
        terminalreporter.write_line(f"{name}: {hit} faults at {there_are} sites, seed {faults.SEED}")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.when == "call":
        item.stash[outcome] = report


@pytest.fixture(scope="session", autouse=True)
def template_config(request):
    """A configuration with a template, which is there, where CAISSON_VM_TEMPLATES asks for one."""
    if ISOLATION != "vm" or not TEMPLATES:
        yield None
        return
    directory = pathlib.Path(tempfile.mkdtemp(prefix="caisson-templates-", dir="/run"))
    directory.chmod(0o755)  # some calls are an ordinary user's
    config = directory / "caisson.json"
    config.write_text(json.dumps({"vm.templates": "on", "vm.template_dir": str(directory / "templates"),
                                  "vm.boot_timeout": "120"}))

    def call(*words):
        subprocess.run([request.config.runtime_path, "--root", directory / "root", "template", *words], check=True,
                       env={**CLEAN_ENV, "CAISSON_CONFIG": str(config)}, stdout=subprocess.DEVNULL, timeout=300)

    try:
        call("create")
        yield str(config)
    finally:
        call("remove", "--all")
        shutil.rmtree(directory)


@pytest.fixture(autouse=True)
def starts_from_a_template(request, template_config):
    """Calls that have no configuration of their own start clones where the test is one for them."""
    if template_config is None or not is_clone(request.node):
        yield
        return
    before = CLEAN_ENV.get("CAISSON_CONFIG")
    CLEAN_ENV["CAISSON_CONFIG"] = template_config
    yield
    if before is None:
        del CLEAN_ENV["CAISSON_CONFIG"]
    else:
        CLEAN_ENV["CAISSON_CONFIG"] = before


@pytest.fixture(scope="session")
def template_rootfs():
    """The prepared root file system that every bundle is cloned from."""
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(mode=0o755)
    return programs.make_rootfs(WORK / "template")


@pytest.fixture(scope="session")
def sentinel():
    """A descriptor that every runtime call inherits and that no container may see."""
    number = os.memfd_create(leaks.SENTINEL_NAME)
    high = os.dup2(number, 240)
    os.close(number)
    return high


@pytest.fixture
def work_dir(request, template_rootfs):
    """An empty directory of this test, short enough for socket addresses."""
    path = WORK / f"t{request.session.items.index(request.node)}"
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(mode=0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


def keep_artifacts(request, runtime):
    """Everything needed to look at a failure again. Returns the directory."""
    base = os.environ.get("CAISSON_ARTIFACTS") or "/tmp/caisson-artifacts"
    target = pathlib.Path(base) / re.sub(r"[^A-Za-z0-9_.-]+", "-", request.node.name)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    shutil.copytree(runtime.logs, target / "logs")
    for bundle in runtime.bundles:
        (target / f"config-{bundle.id}.json").write_text(json.dumps(bundle.config, indent=1))
    lines = [f"[{code}] {' '.join(argv)}" for argv, code in runtime.calls]
    (target / "commands.txt").write_text("\n".join(lines) + "\n")
    report = request.node.stash.get(outcome, None)
    if report is not None:
        (target / "failure.txt").write_text(report.longreprtext)
    repro = target / "repro.sh"
    repro.write_text(
        "#!/bin/sh\n# Runs the failed test again, alone, in a lane of its own.\n"
        f"cd '{programs.REPO_DIR}' || exit 1\n"
        f"export CAISSON_RUNTIME='{runtime.path}' CAISSON_CLASS='{ISOLATION}'\n"
        + (f"export CAISSON_STUB_PROFILE='{PROFILE}'\n" if PROFILE else "")
        + ("export CAISSON_VM_TEMPLATES=on\n" if ISOLATION == "vm" and is_clone(request.node) else "") +
        f"exec tests/run-integration --cgroup {cgroups.layout()} '{request.node.nodeid}' \"$@\"\n")
    repro.chmod(0o755)
    return target


@pytest.fixture
def runtime(request, work_dir, sentinel, starts_from_a_template):
    """The runtime with a --root of its own; afterwards containers are deleted and leaks sought."""
    guard = leaks.Guard()
    wrapper = Runtime(request.config.runtime_path, request.config.runtime_kind, ISOLATION, work_dir,
                      sentinel, PROFILE)
    yield wrapper
    report = request.node.stash.get(outcome, None)
    passed = report is not None and report.passed
    calls = {p.pid for p in wrapper.processes if p.poll() is None}
    # crun keeps what it inherited in a created container until its program is executed.
    inherited = ([] if wrapper.kind == "crun"
                 else leaks.lasting_sentinels(guard.new_pids() - calls))
    wrapper.end_processes()
    wrapper.delete_everything()
    leaked = inherited + guard.leaks(wrapper.root)
    if leaked:
        guard.clean_up()
    if leaked or not passed:
        kept = keep_artifacts(request, wrapper)
        sys.stderr.write(f"\nartifacts: {kept}\n")
    if leaked and passed:
        pytest.fail("left behind after the test:\n  " + "\n  ".join(leaked), pytrace=False)


@pytest.fixture
def make_bundle(runtime, work_dir, template_rootfs):
    """make_bundle(name="c") makes one more bundle."""
    def make(name="c"):
        made = Bundle(work_dir / f"b{len(runtime.bundles)}", template_rootfs, name)
        runtime.bundles.append(made)
        return made
    return make


@pytest.fixture
def bundle(make_bundle):
    """A bundle whose container runs `true`."""
    return make_bundle()


@pytest.fixture
def as_user(runtime, bundle):
    """Hands the bundle and --root to an ordinary user. Returns options for the verbs."""
    for directory in (bundle.path, runtime.root):
        directory.mkdir(exist_ok=True)
        os.chown(directory, USER, USER)
    for directory, directories, files in os.walk(bundle.rootfs):
        for name in [*directories, *files, "."]:
            path = os.path.join(directory, name)
            if os.path.isdir(path) or os.lstat(path).st_nlink == 1:
                os.lchown(path, USER, USER)
    bundle.drop_namespace("network")
    bundle.namespace("user")
    bundle.linux.uid_mappings = ids((0, USER, 1))
    bundle.linux.gid_mappings = ids((0, USER, 1))
    bundle.config["mounts"] = [m for m in bundle.config["mounts"] if m["type"] not in ("sysfs", "devpts")]
    bundle.linux.readonly_paths, bundle.linux.masked_paths = [], []
    del bundle.linux.resources
    del bundle.linux.cgroups_path
    return {"prefix": ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]}


@pytest.fixture
def console(work_dir):
    """A console socket: pass console.path to --console-socket, then console.terminal()."""
    server = FdSocket(work_dir / "console.sock")
    terminals = []
    receive = server.terminal

    def remember():
        terminals.append(receive())
        return terminals[-1]

    server.terminal = remember
    yield server
    for terminal in terminals:
        terminal.close()
    server.close()


@pytest.fixture
def wait_for():
    """wait_for(condition, timeout_s, what): poll until the condition holds."""
    return wait_until


@pytest.fixture
def scaled():
    """scaled(full, few): full under CAISSON_SOAK=1 (of class vm, which is emulated, a quarter of a number), else few."""
    if not SOAK:
        return lambda full, few: few
    return lambda full, few: max(full // 4, few) if ISOLATION == "vm" and isinstance(full, int) else full
