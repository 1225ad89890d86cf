# SPDX-License-Identifier: Apache-2.0
"""What the host's processes of a machine are, read from /proc: two machines share nothing that one of them could
reach the other by. (What QEMU's cage refuses to who is in it: tests/qemu/test_cage.c.)"""

import os
import pathlib

import pytest

from lib.runtime import wait_until

pytestmark = [pytest.mark.classes("vm"), pytest.mark.beyond("runc", "crun", reason="have no machines")]
WAIT_S = 30
SPACES = ["ipc", "mnt", "net", "pid"]


def status(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def processes(runtime, bundle):
    """{name: pid} of the supervisor, its children and theirs."""
    found, left = {}, [runtime.state(bundle).pid]
    while left:
        pid = left.pop()
        found[status(pid)["Name"]] = pid
        left += map(int, pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split())
    return found


def spaces(pid):
    return {name: os.readlink(f"/proc/{pid}/ns/{name}") for name in SPACES}


def limits(pid):
    lines = pathlib.Path(f"/proc/{pid}/limits").read_text(encoding="ascii").splitlines()[1:]
    return {line[:26].strip(): line[26:].split()[:2] for line in lines}


def test_qemu_is_in_its_cage(runtime, bundle):
    bundle.process.oom_score_adj = 300
    runtime.run_detached(bundle)
    pids = processes(runtime, bundle)
    qemu, mine = pids["qemu-system-x86"], status(pids["qemu-system-x86"])

    assert all(int(mine[name], 16) == 0 for name in ("CapEff", "CapPrm", "CapInh", "CapAmb", "CapBnd"))
    assert (mine["NoNewPrivs"], mine["Seccomp"], mine["Seccomp_filters"]) == ("1", "2", "4")
    assert limits(qemu)["Max core file size"] == ["1", "1"]
    assert int(limits(qemu)["Max open files"][1]) <= 4095
    assert int(pathlib.Path(f"/proc/{qemu}/oom_score_adj").read_text(encoding="ascii")) == 300
    devices = pathlib.Path(f"/proc/{qemu}/net/dev").read_text(encoding="ascii").splitlines()[2:]
    assert [line.split(":")[0].strip() for line in devices] == ["lo"]
    assert set(os.listdir(f"/proc/{qemu}/root")) <= {"dev", "etc", "image", "kernel", "lib", "lib64", "usr"}
    assert os.listdir(f"/proc/{qemu}/root/dev") == ["null"]
    assert not os.access(f"/proc/{qemu}/root/proc", os.F_OK)
    words = pathlib.Path(f"/proc/{qemu}/cmdline").read_bytes().split(b"\0")
    assert pathlib.Path(f"/proc/{qemu}/environ").read_bytes() == b"MALLOC_ARENA_MAX=1\0"
    assert any(b"mem-merge=off" in word for word in words) and any(b"-svm" in word for word in words)


def test_nested_virtualisation_is_there_when_it_is_asked_for(runtime, bundle, work_dir):
    config = work_dir / "caisson.json"
    config.write_text('{"allowed_annotations": ["io.caisson.vm.*"]}')
    bundle.annotations["io.caisson.vm.nested"] = "true"

    flags = runtime.run(bundle, ["grep", "-m1", "flags", "/proc/cpuinfo"], env={"CAISSON_CONFIG": str(config)}).stdout
    assert " svm " in flags or " vmx " in flags


def test_nested_virtualisation_is_not_there_by_itself(runtime, bundle):
    flags = runtime.run(bundle, ["grep", "-m1", "flags", "/proc/cpuinfo"]).stdout.split()
    assert "fpu" in flags and "svm" not in flags and "vmx" not in flags


def test_two_machines_have_nothing_in_common(runtime, bundle, make_bundle):
    other = make_bundle()
    for each in (bundle, other):
        runtime.run_detached(each)
    ours, theirs = processes(runtime, bundle), processes(runtime, other)

    # virtiofsd 1.x makes its namespaces as root alone: CAVEATS.md#vm-files-root
    for name in ("caisson-vm", "qemu-system-x86", *(() if os.path.exists("/usr/libexec/virtiofsd") else ("virtiofsd",))):
        assert status(ours[name])["Uid"] != status(theirs[name])["Uid"]
        assert status(ours[name])["Gid"] != status(theirs[name])["Gid"]
    mine, others = (set().union(*(set(spaces(pid).values()) for pid in each.values())) for each in (ours, theirs))
    hosts = set(spaces("self").values())
    assert not mine & others and not mine & hosts


def test_virtiofsd_is_in_its_cage(runtime, bundle):
    runtime.run_detached(bundle)
    pids = processes(runtime, bundle)
    files = pids["virtiofsd"]
    children = pathlib.Path(f"/proc/{files}/task/{files}/children").read_text(encoding="ascii").split()
    server = int(children[0]) if children else files
    mine = status(server)

    # CHOWN, DAC_OVERRIDE, FOWNER, FSETID, SETGID, SETUID, SETFCAP: no SYS_ADMIN, SYS_PTRACE, MKNOD, KILL, NET.
    allowed = sum(1 << bit for bit in (0, 1, 3, 4, 6, 7, 31))
    assert int(mine["CapEff"], 16) & ~allowed == 0 and int(mine["CapPrm"], 16) & ~allowed == 0
    assert (mine["NoNewPrivs"], mine["Seccomp"]) == ("1", "2")
    assert limits(server)["Max core file size"] == ["1", "1"]
    # Its root directory is the share: no program, no socket, no /proc of the host's.
    assert not {"proc", "sys", "dev", "usr"} & set(os.listdir(f"/proc/{server}/root"))
    devices = pathlib.Path(f"/proc/{server}/net/dev").read_text(encoding="ascii").splitlines()[2:]
    assert [line.split(":")[0].strip() for line in devices] == ["lo"]
    assert spaces(server)["pid"] != spaces(pids["caisson-vm"])["pid"]


def test_qemu_goes_with_its_supervisor(runtime, bundle):
    runtime.run_detached(bundle)
    qemu = processes(runtime, bundle)["qemu-system-x86"]
    runtime.kill(bundle, "KILL")

    wait_until(lambda: not pathlib.Path(f"/proc/{qemu}").exists(), WAIT_S)
