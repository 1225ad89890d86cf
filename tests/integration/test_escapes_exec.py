# SPDX-License-Identifier: Apache-2.0
"""Escapes: the process that joins a container, seen by the container's own processes.

native.md's rows CVE-2019-5736 (the runtime's binary), CVE-2016-9962 (tracing what joins), CVE-2022-24769
(capabilities of exec), and what a container can put in the way of `exec`.
"""

import hashlib
import os
import pathlib
import subprocess
import time

import pytest

from lib import hostile, seen
from lib.bundle import cap_number
from lib.runtime import refused

pytestmark = pytest.mark.classes("ns", "sentry", "vm")
OURS = pytest.mark.beyond("runc", "crun", reason="the joining process is another program there")
JOINS = pytest.mark.classes("ns", "sentry", caveat="vm-namespaces")
NO_CAPS = ["CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_AUDIT_WRITE"]
SECONDS = float(os.environ.get("CAISSON_SOAK") == "1") * 28 + 1.5


def mask(names):
    return sum(1 << cap_number(n) for n in names)


def digest(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


@pytest.fixture
def attacked(runtime, bundle):
    """A container whose init attacks whatever joins it; `attacked(caps)` starts it."""
    def start(*caps, no_new_privileges=True):
        hostile.install(bundle)
        bundle.capabilities(*(caps or NO_CAPS))
        bundle.process.no_new_privileges = no_new_privileges
        runtime.run_detached(bundle, ["hostile", "watch", "1000"])
        runtime.wait_for_output(bundle, "ready")
        return bundle
    return start


def join_often(runtime, bundle, enough=6, *flags):
    """exec in a loop; returns what the attacker saw, which must have been something."""
    end = time.monotonic() + SECONDS
    limit = end + 60
    while time.monotonic() < limit:
        runtime.exec(bundle, ["true"], *flags)
        found = hostile.attempts(runtime.output(bundle))
        if time.monotonic() > end and len(found) >= enough:
            return found
    raise AssertionError(f"the attacker saw {len(found)} joining processes only")


@OURS
@pytest.mark.classes("ns", "vm", caveat="sentry-host-view")
def test_joining_process_can_be_seen_but_not_touched(runtime, attacked):
    bundle = attacked()

    for pid, results in join_often(runtime, bundle).items():
        for what, result in results.items():
            if what in ("seen", "done", "Uid", "NoNewPrivs", "Seccomp") or what.startswith("Cap"):
                continue
            assert result in ("EACCES", "EPERM", "ENOENT", "ESRCH", "late"), (pid, what, result)


@OURS
@pytest.mark.parametrize("caps", [NO_CAPS, NO_CAPS + ["CAP_SYS_PTRACE"]])
@pytest.mark.classes("ns", "vm", caveat="sentry-host-view")
def test_joining_process_never_has_more_capabilities_than_the_container(runtime, attacked, caps):
    bundle = attacked(*caps)
    found = join_often(runtime, bundle, 10)

    sets = [r for r in found.values() if "CapPrm" in r]
    assert sets
    for results in sets:
        for name in ("CapPrm", "CapEff", "CapBnd"):
            assert int(results[name], 16) & ~mask(caps) == 0, results
        assert int(results["CapInh"], 16) == 0 and int(results["CapAmb"], 16) == 0
        assert results["NoNewPrivs"] == "1"


@OURS
@pytest.mark.classes("ns", "vm", caveat="sentry-host-view")
def test_a_tracer_in_the_container_finds_nothing_of_the_host(runtime, attacked):
    """With CAP_SYS_PTRACE it may trace what joins; there is nothing to gain by it."""
    bundle = attacked(*NO_CAPS, "CAP_SYS_PTRACE")
    before = digest(runtime.path)

    for results in join_often(runtime, bundle, 10).values():
        for what, result in results.items():
            if what == "exe":
                assert result.startswith("/memfd:caisson-init") or result in ("late", "ENOENT", "ESRCH"), results
            if what in ("exe:w", "overwrite"):
                assert result not in ("OPEN", "WRITTEN"), results
            if what in ("root/", "cwd/"):
                assert result != "OTHER", results
            assert result != "DIRECTORY", results
    assert digest(runtime.path) == before


@OURS
@pytest.mark.classes("ns", caveat="sentry-host-view", vm_caveat="vm-namespaces")
def test_a_waiting_container_shows_nothing_to_a_neighbour_in_its_pid_namespace(runtime, make_bundle):
    """create leaves caisson-init waiting for any length of time; a pod shares the pid namespace."""
    attacker, victim = make_bundle("a"), make_bundle("v")
    hostile.install(attacker)
    runtime.run_detached(attacker)
    victim.namespace("pid", seen.namespace_path("pid", runtime.state(attacker).pid))
    runtime.create(victim)

    runtime.exec(attacker, ["hostile", "watch", "0.3"])
    text = runtime.exec(attacker, ["sh", "-c", "for p in /proc/[0-9]*; do hostile look ${p#/proc/}; done"]).stdout
    found = [r for r in hostile.attempts(text).values() if r["done"] == "still"]
    assert len(found) == 1
    for what, result in found[0].items():
        if what not in ("done", "Uid", "NoNewPrivs", "Seccomp") and not what.startswith("Cap"):
            assert result in ("EACCES", "EPERM", "ENOENT"), (what, result)
    assert int(found[0]["CapPrm"], 16) == mask(victim.config["process"]["capabilities"]["permitted"])


@OURS
@pytest.mark.parametrize("tracer", [
    pytest.param(False, marks=JOINS),
    pytest.param(True, marks=pytest.mark.classes("ns", caveat="sentry-host-view", vm_caveat="vm-namespaces"))])
def test_the_set_up_in_a_shared_pid_namespace_is_closed_to_its_neighbours(runtime, make_bundle, tracer):
    """While a container is made its process has the host's root and power: no neighbour may ever meet it."""
    attacker, victim = make_bundle("a"), make_bundle("v")
    hostile.install(attacker)
    attacker.capabilities("CAP_KILL", "CAP_DAC_OVERRIDE", "CAP_SYS_CHROOT", *(["CAP_SYS_PTRACE"] if tracer else []))
    runtime.run_detached(attacker, ["hostile", "roots"])
    runtime.wait_for_output(attacker, "ready")
    victim.namespace("pid", seen.namespace_path("pid", runtime.state(attacker).pid))

    end = time.monotonic() + SECONDS
    limit = end + 60
    while time.monotonic() < end or tracer and "CONTAINER" not in runtime.output(attacker) and time.monotonic() < limit:
        runtime.run(victim, ["true"])
    out = runtime.output(attacker)
    assert "HOST" not in out
    if tracer:
        assert "CONTAINER" in out, "the attacker met no process at all"


@pytest.mark.parametrize("user", [False, True])
@pytest.mark.classes("ns", caveat="sentry-host-view", vm_caveat="vm-namespaces")
def test_procfs_of_a_joined_pid_namespace_shows_only_that_namespace(runtime, make_bundle, user):
    """The container is made from outside of that namespace; its /proc must not be the host's."""
    attacker, victim = make_bundle("a"), make_bundle("v")
    if user:
        attacker.user_namespace()
        victim.user_namespace()
    runtime.run_detached(attacker)
    pid = runtime.state(attacker).pid
    for kind in ["pid"] + ["user", "ipc", "uts", "network"] * user:
        victim.namespace(kind, seen.namespace_path(kind, pid))
    del victim.node.hostname
    if user:
        del victim.linux.uid_mappings, victim.linux.gid_mappings

    out = runtime.run(victim, ["sh", "-c", "cat /proc/1/cmdline; echo; ls -d /proc/[0-9]* | wc -l; "
                                           "readlink /proc/self/ns/pid"]).stdout.splitlines()
    assert out[0].replace("\0", " ").split() == ["sleep", "1000"] and int(out[1]) <= 4
    assert out[2] == seen.namespace("pid", pid)


@JOINS
@pytest.mark.parametrize("verb", ["run", "create"])
def test_start_hooks_and_a_joined_pid_namespace_go_together(runtime, make_bundle, verb):
    neighbour, bundle = make_bundle("n"), make_bundle()
    runtime.run_detached(neighbour)
    bundle.namespace("pid", seen.namespace_path("pid", runtime.state(neighbour).pid))
    bundle.hook("startContainer", "/bin/touch", "/hook-ran")

    if verb == "run":
        runtime.run(bundle, ["true"])
    else:
        runtime.create(bundle)
        runtime.start(bundle)
        runtime.wait_for(bundle, "stopped")
    assert bundle.rootfs.exists("hook-ran")


@OURS
@pytest.mark.parametrize("caps", [["CAP_KILL"], ["CAP_KILL", "CAP_SYS_PTRACE"]])
@pytest.mark.classes("ns", "vm", caveat="sentry-host-view")
def test_a_start_hook_of_the_image_cannot_trace_what_runs_it(runtime, bundle, caps):
    """The hook is a program of the container; its parent still has the runtime's power."""
    hostile.install(bundle)
    bundle.capabilities(*caps)
    bundle.hook("startContainer", "/bin/sh", "-c", "hostile look 1 >/look 2>&1")

    runtime.run(bundle, ["true"])
    found = hostile.attempts(bundle.rootfs.read("look"))[1]
    for what in ("mem:w", "environ:r", "root/", "cwd/", "ptrace", "overwrite", "exe", "fd/0", "fd/3"):
        assert found[what] in ("EACCES", "EPERM"), (what, found[what])


# --------------------------------------------------------------------------- the runtime's own binary


@pytest.mark.parametrize("program", ["link", "interpreter", "elf"])
@pytest.mark.parametrize("verb", ["run", "start", "exec"])
def test_program_that_is_proc_self_exe_never_reaches_the_runtimes_file(runtime, bundle, program, verb):
    """CVE-2019-5736: the first program of the container is its own executor."""
    hostile.install(bundle)
    before = digest(runtime.path)
    if program == "link":
        bundle.rootfs.symlink("bin/evil", "/proc/self/exe")
    elif program == "interpreter":
        bundle.rootfs.write("bin/evil", "#!/proc/self/exe\n", 0o755)
    else:
        bundle.rootfs.write("bin/evil", with_interpreter("/bin/true", b"/proc/self/exe"), 0o755)
    if verb == "run":
        result = runtime.run(bundle, ["/bin/evil"], check=False)
    elif verb == "start":
        bundle.process.args = ["/bin/evil"]
        created = runtime.create(bundle, check=False)
        result = runtime.start(bundle, check=False) if created.returncode == 0 else created
    else:
        runtime.run_detached(bundle)
        result = runtime.exec(bundle, ["/bin/evil"], check=False)

    assert digest(runtime.path) == before
    if runtime.kind == "caisson" and verb != "start":
        # caisson-init runs once more, without a message, and says by its status that it will not.
        assert result.returncode == 255 or result.returncode in (1, 127, 139), str(result)
    assert "Usage" not in result.stdout and "NAME" not in result.stdout


def with_interpreter(path, interpreter):
    """The bytes of a dynamically linked program of the lane with another ELF interpreter."""
    data = pathlib.Path(os.path.realpath(path)).read_bytes()
    old = b"/lib64/ld-linux-x86-64.so.2"
    assert old in data
    return data.replace(old, interpreter + b"\0" * (len(old) - len(interpreter)), 1)


@pytest.mark.parametrize("verb", [pytest.param("run", marks=JOINS), pytest.param("create", marks=JOINS), "exec"])
def test_overwriting_exe_of_whatever_appears_reaches_no_file_of_the_host(runtime, make_bundle, verb):
    """CVE-2019-5736 as a loop: every executable that another process shows is opened and written to."""
    attacker, victim = make_bundle("a"), make_bundle("v")
    attacker.capabilities("CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE")
    before, mtime = digest(runtime.path), os.stat(runtime.path).st_mtime_ns
    hostile.install(attacker)
    runtime.run_detached(attacker, ["hostile", "overwrite"])
    runtime.wait_for_output(attacker, "ready")
    if verb != "exec":
        victim.namespace("pid", seen.namespace_path("pid", runtime.state(attacker).pid))

    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        if verb == "exec":
            runtime.exec(attacker, ["true"])
        elif verb == "run":
            runtime.run(victim, ["true"])
        else:
            runtime.create(victim)
            runtime.start(victim)
            runtime.wait_for(victim, "stopped")
            runtime.delete(victim)
    out = runtime.output(attacker)
    assert "WRITTEN" not in out, [line for line in out.splitlines() if " file " in line][-3:]
    if runtime.kind == "caisson":
        assert {line.split(" ", 2)[2] for line in out.splitlines() if " file " in line} <= {"/memfd:caisson-init (deleted)"}
    assert (digest(runtime.path), os.stat(runtime.path).st_mtime_ns) == (before, mtime)


@OURS
@pytest.mark.classes("ns", caveat="sentry-host-view", vm_caveat="vm-host-view")
def test_waiting_process_executes_a_sealed_copy(runtime, bundle):
    runtime.create(bundle)
    pid = runtime.state(bundle).pid

    assert os.readlink(f"/proc/{pid}/exe").startswith("/memfd:caisson-init")
    fd = os.open(f"/proc/{pid}/exe", os.O_RDONLY)
    try:
        runtime.kill(bundle, "KILL")
        runtime.wait_for(bundle, "stopped")
        # Nobody executes it any more: only the seals are left between a writer and the bytes.
        writer = os.open(f"/proc/self/fd/{fd}", os.O_RDWR)
        with pytest.raises(PermissionError):
            os.write(writer, b"#")
        with pytest.raises(PermissionError):
            os.ftruncate(writer, 0)
        os.close(writer)
    finally:
        os.close(fd)


@OURS
@pytest.mark.classes("ns", caveat="sentry-host-view", vm_caveat="vm-host-view")
def test_waiting_process_has_the_containers_credentials_and_nothing_open(runtime, bundle):
    bundle.process.user.uid, bundle.process.user.gid = 1000, 1000
    bundle.capabilities("CAP_KILL")
    runtime.create(bundle)
    pid = runtime.state(bundle).pid
    status = dict(line.split(":\t", 1) for line in
                  pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)

    assert status["Uid"].split() == ["1000"] * 4 and status["Gid"].split() == ["1000"] * 4
    assert status["Groups"].split() == []
    assert int(status["CapBnd"], 16) == int(status["CapPrm"], 16) == mask(["CAP_KILL"])
    assert int(status["CapInh"], 16) == int(status["CapAmb"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    targets = {fd: os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    rest = {fd: t for fd, t in targets.items() if int(fd) > 2}
    assert all(t.startswith(("/memfd:caisson-init", "socket:")) for t in rest.values()), targets
    assert os.stat(f"/proc/{pid}/root").st_ino == os.stat(bundle.rootfs).st_ino
    # Not dumpable: its files of /proc belong to root, whatever its own user is.
    assert os.stat(f"/proc/{pid}/environ").st_uid == 0
    points = [seen.Mount(line).point for line in pathlib.Path(f"/proc/{pid}/mountinfo").read_text().splitlines()]
    assert not [p for p in points if p.startswith(("/run/caisson", str(bundle.path)))]


@OURS
@pytest.mark.parametrize("no_new_privileges,extra", [(True, 0), (False, 1 << cap_number("CAP_SYS_ADMIN"))])
@pytest.mark.classes("ns", caveat="sentry-host-view", vm_caveat="vm-host-view")
def test_only_a_filter_without_no_new_privs_keeps_one_capability_more(runtime, bundle, no_new_privileges, extra):
    bundle.capabilities("CAP_KILL")
    bundle.process.no_new_privileges = no_new_privileges
    bundle.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW",
                               "syscalls": [{"names": ["reboot"], "action": "SCMP_ACT_ERRNO"}]}
    bundle.process.args = ["testinit", "report"]
    runtime.create(bundle)
    status = pathlib.Path(f"/proc/{runtime.state(bundle).pid}/status").read_text()
    waiting = {line.split(":")[0]: line.split()[1] for line in status.splitlines() if line.startswith("Cap")}

    assert int(waiting["CapPrm"], 16) == mask(["CAP_KILL"]) | extra
    assert int(waiting["CapBnd"], 16) == mask(["CAP_KILL"])
    runtime.start(bundle)
    runtime.wait_for(bundle, "stopped")
    report = runtime.outputs[bundle.id].report
    assert set(report["cap_permitted"]) == set(report["cap_effective"]) == set(report["cap_bounding"])
    assert len(report["cap_permitted"]) == 1


# ------------------------------------------------------------------- what a container puts in exec's way


@pytest.fixture
def running(runtime, bundle):
    runtime.run_detached(bundle)
    return bundle


@pytest.mark.parametrize("place", ["/etc/passwd", "/etc/group"])
@pytest.mark.parametrize("kind", ["fifo", "directory", "huge", "link to a fifo", "magic link", "device", "socket"])
def test_hostile_passwd_neither_hangs_nor_fails_exec(runtime, running, place, kind):
    commands = {
        "fifo": "mkfifo P", "directory": "mkdir P", "huge": "dd if=/dev/zero of=P bs=1M count=64",
        "link to a fifo": "mkfifo /fifo; ln -s /fifo P", "magic link": "ln -s /proc/self/root/etc/passwd P",
        "device": "ln -s /dev/zero P", "socket": "ln -s /dev/tty P",
    }
    runtime.exec(running, ["sh", "-c", f"rm -f {place}; " + commands[kind].replace("P", place)])

    report = runtime.exec(running, ["report"]).report
    assert any(e.startswith("HOME=/") for e in report["env"])


@OURS
@pytest.mark.parametrize("line,home", [
    ("root:x:0:0::/x\\y z:/bin/sh", "/x\\y z"), ("root:x:0:0::relative:/bin/sh", "/"), ("root:x:0:0:::", "/"),
    ("root:x:4294967296:0::/overflow:", "/"), ("root:x:-0:0::/minus:", "/"), ("root:x:0x0:0::/hex:", "/"),
    ("root:x: 0:0::/blank:", "/"), (":" * 5000, "/"), ("root:x:0:0::/a\0b:/bin/sh", "/"), ("", "/"),
    ("root:x:0:0::/no/newline", "/no/newline"), ("root:x:0:0::/" + "a" * 100000 + ":", "/" + "a" * 100000)],
    ids=["odd", "relative", "empty", "overflow", "minus", "hex", "blank", "colons", "nul", "none", "no-newline", "long"])
def test_home_is_taken_from_well_formed_lines_only(runtime, bundle, line, home):
    bundle.rootfs.write("etc/passwd", line)

    report = runtime.run(bundle, ["report"]).report
    assert [e for e in report["env"] if e.startswith("HOME=")] == [f"HOME={home}"]


@pytest.mark.classes("ns", "vm", caveat="sentry-host-view")
def test_replaced_dev_pts_gives_no_terminal_of_the_host(runtime, bundle, console):
    """CVE-2025-52565 by exec: /dev/pts of a running container is its own to change."""
    bundle.capabilities("CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE")
    runtime.run_detached(bundle)
    before = sorted(os.listdir("/dev/pts"))
    runtime.exec(bundle, ["sh", "-ec", "umount /dev/pts; rmdir /dev/pts; ln -s /tmp /dev/pts; mkfifo /tmp/ptmx"])

    result = runtime.exec(bundle, ["true"], "-d", "-t", "--console-socket", console.path, check=False, timeout_s=30)
    assert result.returncode != 0
    # The other end of a machine's terminal is one of the host's, which is the caller's own.
    assert runtime.isolation == "vm" or sorted(os.listdir("/dev/pts")) == before


@pytest.mark.parametrize("cwd", ["/proc/self/fd/3", "/proc/self/fd/8", "/proc/self/fd/10", "/proc/1/cwd/x",
                                 "/escape"])
@pytest.mark.parametrize("verb", ["run", "exec"])
def test_cwd_that_is_a_magic_link_stays_inside(runtime, bundle, work_dir, cwd, verb):
    """CVE-2024-21626: the working directory through a descriptor that the runtime left open."""
    (work_dir / "secret").write_text("s3cret")
    number = cwd.rsplit("/", 1)[1] if "/fd/" in cwd else "7"
    bundle.rootfs.symlink("escape", f"/proc/self/fd/{number}")
    directory = os.open(work_dir, os.O_RDONLY | os.O_DIRECTORY)
    script = "cat secret ../secret ../../secret 2>/dev/null; ls -a; pwd"
    try:
        if verb == "run":
            bundle.process.cwd = cwd
            result = runtime.run(bundle, ["sh", "-c", script], check=False, fds=(directory,))
        else:
            runtime.run_detached(bundle)
            result = runtime.exec(bundle, ["sh", "-c", script], "--cwd", cwd, check=False, fds=(directory,))
    finally:
        os.close(directory)
    assert "s3cret" not in result.stdout and "secret" not in result.stdout.split()
    if result.returncode == 0:
        assert result.stdout.splitlines()[-1].startswith("/")
        assert "unreachable" not in result.stdout


@OURS
@pytest.mark.parametrize("number", range(3, 16))
def test_no_descriptor_of_the_runtime_is_a_working_directory(runtime, bundle, number):
    """Each number that a runtime might leave open, directly: all of them are refused by name."""
    bundle.process.cwd = f"/proc/self/fd/{number}"

    result = runtime.run(bundle, ["sh", "-c", "ls -a; ls -a .."], check=False)
    refused(runtime, result, "working directory")


@pytest.mark.classes("ns", "sentry", caveat="vm-descriptors")
def test_preserved_directory_of_the_host_is_no_working_directory(runtime, bundle, work_dir):
    """Even one that the caller hands over on purpose: cwd has to lie below the container's root."""
    directory = os.open(work_dir, os.O_RDONLY | os.O_DIRECTORY)
    bundle.process.cwd = "/proc/self/fd/3"
    try:
        result = runtime.run(bundle, ["sh", "-c", "ls -a; ls -a .."], "--preserve-fds", "1", check=False,
                             fds=(directory,))
    finally:
        os.close(directory)
    refused(runtime, result, "current working directory is outside of container mount namespace root")


def test_cwd_swapped_while_exec_runs_stays_inside(runtime, bundle, work_dir):
    runtime.run_detached(bundle)
    bundle.rootfs.mkdir("work/inner")
    bundle.rootfs.symlink("elsewhere", "/proc/1/root/..")
    (work_dir / "secret").write_text("s3cret")

    with hostile.Race(bundle.rootfs / "work", bundle.rootfs / "elsewhere"):
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            result = runtime.exec(bundle, ["sh", "-c", "cat secret ../secret; readlink /proc/self/cwd"],
                                  "--cwd", "/work", check=False)
            assert "s3cret" not in result.stdout and "unreachable" not in result.stdout


@OURS
def test_empty_and_relative_elements_of_path_are_never_searched(runtime, bundle):
    bundle.rootfs.write("work/tool", "#!/bin/sh\necho planted\n", 0o755)
    bundle.process.cwd = "/work"
    for path in ("", ":", "::", ".", "./", "work", "/proc/self/cwd/../nowhere:.", ":/usr/bin:"):
        bundle.process.env = [f"PATH={path}"]
        result = runtime.run(bundle, ["tool"], check=False)
        refused(runtime, result, "executable file not found in $PATH")


def test_program_swapped_for_a_fifo_or_a_directory_fails_cleanly(runtime, running):
    for make in ("mkfifo /bin/odd", "mkdir /bin/odd", "ln -s odd /bin/odd", "ln -s /proc/self/fd/0 /bin/odd"):
        runtime.exec(running, ["sh", "-c", f"rm -rf /bin/odd; {make}; [ -L /bin/odd ] || chmod 755 /bin/odd"])

        result = runtime.exec(running, ["/bin/odd"], check=False)
        assert result.returncode in (255, 1, 126, 127), str(result)


def test_container_that_stops_what_joins_delays_nobody_else(runtime, attacked, bundle):
    """SIGSTOP reaches a joining process; exec then waits, but holds no lock that others need."""
    hostile.install(bundle)
    runtime.run_detached(bundle, ["hostile", "stop", "1000"])
    runtime.wait_for_output(bundle, "ready")
    waiting = []
    for _ in range(30):
        process = runtime.start_exec(bundle, ["true"])
        waiting.append(process)
        time.sleep(0.02)
        if any(p.poll() is None for p in waiting[:-1]):
            break
    runtime.state(bundle)
    runtime.pause(bundle)
    runtime.resume(bundle)
    runtime.delete(bundle, "--force")
    for process in waiting:
        process.wait()


def test_init_that_ends_while_execs_join_never_lets_them_out(runtime, make_bundle, scaled):
    """setns into a dying container: the program runs inside it or not at all."""
    for i in range(scaled(60, 8)):
        bundle = make_bundle(f"d{i}-")
        bundle.rootfs.write("inside", "yes")
        runtime.run_detached(bundle, ["sleep", "1000"])
        joins = [runtime.start_exec(bundle, ["/bin/sh", "-c", "test -e /inside || echo OUTSIDE; test -e "
                                             "/run/caisson-it && echo OUTSIDE"], stdin=subprocess.DEVNULL)
                 for _ in range(3)]
        time.sleep(0.001 * (i % 8))
        runtime.kill(bundle, "KILL")
        for join in joins:
            assert "OUTSIDE" not in join.finish()
        runtime.wait_for(bundle, "stopped")
        runtime.delete(bundle)


def test_binfmt_of_the_container_is_not_the_hosts(runtime, bundle):
    """A registered interpreter would run for the host's programs, too."""
    bundle.all_capabilities()
    bundle.rootfs.write("bin/evil", "#!/bin/sh\necho evil\n", 0o755)

    result = runtime.run(bundle, ["sh", "-c", "ls /proc/sys/fs/binfmt_misc/; echo ':evil:M::\\x7fELF::/bin/evil:F' "
                                              ">/proc/sys/fs/binfmt_misc/register"], check=False)
    assert result.returncode != 0
    assert not os.path.exists("/proc/sys/fs/binfmt_misc/evil")

