# SPDX-License-Identifier: Apache-2.0
"""exec: one more process in a running container. Its own errors exit with 255, as runc's do."""

import json
import os

import pytest

from lib import cgroups
from lib.bundle import cap_number
from lib.runtime import wait_until

pytestmark = pytest.mark.classes("ns", "sentry", "vm")
REPORT = ["testinit", "report"]


@pytest.fixture
def running(runtime, bundle):
    """A container that sleeps."""
    runtime.run_detached(bundle)
    return bundle


def exec_refused(runtime, result, text=""):
    """exec's own errors: 255 and a sentence (crun: 1 or 255, other words or none)."""
    if runtime.kind == "crun":
        assert result.returncode not in (0, None), str(result)
        return
    assert result.returncode == 255, str(result)
    assert result.stderr and text in result.stderr.replace('\\"', '"'), str(result)


def process_file(bundle, **fields):
    process = dict(bundle.config["process"])
    process.update(fields)
    path = bundle.path / "process.json"
    path.write_text(json.dumps(process))
    return path


def test_output_and_status_are_the_commands(runtime, running):
    result = runtime.exec(running, ["sh", "-c", "echo out; echo err >&2; exit 3"], check=False)

    assert (result.returncode, result.stdout, result.stderr) == (3, "out\n", "err\n")


@pytest.mark.parametrize("status", [0, 1, 125, 126, 127, 254])
def test_exit_status_is_the_commands(runtime, running, status):
    assert runtime.exec(running, ["testinit", "exit", status], check=False).returncode == status


@pytest.mark.parametrize("number", [9, 15, 6])
def test_command_ended_by_a_signal_gives_128_plus_its_number(runtime, running, number):
    result = runtime.exec(running, ["testinit", "raise", number], check=False)

    assert result.returncode == 128 + number


def test_standard_input_reaches_the_command(runtime, running):
    assert runtime.exec(running, ["cat"], stdin="text\n").stdout == "text\n"


def test_pipe_on_standard_input_streams(runtime, running):
    process = runtime.start_exec(running, ["cat"])
    for line in (b"one\n", b"two\n"):
        process.stdin.write(line)
        process.stdin.flush()
        assert process.read_line() + "\n" == line.decode()

    assert process.finish() == ""
    assert process.wait() == 0


def test_exec_in_an_unknown_container_exits_255(runtime):
    exec_refused(runtime, runtime.exec("nobody", ["true"], check=False), "container does not exist")


def test_exec_in_a_stopped_container_exits_255(runtime, bundle):
    runtime.run_detached(bundle, ["true"])
    runtime.wait_for(bundle, "stopped")

    exec_refused(runtime, runtime.exec(bundle, ["true"], check=False), "cannot exec in a stopped container")


def test_exec_in_a_created_container_works(runtime, bundle):
    runtime.create(bundle)

    assert runtime.exec(bundle, ["echo", "early"]).stdout == "early\n"
    assert runtime.status(bundle) == "created"


def test_exec_in_a_paused_container_exits_255(runtime, running):
    runtime.pause(running)

    exec_refused(runtime, runtime.exec(running, ["true"], check=False), "paused")


@pytest.mark.layouts("v1", "hybrid", "v2", controllers=True)
@pytest.mark.classes("ns", "vm")
def test_command_that_takes_more_memory_than_the_container_may_is_killed(runtime, bundle):
    """Not refused: a machine as small as its container would guess that there is not so much."""
    bundle.linux.resources.memory.limit = 32 << 20
    runtime.run_detached(bundle)

    assert runtime.exec(bundle, ["testinit", "memory", str(256 << 20)], check=False).returncode == 137
    assert runtime.status(bundle) == "running"


@pytest.mark.layouts("v1", "hybrid")
@pytest.mark.beyond("crun", reason="no --ignore-paused")
def test_ignore_paused_lets_exec_wait_for_the_thaw(runtime, running):
    runtime.pause(running)

    process = runtime.start_exec(running, ["echo", "thawed"], "--ignore-paused")
    runtime.resume(running)
    assert process.finish() == "thawed\n"
    assert process.returncode == 0


@pytest.mark.parametrize("command,text", [
    ("/no/such", 'exec: "/no/such": stat /no/such: no such file or directory'),
    ("no-such", 'exec: "no-such": executable file not found in $PATH'),
    ("/etc/passwd", "permission denied")])
def test_command_that_cannot_be_executed_exits_255(runtime, running, command, text):
    exec_refused(runtime, runtime.exec(running, [command], check=False), text)
    assert runtime.status(running) == "running"


def test_exec_without_a_command_is_refused(runtime, running):
    assert runtime.exec(running, [], check=False).returncode not in (0, None)


def test_flags_after_the_id_belong_to_the_command(runtime, running):
    assert runtime.exec(running, ["echo", "-d", "--tty", "-e"]).stdout == "-d --tty -e\n"


def test_two_dashes_end_the_flags(runtime, running):
    result = runtime.call("exec", "--", running.id, "echo", "-n")
    assert result.stdout == "-n\n"


@pytest.mark.beyond("crun", reason="1.8 starts from an empty process")
def test_defaults_come_from_the_containers_process(runtime, bundle):
    bundle.rootfs.mkdir("work")
    bundle.process.cwd = "/work"
    bundle.process.user.uid, bundle.process.user.gid = 1000, 1001
    bundle.process.user.additional_gids = [2000]
    bundle.process.env += ["FROM_CONFIG=yes"]
    runtime.run_detached(bundle)

    report = runtime.exec(bundle, REPORT).report
    assert (report["cwd"], report["uid"], report["gid"], report["no_new_privs"]) == ("/work", 1000, 1001, 1)
    assert "FROM_CONFIG=yes" in report["env"]
    assert report["rlimits"]["RLIMIT_NOFILE"] == [1024, 1024]
    assert report["cap_bounding"] == sorted(map(cap_number, bundle.config["process"]["capabilities"]["bounding"]))
    assert report["cap_inheritable"] == [] and report["cap_ambient"] == []


def test_cwd_flag_sets_the_directory(runtime, running):
    assert runtime.exec(running, REPORT, "--cwd", "/tmp").report["cwd"] == "/tmp"


def test_missing_cwd_is_made_or_refused_by_name(runtime, running):
    result = runtime.exec(running, ["pwd"], "--cwd", "/not/there", check=False)

    assert (result.returncode, result.stdout) == (0, "/not/there\n") or "/not/there" in result.stderr


@pytest.mark.beyond("runc", "crun", reason="word it in other ways")
def test_what_cannot_be_entered_or_executed_is_named(runtime, running):
    running.rootfs.write("bin/no-program", "no program", 0o755)

    assert "/not/there: No such file" in runtime.exec(running, ["pwd"], "--cwd", "/not/there", check=False).stderr
    assert "/bin/no-program: Exec format error" in runtime.exec(running, ["no-program"], check=False).stderr
    long = "/" + "/".join(["d" * 200] * 3)
    message = runtime.exec(running, ["pwd"], "--cwd", long, check=False).stderr
    assert long[:250] in message and "No such file" in message


@pytest.mark.beyond("crun", reason="1.8 starts from an empty process")
@pytest.mark.parametrize("flag", ["-e", "--env"])
def test_env_flags_add_variables(runtime, running, flag):
    env = runtime.exec(running, REPORT, flag, "ONE=1", flag, "TWO=a=b", flag, "EMPTY=").report["env"]

    assert {"ONE=1", "TWO=a=b", "EMPTY=", "TERM=xterm"} <= set(env)


@pytest.mark.beyond("crun", reason="1.8 starts from an empty process")
def test_env_flag_overrides_the_config(runtime, running):
    assert runtime.exec(running, ["getenv", "TERM"], "-e", "TERM=vt100").stdout == "vt100\n"


@pytest.mark.parametrize("flag", ["-u", "--user"])
@pytest.mark.parametrize("value,uid,gid", [("1000", 1000, 0), ("1000:1001", 1000, 1001), ("0:0", 0, 0)])
def test_user_flag_sets_ids(runtime, running, flag, value, uid, gid):
    report = runtime.exec(running, REPORT, flag, value).report

    assert (report["uid"], report["euid"], report["suid"]) == (uid, uid, uid)
    assert (report["gid"], report["egid"], report["sgid"]) == (gid, gid, gid)


@pytest.mark.parametrize("value", ["nobody-here", "1:2:3", "", "-1", "4294967296", "1x"])
@pytest.mark.beyond("runc", "crun", reason="take some of these for numbers")
def test_malformed_user_is_refused(runtime, running, value):
    exec_refused(runtime, runtime.exec(running, ["true"], "--user", value, check=False))


@pytest.mark.beyond("crun", reason="no --additional-gids")
@pytest.mark.parametrize("flag", ["-g", "--additional-gids"])
def test_additional_gids_flag_adds_groups(runtime, running, flag):
    report = runtime.exec(running, REPORT, "--user", "1000:1000", flag, "3000", flag, "3001").report

    assert {3000, 3001} <= set(report["groups"])


def test_user_without_rights_has_no_effective_capabilities(runtime, running):
    report = runtime.exec(running, REPORT, "--user", "1000:1000").report

    assert report["cap_effective"] == report["cap_permitted"] == report["cap_ambient"] == []


@pytest.mark.beyond("crun", reason="1.8 starts from an empty process")
@pytest.mark.parametrize("flag", ["-c", "--cap"])
def test_cap_flag_adds_a_capability(runtime, bundle, flag):
    bundle.capabilities("CAP_KILL")
    runtime.run_detached(bundle)

    report = runtime.exec(bundle, REPORT, flag, "CAP_NET_RAW", flag, "CAP_SYS_CHROOT").report
    wanted = {cap_number("CAP_NET_RAW"), cap_number("CAP_SYS_CHROOT"), cap_number("CAP_KILL")}
    assert wanted <= set(report["cap_effective"])
    assert wanted <= set(report["cap_bounding"])


@pytest.mark.beyond("runc", "crun", reason="ignore or reword it")
def test_unknown_capability_is_refused(runtime, running):
    result = runtime.exec(running, ["true"], "--cap", "CAP_NO_SUCH", check=False)

    exec_refused(runtime, result, "CAP_NO_SUCH")


def test_inheritable_set_is_empty_unless_the_config_says_so(runtime, running):
    report = runtime.exec(running, REPORT, "--cap", "CAP_NET_RAW").report

    # CVE-2022-24769: neither set may come from the default of the runtime.
    if runtime.kind == "caisson":
        assert report["cap_inheritable"] == []
    assert set(report["cap_inheritable"]) <= {cap_number("CAP_NET_RAW")}


def test_no_new_privs_flag_sets_it(runtime, bundle):
    bundle.process.no_new_privileges = False
    runtime.run_detached(bundle)

    assert runtime.exec(bundle, REPORT).report["no_new_privs"] == 0
    assert runtime.exec(bundle, REPORT, "--no-new-privs").report["no_new_privs"] == 1


@pytest.mark.parametrize("flag", ["-p", "--process"])
def test_process_file_describes_everything(runtime, running, flag):
    path = process_file(running, args=REPORT, cwd="/tmp", env=["A=b", "PATH=/bin"],
                        user={"uid": 5, "gid": 6, "additionalGids": [7]},
                        capabilities={"bounding": ["CAP_KILL"]}, noNewPrivileges=False,
                        rlimits=[{"type": "RLIMIT_CORE", "hard": 77, "soft": 66}])

    report = runtime.call("exec", flag, path, running.id).report
    assert (report["cwd"], report["uid"], report["gid"], report["groups"]) == ("/tmp", 5, 6, [7])
    assert "A=b" in report["env"] and not [e for e in report["env"] if e.startswith("TERM=")]
    assert report["cap_bounding"] == [cap_number("CAP_KILL")]
    assert report["no_new_privs"] == 0
    assert report["rlimits"]["RLIMIT_CORE"] == [66, 77]


@pytest.mark.beyond("runc", "crun", reason="set it for create only")
def test_process_file_sets_the_oom_score(runtime, running):
    path = process_file(running, args=REPORT, oomScoreAdj=500)

    assert runtime.call("exec", "--process", path, running.id).report["oom_score_adj"] == "500"


@pytest.mark.beyond("runc", "crun", reason="the language's run time changes the soft limit")
def test_process_file_sets_the_descriptor_limit(runtime, running):
    path = process_file(running, args=REPORT, rlimits=[{"type": "RLIMIT_NOFILE", "hard": 77, "soft": 66}])

    assert runtime.call("exec", "--process", path, running.id).report["rlimits"]["RLIMIT_NOFILE"] == [66, 77]


@pytest.mark.classes("ns", caveat="sentry-host-view", vm_caveat="vm-host-view")
def test_process_file_detached_as_the_shim_calls_it(runtime, running):
    path = process_file(running, args=["sleep", "1000"])
    pid_file = running.path / "exec.pid"

    runtime.call("exec", "--process", path, "--detach", "--pid-file", pid_file, running.id)
    pid = int(pid_file.read_text())
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        assert file.read() == b"sleep\x001000\x00"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"args":[],"cwd":"/"}', '{"cwd":"/"}'])
def test_bad_process_file_exits_255(runtime, running, text):
    path = running.path / "bad.json"
    path.write_text(text)

    exec_refused(runtime, runtime.call("exec", "--process", path, running.id, check=False))
    assert runtime.status(running) == "running"


def test_missing_process_file_is_named(runtime, running):
    result = runtime.call("exec", "--process", "/no/such.json", running.id, check=False)

    exec_refused(runtime, result, "/no/such.json")


@pytest.mark.parametrize("flag", ["-d", "--detach"])
def test_detached_exec_returns_while_the_command_runs(runtime, running, flag):
    pid_file = running.path / "pid"

    runtime.exec(running, ["sleep", "1000"], flag, "--pid-file", pid_file)
    pid = int(pid_file.read_text())
    assert os.path.exists(f"/proc/{pid}")
    assert pid in cgroups.pids(running.linux.cgroups_path)


@pytest.fixture
def seen_by_the_first(runtime, bundle):
    """What the first process of a running container reports of itself."""
    runtime.run_detached(bundle, ["sh", "-c", "testinit report; exec sleep 1000"])
    runtime.wait_for_output(bundle, "\n}")
    return runtime.outputs[bundle.id].report


def test_command_joins_all_namespaces_of_the_container(runtime, bundle, seen_by_the_first):
    report = runtime.exec(bundle, REPORT).report

    assert len(report["namespaces"]) >= 7 and report["namespaces"] == seen_by_the_first["namespaces"]
    assert report["hostname"] == "caisson-test"
    assert report["pid"] > 1


def test_command_joins_every_cgroup_of_the_container(runtime, bundle, seen_by_the_first):
    assert runtime.exec(bundle, REPORT).report["cgroup"] == seen_by_the_first["cgroup"]


@pytest.mark.layouts("v1", "hybrid")
@pytest.mark.beyond("crun", reason="another form of --cgroup")
@pytest.mark.classes("ns", caveat="sentry-one-cgroup", vm_caveat="vm-one-cgroup")
def test_cgroup_flag_puts_the_command_into_a_sub_cgroup(runtime, running):
    path = running.linux.cgroups_path
    for top in cgroups.hierarchies():
        directory, name = top / path.lstrip("/") / "sub", top.name
        directory.mkdir()
        if name == "cpuset":
            for key in ("cpuset.cpus", "cpuset.mems"):
                cgroups.write(path + "/sub", key, cgroups.read(path, key))

    report = runtime.exec(running, REPORT, "--cgroup", "/sub").report
    lines = [line for line in report["cgroup"].splitlines() if not line.startswith("0:")]
    assert lines and all(line.endswith("/sub") for line in lines), lines


@pytest.mark.layouts("v1", "hybrid")
@pytest.mark.beyond("crun", reason="another form of --cgroup")
@pytest.mark.classes("ns", caveat="sentry-one-cgroup", vm_caveat="vm-one-cgroup")
def test_cgroup_flag_may_name_one_controller(runtime, running):
    path = running.linux.cgroups_path
    cgroups.cgroup_dir(path + "/sub", "pids").mkdir()

    report = runtime.exec(running, REPORT, "--cgroup", "pids:sub").report
    inside = [line for line in report["cgroup"].splitlines() if line.endswith("/sub")]
    assert [line.split(":")[1] for line in inside] == ["pids"]


@pytest.mark.beyond("crun", reason="ignores it")
def test_cgroup_flag_naming_no_cgroup_is_refused(runtime, running):
    assert runtime.exec(running, ["true"], "--cgroup", "/no-such", check=False).returncode not in (0, None)


@pytest.mark.beyond("crun", reason="another form of --cgroup")
@pytest.mark.parametrize("value", ["..", "../..", "/../../..", "pids:../.."])
def test_cgroup_flag_never_leads_out_of_the_container(runtime, running, value):
    result = runtime.exec(running, REPORT, "--cgroup", value, check=False)

    assert result.returncode == 255 or all(
        line.split(":", 2)[2].startswith(running.linux.cgroups_path)
        for line in result.report["cgroup"].splitlines()), str(result)


@pytest.mark.classes("ns", "sentry", caveat="vm-descriptors")
def test_preserve_fds_hands_descriptors_on(runtime, running):
    read_end, write_end = os.pipe()
    os.write(write_end, b"through 3")
    os.close(write_end)
    try:
        result = runtime.exec(running, ["testinit", "fd", "3"], "--preserve-fds", "1", fds=[read_end])
    finally:
        os.close(read_end)
    assert result.stdout == "through 3"


def test_without_preserve_fds_only_the_three_streams_are_open(runtime, running):
    with open("/proc/self/cmdline", "rb") as extra:
        report = runtime.exec(running, REPORT, fds=[extra.fileno()]).report

    assert sorted(report["fds"]) == ["0", "1", "2"]


def test_seccomp_filter_of_the_container_covers_the_command(runtime, bundle):
    bundle.linux.seccomp = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["getcwd"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]}
    runtime.run_detached(bundle)

    assert "errno ENOSYS" in runtime.exec(bundle, ["testinit", "syscall", "79", "0", "0"], check=False).stdout


def test_signals_to_the_runtime_reach_the_command(runtime, running):
    process = runtime.start_exec(running, ["testinit", "trap"])
    assert process.read_line() == "ready"

    process.terminate()
    assert process.read_line() == "signal 15"
    assert process.wait() == 0


def test_detached_command_outlives_exec_and_ends_with_the_container(runtime, running):
    runtime.exec(running, ["testinit", "ignore"], "-d")
    path = running.linux.cgroups_path
    wait_until(lambda: len(runtime.inside(running)) == 2)

    runtime.kill(running, "KILL")
    wait_until(lambda: not cgroups.pids(path), what="its pid namespace ended")


def test_killing_exec_leaves_the_container_running(runtime, running):
    process = runtime.start_exec(running, ["sleep", "1000"])
    wait_until(lambda: len(runtime.inside(running)) == 2)

    process.kill()
    process.wait()
    assert runtime.status(running) == "running"


def test_many_commands_one_after_the_other_leave_nothing(runtime, running, scaled):
    for number in range(scaled(500, 10)):
        assert runtime.exec(running, ["echo", number]).stdout == f"{number}\n"

    assert len(runtime.inside(running)) == 1


def test_many_commands_at_once_all_answer(runtime, running, scaled):
    processes = [runtime.start_exec(running, ["echo", n]) for n in range(scaled(100, 8))]

    answers = sorted(int(p.finish()) for p in processes)
    assert answers == list(range(len(processes)))
    assert all(p.returncode == 0 for p in processes)


@pytest.mark.parametrize("flag,value", [("--process-label", "no_u:no_r:no_t:s0"), ("--apparmor", "no-such-profile")])
@pytest.mark.beyond("runc", "crun", reason="ignore them where the module is missing")
def test_label_of_a_missing_security_module_is_an_error(runtime, running, flag, value):
    exec_refused(runtime, runtime.exec(running, ["true"], flag, value, check=False), flag.strip("-").split("-")[0])


@pytest.mark.beyond("runc", "crun", reason="no --pidfd-socket")
def test_pidfd_socket_receives_a_pidfd_of_the_command(runtime, running, work_dir):
    from lib.console import FdSocket

    server = FdSocket(work_dir / "pidfd.sock")
    try:
        pid_file = running.path / "pid"
        runtime.exec(running, ["sleep", "1000"], "-d", "--pidfd-socket", server.path, "--pid-file", pid_file)
        fds, _ = server.receive()
        with open(f"/proc/self/fdinfo/{fds[0]}", encoding="ascii") as file:
            assert f"Pid:\t{pid_file.read_text()}\n" in file.read()
    finally:
        server.close()
