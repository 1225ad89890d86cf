# SPDX-License-Identifier: Apache-2.0
"""Podman 4.3 as an ordinary user: a user namespace that podman made, no network, no limits."""

import os
import signal

import pytest

from enginelib import census, command
from enginelib.images import PAUSE_IMAGE, TEST_IMAGE
from enginelib.podman import Podman, RootlessHost, cgroups_of_containers


@pytest.fixture(scope="module")
def host(work):
    directory = os.path.join(work, "rootless")
    os.mkdir(directory)
    rootless = RootlessHost(directory)
    yield rootless
    rootless.undo()


@pytest.fixture(scope="module")
def engine(host, runtime, image_archives):
    before = census.Census()
    directory = os.path.join(host.home, "podman")
    os.mkdir(directory)
    podman = Podman(directory, runtime, os.path.join(host.run_dir, "podman-test"),
                    prefix=host.prefix(), env=host.env())
    command.run(["chown", "-R", "%d:%d" % (host.UID, host.UID), directory])
    podman("load", "--input", image_archives[TEST_IMAGE])
    yield podman
    podman.remove_all()
    podman("system", "migrate")  # ends the process that keeps the user namespace
    listed = command.run([*host.prefix(), runtime, "list", "--quiet"],
                         env=dict(os.environ, **host.env())).text
    before.assert_nothing_new(podman.allowed)
    assert listed == "", "the runtime still knows containers: " + listed


@pytest.fixture
def podman(engine):
    """The user's podman; after each test only the process that keeps its namespaces is left."""
    yield engine
    try:
        engine.remove_all()
    finally:
        census.assert_gone(cgroups_of_containers, lambda: [
            pid for pid, line in census.processes().items() if line != "catatonit -P"])


def sh(script):
    return ("/bin/sh", "-c", script)


def test_run_as_root_of_the_users_namespace(podman, host):
    result = podman.once(*sh("probe ids; cat /proc/self/uid_map; exit 21"), rc=21)
    lines = result.lines()
    assert lines[0].startswith("uid=0 gid=0")
    assert lines[1].split() == ["0", str(host.UID), "1"]
    assert lines[2].split() == ["1", str(host.SUB_FIRST), str(host.SUB_COUNT)]


def test_the_process_belongs_to_the_user_outside(podman, host):
    name = podman.start("/bin/sleep", "1000")
    info = os.stat("/proc/%d" % podman.pid(name))
    assert (info.st_uid, info.st_gid) == (host.UID, host.UID)


def test_another_user_inside_is_a_subordinate_id_outside(podman, host):
    name = podman.start("/bin/sleep", "1000", options=("-u", "tester",))
    assert os.stat("/proc/%d" % podman.pid(name)).st_uid == host.SUB_FIRST + 999
    assert podman("exec", name, "/bin/probe", "ids").text.startswith("uid=1000 gid=1000")


def test_keep_id(podman, host):
    result = podman.once("/bin/probe", "ids", options=("--userns", "keep-id"))
    assert result.text.startswith("uid=%d gid=%d" % (host.UID, host.UID))


def test_volume_hostname_environment_read_only(podman, host):
    path = os.path.join(host.home, "volume")
    os.mkdir(path)
    os.chown(path, host.UID, host.UID)
    script = "hostname; echo $MINE; echo x > /v/file; echo y > /no || echo refused"
    result = podman.once(*sh(script), options=("--hostname", "inner", "-e", "MINE=1",
                                               "-v", path + ":/v", "--read-only"))
    assert result.lines() == ["inner", "1", "refused"]
    info = os.stat(os.path.join(path, "file"))
    assert (info.st_uid, info.st_gid) == (host.UID, host.UID)


def test_capabilities_and_seccomp(podman):
    caps = command.fields(podman.once("/bin/probe", "caps", options=("--cap-drop", "all")).out)
    assert int(caps["CapBnd"], 16) == int(caps["CapEff"], 16) == 0 and caps["Seccomp"] == "2"


def test_devices_are_there_without_mknod(podman):
    result = podman.once(*sh("echo x > /dev/null && head -c 2 /dev/zero | wc -c; ls /dev | sort"))
    assert result.lines()[0] == "2"
    assert {"null", "zero", "full", "tty", "random", "urandom", "pts", "shm"} <= \
        set(result.lines())


def test_the_hosts_groups_are_out_of_reach(podman):
    """CVE-2023-25809: no control group of the host can be written from inside."""
    result = podman.once(*sh(
        "for d in /sys/fs/cgroup/*; do mkdir $d/escape 2>/dev/null && echo $d; "
        "done; true"))
    assert result.text == ""
    assert not [path for path in census.cgroups() if "escape" in path]


def test_exec_on_a_terminal(podman):
    name = podman.start("/bin/sleep", "1000")
    with podman.terminal("exec", "-it", name, "/bin/sh", rows=31, cols=99) as term:
        term.expect("# ")
        term.send("probe term; stty size\n")
        term.expect("0:tty 1:tty 2:tty")
        term.expect("31 99")
        term.send("exit 8\n")
        assert term.wait() == 8


def test_run_on_a_terminal(podman):
    with podman.terminal("run", "--rm", "-it", "--network", "none", TEST_IMAGE, "/bin/sh") as term:
        term.expect("# ")
        term.send("probe term; exit 4\n")
        term.expect("0:tty 1:tty 2:tty")
        assert term.wait() == 4


def test_stop_kill_logs_and_exit_status(podman):
    name = podman.start("/bin/probe", "polite")
    command.eventually(lambda: "ready" in podman("logs", name).out, what="ready")
    podman("stop", "--time", "10", name)
    assert podman("logs", name).out == "ready\nbye\n"
    assert podman.state(name)["ExitCode"] == 42
    other = podman.start("/bin/probe", "stubborn")
    podman("kill", other)
    assert podman("wait", other).text == str(128 + signal.SIGKILL)


def test_missing_executable_is_127(podman):
    assert "missing-program" in podman.once("/bin/missing-program", rc=127).err


def test_pod_shares_namespaces(podman, image_archives):
    podman("load", "--input", image_archives[PAUSE_IMAGE])
    podman("pod", "create", "--name", "userpod", "--network", "none", "--infra-image", PAUSE_IMAGE,
           "--infra-command", "/pause", "--share", "ipc,net,uts")
    for name in ("u1", "u2"):
        podman("run", "-d", "--pod", "userpod", "--name", name, TEST_IMAGE, "/bin/sleep", "1000")
    for ns, number in (("ipc", 1), ("net", 1), ("uts", 1), ("pid", 2)):
        assert len({podman("exec", name, "/bin/readlink", "/proc/self/ns/" + ns).text
                    for name in ("u1", "u2")}) == number, ns
    podman("pod", "rm", "--force", "--time", "0", "userpod")
