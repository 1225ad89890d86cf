# SPDX-License-Identifier: Apache-2.0
"""`caisson debug ID console`: a program of the container's files in its machine, with all rights there, for those whose
configuration allows it."""

import os
import pty

import pytest

from lib.runtime import refused, wait_until

pytestmark = [pytest.mark.classes("vm"), pytest.mark.beyond("runc", "crun", reason="have no machines")]
CALL_S = 120


@pytest.fixture
def allowed(runtime, bundle, work_dir):
    """A container that was started with vm.debug_console."""
    config = work_dir / "caisson.json"
    config.write_text('{"vm.debug_console": "true"}', encoding="ascii")
    runtime.run_detached(bundle, env={"CAISSON_CONFIG": str(config)})
    return bundle


def shell(runtime, bundle, script, **options):
    return runtime.call("debug", bundle.id, "console", "--", "/bin/sh", "-c", script, timeout_s=CALL_S, **options)


def test_no_shell_without_the_configurations_word(runtime, bundle):
    runtime.run_detached(bundle)
    refused(runtime, shell(runtime, bundle, "true", check=False), "vm.debug_console")


def test_an_annotation_that_is_not_allowed_opens_no_shell(runtime, bundle):
    bundle.annotations["io.caisson.vm.debug_console"] = "true"
    refused(runtime, runtime.run(bundle, check=False), "io.caisson.vm.debug_console")
    assert runtime.container_ids() == []


def test_serial_line_and_log_have_what_the_kernel_says(runtime, allowed):
    shell(runtime, allowed, "echo '<1>caisson: words of a test' >/dev/kmsg")
    for topic in ("serial", "dmesg"):
        wait_until(lambda what=topic: "words of a test" in runtime.call("debug", allowed.id, what).stdout, 60)


def test_the_shell_is_in_the_machine_and_not_in_the_container(runtime, allowed):
    done = shell(runtime, allowed, "cat /proc/1/comm; ls -d /sys/class/virtio-ports/*; grep Cap /proc/self/status; "
                                   "grep Seccomp: /proc/self/status; cat /proc/self/cgroup; ls /dev/vport*")
    lines = done.stdout.split("\n")
    assert lines[0] == "caisson-agent"
    assert "/sys/class/virtio-ports" in done.stdout and "/dev/vport" in done.stdout
    assert "Seccomp:\t0" in lines
    assert f"0::/caisson-shells/{allowed.id}" in lines
    caps = next(int(line.split()[1], 16) for line in lines if line.startswith("CapEff"))
    # Less what the runtime itself has not, here in the lane.
    assert all(caps >> number & 1 for number in (12, 19, 21)), "CAP_NET_ADMIN, CAP_SYS_PTRACE, CAP_SYS_ADMIN"
    # Nothing of it is seen in the container.
    assert runtime.exec(allowed, ["cat", "/proc/1/comm"], timeout_s=CALL_S).stdout != "caisson-agent\n"


def test_the_shell_has_a_terminal(runtime, allowed):
    ours, theirs = pty.openpty()
    run = runtime.start_call("debug", allowed.id, "console", stdin=theirs, stdout=theirs)
    os.close(theirs)
    os.write(ours, b"tty; exit 3\n")
    text = b""

    def seen():
        nonlocal text
        try:
            text += os.read(ours, 4096)
        except OSError:
            return True
        return b"/dev/" in text

    wait_until(seen, 60, "the shell says what its terminal is")
    assert run.wait(CALL_S) == 3
    os.close(ours)
    assert b"/dev/" in text


def test_what_a_root_file_system_leads_elsewhere_is_no_place_of_the_shells(runtime, bundle, work_dir):
    """The container has made /sys a link: nothing of the machine is mounted where it leads."""
    config = work_dir / "caisson.json"
    config.write_text('{"vm.debug_console": "true"}', encoding="ascii")
    runtime.run_detached(bundle, env={"CAISSON_CONFIG": str(config)})
    out = shell(runtime, bundle, "ls /sys").stdout
    assert "kernel" in out
    os.rename(bundle.path / "rootfs" / "sys", bundle.path / "rootfs" / "old")
    (bundle.path / "rootfs" / "elsewhere").mkdir()
    os.symlink("/elsewhere", bundle.path / "rootfs" / "sys")
    assert shell(runtime, bundle, "ls /elsewhere; cat /proc/1/comm").stdout == "caisson-agent\n"


def test_the_shell_has_the_containers_limits(runtime, bundle, work_dir):
    config = work_dir / "caisson.json"
    config.write_text('{"vm.debug_console": "true"}', encoding="ascii")
    bundle.linux.resources.memory.limit = 96 << 20
    bundle.linux.resources.pids.limit = 50
    runtime.run_detached(bundle, env={"CAISSON_CONFIG": str(config)})
    at = f"/sys/fs/cgroup/caisson-shells/{bundle.id}"
    assert shell(runtime, bundle, f"cat {at}/memory.max {at}/pids.max").stdout.split() == [str(96 << 20), "50"]


def test_an_update_is_one_of_a_shell_that_runs(runtime, bundle, work_dir):
    config = work_dir / "caisson.json"
    config.write_text('{"vm.debug_console": "true"}', encoding="ascii")
    bundle.linux.resources.pids.limit = 50
    runtime.run_detached(bundle, env={"CAISSON_CONFIG": str(config)})
    limit = f"/sys/fs/cgroup/caisson-shells/{bundle.id}/pids.max"
    run = runtime.start_call("debug", bundle.id, "console", "--", "/bin/sh", "-c",
                             f"cat {limit}; while ! grep -q 40 {limit}; do sleep 0.1; done")
    assert run.read_line() == "50"
    runtime.call("update", "--pids-limit", "40", bundle.id)
    assert run.wait(CALL_S) == 0
