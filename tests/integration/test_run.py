# SPDX-License-Identifier: Apache-2.0
"""run: create, start, wait and delete in one call."""

import os
import pathlib
import signal

import pytest

from lib.runtime import refused, wait_until

pytestmark = pytest.mark.classes("ns", "sentry", "vm")


@pytest.mark.parametrize("status", [0, 1, 7, 126, 127, 255])
def test_exit_status_is_the_programs(runtime, bundle, status):
    result = runtime.run(bundle, ["testinit", "exit", str(status)], check=False)

    assert result.returncode == status


@pytest.mark.parametrize("name,number", [("KILL", 9), ("TERM", 15), ("USR1", 10)])
def test_program_ended_by_a_signal_gives_128_plus_its_number(runtime, bundle, name, number):
    process = runtime.start_run(bundle, ["sh", "-c", f"testinit raise {number}; exit $?"])
    assert process.wait() == 128 + number


def test_container_killed_from_outside_gives_137(runtime, bundle):
    process = runtime.start_run(bundle, ["sleep", "1000"])
    wait_until(lambda: runtime.status(bundle) == "running")

    runtime.kill(bundle, "KILL")
    assert process.wait() == 137


def test_fault_of_the_init_process_gives_139(runtime, bundle):
    assert runtime.run(bundle, ["testinit", "segv"], check=False).returncode == 139


def test_nothing_is_left_after_the_end(runtime, bundle):
    runtime.run(bundle)

    assert runtime.status(bundle) is None
    assert runtime.container_ids() == []


@pytest.mark.parametrize("failing", ["missing", "directory", "not-executable", "bad-format"])
def test_nothing_is_left_when_the_program_cannot_be_executed(runtime, bundle, failing):
    bundle.rootfs.mkdir("opt/directory")
    bundle.rootfs.write("opt/not-executable", "text", 0o644)
    bundle.rootfs.write("opt/bad-format", "not a program", 0o755)

    result = runtime.run(bundle, [f"/opt/{failing}"], check=False)
    assert result.returncode == 1 and result.stderr
    assert runtime.container_ids() == []


@pytest.mark.parametrize("args", [["/no/such"], ["no-such-in-path"]])
def test_missing_executable_is_named_as_engines_expect(runtime, bundle, args):
    result = runtime.run(bundle, args, check=False)

    refused(runtime, result, f'exec: "{args[0]}"')
    if args[0].startswith("/"):
        assert "no such file or directory" in result.stderr or runtime.kind == "crun"
    else:
        assert "executable file not found in $PATH" in result.stderr or runtime.kind == "crun"


def test_program_without_the_execute_bit_says_permission_denied(runtime, bundle):
    bundle.rootfs.write("opt/text", "text", 0o644)

    refused(runtime, runtime.run(bundle, ["/opt/text"], check=False), "permission denied")


def test_program_without_a_slash_is_found_through_its_own_path(runtime, bundle):
    bundle.rootfs.symlink("special/hello", "/bin/testinit")
    bundle.rootfs.write("special/greet", "#!/bin/sh\necho hello\n", 0o755)
    bundle.process.env = ["PATH=/nowhere:/special"]

    assert runtime.run(bundle, ["greet"]).stdout == "hello\n"


def test_standard_input_reaches_the_program(runtime, bundle):
    assert runtime.run(bundle, ["cat"], stdin="some text\n").stdout == "some text\n"


def test_standard_input_through_a_pipe_ends_with_the_pipe(runtime, bundle):
    process = runtime.start_run(bundle, ["cat"])

    assert process.finish("x" * 200000) == "x" * 200000
    assert process.returncode == 0


@pytest.mark.beyond("runc", "crun", reason="use a closed standard stream for something else")
def test_closed_standard_input_is_not_somebody_elses_descriptor(runtime, bundle):
    bundle.process.args = ["testinit", "report"]
    bundle.save()
    argv = runtime.argv("run", "--bundle", bundle.path, bundle.id)

    result = runtime.call(raw=["sh", "-c", 'exec "$@" <&-', "closed", *argv])
    first = result.report["fds"].get("0", "")
    assert first in ("", "/dev/null", "/null"), first


def test_large_output_arrives_whole(runtime, bundle):
    result = runtime.run(bundle, ["dd", "if=/dev/zero", "bs=65536", "count=64"])

    assert len(result.out_path.read_bytes()) == 64 * 65536


def test_standard_error_is_separate(runtime, bundle):
    result = runtime.run(bundle, ["sh", "-c", "echo out; echo err >&2"])

    assert (result.stdout, result.stderr) == ("out\n", "err\n")


def test_detached_run_returns_while_the_program_runs(runtime, bundle):
    pid_file = bundle.path / "pid"

    runtime.run_detached(bundle, None, "--pid-file", pid_file)
    state = runtime.state(bundle)
    assert state.status == "running"
    assert state.pid == int(pid_file.read_text())


def test_detached_container_stays_as_stopped_after_its_end(runtime, bundle):
    runtime.run_detached(bundle, ["true"])

    runtime.wait_for(bundle, "stopped")
    runtime.delete(bundle)
    assert runtime.status(bundle) is None


@pytest.mark.beyond("runc", "crun", reason="no --keep in these versions")
def test_keep_leaves_the_stopped_container(runtime, bundle):
    runtime.run(bundle, ["true"], "--keep")

    assert runtime.status(bundle) == "stopped"
    runtime.delete(bundle)


@pytest.mark.parametrize("flag", ["--no-pivot", "--no-new-keyring", "--no-subreaper"])
def test_rare_flags_are_accepted(runtime, bundle, flag):
    assert runtime.run(bundle, ["echo", "works"], flag).stdout == "works\n"


def test_signals_to_the_runtime_reach_the_program(runtime, bundle):
    process = runtime.start_run(bundle, ["testinit", "trap"])
    assert process.read_line() == "ready"

    process.send_signal(signal.SIGUSR1)
    assert process.read_line() == "signal 10"
    process.send_signal(signal.SIGHUP)
    assert process.read_line() == "signal 1"
    process.send_signal(signal.SIGTERM)
    assert process.read_line() == "signal 15"
    assert process.wait() == 0


def test_orphans_of_the_container_end_with_it(runtime, bundle):
    runtime.run(bundle, ["sh", "-c", "sleep 1000 & sleep 1000 & exit 0"])

    assert runtime.container_ids() == []  # the leak check looks for the processes


@pytest.mark.beyond("runc", layouts=["v2"], reason="leaves the cgroup")
@pytest.mark.beyond("crun", reason="waits for the orphans")
def test_orphans_end_with_a_container_that_shares_the_pid_namespace(runtime, bundle):
    bundle.drop_namespace("pid")

    runtime.run(bundle, ["sh", "-c", "sleep 1000 & exit 0"])
    assert runtime.container_ids() == []


@pytest.mark.classes("ns", caveat="sentry-host-view", vm_caveat="vm-host-view")
def test_detached_run_keeps_no_process_of_the_runtime(runtime, bundle, wait_for):
    before = set(os.listdir("/proc"))
    runtime.run_detached(bundle)
    pid = str(runtime.state(bundle).pid)

    wait_for(lambda: {p for p in set(os.listdir("/proc")) - before if p.isdigit()} == {pid},
             what="only the container's process is new")


def test_program_sees_its_arguments_and_environment_byte_for_byte(runtime, bundle):
    bundle.process.args = ["testinit", "report", "", "a b", "quote\"'\\", "caf\u00e9", "new\nline"]
    bundle.process.env += ["EMPTY=", "EQUALS=a=b=c", "SPACE= x ", "UTF=\u00fc"]

    report = runtime.run(bundle).report
    decoded = [a.encode("latin-1").decode() for a in report["args"]]
    assert decoded == bundle.process.args[1:]
    env = [e.encode("latin-1").decode() for e in report["env"]]
    for entry in ("EMPTY=", "EQUALS=a=b=c", "SPACE= x ", "UTF=\u00fc"):
        assert entry in env


def test_home_is_set_from_the_containers_passwd(runtime, bundle):
    assert runtime.run(bundle, ["getenv", "HOME"]).stdout == "/root\n"


def test_home_of_the_config_wins(runtime, bundle):
    bundle.process.env += ["HOME=/somewhere"]

    assert runtime.run(bundle, ["getenv", "HOME"]).stdout == "/somewhere\n"


def test_pid_of_the_program_is_1(runtime, bundle):
    report = runtime.run(bundle, ["testinit", "report"]).report

    assert (report["pid"], report["ppid"]) == (1, 0)


@pytest.mark.beyond("runc", reason="passes the blocked signals on")
def test_program_starts_with_default_signal_actions_and_nothing_blocked(runtime, bundle):
    bundle.process.args = ["testinit", "report"]
    bundle.save()
    argv = runtime.argv("run", "--bundle", bundle.path, bundle.id)
    # The caller ignores and blocks; the container must not inherit that.
    caller = ("import os, signal, sys\n"
              "signal.signal(signal.SIGUSR2, signal.SIG_IGN)\n"
              "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGTERM])\n"
              "os.execv(sys.argv[1], sys.argv[1:])\n")

    report = runtime.call(raw=["/usr/bin/python3", "-c", caller, *argv]).report
    assert report["signals_blocked"] == []


def test_umask_of_the_caller_does_not_reach_the_program(runtime, bundle):
    bundle.process.args = ["testinit", "report"]
    bundle.save()
    argv = runtime.argv("run", "--bundle", bundle.path, bundle.id)

    report = runtime.call(raw=["sh", "-c", 'umask 077; exec "$@"', "umask", *argv]).report
    assert report["umask"] == 0o22


def test_killing_the_foreground_run_does_not_lose_the_container(runtime, bundle):
    process = runtime.start_run(bundle, ["testinit", "trap"])
    assert process.read_line() == "ready"

    process.kill()
    process.wait()
    assert runtime.status(bundle) == "running"
    runtime.delete(bundle, "--force")
    assert not pathlib.Path(runtime.root, bundle.id).exists()


@pytest.mark.beyond("runc", "crun", reason="word it in other ways")
def test_a_filter_without_sendmsg_does_not_hide_that_exec_failed(runtime, bundle):
    bundle.config["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["sendmsg", "sendto", "sendmmsg"], "action": "SCMP_ACT_ERRNO"}]}
    bundle.rootfs.write("bin/no-program", "no program", 0o755)

    refused(runtime, runtime.run(bundle, ["/bin/no-program"], check=False), "Exec format error")
