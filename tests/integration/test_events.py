# SPDX-License-Identifier: Apache-2.0
"""events: statistics and out-of-memory events as JSON lines."""

import json

import pytest

from lib.runtime import refused

pytestmark = [pytest.mark.classes("ns", "sentry", "vm"),
              pytest.mark.beyond("crun", reason="has no events")]
MIB = 1 << 20


def test_stats_prints_one_object_and_ends(runtime, bundle):
    runtime.run_detached(bundle)

    event = runtime.events(bundle, "--stats").json
    assert (event["type"], event["id"]) == ("stats", bundle.id)
    data = event["data"]
    for name in ("cpu", "memory", "pids", "blkio"):
        assert name in data, name


@pytest.mark.layouts("v1", "hybrid", "v2", controllers=True)
def test_stats_have_runcs_shape(runtime, bundle):
    bundle.linux.resources.memory.limit = 64 * MIB
    bundle.linux.resources.pids.limit = 50
    runtime.run_detached(bundle, ["testinit", "memory", str(8 * MIB)])
    runtime.wait_for_output(bundle, "held\n")

    data = runtime.events(bundle, "--stats").json["data"]
    assert data["memory"]["usage"]["limit"] == 64 * MIB
    assert 8 * MIB <= data["memory"]["usage"]["usage"] <= 64 * MIB
    assert data["memory"]["raw"]
    assert data["pids"] == {"current": 1, "limit": 50}
    assert data["cpu"]["usage"]["total"] > 0
    assert "throttling" in data["cpu"]
    assert {"kernel", "user"} <= set(data["cpu"]["usage"])


@pytest.mark.beyond("runc", layouts=["v2"], reason="needs the memory controller")
def test_interval_prints_an_object_each_time(runtime, bundle):
    runtime.run_detached(bundle)

    process = runtime.start_call("events", "--interval", "20ms", bundle.id)
    for _ in range(3):
        assert json.loads(process.read_line())["type"] == "stats"
    process.terminate()
    process.wait()


@pytest.mark.beyond("runc", layouts=["v2"], reason="needs the memory controller")
def test_events_end_when_the_container_is_deleted(runtime, bundle):
    runtime.run_detached(bundle)
    process = runtime.start_call("events", "--interval", "20ms", bundle.id)
    assert process.read_line()

    runtime.stop(bundle)
    process.finish()  # what it says meanwhile is read: a full pipe would hold it
    assert process.wait() == 0


@pytest.mark.layouts("v1", "hybrid", "v2", controllers=True)
def test_out_of_memory_is_an_event(runtime, bundle):
    bundle.linux.resources.memory.limit = 32 * MIB
    runtime.run_detached(bundle)
    process = runtime.start_call("events", "--interval", "100s", bundle.id)
    # runc prints nothing until then; an exec tells that its listener had time to register.
    for _ in range(20 if runtime.kind == "runc" else 3):
        runtime.exec(bundle, ["true"])

    runtime.exec(bundle, ["testinit", "memory", str(256 * MIB)], check=False)
    kinds = set()
    while "oom" not in kinds:
        line = process.read_line()
        assert line, "events ended without an oom event"
        kinds.add(json.loads(line)["type"])


def test_events_of_an_unknown_container_are_refused(runtime):
    refused(runtime, runtime.events("nobody", "--stats", check=False), "container does not exist")


def test_events_of_a_stopped_container_are_refused(runtime, bundle):
    runtime.run_detached(bundle, ["true"])
    runtime.wait_for(bundle, "stopped")

    refused(runtime, runtime.events(bundle, "--stats", check=False), "is not running")


@pytest.mark.parametrize("interval", ["0", "0s", "-1s", "soon"])
def test_malformed_interval_is_refused(runtime, bundle, interval):
    runtime.run_detached(bundle)

    result = runtime.events(bundle, "--interval", interval, check=False)
    assert result.returncode not in (0, None)
