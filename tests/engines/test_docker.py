# SPDX-License-Identifier: Apache-2.0
"""dockerd 20.10, through its own containerd and the runc shim."""

import json
import os
import re
import signal
import time

import pytest

from enginelib import census, command
from enginelib.docker import RUN_DIR, RUNTIME_NAME, RUNTIME_ROOT, Docker
from enginelib.images import TEST_IMAGE

MIB = 1 << 20
OWN_CGROUPS = {"docker"}  # the parent of all containers, kept by dockerd
NETNS = RUN_DIR + "/exec/netns/"  # dockerd keeps the host's network namespace bound there


def sh(script):
    return ("/bin/sh", "-c", script)


def groups_of_containers():
    return sorted(path for path in census.cgroups() if path.split("/", 1)[1] not in OWN_CGROUPS)


@pytest.fixture(scope="module")
def engine(work, runtime, image_archives, artifacts):
    before = census.Census()
    directory = os.path.join(work, "docker")
    os.mkdir(directory)
    docker = Docker(directory, runtime, image_archives[TEST_IMAGE], artifacts)
    yield docker
    docker.remove_all()
    docker.stop()
    for point in census.mounts():
        if point.startswith(directory):
            command.run(["umount", "--lazy", point])
    before.assert_nothing_new(lambda kind, name: (
        kind == "cgroup" and name.split("/", 1)[1] in OWN_CGROUPS
        or kind == "mount" and name.startswith(NETNS)))
    assert os.path.isdir(RUNTIME_ROOT), "not where dockerd keeps the runtime's state"
    listed = command.run([runtime, "--root", RUNTIME_ROOT, "list", "--quiet"])
    assert listed.text == "", "the runtime still knows containers: " + listed.text


def daemons():
    """Processes of the engine itself."""
    return {pid for pid, line in census.processes().items()
            if re.match(r"(dockerd|containerd) ", line)}


@pytest.fixture
def docker(engine):
    """The engine; after each test no container, shim, group or mount of one is left."""
    mounts = census.mounts()
    yield engine
    try:
        engine.remove_all()
    finally:
        census.assert_gone(groups_of_containers, lambda: set(census.processes()) - daemons())
    assert [point for point in census.mounts() if point not in mounts
            and not point.startswith(NETNS)] == []


# ------------------------------------------------------------------------------------- run


def test_info_names_the_runtime(docker, runtime):
    info = json.loads(docker("info", "--format", "{{json .}}").out)
    assert info["DefaultRuntime"] == RUNTIME_NAME
    assert info["Runtimes"][RUNTIME_NAME]["path"] == runtime
    assert info["CgroupVersion"] == "1"
    name = docker.start("/bin/sleep", "1000")
    assert docker.inspect(name)["HostConfig"]["Runtime"] == RUNTIME_NAME


def test_run_output_and_exit_status(docker):
    result = docker.once(*sh("echo out; echo err >&2; exit 29"), rc=29)
    assert (result.out, result.err) == ("out\n", "err\n")


def test_run_killed_by_a_signal(docker):
    docker.once("/bin/probe", "crash", rc=128 + signal.SIGSEGV)


def test_run_passes_standard_input(docker):
    data = "y" * 300000
    result = docker("run", "--rm", "-i", "--network", "none", TEST_IMAGE, "/bin/wc", "-c",
                    stdin=data)
    assert result.text == str(len(data))


def test_environment_directory_user_and_hostname(docker):
    result = docker.once(*sh("echo $FROM_IMAGE-$MINE; pwd; hostname; probe ids"), options=(
        "-e", "MINE=a b", "-w", "/var/tmp", "-u", "tester", "--hostname", "dockguest",
        "--group-add", "91"))
    lines = result.lines()
    assert lines[:3] == ["yes-a b", "/var/tmp", "dockguest"]
    assert lines[3].startswith("uid=1000 gid=1000")
    assert {"29", "91"} <= set(lines[3].rpartition("=")[2].split(","))


def test_volumes_tmpfs_and_read_only_root(docker, tmp_path):
    (tmp_path / "given").write_text("from the host\n")
    result = docker.once(
        *sh("cat /v/given; echo b > /v/made; touch /ro/no || echo ro; touch /no || echo root-ro;"
            " touch /t/yes && df -k /t | tail -1"),
        options=("-v", "%s:/v" % tmp_path, "-v", "%s:/ro:ro" % tmp_path, "--read-only",
                 "--tmpfs", "/t:size=4m"))
    lines = result.lines()
    assert lines[:3] == ["from the host", "ro", "root-ro"] and lines[3].split()[1] == "4096"
    assert (tmp_path / "made").read_text() == "b\n"


def test_capabilities_no_new_privileges_and_seccomp(docker, tmp_path):
    caps = command.fields(docker.once("/bin/probe", "caps", options=(
        "--cap-drop", "ALL", "--cap-add", "CHOWN", "--security-opt", "no-new-privileges")).out)
    assert int(caps["CapBnd"], 16) == int(caps["CapEff"], 16) == 1 and int(caps["CapInh"], 16) == 0
    assert (caps["NoNewPrivs"], caps["Seccomp"]) == ("1", "2")
    profile = tmp_path / "seccomp.json"
    profile.write_text(json.dumps({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}))
    result = docker.once("/bin/probe", "mkdir", "/tmp/x", options=(
        "--security-opt", "seccomp=%s" % profile))
    assert result.text == "EPERM"


def own_bounding_set():
    with open("/proc/self/status", encoding="utf-8") as f:
        return int(command.fields(f.read())["CapBnd"], 16)


def test_privileged_gets_what_the_host_has(docker, is_runc):
    """docker asks for every capability that it knows, also for those that this host lacks.

    config.md of the runtime specification: a runtime should not fail for one that cannot be
    granted. runc fails; where the host lacks one, only its error is looked at.
    """
    name = docker.start("/bin/sleep", "1000")
    for argv in (("run", "--rm", "--network", "none", "--privileged", TEST_IMAGE, "/bin/probe",
                  "caps"),
                 ("exec", "--privileged", name, "/bin/probe", "caps")):
        result = docker(*argv, rc=None)
        if is_runc and result.rc != 0:
            assert "unable to apply caps" in result.out + result.err
            continue
        assert result.rc == 0, result
        effective = int(command.fields(result.out)["CapEff"], 16)
        known = (1 << 38) - 1  # this docker's list ends at CAP_AUDIT_READ
        assert effective & known == own_bounding_set() & known


def test_limits(docker):
    name = docker.start("/bin/sleep", "1000", options=(
        "--memory", "64m", "--cpus", "0.5", "--pids-limit", "44", "--cpu-shares", "400",
        "--cpuset-cpus", "1"))
    pid = docker.pid(name)
    assert census.cgroup_file("memory", pid, "memory.limit_in_bytes") == str(64 * MIB)
    assert 2 * int(census.cgroup_file("cpu", pid, "cpu.cfs_quota_us")) == \
        int(census.cgroup_file("cpu", pid, "cpu.cfs_period_us"))
    assert census.cgroup_file("pids", pid, "pids.max") == "44"
    assert census.cgroup_file("cpu", pid, "cpu.shares") == "400"
    assert census.cgroup_file("cpuset", pid, "cpuset.cpus") == "1"


def test_ulimit_sysctl_shm_and_device(docker):
    result = docker.once(*sh("probe rlimit 7; cat /proc/sys/net/ipv4/ip_forward;"
                             " df -k /dev/shm | tail -1 | awk '{print $2}';"
                             " (: < /dev/f) && echo read; (: > /dev/f) && echo write"), rc=1,
                         options=("--ulimit", "nofile=111:222", "--sysctl",
                                  "net.ipv4.ip_forward=1", "--shm-size", "8m",
                                  "--device", "/dev/fuse:/dev/f:r"))
    assert result.lines() == ["111 222", "1", "8192", "read"]
    assert "Operation not permitted" in result.err


def test_init_reaps(docker):
    result = docker.once(*sh("cat /proc/1/comm"), options=("--init",))
    assert result.text == "docker-init"


def test_host_namespaces(docker):
    script = sh("for n in pid net ipc uts; do readlink /proc/self/ns/$n; done")
    own = [os.readlink("/proc/self/ns/" + ns) for ns in ("pid", "net", "ipc", "uts")]
    private = docker.once(*script).lines()
    assert not set(private) & set(own)
    shared = docker("run", "--rm", "--network", "host", "--pid", "host", "--ipc", "host", "--uts",
                    "host", TEST_IMAGE, *script).lines()
    assert shared == own


def test_the_network_of_another_container(docker):
    # Out of a file: nc ends with its client, who may be there before a pipe is full.
    first = docker.start(*sh("hostname > /tmp/name; while :; do nc -l -p 7777 < /tmp/name; done"),
                         options=("--hostname", "first"))
    second = docker.name()
    docker("run", "-d", "--name", second, "--network", "container:" + first, TEST_IMAGE, "/bin/sleep", "1000")
    ask = "for i in $(seq 50); do nc 127.0.0.1 7777 </dev/null && exit; sleep 0.1; done; exit 1"
    assert docker("exec", second, *sh(ask)).text == "first"
    docker("rm", "--force", second)
    assert docker.state(first)["Running"]


def test_private_cgroup_namespace(docker):
    result = docker.once("/bin/cat", "/proc/self/cgroup", options=("--cgroupns", "private"))
    assert [line for line in result.lines() if not line.endswith(":/")] == []


def test_missing_and_not_executable(docker):
    missing = docker.once("/bin/missing-program", rc=127)
    assert "missing-program" in missing.err and "no such file or directory" in missing.err.lower()
    refused = docker.once("/etc/not-executable", rc=126)
    assert "permission denied" in refused.err.lower()
    in_path = docker.once("missing-program", rc=127)
    assert "not found" in in_path.err


# ------------------------------------------------------------------------------------- life


def test_detached_logs_wait_inspect_and_top(docker, isolation):
    name = docker.start(*sh("echo line1; echo line2 >&2; sleep 0.5; exit 8"))
    assert docker.state(name)["Status"] == "running"
    # The host's ps(1) knows no process of a machine: CAVEATS.md#vm-host-view.
    assert re.search("CMD" if isolation == "vm" else r"/bin/sh -c", docker("top", name).out)
    assert docker("wait", name).text == "8"
    logs = docker("logs", name)
    assert (logs.out, logs.err) == ("line1\n", "line2\n")
    state = docker.state(name)
    assert (state["Status"], state["ExitCode"], state["Pid"], state["OOMKilled"]) == (
        "exited", 8, 0, False)


def test_stop_and_kill(docker):
    polite = docker.start("/bin/probe", "polite")
    command.eventually(lambda: "ready" in docker("logs", polite).out, what="ready")
    docker("stop", "--time", "10", polite)
    assert docker.state(polite)["ExitCode"] == 42 and "bye" in docker("logs", polite).out
    stubborn = docker.start("/bin/probe", "stubborn")
    command.eventually(lambda: "ready" in docker("logs", stubborn).out, what="ready")
    start = time.monotonic()
    docker("stop", "--time", "1", stubborn)
    assert 0.9 < time.monotonic() - start < 8 and docker.state(stubborn)["ExitCode"] == 137
    third = docker.start("/bin/probe", "polite")
    command.eventually(lambda: "ready" in docker("logs", third).out, what="ready")
    docker("kill", "--signal", "TERM", third)
    assert docker("wait", third).text == "42"


def test_pause_and_unpause(docker):
    name = docker.start("/bin/sleep", "1000")
    docker("pause", name)
    assert docker.state(name)["Status"] == "paused"
    assert census.cgroup_file("freezer", docker.pid(name), "freezer.state") == "FROZEN"
    docker("exec", name, "/bin/true", rc=1)
    docker("unpause", name)
    assert docker.state(name)["Status"] == "running"
    docker("exec", name, "/bin/true")


def test_remove_by_force_while_paused(docker):
    name = docker.start("/bin/sleep", "1000")
    docker("pause", name)
    docker("rm", "--force", name)
    assert docker("ps", "--all", "--quiet").text == ""


def test_restart_and_start_again(docker):
    name = docker.start(*sh("echo started; sleep 1000"))
    first = docker.pid(name)
    command.eventually(lambda: docker("logs", name).text == "started", what="its word")
    docker("restart", "--time", "0", name)
    assert docker.pid(name) != first
    command.eventually(lambda: docker("logs", name).lines() == ["started", "started"], what="two starts in the log")


def test_restart_policy(docker):
    name = docker.start(*sh("echo round; exit 1"), options=("--restart", "on-failure:2"))
    command.eventually(lambda: docker.inspect(name)["RestartCount"] == 2
                       and docker.state(name)["Status"] == "exited", 15, "two restarts")
    assert docker("logs", name).lines() == ["round"] * 3


def test_create_then_start_attached(docker):
    name = docker.name()
    docker("create", "--name", name, "--network", "none", TEST_IMAGE, *sh("echo late; exit 3"))
    assert docker.state(name)["Status"] == "created"
    assert docker("start", "--attach", name, rc=3).text == "late"


WAIT = "until [ -e /%s ]; do sleep 0.1; done; "


def test_stats(docker):
    name = docker.start(*sh("while :; do :; done"), options=("--memory", "64m"))

    def stats():
        return json.loads(docker("stats", "--no-stream", "--format", "{{json .}}", name).out)
    command.eventually(lambda: float(stats()["CPUPerc"].rstrip("%")) > 5, what="a second with CPU time")
    assert stats()["PIDs"] == "1" and stats()["MemUsage"].endswith("/ 64MiB")


def test_update(docker):
    name = docker.start("/bin/sleep", "1000", options=("--memory", "64m"))
    docker("update", "--memory", "96m", "--memory-swap", "-1", "--cpus", "0.25", "--pids-limit",
           "55", "--cpu-shares", "700", name)
    pid = docker.pid(name)
    assert census.cgroup_file("memory", pid, "memory.limit_in_bytes") == str(96 * MIB)
    assert 4 * int(census.cgroup_file("cpu", pid, "cpu.cfs_quota_us")) == \
        int(census.cgroup_file("cpu", pid, "cpu.cfs_period_us"))
    assert census.cgroup_file("pids", pid, "pids.max") == "55"
    assert census.cgroup_file("cpu", pid, "cpu.shares") == "700"
    use = sh("echo x > /dev/null && head -c 1 /dev/zero | wc -c")
    assert docker("exec", name, *use).text == "1"


def test_out_of_memory_is_reported(docker):
    # The shim begins to watch the group only after the runtime's start has returned.
    name = docker.start(*sh(WAIT % "go" + "exec probe eat 100"), options=("--memory", "24m"))
    docker("exec", name, "/bin/touch", "/go")
    assert docker("wait", name).text == "137"
    command.eventually(lambda: docker.state(name)["OOMKilled"], what="OOMKilled")


def test_out_of_memory_event(docker):
    since = str(int(time.time()) - 1)
    name = docker.start(*sh(WAIT % "go" + "probe eat 100; " + WAIT % "end" + "exit 7"), options=("--rm", "--memory", "24m"))

    def events():
        return set(docker("events", "--since", since, "--until", "0s", "--format", "{{.Action}}").lines())
    docker("exec", name, "/bin/touch", "/go")
    command.eventually(lambda: "oom" in events(), what="the event of want of memory")
    docker("exec", name, "/bin/touch", "/end")
    command.eventually(lambda: {"create", "start", "oom", "die", "destroy"} <= events(), what="the rest of its life")


def test_healthcheck(docker):
    name = docker.start("/bin/sleep", "1000", options=(
        "--health-cmd", "test -f /tmp/well", "--health-interval", "1s", "--health-retries", "1",
        "--health-timeout", "5s"))
    command.eventually(lambda: docker.state(name)["Health"]["Status"] == "unhealthy", 15)
    docker("exec", name, "/bin/touch", "/tmp/well")
    command.eventually(lambda: docker.state(name)["Health"]["Status"] == "healthy", 15)


def test_cp_diff_and_commit(docker, tmp_path):
    (tmp_path / "in").write_text("inward\n")
    name = docker.start("/bin/sleep", "1000")
    docker("cp", tmp_path / "in", "%s:/var/tmp/copied" % name)
    assert docker("exec", name, "/bin/cat", "/var/tmp/copied").text == "inward"
    docker("cp", "%s:/etc/image-file" % name, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "from the image\n"
    assert "A /var/tmp/copied" in docker("diff", name).lines()
    docker("commit", name, "committed:1")
    assert docker("run", "--rm", "--network", "none", "committed:1", "/bin/cat",
                  "/var/tmp/copied").text == "inward"
    docker("rmi", "committed:1")


# ------------------------------------------------------------------------------ exec, attach


def test_exec(docker):
    name = docker.start("/bin/sleep", "1000", options=("-e", "BASE=1", "--cap-drop", "ALL"))
    result = docker("exec", "-e", "MINE=2", "-w", "/usr", "-u", "1000:29", name,
                    *sh("echo $BASE$MINE; pwd; probe ids; exit 77"), rc=77)
    assert result.lines()[:2] == ["12", "/usr"] and result.lines()[2].startswith("uid=1000 gid=29")
    caps = command.fields(docker("exec", name, "/bin/probe", "caps").out)
    assert int(caps["CapEff"], 16) == int(caps["CapBnd"], 16) == int(caps["CapInh"], 16) == 0
    assert caps["Seccomp"] == "2"
    assert docker("exec", "-i", name, "/bin/wc", "-c", stdin="12345").text == "5"
    missing = docker("exec", name, "/bin/missing-program", rc=126)
    assert "missing-program" in missing.out and "no such file" in missing.out.lower()


def test_exec_on_a_terminal(docker):
    name = docker.start("/bin/sleep", "1000")
    with docker.terminal("exec", "-it", name, "/bin/sh", rows=34, cols=103) as term:
        term.expect("# ")
        time.sleep(0.2)
        term.send("probe term; stty size\n")
        term.expect("0:tty 1:tty 2:tty")
        term.expect("34 103")
        term.send("exit 7\n")
        assert term.wait() == 7


def test_run_on_a_terminal_follows_the_window_size(docker):
    with docker.terminal("run", "--rm", "-it", "--network", "none", TEST_IMAGE, "/bin/probe",
                         "winsize", rows=20, cols=60) as term:
        term.expect("size ")
        term.expect_size(43, 107)
        term.send("\x03")
        # Process 1 has no handler for SIGINT, so ^C alone does not end it.
        time.sleep(0.2)
        assert term.proc.poll() is None
        docker("kill", docker("ps", "--quiet").text)
        assert term.wait() == 137


def test_attach_detach_and_attach_again(docker):
    name = docker.name()
    docker("run", "-dit", "--name", name, "--network", "none", TEST_IMAGE, "/bin/sh")
    with docker.terminal("attach", name) as term:
        time.sleep(0.3)
        term.send("X=kept; echo one$((1+1))\n")
        term.expect("one2")
        term.send("\x10")
        time.sleep(0.1)
        term.send("\x11")
        term.wait()
    assert docker.state(name)["Status"] == "running"
    with docker.terminal("attach", name) as term:
        time.sleep(0.3)
        term.send("echo again-$X; exit 6\n")
        term.expect("again-kept")
        assert term.wait() == 6


# --------------------------------------------------------------------------------- the daemon


def test_daemon_restart_keeps_the_container(docker):
    """live-restore: the new daemon takes the running container over."""
    name = docker.start("/bin/probe", "polite")
    pid = docker.pid(name)
    docker.restart()
    assert docker.pid(name) == pid and docker.state(name)["Status"] == "running"
    assert docker("exec", name, "/bin/echo", "on").text == "on"
    docker("stop", "--time", "10", name)
    assert docker.state(name)["ExitCode"] == 42


def test_ten_containers_at_once(docker):
    argv = " ".join(docker.argv)
    script = ("for i in $(seq 10); do %s run --rm --network none %s /bin/echo out$i & done; wait"
              % (argv, TEST_IMAGE))
    result = command.run(["/bin/sh", "-c", script], env=docker.env, timeout=90)
    assert sorted(result.lines()) == sorted("out%d" % i for i in range(1, 11)), result
