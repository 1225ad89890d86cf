# SPDX-License-Identifier: Apache-2.0
"""list: the containers below --root, as a table or as JSON."""

import json
import os
import shutil

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


@pytest.fixture
def in_root(runtime):
    """in_root(path, bundle): a running container below another root; deleted at the end."""
    made = []

    def run(root, container):
        os.makedirs(os.path.dirname(root), exist_ok=True)
        made.append((root, container))
        runtime.run_detached(container, None, global_flags=("--root", root))

    yield run
    for root, container in made:
        own(root, 0)
        runtime.call("delete", "--force", container.id, global_flags=("--root", root))
        shutil.rmtree(root)


def own(path, uid):
    """The tree is that user's."""
    for directory, names, files in os.walk(path):
        for name in (".", *names, *files):
            os.chown(os.path.join(directory, name), uid, uid, follow_symlinks=False)


OURS = pytest.mark.beyond("runc", "crun", reason="know one root")


@OURS
def test_all_roots_shows_what_engines_and_users_have_started(runtime, make_bundle, in_root):
    roots = ["/run/caisson", "/run/containerd/caisson/k8s.io", "/run/containerd/runc/default",
             "/run/docker/runtime-caisson/moby", "/run/user/4321/caisson"]
    here, *there = [make_bundle() for _ in range(len(roots) + 1)]
    runtime.run_detached(here)
    for root, container in zip(roots, there):
        in_root(root, container)
    own("/run/user/4321/caisson", 4321)

    entries = {e["id"]: e for e in runtime.list("--all-roots", "-f", "json").json}
    for root, container in zip([str(runtime.root), *roots], [here, *there]):
        entry = entries[container.id]
        assert (entry["root"], entry["isolation"], entry["status"]) == (root, runtime.isolation, "running")
    header, *rows = [line.split() for line in runtime.list("-A").stdout.splitlines()]
    assert header == ["ID", "CLASS", "PID", "STATUS", "CREATED", "OWNER", "ROOT"]
    assert {row[0]: row[-1] for row in rows} == {e["id"]: e["root"] for e in entries.values()}
    assert all(row[1] == runtime.isolation and row[3] == "running" for row in rows)
    assert set(runtime.list("-Aq").stdout.split()) == set(entries)
    # An engine's view stays that of its own root.
    assert runtime.list("-q").stdout.split() == [here.id]


@OURS
def test_ps_without_an_id_shows_what_lives(runtime, make_bundle, in_root):
    running, stopped, other = make_bundle(), make_bundle(), make_bundle()
    runtime.run_detached(running)
    runtime.run_detached(stopped, ["true"])
    runtime.wait_for(stopped, "stopped")
    in_root("/run/containerd/caisson/default", other)

    assert {e["id"] for e in runtime.call("ps", "-f", "json").json} == {running.id, other.id}
    assert [line.split()[0] for line in runtime.call("ps").stdout.splitlines()][0] == "ID"
    assert stopped.id in runtime.list("-Aq").stdout.split()


@OURS
def test_directories_of_other_runtimes_are_passed_over(runtime, bundle):
    runtime.run_detached(bundle)
    os.makedirs("/run/containerd/runc/others/abc")
    with open("/run/containerd/runc/others/abc/state.json", "w", encoding="utf-8") as f:
        json.dump({"id": "abc", "init_process_pid": 1}, f)

    result = runtime.list("--all-roots", "-q")
    assert (result.stdout.split(), result.stderr) == ([bundle.id], "")
    shutil.rmtree("/run/containerd/runc/others")


@pytest.fixture
def foreign():
    """foreign(root, id, **facts): a stopped container whose state.json somebody wrote by hand."""
    made = []

    def write(root, name, **facts):
        os.makedirs(f"{root}/{name}")
        made.append(root)
        state = {"stateVersion": 1, "ociVersion": "1.2.0", "id": name, "isolation": "ns", "bundle": "/b", "rootfs": "/b/r",
                 "created": "2026-11-21T10:00:00Z", "pid": 0, "startTime": 0, "owner": 0, **facts}
        with open(f"{root}/{name}/state.json", "w", encoding="utf-8") as f:
            json.dump(state, f)

    yield write
    for root in made:
        shutil.rmtree(root, ignore_errors=True)


def all_rows(runtime):
    """What `list --all-roots` says, by id; without a word to standard error."""
    result = runtime.list("--all-roots", "-f", "json")
    assert result.stderr == ""
    return {e["id"]: e for e in result.json or []}


@OURS
def test_all_roots_follows_no_link_of_a_user(runtime, foreign, tmp_path):
    secret, mine = str(tmp_path / "secret"), "/run/user/4321/caisson"
    foreign(secret, "hidden")
    foreign(mine, "seen")
    foreign(mine, "state")
    foreign(mine, "directory")
    os.chmod(secret, 0o700)
    os.unlink(f"{mine}/state/state.json")
    os.symlink(f"{secret}/hidden/state.json", f"{mine}/state/state.json")
    shutil.rmtree(f"{mine}/directory")
    os.symlink(f"{secret}/hidden", f"{mine}/directory")
    own(mine, 4321)
    os.makedirs("/run/user/4322")
    os.symlink(secret, "/run/user/4322/caisson")

    try:
        rows = all_rows(runtime)
    finally:
        shutil.rmtree("/run/user/4322")
    # It is the user's, whatever it says.
    assert {name: row["owner"] for name, row in rows.items()} == {"seen": "#4321"}


@OURS
def test_all_roots_gives_root_no_right_below_a_users_directory(runtime, foreign):
    """The directory in the user's is root's: still nothing that the user may not read."""
    mine = "/run/user/4321/caisson"
    foreign(mine, "hidden")
    os.chmod(f"{mine}/hidden/state.json", 0o600)

    assert not all_rows(runtime)


@OURS
def test_all_roots_prints_no_terminal_escape_of_a_user(runtime, foreign):
    mine = "/run/user/4321/caisson"
    foreign(mine, "honest")
    foreign(mine, "painter", created="\x1b]0;owned\x07\x1b[2J")
    foreign(mine, "liner", created="2026-11-21T10:00:00Z\nroot")
    own(mine, 4321)

    for result in (runtime.list("--all-roots"), runtime.call("ps")):
        assert all(c == "\n" or " " <= c <= "~" for c in result.stdout + result.stderr)
    assert [line.split()[0] for line in runtime.list("-A").stdout.splitlines()] == ["ID", "honest"]


@OURS
def test_a_user_cannot_hold_all_roots_up(runtime, foreign):
    """A fifo in the place of a state file, and a state file without an end."""
    mine = "/run/user/4321/caisson"
    foreign(mine, "honest")
    for name in ("fifo", "endless"):
        os.mkdir(f"{mine}/{name}")
    os.mkfifo(f"{mine}/fifo/state.json")
    with open(f"{mine}/endless/state.json", "wb") as f:
        f.truncate(1 << 33)
    own(mine, 4321)

    assert set(all_rows(runtime)) == {"honest"}
