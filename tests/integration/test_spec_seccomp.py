# SPDX-License-Identifier: Apache-2.0
"""linux.seccomp: actions, arguments, errno values, architectures, flags, unknown calls, a listener that answers."""

import contextlib
import errno
import fcntl
import json
import os
import platform
import struct
import threading

import pytest

from lib.console import FdSocket
from lib.runtime import refused

pytestmark = [pytest.mark.classes("ns", "sentry", "vm"),
              pytest.mark.skipif(platform.machine() != "x86_64", reason="numbers of calls: CAVEATS.md#arch")]
WORDING = pytest.mark.beyond("runc", "crun", reason="our wording: the field and what is wrong with it")
NEWER = pytest.mark.beyond("runc", reason="not in 1.1")
UMASK, UNAME, GETPPID, SYSINFO = 95, 63, 110, 99
# What testinit and the last stage of any runtime need.
BASIC = """access arch_prctl brk capget capset chdir close close_range dup dup2 dup3 epoll_create1 epoll_ctl
epoll_pwait epoll_wait execve execveat exit exit_group fchdir fcntl fstat fstatfs futex getcwd getdents64 getpid
getrandom gettid getuid ioctl lseek lstat madvise mmap mprotect munmap nanosleep newfstatat
openat openat2 pipe2 prctl pread64 prlimit64 read readlink readlinkat restart_syscall rseq rt_sigaction
rt_sigprocmask rt_sigreturn sched_getaffinity sched_yield set_robust_list set_tid_address setgid setgroups setuid
sigaltstack stat statfs statx tgkill write writev""".split()


def rule(names, action="SCMP_ACT_ERRNO", errno_ret=None, args=None):
    made = {"names": [names] if isinstance(names, str) else names, "action": action}
    if errno_ret is not None:
        made["errnoRet"] = errno_ret
    if args is not None:
        made["args"] = [{"index": i, "value": v, "op": op, **({"valueTwo": two} if two is not None else {})}
                        for i, v, op, two in args]
    return made


def allow_but(bundle, *rules, **more):
    bundle.linux.seccomp = {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
                            "syscalls": list(rules), **more}


def deny_but(bundle, *rules, **more):
    bundle.linux.seccomp = {"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64"],
                            "syscalls": [rule(BASIC, "SCMP_ACT_ALLOW"), *rules], **more}


def call(runtime, bundle, *numbers):
    """What `testinit syscall` said: "ret N" or "errno NAME"."""
    return runtime.run(bundle, ["testinit", "syscall", *numbers], check=False).stdout.strip()


# ------------------------------------------------------------------------------------------------ actions


@pytest.mark.parametrize("value,name", [(None, "EPERM"), (1, "EPERM"), (38, "ENOSYS"), (95, "EOPNOTSUPP")])
def test_errno_action_returns_its_errno(runtime, bundle, value, name):
    allow_but(bundle, rule("uname", errno_ret=value))

    assert call(runtime, bundle, UNAME, 0) == f"errno {name}"


@pytest.mark.parametrize("action", ["SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_KILL_PROCESS",
                                    "SCMP_ACT_TRAP"])
def test_killing_action_ends_the_program_with_sigsys(runtime, bundle, action):
    allow_but(bundle, rule("getppid", action))

    result = runtime.run(bundle, ["testinit", "syscall", GETPPID], check=False)
    assert result.returncode == 128 + 31 and result.stdout == ""


def test_killing_action_ends_a_child_and_its_parent_sees_it(runtime, bundle):
    allow_but(bundle, rule("sysinfo", "SCMP_ACT_KILL_PROCESS"))

    assert runtime.run(bundle, ["sh", "-c", "testinit syscall 99 0; echo status $?"]).stdout == "status 159\n"


@pytest.mark.parametrize("value", [None, 7])
def test_trace_action_is_enosys_without_a_tracer(runtime, bundle, value):
    allow_but(bundle, rule("uname", "SCMP_ACT_TRACE", errno_ret=value))

    assert call(runtime, bundle, UNAME, 0) == "errno ENOSYS"


@pytest.mark.parametrize("action", ["SCMP_ACT_ALLOW", "SCMP_ACT_LOG"])
def test_allowing_action_lets_the_call_through(runtime, bundle, action):
    deny_but(bundle, rule("umask", action))

    assert call(runtime, bundle, UMASK, 0o22) == "ret 18"
    assert call(runtime, bundle, GETPPID) == "errno EPERM"


@pytest.mark.parametrize("default,outcome", [("SCMP_ACT_ERRNO", "errno EPERM"), ("SCMP_ACT_TRACE", "errno ENOSYS"),
                                             ("SCMP_ACT_KILL_PROCESS", ""), ("SCMP_ACT_TRAP", ""),
                                             ("SCMP_ACT_ALLOW", "ret 0"), ("SCMP_ACT_LOG", "ret 0")])
def test_default_action_is_for_calls_without_a_rule(runtime, bundle, default, outcome):
    deny_but(bundle)
    bundle.linux.seccomp.default_action = default

    assert call(runtime, bundle, GETPPID) == outcome


@pytest.mark.parametrize("value,name", [(1, "EPERM"), (38, "ENOSYS"), (13, "EACCES")])
def test_default_errno_is_that_of_calls_without_a_rule(runtime, bundle, value, name):
    deny_but(bundle, rule("uname", errno_ret=95), defaultErrnoRet=value)

    assert call(runtime, bundle, GETPPID) == f"errno {name}"
    assert call(runtime, bundle, UNAME, 0) == "errno EOPNOTSUPP"


@pytest.mark.beyond("runc", reason="1.1 gives a rule without errnoRet the default's")
def test_default_errno_is_not_that_of_rules(runtime, bundle):
    deny_but(bundle, rule("uname"), defaultErrnoRet=38)

    assert call(runtime, bundle, UNAME, 0) == "errno EPERM"


def test_several_names_share_a_rule_and_several_rules_a_filter(runtime, bundle):
    allow_but(bundle, rule(["uname", "sysinfo"], errno_ret=5), rule(["getppid"], errno_ret=6))

    assert [call(runtime, bundle, n, 0) for n in (UNAME, SYSINFO, GETPPID)] == ["errno EIO", "errno EIO",
                                                                                "errno ENXIO"]


# ---------------------------------------------------------------------------------------------- arguments

@pytest.mark.parametrize("op,blocked", [("SCMP_CMP_NE", [4, 6]), ("SCMP_CMP_LT", [4]), ("SCMP_CMP_LE", [4, 5]),
                                        ("SCMP_CMP_EQ", [5]), ("SCMP_CMP_GE", [5, 6]), ("SCMP_CMP_GT", [6])])
@pytest.mark.parametrize("base", [0, 1 << 32, 0xFFFFFFFF00000000])
def test_operator_compares_64_bits(runtime, bundle, op, blocked, base):
    allow_but(bundle, rule("umask", errno_ret=95, args=[(0, base + 5, op, None)]))

    found = [n for n in (4, 5, 6) if call(runtime, bundle, UMASK, base + n) == "errno EOPNOTSUPP"]
    assert found == blocked


def test_upper_half_of_an_argument_counts(runtime, bundle):
    allow_but(bundle, rule("umask", errno_ret=95, args=[(0, (1 << 32) + 5, "SCMP_CMP_EQ", None)]))

    assert call(runtime, bundle, UMASK, 5).startswith("ret ")
    assert call(runtime, bundle, UMASK, (1 << 32) + 5) == "errno EOPNOTSUPP"


@pytest.mark.parametrize("argument,blocked", [(0b0100, True), (0b1100, True), (0b0101, False), (0b0110, False),
                                              (0b0000, False)])
def test_masked_equality_compares_under_the_mask(runtime, bundle, argument, blocked):
    allow_but(bundle, rule("umask", errno_ret=95, args=[(0, 0b0111, "SCMP_CMP_MASKED_EQ", 0b0100)]))

    assert (call(runtime, bundle, UMASK, argument) == "errno EOPNOTSUPP") == blocked


@pytest.mark.parametrize("index", range(6))
def test_index_names_one_of_six_arguments(runtime, bundle, index):
    allow_but(bundle, rule("umask", errno_ret=95, args=[(index, 5, "SCMP_CMP_EQ", None)]))

    for place in range(6):
        arguments = [5 if i == place else 9 for i in range(6)]
        assert (call(runtime, bundle, UMASK, *arguments) == "errno EOPNOTSUPP") == (place == index)


def test_conditions_of_one_rule_must_all_hold(runtime, bundle):
    allow_but(bundle, rule("umask", errno_ret=95, args=[(0, 5, "SCMP_CMP_EQ", None), (1, 6, "SCMP_CMP_GE", None)]))

    answers = [call(runtime, bundle, UMASK, a, b) == "errno EOPNOTSUPP" for a, b in ((5, 6), (5, 5), (4, 6))]
    assert answers == [True, False, False]


def test_conditions_on_the_same_argument_are_alternatives(runtime, bundle):
    allow_but(bundle, rule("umask", errno_ret=95, args=[(0, 5, "SCMP_CMP_EQ", None), (0, 7, "SCMP_CMP_EQ", None)]))

    answers = [call(runtime, bundle, UMASK, a) == "errno EOPNOTSUPP" for a in (5, 6, 7)]
    assert answers == [True, False, True]


@WORDING
@pytest.mark.parametrize("args,text", [
    ([{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}], "args[0].index"),
    ([{"value": 1, "op": "SCMP_CMP_EQ"}], "args[0].index: missing"),
    ([{"index": 0, "op": "SCMP_CMP_EQ"}], "args[0].value: missing"),
    ([{"index": 0, "value": 1}], "args[0].op: missing"),
    ([{"index": 0, "value": -1, "op": "SCMP_CMP_EQ"}], "args[0].value"),
    ([{"index": 0, "value": 1, "valueTwo": "x", "op": "SCMP_CMP_EQ"}], "args[0].valueTwo"),
    ([{"index": 0, "value": 1, "op": "SCMP_CMP_XX"}], "SCMP_CMP_XX"),
])
def test_malformed_condition_is_refused(runtime, bundle, args, text):
    made = rule("umask")
    made["args"] = args
    allow_but(bundle, made)

    result = runtime.create(bundle, check=False)
    refused(runtime, result, "linux.seccomp")
    assert text in result.stderr


# ------------------------------------------------------------------------- architectures, flags, unknown


def elf32(path):
    """A 32-bit program: uname(2) by int 0x80, exit status is its errno."""
    base, offset = 0x08048000, 84
    code = (b"\xb8\x7a\x00\x00\x00" b"\xbb" + struct.pack("<I", base + 0x800) + b"\xcd\x80" b"\x89\xc3" b"\xf7\xdb"
            b"\xb8\x01\x00\x00\x00" b"\xcd\x80")
    header = b"\x7fELF\x01\x01\x01" + bytes(9) + struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, base + offset, 52, 0, 0, 52,
                                                            32, 1, 0, 0, 0)
    segment = struct.pack("<IIIIIIII", 1, 0, base, base, offset + len(code), 0x1000, 7, 0x1000)
    path.write_bytes(header + segment + code)
    path.chmod(0o755)


@pytest.mark.classes("ns", "vm", caveat="sentry-seccomp-arch")
def test_rules_cover_the_listed_architectures(runtime, bundle):
    elf32(bundle.rootfs / "bin/uname32")
    allow_but(bundle, rule("uname", errno_ret=42), architectures=["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"])

    assert runtime.run(bundle, ["uname32"], check=False).returncode == 42
    assert call(runtime, bundle, UNAME, 0) == "errno ENOMSG"


@pytest.mark.classes("ns", "vm", caveat="sentry-seccomp-arch")
def test_architecture_that_is_not_listed_cannot_call_at_all(runtime, bundle):
    elf32(bundle.rootfs / "bin/uname32")
    allow_but(bundle, rule("uname", errno_ret=42), architectures=["SCMP_ARCH_X86_64"])

    assert runtime.run(bundle, ["uname32"], check=False).returncode == 128 + 31


def test_native_architecture_is_covered_without_being_listed(runtime, bundle):
    allow_but(bundle, rule("uname", errno_ret=42))
    del bundle.linux.seccomp.architectures

    assert call(runtime, bundle, UNAME, 0) == "errno ENOMSG"


@pytest.mark.parametrize("name", ["SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM",
                                  "SCMP_ARCH_PPC64LE", "SCMP_ARCH_MIPSEL64",
                                  pytest.param("SCMP_ARCH_RISCV64", marks=NEWER)])
def test_architecture_of_the_same_byte_order_may_be_listed(runtime, bundle, name):
    allow_but(bundle, rule("uname", errno_ret=42), architectures=["SCMP_ARCH_X86_64", name])

    assert call(runtime, bundle, UNAME, 0) == "errno ENOMSG"


@WORDING
@pytest.mark.parametrize("name", ["SCMP_ARCH_S390X", "SCMP_ARCH_MIPS64", "SCMP_ARCH_PARISC"])
def test_architecture_of_the_other_byte_order_is_refused_by_name(runtime, bundle, name):
    allow_but(bundle, rule("uname", errno_ret=42), architectures=["SCMP_ARCH_X86_64", name])

    result = runtime.create(bundle, check=False)
    refused(runtime, result, "linux.seccomp: add architecture")
    assert name in result.stderr


@NEWER
@pytest.mark.parametrize("flags", [[], ["SECCOMP_FILTER_FLAG_TSYNC"], ["SECCOMP_FILTER_FLAG_LOG"],
                                   ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"],
                                   ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
                                    "SECCOMP_FILTER_FLAG_TSYNC"]])
@pytest.mark.parametrize("privileged", [False, True])
def test_filter_with_flags_is_in_force(runtime, bundle, flags, privileged):
    allow_but(bundle, rule("uname", errno_ret=42), flags=flags)
    bundle.process.no_new_privileges = not privileged

    assert call(runtime, bundle, UNAME, 0) == "errno ENOMSG"
    assert runtime.run(bundle, ["report"]).report["seccomp"] == 2


@WORDING
@pytest.mark.parametrize("field,value,text", [
    ("flags", ["SECCOMP_FILTER_FLAG_X"], "SECCOMP_FILTER_FLAG_X"), ("architectures", ["SCMP_ARCH_VAX"], "SCMP_ARCH_VAX"),
    ("defaultAction", "SCMP_ACT_X", "SCMP_ACT_X"), ("defaultAction", None, "defaultAction"),
    ("defaultErrnoRet", -1, "defaultErrnoRet"), ("flags", "x", "flags"), ("architectures", {}, "architectures"),
    ("syscalls", {}, "syscalls"), ("defaultAction", "SCMP_ACT_NOTIFY", "SCMP_ACT_NOTIFY"),
    ("syscalls", [{"names": ["uname"]}], "action: missing"), ("syscalls", [{"action": "SCMP_ACT_ALLOW"}], "names: missing"),
    ("syscalls", [{"names": [], "action": "SCMP_ACT_ALLOW"}], "names: must not be empty"),
    ("syscalls", [{"names": [""], "action": "SCMP_ACT_ALLOW"}], "names[0]: must not be empty"),
    ("syscalls", [{"names": ["uname"], "action": "SCMP_ACT_X"}], "SCMP_ACT_X"),
    ("syscalls", [{"names": ["uname"], "action": "SCMP_ACT_KILL", "errnoRet": 5}], "errnoRet"),
    ("syscalls", [{"names": ["uname"], "action": "SCMP_ACT_NOTIFY"}], "listenerPath"),
    ("listenerMetadata", "x", "listenerMetadata"), ("listenerPath", 5, "listenerPath"),
])
def test_field_that_cannot_be_is_refused_by_name(runtime, bundle, field, value, text):
    allow_but(bundle, rule("uname"))
    bundle.linux.seccomp[field] = value
    if value is None:
        del bundle.linux.seccomp[field]

    result = runtime.create(bundle, check=False)
    refused(runtime, result, "seccomp")
    assert text in result.stderr


def test_name_that_nobody_knows_is_ignored(runtime, bundle):
    allow_but(bundle, rule(["no_such_call_ever", "uname"], errno_ret=42))

    assert call(runtime, bundle, UNAME, 0) == "errno ENOMSG"


@pytest.mark.beyond("runc", reason="an annotation of crun")
def test_name_that_nobody_knows_is_an_error_where_the_annotation_says_so(runtime, bundle):
    allow_but(bundle, rule(["no_such_call_ever"]))
    bundle.annotations["run.oci.seccomp_fail_unknown_syscall"] = "1"

    result = runtime.create(bundle, check=False)
    assert result.returncode == 1 and "no_such_call_ever" in result.stderr


@pytest.mark.parametrize("number", [452, 462, 463, 470, 511])
def test_calls_newer_than_the_filter_are_enosys_and_older_ones_denied(runtime, bundle, number):
    deny_but(bundle)

    assert call(runtime, bundle, number) == "errno ENOSYS"
    assert call(runtime, bundle, GETPPID) == "errno EPERM"


@pytest.mark.classes("ns", caveat="sentry-seccomp-arch", vm_caveat="vm-kernel")
def test_calls_newer_than_an_allowing_filter_reach_the_kernel(runtime, bundle):
    allow_but(bundle, rule("uname"))

    assert call(runtime, bundle, 457, 0, 0, 0, 0) in ("errno EFAULT", "errno EINVAL")  # statmount(2)


# ------------------------------------------------------------------------------------------------ notify

RECV, SEND = 0xC0502100, 0xC0182101


class Supervisor:
    """Answers the notifications of one descriptor in a thread; answer(number, args) -> (value, errno, flags)."""

    def __init__(self, fd, answer):
        self.fd, self.answer, self.seen = fd, answer, []
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            data = bytearray(80)
            try:
                fcntl.ioctl(self.fd, RECV, data)
            except OSError:
                return
            identity, pid, _, number, _, _, *args = struct.unpack("=QIIiIQ6Q", data)
            self.seen.append((pid, number, args))
            value, code, flags = self.answer(number, args)
            try:
                fcntl.ioctl(self.fd, SEND, struct.pack("=QqiI", identity, value, -code, flags))
            except OSError:
                return


@pytest.fixture
def listener(work_dir):
    server = FdSocket(work_dir / "seccomp.sock")
    yield server
    server.close()


def notify(bundle, listener, *names, **more):
    allow_but(bundle, rule(list(names), "SCMP_ACT_NOTIFY"), listenerPath=listener.path, **more)


def receive(listener):
    fds, data = listener.receive()
    return fds, json.loads(data.rstrip(b"\0\n"))


@pytest.mark.classes("ns", caveat="sentry-seccomp-notify", vm_caveat="vm-descriptors")
def test_listener_gets_the_descriptor_and_the_process_state(runtime, bundle, listener):
    notify(bundle, listener, "getppid", listenerMetadata="opaque { text")
    bundle.annotations["org.example.key"] = "value"
    bundle.process.args = ["sleep", "100"]
    results = []
    thread = threading.Thread(target=lambda: results.append(receive(listener)))
    thread.start()
    runtime.run_detached(bundle)
    thread.join(30)
    fds, state = results[0]

    assert len(fds) == len(state["fds"]) == 1 and state["fds"] == ["seccompFd"]
    assert "seccomp notify" in os.readlink(f"/proc/self/fd/{fds[0]}")
    assert state["metadata"] == "opaque { text" and state["ociVersion"].startswith("1.")
    assert state["pid"] == runtime.state(bundle).pid
    inner = state["state"]
    assert inner["id"] == bundle.id and inner["bundle"] == str(bundle.path) and inner["status"] in ("creating", "created")
    assert inner["pid"] == state["pid"] and inner["annotations"]["org.example.key"] == "value"


def serve_one(listener, answer):
    """Accept one descriptor in the background. Returns a list that will hold (state, Supervisor)."""
    found = []

    def work():
        with contextlib.suppress(OSError):  # nobody came, and the listener is closed
            fds, state = receive(listener)
            found.append((state, Supervisor(fds[0], answer)))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return found, thread


@pytest.mark.classes("ns", caveat="sentry-seccomp-notify", vm_caveat="vm-descriptors")
def test_listener_answers_with_a_value_an_errno_or_lets_the_kernel_go_on(runtime, bundle, listener):
    notify(bundle, listener, "getppid", "umask", "uname")
    answers = {GETPPID: (4711, 0, 0), UNAME: (0, errno.EXDEV, 0), UMASK: (0, 0, 1)}
    found, thread = serve_one(listener, lambda number, args: answers[number])

    out = runtime.run(bundle, ["sh", "-c", "testinit syscall 110; testinit syscall 63 0; "
                                           "testinit syscall 95 7"], check=False).stdout
    thread.join(30)
    assert out.splitlines() == ["ret 4711", "errno EXDEV", "ret 18"]
    calls = [(number, args[0]) for _, number, args in found[0][1].seen]
    assert (UMASK, 7) in calls and (UNAME, 0) in calls


@pytest.mark.classes("ns", caveat="sentry-seccomp-notify", vm_caveat="vm-descriptors")
def test_exec_has_a_listener_of_its_own(runtime, bundle, listener):
    notify(bundle, listener, "getppid", listenerMetadata="m")
    found, thread = serve_one(listener, lambda number, args: (1, 0, 0))
    runtime.run_detached(bundle)
    thread.join(30)

    again, thread = serve_one(listener, lambda number, args: (2, 0, 0))
    assert runtime.exec(bundle, ["testinit", "syscall", GETPPID]).stdout == "ret 2\n"
    thread.join(30)
    assert again[0][0]["pid"] != found[0][0]["pid"] and again[0][0]["state"]["status"] == "running"


def test_container_without_a_notify_rule_does_not_ask_the_listener(runtime, bundle):
    allow_but(bundle, rule("uname"), listenerPath="/run/nowhere.sock")

    assert call(runtime, bundle, UNAME, 0) == "errno EPERM"


@pytest.mark.classes("ns", caveat="sentry-seccomp-notify", vm_caveat="vm-descriptors")
def test_listener_that_is_not_there_is_an_error_that_names_it(runtime, bundle):
    allow_but(bundle, rule("uname", "SCMP_ACT_NOTIFY"), listenerPath="/run/nowhere.sock")

    result = runtime.run(bundle, ["true"], check=False)
    assert result.returncode == 1 and "/run/nowhere.sock" in result.stderr


@pytest.mark.beyond("runc", reason="1.1 does not know it")
@pytest.mark.classes("ns", caveat="sentry-seccomp-notify", vm_caveat="vm-descriptors")
def test_wait_killable_flag_goes_with_a_listener(runtime, bundle, listener):
    notify(bundle, listener, "getppid", flags=["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"])
    found, thread = serve_one(listener, lambda number, args: (3, 0, 0))

    assert call(runtime, bundle, GETPPID) == "ret 3"
    thread.join(30)
    assert found[0][1].seen


@pytest.mark.parametrize("name", ["write", "sendmsg"])
def test_notify_on_calls_that_the_hand_over_needs_is_refused_or_works(runtime, bundle, listener, name):
    notify(bundle, listener, name)
    found, thread = serve_one(listener, lambda number, args: (0, 0, 1))

    result = runtime.run(bundle, ["echo", "ran"], check=False)
    assert result.stdout == "ran\n" or "SCMP_ACT_NOTIFY" in result.stderr
