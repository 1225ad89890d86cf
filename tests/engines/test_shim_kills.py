# SPDX-License-Identifier: Apache-2.0
"""kill -9 of containerd, the shim, its worker or a process of the sandbox at moments of chance in every call of a pod's
life: containerd goes on, the end is told once, nothing stays."""

import os
import random
import re
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from enginelib import census, command, cri
from enginelib.images import TEST_IMAGE
from enginelib.remains import SOCKETS, Remains
from test_containerd import engine  # noqa: F401 (fixture)
from test_shim import Events

SOAK = os.environ.get("CAISSON_SOAK") == "1"
MOMENTS = 40 if SOAK else 3  # of each call
CALL_S = 120  # longer than any call may take; what hangs takes for ever
POLL_S = 0.0005
NOTICED_S = 60  # a shim that is never asked for a container ends after 20 s
# Of containerd, of its plugins and of this test.
OTHERS = ("containerd", "ctr", "iptables", "ip6tables", "ip", "unpigz")


def seed():
    """A new one each day; a failure's can be given."""
    return os.environ.get("CAISSON_SEED") or time.strftime("%Y-%m-%d")


class Life:
    """A pod with one container, call by call; what it has so far is forgotten by nobody but `engine.remove_all()`."""

    serial = 0

    def __init__(self, engine, logs, handler=""):  # noqa: F811
        Life.serial += 1
        self.engine, self.handler, self.pod, self.container = engine, handler, None, None
        name = "killed%d" % Life.serial
        self.config = {"metadata": {"name": name, "uid": name, "namespace": "default"}, "hostname": name,
                       "log_directory": str(logs), "linux": {"cgroup_parent": "/kubepods"}}

    def run(self):
        self.pod = self.call("RunPodSandbox", config=self.config, runtime_handler=self.handler).pod_sandbox_id

    def create(self):
        self.container = self.call("CreateContainer", pod_sandbox_id=self.pod, sandbox_config=self.config, config={
            "metadata": {"name": "c"}, "image": {"image": TEST_IMAGE}, "log_path": "c.log",
            "command": ["/bin/sh", "-c", "sleep 1000 & sleep 1000"]}).container_id

    def start(self):
        self.call("StartContainer", container_id=self.container)

    def exec(self):
        self.call("ExecSync", container_id=self.container, cmd=["/bin/sh", "-c", "echo x; true"], timeout=CALL_S)

    def stop(self):
        self.call("StopContainer", container_id=self.container, timeout=0)

    def remove(self):
        self.call("RemoveContainer", container_id=self.container)

    def stop_pod(self):
        self.call("StopPodSandbox", pod_sandbox_id=self.pod)

    def remove_pod(self):
        self.call("RemovePodSandbox", pod_sandbox_id=self.pod)

    STEPS = (run, create, start, exec, stop, remove, stop_pod, remove_pod)

    def call(self, method, **fields):
        return getattr(self.engine.cri, method)(timeout_s=CALL_S, **fields)


def kinds(containerd_pid):
    """{kind: [(pid, name)]} of the lane's processes, containerd's network plugins left out."""
    found = {"containerd": [], "shim": [], "worker": [], "part": []}
    for pid, line in census.processes().items():
        try:
            with open("/proc/%d/comm" % pid, encoding="utf-8", errors="replace") as f:
                name = f.read().strip()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if pid == containerd_pid:
            kind = "containerd"
        elif name == "containerd-shim":
            kind = "shim"
        elif name == "caisson-worker":
            kind = "worker"
        elif name in OTHERS or line.startswith(("/usr/lib/cni/", "[")):
            continue
        else:
            kind = "part"
        found[kind].append((pid, name))
    return found


class Killer:
    """Kills one process of a kind, after delay_s or as soon after it as there is one, until over() is true."""

    def __init__(self, engine, chance, kind, delay_s, over):  # noqa: F811
        self.hit, self.chance, self.kind, self.over = None, chance, kind, over
        self.containerd_pid, self.at = engine.daemon.proc.pid, time.monotonic() + delay_s

    def strike(self):
        while time.monotonic() < self.at:
            time.sleep(POLL_S)
        while not self.hit:
            found = kinds(self.containerd_pid)[self.kind]
            if found:
                pid, name = self.chance.choice(sorted(found))
                try:
                    os.kill(pid, signal.SIGKILL)
                    self.hit = name
                except ProcessLookupError:
                    pass
            elif self.over():
                return
            else:
                time.sleep(POLL_S)


def usual_times(engine, logs):  # noqa: F811
    """Seconds of each step of a life in peace; the second one's, since a first takes longer."""
    for _ in range(2):
        life, times = Life(engine, logs), []
        for step in Life.STEPS:
            start = time.monotonic()
            step(life)
            times.append(time.monotonic() - start)
    return times


def drill(engine, life, chance, kind, number, usual):  # noqa: F811
    """A life up to step `number`, during which somebody is killed; the name of who was, or None."""
    for step in Life.STEPS[:number]:
        step(life)
    ended = threading.Event()
    killer = Killer(engine, chance, kind, chance.uniform(0, 1.1 * usual[number]), ended.is_set)

    def call():
        try:
            Life.STEPS[number](life)
        except cri.RpcError as error:
            assert error.code().name != "DEADLINE_EXCEEDED", "the call hangs"
        finally:
            ended.set()
    with ThreadPoolExecutor(1) as worker:
        result = worker.submit(call)
        killer.strike()
        if killer.hit and kind == "containerd":
            engine.daemon.proc.wait()
            ended.wait()  # its client's channel is still needed: the call may not have begun
            engine.cri.close()
            engine._start()
        result.result()
    return killer.hit


def take_away(engine):  # noqa: F811
    """As a kubelet does: it asks until it is done."""
    def done():
        try:
            engine.remove_all()
            return True
        except cri.RpcError as error:
            done.last = error
            return False
    try:
        command.eventually(done, CALL_S, interval=0.2)
    except AssertionError:
        raise done.last from None


def of_containerd(kind, line):
    """What containerd 1.6 itself leaves, with every shim: it makes a pod's network before it records the pod, renames a
    snapshot's directory before it records that and a bundle (to .ID, where it never looks again) before it removes it,
    and asks nobody to clean up after a shim that dies before it has connected, or in the last Delete."""
    if kind == "containerd":
        return line.startswith(("file /run/netns/", "mount /run/netns/", "file /run/caisson-cni/", "link veth", "snapshot ")) \
            or bool(re.match(r"file /run/containerd/io\.containerd\.runtime\.v2\.task/[^/]+/\.", line))
    return kind == "shim" and line.startswith("file %s/" % SOCKETS)


def forget(remains):
    """What containerd leaves goes, so that other tests do not find it: sockets, and networks since the picture."""
    for name in os.listdir(SOCKETS):
        os.unlink(os.path.join(SOCKETS, name))
    for point in census.mounts():
        if point.startswith("/run/netns/") and point not in remains.mounts:
            command.run(["umount", point])
            os.unlink(point)


def recover(engine, logs):  # noqa: F811
    """A kubelet tries again: a directory of a snapshot that was not recorded is in containerd's way once."""
    def lived():
        try:
            life = Life(engine, logs)
            for step in Life.STEPS:
                step(life)
            return True
        except cri.RpcError:
            take_away(engine)
            return False
    command.eventually(lived, CALL_S, interval=0.2, what="a life after containerd's death")


def ends_are_told(events, kind, step):
    """Each process that was started and whose container is gone has one end. Where the shim was killed while it ended
    things, containerd cannot know what had been told: it tells an end of its own."""
    def settled():
        seen = events.read()
        started = {f["container_id"] for topic, f in seen if topic == "/tasks/start"}
        settled.ends = {name: sum(topic == "/tasks/exit" and f["id"] == name for topic, f in seen) for name in started}
        return all(settled.ends.values())
    command.eventually(settled, what="the ends of all that was started")
    most = 2 if kind == "shim" and step in ("stop", "remove", "stop_pod", "remove_pod") else 1
    assert all(count <= most for count in settled.ends.values()), settled.ends


@pytest.mark.parametrize("kind", ["containerd", "shim", "worker", "part"])
def test_a_kill_at_any_moment_leaves_nothing(engine, tmp_path, kind):  # noqa: F811
    usual = usual_times(engine, tmp_path)
    hits = {}
    for number, step in enumerate(Life.STEPS):
        for moment in range(MOMENTS):
            chance = random.Random("%s %s %s %d" % (seed(), kind, step.__name__, moment))
            remains = Remains(engine)
            events = Events(engine) if kind != "containerd" else None
            try:
                hit = drill(engine, Life(engine, tmp_path), chance, kind, number, usual)
                take_away(engine)
                if kind == "containerd" and hit:
                    recover(engine, tmp_path)
                if events:
                    ends_are_told(events, kind, step.__name__)
            finally:
                if events:
                    events.close()
            hits.setdefault(step.__name__, set()).add(hit)
            remains.assert_none(lambda line: of_containerd(kind, line), NOTICED_S, "%s, %s killed, moment %d, "
                                "CAISSON_SEED=%s" % (step.__name__, hit, moment, seed()))
            forget(remains)
    print("CAISSON_SEED=%s, killed: %s" % (seed(), hits))
    assert any(found - {None} for found in hits.values()), "nobody was ever there to be killed"
