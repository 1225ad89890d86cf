# SPDX-License-Identifier: Apache-2.0
"""Class vm: standard streams whose pipe is locked inside, by who moves bytes between it and a slow file: the kernel
lets nobody read, write or close such a pipe, whatever O_NONBLOCK says. The machine lives, nothing is lost."""

import shutil
import signal
import time

import pytest

from lib import programs, slowfs
from lib.runtime import wait_until
from test_vm_files import image

pytestmark = [pytest.mark.classes("vm"), pytest.mark.beyond("runc", "crun", reason="have no machines"),
              pytest.mark.timeout(600)]
CALL_S = 120
# Longer than an agent that is silent, and emulated, is borne with.
SILENCE_S = 8
LOCK_MEMORY = programs.REPO_DIR / "build/tests/unit/agent/lock-memory"


@pytest.fixture
def slow(bundle, work_dir):
    """/volume, whose files are answered when the test says so; all other files are the machine's own (an image)."""
    try:
        fs = slowfs.SlowFs(work_dir / "slow", ["other"])
    except OSError as failed:
        pytest.skip(f"no FUSE here ({failed}): CAVEATS.md#test-fuse")
    shutil.copy(LOCK_MEMORY, bundle.rootfs / "bin/lock-memory")
    (bundle.rootfs / "volume").mkdir(exist_ok=True)
    image(bundle, "erofs")
    bundle.bind(fs.path, "/volume")
    yield fs
    fs.close()


def outlive_silence(runtime, bundle, waiting):
    end = time.monotonic() + SILENCE_S
    while time.monotonic() < end:
        assert runtime.exec(bundle, ["echo", "beside"], timeout_s=CALL_S).stdout == "beside\n"
        runtime.call("events", "--stats", bundle.id, timeout_s=CALL_S)
        runtime.kill(bundle, "CONT", timeout_s=CALL_S)
        time.sleep(1)
    assert waiting.poll() is None
    assert runtime.status(bundle) == "running"


def test_output_out_of_a_slow_file_keeps_nobody_waiting(runtime, bundle, slow):
    runtime.run_detached(bundle)
    run = runtime.start_exec(bundle, ["cat", "/volume/other"])
    wait_until(lambda: slow.waiting, 60, "the file is being read")
    outlive_silence(runtime, bundle, run)
    slow.release()
    assert run.finish(timeout_s=CALL_S) == "s" * slowfs.SIZE
    assert run.wait() == 0


def test_who_reads_output_out_of_a_slow_page_may_go(runtime, bundle, slow):
    """The other end closes the pipe then."""
    runtime.run_detached(bundle)
    run = runtime.start_exec(bundle, ["lock-memory", "/volume/other", "write"])
    wait_until(lambda: slow.waiting, 60, "the page is being read")
    other = runtime.start_exec(bundle, ["sleep", "1000"])
    run.stdout.close()
    outlive_silence(runtime, bundle, other)
    slow.release()
    # The write that waited for the page has gone well, or nobody read any more.
    assert run.wait(CALL_S) in (0, 128 + signal.SIGPIPE)


def test_output_of_a_container_out_of_a_slow_file_keeps_nobody_waiting(runtime, bundle, slow):
    run = runtime.start_run(bundle, ["cat", "/volume/other"])
    wait_until(lambda: slow.waiting, 60, "the file is being read")
    outlive_silence(runtime, bundle, run)
    slow.release()
    assert run.finish(timeout_s=CALL_S) == "s" * slowfs.SIZE
    assert run.wait() == 0


def test_input_into_a_slow_page_keeps_nobody_waiting(runtime, bundle, slow):
    runtime.run_detached(bundle)
    run = runtime.start_exec(bundle, ["sh", "-c", "lock-memory /volume/other read && exec cat"])
    run.stdin.write(b"first ")
    run.stdin.flush()
    wait_until(lambda: slow.waiting, 60, "the page is being read")
    run.stdin.write(b"second ")
    run.stdin.flush()
    outlive_silence(runtime, bundle, run)
    slow.release()
    assert run.finish("third", timeout_s=CALL_S) == "first second third"
    assert run.wait() == 0


def test_a_container_whose_output_is_kept_is_deleted(runtime, bundle, slow):
    runtime.run_detached(bundle)
    run = runtime.start_exec(bundle, ["cat", "/volume/other"])
    wait_until(lambda: slow.waiting, 60, "the file is being read")
    runtime.call("delete", "--force", bundle.id, timeout_s=CALL_S)
    assert run.wait(CALL_S) != 0
    assert bundle.id not in runtime.container_ids()
