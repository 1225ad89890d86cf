# SPDX-License-Identifier: Apache-2.0
"""create: the container exists, its program has not started (runtime.md#create)."""

import os
import pathlib

import pytest

from lib.runtime import refused, wait_until

pytestmark = pytest.mark.classes("ns", "sentry", "vm")


def test_create_does_not_run_the_program_before_start(runtime, bundle):
    bundle.process.args = ["testinit", "write", "/started", "yes"]

    runtime.create(bundle)
    assert runtime.state(bundle).status == "created"
    assert not bundle.rootfs.exists("started")
    runtime.start(bundle)
    runtime.wait_for(bundle, "stopped")
    assert bundle.rootfs.read("started") == "yes"


def test_pid_file_holds_the_pid_of_the_state_without_a_newline(runtime, bundle):
    pid_file = bundle.path / "pid"

    runtime.create(bundle, "--pid-file", pid_file)
    assert pid_file.read_text() == str(runtime.state(bundle).pid)
    os.kill(int(pid_file.read_text()), 0)


def test_unwritable_pid_file_is_an_error_and_leaves_nothing(runtime, bundle):
    result = runtime.create(bundle, "--pid-file", "/nonexistent/pid", check=False)

    assert result.returncode == 1 and "/nonexistent" in result.stderr
    assert runtime.container_ids() == []


def test_bundle_defaults_to_the_current_directory(runtime, bundle):
    bundle.save()

    runtime.call("create", bundle.id, cwd=bundle.path)
    state = runtime.state(bundle)
    assert (state.status, state.bundle) == ("created", str(bundle.path))


@pytest.mark.parametrize("flag", ["-b", "--bundle"])
def test_bundle_may_be_a_relative_path(runtime, bundle, flag):
    bundle.save()

    runtime.call("create", flag, bundle.path.name, bundle.id, cwd=bundle.path.parent)
    assert runtime.state(bundle).bundle == str(bundle.path)


def test_flag_value_may_be_joined_by_an_equals_sign(runtime, bundle):
    bundle.save()

    runtime.call("create", f"--bundle={bundle.path}", bundle.id)
    assert runtime.status(bundle) == "created"


def test_second_container_of_the_same_id_is_refused_and_the_first_lives_on(runtime, bundle, make_bundle):
    runtime.create(bundle)
    other = make_bundle()
    other.id = bundle.id

    refused(runtime, runtime.create(other, check=False), "container with given ID already exists")
    refused(runtime, runtime.run(other, check=False), "container with given ID already exists")
    runtime.start(bundle)
    runtime.wait_for(bundle, "stopped")


@pytest.mark.parametrize("name", ["", "a/b", "../x", "/", ".", ".."])
def test_id_that_is_no_file_name_is_refused(runtime, bundle, name):
    bundle.save()

    result = runtime.call("create", "--bundle", bundle.path, "--", name, check=False)
    assert result.returncode not in (0, None)
    assert runtime.container_ids() == []


@pytest.mark.beyond("crun", reason="only refuses slashes")
@pytest.mark.parametrize("name", ["a/b", "..", "a b", "a\nb", "caf\u00e9", "a*", "a:b", "a\\b"])
def test_malformed_id_is_refused_in_runcs_words(runtime, bundle, name):
    bundle.save()

    result = runtime.call("create", "--bundle", bundle.path, "--", name, check=False)
    refused(runtime, result, "invalid container ID format")
    assert runtime.container_ids() == []


@pytest.mark.parametrize("name", ["a", "A.b", "a_b+c-d", "0", "x" * 200, "a..b", "_a"])
def test_id_may_use_letters_digits_and_four_marks(runtime, bundle, name):
    bundle.id = name

    runtime.create(bundle)
    assert runtime.state(bundle).id == name


def test_overlong_id_is_an_error_and_leaves_nothing(runtime, bundle):
    bundle.id = "x" * 1025

    result = runtime.create(bundle, check=False)
    assert result.returncode == 1
    assert runtime.container_ids() == []


def test_missing_bundle_is_named(runtime):
    result = runtime.call("create", "--bundle", "/nonexistent/bundle", "c", check=False)

    assert result.returncode == 1 and "/nonexistent/bundle" in result.stderr


def test_missing_config_is_named(runtime, bundle):
    result = runtime.create(bundle, save=False, check=False)

    refused(runtime, result, "config.json")
    assert runtime.container_ids() == []


def test_missing_rootfs_is_an_error_and_leaves_nothing(runtime, bundle):
    bundle.root.path = "no-such-rootfs"

    result = runtime.create(bundle, check=False)
    assert result.returncode == 1 and "no-such-rootfs" in result.stderr
    assert runtime.container_ids() == []


def test_absolute_rootfs_path_works(runtime, bundle, make_bundle):
    bundle.root.path = str(make_bundle().rootfs)

    assert runtime.run(bundle, ["echo", "hello"]).stdout == "hello\n"


@pytest.mark.beyond("crun", reason="reports it at start")
def test_missing_executable_fails_create_and_leaves_nothing(runtime, bundle):
    bundle.process.args = ["/no/such/program"]

    result = runtime.create(bundle, check=False)
    refused(runtime, result, '"/no/such/program"')
    assert "no such file or directory" in result.stderr
    assert runtime.container_ids() == []


def test_too_many_arguments_are_refused(runtime, bundle):
    bundle.save()

    result = runtime.call("create", "--bundle", bundle.path, bundle.id, "extra", check=False)
    assert result.returncode != 0


def test_missing_id_is_refused(runtime, bundle):
    bundle.save()

    result = runtime.call("create", "--bundle", bundle.path, check=False)
    assert result.returncode != 0


@pytest.mark.parametrize("flag", ["--no-pivot", "--no-new-keyring"])
def test_rare_flags_make_a_working_container(runtime, bundle, flag):
    bundle.process.args = ["echo", "works"]

    runtime.create(bundle, flag)
    runtime.start(bundle)
    runtime.wait_for(bundle, "stopped")
    assert runtime.output(bundle) == "works\n"


@pytest.mark.beyond("runc", reason="no --config")
def test_config_flag_names_another_file(runtime, bundle):
    bundle.process.args = ["echo", "other config"]
    path = bundle.save("other.json")

    runtime.call("create", "--bundle", bundle.path, "--config", path, bundle.id)
    state = runtime.state(bundle)
    assert state.status == "created" and not (bundle.path / "config.json").exists()


@pytest.mark.beyond("runc", reason="no --config")
@pytest.mark.parametrize("flag", ["-f", "--config"])
def test_run_reads_the_config_that_its_flag_names(runtime, bundle, flag):
    bundle.process.args = ["echo", "other config"]
    path = bundle.save("other.json")

    result = runtime.call("run", "--bundle", bundle.path, flag, path, bundle.id)
    assert result.stdout == "other config\n"


@pytest.mark.beyond("runc", "crun", reason="no --pidfd-socket")
def test_pidfd_socket_receives_a_pidfd_of_the_container(runtime, bundle, work_dir):
    from lib.console import FdSocket

    bundle.process.args = ["sleep", "1000"]
    server = FdSocket(work_dir / "pidfd.sock")
    try:
        runtime.create(bundle, "--pidfd-socket", server.path)
        fds, _ = server.receive()
        assert len(fds) == 1
        info = pathlib.Path(f"/proc/self/fdinfo/{fds[0]}").read_text()
        assert f"Pid:\t{runtime.state(bundle).pid}\n" in info
    finally:
        server.close()


def test_the_created_process_waits_without_using_the_processor(runtime, bundle):
    runtime.create(bundle)
    pid = runtime.state(bundle).pid

    wait_until(lambda: pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "S",
               what="the created process sleeps")


def test_config_changed_after_create_has_no_effect(runtime, bundle):
    bundle.process.args = ["echo", "first"]
    runtime.create(bundle)
    bundle.process.args = ["echo", "second"]
    bundle.save()

    runtime.start(bundle)
    runtime.wait_for(bundle, "stopped")
    assert runtime.output(bundle) == "first\n"


@pytest.mark.parametrize("new_pid_namespace", [True, False])
def test_create_that_wants_anothers_cgroup_is_refused_and_the_other_lives(runtime, make_bundle, new_pid_namespace):
    first, second = make_bundle(), make_bundle()
    second.linux.cgroups_path = first.linux.cgroups_path
    if not new_pid_namespace:
        second.drop_namespace("pid")
    runtime.run_detached(first)

    result = runtime.create(second, check=False)
    assert result.returncode == 1 and "not empty" in result.stderr
    assert runtime.container_ids() == [first.id]
    assert runtime.status(first) == "running"
