# SPDX-License-Identifier: Apache-2.0
"""delete: give everything back (runtime.md#delete)."""

import os

import pytest

from lib import cgroups
from lib.runtime import refused, wait_until

pytestmark = pytest.mark.classes("ns", "sentry", "vm")


def test_delete_of_a_running_container_is_refused_and_it_runs_on(runtime, bundle):
    runtime.run_detached(bundle)

    result = runtime.delete(bundle, check=False)
    refused(runtime, result, f"cannot delete container {bundle.id} that is not stopped: running")
    assert runtime.status(bundle) == "running"


def test_delete_of_a_paused_container_is_refused(runtime, bundle):
    runtime.run_detached(bundle)
    runtime.pause(bundle)

    refused(runtime, runtime.delete(bundle, check=False), "that is not stopped: paused")


def test_delete_of_a_created_container_ends_it(runtime, bundle):
    runtime.create(bundle)
    pid = runtime.state(bundle).pid

    runtime.delete(bundle)
    assert runtime.status(bundle) is None
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"), what="its process is gone")


def test_delete_of_an_unknown_container_is_refused(runtime):
    refused(runtime, runtime.delete("nobody", check=False), "container does not exist")


@pytest.mark.parametrize("flag", ["-f", "--force"])
def test_forced_delete_of_an_unknown_container_succeeds(runtime, flag):
    runtime.delete("nobody", flag)


@pytest.mark.parametrize("flag", ["-f", "--force"])
def test_forced_delete_ends_a_running_container(runtime, bundle, flag):
    runtime.run_detached(bundle, ["testinit", "ignore"])

    runtime.delete(bundle, flag)
    assert runtime.status(bundle) is None
    assert runtime.container_ids() == []


def test_forced_delete_ends_a_paused_container(runtime, bundle):
    runtime.run_detached(bundle)
    runtime.pause(bundle)

    runtime.delete(bundle, "--force")
    assert runtime.status(bundle) is None


@pytest.mark.beyond("runc", layouts=["v2"], reason="leaves the cgroup")
def test_forced_delete_ends_processes_in_a_shared_pid_namespace(runtime, bundle):
    bundle.drop_namespace("pid")
    runtime.run_detached(bundle, ["testinit", "fork", "10"])
    runtime.wait_for_output(bundle, "forked 10\n")

    runtime.delete(bundle, "--force")
    assert runtime.status(bundle) is None


def test_delete_removes_every_cgroup(runtime, bundle):
    path = bundle.linux.cgroups_path
    runtime.run_detached(bundle, ["true"])
    runtime.wait_for(bundle, "stopped")
    assert any((top / path.lstrip("/")).exists() for top in cgroups.hierarchies())

    runtime.delete(bundle)
    assert not [top for top in cgroups.hierarchies() if (top / path.lstrip("/")).exists()]


def test_delete_removes_cgroups_that_somebody_made_below(runtime, bundle):
    runtime.run_detached(bundle, ["true"])
    runtime.wait_for(bundle, "stopped")
    below = cgroups.cgroup_dir(bundle.linux.cgroups_path, "freezer") / "below/deeper"
    below.mkdir(parents=True)

    runtime.delete(bundle)
    assert not below.exists()


def test_second_delete_is_refused_and_the_forced_one_is_not(runtime, bundle):
    runtime.run_detached(bundle, ["true"])
    runtime.wait_for(bundle, "stopped")
    runtime.delete(bundle)

    refused(runtime, runtime.delete(bundle, check=False), "container does not exist")
    runtime.delete(bundle, "--force")


@pytest.mark.beyond("crun", reason="names the missing status file")
def test_forced_delete_removes_a_half_made_state_directory(runtime, bundle):
    bundle.save()
    half = runtime.root / bundle.id
    half.mkdir(parents=True)

    runtime.delete(bundle, "--force")
    assert not half.exists()


def test_id_can_be_used_again_after_delete(runtime, bundle):
    for _ in range(3):
        runtime.run_detached(bundle, ["true"])
        runtime.wait_for(bundle, "stopped")
        runtime.delete(bundle)


def test_delete_keeps_the_bundle_and_the_rootfs(runtime, bundle):
    bundle.rootfs.write("data", "kept")
    runtime.run_detached(bundle, ["true"])
    runtime.wait_for(bundle, "stopped")

    runtime.delete(bundle)
    assert bundle.rootfs.read("data") == "kept"
    assert (bundle.path / "config.json").exists()


@pytest.mark.beyond("crun", reason="follows it")
def test_delete_does_not_follow_a_link_in_the_root(runtime, bundle, work_dir):
    precious = work_dir / "precious"
    precious.mkdir()
    (precious / "file").write_text("kept")
    runtime.root.mkdir(exist_ok=True)
    (runtime.root / "linked").symlink_to(precious)

    runtime.delete("linked", "--force", check=False)
    assert (precious / "file").read_text() == "kept"
    if os.path.lexists(runtime.root / "linked"):
        (runtime.root / "linked").unlink()


@pytest.mark.beyond("runc", reason="no --regex")
def test_regex_deletes_every_container_that_matches(runtime, make_bundle):
    first, second, other = make_bundle("web"), make_bundle("web"), make_bundle("db")
    for container in (first, second, other):
        runtime.run_detached(container, ["true"])
        runtime.wait_for(container, "stopped")

    runtime.call("delete", "--regex", "^web.*")
    assert [runtime.status(c) for c in (first, second, other)] == [None, None, "stopped"]


@pytest.mark.beyond("runc", reason="no --regex")
def test_forced_regex_deletes_running_containers(runtime, make_bundle):
    containers = [make_bundle("web"), make_bundle("web")]
    for container in containers:
        runtime.run_detached(container)

    runtime.call("delete", "--force", "--regex", "^web.*")
    assert [runtime.status(c) for c in containers] == [None, None]


def test_malformed_regex_deletes_nothing(runtime, bundle):
    runtime.run_detached(bundle, ["true"])

    assert runtime.call("delete", "--regex", "([", check=False).returncode != 0
    assert runtime.status(bundle) is not None
