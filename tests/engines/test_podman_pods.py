# SPDX-License-Identifier: Apache-2.0
"""Pods of Podman 4.3: by hand, of a Kubernetes file, and containers that join the network of another one."""

import json
import socket

import pytest

from enginelib import census, command
from enginelib.images import PAUSE_IMAGE, TEST_IMAGE
from enginelib.podman import cgroups_of_containers, installed

FOREVER = ("/bin/sleep", "1000")
NO_NETWORK = ("--network", "none")
# Says its name to each who connects; out of a file, since nc ends with its client, who may be there before a pipe is full.
LISTEN = "hostname > /tmp/name; while :; do nc -l -p 7777 < /tmp/name; done"
SERVE = ("/bin/sh", "-c", LISTEN)
ASK = "for i in $(seq 50); do nc 127.0.0.1 7777 </dev/null && exit; sleep 0.1; done; exit 1"

KUBE = """
apiVersion: v1
kind: Pod
metadata:
  name: kube
spec:
  hostname: of-the-pod
  containers:
  - name: writer
    image: %(image)s
    command: [/bin/sh, -c, "echo written > /shared/file; %(listen)s"]
    volumeMounts: [{name: data, mountPath: /shared}]
  - name: reader
    image: %(image)s
    command: [/bin/sleep, "1000"]
    volumeMounts: [{name: data, mountPath: /shared}]
  volumes:
  - name: data
    persistentVolumeClaim: {claimName: kube-data}
""" % {"image": TEST_IMAGE, "listen": LISTEN}


@pytest.fixture(scope="module")
def engine(work, runtime, image_archives):
    with installed(work, "podman-pods", runtime, image_archives) as podman:
        yield podman


@pytest.fixture
def podman(engine):
    yield engine
    try:
        engine.remove_all()
    finally:
        census.assert_gone(cgroups_of_containers, census.processes)


class Pod:
    def __init__(self, podman, *options, name="pod1"):
        self.podman, self.name = podman, name
        podman("pod", "create", "--name", name, *options)

    def __call__(self, verb, *options, **kwargs):
        return self.podman("pod", verb, *options, self.name, **kwargs)

    def add(self, name, *args, options=()):
        self.podman("run", "-d", "--pod", self.name, "--name", name, *options, TEST_IMAGE, *(args or FOREVER))

    def infra(self):
        return json.loads(self("inspect").out)["InfraContainerID"]

    def statuses(self):
        return {c["Names"][0]: c["State"] for c in json.loads(self.podman("ps", "--all", "--format", "json").out)
                if not c["IsInfra"]}


def inside(podman, name, kind):
    return podman("exec", name, "/bin/readlink", "/proc/self/ns/" + kind).text


def shares(podman, kinds, *names):
    """Which of these namespaces the containers of one kernel have in common."""
    return [kind for kind in kinds if len({inside(podman, name, kind) for name in names}) == 1]


# ------------------------------------------------------------------------------------------- pods


def test_the_containers_of_a_pod_reach_each_other(podman):
    """With Podman's own first container: /catatonit -P."""
    pod = Pod(podman, *NO_NETWORK, "--hostname", "of-the-pod")
    pod.add("a", *SERVE)
    pod.add("b")
    assert podman("exec", "b", "/bin/hostname").text == "of-the-pod"
    assert podman("exec", "b", "/bin/sh", "-c", ASK).text == "of-the-pod"
    assert shares(podman, ("net", "ipc", "uts", "pid", "mnt"), "a", "b") == ["net", "ipc", "uts"]
    podman("exec", "a", "/bin/sh", "-c", "echo seen > /dev/shm/file")
    assert podman("exec", "b", "/bin/cat", "/dev/shm/file").text == "seen"


def test_the_processes_of_a_pod(podman):
    pod = Pod(podman, *NO_NETWORK, "--infra-image", PAUSE_IMAGE, "--infra-command", "/pause",
              "--share", "ipc,net,uts,pid")
    pod.add("a")
    pod.add("b")
    assert shares(podman, ("net", "ipc", "uts", "pid"), "a", "b") == ["net", "ipc", "uts", "pid"]
    assert podman("exec", "b", "/bin/sh", "-c", "cat /proc/*/comm | grep -c sleep").text == "2"
    assert podman("exec", "b", "/bin/cat", "/proc/1/comm").text == "pause"
    podman("kill", "a")
    assert podman("wait", "a").text == "137"
    assert podman("exec", "b", "/bin/sh", "-c", "cat /proc/*/comm | grep -c sleep").text == "1"


def test_a_pod_stops_and_starts_again(podman):
    pod = Pod(podman, *NO_NETWORK)
    pod.add("a", *SERVE)
    pod.add("b")
    pod("stop", "--time", "1")
    assert pod.statuses() == {"a": "exited", "b": "exited"}
    pod("start")
    assert pod.statuses() == {"a": "running", "b": "running"}
    assert podman("exec", "b", "/bin/sh", "-c", ASK).text == "pod1"
    pod("rm", "--force", "--time", "0")
    assert podman("ps", "--all", "--quiet").text == ""


def test_a_pod_restarts(podman):
    """The first container is ended before the others, and begins before they have been ended."""
    pod = Pod(podman, *NO_NETWORK)
    pod.add("a", *SERVE, options=("--stop-signal", "KILL"))
    pod.add("b", options=("--stop-signal", "KILL"))
    before = podman.pid("a")
    pod("restart", timeout=60)
    assert pod.statuses() == {"a": "running", "b": "running"}
    assert podman.pid("a") != before
    assert podman("exec", "b", "/bin/sh", "-c", ASK).text == "pod1"


# A number that only grows, in a file that the containers of a pod share.
COUNT = ("/bin/sh", "-c", "i=0; while :; do i=$((i+1)); echo $i > /dev/shm/new; mv /dev/shm/new /dev/shm/count; done")


def counted(podman):
    return podman("exec", "b", "/bin/cat", "/dev/shm/count", rc=None).text


def goes_on(podman):
    before = counted(podman)
    command.eventually(lambda: counted(podman) not in ("", before), what="the counter to move")


def stands(podman):
    return counted(podman) == counted(podman) != ""


def test_a_pod_pauses(podman):
    """Podman pauses them one by one, several at a time, with the first one among them."""
    pod = Pod(podman, *NO_NETWORK)
    pod.add("a", *COUNT)
    pod.add("b")
    for _ in range(3):
        goes_on(podman)
        pod("pause", timeout=15)
        assert pod.statuses() == {"a": "paused", "b": "paused"}
        assert podman("exec", "b", "/bin/true", rc=None).rc != 0
        pod("unpause", timeout=15)
        assert pod.statuses() == {"a": "running", "b": "running"}
    goes_on(podman)


def test_one_container_of_a_pod_pauses(podman):
    pod = Pod(podman, *NO_NETWORK)
    pod.add("a", *COUNT)
    pod.add("b")
    goes_on(podman)
    podman("pause", "a")
    assert pod.statuses() == {"a": "paused", "b": "running"}
    command.eventually(lambda: stands(podman), what="the counter to stand")
    podman("unpause", "a")
    goes_on(podman)


@pytest.mark.parametrize("order", ["first before", "first behind"])
def test_the_first_of_a_pod_pauses_with_another(podman, order):
    pod = Pod(podman, *NO_NETWORK)
    pod.add("a", *COUNT)
    pod.add("b")
    goes_on(podman)
    both = (pod.infra(), "a") if order == "first before" else ("a", pod.infra())
    for name in both:
        podman("pause", name)
    podman("unpause", pod.infra())
    command.eventually(lambda: stands(podman), what="the counter to stand")
    podman("unpause", "a")
    goes_on(podman)
    for name in both:
        podman("pause", name)
    podman("unpause", "a")
    podman("unpause", pod.infra())
    goes_on(podman)


def test_a_paused_pod_is_removed_by_force(podman):
    pod = Pod(podman, *NO_NETWORK)
    pod.add("a")
    pod("pause", timeout=15)
    pod("rm", "--force", "--time", "0", timeout=30)
    assert podman("ps", "--all", "--quiet").text == ""


def test_a_container_of_a_pod_restarts_alone(podman):
    pod = Pod(podman, *NO_NETWORK)
    pod.add("a", "/bin/sh", "-c", "echo begun; sleep 1000")
    pod.add("b", *SERVE)
    pid = podman.pid("b")
    podman("restart", "--time", "0", "a")
    podman("rm", "--force", "--time", "0", "a")
    pod.add("a")
    assert podman("exec", "a", "/bin/sh", "-c", ASK).text == "pod1"
    assert podman.pid("b") == pid


def test_a_container_is_made_before_its_pod_runs(podman):
    """`podman init` makes the first one, too, and starts none; `start` does."""
    pod = Pod(podman, *NO_NETWORK)
    podman("create", "--pod", "pod1", "--name", "a", TEST_IMAGE, *FOREVER)
    podman("init", "a")
    assert podman.state("a")["Status"] == "initialized"
    podman("start", "a")
    assert pod.statuses() == {"a": "running"}
    assert podman.state(pod.infra())["Status"] == "running"
    assert podman("exec", "a", "/bin/hostname").text == "pod1"


def test_a_pod_without_a_first_container_is_none(podman):
    pod = Pod(podman, "--infra=false")
    pod.add("a", *SERVE, options=(*NO_NETWORK, "--hostname", "a"))
    pod.add("b", options=NO_NETWORK)
    assert podman("exec", "a", "/bin/sh", "-c", ASK).text == "a"
    podman("exec", "b", "/bin/nc", "127.0.0.1", "7777", rc=1)


def test_a_pod_of_a_kubernetes_file(podman, tmp_path):
    file = tmp_path / "pod.yaml"
    file.write_text(KUBE)
    podman("kube", "play", *NO_NETWORK, file)
    assert podman("exec", "kube-reader", "/bin/sh", "-c", ASK).text == "of-the-pod"
    assert podman("exec", "kube-reader", "/bin/cat", "/shared/file").text == "written"
    podman("kube", "down", file)
    assert podman("ps", "--all", "--quiet").text == ""
    podman("volume", "rm", "kube-data")


def test_a_published_port_leads_to_a_container_of_the_pod(podman):
    pod = Pod(podman, "--publish", "127.0.0.1:18080:7777")
    pod.add("a", *SERVE)

    def answer():
        with socket.socket() as s:
            s.settimeout(5)
            try:
                s.connect(("127.0.0.1", 18080))
                return s.recv(100) == b"pod1\n"
            except OSError:
                return False
    command.eventually(answer, what="the pod's port")


# ------------------------------------------------------------------- the network of another container


def test_the_network_of_another_container(podman):
    first = podman.start(*SERVE, options=("--hostname", "first"))
    podman("run", "-d", "--name", "second", "--network", "container:" + first, TEST_IMAGE, *FOREVER)
    assert podman("exec", "second", "/bin/sh", "-c", ASK).text == "first"
    assert shares(podman, ("net", "ipc", "uts", "pid"), first, "second") == ["net"]
    podman("run", "-d", "--name", "third", "--network", "container:second", TEST_IMAGE, *FOREVER)
    assert podman("exec", "third", "/bin/sh", "-c", ASK).text == "first"
    podman("rm", "--force", "--time", "0", "third")
    podman("rm", "--force", "--time", "0", "second")
    assert podman.state(first)["Status"] == "running"


def test_more_than_the_network_of_another_container(podman):
    first = podman.start(*SERVE, options=("--ipc", "shareable"))
    other = "container:" + first
    podman("run", "-d", "--name", "second", "--network", other, "--ipc", other, "--pid", other, TEST_IMAGE, *FOREVER)
    assert shares(podman, ("net", "ipc", "uts", "pid"), first, "second") == ["net", "ipc", "pid"]
    podman("kill", "second")
    assert podman("wait", "second", timeout=120).text == "137"
    assert podman.state(first)["Status"] == "running"
    podman("rm", "second")


def test_who_is_in_anothers_sandbox_ends_with_it(podman, isolation):
    if isolation == "ns":
        pytest.skip("nothing is ended where containers share namespaces alone: CAVEATS.md#ns-pods")
    first = podman.start(*FOREVER)
    podman("run", "-d", "--name", "second", "--network", "container:" + first, TEST_IMAGE, *FOREVER)
    podman("kill", first)
    assert podman("wait", "second", timeout=120).text == "137"
    podman("start", "second")  # and the first one before it
    assert podman.state(first)["Status"] == "running"
    assert shares(podman, ("net",), first, "second") == ["net"]
    podman("rm", "--force", "--time", "0", "second")
