# SPDX-License-Identifier: Apache-2.0
"""spec: write a config.json to start from."""

import json

import pytest

pytestmark = pytest.mark.classes("ns", "sentry", "vm")


def test_spec_writes_config_json_into_the_current_directory(runtime, work_dir):
    runtime.spec(cwd=work_dir)

    config = json.loads((work_dir / "config.json").read_text())
    assert config["process"]["args"] == ["sh"] and config["process"]["terminal"] is True
    assert config["root"] == {"path": "rootfs", "readonly": True}
    assert {n["type"] for n in config["linux"]["namespaces"]} >= {"pid", "network", "ipc", "uts", "mount"}
    assert config["process"]["noNewPrivileges"] is True
    assert config["linux"]["maskedPaths"] and config["linux"]["readonlyPaths"]


@pytest.mark.parametrize("flag", ["-b", "--bundle"])
def test_bundle_flag_names_the_directory(runtime, work_dir, flag):
    target = work_dir / "elsewhere"
    target.mkdir()

    runtime.spec(flag, target)
    assert json.loads((target / "config.json").read_text())["ociVersion"]


@pytest.mark.beyond("runc", reason="no --file")
@pytest.mark.beyond("crun", reason="no --file in this version")
def test_file_flag_names_the_file(runtime, work_dir):
    target = work_dir / "mine.json"

    runtime.spec("--file", target)
    assert json.loads(target.read_text())["ociVersion"]
    assert not (work_dir / "config.json").exists()


def test_an_existing_config_is_not_overwritten(runtime, work_dir):
    (work_dir / "config.json").write_text("precious")

    result = runtime.spec(cwd=work_dir, check=False)
    assert result.returncode == 1 and "config.json" in result.stderr
    assert (work_dir / "config.json").read_text() == "precious"


def test_the_written_config_runs(runtime, bundle):
    runtime.spec("--bundle", bundle.path)
    config = json.loads((bundle.path / "config.json").read_text())
    config["process"]["terminal"] = False
    config["process"]["args"] = ["echo", "from spec"]
    config["linux"].setdefault("cgroupsPath", f"/{bundle.id}")
    bundle.config = config

    assert runtime.run(bundle).stdout == "from spec\n"


@pytest.mark.beyond("crun", reason="leaves the mapping to run")
def test_rootless_spec_maps_the_caller(runtime, work_dir):
    runtime.spec("--rootless", cwd=work_dir)

    config = json.loads((work_dir / "config.json").read_text())
    assert "user" in {n["type"] for n in config["linux"]["namespaces"]}
    assert config["linux"]["uidMappings"][0]["containerID"] == 0
    assert config["linux"]["gidMappings"][0]["containerID"] == 0
    assert "network" not in {n["type"] for n in config["linux"]["namespaces"]} or runtime.kind == "crun"


def test_missing_bundle_directory_is_an_error(runtime):
    assert runtime.spec("--bundle", "/no/such/dir", check=False).returncode == 1


@pytest.mark.beyond("runc", "crun", reason="have none")
def test_hardened_spec_leaves_an_untrusted_program_little(runtime, bundle):
    runtime.spec("--hardened", "--bundle", bundle.path)
    config = json.loads((bundle.path / "config.json").read_text())
    default = bundle.path / "default.json"
    runtime.spec("--file", default)
    assert config["mounts"] == json.loads(default.read_text())["mounts"]
    assert config["linux"]["maskedPaths"] == json.loads(default.read_text())["linux"]["maskedPaths"]
    assert {n["type"] for n in config["linux"]["namespaces"]} == {"pid", "network", "ipc", "uts", "mount", "cgroup"}
    config["process"]["terminal"] = False
    config["process"]["args"] = ["testinit", "report"]
    config["linux"]["cgroupsPath"] = f"/{bundle.id}"
    bundle.config = config

    report = runtime.run(bundle).report
    for name in ("effective", "permitted", "bounding", "inheritable", "ambient"):
        assert report[f"cap_{name}"] == []
    assert report["no_new_privs"] and report["seccomp"] == 2
    bundle.process.args = ["unshare", "-U", "true"]
    assert runtime.run(bundle, check=False).returncode not in (0, 127)
