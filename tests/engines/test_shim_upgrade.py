# SPDX-License-Identifier: Apache-2.0
"""The programs are replaced under a running containerd, its shims and their pods.

The other build is a copy with more bytes at its end: another file, which behaves the same. What a
different protocol does is told by the versions of the messages, which have tests of their own.
"""

import json
import os
import shutil
import signal

import pytest

from enginelib import census, command
from enginelib.containerd import NAMESPACE
from enginelib.prometheus import Families
from test_containerd import containerd, engine, make_pod, sh  # noqa: F401 (fixtures)
from test_shim import shim_of, shims
from test_shim_manage import get, socket_of

ROOT = "/run/containerd/caisson/" + NAMESPACE


@pytest.fixture(scope="module")
def runtime(runtime, work):  # pylint: disable=function-redefined
    """A copy of the programs of its own, as they are installed."""
    source = os.path.dirname(os.path.dirname(os.path.realpath(runtime)))
    copy = os.path.join(work, "programs")
    for part in ("bin", "libexec"):
        shutil.copytree(os.path.join(source, part), os.path.join(copy, part), symlinks=True)
    guest = os.path.join("libexec", "caisson", "guest")
    if os.path.islink(os.path.join(source, guest)):  # out of libexec, in a build directory
        os.remove(os.path.join(copy, guest))
        os.symlink(os.path.realpath(os.path.join(source, guest)), os.path.join(copy, guest))
    return os.path.join(copy, "bin", os.path.basename(runtime))


def replace(runtime):
    """Another build of every program, as an installer brings it: beside the old one, and renamed."""
    top, replaced = os.path.dirname(os.path.dirname(runtime)), 0
    for directory in (os.path.join(top, "bin"), os.path.join(top, "libexec", "caisson")):
        for name in os.listdir(directory):
            path = os.path.join(directory, name)
            if os.path.islink(path) or not os.path.isfile(path):
                continue
            shutil.copy2(path, path + ".new")
            with open(path + ".new", "ab") as f:
                f.write(os.urandom(64))
            os.rename(path + ".new", path)
            replaced += 1
    assert replaced >= 6


def is_old(pid):
    return os.readlink("/proc/%d/exe" % pid).endswith(" (deleted)")


def test_pods_survive_the_replacement_of_the_programs(make_pod, containerd, runtime):  # noqa: F811
    pod = make_pod("before")
    first = pod.start("a", ("/bin/sleep", "1000"))
    alone = containerd.start("/bin/sleep", "1000")
    old = shim_of(pod.id)
    replace(runtime)
    assert is_old(old) and is_old(shim_of(alone))

    # What runs goes on, and what it is asked for is done.
    assert pod.cri.ExecSync(container_id=first, cmd=["/bin/echo", "on"]).stdout == b"on\n"
    assert containerd.ctr("tasks", "exec", "--exec-id", "e", alone, "/bin/echo", "on").text == "on"
    second = pod.start("b", ("/bin/sleep", "1000"))
    assert shim_of(pod.id) == old, "a pod has one shim"
    assert pod.cri.ExecSync(container_id=second, cmd=["/bin/echo", "new"]).stdout == b"new\n"
    assert get(socket_of(old), "/state")[0] == 200

    # The new command line knows them.
    listed = json.loads(command.run([runtime, "--root", ROOT, "list", "-f", "json"]).out)
    assert {c["id"]: c["status"] for c in listed} == dict.fromkeys((pod.id, first, second, alone), "running")
    assert command.run([runtime, "--root", ROOT, "exec", first, "/bin/echo", "cli"]).text == "cli"
    assert command.run([runtime, "--root", ROOT, "ps", alone]).rc == 0
    assert json.loads(command.run([runtime, "--root", ROOT, "events", "--stats", alone]).out)["type"] == "stats"
    found = Families(command.run([runtime, "metrics", "--all-roots"]).out)
    assert found.value("caisson_container_measured", id=first) == 1
    assert found.value("caisson_shim_containers", group=pod.id) == 3

    # A new pod is the new programs'.
    other = make_pod("after")
    third = other.start("c", ("/bin/sleep", "1000"))
    assert not is_old(shim_of(other.id))
    assert other.cri.ExecSync(container_id=third, cmd=["/bin/echo", "on"]).stdout == b"on\n"

    # A container restarts in the old pod; then all of it goes in the usual way.
    pod.cri.StopContainer(container_id=first, timeout=0)
    pod.cri.RemoveContainer(container_id=first)
    again = pod.start("a2", ("/bin/sleep", "1000"))
    assert pod.status(again).state == 1
    pod.cri.StopPodSandbox(pod_sandbox_id=pod.id)
    pod.cri.RemovePodSandbox(pod_sandbox_id=pod.id)
    containerd.remove(alone)
    command.eventually(lambda: shims() == [shim_of(other.id)], what="the end of the old shims")


def test_new_program_cleans_up_after_an_old_shim(make_pod, containerd, runtime):  # noqa: F811
    """containerd runs `delete` of what is installed now."""
    pod = make_pod("before")
    container = pod.start("a", ("/bin/sleep", "3005"))
    old = shim_of(pod.id)
    replace(runtime)
    containerd.restart()
    pod.cri = containerd.cri
    assert pod.status(container).state == 1
    os.kill(old, signal.SIGKILL)
    pod.wait_exited(container)
    command.eventually(lambda: not [line for line in census.processes().values()
                                    if "sleep 3005" in line], what="the end of the processes")
    command.eventually(lambda: command.run([runtime, "--root", ROOT, "list", "--quiet"]).text == "",
                       what="no container")
