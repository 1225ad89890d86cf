# SPDX-License-Identifier: Apache-2.0
"""Templates of class vm: made once, kept by a process that can do nothing, found again, gone without a trace."""

import errno
import fcntl
import json
import mmap
import os
import pathlib
import re
import shutil
import signal
import socket
import stat
import subprocess
import time

import pytest

from lib import cgroups, leaks
from lib.faults import Outcome, choose, find_nth
from lib.programs import REPO_DIR
from lib.runtime import wait_until

pytestmark = [pytest.mark.classes("vm"), pytest.mark.beyond("runc", "crun", reason="have no machines"),
              pytest.mark.timeout(600)]
WAIT_S = 60
MAKE_S = 150  # of one machine's start
MEMORY = 96 << 20


class Templates:
    """`caisson template` with settings of its own."""

    def __init__(self, runtime, work_dir, **settings):
        self.runtime, self.directory = runtime, pathlib.Path(runtime.root) / "@templates"
        self.path = work_dir / "caisson.json"
        self.settings = {"vm.memory": "96M", "vm.accel": "tcg", "vm.boot_timeout": "120"}
        self.set(**settings)

    def set(self, **settings):
        self.settings.update({f"vm.{key}": value for key, value in settings.items()})
        self.path.write_text(json.dumps(self.settings))

    def call(self, *args, **options):
        options.setdefault("timeout_s", MAKE_S)
        return self.runtime.call("template", *args, env={"CAISSON_CONFIG": str(self.path)}, **options)

    def start(self, *args, **options):
        return self.runtime.start_call("template", *args, env={"CAISSON_CONFIG": str(self.path)}, **options)

    def create(self, *args):
        return self.call("create", "--format", "json", *args).json

    def list(self):
        return self.call("list", "--format", "json").json

    def status(self, *args):
        return self.call("status", "--format", "json", *args).json

    def receive(self, key):
        """What the holder says and gives: bytes, memory, state."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
            sock.settimeout(WAIT_S)
            sock.connect(str(self.directory / key / "socket"))
            said, fds, _, _ = socket.recv_fds(sock, 16384, 8)
            return said, fds

    def is_empty(self):
        return not self.directory.exists() or os.listdir(self.directory) == []


@pytest.fixture
def templates(runtime, work_dir):
    made = Templates(runtime, work_dir)
    yield made
    for pid in pids_of("caisson-templat"):
        os.kill(pid, signal.SIGCONT)
    made.call("remove", "--all", check=False)


def name_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def pids_of(name):
    return {pid for pid in leaks.processes() if name_of(pid) == name and is_ours(pid)}


def is_ours(pid):
    """Not the one that the whole run shares."""
    return pid not in SHARED


SHARED = set()


@pytest.fixture(autouse=True)
def shared_ones():
    SHARED.clear()
    SHARED.update(pid for pid in leaks.processes() if name_of(pid) == "caisson-templat")


def cgroups_of_templates():
    return {path for path in cgroups.all_cgroups() if "caisson-template-" in str(path)}


def field(pid, name):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith(name + ":"):
            return line.split(":", 1)[1].split()
    return None


def end(pid, number=signal.SIGKILL):
    fd = os.pidfd_open(pid)
    os.kill(pid, number)
    wait_until(lambda: name_of(pid) != "caisson-templat" or field(pid, "State")[0] in "ZX", WAIT_S)
    os.close(fd)


# ---------------------------------------------------------------------------------------- life


def test_a_template_is_made_found_and_removed(templates):
    before = cgroups_of_templates()
    assert templates.list() == [] and templates.status()["template"] is None

    made = templates.create()
    listed, = templates.list()
    assert made["made"] and listed["key"] == made["key"] and listed["state"] == "ready"
    assert listed["memory"] == MEMORY and 1 << 20 < listed["resident"] < MEMORY and listed["deviceState"] > 1000
    assert name_of(listed["pid"]) == "caisson-templat"
    assert templates.status() == {"templates": "off", "directory": str(templates.directory), "key": made["key"],
                                  "template": listed}
    # A second one is the first.
    assert templates.create() == {"key": made["key"], "made": False}
    assert templates.list() == [listed]

    templates.call("remove", made["key"])
    assert templates.list() == [] and templates.is_empty()
    assert name_of(listed["pid"]) != "caisson-templat" and cgroups_of_templates() == before


def test_tables_and_texts_are_for_people(templates):
    key = templates.call("create").stdout.strip()

    header, row = templates.call("list").stdout.splitlines()
    assert header.split() == ["KEY", "STATE", "PID", "MEMORY", "RESIDENT", "CREATED"]
    assert row.split()[:2] == [key, "ready"] and "96.0 MiB" in row
    status = templates.call("status").stdout
    assert "vm.templates  off" in status and key in status and "-machine\nmicrovm," in status


def test_templates_of_several_sizes_live_beside_each_other(templates):
    keys = {templates.create()["key"], templates.create("--memory", "128M")["key"],
            templates.create("--cpus", "2")["key"]}
    assert len(keys) == 3 and {t["key"] for t in templates.list()} == keys
    assert templates.status("--memory", "128M")["template"]["memory"] == 128 << 20

    templates.call("remove", *sorted(keys)[:2])
    assert [t["key"] for t in templates.list()] == sorted(keys)[2:]
    templates.call("remove", "--all")
    assert templates.list() == []


def test_a_template_is_of_the_size_that_a_start_has(runtime, bundle, templates):
    """Machines have whole pieces of 2 MiB, and no more CPUs than the host."""
    templates.set(memory="97M", cpus="1", templates="on")
    templates.create()
    assert [one["memory"] for one in templates.list()] == [98 << 20]

    runtime.run_detached(bundle, env={"CAISSON_CONFIG": str(templates.path)}, timeout_s=MAKE_S)
    assert 'until="restored"' in runtime.call("debug", bundle.id, "metrics").stdout


def test_two_at_once_make_one(templates):
    calls = [templates.start("create", "--format", "json") for _ in range(2)]
    answers = [json.loads(call.finish(timeout_s=MAKE_S)) for call in calls]

    assert answers[0]["key"] == answers[1]["key"] and sorted(a["made"] for a in answers) == [False, True]
    assert len(templates.list()) == 1 and len(pids_of("caisson-templat")) == 1


def test_a_directory_may_serve_several_roots(templates, runtime, work_dir):
    templates.set(template_dir=str(work_dir / "shared"))
    key = templates.create()["key"]
    assert templates.is_empty() and os.listdir(work_dir / "shared") == [key]

    runtime.root = work_dir / "other"
    assert templates.list()[0]["key"] == key and templates.create() == {"key": key, "made": False}


# ------------------------------------------------------------------------------------- the key


@pytest.mark.parametrize("how", ["replaced", "changed", "touched"])
def test_a_changed_image_is_another_key(templates, work_dir, how):
    image = work_dir / "image"
    shutil.copyfile(REPO_DIR / "build/guest/image", image)
    templates.set(image=str(image))
    key = templates.create()["key"]
    assert templates.status()["template"]["key"] == key

    if how == "replaced":
        shutil.copyfile(image, work_dir / "new")
        os.rename(work_dir / "new", image)
    elif how == "changed":
        before = os.stat(image)
        with open(image, "r+b") as file:
            file.seek(-1, os.SEEK_END)
            file.write(b"\0")
        os.utime(image, ns=(before.st_atime_ns, before.st_mtime_ns))
    else:
        os.utime(image)
    status = templates.status()
    assert status["key"] != key and status["template"] is None
    # The old one waits until somebody removes it.
    assert [t["key"] for t in templates.list()] == [key]


@pytest.mark.parametrize("args", [("--memory", "98M"), ("--cpus", "2")])
def test_another_size_is_another_key(templates, args):
    assert templates.status(*args)["key"] != templates.status()["key"]
    assert templates.status("--memory", "96M", "--cpus", "1")["key"] == templates.status()["key"]


# ------------------------------------------------------------------------------------ its cage


def test_the_holder_has_no_rights_and_little_memory(templates):
    templates.create()
    pid = templates.list()[0]["pid"]

    uid = field(pid, "Uid")
    assert len(set(uid + field(pid, "Gid"))) == 1 and int(uid[0]) > 1 << 20 and field(pid, "Groups") == []
    assert all(int(field(pid, f"Cap{name}")[0], 16) == 0 for name in ("Eff", "Prm", "Inh", "Amb", "Bnd"))
    assert field(pid, "NoNewPrivs") == ["1"] and field(pid, "Seccomp") == ["2"] and field(pid, "Threads") == ["1"]
    assert os.listdir(f"/proc/{pid}/root") == [] and os.getsid(pid) == pid

    def held():
        try:
            links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        except FileNotFoundError:  # closed meanwhile
            return []
        return sorted(link.split(":")[0].split("/")[-1] for link in links)

    # The connection of who was answered last may still be open.
    wait_until(lambda: held() == ["@ids", "memfd", "memfd", "socket"], WAIT_S, "what it holds")
    rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    private = sum(int(line.split()[1]) for line in rollup if line.startswith("Private_"))
    assert private < 64  # KiB


def test_the_holder_wakes_up_for_nothing(templates):
    templates.create()
    pid = templates.list()[0]["pid"]

    def woken():
        """How often it has gone to sleep."""
        return field(pid, "voluntary_ctxt_switches")

    # It may still have to see that who was answered last is gone, on a busy host for long: it is no sleeper then.
    wait_until(lambda: field(pid, "State")[0] == "S", WAIT_S, "it sleeps")
    before = woken()
    time.sleep(0.7)
    assert woken() == before
    templates.list()
    wait_until(lambda: woken() != before, WAIT_S, "a question wakes it up")


@pytest.mark.layouts("v1", "hybrid", "v2", controllers=True)
def test_memory_of_a_template_is_its_cgroups(templates):
    templates.create()
    listed, = templates.list()
    name = "memory.current" if cgroups.is_v2() else "memory.usage_in_bytes"
    own, = {path for path in cgroups_of_templates() if listed["key"] in str(path) and
            (pathlib.Path(path) / name).exists()}

    assert int((pathlib.Path(own) / name).read_text()) > listed["resident"] // 2
    assert str(listed["pid"]) in (pathlib.Path(own) / "cgroup.procs").read_text().split()


def test_nobody_writes_what_a_holder_gives(templates):
    key = templates.create()["key"]
    said, fds = templates.receive(key)

    assert said.startswith(b"PMT1") and len(fds) == 2 and os.fstat(fds[0]).st_size == MEMORY
    for fd in fds:
        seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
        assert fcntl.fcntl(fd, fcntl.F_GET_SEALS) & seals == seals
        again = os.open(f"/proc/self/fd/{fd}", os.O_RDWR)  # as QEMU of a clone has it
        for what in (lambda f: os.pwrite(f, b"x", 0), lambda f: os.ftruncate(f, 4096),
                     lambda f: mmap.mmap(f, 4096, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)):
            with pytest.raises(PermissionError):
                what(again)
        os.close(again)
        os.close(fd)


def test_only_root_gets_a_template(templates):
    key = templates.create()["key"]
    path = templates.directory / key / "socket"
    fd = os.open(templates.directory / key, os.O_PATH)
    pid = os.fork()
    if pid == 0:
        # A door that should be closed stands open: the holder itself looks who comes.
        status = 1
        try:
            os.chmod(path, 0o666)
            os.fchdir(os.open(templates.directory / key, os.O_RDONLY))
            os.chmod(".", 0o755)
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            sock.connect("socket")
            said, fds, _, _ = socket.recv_fds(sock, 16384, 8)
            status = 0 if said == b"" and not fds else 2
        finally:
            os._exit(status)
    os.close(fd)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert templates.list()[0]["state"] == "ready"


def test_who_connects_and_says_nothing_keeps_nobody(templates):
    key = templates.create()["key"]
    idle = []
    for _ in range(300):
        # Without a limit, which would make it fail at once when the holder has not come to accept yet.
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.connect(str(templates.directory / key / "socket"))
        idle.append(sock)
    assert templates.list()[0]["state"] == "ready"
    for sock in idle:
        sock.close()


# ------------------------------------------------------------------------------- what goes wrong


def test_a_dead_holder_is_removed_by_list(templates):
    before = cgroups_of_templates()
    key = templates.create()["key"]
    end(templates.list()[0]["pid"])
    assert os.listdir(templates.directory) == [key]

    assert templates.list() == [] and templates.is_empty() and cgroups_of_templates() == before
    assert templates.create() == {"key": key, "made": True}


def test_a_dead_holder_is_replaced_by_create(templates):
    key = templates.create()["key"]
    end(templates.list()[0]["pid"])

    assert templates.create() == {"key": key, "made": True}
    assert [t["state"] for t in templates.list()] == ["ready"]


def test_a_holder_that_does_not_answer_is_told_and_replaced(templates):
    key = templates.create()["key"]
    old = templates.list()[0]["pid"]
    os.kill(old, signal.SIGSTOP)

    listed, = templates.list()
    assert (listed["key"], listed["state"], listed["pid"]) == (key, "silent", old)
    assert templates.create() == {"key": key, "made": True}
    listed, = templates.list()
    assert listed["state"] == "ready" and listed["pid"] != old
    assert pids_of("caisson-templat") == {listed["pid"]}


def test_what_is_no_template_is_no_ones_hang(templates):
    """Somebody listens in its place: silent, then with nonsense."""
    key = templates.status()["key"]
    place = templates.directory / key
    templates.directory.mkdir(mode=0o700, parents=True)
    place.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.bind(str(place / "socket"))
        assert templates.status()["template"] is None  # nobody listens: it is removed
    assert templates.is_empty()


def cpu_ticks(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def limit_descriptors(pid, number):
    """As the process's own user: another one needs a right that root may not have."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    user, group = (int(re.search(rf"^{kind}:\t(\d+)", text, re.M)[1]) for kind in ("Uid", "Gid"))
    subprocess.run(["prlimit", f"--pid={pid}", f"--nofile={number}:"], user=user, group=group, extra_groups=[], check=True)


def test_a_holder_that_gets_no_descriptor_sleeps_until_it_does(templates):
    key = templates.create()["key"]
    pid = templates.status()["template"]["pid"]
    limit_descriptors(pid, 1)  # poll(2) needs it
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as waits:
        waits.settimeout(WAIT_S)
        waits.connect(str(templates.directory / key / "socket"))
        before = cpu_ticks(pid)
        time.sleep(3)
        assert cpu_ticks(pid) - before < 20  # of 300, where it tries and tries
        limit_descriptors(pid, 64)
        assert len(waits.recv(16384)) > 0
    wait_until(lambda: templates.status()["template"]["state"] == "ready", WAIT_S, "it answers others, too")


def qemu_of(call):
    """QEMU below a `template create`, or None."""
    at = [call.pid]
    while at:
        pid = at.pop()
        if name_of(pid).startswith("qemu-system"):
            return pid
        try:
            at += map(int, pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split())
        except OSError:
            pass
    return None


def test_a_killed_create_leaves_no_process(templates):
    before = cgroups_of_templates()
    call = templates.start("create")
    qemu = wait_until(lambda: qemu_of(call), WAIT_S, "QEMU runs")
    call.popen.kill()
    call.wait()

    wait_until(lambda: not name_of(qemu).startswith("qemu"), WAIT_S, "QEMU is gone")
    assert templates.list() == [] and templates.is_empty() and cgroups_of_templates() == before
    assert templates.create()["made"]


def test_a_machine_that_is_killed_is_told(templates):
    before = cgroups_of_templates()
    call = templates.start("create")
    os.kill(wait_until(lambda: qemu_of(call), WAIT_S, "QEMU runs"), signal.SIGKILL)

    assert call.wait(WAIT_S) == 1 and "QEMU was killed by signal 9" in call.errors
    assert templates.is_empty() and cgroups_of_templates() == before and pids_of("caisson-templat") == set()


@pytest.mark.parametrize("key,said", [("kernel", "QEMU said"), ("image", "Kernel panic")])
def test_a_boot_that_fails_is_told_and_leaves_nothing(templates, work_dir, key, said):
    before = cgroups_of_templates()
    (work_dir / "none").write_bytes(b"this is none" * 1000)
    templates.set(**{key: str(work_dir / "none")})

    result = templates.call("create", check=False)
    assert result.returncode == 1 and said in result.stderr and "QEMU ended with status" in result.stderr
    assert templates.is_empty() and cgroups_of_templates() == before


def test_a_boot_that_takes_too_long_is_told(templates, work_dir):
    """In the image is another process 1, which says nothing to anybody."""
    image = work_dir / "initramfs"
    subprocess.run([os.path.join(REPO_DIR, "scripts/make-guest-image"), image, "/bin/busybox"], check=True)
    templates.set(boot_timeout="1", image=str(image))

    result = templates.call("create", check=False)
    assert result.returncode == 1 and "has said nothing for 1000 ms" in result.stderr
    assert templates.is_empty()


@pytest.mark.parametrize("args,said", [
    (("create", "--memory", "1M"), "--memory"), (("create", "--memory", "much"), "--memory"),
    (("create", "--cpus", "65"), "CPUs"), (("create", "it"), "takes no argument"), (("list", "--cpus", "2"), "--cpus"),
    (("remove",), "either keys or --all"), (("remove", "--all", "0123456789abcdef"), "either keys or --all"),
    (("remove", "0123456789abcdef"), "there is no template"), (("remove", "../../etc"), "no template's key"),
    (("list", "--format", "xml"), "format"), (("clone",), "none of create, list, remove, status")])
def test_wrong_words_are_refused(templates, args, said):
    result = templates.call(*args, check=False)

    assert result.returncode == 1 and said in result.stderr and templates.is_empty()


@pytest.mark.parametrize("mode", [0o777, 0o720])
def test_a_directory_that_others_may_write_is_refused(templates, work_dir, mode):
    place = work_dir / "open"
    place.mkdir()
    place.chmod(mode)
    templates.set(template_dir=str(place))

    for verb in ("create", "list", "remove --all"):
        result = templates.call(*verb.split(), check=False)
        assert result.returncode == 1 and "nobody else may write" in result.stderr
    assert os.listdir(place) == [] and stat.S_IMODE(place.stat().st_mode) == mode


def test_a_setting_that_is_none_is_refused(templates):
    templates.set(templates="perhaps")

    result = templates.call("list", check=False)
    assert result.returncode == 1 and "vm.templates" in result.stderr


def test_templates_are_roots(templates):
    result = templates.call("create", check=False,
                            prefix=["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"])
    assert result.returncode == 1 and templates.is_empty()


# ------------------------------------------------------------------------------------- campaigns


@pytest.mark.parametrize("mode", ["kill", "fail"])
def test_create_hit_anywhere_leaves_a_template_or_nothing(templates, runtime, request, mode):
    """Killed before, or failed with ENOMEM at, its n-th system call."""
    before = cgroups_of_templates()

    def make(*words):
        return Outcome(runtime.call("template", "create", check=False, prefix=[find_nth(), *words], timeout_s=MAKE_S,
                                    env={"CAISSON_CONFIG": str(templates.path)}))

    total = make("count").calls
    templates.call("remove", "--all")
    problems = []
    for n in choose(total, 8, request.node.nodeid):
        outcome = make(*(["kill", str(n)] if mode == "kill" else ["fail", str(n), str(errno.ENOMEM)]))
        wait_until(lambda: not pids_of("qemu-system-x86"), WAIT_S, f"n={n}: QEMU is gone")
        listed = templates.list()
        if any(t["state"] != "ready" for t in listed) or len(listed) > 1:
            problems.append(f"n={n}, {outcome}: {listed}")
        if outcome.succeeded and not listed:
            problems.append(f"n={n}, {outcome}: success without a template")
        # One that has not heard that its template is born ends by itself.
        wait_until(lambda wanted=len(listed): len(pids_of("caisson-templat")) == wanted, WAIT_S,
                   f"n={n}, {outcome}: a holder for each of {len(listed)}")
        templates.call("remove", "--all")
        wait_until(lambda: not pids_of("caisson-templat"), WAIT_S, f"n={n}: the holder is gone")
        if not templates.is_empty() or cgroups_of_templates() != before:
            problems.append(f"n={n}, {outcome}: left {list(os.walk(templates.directory))} {cgroups_of_templates() - before}")
    assert not problems, "\n".join(problems)
