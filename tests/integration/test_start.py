# SPDX-License-Identifier: Apache-2.0
"""start: run the program of a created container (runtime.md#start)."""

import pytest

from lib.runtime import refused

pytestmark = pytest.mark.classes("ns", "sentry", "vm")


def test_start_of_an_unknown_container_is_refused(runtime):
    refused(runtime, runtime.start("nobody", check=False), "container does not exist")


def test_start_of_a_running_container_is_refused_and_it_runs_on(runtime, bundle):
    runtime.run_detached(bundle)

    refused(runtime, runtime.start(bundle, check=False), "cannot start an already running container")
    assert runtime.status(bundle) == "running"


def test_start_of_a_stopped_container_is_refused(runtime, bundle):
    runtime.create(bundle)
    runtime.kill(bundle, "KILL")
    runtime.wait_for(bundle, "stopped")

    refused(runtime, runtime.start(bundle, check=False), "cannot start a container that has stopped")


def test_second_start_after_the_end_is_refused(runtime, bundle):
    runtime.create(bundle)
    runtime.start(bundle)
    runtime.wait_for(bundle, "stopped")

    assert runtime.start(bundle, check=False).returncode == 1


def test_start_needs_exactly_one_id(runtime, bundle):
    runtime.create(bundle)

    assert runtime.call("start", check=False).returncode != 0
    assert runtime.call("start", bundle.id, "extra", check=False).returncode != 0
    assert runtime.status(bundle) == "created"


def test_program_gets_the_standard_streams_of_create(runtime, bundle):
    bundle.process.args = ["sh", "-c", "cat; echo to-stderr >&2"]

    created = runtime.create(bundle, stdin="from stdin\n")
    runtime.start(bundle)
    runtime.wait_for(bundle, "stopped")
    assert created.stdout == "from stdin\n"
    assert created.stderr == "to-stderr\n"


def test_start_from_another_directory_and_after_the_config_is_gone(runtime, bundle):
    bundle.process.args = ["echo", "hello"]
    runtime.create(bundle)
    (bundle.path / "config.json").unlink()

    runtime.start(bundle, cwd="/")
    runtime.wait_for(bundle, "stopped")
    assert runtime.output(bundle) == "hello\n"
