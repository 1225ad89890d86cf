# SPDX-License-Identifier: Apache-2.0
"""deploy/kubernetes: of the types of the Kubernetes API, and of one mind with the programs."""
import copy
import importlib.machinery
import importlib.util
import json
import os
import re
import subprocess

import pytest

from conftest import MANIFESTS, ROOT, TYPES, all_documents, documents

CAISSON = ROOT / "build/bin/caisson"
CLASSES = ["ns", "sentry", "vm"]
QUANTITY = re.compile(r"[0-9]+(m|Ki|Mi|Gi)?$")
NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")


def caisson(*args):
    return subprocess.run([CAISSON, *args], capture_output=True, text=True).stdout


def update_overhead():
    loader = importlib.machinery.SourceFileLoader("update_overhead", str(ROOT / "scripts/update-overhead"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("update_overhead", loader))
    loader.exec_module(module)
    return module


def runtime_classes():
    return {doc["metadata"]["name"]: doc for doc in documents("runtimeclass.yaml")}


def pods():
    """(name, spec) of every pod and pod template."""
    for name, doc in all_documents():
        if doc["kind"] == "Pod":
            yield name, doc["spec"]
        if doc["kind"] == "DaemonSet":
            yield name, doc["spec"]["template"]["spec"]


def containers(spec):
    return spec.get("initContainers", []) + spec["containers"]


# ---- the types ----


def test_every_manifest_is_of_its_type(judge):
    assert judge(dict(all_documents())) == {name: [] for name, _ in all_documents()}


def wrong(doc, where, field, value):
    """A copy with one wrong field; `where` is a path of keys and indices."""
    doc = copy.deepcopy(doc)
    at = doc
    for key in where:
        at = at[key]
    at[field] = value
    return doc


# For each kind: fields that are not there, of another type, and missing ones.
WRONG = {
    "Namespace": [([], "specs", {}), (["metadata"], "label", {})],
    "ServiceAccount": [([], "automountServiceAccountTokens", False), ([], "automountServiceAccountToken", "no")],
    "Service": [(["spec"], "selectors", {}), (["spec", "ports", 0], "port", "80")],
    "Pod": [(["spec"], "runtimeClass", "caisson-ns"), (["spec", "containers", 0], "img", "x"),
            (["spec", "containers", 0, "securityContext", "capabilities"], "drop", "ALL")],
    "DaemonSet": [(["spec"], "replicas", 3), (["spec", "template", "spec"], "hostPid", True),
                  (["spec", "selector"], "matchLabels", ["x"])],
    "RuntimeClass": [([], "handlers", "x"), (["overhead"], "podFixd", {}), ([], "handler", None),
                     (["scheduling"], "tolerations", {"key": "x"})],
}


def test_a_wrong_manifest_of_each_kind_is_refused(judge):
    first = {}
    for _, doc in all_documents():
        first.setdefault(doc["kind"], doc)
    assert set(first) == set(WRONG) == {kind for _, kind in TYPES}
    first["RuntimeClass"] = runtime_classes()["caisson-vm"]
    cases = {f"{kind} {'.'.join(map(str, where))} {field}": wrong(first[kind], where, field, value)
             for kind, list_ in WRONG.items() for where, field, value in list_}
    accepted = [name for name, errors in judge(cases).items() if not errors]
    assert accepted == []


# ---- of one mind with the programs ----


def test_there_is_a_runtime_class_for_each_isolation_class_by_the_handlers_name():
    classes = runtime_classes()
    assert list(classes) == [f"caisson-{name}" for name in CLASSES]
    assert all(doc["handler"] == name for name, doc in classes.items())


def test_handlers_are_those_that_install_writes(tmp_path):
    for name in ("caisson", *runtime_classes()):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).touch()
    diff = caisson("install", "--for", "containerd", "--root", tmp_path, "--runtime-path", "/bin/caisson", "--dry-run")
    assert set(runtime_classes()) <= set(re.findall(r"runtimes\.([\w-]+)\]", diff))


def test_selected_labels_are_those_that_check_prints():
    lines = caisson("check", "--node-labels").splitlines()
    labels = dict(line.split("=") for line in lines)
    assert len(labels) == len(lines)
    assert all(labels[f"caisson.io/{name}"] in ("true", "false") for name in CLASSES)
    if labels["caisson.io/vm"] == "true":
        assert labels["caisson.io/vm-accelerator"] in ("kvm", "tcg")
    for name, doc in runtime_classes().items():
        selected = doc["scheduling"]["nodeSelector"]
        assert selected[name.replace("caisson-", "caisson.io/")] == "true"
        assert set(selected) <= {f"caisson.io/{c}" for c in CLASSES} | {"caisson.io/vm-accelerator"}


def fixed():
    return {name: doc["overhead"]["podFixed"] for name, doc in runtime_classes().items()}


def test_overheads_are_quantities_and_grow_with_the_class():
    for what, unit in (("memory", "Mi"), ("cpu", "m")):
        found = [amounts[what] for amounts in fixed().values()]
        assert all(re.match(rf"\d+{unit}$", text) for text in found)
        numbers = [int(text[:-len(unit)]) for text in found]
        assert numbers == sorted(numbers)


def test_overheads_are_those_of_the_figures_that_were_measured():
    module = update_overhead()
    facts = json.loads(module.FIGURES.read_text())
    assert list(facts) == CLASSES
    assert fixed() == {f"caisson-{name}": {"memory": f"{amount['memory']}Mi", "cpu": f"{amount['cpu']}m"}
                       for name, amount in module.overheads(facts).items()}
    # Of the processes that a pod of the class has.
    assert {name: set(f["processes_kib"]) - {"sleep", "pause", "caisson-stub"} for name, f in facts.items()} == {
        "ns": {"containerd-shim"}, "sentry": {"containerd-shim", "caisson-sentry", "caisson-gofer", "caisson-wait"},
        "vm": {"containerd-shim", "caisson-vm", "caisson-wait", "qemu-system-x86", "virtiofsd"}}


def test_update_overhead_computes_from_the_benchmarks_and_changes_these_lines_alone():
    module = update_overhead()
    facts = {"ns": {"processes_kib": {"containerd-shim": 1024, "sleep": 5 << 10}, "cpu_ms_per_s": 0},
             "sentry": {"processes_kib": {"containerd-shim": 1024, "caisson-sentry": 1025, "caisson-stub": 9 << 10},
                        "cpu_ms_per_s": 0.9},
             "vm": {"processes_kib": {"qemu-system-x86": 100 << 10}, "guest_kib": 50 << 10, "cpu_ms_per_s": 6.1}}
    found = module.overheads(facts)
    assert found == {"ns": {"memory": 2, "cpu": 1}, "sentry": {"memory": 9, "cpu": 2},
                     "vm": {"memory": 64 + 150, "cpu": 10}}
    assert module.overheads({}) == {}
    text = (MANIFESTS / "runtimeclass.yaml").read_text()
    changed = module.update(text, found)
    before, after = text.splitlines(), changed.splitlines()
    assert len(before) == len(after)
    assert all("# caisson-" in line for line, other in zip(before, after) if line != other)
    assert module.update(changed, found) == changed
    assert changed.count('"214Mi"') == 1 and changed.count('"10m"') == 1
    with pytest.raises(SystemExit):
        module.update(text.replace("# caisson-vm:", "# "), found)


# ---- sense ----


def test_names_and_quantities_are_what_the_api_takes():
    for name, doc in all_documents():
        assert NAME.match(doc["metadata"]["name"]), name
    for name, spec in pods():
        for container in containers(spec):
            resources = container["resources"]
            for what in ("requests", "limits"):
                assert all(QUANTITY.match(str(value)) for value in resources[what].values()), name
            assert resources["limits"]["memory"], name


def test_the_daemon_set_selects_its_own_pods():
    (doc,) = [doc for doc in documents("installer.yaml") if doc["kind"] == "DaemonSet"]
    assert doc["spec"]["selector"]["matchLabels"].items() <= doc["spec"]["template"]["metadata"]["labels"].items()
    assert doc["metadata"]["namespace"] in [d["metadata"]["name"] for d in documents("installer.yaml")]


@pytest.fixture
def installer(tmp_path):
    """run(container) -> the shell script of an init container, with the node in a directory and a nsenter that only
    writes down what it was told: it fails where there is a file `broken`, and else says what `answer` has."""
    (doc,) = [doc for doc in documents("installer.yaml") if doc["kind"] == "DaemonSet"]
    node, image = tmp_path / "node", tmp_path / "image"
    (node / "etc/containerd").mkdir(parents=True)
    (node / "opt").mkdir()
    (image / "bin").mkdir(parents=True)
    for name in ("caisson", *runtime_classes()):
        (image / "bin" / name).write_text(f'#!/bin/sh\nexec "{CAISSON}" "$@"\n')
        (image / "bin" / name).chmod(0o755)
    (tmp_path / "answer").touch()
    (tmp_path / "nsenter").write_text(f'#!/bin/sh\n[ ! -e {tmp_path}/broken ] || exit 1\necho "$@" >> {tmp_path}/said\n'
                                      f'exec cat {tmp_path}/answer\n')
    (tmp_path / "nsenter").chmod(0o755)

    def run(container, rc=0, **env):
        (found,) = [c for c in doc["spec"]["template"]["spec"]["initContainers"] if c["name"] == container]
        (script,) = found["args"]
        script = script.replace("/node", str(node)).replace("cp -a /opt/caisson", f"cp -a {image}")
        done = subprocess.run([*found["command"], script], capture_output=True, text=True,
                              env={"PATH": f"{tmp_path}:{image}/bin:/usr/bin:/bin", **env})
        assert done.returncode == rc, done.stdout + done.stderr
        return done.stdout
    return run


RESTARTED = "--target 1 --mount -- systemctl restart containerd\n"


def test_the_installers_script_installs_and_installs_again(installer, tmp_path):
    node = tmp_path / "node"
    for _ in range(2):
        said = installer("install")
    # Only what was changed counts after a restart.
    assert (tmp_path / "said").read_text() == RESTARTED
    assert "nothing to change" in said
    text = (node / "etc/containerd/config.toml").read_text()
    assert 'BinaryName = "/opt/caisson/bin/caisson-vm"' in text
    assert (node / "opt/caisson").is_symlink() and (node / "opt/caisson/bin/caisson-vm").exists()
    # Two builds of one version are two trees.
    words = caisson("--version").split()
    version = f"{words[2]}-{words[words.index('commit:') + 1]}"
    assert sorted(p.name for p in (node / "opt").iterdir()) == ["caisson", f"caisson-{version}"]


def test_a_program_that_does_not_run_changes_nothing_on_the_node(installer, tmp_path):
    installer("install")
    before = sorted((p.name, p.is_symlink() and p.readlink()) for p in (tmp_path / "node/opt").iterdir())
    (tmp_path / "image/bin/caisson").write_text("#!/bin/sh\nexit 1\n")
    installer("install", rc=1)
    assert sorted((p.name, p.is_symlink() and p.readlink()) for p in (tmp_path / "node/opt").iterdir()) == before


def test_what_a_copy_that_was_ended_has_left_goes(installer, tmp_path):
    (tmp_path / "node/opt/caisson-0.0.9-0123abcd.new/bin").mkdir(parents=True)
    installer("install")
    assert not list((tmp_path / "node/opt").glob("*.new"))


def test_a_restart_that_the_installer_did_not_come_to_is_made_up_for(installer, tmp_path):
    (tmp_path / "broken").touch()
    installer("install", rc=1)
    assert (tmp_path / "node/etc/containerd/config.toml").exists()
    (tmp_path / "broken").unlink()
    for _ in range(2):
        assert "nothing to change" in installer("install")
    assert (tmp_path / "said").read_text() == RESTARTED


def test_the_installer_says_the_line_that_labels_its_node(installer, tmp_path):
    (tmp_path / "answer").write_text("caisson.io/ns=true\ncaisson.io/vm=false\n")
    assert installer("labels", NODE="n1") == "kubectl label --overwrite node n1 caisson.io/ns=true caisson.io/vm=false\n"
    assert (tmp_path / "said").read_text() == "--target 1 --mount -- /opt/caisson/bin/caisson check --node-labels\n"
    (tmp_path / "broken").touch()
    installer("labels", rc=1, NODE="n1")


def test_the_image_is_made_by_what_its_file_says(tmp_path):
    """All that `make install` lays out, the guest's kernel too, and below the path that the image copies from."""
    text = (MANIFESTS / "Dockerfile").read_text()
    (line,) = re.findall(r"^#   (make .*)$", text, re.M)
    line = line.replace("build-image", str(tmp_path))
    # Not as a part of the make that runs this.
    own = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(["make", "-n", *line.split()[1:]], cwd=ROOT, env=own, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    steps = done.stdout.splitlines()
    assert f"meson setup {tmp_path} --prefix=/opt/caisson" in steps
    assert f"scripts/build-guest --if-possible {tmp_path}/guest" in steps
    assert steps[-1] == f"scripts/install {tmp_path} {tmp_path}/image"
    assert "COPY opt/caisson /opt/caisson" in text and re.search(r"^#   docker build .* build-image/image$", text, re.M)


def test_the_example_has_a_pod_of_each_class_beside_each_other():
    found = {doc["spec"]["runtimeClassName"]: doc for doc in documents("example.yaml") if doc["kind"] == "Pod"}
    assert set(found) == set(runtime_classes())
    (namespace,) = [doc for doc in documents("example.yaml") if doc["kind"] == "Namespace"]
    assert {doc["metadata"]["namespace"] for doc in found.values()} == {namespace["metadata"]["name"]}
    # Its namespace enforces "restricted".
    for doc in found.values():
        assert doc["spec"]["securityContext"]["runAsNonRoot"] is True
        assert doc["spec"]["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
        for container in doc["spec"]["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"]["drop"] == ["ALL"]


def test_the_lock_file_pins_what_judges():
    lock = json.loads((ROOT / "tests/manifests/package-lock.json").read_text())
    for name, package in lock["packages"].items():
        assert not name or package["integrity"].startswith("sha512-"), name
