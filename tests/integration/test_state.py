# SPDX-License-Identifier: Apache-2.0
"""state: the JSON that engines read (runtime.md#state)."""

import datetime
import os

import pytest

from lib.runtime import refused

pytestmark = pytest.mark.classes("ns", "sentry", "vm")


def test_state_has_the_fields_of_the_specification(runtime, bundle):
    bundle.annotations["org.example.key"] = "value"
    runtime.create(bundle)

    state = runtime.state(bundle).json
    assert state["ociVersion"].split(".")[0] == "1"
    assert state["id"] == bundle.id
    assert state["status"] == "created"
    assert isinstance(state["pid"], int) and state["pid"] > 0
    assert state["bundle"] == str(bundle.path)
    assert state["annotations"]["org.example.key"] == "value"


def test_state_has_runcs_own_fields(runtime, bundle):
    runtime.create(bundle)

    state = runtime.state(bundle).json
    assert state["rootfs"] == str(bundle.rootfs) or runtime.kind == "crun"
    assert state["owner"] in ("", "root")
    created = datetime.datetime.fromisoformat(state["created"][:19] + "+00:00")
    age = datetime.datetime.now(datetime.timezone.utc) - created
    assert abs(age.total_seconds()) < 60


@pytest.mark.classes("ns", caveat="sentry-host-view", vm_caveat="vm-host-view")
def test_pid_is_the_process_in_the_runtimes_namespace(runtime, bundle):
    runtime.run_detached(bundle, ["sleep", "1000"])

    pid = runtime.state(bundle).pid
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        assert file.read() == b"sleep\x001000\x00"


def test_stopped_container_has_pid_0(runtime, bundle):
    runtime.run_detached(bundle, ["true"])
    runtime.wait_for(bundle, "stopped")

    assert runtime.state(bundle).pid == 0


def test_paused_container_says_so(runtime, bundle):
    runtime.run_detached(bundle)
    runtime.pause(bundle)

    assert runtime.status(bundle) == "paused"


def test_state_of_an_unknown_container_is_refused(runtime):
    refused(runtime, runtime.state("nobody", check=False), "container does not exist")


@pytest.mark.parametrize("name", ["a/b", "../../etc", "."])
def test_state_of_a_malformed_id_reads_nothing_outside_the_root(runtime, name):
    assert runtime.state(name, check=False).returncode == 1


def test_state_needs_exactly_one_id(runtime, bundle):
    runtime.create(bundle)

    assert runtime.call("state", check=False).returncode != 0
    assert runtime.call("state", bundle.id, "extra", check=False).returncode != 0


def test_a_reused_pid_does_not_make_a_stopped_container_run(runtime, bundle):
    runtime.run_detached(bundle, ["true"])
    runtime.wait_for(bundle, "stopped")
    with open("/proc/sys/kernel/ns_last_pid", "w", encoding="ascii") as file:
        file.write("100")
    process = os.fork()
    if process == 0:
        os._exit(0)
    os.waitpid(process, 0)

    assert runtime.status(bundle) == "stopped"


def test_state_directory_is_private(runtime, bundle):
    runtime.create(bundle)

    mode = os.stat(runtime.root / bundle.id).st_mode & 0o777
    assert mode & 0o066 == 0, oct(mode)
