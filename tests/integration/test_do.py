# SPDX-License-Identifier: Apache-2.0
"""do: run a program of the host in a fresh sandbox that is thrown away."""

import os
import pathlib
import shutil
import socket
import tempfile

import pytest

from lib.runtime import wait_until

pytestmark = [pytest.mark.classes("ns", "sentry", "vm"),
              pytest.mark.beyond("runc", "crun", reason="have no such verb")]
AS_USER = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"]


@pytest.fixture
def do(runtime):
    """do(args, *flags) runs `do flags -- args`."""
    def run(args, *flags, **options):
        return runtime.call("do", *flags, "--", *args, **options)
    return run


@pytest.fixture
def host_dir():
    """A directory of the host with a file in it; not below /run or /tmp, which are new in a sandbox."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="caisson-do-", dir="/var/tmp"))
    path.chmod(0o777)
    (path / "file").write_text("of the host")
    yield path
    shutil.rmtree(path)


def test_program_of_the_host_runs_and_gives_its_status(do):
    result = do(["sh", "-c", "echo hello; exit 7"], check=False)

    assert (result.returncode, result.stdout) == (7, "hello\n")


def test_two_dashes_may_be_left_out(runtime):
    assert runtime.call("do", "echo", "-n", "x").stdout == "x"


def test_program_ended_by_a_signal_gives_128_plus_its_number(do):
    assert do(["sh", "-c", "sh -c 'kill -TERM $$'; exit $?"], check=False).returncode == 143


def test_missing_program_is_named(do):
    result = do(["/no/such/program"], check=False)

    assert result.returncode in (1, 127) and "/no/such/program" in result.stderr


def test_no_program_is_an_error(runtime):
    assert runtime.call("do", check=False).returncode == 1


def test_standard_input_reaches_the_program(do):
    assert do(["cat"], stdin="typed\n").stdout == "typed\n"


def test_files_of_the_host_can_be_read(do, host_dir):
    assert do(["cat", host_dir / "file"]).stdout == "of the host"


def test_writes_are_thrown_away(do, host_dir):
    inside = do(["sh", "-c", f"echo changed > {host_dir}/file; echo new > {host_dir}/new; cat {host_dir}/file"])

    assert inside.stdout == "changed\n"
    assert (host_dir / "file").read_text() == "of the host"
    assert not (host_dir / "new").exists()


def test_removal_is_thrown_away(do, host_dir):
    do(["rm", "-r", host_dir])

    assert (host_dir / "file").exists()


def test_runs_see_nothing_of_each_other(do, host_dir):
    do(["touch", host_dir / "mark"])

    assert do(["test", "-e", host_dir / "mark"], check=False).returncode == 1


def test_rw_writes_through_below_the_working_directory_only(do, host_dir):
    below = host_dir / "below"
    below.mkdir()

    do(["sh", "-c", "echo through > new; echo lost > ../lost"], "--rw", cwd=below)
    assert (below / "new").read_text() == "through\n"
    assert not (host_dir / "lost").exists()


def test_volume_is_writable_at_its_destination(do, host_dir):
    do(["sh", "-c", "echo through > /mnt/new"], "--volume", f"{host_dir}:/mnt")

    assert (host_dir / "new").read_text() == "through\n"


def test_read_only_volume_refuses_writes(do, host_dir):
    result = do(["sh", "-c", "cat /mnt/file; echo x > /mnt/new"], "--volume", f"{host_dir}:/mnt:ro", check=False)

    assert result.returncode != 0 and result.stdout == "of the host"
    assert not (host_dir / "new").exists()


@pytest.mark.parametrize("value", ["", "relative:/mnt", "/no/such/dir:/mnt", "/tmp", "/tmp:/mnt:odd", "/tmp:relative"])
def test_malformed_volume_is_refused(do, value):
    result = do(["true"], "--volume", value, check=False)

    assert result.returncode == 1 and result.stderr


def test_there_is_no_network_by_default(do):
    links = do(["ls", "/sys/class/net"]).stdout.split()
    assert links in ([], ["lo"])
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        result = do(["bash", "-c", f"echo > /dev/tcp/127.0.0.1/{port}"], check=False)
    assert result.returncode != 0


@pytest.mark.classes("ns", "sentry", caveat="vm-do-network")
def test_network_host_reaches_the_callers_network(do):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        assert do(["bash", "-c", f"echo > /dev/tcp/127.0.0.1/{port}"], "--network", "host").returncode == 0


def test_unknown_network_is_refused(do):
    result = do(["true"], "--network", "bridge-of-dreams", check=False)

    assert result.returncode == 1 and "bridge-of-dreams" in result.stderr


def test_namespaces_are_its_own(do, runtime):
    out = do(["sh", "-c", "for n in pid ipc uts mnt user net; do readlink /proc/self/ns/$n; done"]).stdout.split()

    for name, link in zip(("pid", "ipc", "uts", "mnt", "user", "net"), out):
        if runtime.isolation == "sentry" and name == "user":
            continue  # the sandbox's first one, which has the number of the host's
        assert link != os.readlink(f"/proc/self/ns/{name}"), name


def test_processes_of_the_host_are_invisible(do):
    pids = do(["sh", "-c", "ls /proc | grep '^[0-9]'"]).stdout.split()

    assert 1 <= len(pids) <= 5 and "1" in pids


def test_sockets_of_the_host_cannot_be_reached_by_abstract_name(do):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0caisson-do-test")
        server.listen()
        code = "import socket; socket.socket(socket.AF_UNIX).connect('\\0caisson-do-test')"
        assert do(["/usr/bin/python3", "-c", code], check=False).returncode != 0


@pytest.mark.layouts("v1", "hybrid", "v2", controllers=True)
def test_memory_limit_ends_a_program_that_takes_more(do):
    code = "x = bytearray(300 << 20); print(len(x))"

    assert "314572800" not in do(["/usr/bin/python3", "-c", code], "--memory", "64M", check=False).stdout


@pytest.mark.layouts("v1", "hybrid", "v2", controllers=True)
def test_pids_limit_stops_a_fork_bomb(do):
    code = ("import os\nn = 0\ntry:\n    for n in range(100):\n        if os.fork() == 0:\n"
            "            os.execv('/bin/sleep', ['sleep', '100'])\nexcept OSError:\n    pass\nprint(n)")

    assert int(do(["/usr/bin/python3", "-c", code], "--pids", "20").stdout) < 20


@pytest.mark.layouts("v1", "hybrid")
def test_cpus_limit_is_set_in_the_cgroup(runtime):
    from lib import cgroups

    before = cgroups.all_cgroups()
    process = runtime.start_call("do", "--cpus", "0.5", "--", "sleep", "1000")
    made = wait_until(lambda: [c for c in cgroups.all_cgroups() - before if c.startswith(f"{cgroups.BASE}/cpu/")])
    quota = wait_until(lambda: [float(q) for q in [open(f"{made[0]}/cpu.cfs_quota_us").read()] if float(q) > 0])
    with open(f"{made[0]}/cpu.cfs_period_us", encoding="ascii") as file:
        assert quota[0] / float(file.read()) == 0.5
    process.kill()
    process.wait()


@pytest.mark.parametrize("flags", [("--memory", "lots"), ("--cpus", "-1"), ("--pids", "many"), ("--cpus", "nan")])
def test_malformed_limit_is_refused(do, flags):
    result = do(["true"], *flags, check=False)

    assert result.returncode == 1 and flags[0].strip("-") in result.stderr


def test_program_has_no_capability_over_the_host(do, host_dir):
    os.chown(host_dir / "file", 0, 0)

    assert do(["mknod", "/tmp/sda", "b", "8", "0"], check=False).returncode != 0
    assert do(["sh", "-c", "echo 1 > /proc/sys/kernel/panic_on_warn"], check=False).returncode != 0


def test_signals_reach_the_program_and_nothing_is_left(runtime):
    process = runtime.start_call("do", "--", "sh", "-c", "trap 'echo got; exit 3' TERM; echo ready; "
                                 "while :; do sleep 0.01; done")
    assert process.read_line() == "ready"

    process.terminate()
    assert process.read_line() == "got"
    assert process.wait() == 3


def test_nothing_is_left_when_do_is_killed(runtime):
    process = runtime.start_call("do", "--", "sh", "-c", "echo ready; sleep 1000")
    assert process.read_line() == "ready"

    process.kill()
    process.wait()
    left, = (name for name in os.listdir(runtime.root) if name.startswith("do-"))
    wait_until(lambda: runtime.state(left).status == "stopped", 30)

    # Its state and its cgroups are removed by the next one; the leak check after the test looks for them.
    def is_removed():
        runtime.call("do", "--", "true")
        return not os.path.exists(f"{runtime.root}/{left}")

    wait_until(is_removed, 60)


@pytest.mark.classes("ns", "sentry", "vm")
def test_ordinary_user_can_use_it(runtime, host_dir):
    result = runtime.call(raw=[*AS_USER, str(runtime.path), "--isolation", runtime.isolation, "do", "--", "sh", "-c",
                               f"cat {host_dir}/file; echo x > {host_dir}/new; id -u"], check=False,
                          env={"HOME": "/tmp", "XDG_RUNTIME_DIR": str(host_dir)})

    assert result.returncode == 0, str(result)
    assert result.stdout.startswith("of the host")
    assert not (host_dir / "new").exists()


@pytest.mark.classes("ns", "sentry", "vm")
@pytest.mark.parametrize("flags,ids", [([], ["1000", "1000", "0"]), (["--user", "1000"], ["1000", "1000", "0"]),
                                       (["--user", "0"], ["0", "0", "1"]), (["--user", "root"], ["0", "0", "1"])])
def test_ordinary_user_stays_who_they_are_or_is_root_by_name(runtime, host_dir, flags, ids):
    """The third: whether there is any effective capability."""
    os.chown(host_dir, 1000, 1000)
    script = "id -u; id -g; grep -c 'CapEff:.*[1-9a-f]' /proc/self/status; stat -c %u:%g $0"
    result = runtime.call(raw=[*AS_USER, str(runtime.path), "--isolation", runtime.isolation, "do", *flags, "--", "sh", "-c", script, str(host_dir)],
                          check=False, env={"HOME": "/tmp", "XDG_RUNTIME_DIR": str(host_dir)})

    assert result.returncode == 0, str(result)
    assert result.stdout.split()[:3] == ids
    # Files of the caller are the caller's inside.
    assert result.stdout.split()[3] == f"{ids[0]}:{ids[1]}"


@pytest.mark.classes("ns", "sentry", "vm")
@pytest.mark.parametrize("user", ["1001", "1000:7", "0:7", "nobody"])
def test_ordinary_user_cannot_be_anybody_else(runtime, host_dir, user):
    result = runtime.call(raw=[*AS_USER, str(runtime.path), "--isolation", runtime.isolation, "do", "--user", user, "--", "true"], check=False,
                          env={"HOME": "/tmp", "XDG_RUNTIME_DIR": str(host_dir)})
    assert result.returncode != 0 and "nobody else" in result.stderr


@pytest.mark.classes("ns", "sentry", "vm")
def test_ordinary_user_gains_no_rights_over_files_of_root(runtime, host_dir):
    secret = host_dir / "secret"
    secret.write_text("root only")
    secret.chmod(0o600)

    result = runtime.call(raw=[*AS_USER, str(runtime.path), "--isolation", runtime.isolation, "do", "--", "cat", str(secret)], check=False,
                          env={"HOME": "/tmp", "XDG_RUNTIME_DIR": str(host_dir)})
    assert result.returncode != 0 and "root only" not in result.stdout


def test_working_directory_is_kept(do, host_dir):
    assert do(["pwd"], cwd=host_dir).stdout == f"{host_dir}\n"


def test_tmp_and_run_are_new(do, work_dir):
    assert do(["ls", "-A", "/tmp"], cwd="/").stdout == ""
    assert do(["test", "-e", work_dir], cwd="/", check=False).returncode == 1


def test_only_a_short_list_of_the_environment_passes(do):
    out = do(["env"], env={"SECRET": "x", "TERM": "vt100", "LC_TIME": "C"}).stdout.splitlines()

    assert "TERM=vt100" in out and "LC_TIME=C" in out
    assert not [line for line in out if line.startswith(("SECRET", "CAISSON", "NOTIFY"))]


@pytest.mark.parametrize("flag", ["-e", "--env"])
def test_env_flag_sets_a_variable_or_passes_one_on(do, flag):
    out = do(["env"], flag, "SET=a=b", flag, "PASSED", env={"PASSED": "on"}).stdout.splitlines()

    assert "SET=a=b" in out and "PASSED=on" in out


@pytest.mark.parametrize("flag", ["-w", "--cwd"])
def test_cwd_flag_sets_the_directory(do, flag):
    assert do(["pwd"], flag, "/usr").stdout == "/usr\n"


@pytest.mark.parametrize("flag", ["-u", "--user"])
def test_user_flag_sets_the_ids(do, flag):
    assert do(["sh", "-c", "id -u; id -g"], flag, "1000:1001").stdout.split() == ["1000", "1001"]
