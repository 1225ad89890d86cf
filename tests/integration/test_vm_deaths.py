# SPDX-License-Identifier: Apache-2.0
"""Class vm: QEMU, virtiofsd or the supervisor is killed while a container starts, while it is at work, while it ends,
with an interface and without; and the agent is ended or stopped from inside. Who waits is told, nothing stays.

Moments are those of the machine (how much QEMU has worked) and of calls (tests/lib/nth.c), not of a clock."""

import os
import re
import signal

import pytest

from lib import machines
from lib.machines import FILES, QEMU, SUPERVISOR
from lib.runtime import wait_until
from test_vm_network import plain, pod  # noqa: F401

pytestmark = [pytest.mark.classes("vm"), pytest.mark.timeout(1200),
              pytest.mark.beyond("runc", "crun", reason="have no machines")]
WAIT_S = 120
VICTIMS = [QEMU, FILES, SUPERVISOR]
# How much QEMU has worked, in ms: it has just begun, in its firmware or the kernel, in the agent; of a whole start.
MOMENTS = [0, 60, 150, 250, 400, 550]
NAMED = re.compile(r"QEMU|virtiofsd|set-up|supervisor|sandbox")


def is_told(run, bundle):
    """The words of a start that has failed."""
    return run.errors if bundle.id in run.errors or NAMED.search(run.errors) else ""


# ------------------------------------------------------------------------------------- at a start


@pytest.mark.cold  # a clone has no firmware and no kernel's start
@pytest.mark.parametrize("victim", VICTIMS)
def test_a_start_whose_machine_is_killed_fails_with_a_word(runtime, bundle, victim, scaled):
    bundle.process.args = ["sleep", "1000"]
    for used in scaled(MOMENTS, MOMENTS[::3]):
        run = runtime.start_run(bundle)
        wait_until(lambda r=run: machines.find(r.pid, victim), WAIT_S, f"{victim} runs")
        machines.wait_for_moment(run, used, lambda: runtime.status(bundle) == "running")
        machines.kill(machines.find(run.pid, victim))

        assert run.wait(WAIT_S) != 0, f"after {used} ms"
        assert is_told(run, bundle) or run.returncode == 137, f"after {used} ms: {run.errors}"
        assert runtime.status(bundle) is None, f"after {used} ms"
        machines.wait_until_empty(bundle.linux.cgroups_path)
        assert runtime.container_ids() == [], f"after {used} ms"


@pytest.mark.cold
@pytest.mark.parametrize("victim", [QEMU, SUPERVISOR])
def test_a_start_that_is_killed_leaves_no_interface(runtime, bundle, plain, victim, scaled):  # noqa: F811
    bundle.process.args = ["sleep", "1000"]
    for used in scaled(MOMENTS, [250]):
        run = runtime.start_run(bundle)
        wait_until(lambda r=run: machines.find(r.pid, victim), WAIT_S, f"{victim} runs")
        machines.wait_for_moment(run, used, lambda: runtime.status(bundle) == "running")
        assert "caisson0" in plain.sh("ip link")
        machines.kill(machines.find(run.pid, victim))

        assert run.wait(WAIT_S) != 0
        wait_until(plain.is_clean, WAIT_S, "the tap and its redirects to go")
    # The namespace is as good as new.
    assert " 0% packet loss" in runtime.run(bundle, ["sh", "-c", "ping -c 1 -W 30 10.8.0.1"], timeout_s=WAIT_S).stdout


@pytest.mark.cold
def test_a_runtime_that_is_killed_at_a_start_leaves_no_interface(runtime, bundle, plain):  # noqa: F811
    """Nobody but `delete` is left to clean up."""
    bundle.process.args = ["sleep", "1000"]
    run = runtime.start_run(bundle)
    machines.wait_for_moment(run, 40, lambda: False)
    assert "caisson0" in plain.sh("ip link")
    run.send_signal(signal.SIGKILL)
    run.wait(WAIT_S)

    runtime.call("delete", "--force", bundle.id, timeout_s=WAIT_S)
    wait_until(plain.is_clean, WAIT_S, "the tap and its redirects to go")
    machines.wait_until_empty(bundle.linux.cgroups_path)


# ------------------------------------------------------------------------------------- at work


@pytest.mark.parametrize("victim", VICTIMS)
def test_an_exec_ends_with_its_machine(runtime, bundle, victim):
    """In the middle of its output, which is more than anybody holds."""
    runtime.run_detached(bundle)
    run = runtime.start_exec(bundle, ["sh", "-c", "echo here; exec cat /dev/zero"])
    assert run.read_line() == "here"
    supervisor = runtime.state(bundle).pid
    machines.kill(machines.find(supervisor, victim))

    run.finish(timeout_s=WAIT_S)
    assert run.returncode == 137, run.errors
    runtime.wait_for(bundle, "stopped", WAIT_S)
    machines.wait_until_empty(bundle.linux.cgroups_path)
    refused = runtime.exec(bundle, ["true"], check=False, timeout_s=WAIT_S)
    assert refused.returncode == 255 or "not running" in refused.stderr or "stopped" in refused.stderr, refused
    runtime.delete(bundle, timeout_s=WAIT_S)


@pytest.mark.parametrize("victim", VICTIMS)
def test_a_machine_that_is_killed_while_it_ends_keeps_nobody(runtime, bundle, victim):
    """virtiofsd, stopped, keeps what the container's end waits for; the machine is killed then."""
    run = runtime.start_run(bundle, ["sh", "-c", "exec 3>/file; read word; echo over >&3; exit 7"])
    wait_until(lambda: runtime.status(bundle) == "running", WAIT_S)
    supervisor = runtime.state(bundle).pid
    for pid in machines.below(supervisor):
        if machines.name_of(pid) == FILES:
            os.kill(pid, signal.SIGSTOP)
    run.popen.stdin.write(b"go\n")
    run.popen.stdin.flush()
    machines.kill(machines.find(supervisor, victim))

    assert run.wait(WAIT_S) in (7, 137)
    assert runtime.status(bundle) is None
    machines.wait_until_empty(bundle.linux.cgroups_path)


# ------------------------------------------------------------------------------------- from inside

# Zeros over the code of a process: whatever it does next, it dies of it.
CRASH = r"""
while read -r range mode rest; do
    case $mode in r-x*)
        start=$((0x${range%-*})); end=$((0x${range#*-}))
        dd if=/dev/zero of=/proc/1/mem bs=4096 seek=$((start / 4096)) count=$(((end - start) / 4096)) conv=notrunc;;
    esac
done </proc/1/maps
"""
POWER_OFF = "testinit syscall 169 0xfee1dead 672274793 0x4321fedc"  # reboot(2)
FREEZE = "mkdir /sys/fs/cgroup/stop; cd /sys/fs/cgroup/stop; echo 1 >cgroup.procs; echo 1 >cgroup.freeze"


@pytest.fixture
def opened(work_dir):
    """The environment of a configuration with the debug shell."""
    config = work_dir / "caisson.json"
    config.write_text('{"vm.debug_console": "true"}', encoding="ascii")
    return {"CAISSON_CONFIG": str(config)}


def start_shell(runtime, bundle, script):
    """A privileged program in the machine, which may take the machine along."""
    return runtime.start_call("debug", bundle.id, "console", "--", "/bin/sh", "-c", script)


@pytest.mark.parametrize("script,said", [
    (CRASH, "the guest's kernel has panicked: Attempted to kill init!"), (POWER_OFF, "QEMU ended with status 0")])
def test_an_agent_that_is_ended_from_inside_is_told(runtime, bundle, opened, script, said):
    run = runtime.start_run(bundle, ["sleep", "1000"], env=opened)
    wait_until(lambda: runtime.status(bundle) == "running", WAIT_S)
    shell = start_shell(runtime, bundle, script)

    assert run.wait(WAIT_S) == 137
    assert shell.wait(WAIT_S) != 0
    assert said in run.errors
    machines.wait_until_empty(bundle.linux.cgroups_path)


def test_an_agent_that_is_stopped_from_inside_is_found_out(runtime, bundle, opened):
    """Frozen by its own kernel, it has a machine that runs and says nothing."""
    run = runtime.start_run(bundle, ["sleep", "1000"], env=opened)
    wait_until(lambda: runtime.status(bundle) == "running", WAIT_S)
    start_shell(runtime, bundle, FREEZE)

    def over():
        runtime.ps(bundle, check=False, timeout_s=WAIT_S)
        return run.poll() is not None

    wait_until(over, WAIT_S, "the machine has ended")
    assert run.returncode == 137
    assert re.search(r"the agent .*(PS|PING)", run.errors), run.errors
    machines.wait_until_empty(bundle.linux.cgroups_path)
