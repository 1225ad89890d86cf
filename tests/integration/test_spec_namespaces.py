# SPDX-License-Identifier: Apache-2.0
"""linux.namespaces: new, joined, shared with the runtime, or refused; the clocks of a time namespace."""

import ctypes
import os
import socket
import time

import pytest

from lib import seen
from lib.runtime import refused

pytestmark = pytest.mark.classes("ns", "sentry", "vm")
NO_TIME = pytest.mark.beyond("runc", reason="time namespaces came with 1.2")
WORDING = pytest.mark.beyond("runc", "crun", reason="our wording: the field and what is wrong with it")
NO_MAPS = pytest.mark.beyond("runc", reason="1.1 asks for mappings even where a user namespace is joined")
# What of these class sentry keeps to itself: a sandbox has its own, and joins none.
NOT_VM = pytest.mark.classes("ns", "sentry", caveat="vm-namespaces")
NO_CLOCKS = pytest.mark.classes("ns", "sentry", caveat="vm-clocks")
OWN = pytest.mark.classes("ns", caveat="sentry-namespaces", vm_caveat="vm-namespaces")
EVERY = ["pid", "network", "ipc", "uts", "mount", "cgroup", "user", pytest.param("time", marks=NO_TIME)]
# A container without a mount namespace is refused: CAVEATS.md#ns-mountns.
SHARED = ["pid", "network", "ipc", "uts", "cgroup", "user", "time"]


def own(*kinds):
    return [pytest.param(kind, marks=OWN) for kind in kinds]


def add(bundle, kind, path=None):
    if kind == "user" and path is None:
        bundle.user_namespace()
    else:
        bundle.namespace(kind, path)


@pytest.mark.classes("ns", caveat="sentry-namespaces", vm_caveat="vm-namespaces")
def test_config_without_namespaces_but_mount_shares_them_all(runtime, bundle):
    bundle.linux.namespaces = [{"type": "mount"}]
    del bundle.node.hostname

    report = runtime.run(bundle, ["report"]).report
    assert all(seen.namespace_in(report, k) == seen.namespace(k) for k in SHARED)
    assert seen.namespace_in(report, "mount") != seen.namespace("mount")


@pytest.mark.parametrize("kind", EVERY)
def test_new_namespace_is_not_the_runtimes(runtime, bundle, kind):
    add(bundle, kind)

    report = runtime.run(bundle, ["report"]).report
    assert seen.namespace_in(report, kind).startswith(seen.NAMESPACE_LINKS.get(kind, kind))
    assert seen.namespace_in(report, kind) != seen.namespace(kind)


@pytest.mark.parametrize("kind", ["user", "time", *own("pid", "network", "ipc", "uts", "cgroup")])
def test_namespace_that_is_not_listed_is_the_runtimes(runtime, bundle, kind):
    bundle.drop_namespace(kind)
    if kind == "uts":
        del bundle.node.hostname

    report = runtime.run(bundle, ["report"]).report
    assert seen.namespace_in(report, kind) == seen.namespace(kind)


@pytest.mark.parametrize("kind", [*own("pid", "network", "ipc", "uts", "cgroup"),
                                  pytest.param("user", marks=[NO_MAPS, OWN]), pytest.param("time", marks=[NO_TIME, NOT_VM])])
def test_namespace_with_a_path_is_joined(runtime, bundle, make_bundle, kind):
    add(bundle, kind)
    runtime.run_detached(bundle)
    pid = runtime.state(bundle).pid
    other = make_bundle("joins")
    add(other, kind, seen.namespace_path(kind, pid))
    if kind == "uts":
        del other.node.hostname
    if kind == "user":
        # Without the other namespaces of that user there is little that its root may do.
        for inner in ("pid", "ipc", "uts", "network"):
            other.namespace(inner, seen.namespace_path(inner, pid))
        del other.node.hostname

    report = runtime.run(other, ["report"]).report
    assert seen.namespace_in(report, kind) == seen.namespace(kind, pid)
    assert seen.namespace_in(report, "mount") not in (seen.namespace("mount"),
                                                      seen.namespace("mount", pid))


@pytest.mark.classes("ns", caveat="sentry-namespaces", vm_caveat="vm-namespaces")
def test_joined_pid_namespace_shows_its_processes_and_takes_no_number_1(runtime, bundle, make_bundle):
    runtime.run_detached(bundle)
    other = make_bundle("joins")
    other.namespace("pid", seen.namespace_path("pid", runtime.state(bundle).pid))

    report = runtime.run(other, ["report"]).report
    assert report["pid"] > 1


@NOT_VM
def test_bound_file_is_a_path_too(runtime, bundle, work_dir):
    libc = ctypes.CDLL(None, use_errno=True)
    pinned = work_dir / "uts"
    pinned.touch()
    child = os.fork()
    if child == 0:
        libc.unshare(0x04000000)
        socket.sethostname("pinned")
        target = f"/proc/{os.getpid()}/ns/uts".encode()
        os._exit(1 if libc.mount(target, str(pinned).encode(), None, ctypes.c_ulong(4096), None) else 0)
    assert os.waitpid(child, 0)[1] == 0
    try:
        bundle.namespace("uts", pinned)
        del bundle.node.hostname
        assert runtime.run(bundle, ["report"]).report["hostname"] == "pinned"
    finally:
        libc.umount2(str(pinned).encode(), 2)


@pytest.mark.parametrize("kind,path", [("network", "/proc/self/ns/uts"), ("pid", "/proc/self/ns/net"),
                                       ("uts", "/proc/self/ns/ipc"), ("ipc", "/dev/null"),
                                       ("cgroup", "/proc/self/ns/mnt"), ("time", "/proc/self/ns/pid"),
                                       ("user", "/proc/self/ns/net"), ("mount", "/proc/self/ns/net")])
@WORDING
def test_path_of_another_kind_is_refused(runtime, bundle, kind, path):
    bundle.namespace(kind, path)
    del bundle.node.hostname

    refused(runtime, runtime.create(bundle, check=False), f"{path} is not a {kind} namespace")


@WORDING
def test_path_that_does_not_exist_is_named(runtime, bundle):
    bundle.namespace("network", "/run/nowhere")

    refused(runtime, runtime.create(bundle, check=False),
            "linux.namespaces: open network namespace /run/nowhere: No such file or directory")


@pytest.mark.parametrize("entry,text", [
    ({"type": "network", "path": "proc/self/ns/net"}, 'linux.namespaces[5].path: "proc/self/ns/net" is not'),
    ({"type": "uts"}, 'linux.namespaces[5]: namespace "uts" is given twice'),
    ({"type": "galaxy"}, 'linux.namespaces[5].type: unknown value "galaxy"'),
    ({}, "linux.namespaces[5].type: missing"),
])
@WORDING
def test_malformed_entry_is_refused(runtime, bundle, entry, text):
    if entry.get("type") == "network":
        bundle.drop_namespace("network")
        text = text.replace("[5]", "[4]")
    bundle.linux.namespaces.append(entry)

    refused(runtime, runtime.create(bundle, check=False), text)


# ------------------------------------------------------------------------------ what each one separates


def test_network_namespace_has_only_a_loopback_that_is_up(runtime, bundle):
    lines = runtime.run(bundle, ["ip", "-o", "link"]).stdout.splitlines()

    assert len(lines) == 1 and " lo: " in lines[0] and "UP" in lines[0]


@pytest.mark.classes("ns", caveat="sentry-namespaces", vm_caveat="vm-namespaces")
def test_connection_to_the_hosts_port_fails_in_a_network_namespace(runtime, make_bundle):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        inside, shared = make_bundle("own"), make_bundle("shared")
        shared.drop_namespace("network")
        assert runtime.run(shared, ["testinit", "tcp", "127.0.0.1", port]).stdout == "ok\n"
        refusal = runtime.run(inside, ["testinit", "tcp", "127.0.0.1", port], check=False)
    assert refusal.stdout == "errno ECONNREFUSED\n"


@pytest.mark.classes("ns", caveat="sentry-namespaces", vm_caveat="vm-namespaces")
def test_shared_memory_of_the_host_is_not_in_a_new_ipc_namespace(runtime, make_bundle):
    libc = ctypes.CDLL(None, use_errno=True)
    segment = libc.shmget(0x0CA15508, 4096, 0o1600)
    assert segment >= 0
    try:
        inside, shared = make_bundle("own"), make_bundle("shared")
        shared.drop_namespace("ipc")
        assert str(0x0CA15508) in runtime.run(shared, ["cat", "/proc/sysvipc/shm"]).stdout
        assert str(0x0CA15508) not in runtime.run(inside, ["cat", "/proc/sysvipc/shm"]).stdout
    finally:
        libc.shmctl(segment, 0, None)


def test_name_changed_inside_a_uts_namespace_stays_there(runtime, bundle):
    bundle.capabilities("CAP_SYS_ADMIN")
    before = socket.gethostname()

    out = runtime.run(bundle, ["sh", "-c", "hostname other && hostname"]).stdout
    assert out == "other\n" and socket.gethostname() == before


@pytest.mark.classes("ns", caveat="sentry-namespaces", vm_caveat="vm-namespaces")
def test_cgroup_namespace_makes_the_containers_cgroup_the_root(runtime, bundle, make_bundle):
    bundle.namespace("cgroup")
    inside = runtime.run(bundle, ["report"]).report["cgroup"].splitlines()
    other = make_bundle("shared")
    shared = runtime.run(other, ["report"]).report["cgroup"].splitlines()

    assert inside and all(line.split(":", 2)[2] == "/" for line in inside)
    assert any(line.endswith(f"/{other.id}") for line in shared)


# ----------------------------------------------------------------------------------------------- time


def clock_before(runtime, clock):
    """Without an offset: the host's, or at the earliest that of a machine which begins to run."""
    return 0 if runtime.isolation == "vm" else time.clock_gettime(clock)


@NO_TIME
def test_time_offsets_move_the_two_clocks(runtime, bundle):
    bundle.namespace("time")
    bundle.linux.time_offsets.monotonic.secs = 7200
    bundle.linux.time_offsets.boottime.secs = 864000

    before = (clock_before(runtime, time.CLOCK_MONOTONIC), clock_before(runtime, time.CLOCK_BOOTTIME))
    report = runtime.run(bundle, ["report"]).report
    assert 7199 <= report["monotonic_s"] - before[0] <= 7260
    assert 863999 <= report["boottime_s"] - before[1] <= 864060


@NO_TIME
@pytest.mark.parametrize("clock", ["monotonic", "boottime"])
def test_time_offsets_are_written_to_the_nanosecond(runtime, bundle, clock):
    bundle.namespace("time")
    offset = getattr(bundle.linux.time_offsets, clock)
    offset.secs, offset.nanosecs = 3, 123456789

    lines = runtime.run(bundle, ["cat", "/proc/self/timens_offsets"]).stdout.splitlines()
    values = {line.split()[0]: [int(v) for v in line.split()[1:]] for line in lines}
    other = "boottime" if clock == "monotonic" else "monotonic"
    assert values == {clock: [3, 123456789], other: [0, 0]}


@NO_TIME
@NO_CLOCKS
def test_time_offset_may_be_negative(runtime, bundle):
    bundle.namespace("time")
    bundle.linux.time_offsets.monotonic.secs = -5

    before = time.clock_gettime(time.CLOCK_MONOTONIC)
    report = runtime.run(bundle, ["report"]).report
    assert -6.5 <= report["monotonic_s"] - before <= -2


@NO_TIME
@WORDING
def test_time_offset_before_the_boot_is_an_error_that_names_it(runtime, bundle):
    bundle.namespace("time")
    bundle.linux.time_offsets.monotonic.secs = -int(time.clock_gettime(time.CLOCK_MONOTONIC)) - 100000

    refused(runtime, runtime.create(bundle, check=False), "linux.timeOffsets.monotonic")


@NO_TIME
def test_exec_sees_the_moved_clock(runtime, bundle):
    bundle.namespace("time")
    bundle.linux.time_offsets.monotonic.secs = 7200
    runtime.run_detached(bundle)

    now = clock_before(runtime, time.CLOCK_MONOTONIC)
    assert runtime.exec(bundle, ["report"]).report["monotonic_s"] - now > 7190


@pytest.mark.parametrize("offsets,namespace,text", [
    ({"monotonic": {"secs": 1}}, False, "linux.timeOffsets: needs a time namespace"),
    ({"monotonic": {"nanosecs": 1000000000}}, True, "linux.timeOffsets.monotonic.nanosecs"),
    ({"boottime": {"nanosecs": -1}}, True, "linux.timeOffsets.boottime.nanosecs"),
    ({"boottime": {"secs": "1"}}, True, "linux.timeOffsets.boottime.secs"),
    ({"realtime": {"secs": 1}}, True, "linux.timeOffsets.realtime: unknown clock"),
])
@WORDING
def test_time_offsets_that_cannot_be_are_refused(runtime, bundle, offsets, namespace, text):
    if namespace:
        bundle.namespace("time")
    bundle.linux.time_offsets = offsets

    refused(runtime, runtime.create(bundle, check=False), text)


@pytest.mark.parametrize("key", ["net.ipv4.ip_default_ttl", "net/ipv4/ip_default_ttl"])
@pytest.mark.beyond("crun", reason="writes it")
def test_network_sysctl_is_refused_where_the_joined_namespace_is_the_hosts(runtime, bundle, key):
    bundle.drop_namespace("network")
    bundle.namespace("network", "/proc/self/ns/net")
    bundle.linux.sysctl = {key: "64"}

    result = runtime.run(bundle, check=False)
    assert result.returncode != 0 and "not allowed in" in result.stderr
