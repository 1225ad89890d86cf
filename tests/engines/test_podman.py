# SPDX-License-Identifier: Apache-2.0
"""Podman 4.3 with conmon, as root: every command that reaches the runtime."""

import json
import os
import re
import resource
import signal
import time

import pytest

from enginelib import census, command
from enginelib.images import TEST_IMAGE
from enginelib.podman import cgroups_of_containers, installed

MIB = 1 << 20


@pytest.fixture(scope="module")
def engine(work, runtime, image_archives):
    with installed(work, "podman", runtime, image_archives) as podman:
        yield podman


@pytest.fixture
def podman(engine):
    """The engine; after each test no container, no group of one and no conmon is left."""
    yield engine
    try:
        engine.remove_all()
    finally:
        census.assert_gone(cgroups_of_containers, census.processes)


def sh(script):
    return ("/bin/sh", "-c", script)


# ------------------------------------------------------------------------------------- run


def test_info_names_the_runtime(podman, runtime):
    info = json.loads(podman("info", "--format", "json").out)["host"]["ociRuntime"]
    assert info["path"] == runtime
    assert re.match(r"\S+ version \d+\.\d+\.\d+", info["version"]), info
    assert re.search(r"^spec: \d+\.\d+\.\d+", info["version"], re.M), info


def test_run_prints_both_streams_and_gives_the_exit_status(podman):
    result = podman.once(*sh("echo to-out; echo to-err >&2; exit 37"), rc=37)
    assert (result.out, result.err) == ("to-out\n", "to-err\n")


def test_run_gives_128_plus_the_signal(podman):
    podman.once("/bin/probe", "crash", rc=128 + signal.SIGSEGV)


def test_run_passes_standard_input(podman):
    result = podman("run", "--rm", "-i", "--network", "none", TEST_IMAGE, "/bin/sha256sum",
                    stdin="x" * 200000)
    assert result.out.split()[0] == (
        command.run(["sha256sum"], stdin="x" * 200000).out.split()[0])


def test_environment_workdir_and_hostname(podman):
    script = "echo $FROM_IMAGE-$MINE; pwd; hostname; cat /proc/sys/kernel/hostname"
    result = podman.once(*sh(script), options=(
        "-e", "MINE=a b", "-w", "/var/tmp", "--hostname", "guest7"))
    assert result.lines() == ["yes-a b", "/var/tmp", "guest7", "guest7"]


def test_user_by_name_and_by_number(podman):
    named = podman.once("/bin/probe", "ids", options=("-u", "tester"))
    assert named.text == "uid=1000 gid=1000 groups=29,1000" or \
        sorted(named.text.rpartition("=")[2].split(",")) == ["1000", "29"], named
    number = podman.once("/bin/probe", "ids", options=("-u", "1234:5678", "--group-add", "91"))
    assert number.text.startswith("uid=1234 gid=5678 "), number
    assert "91" in number.text.rpartition("=")[2].split(",")


def test_a_user_process_has_no_effective_capability(podman):
    caps = command.fields(podman.once("/bin/probe", "caps", options=("-u", "tester")).out)
    assert int(caps["CapEff"], 16) == 0 and int(caps["CapPrm"], 16) == 0


def test_capabilities_are_exactly_those_asked_for(podman):
    caps = command.fields(podman.once("/bin/probe", "caps", options=(
        "--cap-drop", "all", "--cap-add", "net_raw", "--cap-add", "chown")).out)
    want = 1 << 13 | 1 << 0
    assert int(caps["CapPrm"], 16) == int(caps["CapEff"], 16) == int(caps["CapBnd"], 16) == want
    assert int(caps["CapInh"], 16) == 0  # CVE-2022-24769
    dropped = command.fields(podman.once("/bin/probe", "caps", options=(
        "--cap-drop", "mknod", "--cap-drop", "net_raw")).out)
    assert int(dropped["CapBnd"], 16) & (1 << 13 | 1 << 27) == 0
    assert int(dropped["CapBnd"], 16) & 1 << 0


def test_privileged_has_every_capability_of_the_host_and_no_seccomp(podman):
    caps = command.fields(podman.once("/bin/probe", "caps", options=("--privileged",)).out)
    with open("/proc/self/status", encoding="utf-8") as f:
        own = command.fields(f.read())
    assert int(caps["CapBnd"], 16) == int(own["CapBnd"], 16)
    assert caps["Seccomp"] == "0"


def test_no_new_privileges(podman):
    plain = command.fields(podman.once("/bin/probe", "caps").out)
    strict = command.fields(podman.once(
        "/bin/probe", "caps", options=("--security-opt", "no-new-privileges")).out)
    assert (plain["NoNewPrivs"], strict["NoNewPrivs"]) == ("0", "1")


def test_seccomp_profile_of_the_user(podman, tmp_path):
    profile = tmp_path / "seccomp.json"
    profile.write_text(json.dumps({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 71}],
    }))
    option = ("--security-opt", "seccomp=%s" % profile)
    assert podman.once("/bin/probe", "mkdir", "/tmp/x", options=option).text == "EPROTO"
    assert podman.once("/bin/probe", "mkdir", "/tmp/x").text == "ok"


def test_seccomp_default_profile_is_on_and_can_be_turned_off(podman):
    on = command.fields(podman.once("/bin/probe", "caps").out)
    off = command.fields(podman.once(
        "/bin/probe", "caps", options=("--security-opt", "seccomp=unconfined")).out)
    assert (on["Seccomp"], off["Seccomp"]) == ("2", "0")


def test_read_only_root(podman):
    result = podman.once(*sh("echo x > /file || echo refused; echo y > /tmp/file && cat /tmp/file"),
                         options=("--read-only", "--tmpfs", "/tmp"))
    assert result.lines() == ["refused", "y"]
    assert "Read-only file system" in result.err


def test_volumes_read_write_and_read_only(podman, tmp_path):
    (tmp_path / "given").write_text("from the host\n")
    result = podman.once(
        *sh("cat /rw/given; echo back > /rw/made; touch /ro/no || echo refused"),
        options=("-v", "%s:/rw" % tmp_path, "-v", "%s:/ro:ro" % tmp_path))
    assert result.lines() == ["from the host", "refused"]
    assert (tmp_path / "made").read_text() == "back\n"


def test_a_named_volume_outlives_its_container(podman):
    podman.once(*sh("echo kept > /data/file"), options=("-v", "vol1:/data"))
    assert podman.once("/bin/cat", "/data/file", options=("-v", "vol1:/data")).text == "kept"
    podman("volume", "rm", "vol1")


def test_volume_options_reach_the_mount(podman, tmp_path):
    result = podman.once("/bin/grep", " /v ", "/proc/self/mountinfo", options=(
        "-v", "%s:/v:ro,noexec,nosuid,nodev" % tmp_path))
    flags = result.text.split()[5].split(",")
    assert {"ro", "noexec", "nosuid", "nodev"} <= set(flags), result


def test_tmpfs_with_size_and_mode(podman):
    result = podman.once(*sh("grep ' /t ' /proc/self/mountinfo; stat -c %a /t; df -k /t | tail -1"),
                         options=("--tmpfs", "/t:size=4m,mode=700,noexec"))
    mount, mode, usage = result.lines()
    assert "noexec" in mount.split()[5] and " tmpfs " in mount
    assert mode == "700" and usage.split()[1] == "4096"


def test_tmpfs_copies_up_what_the_image_has_there(podman):
    result = podman.once(*sh("cat /etc/image-file; stat -f -c %T /etc"), options=(
        "--mount", "type=tmpfs,destination=/etc"))
    assert result.lines() == ["from the image", "tmpfs"]


def test_shm_size(podman):
    result = podman.once(*sh("df -k /dev/shm | tail -1"), options=("--shm-size", "8m"))
    assert result.text.split()[1] == "8192"


def test_masked_and_read_only_paths(podman):
    result = podman.once(*sh(
        "cat /proc/kcore | wc -c; ls /proc/acpi /sys/firmware 2>/dev/null | grep -c '^[^/]';"
        " echo 1 > /proc/sys/kernel/panic || echo refused"))
    assert result.lines()[-1] == "refused"
    assert result.lines()[0] == "0"
    masked = podman.once(*sh("cat /etc/image-file | wc -c"), options=(
        "--security-opt", "mask=/etc/image-file"))
    assert masked.text == "0"


def test_sysctl(podman):
    result = podman.once("/bin/cat", "/proc/sys/net/ipv4/ip_forward",
                         "/proc/sys/kernel/msgmax", options=(
                             "--sysctl", "net.ipv4.ip_forward=1", "--sysctl",
                             "kernel.msgmax=4242"))
    assert result.lines() == ["1", "4242"]


def test_ulimit(podman):
    # Both are given: where one is missing podman asks for a limit above the hard one of this host.
    result = podman.once(*sh("probe rlimit 7; probe rlimit 6"), options=(
        "--ulimit", "nofile=123:456", "--ulimit", "nproc=100:200"))
    assert result.lines() == ["123 456", "100 200"]


def test_ulimit_above_the_hard_limit(podman):
    """Needs CAP_SYS_RESOURCE; without it the runtime's error names what it was doing."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with open("/proc/self/status", encoding="utf-8") as f:
        may = int(command.fields(f.read())["CapEff"], 16) & 1 << 24
    result = podman.once("/bin/probe", "rlimit", "7", rc=0 if may else 126, options=(
        "--ulimit", "nofile=%d:%d" % (hard + 1, hard + 1), "--ulimit", "nproc=100:200"))
    if may:
        assert result.text == "%d %d" % (hard + 1, hard + 1)
    else:
        assert "rlimit" in result.err and "not permitted" in result.err.lower()


def test_default_devices(podman):
    result = podman.once(*sh("cd /dev; stat -c '%t,%T' null zero full random urandom tty;"
                             " ls -l fd ptmx; echo x > null"))
    lines = result.lines()
    assert lines[:6] == ["1,3", "1,5", "1,7", "1,8", "1,9", "5,0"]
    assert "-> /proc/self/fd" in lines[6] and "-> pts/ptmx" in lines[7]


# Opens a node of the fuse driver, which is no default device, and says what was granted.
TRY_FUSE = ("mknod /dev/f c 10 229 2>/dev/null; (: < /dev/f) 2>/dev/null && echo read;"
            " (: > /dev/f) && echo write; true")


def test_device_control_group(podman):
    """The rules of the devices group: nothing given, a rule, a device read-only, a device."""
    denied = podman.once(*sh(TRY_FUSE), options=("--cap-add", "mknod"))
    assert denied.out == "" and "Operation not permitted" in denied.err
    rule = podman.once(*sh(TRY_FUSE), options=("--cap-add", "mknod", "--device-cgroup-rule",
                                               "c 10:229 r"))
    assert rule.lines() == ["read"]
    device = podman.once(*sh(TRY_FUSE), options=("--device", "/dev/fuse:/dev/f:r"))
    assert device.lines() == ["read"]
    both = podman.once(*sh(TRY_FUSE), options=("--device", "/dev/fuse:/dev/f"))
    assert both.lines() == ["read", "write"]


def test_init_is_catatonit_and_reaps(podman):
    result = podman.once(*sh("cat /proc/1/comm; (sleep 0.01 & ) ; sleep 0.2;"
                             " ls /proc | grep -c '^[0-9]'"), options=("--init",))
    assert result.lines()[0] == "podman-init"
    assert int(result.lines()[1]) <= 5  # init, sh, ls, grep and at most a subshell: no zombie


def test_memory_cpu_and_process_limits(podman):
    name = podman.start("/bin/sleep", "1000", options=(
        "--memory", "64m", "--cpus", "0.5", "--pids-limit", "33", "--cpu-shares", "512",
        "--cpuset-cpus", "0", "--blkio-weight", "0"))
    pid = podman.pid(name)
    assert census.cgroup_file("memory", pid, "memory.limit_in_bytes") == str(64 * MIB)
    quota = int(census.cgroup_file("cpu", pid, "cpu.cfs_quota_us"))
    period = int(census.cgroup_file("cpu", pid, "cpu.cfs_period_us"))
    assert quota * 2 == period
    assert census.cgroup_file("cpu", pid, "cpu.shares") == "512"
    assert census.cgroup_file("pids", pid, "pids.max") == "33"
    assert census.cgroup_file("cpuset", pid, "cpuset.cpus") == "0"
    seen = podman("exec", name, "/bin/cat", "/sys/fs/cgroup/memory/memory.limit_in_bytes",
                  "/sys/fs/cgroup/pids/pids.max").lines()
    assert seen == [str(64 * MIB), "33"]


def test_process_limit_is_enforced(podman):
    result = podman.once(*sh("for i in 1 2 3 4 5 6 7 8 9; do sleep 5 & done; wait"),
                         options=("--pids-limit", "4"), rc=None)
    assert "fork" in result.err, result


def test_out_of_memory_is_reported(podman):
    """conmon watches memory.oom_control of the group that the runtime made.

    What it learns it writes to a file `oom` in its working directory, which this podman leaves to
    be the caller's but then looks for in the bundle: State.OOMKilled stays false with any runtime.
    """
    oom = os.path.join(podman.cwd, "oom")
    assert not os.path.exists(oom)
    name = podman.start(*sh("probe eat 100; echo status $?; until [ -e /end ]; do sleep 0.1; done"),
                        options=("--memory", "24m"))
    command.eventually(lambda: os.path.exists(oom), what="what conmon says of it")
    os.unlink(oom)
    podman("exec", name, "/bin/touch", "/end")
    assert podman("wait", name).text == "0"
    assert podman("logs", name).text == "status 137"


# ---------------------------------------------------------------------------------- errors


@pytest.fixture(params=["stderr", "json-log"])
def talker(podman, request):
    """Both ways in which podman learns of a runtime's error."""
    return podman.with_json_log() if request.param == "json-log" else podman


def test_a_missing_executable_is_127(talker):
    result = talker.once("/bin/missing-program", rc=127)
    assert "missing-program" in result.err and "no such file or directory" in result.err.lower()


def test_an_executable_missing_in_path_is_127(talker):
    result = talker.once("missing-program", rc=127)
    assert "missing-program" in result.err and "not found" in result.err.lower()


def test_a_file_that_cannot_be_executed_is_126(talker):
    result = talker.once("/etc/not-executable", rc=126)
    assert "not-executable" in result.err and "permission denied" in result.err.lower()


def test_exec_of_a_missing_executable_is_127(talker):
    name = talker.start("/bin/sleep", "1000")
    result = talker("exec", name, "/bin/missing-program", rc=127)
    assert "missing-program" in result.err
    result = talker("exec", name, "/etc/not-executable", rc=126)
    assert "permission denied" in result.err.lower()


def test_a_failed_start_leaves_nothing_running(podman):
    name = podman.name()
    podman("run", "-d", "--name", name, "--network", "none", TEST_IMAGE, "/missing", rc=127)
    assert podman.state(name)["Status"] in ("created", "exited")
    podman("rm", name)
    assert cgroups_of_containers() == []


# ---------------------------------------------------------------------------------- life


def test_detached_container_logs_wait_and_inspect(podman, runtime):
    name = podman.start(*sh("echo line1; echo line2 >&2; sleep 0.3; exit 9"))
    info = podman.inspect(name)
    assert info["State"]["Status"] == "running" and info["State"]["Pid"] > 0
    assert info["OCIRuntime"] == runtime or info["OCIRuntime"] == os.path.basename(runtime)
    assert podman("wait", name).text == "9"
    logs = podman("logs", name)
    assert (logs.out, logs.err) == ("line1\n", "line2\n")
    state = podman.state(name)
    assert (state["Status"], state["ExitCode"], state["Pid"]) == ("exited", 9, 0)


def test_logs_follow_until_the_end(podman):
    name = podman.start(*sh("for i in 1 2 3; do echo n$i; sleep 0.2; done"))
    assert podman("logs", "--follow", name).lines() == ["n1", "n2", "n3"]


def test_stop_sends_term_and_the_container_may_say_goodbye(podman):
    name = podman.start("/bin/probe", "polite")
    command.eventually(lambda: "ready" in podman("logs", name).out, what="ready")
    start = time.monotonic()
    podman("stop", "--time", "15", name)
    assert time.monotonic() - start < 10
    assert "bye" in podman("logs", name).out
    assert podman.state(name)["ExitCode"] == 42


def test_stop_kills_after_the_time(podman):
    name = podman.start("/bin/probe", "stubborn")
    command.eventually(lambda: "ready" in podman("logs", name).out, what="ready")
    start = time.monotonic()
    podman("stop", "--time", "1", name)
    assert 0.9 < time.monotonic() - start < 10
    assert podman.state(name)["ExitCode"] == 137


def test_kill_sends_the_named_signal(podman):
    name = podman.start(*sh("trap 'echo got; exit 5' USR1; echo ready;"
                            " while :; do sleep 0.05; done"))
    command.eventually(lambda: "ready" in podman("logs", name).out, what="ready")
    podman("kill", "--signal", "USR1", name)
    assert podman("wait", name).text == "5"
    assert "got" in podman("logs", name).out


def test_kill_default_ends_it(podman):
    name = podman.start("/bin/probe", "stubborn")
    podman("kill", name)
    assert podman("wait", name).text == "137"


def test_pause_and_unpause(podman):
    name = podman.start(*sh("i=0; while :; do i=$((i+1)); echo $i > /tmp/m; mv /tmp/m /tmp/n; done"))
    pid = podman.pid(name)

    def counted():
        return podman("exec", name, "/bin/cat", "/tmp/n", rc=None).text

    def spent():
        return int(census.cgroup_file("cpuacct", pid, "cpuacct.usage"))
    command.eventually(lambda: counted().isdigit(), what="the counter")
    first = counted()
    podman("pause", name)
    assert podman.state(name)["Status"] == "paused"
    before = spent()
    time.sleep(0.2)
    assert spent() - before < 20_000_000  # ns, of 200 ms
    assert podman("exec", name, "/bin/true", rc=None).rc != 0
    podman("unpause", name)
    assert podman.state(name)["Status"] == "running"
    command.eventually(lambda: counted() not in ("", first), what="the counter to move again")


def test_a_paused_container_can_be_removed_by_force(podman):
    name = podman.start("/bin/sleep", "1000")
    podman("pause", name)
    podman("rm", "--force", "--time", "0", name)
    assert podman("ps", "--all", "--quiet").text == ""


def test_restart(podman):
    name = podman.start(*sh("echo started; sleep 1000"))
    first = podman.pid(name)
    command.eventually(lambda: podman("logs", name).text == "started", what="its word")
    podman("restart", "--time", "0", name)
    assert podman.state(name)["Status"] == "running" and podman.pid(name) != first
    command.eventually(lambda: podman("logs", name).lines() == ["started", "started"], what="two starts in the log")


def test_stopped_container_starts_again(podman):
    name = podman.start("/bin/cat", "/proc/self/comm")
    podman("wait", name)
    assert podman("start", "--attach", name).text == "cat"
    assert podman("logs", name).lines() == ["cat", "cat"]


def test_create_then_start(podman):
    name = podman.name()
    podman("create", "--name", name, "--network", "none", TEST_IMAGE, "/bin/echo", "late")
    assert podman.state(name)["Status"] == "created"
    podman("init", name)
    assert podman.state(name)["Status"] == "initialized" and podman.pid(name) > 0
    assert podman("start", "--attach", name).text == "late"


def test_rm_force_of_a_running_container(podman):
    name = podman.start("/bin/probe", "stubborn")
    pid = podman.pid(name)
    podman("rm", "--force", "--time", "0", name)
    assert not os.path.exists("/proc/%d" % pid)
    podman("rm", name, rc=1)


def test_update_through_the_runtime(podman, runtime):
    """Podman 4.3 has no update verb: the runtime changes the limits of podman's container."""
    name = podman.start("/bin/sleep", "1000", options=("--memory", "64m",))
    full_id = podman.inspect(name)["Id"]
    command.run([runtime, "update", "--memory", str(48 * MIB), "--memory-swap", str(48 * MIB),
                 "--pids-limit", "21", full_id], rc=None)
    command.run([runtime, "update", "--pids-limit", "21", "--cpu-share", "300", full_id])
    pid = podman.pid(name)
    assert census.cgroup_file("pids", pid, "pids.max") == "21"
    assert census.cgroup_file("cpu", pid, "cpu.shares") == "300"


def test_stats(podman):
    name = podman.start(*sh("while :; do :; done"), options=("--memory", "64m"))

    def stats():
        return json.loads(podman("stats", "--no-stream", "--format", "json", name).out)[0]
    command.eventually(lambda: float(stats()["cpu_percent"].rstrip("%")) > 5, what="CPU time")
    assert stats()["name"] == name
    assert stats()["pids"] == "1" and "67.11MB" in stats()["mem_usage"], stats()


def test_top(podman):
    name = podman.start(*sh("sleep 1234 & wait"))
    out = podman("top", name, "pid", "user", "args").out
    assert re.search(r"^1\s+root\s+/bin/sh -c", out, re.M), out
    assert re.search(r"\ssleep 1234", out), out


def test_cp_both_ways(podman, tmp_path):
    (tmp_path / "in").write_text("inward\n")
    name = podman.start("/bin/sleep", "1000")
    podman("cp", tmp_path / "in", "%s:/var/tmp/copied" % name)
    assert podman("exec", name, "/bin/cat", "/var/tmp/copied").text == "inward"
    podman("exec", name, "/bin/sh", "-c", "echo outward > /tmp/made")
    podman("cp", "%s:/tmp/made" % name, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "outward\n"


def test_commit(podman):
    name = podman.start(*sh("echo changed > /etc/image-file; echo done; sleep 1000"))
    command.eventually(lambda: "done" in podman("logs", name).out, what="the change")
    podman("commit", "--quiet", name, "localhost/committed:1")
    result = podman("run", "--rm", "--network", "none", "localhost/committed:1",
                    "/bin/cat", "/etc/image-file")
    assert result.text == "changed"
    podman("rmi", "--force", "localhost/committed:1")


def test_healthcheck(podman):
    name = podman.start("/bin/sleep", "1000", options=(
        "--health-cmd", "test -f /tmp/well", "--health-interval", "disable",
        "--health-retries", "1"))
    podman("healthcheck", "run", name, rc=1)
    assert podman.state(name)["Health"]["Status"] == "unhealthy"
    podman("exec", name, "/bin/touch", "/tmp/well")
    podman("healthcheck", "run", name)
    assert podman.state(name)["Health"]["Status"] == "healthy"


def test_hooks_directory(podman, tmp_path):
    """OCI hooks that podman adds: the state comes on standard input, in the right order."""
    trail = tmp_path / "trail"
    hook = tmp_path / "hook"
    hook.write_text("#!/bin/sh\n{ echo \"$1 $HOOKENV\"; cat; echo; } >> %s\n" % trail)
    hook.chmod(0o755)
    stages = ["prestart", "createRuntime", "poststart", "poststop"]
    for stage in stages:
        (tmp_path / (stage + ".json")).write_text(json.dumps({
            "version": "1.0.0", "when": {"always": True}, "stages": [stage],
            "hook": {"path": str(hook), "args": ["hook", stage], "env": ["HOOKENV=set"]}}))
    podman("--hooks-dir", tmp_path, "run", "--network", "none", "--name", podman.name(),
           TEST_IMAGE, "/bin/sleep", "0.2")

    def told():
        """All states are there, each with the end of its line."""
        return trail.read_text().count("\n{") == len(stages) and trail.read_text().endswith("\n")
    command.eventually(lambda: told() or podman.remove_all(), what="poststop")
    lines = trail.read_text().splitlines()
    assert [line for line in lines if line.endswith(" set")] == [s + " set" for s in stages]
    states = [json.loads(line) for line in lines if line.startswith("{")]
    assert len({s["id"] for s in states}) == 1 and len(states) == 4
    assert all(s["pid"] > 0 and os.path.isabs(s["bundle"]) for s in states[:3])
    assert states[0]["status"] in ("creating", "created") and states[3]["status"] == "stopped"


# ------------------------------------------------------------------------------ exec, attach


def test_exec_status_environment_user_and_directory(podman):
    name = podman.start("/bin/sleep", "1000", options=("-e", "BASE=1"))
    podman("exec", name, "/bin/sh", "-c", "exit 55", rc=55)
    podman("exec", name, "/bin/sh", "-c", "kill -KILL $$", rc=137)
    result = podman("exec", "-e", "MINE=2", "-w", "/usr", "-u", "1000:29", name, "/bin/sh", "-c",
                    "echo $BASE$MINE$FROM_IMAGE; pwd; probe ids; cat /proc/1/comm")
    lines = result.lines()
    assert lines[:2] == ["12yes", "/usr"] and lines[3] == "sleep"
    assert lines[2].startswith("uid=1000 gid=29")


def test_exec_has_the_containers_capabilities_and_seccomp(podman):
    name = podman.start("/bin/sleep", "1000", options=("--cap-drop", "all", "--cap-add", "chown"))
    caps = command.fields(podman("exec", name, "/bin/probe", "caps").out)
    assert int(caps["CapEff"], 16) == int(caps["CapBnd"], 16) == 1
    assert int(caps["CapInh"], 16) == 0 and caps["Seccomp"] == "2"


def test_exec_passes_standard_input(podman):
    name = podman.start("/bin/sleep", "1000")
    assert podman("exec", "-i", name, "/bin/wc", "-c", stdin="12345").text == "5"


def test_exec_is_in_the_containers_control_groups(podman):
    name = podman.start("/bin/sleep", "1000")
    podman("exec", "-d", name, "/bin/sleep", "2000")
    init = podman.pid(name)
    pid = command.eventually(lambda: [p for p, line in census.processes().items()
                                      if line == "/bin/sleep 2000"], what="the process")[0]
    for controller in ("memory", "pids", "freezer", "devices", "cpu"):
        assert census.cgroup_of(controller, pid) == census.cgroup_of(controller, init)


def test_exec_on_a_terminal(podman):
    name = podman.start("/bin/sleep", "1000")
    with podman.terminal("exec", "-it", name, "/bin/sh", rows=33, cols=101) as term:
        term.expect("# ")
        term.send("probe term; stty size; tty\n")
        term.expect("0:tty 1:tty 2:tty")
        term.expect("33 101")
        term.expect("/dev/pts/0")
        term.send("exit 7\n")
        assert term.wait() == 7


def test_exec_terminal_follows_the_window_size(podman):
    name = podman.start("/bin/sleep", "1000")
    with podman.terminal("exec", "-it", name, "/bin/probe", "winsize", rows=20, cols=60) as term:
        term.expect("size ")
        term.expect_size(44, 111)
        term.send("\x03")
        assert term.wait() == 130


def test_run_on_a_terminal(podman):
    with podman.terminal("run", "--rm", "-it", "--network", "none", TEST_IMAGE, "/bin/sh",
                         rows=25, cols=70) as term:
        term.expect("# ")
        term.send("probe term; ls -l /dev/console; readlink /proc/self/fd/0\n")
        term.expect("0:tty 1:tty 2:tty")
        term.expect("/dev/console")
        term.expect("/dev/pts/0")
        # It is in the foreground when it says so, and not the shell that started it.
        term.send("sh -c \"echo be''fore; exec cat\"\n")
        term.expect("before\r\n")
        term.send("\x03")
        term.expect("# ")
        term.send("exit 3\n")
        assert term.wait() == 3


def test_attach_detach_and_attach_again(podman):
    name = podman.name()
    podman("run", "-dit", "--name", name, "--network", "none", TEST_IMAGE, "/bin/sh")
    with podman.terminal("attach", name) as term:
        time.sleep(0.3)
        term.send("X=kept; echo one$((1+1))\n")
        term.expect("one2")
        term.send("\x10")
        time.sleep(0.1)
        term.send("\x11")
        assert term.wait() == 0
    assert podman.state(name)["Status"] == "running"
    with podman.terminal("attach", name) as term:
        time.sleep(0.3)
        term.send("echo again-$X; exit 6\n")
        term.expect("again-kept")
        term.wait()
    assert podman("wait", name).text == "6"


def test_exec_preserve_fds(podman):
    name = podman.start("/bin/sleep", "1000")
    read_fd, write_fd = os.pipe()
    try:
        os.write(write_fd, b"through 3\n")
        os.close(write_fd)
        argv = [*podman.argv, "exec", "--preserve-fds", "1", name, "/bin/cat", "/proc/self/fd/3"]
        result = command.run(["/bin/bash", "-c", 'exec 3<&%d; exec "$@"' % read_fd, "sh", *argv],
                             env=podman.env, pass_fds=(read_fd,))
        assert result.text == "through 3"
    finally:
        os.close(read_fd)


# ---------------------------------------------------------------------------- namespaces


NAMESPACES = ("pid", "net", "ipc", "uts", "mnt", "cgroup", "user")


def namespaces_inside(result):
    return dict(line.split("=", 1) for line in result.lines() if "=" in line)


SHOW = sh("for n in pid net ipc uts mnt cgroup user; do echo $n=$(readlink /proc/self/ns/$n); done")


def own_namespace(name):
    return os.readlink("/proc/self/ns/" + name)


def test_namespaces_are_private_by_default(podman):
    seen = namespaces_inside(podman.once(*SHOW))
    for name in ("pid", "net", "ipc", "uts", "mnt"):
        assert seen[name] != own_namespace(name), name
    assert seen["user"] == own_namespace("user")


@pytest.mark.parametrize("name", ["pid", "ipc", "uts"])
def test_a_namespace_of_the_host(podman, name):
    seen = namespaces_inside(podman.once(*SHOW, options=("--" + name, "host")))
    assert seen[name] == own_namespace(name)
    others = {"pid", "ipc", "uts", "net", "mnt"} - {name}
    assert all(seen[other] != own_namespace(other) for other in others)


def test_network_of_the_host(podman):
    seen = namespaces_inside(podman("run", "--rm", "--network", "host", TEST_IMAGE, *SHOW))
    assert seen["net"] == own_namespace("net") and seen["pid"] != own_namespace("pid")


def test_private_cgroup_namespace(podman):
    result = podman.once(*SHOW, options=("--cgroupns", "private"))
    assert namespaces_inside(result)["cgroup"] != own_namespace("cgroup")
    paths = podman.once("/bin/cat", "/proc/self/cgroup", options=("--cgroupns", "private")).lines()
    assert [p for p in paths if p.split(":")[1] == "memory"] == \
        [p for p in paths if p.endswith(":/") and ":memory:" in p] != []


def test_user_namespace(podman, tmp_path):
    name = podman.start("/bin/sleep", "1000", options=("--uidmap", "0:100000:5000",
                                                       "--gidmap", "0:200000:5000"))
    pid = podman.pid(name)
    with open("/proc/%d/uid_map" % pid, encoding="utf-8") as f:
        assert f.read().split() == ["0", "100000", "5000"]
    info = os.stat("/proc/%d" % pid)
    assert (info.st_uid, info.st_gid) == (100000, 200000)
    assert podman("exec", name, "/bin/probe", "ids").text.startswith("uid=0 gid=0")


def test_container_joins_the_namespaces_of_another(podman):
    first = podman.start("/bin/sleep", "1000", options=("--ipc", "shareable"))
    second = podman.name()
    podman("run", "-d", "--name", second, "--network", "container:" + first, "--pid",
           "container:" + first, "--ipc", "container:" + first, TEST_IMAGE, "/bin/sleep", "2000")
    one, two = podman.pid(first), podman.pid(second)
    for name in ("net", "pid", "ipc"):
        assert os.readlink("/proc/%d/ns/%s" % (one, name)) == \
            os.readlink("/proc/%d/ns/%s" % (two, name)), name
    assert os.readlink("/proc/%d/ns/mnt" % one) != os.readlink("/proc/%d/ns/mnt" % two)
    # The pid namespace is not the second's own: its end must not depend on it.
    podman("kill", second)
    podman("wait", second)
    assert podman.state(first)["Status"] == "running"
    podman("rm", second)  # podman's rm --all removes in any order, and fails for a dependency


def test_twenty_containers_at_once(podman):
    """Parallel creates, one parent group: none fails, all are gone afterwards."""
    argv = " ".join("'%s'" % a for a in podman.argv)
    script = ("for i in $(seq 20); do %s run --rm --network none %s /bin/echo out$i & done; wait"
              % (argv, TEST_IMAGE))
    result = command.run(["/bin/sh", "-c", script], env=podman.env, timeout=90)
    assert sorted(result.lines()) == sorted("out%d" % i for i in range(1, 21)), str(result)


# -------------------------------------------------------------------------------- rootless
