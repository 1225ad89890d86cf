# SPDX-License-Identifier: Apache-2.0
"""ps: the processes of a container, with their pids in the runtime's namespace."""

import pytest

from lib.runtime import refused

pytestmark = pytest.mark.classes("ns", "sentry", "vm")


@pytest.fixture
def forked(runtime, bundle):
    """A container of four processes."""
    runtime.run_detached(bundle, ["testinit", "fork", "3"])
    runtime.wait_for_output(bundle, "forked 3\n")
    return bundle


@pytest.mark.parametrize("flag", ["-f", "--format"])
def test_json_lists_all_pids(runtime, forked, flag):
    pids = runtime.ps(forked, flag, "json").json

    assert set(pids) == runtime.inside(forked) and len(pids) == 4
    if runtime.isolation == "ns":
        assert runtime.state(forked).pid in pids


@pytest.mark.beyond("crun", reason="prints pids only")
def test_table_is_that_of_ps_ef(runtime, forked):
    header, *rows = [line.split() for line in runtime.ps(forked).stdout.splitlines()]

    assert header[:3] == ["UID", "PID", "PPID"] and header[-1] == "CMD"
    assert {int(row[1]) for row in rows} == runtime.inside(forked)
    assert all("testinit" in " ".join(row) for row in rows)


@pytest.mark.beyond("crun", reason="no ps options")
@pytest.mark.classes("ns", caveat="sentry-ps", vm_caveat="vm-ps")
def test_options_after_the_id_go_to_ps(runtime, forked):
    result = runtime.call("ps", forked.id, "-e", "-o", "pid,comm")

    header, *rows = [line.split() for line in result.stdout.splitlines()]
    assert header == ["PID", "COMMAND"]
    assert {row[1] for row in rows} == {"testinit"} and len(rows) == 4


@pytest.mark.beyond("crun", reason="no ps options")
@pytest.mark.classes("ns", caveat="sentry-ps", vm_caveat="vm-ps")
def test_options_without_a_pid_column_are_refused(runtime, forked):
    assert runtime.call("ps", forked.id, "-e", "-o", "comm", check=False).returncode == 1


def test_processes_of_exec_are_listed(runtime, bundle):
    runtime.run_detached(bundle)
    runtime.exec(bundle, ["sleep", "1000"], "-d")

    assert len(runtime.ps(bundle, "--format", "json").json) == 2


def test_ps_of_an_unknown_container_is_refused(runtime):
    refused(runtime, runtime.ps("nobody", check=False), "container does not exist")


def test_ps_of_a_stopped_container_lists_nobody(runtime, bundle):
    runtime.run_detached(bundle, ["true"])
    runtime.wait_for(bundle, "stopped")

    result = runtime.ps(bundle, "--format", "json", check=False)
    assert result.returncode == 1 or result.stdout.strip() in ("", "null", "[]")


def test_unknown_format_is_refused(runtime, forked):
    assert runtime.ps(forked, "--format", "xml", check=False).returncode != 0
