# SPDX-License-Identifier: Apache-2.0
"""Images as they come: from a registry (on the loopback device), from an OCI layout of a directory, unpacked by umoci."""

import json
import os
import shutil
import socket
import subprocess

import pytest

from enginelib import census, command
from enginelib.images import TEST_IMAGE
from enginelib.podman import Podman, cgroups_of_containers

REGISTRY = "/usr/bin/docker-registry"


@pytest.fixture(scope="module")
def layout(work, image_archives):
    """An OCI layout with the test image, as skopeo writes it."""
    path = os.path.join(work, "layout")
    command.run(["skopeo", "copy", "--quiet", "docker-archive:" + image_archives[TEST_IMAGE], "oci:%s:1" % path])
    return path


@pytest.fixture(scope="module")
def registry(work, layout):
    """HOST:PORT of a registry with the image of the layout in it."""
    if not os.access(REGISTRY, os.X_OK):
        pytest.skip("needs docker-registry: CAVEATS.md#test-registry")
    address = "127.0.0.1:5000"
    config = os.path.join(work, "registry.json")
    with open(config, "w", encoding="utf-8") as f:
        json.dump({"version": "0.1", "log": {"level": "error"}, "http": {"addr": address},
                   "storage": {"filesystem": {"rootdirectory": os.path.join(work, "registry")}}}, f)
    server = subprocess.Popen([REGISTRY, "serve", config], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)

    def answers():
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", 5000)) == 0
    try:
        command.eventually(answers, timeout=30, what="the registry")
        command.run(["skopeo", "copy", "--quiet", "--dest-tls-verify=false", "oci:%s:1" % layout,
                     "docker://%s/caisson/test:1" % address])
        yield address
    finally:
        server.kill()
        server.wait()


@pytest.fixture
def podman(work, runtime, registry):
    directory = os.path.join(work, "podman-images")
    os.mkdir(directory)
    engine = Podman(directory, runtime, "/run/podman-images")
    yield engine
    engine.remove_all()
    for point in census.mounts():
        if point.startswith(directory):
            command.run(["umount", "--lazy", point])
    shutil.rmtree(directory)
    census.assert_gone(cgroups_of_containers, lambda: {p: l for p, l in census.processes().items() if REGISTRY not in l})


def run(podman, image):
    return podman("run", "--rm", "--network", "none", "--pull", "never", image, "/bin/sh", "-c",
                  "echo $FROM_IMAGE; sha256sum < /bin/busybox").lines()


def of_the_host(path="/bin/busybox"):
    with open(path, "rb") as f:
        return subprocess.run(["sha256sum"], stdin=f, capture_output=True, text=True, check=True).stdout.strip()


def test_image_is_pulled_from_a_registry(podman, registry):
    image = "%s/caisson/test:1" % registry
    podman("pull", "--quiet", "--tls-verify=false", image)

    assert run(podman, image) == ["yes", of_the_host()]


def test_image_is_pulled_from_an_oci_layout(podman, layout):
    image = podman("pull", "--quiet", "oci:%s:1" % layout).text

    assert run(podman, image) == ["yes", of_the_host()]


def test_bundle_that_umoci_unpacks_runs(work, layout, runtime):
    bundle = os.path.join(work, "unpacked")
    command.run(["umoci", "unpack", "--image", layout + ":1", bundle])
    path = os.path.join(bundle, "config.json")
    with open(path, encoding="utf-8") as f:
        config = json.load(f)
    config["process"].update(args=["/bin/sh", "-c", "echo $FROM_IMAGE"], terminal=False)
    with open(path, "w", encoding="utf-8") as f:
        json.dump(config, f)

    root = os.path.join(work, "umoci-root")
    assert command.run([runtime, "--root", root, "run", "--bundle", bundle, "unpacked"]).text == "yes"
