# SPDX-License-Identifier: Apache-2.0
"""dockerd takes the daemon.json that `caisson install` has written, and runs containers by the runtimes' names."""

import json
import os
import shutil

import pytest

from enginelib import census, command, node
from enginelib.docker import RUN_DIR, Docker
from enginelib.images import TEST_IMAGE


class Installed(Docker):
    """Its file of settings lies in a node's tree."""

    root = None

    def _start(self):
        node.install("docker", self.runtime, self.root)
        super()._start()


def clear():
    """What dockerd leaves below /run: a namespace that it keeps bound, and the directory that has to be new."""
    for point in census.mounts():
        if point.startswith(RUN_DIR):
            command.run(["umount", "--lazy", point])
    shutil.rmtree(RUN_DIR, ignore_errors=True)


@pytest.fixture(scope="module")
def docker(work, runtime, image_archives, artifacts):
    if os.path.basename(runtime) == "runc":
        pytest.skip("stand-in runc: nothing to install")
    root = os.path.join(work, "docker-install")
    directory = os.path.join(root, "etc/docker")
    os.makedirs(directory)
    Installed.root, Installed.runtime = root, runtime
    clear()
    docker = Installed(directory, runtime, image_archives[TEST_IMAGE], artifacts)
    yield docker
    docker.remove_all()
    docker.stop()
    for point in census.mounts():
        if point.startswith(root):
            command.run(["umount", "--lazy", point])
    clear()


def test_the_names_stand_for_the_programs(docker, runtime):
    runtimes = json.loads(docker("info", "--format", "{{json .}}").out)["Runtimes"]
    for name in node.HANDLERS:
        assert runtimes[name]["path"] == os.path.join(os.path.dirname(runtime), name)


def test_a_container_runs_by_that_name(docker, isolation):
    name = "caisson-" + isolation
    assert docker.once("/bin/echo", "here", options=("--runtime", name)).text == "here"


def test_a_reload_takes_them_away(docker, runtime):
    node.uninstall("docker", runtime, docker.root)
    docker.daemon.proc.send_signal(1)
    command.eventually(lambda: "caisson-vm" not in docker("info").out, 30, "the reload of daemon.json")
