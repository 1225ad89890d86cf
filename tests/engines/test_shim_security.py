# SPDX-License-Identifier: Apache-2.0
"""Security contexts and namespaces of the CRI that test_containerd.py leaves out, and volumes that propagate."""

import json
import os

import pytest

from conftest import class_name
from enginelib import command
from test_containerd import containerd, engine, make_pod, pod, sh  # noqa: F401 (fixtures)

CAP_CHOWN, CAP_NET_ADMIN = 0, 12


def start(pod, **context):  # noqa: F811
    return pod.start("a", ("/bin/sleep", "1000"), linux={"security_context": context})


def caps(pod, container):  # noqa: F811
    return command.fields(pod.exec(container, "/bin/probe", "caps"))


def test_capabilities_of_root_are_added_and_dropped(pod):  # noqa: F811
    container = start(pod, capabilities={"add_capabilities": ["NET_ADMIN"], "drop_capabilities": ["CHOWN"]})
    found = caps(pod, container)
    for kind in ("CapBnd", "CapPrm", "CapEff"):
        assert int(found[kind], 16) >> CAP_NET_ADMIN & 1 and not int(found[kind], 16) >> CAP_CHOWN & 1, found
    said = pod.exec(container, *sh("exec 2>/dev/null; ip link add dummy9 type dummy; ip link set lo down && echo may; "
                                   "chown 1000 /etc/image-file || echo may not"))
    # The pod's devices are the host's, which a sentry cannot change: CAVEATS.md sentry-host-network.
    assert said == ("may not\n" if class_name() == "sentry" else "may\nmay not\n")


def test_all_capabilities_and_none(pod):  # noqa: F811
    everything = start(pod, capabilities={"add_capabilities": ["ALL"]})
    with open("/proc/self/status", encoding="utf-8") as f:
        own = command.fields(f.read())
    assert int(caps(pod, everything)["CapEff"], 16) == int(own["CapBnd"], 16)
    nothing = pod.start("b", ("/bin/sleep", "1000"), linux={"security_context": {
        "capabilities": {"drop_capabilities": ["ALL"]}}})
    assert {key: int(value, 16) for key, value in caps(pod, nothing).items() if key.startswith("Cap")} == dict.fromkeys(
        ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"), 0)


def test_user_by_name_has_the_groups_of_the_image_and_more(pod):  # noqa: F811
    container = start(pod, run_as_username="tester", supplemental_groups=[77, 78])
    assert pod.exec(container, "/bin/probe", "ids") == "uid=1000 gid=1000 groups=29,77,78,1000\n"


def test_new_privileges_only_where_they_are_not_forbidden(pod):  # noqa: F811
    assert caps(pod, start(pod))["NoNewPrivs"] == "0"
    other = pod.start("b", ("/bin/sleep", "1000"), linux={"security_context": {"no_new_privs": True}})
    assert caps(pod, other)["NoNewPrivs"] == "1"


def test_masked_and_read_only_paths(pod):  # noqa: F811
    container = start(pod, masked_paths=["/proc/uptime", "/etc", "/nowhere"], readonly_paths=["/proc/sys", "/home"])
    assert pod.exec(container, *sh("cat /proc/uptime; ls /etc; touch /home/x 2>/dev/null || echo refused; "
                                   "(echo x > /proc/sys/kernel/hostname) 2>/dev/null || echo refused; "
                                   "touch /root/x && echo other")) == "refused\nrefused\nother\n"


def test_read_only_root_with_a_volume_that_can_be_written(pod, tmp_path):  # noqa: F811
    volume = tmp_path / "volume"
    volume.mkdir()
    container = pod.start("a", ("/bin/sleep", "1000"), linux={"security_context": {"readonly_rootfs": True}},
                          mounts=[{"container_path": "/tmp", "host_path": str(volume)}])
    assert pod.exec(container, *sh("touch /root/x 2>&1; echo kept > /tmp/file; cat /tmp/file")) == \
        "touch: /root/x: Read-only file system\nkept\n"
    assert (volume / "file").read_text() == "kept\n"


def test_seccomp_of_the_node_kills(pod, tmp_path):  # noqa: F811
    """The profile is the container's first process's and those of exec."""
    profile = tmp_path / "seccomp.json"
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_KILL_PROCESS"}]}))
    context = {"seccomp": {"profile_type": "Localhost", "localhost_ref": str(profile)}}
    first = pod.start("a", sh("probe mkdir /tmp/x; echo status $?"), linux={"security_context": context})
    assert pod.wait_exited(first).exit_code == 0
    said = lambda: [line[3] for line in pod.log("a") if line[3].startswith("status")]
    command.eventually(said, what="the log")
    assert said() == ["status 159"]
    second = pod.start("b", ("/bin/sleep", "1000"), linux={"security_context": context})
    pod.exec(second, "/bin/probe", "mkdir", "/tmp/x", rc=159)


def test_network_of_the_node(make_pod):  # noqa: F811
    """A kubelet names no host then: it is the node's."""
    options = {"namespace_options": {"network": "NODE"}}
    pod = make_pod("hostnet", hostname="", security_context=options)  # noqa: F811
    container = start(pod, **options)
    assert pod.exec(container, "/bin/readlink", "/proc/self/ns/net").strip() == os.readlink("/proc/self/ns/net")
    with open("/proc/net/dev", encoding="utf-8") as f:
        own = {line.split(":")[0].strip() for line in f if ":" in line}
    inside = pod.exec(container, "/bin/cat", "/proc/net/dev")
    assert {line.split(":")[0].strip() for line in inside.splitlines() if ":" in line} == own


@pytest.mark.parametrize("kind", ["pid", "ipc"])
def test_namespace_of_the_node(make_pod, kind):  # noqa: F811
    options = {"namespace_options": {kind: "NODE"}}
    pod = make_pod("host" + kind, security_context=options)  # noqa: F811
    container = start(pod, **options)
    assert pod.exec(container, "/bin/readlink", "/proc/self/ns/" + kind).strip() == os.readlink("/proc/self/ns/" + kind)


def test_containers_of_a_pod_share_ipc_and_no_more_if_they_want_their_own(pod):  # noqa: F811
    own = {"namespace_options": {"pid": "CONTAINER"}}
    one = start(pod, **own)
    two = pod.start("b", ("/bin/sleep", "1001"), linux={"security_context": own})
    pod.exec(one, *sh("echo shared > /dev/shm/file"))
    assert pod.exec(two, "/bin/cat", "/dev/shm/file") == "shared\n"
    for container, number in ((one, 1000), (two, 1001)):
        assert pod.exec(container, *sh("tr '\\0' ' ' < /proc/1/cmdline")) == "/bin/sleep %d " % number


def test_a_bidirectional_volume_shows_mounts_of_the_container(make_pod, tmp_path):  # noqa: F811
    shared = tmp_path / "shared"
    (shared / "inner").mkdir(parents=True)
    command.run(["mount", "--bind", shared, shared])
    try:
        command.run(["mount", "--make-shared", shared])
        pod = make_pod("shared", security_context={"privileged": True})  # noqa: F811
        container = pod.start("a", ("/bin/sleep", "1000"), linux={"security_context": {"privileged": True}}, mounts=[
            {"container_path": "/v", "host_path": str(shared), "propagation": "PROPAGATION_BIDIRECTIONAL"}])
        pod.exec(container, *sh("mount -t tmpfs inside /v/inner && echo x > /v/inner/file"))
        assert (shared / "inner" / "file").read_text() == "x\n"
        pod.exec(container, "/bin/umount", "/v/inner")
        assert not (shared / "inner" / "file").exists()
    finally:
        command.run(["umount", "--lazy", shared])
