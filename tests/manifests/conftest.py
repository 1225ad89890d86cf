# SPDX-License-Identifier: Apache-2.0
"""The manifests of deploy/kubernetes, and the types of the Kubernetes API that judge them.

The types (npm packages kubernetes-types and typescript, their versions in package-lock.json) are installed once into
CAISSON_TEST_CACHE; without npm or its registry the tests that need them are skipped.
"""
import fcntl
import hashlib
import json
import os
import pathlib
import shutil
import subprocess

import pytest
import yaml

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
MANIFESTS = ROOT / "deploy/kubernetes"
CACHE = pathlib.Path(os.environ.get("CAISSON_TEST_CACHE", "/var/cache/caisson-tests"))
ROW = "CAVEATS.md#manifest-types"

# apiVersion and kind: where the type is in kubernetes-types.
TYPES = {("v1", kind): "core/v1" for kind in ("Namespace", "Pod", "Service", "ServiceAccount")}
TYPES |= {("apps/v1", "DaemonSet"): "apps/v1", ("node.k8s.io/v1", "RuntimeClass"): "node/v1"}


class Loader(yaml.SafeLoader):
    """A key that is there twice is an error, as for kubectl."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"{node.start_mark}: a key twice: {keys}"
        return super().construct_mapping(node, deep)


def documents(name):
    return list(yaml.load_all((MANIFESTS / name).read_text(), Loader))


def all_documents():
    return [(f"{path.name}:{doc['kind']}:{doc['metadata']['name']}", doc)
            for path in sorted(MANIFESTS.glob("*.yaml")) for doc in documents(path.name)]


def install_types():
    """node_modules of the lock file."""
    lock = (HERE / "package-lock.json").read_bytes()
    place = CACHE / f"manifests-{hashlib.sha256(lock).hexdigest()[:12]}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "manifests.lock", "w", encoding="utf-8") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if place.is_dir():
            return place
        npm = shutil.which("npm")
        if not npm or not shutil.which("node"):
            pytest.skip(f"no npm on this host: {ROW}")
        partial = place.with_name(place.name + ".new")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, partial)
        try:
            done = subprocess.run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1",
                                   "--fetch-timeout=30000"], cwd=partial, capture_output=True, text=True, timeout=240)
            said = (done.stderr.strip().splitlines() or ["npm"])[0] if done.returncode else None
        except subprocess.TimeoutExpired:
            said = "no answer within four minutes"
        if said is not None:
            shutil.rmtree(partial)
            pytest.skip(f"npm cannot install the types ({said}): {ROW}")
        partial.rename(place)
        return place


@pytest.fixture(scope="session")
def judge(tmp_path_factory):
    """judge({name: document}) -> {name: [errors of its type]}."""
    place = install_types()
    serial = iter(range(1000))

    def run(named):
        work = tmp_path_factory.mktemp(f"types{next(serial)}")
        (work / "node_modules").symlink_to(place / "node_modules")
        files = {}
        for number, (name, doc) in enumerate(named.items()):
            module = TYPES[doc["apiVersion"], doc["kind"]]
            kind = doc["kind"]
            # A literal of the type: fields that the type does not have are errors.
            (work / f"m{number}.ts").write_text(
                f'import {{{kind}}} from "kubernetes-types/{module}";\n'
                f"export const manifest: {kind} & {{apiVersion: string, kind: string}} = "
                f"{json.dumps(doc, indent=1)};\n")
            files[f"m{number}.ts"] = name
        done = subprocess.run(["node", place / "node_modules/typescript/bin/tsc", "--noEmit", "--strict", "--target",
                               "es2020", "--module", "commonjs", "--moduleResolution", "node", "--skipLibCheck",
                               "--pretty", "false", *sorted(files)],
                              cwd=work, capture_output=True, text=True, timeout=240)
        errors = {name: [] for name in named}
        for line in done.stdout.splitlines():
            if line.startswith("m"):
                errors[files[line.split("(")[0]]].append(line)
        assert done.returncode == 0 or any(errors.values()), done.stdout + done.stderr
        return errors

    return run
