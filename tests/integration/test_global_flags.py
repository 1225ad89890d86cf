# SPDX-License-Identifier: Apache-2.0
"""The flags before the verb, the version, the log and its forms."""

import datetime
import json
import re

import pytest

from lib.runtime import refused

pytestmark = pytest.mark.classes("ns", "sentry", "vm")


@pytest.mark.parametrize("flag", ["--version", "-v"])
def test_version_has_the_form_that_engines_parse(runtime, flag):
    if flag == "-v" and runtime.kind == "crun":
        flag = "-V"
    lines = runtime.call(flag).stdout.splitlines()

    assert re.fullmatch(r"[\w-]+ version \d+\.\d+\.\d+\S*", lines[0]), lines[0]
    assert [line for line in lines if re.fullmatch(r"spec: 1\.\d+\.\d+\S*", line)], lines


@pytest.mark.beyond("runc", "crun")
def test_version_names_caisson_and_libseccomp(runtime):
    text = runtime.version().stdout
    assert text.startswith("caisson version ")
    assert "spec: 1.3" in text and "libseccomp: 2." in text


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_names_every_verb(runtime, flag):
    if flag == "-h" and runtime.kind == "crun":
        flag = "-?"
    text = runtime.call(flag).stdout
    for verb in ("create", "start", "run", "state", "kill", "delete", "exec", "list", "ps", "pause", "resume",
                 "update", "spec"):
        assert re.search(rf"\b{verb}\b", text), verb


VERBS = ["create", "start", "run", "state", "kill", "delete", "exec", "list", "ps", "pause", "resume", "update",
         "events", "spec", "features", "do", "check", "config", "wait", "debug", "template"]


@pytest.mark.beyond("runc", "crun", reason="lack our own verbs")
@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_explains_itself(runtime, verb):
    result = runtime.call(verb, "--help")

    assert f"caisson {verb}" in result.stdout and result.stderr == ""
    assert len(result.stdout.splitlines()) >= 3


@pytest.mark.beyond("crun", reason="exits with 1")
def test_no_arguments_print_help(runtime):
    result = runtime.call(raw=[str(runtime.path)])

    assert "create" in result.stdout


@pytest.mark.beyond("crun", reason="exits with 1")
def test_unknown_verb_exits_3(runtime):
    result = runtime.call("no-such-verb", check=False)

    assert result.returncode == 3
    assert "no-such-verb" in result.stdout + result.stderr


@pytest.mark.beyond("crun", reason="exits with 64")
@pytest.mark.parametrize("args", [("--no-such-flag", "list"), ("list", "--no-such-flag"),
                                  ("state", "--no-such-flag", "c")])
def test_unknown_flag_exits_1_and_is_named(runtime, args):
    result = runtime.call(*args, check=False)

    assert result.returncode == 1
    assert "flag provided but not defined" in result.stdout + result.stderr
    assert "no-such-flag" in result.stdout + result.stderr


def test_flag_without_its_value_is_refused(runtime):
    assert runtime.call("list", "--format", check=False).returncode != 0


def test_root_flag_separates_containers(runtime, bundle, work_dir):
    runtime.create(bundle)
    other = work_dir / "other-root"

    result = runtime.call("list", "-q", global_flags=["--root", str(other)])
    assert result.stdout == ""
    assert runtime.list("-q").stdout.split() == [bundle.id]


def test_root_may_be_joined_by_an_equals_sign(runtime, bundle):
    runtime.create(bundle)

    result = runtime.call(raw=[str(runtime.path), f"--root={runtime.root}", "list", "-q"])
    assert result.stdout.split() == [bundle.id]


def test_root_directory_is_made_private(runtime, bundle):
    runtime.create(bundle)

    assert runtime.root.stat().st_mode & 0o066 == 0


def test_error_is_one_line_on_standard_error(runtime):
    result = runtime.state("nobody", check=False)

    assert result.stdout == "" and len(result.stderr.splitlines()) == 1


@pytest.mark.beyond("crun", reason="bare text")
def test_text_log_has_the_form_of_logrus(runtime):
    line = runtime.state("nobody", check=False).stderr.strip()

    match = re.fullmatch(r'time="([^"]+)" level=error msg="container does not exist"', line)
    assert match, line
    age = datetime.datetime.now(datetime.timezone.utc) - datetime.datetime.fromisoformat(
        match.group(1).replace("Z", "+00:00"))
    assert abs(age.total_seconds()) < 60


def read_log(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_json_log_has_the_lines_that_the_shim_reads(runtime, work_dir):
    log = work_dir / "log.json"

    result = runtime.state("nobody", check=False, global_flags=["--log", str(log), "--log-format", "json"])
    assert result.returncode == 1
    last = [line for line in read_log(log) if line["level"] == "error"][-1]
    assert set(last) >= {"level", "msg", "time"}
    assert "does not exist" in last["msg"] or runtime.kind == "crun"
    datetime.datetime.fromisoformat(last["time"].replace("Z", "+00:00"))


def test_log_file_is_appended_to(runtime, work_dir):
    log = work_dir / "log.json"
    flags = ["--log", str(log), "--log-format", "json"]
    for _ in range(3):
        runtime.state("nobody", check=False, global_flags=flags)

    assert len([line for line in read_log(log) if line["level"] == "error"]) == 3


@pytest.mark.beyond("crun", reason="keeps standard error empty")
def test_with_a_log_file_the_bare_message_is_still_on_standard_error(runtime, work_dir):
    result = runtime.state("nobody", check=False, global_flags=["--log", str(work_dir / "log")])

    assert result.stderr.strip() == "container does not exist"


def test_failing_create_logs_its_reason_for_the_engine(runtime, bundle, work_dir):
    log = work_dir / "log.json"
    bundle.root.path = "no-such-rootfs"

    runtime.create(bundle, check=False, global_flags=["--log", str(log), "--log-format", "json"])
    last = [line for line in read_log(log) if line["level"] == "error"][-1]
    assert "no-such-rootfs" in last["msg"]


@pytest.mark.beyond("crun", reason="opens the log later")
def test_odd_bytes_in_a_message_stay_valid_json(runtime, work_dir):
    log = work_dir / "log.json"

    runtime.call("create", "--bundle", '/no/such/"bundle"\n\u00fc\\', "c", check=False,
                 global_flags=["--log", str(log), "--log-format", "json"])
    assert [line for line in read_log(log) if line["level"] == "error"]


@pytest.mark.beyond("crun", reason="takes any")
def test_unknown_log_format_is_refused(runtime):
    result = runtime.list("-q", check=False, global_flags=["--log-format", "xml"])

    assert result.returncode == 1 and "xml" in result.stderr


def test_unwritable_log_is_an_error(runtime):
    result = runtime.list("-q", check=False, global_flags=["--log", "/no/such/dir/log"])

    assert result.returncode == 1 and "/no/such/dir/log" in result.stderr


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
@pytest.mark.beyond("runc", "crun", reason="no --log-level in these versions")
def test_log_level_is_accepted(runtime, bundle, level):
    assert runtime.run(bundle, ["echo", "x"], global_flags=["--log-level", level]).stdout == "x\n"


@pytest.mark.beyond("runc", "crun", reason="no --log-level in these versions")
def test_unknown_log_level_is_refused(runtime):
    result = runtime.list("-q", check=False, global_flags=["--log-level", "loud"])

    assert result.returncode == 1 and "loud" in result.stderr


def test_debug_adds_lines_below_error(runtime, bundle, work_dir):
    log = work_dir / "log.json"

    runtime.run(bundle, global_flags=["--debug", "--log", str(log), "--log-format", "json"])
    if runtime.kind != "crun":
        assert "debug" in {line["level"] for line in read_log(log)}


@pytest.mark.beyond("runc", "crun", reason="log other steps")
def test_debug_tells_each_step_of_a_life(runtime, bundle, work_dir):
    log = work_dir / "log.json"
    flags = {"global_flags": ["--debug", "--log", str(log), "--log-format", "json"]}
    bundle.hook("createRuntime", "/bin/true")
    bundle.process.args = ["sleep", "1000"]
    runtime.create(bundle, **flags)
    runtime.start(bundle, **flags)
    runtime.exec(bundle, ["true"], **flags)
    runtime.delete(bundle, "--force", **flags)

    text = [line["msg"] for line in read_log(log) if line["level"] == "debug" and bundle.id in line["msg"]]
    steps = ["is loaded", "is cloned", "namespaces are made", "cgroups are made", "createRuntime hooks have run",
             "root is entered", "waits for start", "program is executed", "made for exec", "exec is executed", "deleted"]
    for step in steps:
        assert [line for line in text if step in line], f"{step}: {text}"


def test_without_debug_a_good_run_logs_nothing(runtime, bundle, work_dir):
    log = work_dir / "log.json"

    result = runtime.run(bundle, global_flags=["--log", str(log), "--log-format", "json"])
    assert result.stderr == ""
    assert not log.exists() or log.read_text() == ""


@pytest.mark.beyond("runc", reason="needs systemd for the check itself")
@pytest.mark.parametrize("flags", [["--systemd-cgroup"], ["--cgroup-manager", "systemd"]])
def test_systemd_manager_without_systemd_is_a_clear_error(runtime, bundle, flags):
    bundle.linux.cgroups_path = "system.slice:caisson:c1"

    result = runtime.run(bundle, check=False, global_flags=flags)
    assert result.returncode == 1
    if runtime.kind == "caisson":
        assert "systemd" in result.stderr
    assert runtime.container_ids() == []


@pytest.mark.beyond("runc", reason="no --cgroup-manager")
def test_disabled_manager_makes_no_cgroup(runtime, bundle):
    from lib import cgroups

    bundle.linux.resources = {}
    before = cgroups.all_cgroups()
    runtime.run_detached(bundle, global_flags=["--cgroup-manager", "disabled"])

    assert cgroups.all_cgroups() == before
    runtime.kill(bundle, "KILL")
    runtime.wait_for(bundle, "stopped")
    runtime.delete(bundle)


@pytest.mark.beyond("runc", reason="no --cgroup-manager")
def test_cgroupfs_manager_is_the_default(runtime, bundle):
    assert runtime.run(bundle, ["echo", "x"], global_flags=["--cgroup-manager", "cgroupfs"]).stdout == "x\n"


@pytest.mark.beyond("runc", "crun", reason="take any")
@pytest.mark.parametrize("flags", [["--cgroup-manager", "other"], ["--rootless", "perhaps"]])
def test_unknown_value_of_a_choice_is_refused(runtime, flags):
    result = runtime.list("-q", check=False, global_flags=flags)

    assert result.returncode == 1 and flags[1] in result.stderr


@pytest.mark.parametrize("value", ["true", "false", "auto"])
@pytest.mark.beyond("crun", reason="undocumented there")
def test_rootless_takes_three_values(runtime, value):
    runtime.list("-q", global_flags=[f"--rootless={value}"])


@pytest.mark.parametrize("verb", ["state", "kill", "delete", "start", "pause", "resume", "ps", "events", "update"])
def test_every_verb_says_that_a_container_does_not_exist(runtime, verb):
    if verb == "events" and runtime.kind == "crun":
        pytest.skip("stand-in crun: has no events")
    refused(runtime, runtime.call(verb, "nobody", check=False), "container does not exist")
