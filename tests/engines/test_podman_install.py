# SPDX-License-Identifier: Apache-2.0
"""Podman finds the runtimes that `caisson install` has written, by their names."""

import json
import os

import pytest

from enginelib import census, command, node
from enginelib.images import TEST_IMAGE
from enginelib.podman import Podman

SETTINGS = "/etc/containers"


class Installed(Podman):
    """Podman with the settings of /etc/containers, where a drop-in counts."""

    def _write_conf(self, json_log):
        return ""


@pytest.fixture(scope="module")
def podman(work, runtime, isolation, image_archives):
    if os.path.basename(runtime) == "runc":
        pytest.skip("stand-in runc: nothing to install")
    directory = os.path.join(work, "podman-install")
    os.makedirs(directory + "/settings")
    # The lane's mounts are its own: the host's /etc/containers stays as it is.
    command.run(["cp", "-a", SETTINGS + "/.", directory + "/settings"])
    command.run(["mount", "--bind", directory + "/settings", SETTINGS])
    node.install("podman", runtime)
    podman = Installed(directory, "caisson-" + isolation, "/run/podman-install")
    del podman.env["CONTAINERS_CONF"]
    podman("load", "--input", image_archives[TEST_IMAGE])
    yield podman
    podman.remove_all()
    node.uninstall("podman", runtime)
    assert not os.path.exists(SETTINGS + "/containers.conf.d/50-caisson.conf")
    command.run(["umount", SETTINGS])
    for point in census.mounts():
        if point.startswith(directory):
            command.run(["umount", "--lazy", point])


def test_a_name_stands_for_the_program(podman, runtime, isolation):
    info = json.loads(podman("info", "--format", "json").out)["host"]["ociRuntime"]
    assert info["name"] == "caisson-" + isolation
    assert info["path"] == os.path.join(os.path.dirname(runtime), "caisson-" + isolation)


def test_a_container_runs_by_that_name(podman):
    assert podman.once("/bin/echo", "here").text == "here"
