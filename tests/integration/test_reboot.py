# SPDX-License-Identifier: Apache-2.0
"""A root directory of an earlier boot of the host, in every class: its containers are stopped, they can be listed and
deleted and made anew, and nothing that has got a number or a cgroup of theirs meanwhile is touched."""

import json
import os
import pathlib
import signal
import subprocess

import pytest

from lib import cgroups
from lib.runtime import wait_until

pytestmark = [pytest.mark.classes("ns", "sentry", "vm"),
              pytest.mark.beyond("runc", "crun", reason="state.json is ours")]


def start_time(pid):
    return int(pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[19])


def enter(path, pid):
    """A cgroup of this path in every hierarchy, as another container's would be."""
    for top in cgroups.hierarchies():
        directory = top / path.lstrip("/")
        directory.mkdir(exist_ok=True)
        if (directory / "cpuset.cpus").exists() and not cgroups.is_v2():
            for name in ("cpuset.cpus", "cpuset.mems"):
                (directory / name).write_text((top / name).read_text(encoding="ascii"), encoding="ascii")
        (directory / "cgroup.procs").write_text(str(pid), encoding="ascii")


def remove(path):
    for top in cgroups.hierarchies():
        if (top / path.lstrip("/")).is_dir():
            os.rmdir(top / path.lstrip("/"))


@pytest.fixture
def stranger():
    """A process that has nothing to do with any container."""
    process = subprocess.Popen(["sleep", "1000"])
    yield process
    process.kill()
    process.wait()


def age(runtime, bundle, **facts):
    """The container's end without anybody's help, as by a power cut, and other facts in its state.json."""
    os.kill(runtime.state(bundle).pid, signal.SIGKILL)
    runtime.wait_for(bundle, "stopped")
    wait_until(lambda: not cgroups.pids(bundle.linux.cgroups_path))
    for directory in sorted(cgroups.all_cgroups(), key=len, reverse=True):
        if bundle.linux.cgroups_path in directory:
            os.rmdir(directory)
    path = runtime.root / bundle.id / "state.json"
    state = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**state, **facts}), encoding="utf-8")


@pytest.mark.parametrize("number", ["nobodys", "reused", "reused in the same moment of another boot"])
def test_containers_of_an_earlier_boot_are_stopped_and_go(runtime, bundle, stranger, number):
    runtime.run_detached(bundle)
    facts = {"bootId": "00000000-0000-4000-8000-000000000000"}
    if number == "reused":
        facts = {"pid": stranger.pid, "startTime": start_time(stranger.pid) - 1}
    elif number != "nobodys":
        facts |= {"pid": stranger.pid, "startTime": start_time(stranger.pid)}
    age(runtime, bundle, **facts)
    if number.startswith("reused in"):
        enter(bundle.linux.cgroups_path, stranger.pid)

    listed, = runtime.list("--format", "json").json
    assert (listed["id"], listed["status"], listed["pid"]) == (bundle.id, "stopped", 0)
    assert runtime.state(bundle).status == "stopped"
    for result in (runtime.kill(bundle, "KILL", check=False), runtime.exec(bundle, ["true"], check=False),
                   runtime.pause(bundle, check=False)):
        assert result.returncode != 0
    runtime.delete(bundle, "--force")
    assert stranger.poll() is None and runtime.container_ids() == []
    if number.startswith("reused in"):
        assert stranger.pid in cgroups.pids(bundle.linux.cgroups_path)
        stranger.kill()
        stranger.wait()
        remove(bundle.linux.cgroups_path)
    assert runtime.run(bundle, ["echo", "anew"]).stdout == "anew\n"


def test_an_id_of_an_earlier_boot_is_taken_until_it_is_deleted(runtime, bundle):
    """With all that a running container has in its directory: sockets that nobody answers, a config.json."""
    runtime.create(bundle)
    left = set(os.listdir(runtime.root / bundle.id))
    age(runtime, bundle, bootId="00000000-0000-4000-8000-000000000000")
    assert left <= set(os.listdir(runtime.root / bundle.id))

    again = runtime.create(bundle, check=False)
    assert again.returncode != 0 and "already exists" in again.stderr
    start = runtime.start(bundle, check=False)
    assert start.returncode != 0
    runtime.delete(bundle)
    runtime.create(bundle)
    runtime.start(bundle)
