# SPDX-License-Identifier: Apache-2.0
"""linux.uidMappings and gidMappings: the ids of a new user namespace, as root and as an ordinary user."""

import ctypes
import os

import pytest

from lib import seen
from lib.runtime import refused
from lib.users import USER, ids

pytestmark = pytest.mark.classes("ns", "vm")
WORDING = pytest.mark.beyond("runc", "crun", reason="our wording: the field and what is wrong with it")
libc = ctypes.CDLL(None, use_errno=True)


def numbers(text):
    return [tuple(int(n) for n in line.split()) for line in text.splitlines()]


def test_mappings_are_the_ones_of_the_config(runtime, bundle):
    bundle.user_namespace(100000, 1000)
    bundle.linux.uid_mappings = ids((0, 100000, 1000), (2000, 300000, 1), (5000, 301000, 7))
    bundle.linux.gid_mappings = ids((0, 100000, 500), (700, 400000, 3))

    report = runtime.run(bundle, ["report"]).report
    assert numbers(report["uid_map"]) == [(0, 100000, 1000), (2000, 300000, 1), (5000, 301000, 7)]
    assert numbers(report["gid_map"]) == [(0, 100000, 500), (700, 400000, 3)]


def test_root_inside_is_the_mapped_user_outside(runtime, bundle):
    bundle.user_namespace(100000)
    bundle.rootfs.mkdir("tmp", 0o1777)

    report = runtime.run(bundle, ["sh", "-c", "echo >/tmp/made; report"]).report
    info = os.stat(bundle.rootfs / "tmp/made")
    assert report["uid"] == 0 and (info.st_uid, info.st_gid) == (100000, 100000)


def test_other_users_are_mapped_too(runtime, bundle):
    bundle.user_namespace(100000)
    bundle.linux.gid_mappings = ids((0, 200000, 65536))
    bundle.rootfs.mkdir("tmp", 0o1777)
    bundle.process.user = {"uid": 1000, "gid": 1001}

    runtime.run(bundle, ["sh", "-c", "echo >/tmp/made"])
    info = os.stat(bundle.rootfs / "tmp/made")
    assert (info.st_uid, info.st_gid) == (101000, 201001)


@pytest.mark.classes("ns", vm_caveat="vm-host-view")
def test_process_runs_as_the_mapped_user(runtime, bundle):
    bundle.user_namespace(100000)
    bundle.process.user = {"uid": 5, "gid": 6, "additionalGids": [7]}
    runtime.run_detached(bundle)

    status = open(f"/proc/{runtime.state(bundle).pid}/status", encoding="ascii").read()
    assert "Uid:\t100005\t100005\t100005\t100005" in status
    assert "Gid:\t100006\t100006\t100006\t100006" in status
    assert "Groups:\t100007 " in status


def test_exec_joins_the_user_namespace(runtime, bundle):
    bundle.user_namespace(100000)
    runtime.run_detached(bundle, ["sh", "-c", "report; exec sleep 1000"])
    runtime.wait_for_output(bundle, "\n}")

    report = runtime.exec(bundle, ["report"]).report
    assert report["namespaces"] == runtime.outputs[bundle.id].report["namespaces"]
    assert seen.namespace_in(report, "user") != seen.namespace("user")
    assert report["uid"] == 0 and numbers(report["uid_map"]) == [(0, 100000, 65536)]


@pytest.fixture
def pipes():
    """Standard input with a line in it, and output: pipes of the container's root, as engines give them."""
    ends = [*os.pipe(), *os.pipe()]
    for end in ends:
        os.fchown(end, 100000, 100000)
    os.write(ends[1], b"in\n")
    yield {"stdin": ends[0], "stdout": ends[3]}, ends[2]
    for end in ends:
        os.close(end)


OPENS = ["sh", "-c", "read x < /dev/stdin && echo $x > /dev/stdout && stat -L -c %u:%g /dev/stdin /dev/stdout"]


@pytest.mark.parametrize("uid", [0, 1000])
@pytest.mark.parametrize("verb", ["run", "exec"])
def test_pipes_of_standard_streams_can_be_opened_again(runtime, bundle, pipes, verb, uid):
    streams, output = pipes
    bundle.user_namespace(100000)
    bundle.capabilities()
    if verb == "run":
        bundle.process.user = {"uid": uid, "gid": uid}
        runtime.run(bundle, OPENS, **streams)
    else:
        runtime.run_detached(bundle)
        runtime.exec(bundle, OPENS, "--user", f"{uid}:{uid}", **streams)
    assert os.read(output, 100).decode() == "in\n" + f"{uid}:0\n" * 2


def test_file_of_an_unmapped_owner_belongs_to_nobody(runtime, bundle):
    bundle.user_namespace(100000)
    path = bundle.rootfs.write("tmp/foreign", "x")
    os.chown(path, 4, 4)

    out = runtime.run(bundle, ["testinit", "stat", "/tmp/foreign"]).stdout
    assert "uid=65534 gid=65534" in out


def test_root_of_a_user_namespace_owns_the_other_namespaces(runtime, bundle):
    bundle.user_namespace(100000)
    bundle.all_capabilities()

    out = runtime.run(bundle, ["sh", "-c", "hostname mine && hostname && ip link set lo mtu 1400 && "
                                           "cat /sys/class/net/lo/mtu"]).stdout
    assert out == "mine\n1400\n"


@pytest.mark.parametrize("field,user", [("uid", {"uid": 1000, "gid": 0}), ("gid", {"uid": 0, "gid": 1000})])
def test_process_id_without_a_mapping_is_an_error(runtime, bundle, field, user):
    bundle.user_namespace(100000, 1000)
    bundle.process.user = user

    result = runtime.run(bundle, ["true"], check=False)
    assert result.returncode == 1 and result.stderr


@pytest.mark.parametrize("kind,other", [("uidMappings", "gidMappings"), ("gidMappings", "uidMappings")])
@WORDING
def test_new_user_namespace_needs_both_mappings(runtime, bundle, kind, other):
    bundle.namespace("user")
    bundle.linux[other] = ids((0, 100000, 10))

    refused(runtime, runtime.create(bundle, check=False), f"linux.{kind}: missing: a new user namespace")


@pytest.mark.parametrize("kind", ["uidMappings", "gidMappings"])
@WORDING
def test_mappings_without_a_user_namespace_are_refused(runtime, bundle, kind):
    bundle.linux[kind] = ids((0, 100000, 10))

    refused(runtime, runtime.create(bundle, check=False), f"linux.{kind}: needs a user namespace")


@pytest.mark.parametrize("kind", ["uidMappings", "gidMappings"])
@WORDING
def test_mappings_for_a_joined_user_namespace_are_refused(runtime, bundle, kind):
    bundle.namespace("user", "/proc/self/ns/user")
    bundle.linux[kind] = ids((0, 100000, 10))

    refused(runtime, runtime.create(bundle, check=False), f"linux.{kind}: must not be given")


@pytest.mark.parametrize("entry,text", [
    ({"containerID": 0, "hostID": 1, "size": 0}, "[1].size"),
    ({"containerID": 0, "hostID": 4294967295, "size": 2}, "[1].size: the range ends past the last id"),
    ({"containerID": 4294967295, "hostID": 0, "size": 2}, "[1].size: the range ends past the last id"),
    ({"containerID": 4294967296, "hostID": 0, "size": 2}, "[1].containerID"),
    ({"containerID": -1, "hostID": 0, "size": 2}, "[1].containerID"),
    ({"containerID": 0, "hostID": "1", "size": 2}, "[1].hostID"),
    ({"containerID": 0, "hostID": 1}, "[1].size: missing"),
    ({"containerID": 0, "size": 1}, "[1].hostID: missing"),
    ({"hostID": 0, "size": 1}, "[1].containerID: missing"),
])
@pytest.mark.parametrize("kind", ["uidMappings", "gidMappings"])
@WORDING
def test_malformed_mapping_is_refused_by_its_path(runtime, bundle, kind, entry, text):
    bundle.user_namespace(100000, 10)
    bundle.linux[kind].append(entry) if isinstance(bundle.linux[kind], list) else None

    refused(runtime, runtime.create(bundle, check=False), f"linux.{kind}{text}")


@pytest.mark.parametrize("kind", ["uidMappings", "gidMappings"])
@WORDING
def test_mappings_that_overlap_are_an_error_that_names_them(runtime, bundle, kind):
    bundle.user_namespace(100000, 10)
    bundle.linux[kind] = ids((0, 100000, 10), (5, 200000, 10))

    refused(runtime, runtime.create(bundle, check=False), f"linux.{kind}")


# ------------------------------------------------------------------------------------- an ordinary user

@pytest.fixture
def subids(work_dir):
    """/etc/subuid and /etc/subgid with a range for the ordinary user, in this lane only."""
    bound = []
    for name in ("subuid", "subgid"):
        path = work_dir / name
        path.write_text(f"{USER}:500000:65536\n")
        target = f"/etc/{name}"
        assert libc.mount(str(path).encode(), target.encode(), None, ctypes.c_ulong(4096), None) == 0
        bound.append(target)
    yield
    for target in bound:
        libc.umount2(target.encode(), 2)


def seen_inside(runtime, *maps):
    """What the container is shown of a map that an ordinary user made: in a machine each id as itself, since who
    serves its files is mapped already."""
    return [(inside, inside if runtime.isolation == "vm" else outside, size) for inside, outside, size in maps]


def test_ordinary_user_may_map_itself(runtime, bundle, as_user):
    report = runtime.run(bundle, ["report"], **as_user).report

    assert numbers(report["uid_map"]) == numbers(report["gid_map"]) == seen_inside(runtime, (0, USER, 1))
    assert report["uid"] == 0


def test_ordinary_user_maps_its_subordinate_ids_with_newuidmap(runtime, bundle, as_user, subids):
    bundle.linux.uid_mappings = ids((0, USER, 1), (1, 500000, 65536))
    bundle.linux.gid_mappings = ids((0, USER, 1), (1, 500000, 65536))
    bundle.process.user = {"uid": 7, "gid": 8}

    report = runtime.run(bundle, ["report"], **as_user).report
    assert numbers(report["uid_map"]) == seen_inside(runtime, (0, USER, 1), (1, 500000, 65536))
    assert (report["uid"], report["gid"]) == (7, 8)


def test_ordinary_user_may_not_map_the_ids_of_others(runtime, bundle, as_user, subids):
    bundle.linux.uid_mappings = ids((0, USER, 1), (1, 600000, 10))
    bundle.linux.gid_mappings = ids((0, USER, 1), (1, 500000, 10))

    result = runtime.run(bundle, ["true"], check=False, **as_user)
    assert result.returncode == 1 and result.stderr
    if runtime.kind == "caisson":
        assert "newuidmap" in result.stderr or "uidMappings" in result.stderr


def without_root(bundle):
    bundle.user_namespace(100000)
    bundle.linux.uid_mappings = ids((1000, 100000, 10))
    bundle.linux.gid_mappings = ids((2000, 100000, 10))
    bundle.process.user = {"uid": 1000, "gid": 2000}
    for mount in bundle.config["mounts"]:
        mount["options"] = [option for option in mount.get("options", []) if not option.startswith("gid=")]


@pytest.mark.beyond("runc", "crun", reason="need id 0")
def test_a_namespace_without_id_0_belongs_to_the_user_of_the_process(runtime, bundle):
    without_root(bundle)
    bundle.capabilities("CAP_KILL", "CAP_NET_RAW", sets=("bounding", "effective", "permitted", "inheritable", "ambient"))

    report = runtime.run(bundle, ["report"]).report
    assert (report["uid"], report["gid"]) == (1000, 2000)
    for name in ("effective", "permitted", "bounding", "ambient"):
        assert len(report[f"cap_{name}"]) == 2, name


@pytest.mark.beyond("runc", "crun", reason="need id 0")
def test_without_id_0_nothing_of_the_set_up_is_left_to_the_program(runtime, bundle):
    without_root(bundle)
    bundle.capabilities()

    report = runtime.run(bundle, ["report"]).report
    for name in ("effective", "permitted", "bounding", "inheritable", "ambient"):
        assert report[f"cap_{name}"] == [], name


@pytest.mark.beyond("runc", "crun", reason="need id 0")
def test_exec_enters_a_namespace_without_id_0(runtime, bundle):
    without_root(bundle)
    bundle.capabilities()
    runtime.run_detached(bundle)

    report = runtime.exec(bundle, ["testinit", "report"]).report
    assert (report["uid"], report["gid"]) == (1000, 2000)
    assert report["cap_effective"] == report["cap_bounding"] == report["cap_ambient"] == []
    assert runtime.exec(bundle, ["testinit", "report"], "--user", "1001:2002").report["uid"] == 1001


@WORDING
def test_process_user_that_is_not_mapped_is_named(runtime, bundle):
    without_root(bundle)
    bundle.process.user = {"uid": 7, "gid": 2000}

    refused(runtime, runtime.run(bundle, ["true"], check=False), "process.user.uid 7")


def test_exec_in_a_container_of_an_ordinary_user_without_cgroups(runtime, bundle, as_user):
    runtime.run_detached(bundle, ["sleep", "1000"], **as_user)

    result = runtime.exec(bundle, ["testinit", "report"], **as_user)
    assert result.report["uid"] == 0
    assert runtime.exec(bundle, ["sh", "-c", "exit 7"], check=False, **as_user).returncode == 7
    runtime.delete(bundle, "--force", **as_user)
