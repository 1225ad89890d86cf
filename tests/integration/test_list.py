# SPDX-License-Identifier: Apache-2.0
"""list: the containers below --root, as a table or as JSON."""

import json
import os

import pytest

pytestmark = pytest.mark.classes("ns", "sentry", "vm")


def test_empty_root_lists_nothing(runtime):
    assert runtime.list("--quiet").stdout == ""
    assert runtime.list("-f", "json").json in (None, [])
    assert len(runtime.list().stdout.splitlines()) == 1


@pytest.mark.beyond("crun", reason="another header")
def test_table_has_runcs_header_and_a_row_for_each_container(runtime, make_bundle):
    running, stopped = make_bundle(), make_bundle()
    runtime.run_detached(running)
    runtime.run_detached(stopped, ["true"])
    runtime.wait_for(stopped, "stopped")

    header, *rows = [line.split() for line in runtime.list().stdout.splitlines()]
    assert header == ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]
    found = {row[0]: row for row in rows}
    assert set(found) == {running.id, stopped.id}
    assert found[running.id][1:4] == [str(runtime.state(running).pid), "running", str(running.path)]
    assert found[stopped.id][1:4] == ["0", "stopped", str(stopped.path)]
    assert found[running.id][5] == "root"


@pytest.mark.beyond("crun", reason="columns of fixed width")
def test_columns_of_the_table_are_aligned(runtime, make_bundle):
    for name in ("short", "a-much-longer-name-than-the-other"):
        runtime.create(make_bundle(name))

    lines = runtime.list().stdout.splitlines()
    column = lines[0].index("STATUS")
    assert all(line[column:].startswith("created") for line in lines[1:])


@pytest.mark.parametrize("flag", ["-f", "--format"])
def test_json_has_the_state_of_each_container(runtime, bundle, flag):
    bundle.annotations["key"] = "value"
    runtime.run_detached(bundle)

    (entry,) = runtime.list(flag, "json").json
    state = runtime.state(bundle).json
    for name in ("id", "pid", "status", "bundle"):
        assert entry[name] == state[name]
    assert entry["owner"] == "root"


@pytest.mark.beyond("crun", reason="fewer fields")
def test_json_has_all_of_runcs_fields(runtime, bundle):
    runtime.create(bundle)

    (entry,) = runtime.list("--format", "json").json
    assert {"ociVersion", "id", "pid", "status", "bundle", "rootfs", "created", "owner"} <= set(entry)


@pytest.mark.parametrize("flag", ["-q", "--quiet"])
def test_quiet_prints_ids_only(runtime, make_bundle, flag):
    containers = [make_bundle() for _ in range(3)]
    for container in containers:
        runtime.create(container)

    assert sorted(runtime.list(flag).stdout.split()) == sorted(c.id for c in containers)


def test_unknown_format_is_refused(runtime):
    assert runtime.list("--format", "yaml", check=False).returncode == 1


def test_missing_root_is_an_empty_list(runtime):
    assert not runtime.root.exists()

    assert runtime.list("-q").stdout == ""


@pytest.mark.beyond("runc", "crun", reason="runc logs an error for it, crun ends there")
def test_broken_state_directory_does_not_hide_the_others(runtime, bundle):
    runtime.create(bundle)
    os.mkdir(runtime.root / "half-made")
    (runtime.root / "stray-file").write_text("")

    result = runtime.list("-q")
    assert bundle.id in result.stdout.split()
    os.rmdir(runtime.root / "half-made")
    os.unlink(runtime.root / "stray-file")


@pytest.mark.beyond("crun", reason="opens two descriptors for each container")
def test_list_needs_no_descriptors_for_each_container(runtime, make_bundle):
    bundles = [make_bundle() for _ in range(12)]
    for container in bundles:
        runtime.run_detached(container)

    result = runtime.call("list", "-f", "json", prefix=["bash", "-c", 'ulimit -n 16; exec "$@"', "few"])
    assert {c["id"]: c["status"] for c in json.loads(result.stdout)} == {b.id: "running" for b in bundles}
    assert result.stderr == ""
