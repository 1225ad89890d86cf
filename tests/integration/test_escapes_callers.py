# SPDX-License-Identifier: Apache-2.0
"""Escapes: hostile callers, sockets, hooks, names and state around the runtime."""

import json
import os
import pathlib
import shutil
import socket
import stat
import subprocess
import tarfile
import threading
import time

import pytest

from lib import cgroups, hostile, hostmount
from lib.runtime import CLEAN_ENV, refused, wait_until

pytestmark = pytest.mark.classes("ns", "sentry", "vm")
OURS = pytest.mark.beyond("runc", "crun", reason="our contract: bounded waits and clear refusals")
SOAK_S = 20.0 if os.environ.get("CAISSON_SOAK") == "1" else 1.5


# ---------------------------------------------------------------------- unprivileged users and set-uid


@pytest.fixture
def suid_dir(work_dir):
    """A directory on a file system where set-user-ID means something: the lane's /run is nosuid."""
    path = work_dir / "suid"
    path.mkdir()
    hostmount.mount("suid", path, "tmpfs", 0, "mode=755")
    yield path
    hostmount.unmount(path)


@pytest.fixture
def setuid_runtime(runtime, suid_dir):
    """A copy of the runtime that somebody has made set-user-ID root."""
    path = suid_dir / "caisson"
    shutil.copy2(os.path.realpath(runtime.path), path)
    path.chmod(0o4755)
    return path


def as_user(argv, env=None, cwd="/"):
    return subprocess.run(list(map(str, argv)), user=1000, group=1000, extra_groups=[], cwd=cwd, text=True,
                          env={**CLEAN_ENV, **(env or {})}, capture_output=True, timeout=30, check=False,
                          stdin=subprocess.DEVNULL)


@OURS
@pytest.mark.parametrize("args", [["--version"], ["list"], ["config"], ["run", "x"], ["state", "x"]])
def test_set_user_id_copy_refuses_to_do_anything(setuid_runtime, args, work_dir):
    """CAISSON_CONFIG, XDG_RUNTIME_DIR, --root, --bundle: all are the caller's, and none is read."""
    trap = work_dir / "trap"
    os.mkfifo(trap, 0o666)
    result = as_user([setuid_runtime, *args], env={"CAISSON_CONFIG": str(trap), "XDG_RUNTIME_DIR": str(work_dir),
                                                   "NOTIFY_SOCKET": str(trap), "PATH": str(work_dir)})

    assert result.returncode == 1 and result.stdout == ""
    assert "refusing to run as a set-user-ID" in result.stderr


def test_unprivileged_user_reads_no_state_of_root(runtime, bundle):
    bundle.bind(bundle.path, "/secret-mount")
    runtime.run_detached(bundle)
    copy = bundle.path.parent / "caisson-copy"
    shutil.copy2(os.path.realpath(runtime.path), copy)
    copy.chmod(0o755)

    for verb in (["exec", bundle.id, "true"], ["kill", bundle.id, "KILL"], ["delete", "--force", bundle.id],
                 ["pause", bundle.id], ["update", "--pids-limit", "1", bundle.id]):
        result = as_user([copy, "--root", runtime.root, *verb])
        assert result.returncode != 0, verb
    assert runtime.status(bundle) == "running"
    for name in ("state.json", "config.json"):
        path = runtime.root / bundle.id / name
        if path.exists():
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, name


@OURS
def test_state_directory_of_somebody_else_is_refused(runtime, bundle, work_dir):
    """A directory that an unprivileged user owns or may write could hold any state.json."""
    bundle.save()
    for mode, owner in ((0o777, 0), (0o775, 0), (0o700, 1000)):
        root = work_dir / f"root{mode:o}{owner}"
        root.mkdir()
        root.chmod(mode)
        os.chown(root, owner, owner)
        for args in (["list"], ["run", "--bundle", bundle.path, bundle.id], ["state", "x"]):
            result = runtime.call(check=False, raw=[str(runtime.path), "--root", str(root), *map(str, args)])
            assert result.returncode == 1 and "refused" in result.stderr, str(result)
        assert os.listdir(root) == []


@pytest.mark.parametrize("no_new_privileges,euid", [(True, "1000"), (False, "0")])
def test_set_uid_program_gains_nothing_under_no_new_privs(runtime, bundle, suid_dir, no_new_privileges, euid):
    shutil.copy2(hostile.find_program(), suid_dir / "hostile")
    os.chmod(suid_dir / "hostile", 0o4755)
    bundle.bind(suid_dir, "/suid")
    bundle.process.user.uid = 1000
    bundle.process.no_new_privileges = no_new_privileges

    assert runtime.run(bundle, ["/suid/hostile", "ids"]).stdout.split() == ["1000", euid, euid]
    runtime.run_detached(bundle)
    assert runtime.exec(bundle, ["/suid/hostile", "ids"]).stdout.split() == ["1000", euid, euid]


def test_set_uid_program_gains_no_more_than_the_bounding_set(runtime, bundle, suid_dir):
    shutil.copy2(bundle.rootfs / "bin/testinit", suid_dir / "report")
    os.chmod(suid_dir / "report", 0o4755)
    bundle.bind(suid_dir, "/suid")
    bundle.process.user.uid = 1000
    bundle.process.no_new_privileges = False
    bundle.capabilities("CAP_KILL", sets=("bounding",))

    report = runtime.run(bundle, ["/suid/report"]).report
    assert report["cap_effective"] == report["cap_bounding"] and len(report["cap_bounding"]) == 1


def test_program_with_file_capabilities_gains_nothing_by_inheritance(runtime, bundle, suid_dir):
    """CVE-2022-24769: inheritable sets that are not empty make file capabilities work."""
    path = suid_dir / "report"
    shutil.copy2(bundle.rootfs / "bin/testinit", path)
    # VFS_CAP_REVISION_2, effective bit; permitted none, inheritable everything (capability.h).
    os.setxattr(path, "security.capability", bytes.fromhex("01000002") + bytes.fromhex("00000000ffffffff") * 2)
    bundle.bind(suid_dir, "/suid")
    bundle.process.user.uid = 1000
    bundle.process.no_new_privileges = False
    runtime.run_detached(bundle)

    for report in (runtime.exec(bundle, ["/suid/report"]).report,
                   runtime.exec(bundle, ["/suid/report"], "--cap", "CAP_KILL").report):
        assert not report["cap_effective"] and not report["cap_permitted"] and not report["cap_inheritable"]
    runtime.stop(bundle)
    report = runtime.run(bundle, ["/suid/report"]).report
    assert not report["cap_effective"] and not report["cap_permitted"] and not report["cap_inheritable"]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_closed_standard_streams_are_no_files_of_the_runtime(runtime, bundle, count):
    bundle.process.args = ["sh", "-c", "readlink /proc/self/fd/3 /proc/self/fd/4 >/out; testinit report >>/out"]
    bundle.save()

    runtime.call("run", "--bundle", bundle.path, bundle.id, prefix=(hostile.find_program(), "closed", count))
    report = json.loads(bundle.rootfs.read("out"))
    assert set(report["fds"]) <= {"0", "1", "2"}


@pytest.mark.parametrize("number", [17, 13, 1, 15])
def test_ignored_and_blocked_signals_of_the_caller_do_not_matter(runtime, bundle, number):
    """SIGCHLD ignored means that nobody can wait; and none of it may reach the program."""
    bundle.process.args = ["sh", "-c", "grep -E 'Sig(Ign|Blk)' /proc/self/status"]
    bundle.save()

    result = runtime.call("run", "--bundle", bundle.path, bundle.id,
                          prefix=(hostile.find_program(), "sigign", number))
    values = [int(line.split()[1], 16) for line in result.stdout.splitlines()]
    assert len(values) == 2 and not any(v >> (number - 1) & 1 for v in values)
    runtime.run_detached(bundle)
    result = runtime.exec(bundle, ["sh", "-c", "exit 7"], check=False,
                          prefix=(hostile.find_program(), "sigign", number))
    assert result.returncode == 7


# ------------------------------------------------------------------------ environment, ids and numbers


@OURS
def test_odd_bytes_of_the_environment_arrive_unchanged(runtime, bundle):
    odd = ["A=\u001b[31m\r\n\t", "=empty name", "no equals sign", "B=a=b=c", "\u00e9\u20ac\U0001f4a9=\u00e9", "A=second",
           "LD_PRELOAD=/evil.so", "BASH_FUNC_x%%=() { :; }", "C=" + "x" * 100000, "D="]
    bundle.process.env += odd

    env = runtime.run(bundle, ["cat", "/proc/self/environ"]).out_path.read_bytes().split(b"\0")
    assert [e for e in odd if e.encode() not in env] == []


@OURS
@pytest.mark.parametrize("field", ["env", "args", "cwd", "hostname"])
def test_nul_bytes_in_strings_are_refused(runtime, bundle, field):
    if field in ("env", "args"):
        setattr(bundle.process, field, ["true", "a\0b"])
    elif field == "cwd":
        bundle.process.cwd = "/\0x"
    else:
        bundle.node.hostname = "a\0b"

    assert runtime.run(bundle, None, check=False).returncode == 1


def test_environment_of_the_call_with_odd_bytes_is_harmless(runtime, bundle):
    env = {"A\x1b": "\udcff\udcfe", "LD_PRELOAD": "/nonexistent.so", "GCONV_PATH": "/tmp", "MALLOC_CHECK_": "3",
           "LISTEN_FDS": "99999999999999999999", "LISTEN_PID": "-1", "XDG_RUNTIME_DIR": "relative",
           "CAISSON_CONFIG": "", "NOTIFY_SOCKET": "not absolute", "TMPDIR": "/nowhere"}

    report = runtime.run(bundle, ["report"], env=env).report
    assert sorted(report["fds"]) == ["0", "1", "2"]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "/abs", "a b", "a\nb", "\x1b[31m", "a" * 1025, "-x",
                                  "é", "a\\b", "a*", "%s%n", "@seccomp"])
def test_hostile_container_ids_are_refused(runtime, bundle, name):
    bundle.save()
    before = cgroups.all_cgroups()

    for verb in (["run", "--bundle", bundle.path], ["create", "--bundle", bundle.path]):
        result = runtime.call(*verb, name, check=False)
        assert result.returncode != 0
    for verb in ("state", "kill", "delete", "start", "ps"):
        assert runtime.call(verb, name, check=False).returncode != 0
    assert runtime.container_ids() == [] and cgroups.all_cgroups() == before


def test_longest_id_works_and_one_more_is_refused(runtime, make_bundle):
    bundle = make_bundle()
    bundle.id = "i" * 255
    bundle.linux.cgroups_path = "/long"
    runtime.run_detached(bundle)
    assert runtime.state(bundle).id == bundle.id
    runtime.stop(bundle)
    bundle.id = "i" * 256
    assert runtime.run(bundle, None, check=False).returncode != 0


@pytest.mark.parametrize("value,fine", [(0, True), (65535, True), (4294967294, True), (4294967295, False),
                                        (4294967296, False), (-1, False), (1.5, False), ("0", False), (2**64, False)])
@OURS
def test_user_ids_at_their_limits(runtime, bundle, value, fine):
    bundle.process.user.uid = value
    bundle.process.user.gid = value if fine else 0

    result = runtime.run(bundle, ["id", "-u"], check=False)
    assert (result.returncode == 0) == fine, str(result)
    if fine:
        assert result.stdout.strip() == str(value)


@OURS
@pytest.mark.parametrize("text", ["-1", "65", "99999999999999999999", "SIGNOPE", "KILL\n", "0x9", " 9", "9 ", "RTMAX+1"])
def test_signals_at_their_limits_are_refused(runtime, bundle, text):
    runtime.run_detached(bundle)

    assert runtime.kill(bundle, text, check=False).returncode == 1
    assert runtime.status(bundle) == "running"


# -------------------------------------------------------------------------- `..` in paths of the config


@pytest.mark.parametrize("path", ["/../../../../escaped", "../../../escaped", "/dev/../../../escaped",
                                  "/dev/link/escaped"])
def test_device_paths_stay_below_the_root(runtime, bundle, work_dir, path):
    bundle.rootfs.symlink("dev/link", "../../../../../../../" + str(work_dir))
    bundle.linux.devices = [{"path": path, "type": "c", "major": 1, "minor": 3, "fileMode": 0o666}]

    runtime.run(bundle, ["true"], check=False)
    found = [p for p in (pathlib.Path("/escaped"), work_dir / "escaped", bundle.path / "escaped")
             if os.path.lexists(p)]
    for made in found:
        made.unlink()  # the host's tree is not the lane's own
    assert found == []


@pytest.mark.parametrize("path", ["/../escaped", "/a/../../escaped", "../escaped", "/../../../../escaped",
                                  "a/../../../escaped", "/./../escaped"])
def test_cgroup_paths_stay_below_the_hierarchy(runtime, bundle, path):
    before = cgroups.all_cgroups()
    bundle.linux.cgroups_path = path

    result = runtime.run(bundle, ["cat", "/proc/self/cgroup"], check=False)
    assert "/.." not in result.stdout
    escaped = os.path.exists("/escaped")
    shutil.rmtree("/escaped", ignore_errors=True)  # the host's tree is not the lane's own
    assert not escaped and not any((top.parent / "escaped").exists() for top in cgroups.hierarchies())
    assert cgroups.all_cgroups() == before


@OURS
@pytest.mark.parametrize("path", ["../bin/true", "bin/true", "", "./true"])
def test_hook_paths_must_be_absolute(runtime, bundle, path):
    bundle.hook("createRuntime", path)

    refused(runtime, runtime.create(bundle, check=False), "hooks.createRuntime[0].path")


def test_hooks_on_the_host_are_not_found_in_the_rootfs(runtime, bundle, work_dir):
    """A path of a host-side hook is the host's, whatever the image has at the same place."""
    marker = work_dir / "ran"
    bundle.rootfs.write("only-in-image", f"#!/bin/sh\ntouch {marker}\n", 0o755)
    bundle.hook("createRuntime", "/only-in-image")

    assert runtime.create(bundle, check=False).returncode != 0
    assert not marker.exists()


# ------------------------------------------------------------------------------ a console socket that lies


class LyingSocket(threading.Thread):
    """Accepts and then misbehaves: close, mute, chatty, replaced."""

    def __init__(self, path, how):
        super().__init__(daemon=True)
        self.path, self.how = str(path), how
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen()
        self.held = []

    def run(self):
        try:
            connection, _ = self.listener.accept()
        except OSError:
            return
        self.held.append(connection)
        if self.how == "close":
            connection.close()
            return
        if self.how == "chatty":
            try:
                connection.sendall(b"\0" * 1000000)
            except OSError:
                pass
        if self.how == "fds":
            socket.send_fds(connection, [b"x"], [0, 1, 2])
        if self.how == "replaced":
            os.unlink(self.path)
            os.symlink("/dev/null", self.path)

    def stop(self):
        """What was sent to us, a terminal among it, goes with the connection."""
        self.listener.close()
        self.join(30)
        for connection in self.held:
            connection.close()


@pytest.mark.parametrize("verb", ["create", "exec"])
@pytest.mark.parametrize("how", ["close", "mute", "chatty", "fds", "replaced"])
def test_console_socket_that_lies_neither_hangs_nor_leaks(runtime, bundle, work_dir, how, verb):
    server = LyingSocket(work_dir / "lie.sock", how)
    server.start()
    before = sorted(os.listdir("/dev/pts"))
    try:
        if verb == "create":
            bundle.process.terminal = True
            result = runtime.create(bundle, "--console-socket", server.path, check=False)
        else:
            runtime.run_detached(bundle)
            result = runtime.exec(bundle, ["true"], "-t", "-d", "--console-socket", server.path, check=False)
        assert result.returncode in (0, 1, 255)
        if result.returncode != 0 and verb == "create":
            assert runtime.status(bundle) is None
    finally:
        server.stop()
    runtime.delete(bundle, "--force")
    # Who has waited for an exec ends by itself, behind the container.
    wait_until(lambda: sorted(os.listdir("/dev/pts")) == before, 30, "the terminals are gone")


@pytest.mark.parametrize("what", ["file", "fifo", "directory", "datagram", "nobody listens", "link to nowhere",
                                  "device", "socket in a long path"])
def test_console_socket_that_is_none_is_an_error(runtime, bundle, work_dir, what):
    path = work_dir / "console"
    if what == "file":
        path.write_text("")
    elif what == "fifo":
        os.mkfifo(path)
    elif what == "directory":
        path.mkdir()
    elif what == "link to nowhere":
        path.symlink_to("/nowhere")
    elif what == "device":
        path = pathlib.Path("/dev/null")
    elif what == "socket in a long path":
        path = work_dir / ("d" * 100) / ("e" * 200)
    else:
        kind = socket.SOCK_DGRAM if what == "datagram" else socket.SOCK_STREAM
        socket.socket(socket.AF_UNIX, kind).bind(str(path))
    bundle.process.terminal = True

    result = runtime.create(bundle, "--console-socket", path, check=False)
    assert result.returncode == 1 and "console socket" in result.stderr or runtime.kind != "caisson"
    assert runtime.status(bundle) is None


@OURS
def test_console_socket_whose_queue_is_full_is_given_up(runtime, bundle, work_dir):
    """connect(2) waits for a place in the queue: not longer than a bounded time."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(work_dir / "full"))
    listener.listen(0)
    fillers = []
    for _ in range(4):
        filler = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        filler.setblocking(False)
        try:
            filler.connect(str(work_dir / "full"))
        except BlockingIOError:
            pass
        fillers.append(filler)
    bundle.process.terminal = True

    result = runtime.create(bundle, "--console-socket", work_dir / "full", check=False, timeout_s=60)
    assert result.returncode == 1 and runtime.status(bundle) is None


# ------------------------------------------------------------------------------------- service managers


@pytest.mark.beyond("crun", reason="never stops waiting")
@pytest.mark.classes("ns", "sentry", caveat="vm-sockets")
def test_flood_of_notifications_delays_ready_but_does_not_lose_it(runtime, bundle, work_dir):
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(work_dir / "n.sock"))
    manager.settimeout(SOAK_S + 30)
    hostile.install(bundle)
    bundle.process.args = ["sh", "-c", f"hostile flood $NOTIFY_SOCKET {SOAK_S}"]
    process = runtime.start_run(bundle, None, env={"NOTIFY_SOCKET": str(work_dir / "n.sock")})

    received = manager.recv(65536)
    assert received.startswith(b"READY=1") and b"X" not in received
    runtime.delete(bundle, "--force")
    process.wait()
    manager.close()


@pytest.mark.beyond("runc", "crun", reason="wait for ever or read it only later")
def test_container_that_never_says_ready_can_be_removed_while_start_waits(runtime, bundle, work_dir):
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(work_dir / "n.sock"))
    bundle.process.args = ["sleep", "1000"]
    env = {"NOTIFY_SOCKET": str(work_dir / "n.sock")}
    runtime.create(bundle, env=env)
    start = runtime.start_call("start", bundle.id, env=env)
    runtime.wait_for(bundle, "running")

    runtime.delete(bundle, "--force")
    start.wait()
    manager.close()


# ------------------------------------------------------------------------- names that a container chooses


def test_hostile_names_of_processes_reach_no_terminal_and_break_no_json(runtime, bundle, work_dir):
    script = "printf '\\033[2J) R 1' >/proc/self/comm; testinit sleep 1000 \"$(printf '\\033]0;evil\\007\\n) R 1')\" & wait"
    runtime.run_detached(bundle, ["sh", "-c", script])
    wait_until(lambda: len(runtime.ps(bundle, "--format", "json").json) == 2)

    assert runtime.state(bundle).status == "running"
    assert runtime.list("--format", "json").json[0]["status"] == "running"
    for result in (runtime.ps(bundle), runtime.list(), runtime.state(bundle)):
        assert "\x1b" not in result.stdout and "\a" not in result.stdout, str(result)
    if runtime.kind == "caisson":
        assert json.loads(runtime.events(bundle, "--stats").stdout)["id"] == bundle.id
        archive = work_dir / "report.tar"
        runtime.call("debug", "collect", bundle.id, "--output", archive)
        with tarfile.open(archive) as tar:
            for member in tar.getmembers():
                assert not member.name.startswith("/") and ".." not in member.name.split("/")
                assert member.isfile() or member.isdir()
    runtime.stop(bundle)


@pytest.mark.parametrize("name", ["(", ") Z 1 1", ") R 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 5 ", "a\nb"])
def test_name_that_imitates_proc_stat_does_not_confuse_the_status(runtime, bundle, name):
    runtime.run_detached(bundle, ["sh", "-c", f"printf '%s' '{name}' >/proc/self/comm; sleep 1000 & wait"])
    wait_until(lambda: runtime.exec(bundle, ["cat", "/proc/1/comm"]).stdout.startswith(name[:10]), 30)

    assert runtime.status(bundle) == "running"
    wait_until(lambda: len(runtime.ps(bundle, "--format", "json").json) == 2)
    runtime.stop(bundle)


# ---------------------------------------------------------------------------- entries of the state directory


@OURS
@pytest.mark.parametrize("what", ["link", "file", "fifo", "fifo as state.json", "directory as state.json",
                                  "huge state.json", "garbage", "link as state.json", "socket", "pid of init",
                                  "device as state.json"])
def test_hostile_entry_of_the_state_directory_hangs_nobody(runtime, bundle, work_dir, what):
    runtime.run_detached(bundle)
    evil = runtime.root / "evil"
    if what == "link":
        evil.symlink_to(runtime.root / bundle.id)
    elif what == "file":
        evil.write_text("")
    elif what == "fifo":
        os.mkfifo(evil)
    elif what == "socket":
        socket.socket(socket.AF_UNIX).bind(str(evil))
    else:
        evil.mkdir(mode=0o711)
        state = evil / "state.json"
        if what == "fifo as state.json":
            os.mkfifo(state)
        elif what == "directory as state.json":
            state.mkdir()
        elif what == "huge state.json":
            with open(state, "wb") as file:
                file.truncate(1 << 40)
        elif what == "garbage":
            state.write_bytes(b'{"version": 1, "pid": -1, "id": "\xff\x00')
        elif what == "link as state.json":
            state.symlink_to(runtime.root / bundle.id / "state.json")
        elif what == "pid of init":
            text = (runtime.root / bundle.id / "state.json").read_text()
            state.write_text(text.replace(bundle.id, "evil").replace(
                f'"pid":{runtime.state(bundle).pid}', '"pid":1').replace(
                f'"pid": {runtime.state(bundle).pid}', '"pid": 1'))
        else:
            os.mknod(state, 0o600 | stat.S_IFCHR, os.makedev(1, 5))

    listed = runtime.list("--format", "json").json
    assert bundle.id in [entry["id"] for entry in listed]
    assert all(entry["status"] == "stopped" for entry in listed if entry["id"] == "evil")
    for verb in ("state", "ps", "start"):
        runtime.call(verb, "evil", check=False)
    runtime.call("kill", "evil", "KILL", check=False)
    runtime.call("delete", "--force", "evil", check=False)
    assert runtime.status(bundle) == "running" and os.path.exists("/proc/1")
    if evil.is_symlink() or not evil.is_dir():
        if os.path.lexists(evil):
            os.unlink(evil)
    else:
        shutil.rmtree(evil)


def test_a_number_given_to_another_process_is_not_killed(runtime, bundle):
    """pid reuse: state.json names a living process that started at another time."""
    runtime.run_detached(bundle)
    if runtime.kind != "caisson":
        pytest.skip("CAVEATS.md#arch: state.json of another runtime")
    state = runtime.root / bundle.id / "state.json"
    document = json.loads(state.read_text())
    real = document["pid"]
    time.sleep(0.05)  # start times have a resolution of 10 ms
    victim = subprocess.Popen(["sleep", "1000"])
    try:
        document["pid"] = victim.pid
        state.write_text(json.dumps(document))
        assert runtime.status(bundle) == "stopped"
        assert runtime.kill(bundle, "KILL", check=False).returncode == 1
        assert runtime.exec(bundle, ["true"], check=False).returncode == 255
        runtime.delete(bundle, "--force", check=False)
        assert victim.poll() is None
    finally:
        victim.kill()
        victim.wait()
        # The cgroup is still found by its path, and with it what lives there.
        if os.path.exists(f"/proc/{real}"):
            os.kill(real, 9)


# ------------------------------------------------------------------------------------------ hooks that hang


@OURS
@pytest.mark.parametrize("kind", ["createRuntime", "createContainer", "startContainer", "poststart"])
def test_a_hook_that_hangs_hangs_no_other_call(runtime, bundle, kind):
    """state and list answer at once; what needs the container to itself gives up by name."""
    bundle.hook(kind, "/bin/sleep", "1000")
    process = runtime.start_run(bundle, ["sleep", "1000"], "-d")
    wait_until(lambda: runtime.status(bundle) is not None)
    time.sleep(0.1)

    assert runtime.state(bundle).status in ("creating", "created", "running")
    runtime.list()
    result = runtime.delete(bundle, "--force", check=False, timeout_s=30)  # it waits 10 s for the lock
    assert result.returncode == 0 or "busy" in result.stderr, str(result)
    process.kill()
    process.wait()
    runtime.delete(bundle, "--force")
    wait_until(lambda: end_hooks() == 0)


def end_hooks():
    """Hooks of a runtime that was killed are nobody's; how many were left."""
    left = 0
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and pathlib.Path(f"/proc/{entry}/cmdline").read_bytes() == b"/bin/sleep\0001000\0":
                os.kill(int(entry), 9)
                left += 1
        except (OSError, ProcessLookupError):
            pass
    return left


# -------------------------------------------------------------- processes that do not want to be ended


@pytest.mark.parametrize("depth,length", [(200, 8), (40, 250)])
@pytest.mark.classes("ns", "vm", caveat="sentry-cgroup-writes")
def test_nested_cgroups_of_a_container_are_removed(runtime, bundle, depth, length):
    """With the hierarchy writable inside, a container nests cgroups and moves itself into the innermost."""
    hostile.install(bundle)
    bundle.namespace("cgroup")
    bundle.capabilities("CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE")
    bundle.mount("/cg", "cgroup2" if cgroups.is_v2() else "cgroup", "cgroup2" if cgroups.is_v2() else "cgroup", ["rw"])
    place = "/cg" if cgroups.is_v2() or runtime.isolation == "vm" else "/cg/freezer"
    runtime.run_detached(bundle, ["hostile", "nest", place, str(depth), str(length)])
    made = int(runtime.wait_for_output(bundle, "depth").split()[1])
    assert made >= 10

    runtime.delete(bundle, "--force")


@pytest.mark.layouts("v1", "hybrid", "v2", controllers=True)  # a bomb needs the limit of pids
@pytest.mark.parametrize("verb", ["kill --all", "delete --force", "kill"])
@pytest.mark.parametrize("own_pids", [True, False])
def test_fork_bomb_is_ended(runtime, bundle, verb, own_pids):
    hostile.install(bundle)
    bundle.linux.resources.pids.limit = 60
    if not own_pids:
        bundle.drop_namespace("pid")
    runtime.run_detached(bundle, ["hostile", "bomb"])
    runtime.wait_for_output(bundle, "ready")
    path = bundle.linux.cgroups_path
    if runtime.isolation == "vm":  # the host sees the machine's processes only
        wait_until(lambda: len(runtime.ps(bundle, "--format", "json").json) >= 50, 60)
    else:
        wait_until(lambda: len(cgroups.pids(path)) >= 50)

    if verb == "delete --force":
        runtime.delete(bundle, "--force")
    else:
        runtime.kill(bundle, "KILL", *(["--all"] if "all" in verb else []))
        wait_until(lambda: runtime.status(bundle) == "stopped")
        runtime.delete(bundle)
    assert not cgroups.cgroup_dir(path).exists()


@pytest.mark.layouts("v1", "hybrid")
@pytest.mark.parametrize("verb", ["kill", "delete --force", "kill --all"])
@pytest.mark.classes("ns", "vm", caveat="sentry-cgroup-writes")
def test_container_that_freezes_itself_can_be_ended(runtime, bundle, verb):
    """A frozen task of a v1 freezer survives SIGKILL until somebody thaws it, also in a nested cgroup.
    A machine has cgroup v2 alone."""
    inside = runtime.isolation == "vm"
    place, freeze = ("/cg/inner", "1 >/cg/inner/cgroup.freeze") if inside else (
        "/cg/freezer/inner", "FROZEN >/cg/freezer/inner/freezer.state")
    bundle.namespace("cgroup")
    bundle.capabilities("CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE")
    bundle.mount("/cg", "cgroup", "cgroup", ["rw"])
    script = f"mkdir {place}; echo 0 >{place}/cgroup.procs; sleep 1000 & echo ready; echo {freeze}; wait"
    runtime.run_detached(bundle, ["sh", "-c", script])
    runtime.wait_for_output(bundle, "ready")
    if inside:
        wait_until(lambda: "frozen 1" in runtime.exec(bundle, ["cat", "/cg/inner/cgroup.events"]).stdout, 30)
    else:
        inner = cgroups.cgroup_dir(bundle.linux.cgroups_path, "freezer") / "inner/freezer.state"
        wait_until(lambda: "FROZEN" in inner.read_text() or "FREEZING" in inner.read_text())

    if verb == "delete --force":
        runtime.delete(bundle, "--force", timeout_s=20)
    else:
        runtime.kill(bundle, "KILL", *(["--all"] if "all" in verb else []))
        wait_until(lambda: runtime.status(bundle) == "stopped")
        runtime.delete(bundle, timeout_s=20)
