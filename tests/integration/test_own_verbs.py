# SPDX-License-Identifier: Apache-2.0
"""The verbs that runc does not have, besides do: check, config, wait, debug collect."""

import json
import os
import tarfile
import time

import pytest

from lib import cgroups
from lib.runtime import refused, wait_until

pytestmark = [pytest.mark.classes("ns", "sentry", "vm"),
              pytest.mark.beyond("runc", "crun", reason="have no such verb")]


def test_check_says_for_each_class_what_the_host_can_do(runtime):
    text = runtime.call("check", check=False).stdout

    for name in ("ns", "sentry", "vm"):
        assert f"class {name}:" in text


def test_check_json_has_an_entry_for_each_class(runtime):
    answer = runtime.call("check", "--json", check=False).json

    for name in ("ns", "sentry", "vm"):
        entry = answer["classes"][name]
        assert isinstance(entry["works"], bool)
        assert entry["checks"]
        for probe in entry["checks"]:
            assert probe["name"] and probe["result"] and probe["detail"]
            assert isinstance(probe["required"], bool)
            fine = probe["result"] == "ok" or probe["name"] == "built"
            assert fine or probe.get("remedy"), f"no way to get it: {probe}"


def test_node_labels_are_lines_for_kubectl(runtime):
    classes = runtime.call("check", "--json", check=False).json["classes"]

    labels = dict(line.split("=") for line in runtime.call("check", "--node-labels").stdout.splitlines())
    for name, entry in classes.items():
        assert labels.pop("caisson.io/" + name) == str(entry["works"]).lower()
        assert labels.pop(f"caisson.io/{name}-accelerator", None) == entry.get("accelerator")
    assert labels == {}


@pytest.mark.classes("ns", "sentry", "vm")
def test_check_finds_class_ns_available_here(runtime):
    assert runtime.call("check", "--json", check=False).json["classes"]["ns"]["works"] is True


@pytest.mark.classes("ns", "sentry", "vm")
def test_check_exits_0_where_class_ns_works(runtime):
    assert runtime.call("check", "--json").json["classes"]["ns"]["works"] is True


@pytest.mark.classes("vm")
@pytest.mark.parametrize("key,value,item,words", [
    ("vm.kernel", "/nowhere/vmlinux", "kernel", "/nowhere/vmlinux"),
    ("vm.image", "/nowhere/image", "image", "/nowhere/image"),
    ("vm.qemu", "/nowhere/qemu", "qemu", "/nowhere/qemu"),
    ("vm.virtiofsd", "/nowhere/virtiofsd", "virtiofsd", "/nowhere/virtiofsd"),
    ("vm.memory", "1", "settings", "vm.memory"),
])
def test_check_finds_what_keeps_machines_from_starting(runtime, bundle, work_dir, key, value, item, words):
    config = work_dir / "caisson.json"
    config.write_text(json.dumps({key: value}))
    env = {"CAISSON_CONFIG": str(config)}

    entry = runtime.call("check", "--json", check=False, env=env).json["classes"]["vm"]

    assert entry["works"] is False
    assert [one["name"] for one in entry["checks"] if one["required"] and one["result"] == "missing"] == [item]
    refused(runtime, runtime.run(bundle, ["true"], check=False, env=env), words)


def test_check_lets_programs_inherit_nothing(runtime, work_dir):
    """Of the descriptors that the runtime has from its caller, the sentinel among them."""
    program = work_dir / "qemu"
    program.write_text("#!/bin/sh\necho $(ls /proc/$$/fd)\n")
    program.chmod(0o755)
    config = work_dir / "caisson.json"
    config.write_text(json.dumps({"vm.qemu": str(program)}))

    answer = runtime.call("check", "--json", check=False, env={"CAISSON_CONFIG": str(config)}).json
    detail, = (one["detail"] for one in answer["classes"]["vm"]["checks"] if one["name"] == "qemu")
    said = detail.removeprefix(f"{program} (").removesuffix(")").split()
    assert {"0", "1", "2"} <= set(said) and str(runtime.sentinel) not in said


def test_check_says_that_a_configuration_is_wrong(runtime, work_dir):
    config = work_dir / "caisson.json"
    config.write_text('{"vm.machine": "pc"}')

    result = runtime.call("check", check=False, env={"CAISSON_CONFIG": str(config)})

    assert "class ns:" in result.stdout
    assert "vm.machine" in result.stderr


@pytest.mark.classes("vm")
@pytest.mark.parametrize("accel", ["auto", "kvm", "tcg"])
def test_check_says_how_machines_are_run(runtime, bundle, work_dir, accel):
    config = work_dir / "caisson.json"
    config.write_text(json.dumps({"vm.accel": accel}))
    env = {"CAISSON_CONFIG": str(config)}

    entry = runtime.call("check", "--json", check=False, env=env).json["classes"]["vm"]
    result = runtime.run(bundle, ["true"], check=False, env=env)

    kvm = next(one for one in entry["checks"] if one["name"] == "kvm")
    assert kvm["required"] is (accel == "kvm")
    assert ("vm.accel" in kvm["detail"]) is (accel == "tcg" or (accel == "kvm" and kvm["result"] == "missing"))
    assert entry["works"] is (result.returncode == 0)


def test_check_leaves_nothing_and_needs_no_root_directory(runtime):
    runtime.call("check", check=False)

    assert not runtime.root.exists()


def test_config_shows_each_value_with_its_origin(runtime):
    text = runtime.call("config").stdout

    assert "isolation" in text and "root" in text
    assert "default" in text


def test_config_json_names_the_flag_as_source(runtime):
    answer = runtime.call("config", "--json", global_flags=["--log-format", "json"]).json

    assert answer["root"] == {"value": str(runtime.root), "source": "flag"}
    assert answer["log_format"] == {"value": "json", "source": "flag"}
    assert answer["cgroup_manager"]["source"] == "default"


def test_config_names_the_file_that_a_value_comes_from(runtime, work_dir):
    for name in ("upper", "work"):
        (work_dir / name).mkdir()
    script = (f"mount -t overlay none -o lowerdir=/etc,upperdir={work_dir}/upper,workdir={work_dir}/work /etc && "
              "mkdir -p /etc/caisson && echo '{\"log_level\": \"warning\"}' > /etc/caisson/caisson.json && exec \"$@\"")

    answer = runtime.call(raw=["unshare", "-m", "env", "-u", "CAISSON_CONFIG", "sh", "-c", script, "etc",
                               *runtime.argv("config", "--json")]).json
    assert answer["log_level"]["value"] == "warning"
    assert "/etc/caisson/caisson.json" in answer["log_level"]["source"]


def test_wait_ends_with_the_container_and_tells_what_it_knows(runtime, bundle):
    runtime.run_detached(bundle, ["sh", "-c", "trap 'exit 9' TERM; touch /ready; while :; do sleep 0.01; done"])
    process = runtime.start_call("wait", bundle.id)

    wait_until((bundle.rootfs / "ready").exists, 30)
    runtime.kill(bundle, "TERM")
    # The kernel tells an exit status to the parent alone.
    assert process.finish().strip() in ("9", "unknown")
    assert process.returncode == 0
    assert runtime.status(bundle) == "stopped"


def test_wait_ends_when_the_container_is_killed(runtime, bundle):
    runtime.run_detached(bundle)
    process = runtime.start_call("wait", bundle.id)

    time.sleep(0.02)
    assert process.poll() is None
    runtime.kill(bundle, "KILL")
    assert process.wait() == 0


def test_wait_for_an_unknown_container_is_refused(runtime):
    refused(runtime, runtime.call("wait", "nobody", check=False), "container does not exist")


def test_debug_collect_makes_one_archive_for_a_bug_report(runtime, bundle, work_dir):
    bundle.process.env += ["PASSWORD=secret-of-the-env"]
    runtime.run_detached(bundle)

    runtime.call("debug", "collect", bundle.id, cwd=work_dir)
    archives = [n for n in os.listdir(work_dir) if bundle.id in n and ".tar" in n]
    assert len(archives) == 1
    with tarfile.open(work_dir / archives[0]) as archive:
        names = {os.path.basename(n) for n in archive.getnames()}
        content = b"".join(archive.extractfile(m).read() for m in archive.getmembers() if m.isfile())
    assert {"state.json", "config.json"} <= names
    assert any("version" in n for n in names) and any("mountinfo" in n for n in names)
    assert b"secret-of-the-env" not in content, "environment values are not in the archive"
    assert (os.stat(work_dir / archives[0]).st_mode & 0o077) == 0
    assert runtime.status(bundle) == "running"


def test_debug_collect_of_an_unknown_container_is_refused(runtime, work_dir):
    refused(runtime, runtime.call("debug", "collect", "nobody", check=False, cwd=work_dir),
            "container does not exist")


def test_debug_collect_of_a_stopped_container_works(runtime, bundle, work_dir):
    runtime.run_detached(bundle, ["true"])
    runtime.wait_for(bundle, "stopped")

    runtime.call("debug", "collect", bundle.id, cwd=work_dir)
    assert [n for n in os.listdir(work_dir) if bundle.id in n and ".tar" in n]


@pytest.mark.parametrize("args", [("debug",), ("debug", "no-such"), ("config", "extra"), ("check", "extra"), ("wait",)])
def test_wrong_use_is_an_error(runtime, args):
    result = runtime.call(*args, check=False)

    assert result.returncode != 0 and result.stderr


# Choosing a class (docs/ARCHITECTURE.md).


def test_unknown_class_is_an_error_that_lists_the_three(runtime, bundle):
    result = runtime.run(bundle, check=False, global_flags=["--isolation", "chroot"])

    assert result.returncode == 1
    for name in ("ns", "sentry", "vm"):
        assert name in result.stderr


@pytest.mark.classes("ns", "sentry", "vm")
def test_the_name_it_is_called_by_chooses_the_class(runtime, bundle, work_dir):
    link = os.path.join(os.path.dirname(runtime.path), "caisson-ns")
    bundle.process.args = ["echo", "ns"]
    bundle.save()

    result = runtime.call(raw=[link, "--root", str(runtime.root), "run", "--bundle", str(bundle.path), bundle.id])
    assert result.stdout == "ns\n"


@pytest.mark.classes("ns", "sentry", "vm")
def test_an_annotation_that_contradicts_the_flag_names_both(runtime, bundle):
    bundle.annotations["io.caisson.isolation"] = "vm"

    result = runtime.run(bundle, check=False, global_flags=["--isolation", "ns"])
    assert result.returncode == 1
    assert "io.caisson.isolation" in result.stderr and "vm" in result.stderr and "ns" in result.stderr


@pytest.mark.classes("ns", "sentry", "vm")
def test_an_annotation_that_agrees_is_fine(runtime, bundle):
    bundle.annotations["io.caisson.isolation"] = "ns"

    assert runtime.run(bundle, ["echo", "fine"], global_flags=["--isolation", "ns"]).stdout == "fine\n"


def test_an_unknown_class_in_the_annotation_is_an_error_that_lists_the_three(runtime, bundle):
    bundle.annotations["io.caisson.isolation"] = "chroot"
    bundle.save()

    result = runtime.call(raw=[str(runtime.path), "--root", str(runtime.root), "run", "--bundle", str(bundle.path),
                               bundle.id], check=False)
    assert result.returncode == 1
    for name in ("chroot", "ns", "sentry", "vm"):
        assert name in result.stderr


def test_a_call_that_fails_makes_no_cgroup(runtime, bundle):
    before = cgroups.all_cgroups()
    runtime.run(bundle, check=False, global_flags=["--isolation", "chroot"])

    wait_until(lambda: cgroups.all_cgroups() == before)


def test_features_is_valid_json_with_a_trailing_newline(runtime):
    text = runtime.features().stdout

    assert json.loads(text) and text.endswith("}\n")
