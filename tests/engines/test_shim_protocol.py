# SPDX-License-Identifier: Apache-2.0
"""Version 3 of the shim's protocol, with a containerd that knows it. The real one says 2 to every shim, by a variable, and is
told here to say 3."""

import json
import os
import signal

import pytest

from enginelib import census, command
from enginelib.containerd import NAMESPACE, Containerd
from test_containerd import Pod, sh
from test_shim import SOCKETS, shim_of

pytestmark = pytest.mark.series("2.1")

BUNDLES = "/run/containerd/io.containerd.runtime.v2.task/" + NAMESPACE
ROOT = "/run/containerd/caisson/" + NAMESPACE
SAYS_3 = """
[plugins."io.containerd.shim.v1.manager"]
  env = ["MAX_SHIM_VERSION=3"]
"""


@pytest.fixture(scope="module")
def containerd(work, runtime, image_archives, artifacts):
    before = census.Census()
    directory = os.path.join(work, "containerd-protocol")
    os.mkdir(directory)
    containerd = Containerd(directory, runtime, image_archives, artifacts, more=SAYS_3)
    yield containerd
    containerd.remove_all()
    containerd.stop()
    before.assert_nothing_new(lambda kind, name: kind == "cgroup")


@pytest.fixture
def pod(containerd, tmp_path):
    yield Pod(containerd, "three", tmp_path, cgroup_parent="/kubepods")
    containerd.remove_all()
    command.eventually(lambda: os.listdir(SOCKETS) == [], what="no shim")
    assert os.listdir(BUNDLES) == [] and known() == []


def known():
    """Ids of the runtime's containers; what has an @ is its own."""
    return sorted(name for name in os.listdir(ROOT) if not name.startswith("@"))


def said_of(name):
    with open(os.path.join(BUNDLES, name, "bootstrap.json"), encoding="utf-8") as f:
        return json.load(f)


def test_a_container_of_a_pod_needs_no_start_of_its_own(pod):
    container = pod.start("a", sh("exec sleep 1000"))
    assert said_of(pod.id)["version"] == 3 and said_of(pod.id)["protocol"] == "ttrpc"
    assert said_of(container) == said_of(pod.id)
    assert os.path.exists(os.path.join(BUNDLES, pod.id, "address"))
    assert not os.path.exists(os.path.join(BUNDLES, container, "address"))
    assert pod.exec(container, "/bin/echo", "on") == "on\n"
    pod.cri.StopContainer(container_id=container, timeout=0)
    assert pod.wait_exited(container).exit_code == 137
    pod.cri.RemoveContainer(container_id=container)
    assert pod.wait_exited(pod.start("b", sh("exit 3"))).exit_code == 3


def test_containers_go_with_the_killed_shim_of_their_pod(pod):
    """containerd asks for the sandbox to be cleaned up, and for nothing else."""
    container = pod.start("a", ("/bin/sleep", "3004"))
    assert known() == sorted([pod.id, container])
    os.kill(shim_of(pod.id), signal.SIGKILL)
    pod.wait_exited(container)
    command.eventually(lambda: known() == [], what="no container")
    command.eventually(lambda: not [line for line in census.processes().values() if "sleep 3004" in line],
                       what="the end of the processes")


def test_a_daemon_that_is_started_anew_finds_the_pod(pod, containerd):
    container = pod.start("a", ("/bin/sleep", "1000"))
    containerd.restart()
    pod.cri = containerd.cri
    assert pod.exec(container, "/bin/echo", "on") == "on\n"


def test_what_the_program_says_of_itself(containerd):
    """`-info`, by way of containerd."""
    told = json.loads(containerd.ctr("plugins", "inspect-runtime", "--runtime", containerd.shim).out)
    assert told["Name"] == "containerd-shim-caisson-v2" and told["Version"]["Version"]
