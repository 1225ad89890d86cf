# SPDX-License-Identifier: Apache-2.0
"""The host's processes of a sandbox of class sentry: whichever is killed, at whatever moment, everything ends
and the exit is reported; what they may and hold."""

import contextlib
import ctypes
import errno
import os
import pathlib
import re
import signal
import stat
import subprocess
import sys
import time

import pytest

from lib import cgroups, guest
from lib.runtime import wait_until

pytestmark = [pytest.mark.classes("sentry"), pytest.mark.beyond("runc", "crun", reason="have no sentry")]
VICTIMS = ["sentry", "gofer", "zygote"]


def status(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def has_ended(pid):
    """Gone, at whatever moment, or a zombie."""
    try:
        return status(pid)["State"].startswith("Z")
    except (FileNotFoundError, ProcessLookupError):
        return True


def children(pid):
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and status(entry.name)["PPid"] == str(pid):
                found.append(int(entry.name))
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def processes(runtime, bundle):
    sentry = runtime.state(bundle).pid
    names = {status(pid)["Name"]: pid for pid in children(sentry)}
    return {"sentry": sentry, "gofer": names["caisson-gofer"], "zygote": names["caisson-stub"]}


@pytest.fixture
def busy(runtime, bundle):
    """A container whose processes make others all the time."""
    runtime.run_detached(bundle, ["sh", "-c", "sleep 1000 & while :; do /bin/busybox true; done"])
    return bundle


@pytest.mark.parametrize("victim", VICTIMS)
def test_killing_one_process_of_a_sandbox_ends_all(runtime, busy, victim):
    path = busy.linux.cgroups_path
    os.kill(processes(runtime, busy)[victim], signal.SIGKILL)

    runtime.wait_for(busy, "stopped")
    wait_until(lambda: not cgroups.pids(path), what="the cgroup is empty")
    runtime.delete(busy)


@pytest.mark.parametrize("victim", VICTIMS)
def test_the_exit_of_a_killed_sandbox_is_reported(runtime, bundle, victim):
    run = runtime.start_run(bundle, ["sleep", "1000"])
    wait_until(lambda: runtime.status(bundle) == "running")
    os.kill(processes(runtime, bundle)[victim], signal.SIGKILL)

    assert run.wait() == 137


def stubs_of(runtime, bundle, program):
    """Those that have a program of the container's."""
    found = set()
    for pid in guest.stubs_of(runtime.state(bundle).pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # an exec's last one, which has just ended
            if f" {program}\n" in pathlib.Path(f"/proc/{pid}/maps").read_text(encoding="utf-8"):
                found.add(pid)
    return found


def test_killing_a_stub_ends_its_process_alone_though_it_sleeps(runtime, bundle):
    """As the OOM killer does it, which takes the largest, whatever that is doing."""
    runtime.run_detached(bundle)
    first = stubs_of(runtime, bundle, "/bin/testinit")
    shell = runtime.start_exec(bundle, ["sh", "-c", "testinit cat; echo $?"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    shell.stdin.write(b"up\n")
    shell.stdin.flush()
    assert shell.stdout.readline() == b"up\n"
    sleeper, = stubs_of(runtime, bundle, "/bin/testinit") - first

    os.kill(sleeper, signal.SIGKILL)
    assert shell.stdout.readline() == b"137\n"
    assert shell.wait(20) == 0 and runtime.inside(bundle) == {1}
    assert runtime.exec(bundle, ["echo", "alive"]).stdout == "alive\n"


def test_killing_the_stub_of_a_first_process_that_sleeps_ends_the_container(runtime, bundle):
    run = runtime.start_run(bundle, ["sleep", "1000"])
    stub = wait_until(lambda: runtime.status(bundle) == "running" and stubs_of(runtime, bundle, "/bin/testinit")).pop()

    os.kill(stub, signal.SIGKILL)
    assert run.wait(20) == 137


def test_a_killed_waiter_takes_its_process_along(runtime, bundle):
    runtime.run_detached(bundle)
    pid_file = bundle.path / "exec.pid"
    runtime.exec(bundle, ["sleep", "1000"], "-d", "--pid-file", pid_file)
    assert len(runtime.inside(bundle)) == 2

    os.kill(int(pid_file.read_text()), signal.SIGKILL)
    wait_until(lambda: len(runtime.inside(bundle)) == 1)


def test_a_waiter_ends_with_the_sandbox(runtime, bundle):
    runtime.run_detached(bundle)
    pid_file = bundle.path / "exec.pid"
    runtime.exec(bundle, ["sleep", "1000"], "-d", "--pid-file", pid_file)
    waiter = int(pid_file.read_text())

    runtime.kill(bundle, "KILL")
    wait_until(lambda: has_ended(waiter))


def core_limits(pid):
    limits = pathlib.Path(f"/proc/{pid}/limits").read_text(encoding="ascii").splitlines()
    return next(line for line in limits if line.startswith("Max core file size")).split()[4:6]


def test_a_waiter_leaves_no_core(runtime, bundle):
    runtime.run_detached(bundle)
    pid_file = bundle.path / "exec.pid"
    runtime.exec(bundle, ["sleep", "1000"], "-d", "--pid-file", pid_file)
    waiter = int(pid_file.read_text())

    # Its maker has gone before it gives up what it does not need.
    wait_until(lambda: core_limits(waiter) == ["1", "1"], 30)


def test_sentry_gofer_and_stubs_have_no_power_and_ids_of_their_own(runtime, make_bundle):
    owners = []
    for bundle in (make_bundle(), make_bundle()):
        runtime.run_detached(bundle)
        pids = processes(runtime, bundle)
        sentry, gofer, zygote = status(pids["sentry"]), status(pids["gofer"]), status(pids["zygote"])
        owners += [process["Uid"].split()[0] for process in (sentry, gofer, zygote)]
        for stub in (zygote, *map(status, children(pids["zygote"]))):
            assert stub["Uid"].split() == stub["Gid"].split() == [owners[-1]] * 4
            assert int(stub["CapEff"], 16) | int(stub["CapPrm"], 16) | int(stub["CapAmb"], 16) == 0
            assert stub["NoNewPrivs"] == "1" and stub["Groups"].strip() == ""
        for process, capabilities in ((sentry, 0), (gofer, 0b11011)):  # CHOWN, DAC_OVERRIDE, FOWNER, FSETID
            assert int(process["CapEff"], 16) == int(process["CapPrm"], 16) == capabilities
            assert int(process["CapBnd"], 16) | int(process["CapAmb"], 16) == 0
            assert process["NoNewPrivs"] == "1" and process["Seccomp"] == "2"
            assert process["Groups"].strip() == ""
    assert len(set(owners)) == 6 and all(int(owner) > 1 << 20 for owner in owners)


# A process with the user, the group and the user namespace of a stub and no filter: what does it reach?
AS_A_STUB = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
zygote, *targets = map(int, sys.argv[1:])
assert libc.setns(os.open(f"/proc/{zygote}/ns/user", os.O_RDONLY), 0x10000000) == 0
os.setgroups([]), os.setresgid(1, 1, 1), os.setresuid(1, 1, 1)
assert libc.capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()) == 0
page = ctypes.create_string_buffer(8)
local = (ctypes.c_void_p * 2)(ctypes.addressof(page), 8)
remote = (ctypes.c_void_p * 2)(0x7f8000000000, 8)
for pid in targets:
    for name, call in (("ptrace", lambda: libc.ptrace(0x4206, pid, None, None)),
                       ("read", lambda: libc.process_vm_readv(pid, local, 1, remote, 1, 0)),
                       ("write", lambda: libc.process_vm_writev(pid, local, 1, remote, 1, 0)),
                       ("kill", lambda: libc.kill(pid, 0)),
                       ("affinity", lambda: libc.sched_setaffinity(pid, 8, page))):
        ctypes.set_errno(0)
        print(pid, name, call() >= 0 or os.strerror(ctypes.get_errno()))
"""


def test_a_stub_without_its_filter_reaches_nobody(runtime, make_bundle):
    own, other = make_bundle(), make_bundle()
    for bundle in (own, other):
        runtime.run_detached(bundle)
    pids, others = processes(runtime, own), processes(runtime, other)
    siblings = children(pids["zygote"])
    foreign = [pids["sentry"], pids["gofer"], *others.values(), *children(others["zygote"]), os.getpid()]

    done = subprocess.run([sys.executable, "-c", AS_A_STUB, *map(str, [pids["zygote"], *foreign, *siblings])],
                          capture_output=True, text=True, check=True, timeout=60)
    found = {tuple(line.split(" ", 2)[:2]): line.split(" ", 2)[2] for line in done.stdout.splitlines()}
    for pid in foreign:
        for call in ("ptrace", "read", "write", "kill", "affinity"):
            assert found[str(pid), call] == "Operation not permitted", (pid, call)
    # Who has its number and its user may end a sibling: the filter alone keeps that.
    for pid in siblings:
        for call in ("ptrace", "read", "write"):
            assert found[str(pid), call] == "Operation not permitted", (pid, call)


O_PATH, O_DIRECTORY = 0o10000000, 0o200000


def descriptors(pid):
    """[(number, what it leads to, its flags)]"""
    found = []
    for fd in sorted(map(int, os.listdir(f"/proc/{pid}/fd"))):
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            info = pathlib.Path(f"/proc/{pid}/fdinfo/{fd}").read_text(encoding="ascii")
            flags = int(next(line for line in info.splitlines() if line.startswith("flags:")).split()[1], 8)
            found.append((fd, os.readlink(f"/proc/{pid}/fd/{fd}"), flags))
    return found


def audit(runtime, bundle):
    """What each process of the sandbox holds is what it needs. The number of the sentry's."""
    pids = processes(runtime, bundle)
    held = {name: descriptors(pid) for name, pid in pids.items()}
    own = re.compile(r"(/dev)?/null$|socket:|pipe:|anon_inode:(\[(signalfd|eventpoll|eventfd|pidfd)\]|seccomp notify)$|/memfd:")
    for fd, what, flags in held["sentry"]:
        assert not flags & (O_PATH | O_DIRECTORY), (fd, what)
        if not own.match(what):
            mode = os.stat(f"/proc/{pids['sentry']}/fd/{fd}").st_mode if os.path.exists(f"/proc/{pids['sentry']}/fd/{fd}") else 0
            assert stat.S_ISREG(mode) or mode == 0 or fd < 20, (fd, what)
    for fd, what, flags in held["gofer"]:
        assert flags & O_PATH or what.startswith("socket:"), (fd, what)
    assert [what.split(":")[0] for _, what, _ in held["zygote"]] == ["socket"]
    for stub in children(pids["zygote"]):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # that of a process which has just ended
            assert {(fd, what) for fd, what, _ in descriptors(stub)} <= {
                (16, "anon_inode:[eventfd]"), (19, "anon_inode:[landlock-ruleset]")}, stub
    return len(held["sentry"])


def test_descriptors_are_few_and_do_not_grow(runtime, bundle):
    mark = "/tmp/forks-are-done"
    script = f"""read x </dev/null; sleep 1000 & i=0
        while [ $i -lt 1000 ]; do /bin/busybox true; i=$((i+1)); done; echo $i >{mark}; wait"""
    runtime.run_detached(bundle, ["sleep", "1000"])
    before = audit(runtime, bundle)
    runtime.exec(bundle, ["sh", "-c", script], "-d", "--pid-file", bundle.path / "exec.pid")
    wait_until(lambda: runtime.exec(bundle, ["cat", mark], check=False).stdout == "1000\n", 120)

    # 16 files of slots and eight descriptors of the dead are kept, some files of the image are open.
    wait_until(lambda: audit(runtime, bundle) <= before + 50, 30)


@pytest.mark.parametrize("overlay", ["none", "root:self", "root:memory"])
def test_a_root_that_nothing_is_written_to_cannot_be_written(runtime, bundle, overlay):
    runtime.run_detached(bundle, ["sleep", "1000"], global_flags=("--overlay", overlay))
    gofer = processes(runtime, bundle)["gofer"]
    root = os.stat(bundle.rootfs.path)
    held = [f"/proc/{gofer}/fd/{name}" for name in os.listdir(f"/proc/{gofer}/fd")]
    of_root = [path for path in held if os.path.samestat(os.stat(path), root)]
    assert of_root
    for path in of_root:
        assert bool(os.statvfs(path).f_flag & os.ST_RDONLY) is (overlay == "root:memory")


def test_sentry_and_gofer_see_an_empty_root_and_leave_no_core(runtime, bundle):
    runtime.run_detached(bundle)

    for name, pid in processes(runtime, bundle).items():
        if name == "zygote":
            continue
        assert os.listdir(f"/proc/{pid}/root") == [], name
        assert core_limits(pid) == ["1", "1"], name
        assert os.stat(f"/proc/{pid}/mem").st_uid == 0, "not dumpable: its files are root's"


READERS = """
import ctypes, mmap, os, time
fd = os.open("/tmp/file", os.O_RDWR | os.O_CREAT)
os.ftruncate(fd, 8192)
reader = mmap.mmap(os.open("/tmp/file", os.O_RDONLY), 8192, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ)
writer = mmap.mmap(fd, 8192, flags=mmap.MAP_SHARED)
libc = ctypes.CDLL(None)
libc.shmat.restype = ctypes.c_void_p
libc.shmat(libc.shmget(0, 16384, 0o1600), None, 0o10000)
writer[0:5] = b"hello"
print(reader[0:5].decode(), flush=True)
time.sleep(1000)
"""


def shared_memory(pid):
    """{(name, size in KiB): flags} of mappings of memory files by a stub, its own areas left out."""
    found, what = {}, None
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8").splitlines():
        words = line.split()
        if re.match("[0-9a-f]+-[0-9a-f]+ ", line):
            what = words[5] if len(words) > 5 else ""
            inside = not what.startswith("/memfd:stub")
        elif words[0] == "Size:":
            size = int(words[1])
        elif words[0] == "VmFlags:" and inside and what.startswith("/memfd:"):
            found.setdefault((what, size), []).append(words[1:])
    return found


def test_what_a_guest_maps_to_read_its_stub_cannot_write(runtime):
    reader = runtime.start_call("do", "--", "/usr/bin/python3", "-c", READERS)
    assert reader.read_line() == "hello"

    stubs = [stub for sentry in children(reader.popen.pid) for zygote in children(sentry) for stub in children(zygote)]
    flags = {}
    for stub in stubs:
        flags.update(shared_memory(stub))
    # Once to read and once to write; the segment to read alone. "mw": may be made writable (proc(5)).
    assert sorted("mw" in of for of in flags["/memfd:tmpfs", 8]) == [False, True]
    assert ["mw" in of for of in flags["/memfd:shm", 16]] == [False]
    reader.kill()


def test_namespaces_are_none_of_the_hosts(runtime, bundle):
    runtime.run_detached(bundle)
    pids = processes(runtime, bundle)

    for kind in ("pid", "mnt", "ipc", "uts", "net"):
        own = os.readlink(f"/proc/self/ns/{kind}")
        assert os.readlink(f"/proc/{pids['sentry']}/ns/{kind}") != own, kind
    assert os.readlink(f"/proc/{pids['zygote']}/ns/user") != os.readlink("/proc/self/ns/user")
    assert os.readlink(f"/proc/{pids['zygote']}/ns/pid") != os.readlink(f"/proc/{pids['sentry']}/ns/pid")


def test_the_sentrys_list_is_short_and_every_line_has_a_reason():
    path = pathlib.Path(__file__).parents[2] / "seccomp/sentry.list"
    lines = [line for line in path.read_text(encoding="ascii").splitlines() if line and line[0] not in "#@"]
    names = {line.split()[0] for line in lines}

    assert len(names) <= 50
    assert all(line.split("#", 1)[1].strip() for line in lines)
    assert not names & {"open", "openat", "openat2", "socket", "execve", "execveat", "clone", "clone3", "fork", "vfork",
                        "ptrace", "prctl", "seccomp", "mount", "setns", "unshare", "io_uring_setup", "pidfd_getfd"}


def test_check_prints_every_list_with_its_reasons(runtime):
    printed = runtime.call("check", "--seccomp").stdout.splitlines()
    lists = pathlib.Path(__file__).parents[2] / "seccomp"

    for path in lists.iterdir():
        at = printed.index(f"== {path.name}") + 1
        lines = path.read_text(encoding="ascii").splitlines()
        assert printed[at:at + len(lines)] == lines
    assert sum(line.startswith("== ") for line in printed) == len(list(lists.iterdir())) > 0


PR_SCHED_CORE, GET, SCOPE_THREAD = 62, 0, 0


def core_cookie(pid):
    """Of core scheduling, prctl(2); -1: no such thing on this host."""
    libc, value = ctypes.CDLL(None, use_errno=True), ctypes.c_uint64()
    return -1 if libc.prctl(PR_SCHED_CORE, GET, pid, SCOPE_THREAD, ctypes.byref(value)) else value.value


def test_core_isolation_is_a_cookie_of_the_sandbox_or_an_error(runtime, make_bundle):
    flags = ["--cpu-isolation=core"]
    bundles = [make_bundle(), make_bundle()]
    if core_cookie(0) < 0:
        result = runtime.run(bundles[0], ["true"], check=False, global_flags=flags)
        assert ctypes.get_errno() == errno.ENODEV and result.returncode == 0 or \
            "--cpu-isolation=core: the host's kernel has no core scheduling (CONFIG_SCHED_CORE)" in result.stderr
        pytest.skip("CAVEATS.md#sentry-core-scheduling")
    cookies = []
    for bundle in bundles:
        runtime.run_detached(bundle, global_flags=flags)
        cookies.append({core_cookie(pid) for pid in cgroups.pids(bundle.linux.cgroups_path)})
    assert all(len(of) == 1 and of != {0} for of in cookies) and cookies[0] != cookies[1]
    assert core_cookie(0) not in cookies[0]


# Where the zygote's stacks are (src/sentry/platform/systrap/abi.h), seen from the top of the addresses; the kernel
# leaves a guard of 1 MiB above its mappings (mmap_base()).
STACKS_BELOW_THE_TOP = 0x7FFFFFFFF000 - 0x7F8001800000 - (1 << 20)


def test_a_vdso_where_stubs_have_their_areas_goes_out_of_the_way(runtime, bundle):
    # Without random addresses the stack's limit says where the first mapping of a program goes: newer kernels put
    # the vdso there. With them it is there once in 60,000 starts.
    prefix = ["setarch", "-R", "prlimit", f"--stack={STACKS_BELOW_THE_TOP}:unlimited"]
    assert runtime.run(bundle, ["echo", "runs"], prefix=prefix).stdout == "runs\n"
