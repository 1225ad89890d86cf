# SPDX-License-Identifier: Apache-2.0
"""Containers of a Kubernetes pod, as engines describe them: by annotations, with the namespaces of the first by path.

Classes sentry and vm have them in one sandbox; in class ns they join each other's namespaces on the host.
"""

import contextlib
import os
import pathlib
import signal
import socket
import time

import pytest

from lib import cgroups, guest
from lib.faults import Campaign, Outcome, Verb, find_nth
from lib.pods import CRIO_SANDBOX, CRIO_TYPE, FOREVER, SANDBOX, TYPE, Pod, alive
from lib.runtime import refused, wait_until
from lib.verbs import VERBS

pytestmark = pytest.mark.classes("ns", "sentry", "vm")


@pytest.fixture
def pod(runtime, make_bundle):
    return Pod(runtime, make_bundle)


@pytest.fixture
def sandboxed(runtime):
    """Whether the kernel of the pod is not the host's."""
    return runtime.isolation != "ns"


# ---------------------------------------------------------------------------------- refusals


@pytest.mark.classes("sentry", "vm", ns_caveat="ns-pods")
@pytest.mark.parametrize("annotations, text", [
    ({TYPE: "container", SANDBOX: "nobody"}, "sandbox nobody of its pod: container does not exist"),
    ({CRIO_TYPE: "container", CRIO_SANDBOX: "nobody"}, "sandbox nobody of its pod: container does not exist"),
    ({TYPE: "container"}, "name no sandbox"),
    ({TYPE: "neither", SANDBOX: "nobody"}, "neither sandbox nor container"),
])
def test_a_container_without_its_sandbox_is_refused_by_name(runtime, bundle, annotations, text):
    bundle.config["annotations"] = annotations
    refused(runtime, runtime.create(bundle, check=False), text)
    assert runtime.status(bundle) is None


@pytest.mark.classes("sentry", "vm", ns_caveat="ns-pods")
def test_a_sandbox_that_has_ended_takes_no_container(runtime, pod):
    late = pod.bundle("late")
    runtime.kill(pod.sandbox, "KILL")
    runtime.wait_for(pod.sandbox, "stopped")
    for kind in ("network", "ipc", "uts"):
        late.drop_namespace(kind)
    refused(runtime, runtime.create(late, check=False), "it has ended")
    assert runtime.status(late) is None


@pytest.mark.classes("sentry", "vm", ns_caveat="ns-pods")
def test_a_container_is_no_sandbox_for_others(runtime, pod):
    a = pod.add("a")
    b = pod.bundle("b")
    b.config["annotations"][SANDBOX] = a.id
    refused(runtime, runtime.create(b, check=False), f"it is itself a part of sandbox {pod.sandbox.id}")


@pytest.mark.classes("sentry", "vm", ns_caveat="ns-pods")
def test_a_pid_namespace_of_somebody_else_is_refused(runtime, pod):
    a = pod.bundle("a")
    a.namespace("pid", "/proc/1/ns/pid")
    refused(runtime, runtime.create(a, check=False), "the pid namespace of no container of sandbox")
    assert runtime.status(a) is None
    assert alive(runtime, pod.sandbox)


def test_a_program_that_is_not_there_is_told_and_leaves_the_pod_alone(runtime, pod, sandboxed):
    a = pod.bundle("a")
    a.process.args = ["/no/such/program"]
    result = runtime.run(a, None, "-d", check=False)
    assert result.returncode != 0 and "/no/such/program" in result.stderr
    assert runtime.status(a) is None
    assert alive(runtime, pod.sandbox)


@pytest.mark.classes("sentry", "vm", ns_caveat="ns-pods")
def test_clients_of_one_container_keep_those_of_another_not_out(runtime, pod):
    """Its sandbox has 256 connections, and eight more of each container."""
    a, b = pod.add("a"), pod.add("b")
    directory = os.open(runtime.root / a.id, os.O_PATH)
    with contextlib.ExitStack() as clients:
        clients.callback(os.close, directory)
        for _ in range(260):
            client = clients.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
            client.connect(f"/proc/self/fd/{directory}/sentry.sock")
        for c in (b, pod.sandbox):
            assert runtime.exec(c, ["echo", "on"]).stdout == "on\n"
            assert "sleep" in runtime.call("ps", c.id).stdout
        # The connection of who makes a container is that container's.
        more = [pod.add(f"more{i}") for i in range(9)]
        assert "sleep" in runtime.call("ps", pod.sandbox.id).stdout
    assert alive(runtime, pod.sandbox, a, b, *more)
    wait_until(lambda: runtime.call("ps", a.id, check=False).returncode == 0)


# ------------------------------------------------------------------------------ what they share


def says(words):
    """Who says them to the first client. They are there before it listens: nc ends with its client, whatever a pipe
    will have."""
    return ["sh", "-c", f"nc -l -p 8080 <<END\n{words}\nEND"]


def test_names_and_sockets_are_the_pods(runtime, pod):
    a, b = pod.add("a"), pod.add("b")
    assert runtime.exec(a, ["hostname"]).stdout.strip() == "of-the-pod"
    assert runtime.exec(b, ["hostname"]).stdout.strip() == "of-the-pod"
    server = runtime.start_exec(a, says("from-a"))
    ask = ["sh", "-c", "until nc 127.0.0.1 8080 </dev/null 2>/dev/null; do sleep 0.05; done"]
    assert runtime.exec(b, ask).stdout == "from-a\n"
    assert server.wait() == 0


def test_memory_of_system_v_is_the_pods(runtime, pod):
    a, b = pod.add("a"), pod.add("b")
    read = "cat /proc/sysvipc/shm | wc -l"
    before = runtime.exec(b, ["sh", "-c", read]).stdout
    assert before == runtime.exec(a, ["sh", "-c", read]).stdout
    namespaces = {runtime.exec(c, ["readlink", "/proc/self/ns/ipc"]).stdout for c in (pod.sandbox, a, b)}
    assert len(namespaces) == 1


def test_each_has_its_own_files_and_users(runtime, pod):
    a, b = pod.bundle("a"), pod.bundle("b")
    a.rootfs.write("whose", "a")
    b.rootfs.write("whose", "b")
    b.process.user.uid = b.process.user.gid = 1000
    for c in (a, b):
        runtime.run_detached(c)
    assert runtime.exec(a, ["cat", "/whose"]).stdout == "a"
    assert runtime.exec(b, ["cat", "/whose"]).stdout == "b"
    assert runtime.exec(a, ["sh", "-c", "echo more >/made; id -u"]).stdout == "0\n"
    assert runtime.exec(b, ["sh", "-c", "test ! -e /made && id -u"]).stdout == "1000\n"
    assert runtime.exec(pod.sandbox, ["sh", "-c", "test ! -e /whose"]).returncode == 0
    assert a.rootfs.read("made") == "more\n"
    mounts = {runtime.exec(c, ["readlink", "/proc/self/ns/mnt"]).stdout for c in (pod.sandbox, a, b)}
    assert len(mounts) == 3


def test_a_volume_shows_each_what_the_other_wrote(runtime, pod, work_dir):
    volume = work_dir / "volume"
    volume.mkdir()
    a, b = pod.bundle("a"), pod.bundle("b")
    for c in (a, b):
        c.bind(volume, "/data")
        runtime.run_detached(c)
    for i, (writer, reader) in enumerate([(a, b), (b, a), (a, b)]):
        runtime.exec(writer, ["sh", "-c", f"echo {i} >>/data/f; mkdir -p /data/d{i}"])
        expected = "".join(f"{n}\n" for n in range(i + 1))
        assert runtime.exec(reader, ["cat", "/data/f"]).stdout == expected
        assert f"d{i}" in runtime.exec(reader, ["ls", "/data"]).stdout.split()
    assert (volume / "f").read_text() == "0\n1\n2\n"
    runtime.exec(a, ["rm", "/data/f"])
    assert "f" not in runtime.exec(b, ["ls", "/data"]).stdout.split()


def test_sockets_and_fifos_of_a_volume_lead_from_one_to_the_other(runtime, pod, work_dir):
    volume = work_dir / "volume"
    volume.mkdir()
    a, b = pod.bundle("a"), pod.bundle("b")
    for c in (a, b):
        c.bind(volume, "/data")
        runtime.run_detached(c)
    for reader, writer in ((a, b), (b, a)):
        inbox = runtime.start_exec(reader, ["testinit", "uds", "recv", "dgram", f"/data/{reader.id}"])
        wait_until((volume / reader.id).exists)
        for line in ("one", "two"):
            runtime.exec(writer, ["testinit", "uds", "send", "dgram", f"/data/{reader.id}", line], check=False)
            assert inbox.read_line() == line
        assert inbox.wait() == 0
    # Who has closed it is not there.
    assert "ECONNREFUSED" in runtime.exec(b, ["testinit", "uds", "connect", "dgram", f"/data/{a.id}"], check=False).stdout
    runtime.exec(a, ["mkfifo", "/data/fifo"])
    reader = runtime.start_exec(a, ["cat", "/data/fifo"])
    runtime.exec(b, ["sh", "-c", "echo through >/data/fifo"])
    assert reader.finish() == "through\n"


def test_a_futex_in_a_file_of_a_volume_is_one_for_both(runtime, pod, work_dir):
    volume = work_dir / "volume"
    volume.mkdir()
    a, b = pod.bundle("a"), pod.bundle("b")
    for c in (a, b):
        c.bind(volume, "/dev/shm")
        runtime.run_detached(c)
    waiter = runtime.start_exec(a, ["testinit", "futex", "wait", "/dev/shm/lock"])
    assert runtime.exec(b, ["testinit", "futex", "wake", "/dev/shm/lock"]).returncode == 0
    assert waiter.wait() == 0


@pytest.mark.parametrize("lock", ["flock", "fcntl"])
def test_a_lock_on_a_file_of_a_volume_keeps_the_other_out(runtime, pod, work_dir, lock):
    volume = work_dir / "volume"
    volume.mkdir()
    a, b = pod.bundle("a"), pod.bundle("b")
    for c in (a, b):
        c.bind(volume, "/data")
        runtime.run_detached(c)
    holder = runtime.start_exec(a, ["testinit", lock, "hold", "/data/lock"])
    assert holder.read_line() == "held"
    assert runtime.exec(b, ["testinit", lock, "try", "/data/lock"], check=False).stdout == "errno EAGAIN\n"
    waiter = runtime.start_exec(b, ["testinit", lock, "hold", "/data/lock"])
    runtime.kill(a, "KILL")
    assert waiter.read_line() == "held"


def test_processes_are_each_containers_own(runtime, pod):
    a, b = pod.add("a"), pod.add("b", ["sh", "-c", "sleep 1000 & exec sleep 2000"])
    assert runtime.exec(a, ["sh", "-c", "cat /proc/1/cmdline | tr '\\0' ' '"]).stdout == "sleep 1000 "
    assert runtime.exec(b, ["sh", "-c", "cat /proc/1/cmdline | tr '\\0' ' '"]).stdout == "sleep 2000 "
    assert len(runtime.inside(pod.sandbox)) == 1
    assert len(runtime.inside(a)) == 1
    assert len(runtime.inside(b)) == 2


def test_a_shared_pid_namespace_shows_all_and_ps_each_its_own(runtime, pod):
    a, b = pod.add("a", None, "pid"), pod.add("b", ["sleep", "3000"], "pid")
    seen = runtime.exec(a, ["sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"]).stdout
    assert seen.count("sleep 1000 ") == 2 and "sleep 3000 " in seen
    assert [len(runtime.inside(c)) for c in (pod.sandbox, a, b)] == [1, 1, 1]
    alone = pod.add("alone")
    assert "3000" not in runtime.exec(alone, ["sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"]).stdout
    # Of another container of the pod, as `kubectl debug --target` has it.
    beside = pod.bundle("beside")
    pod.share(beside, "pid", of=alone)
    runtime.run_detached(beside, ["sleep", "4000"])
    seen = runtime.exec(alone, ["sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"]).stdout
    assert "sleep 4000 " in seen and "3000" not in seen
    runtime.stop(beside)
    assert alive(runtime, pod.sandbox, a, b, alone)


# ------------------------------------------------------- by a network's path alone (ADR 0023)


class Joined(Pod):
    """What Podman and Docker write for `--network container:ID`: nothing says that they are a pod."""

    def __init__(self, runtime, make_bundle):
        self.runtime, self.make_bundle = runtime, make_bundle
        self.sandbox = make_bundle("first")
        self.sandbox.config["hostname"] = "of-the-first"

    def begin(self):
        self.runtime.run_detached(self.sandbox, FOREVER)
        return self

    def bundle(self, name, *shared, of=None):
        bundle = self.make_bundle(name)
        bundle.config["hostname"] = "of-" + name
        self.share(bundle, "network", *shared, of=of)
        return bundle

    def hears(self, server, client):
        serving = self.runtime.start_exec(server, says("$(hostname)"))
        ask = ["sh", "-c", "until nc 127.0.0.1 8080 </dev/null 2>/dev/null; do sleep 0.05; done"]
        said = self.runtime.exec(client, ask).stdout
        assert serving.wait() == 0
        return said


@pytest.fixture
def joined(runtime, make_bundle):
    return Joined(runtime, make_bundle).begin()


def test_who_joins_a_network_by_its_path_is_in_its_sandbox(runtime, joined):
    a = joined.add("a")
    b = joined.bundle("b", of=a)
    runtime.run_detached(b)
    assert joined.hears(joined.sandbox, a) == "of-the-first\n"
    assert joined.hears(a, b) == "of-a\n"
    for kind, number in (("net", 1), ("uts", 3), ("ipc", 3), ("pid", 3)):
        links = {runtime.exec(c, ["readlink", f"/proc/self/ns/{kind}"]).stdout for c in (joined.sandbox, a, b)}
        assert len(links) == number, kind
    runtime.kill(a, "KILL")
    runtime.wait_for(a, "stopped")
    runtime.delete(a)
    assert alive(runtime, joined.sandbox, b)
    runtime.run_detached(a)
    assert joined.hears(b, a) == "of-b\n"


def test_names_and_memory_by_their_paths_too(runtime, joined):
    a = joined.bundle("a", "uts", "ipc", "pid")
    a.config.pop("hostname")
    runtime.run_detached(a)
    for kind in ("net", "uts", "ipc", "pid"):
        assert len({runtime.exec(c, ["readlink", f"/proc/self/ns/{kind}"]).stdout for c in (joined.sandbox, a)}) == 1, kind
    assert joined.hears(a, joined.sandbox) == "of-the-first\n"


def test_one_joins_a_network_before_anybody_has_started(runtime, make_bundle):
    joined = Joined(runtime, make_bundle)
    joined.sandbox.process.args = FOREVER
    runtime.create(joined.sandbox)
    a = joined.bundle("a")
    a.process.args = FOREVER
    runtime.create(a)
    runtime.start(a)
    runtime.start(joined.sandbox)
    assert joined.hears(joined.sandbox, a) == "of-the-first\n"


@pytest.mark.classes("sentry", "vm", ns_caveat="ns-pods")
def test_who_joined_a_network_ends_with_its_sandbox(runtime, joined):
    a = joined.add("a")
    runtime.kill(joined.sandbox, "KILL")
    for c in (joined.sandbox, a):
        runtime.wait_for(c, "stopped")
        runtime.delete(c)


@pytest.mark.classes("sentry", "vm", ns_caveat="ns-pods")
def test_a_network_of_a_paused_sandbox_is_refused_by_name(runtime, joined):
    a = joined.bundle("a")
    runtime.pause(joined.sandbox)
    refused(runtime, runtime.create(a, check=False), f"sandbox {joined.sandbox.id} of its pod: it is paused")
    assert runtime.status(a) is None


# ----------------------------------------------------------------------------------- their lives


def test_created_started_and_ended_one_by_one(runtime, pod, wait_for):
    a = pod.bundle("a")
    a.process.args = ["sh", "-c", "echo runs; exit 7"]
    runtime.create(a)
    assert runtime.status(a) == "created"
    assert runtime.output(a) == ""
    b = pod.add("b")
    runtime.start(a)
    runtime.wait_for(a, "stopped")
    assert runtime.output(a) == "runs\n"
    assert alive(runtime, pod.sandbox, b)
    runtime.delete(a)
    assert runtime.container_ids() == sorted([pod.sandbox.id, b.id])


def test_the_exit_code_is_that_of_the_first_process(runtime, pod):
    for code in (0, 7):
        assert runtime.run(pod.bundle("a"), ["sh", "-c", f"exit {code}"], check=False).returncode == code
    killed = runtime.run(pod.bundle("a"), ["sh", "-c", "kill -KILL $$"], check=False)
    assert killed.returncode in (137, 0)  # pid 1 cannot kill itself
    assert alive(runtime, pod.sandbox)


def test_init_containers_come_and_go_before_the_others(runtime, pod, work_dir):
    volume = work_dir / "volume"
    volume.mkdir()
    for name in ("one", "two"):
        init = pod.bundle(name)
        init.bind(volume, "/data")
        runtime.run(init, ["sh", "-c", f"echo {name} >>/data/done"])
    app = pod.bundle("app")
    app.bind(volume, "/data")
    assert runtime.run(app, ["cat", "/data/done"]).stdout == "one\ntwo\n"
    assert runtime.container_ids() == [pod.sandbox.id]


def test_a_container_comes_again_under_its_name(runtime, pod):
    b = pod.add("b")
    a = pod.bundle("a")
    for _ in range(3):
        runtime.run_detached(a, ["sleep", "1000"])
        runtime.exec(a, ["sh", "-c", "echo again >>/count"])
        runtime.kill(a, "KILL")
        runtime.wait_for(a, "stopped")
        runtime.delete(a)
    assert a.rootfs.read("count") == "again\n" * 3
    assert alive(runtime, pod.sandbox, b)


@pytest.mark.parametrize("how", ["KILL", "TERM"])
def test_a_crash_of_one_leaves_the_others(runtime, pod, how):
    b = pod.add("b")
    a = pod.add("a", ["sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.05; done"])
    extra = runtime.start_exec(a, ["sh", "-c", "echo up; exec sleep 1000"])
    assert extra.read_line() == "up"
    runtime.kill(a, how)
    runtime.wait_for(a, "stopped")
    assert extra.wait() == 137
    assert alive(runtime, pod.sandbox, b)
    assert runtime.exec(b, ["echo", "here"]).stdout == "here\n"
    runtime.delete(a)


def test_all_processes_of_one_end_with_its_first(runtime, pod):
    b = pod.add("b", None, "pid")
    a = pod.add("a", ["sh", "-c", "sleep 5000 & exec sleep 6000"], "pid")
    wait_until(lambda: "5000" in runtime.exec(b, ["sh", "-c", "cat /proc/[0-9]*/cmdline"]).stdout)
    runtime.kill(a, "KILL")
    runtime.wait_for(a, "stopped")
    runtime.delete(a, "--force")
    assert "5000" not in runtime.exec(b, ["sh", "-c", "cat /proc/[0-9]*/cmdline"]).stdout
    assert alive(runtime, pod.sandbox, b)


def test_signals_reach_the_container_they_were_sent_to(runtime, pod):
    loop = ["sh", "-c", "trap 'echo got >/got' USR1; echo up; while :; do sleep 0.02; done"]
    a, b = pod.add("a", loop), pod.add("b", loop)
    for c in (a, b):
        runtime.wait_for_output(c, "up")
    runtime.kill(a, "USR1")
    wait_until(lambda: a.rootfs.exists("got"))
    assert not b.rootfs.exists("got")
    # By the host's pid, as supervisors do.
    os.kill(runtime.state(b).pid, signal.SIGUSR1)
    if runtime.isolation != "ns":
        wait_until(lambda: b.rootfs.exists("got"))
    assert alive(runtime, pod.sandbox, a, b)


def test_the_end_of_the_sandbox_is_the_end_of_all(runtime, pod, sandboxed):
    if not sandboxed:
        pytest.skip("containers of class ns end by themselves: CAVEATS.md#ns-pods")
    a, b = pod.add("a"), pod.add("b", None, "pid")
    runtime.kill(pod.sandbox, "KILL")
    for c in (pod.sandbox, a, b):
        runtime.wait_for(c, "stopped")
        runtime.delete(c)
    assert runtime.container_ids() == []


def test_a_terminal_is_the_containers_own(runtime, pod, console):
    a, b = pod.add("a"), pod.bundle("b")
    b.process.terminal = True
    runtime.run_detached(b, ["sh"], "--console-socket", console.path)
    terminal = console.terminal()
    terminal.send("tty; hostname\n")
    terminal.expect("of-the-pod")
    terminal.send("exit 4\n")
    runtime.wait_for(b, "stopped")
    terminal.close()
    runtime.delete(b)
    assert alive(runtime, pod.sandbox, a)


# ------------------------------------------------------------------------------ killed at any moment


class InPod(Campaign):
    """Of a container whose pod lives: the sandbox may keep a stub for the next address space."""

    def left(self):
        every = type(self.guard)._differences
        self.guard._differences = lambda root: [w for w in every(self.guard, root) if "caisson-stub" not in w]
        return super().left()


@pytest.mark.classes("sentry", caveat="ns-pods")
@pytest.mark.parametrize("verb, follow", [("create", False), ("create", "children"), ("run -d", False), ("start", False),
                                          ("delete --force", False)])
def test_whoever_is_killed_meanwhile_nothing_is_left_and_the_pod_lives(runtime, pod, request, verb, follow):
    a = pod.bundle("a")
    campaign = InPod(runtime, a, VERBS[verb], follow, request.node.nodeid, 10)
    campaign.run(lambda n: ["kill", str(n)], lambda outcome: None)
    campaign.finish()
    b = pod.add("b")
    assert alive(runtime, pod.sandbox, b)


def test_who_waits_in_the_pid_namespace_of_one_that_ends_is_ended(runtime, pod):
    a = pod.add("a", ["sh", "-c", "trap 'exit 3' TERM; echo up; while :; do sleep 0.05; done"])
    runtime.wait_for_output(a, "up")
    beside = pod.bundle("beside")
    pod.share(beside, "pid", of=a)
    beside.process.args = FOREVER
    runtime.create(beside)
    runtime.kill(a, "TERM")
    for c in (a, beside):
        runtime.wait_for(c, "stopped")
        runtime.delete(c)
    assert alive(runtime, pod.sandbox)


def test_a_created_container_that_is_deleted_leaves_the_pod(runtime, pod):
    a = pod.bundle("a")
    a.process.args = FOREVER
    runtime.create(a)
    runtime.delete(a, "--force")
    assert runtime.status(a) is None
    b = pod.add("b")
    assert alive(runtime, pod.sandbox, b)


@pytest.mark.classes("sentry", "vm", ns_caveat="ns-pods")
def test_the_pod_is_paused_as_a_whole(runtime, pod):
    a = pod.add("a", ["sh", "-c", "while :; do echo tick; sleep 0.02; done"])
    runtime.wait_for_output(a, "tick")
    runtime.pause(pod.sandbox)
    ticks = runtime.output(a)
    b = pod.bundle("b")
    refused(runtime, runtime.create(b, check=False), "it is paused")
    assert runtime.output(a) == ticks
    runtime.resume(pod.sandbox)
    wait_until(lambda: runtime.output(a) != ticks)


def run_ns(pids):
    """Processor time of processes of the host."""
    return sum(int(pathlib.Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0]) for pid in pids)


@pytest.mark.classes("sentry", ns_caveat="ns-pods")
def test_a_program_that_asks_nothing_is_paused_with_its_pod(runtime, pod):
    pod.add("a", ["testinit", "spin"])
    stubs = guest.stubs_of(runtime.state(pod.sandbox).pid)
    begin = run_ns(stubs)
    wait_until(lambda: run_ns(stubs) > begin + 50_000_000)
    runtime.pause(pod.sandbox)
    runtime.list()  # what waits looks for its answer for a while before it sleeps
    begin = run_ns(stubs)
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        runtime.list()
    assert run_ns(stubs) < begin + 2_000_000
    runtime.resume(pod.sandbox)
    wait_until(lambda: run_ns(stubs) > begin + 50_000_000)


@pytest.mark.classes("sentry", ns_caveat="ns-pods")
def test_one_that_is_paused_is_looked_at_all_the_same(runtime, pod):
    a, b = pod.add("a", TICK, "pid"), pod.add("b", None, "pid")
    runtime.wait_for_output(a, "tick")
    runtime.pause(a)
    assert runtime.events(a, "--stats").json["data"]["pids"]["current"] == len(runtime.inside(a)) == 1
    seen = runtime.exec(b, ["sh", "-c", "cat /proc/[0-9]*/stat /proc/[0-9]*/status /proc/[0-9]*/maps /proc/[0-9]*/cmdline"])
    assert "while :; do echo tick; done" in seen.stdout and "VmRSS" in seen.stdout
    runtime.resume(a)
    assert alive(runtime, pod.sandbox, a, b)


TICK = ["sh", "-c", "while :; do echo tick; done"]


def test_one_is_paused_and_the_others_go_on(runtime, pod, wait_for):
    a, b = pod.add("a", TICK), pod.add("b", TICK)
    for c in (a, b):
        runtime.wait_for_output(c, "tick")
    runtime.pause(a)
    assert runtime.status(a) == "paused" and alive(runtime, pod.sandbox, b)
    ticks, others = runtime.output(a), runtime.output(b)
    wait_until(lambda: len(runtime.output(b)) > len(others) + 1000)
    assert runtime.output(a) == ticks
    runtime.resume(a)
    wait_until(lambda: len(runtime.output(a)) > len(ticks))
    assert alive(runtime, pod.sandbox, a, b)


def test_one_that_is_paused_can_be_killed(runtime, pod):
    a, b = pod.add("a", TICK), pod.add("b")
    runtime.wait_for_output(a, "tick")
    runtime.pause(a)
    runtime.kill(a, "KILL")
    runtime.wait_for(a, "stopped")
    runtime.delete(a)
    assert alive(runtime, pod.sandbox, b)


@pytest.mark.classes("sentry", ns_caveat="ns-pods")
def test_a_resume_that_was_killed_can_be_repeated(runtime, pod, request):
    a = pod.bundle("a")
    plain = VERBS["resume"]
    verb = Verb(plain.name, plain.args, plain.prepare, None, ["sh", "-c", "while :; do echo tick; sleep 0.02; done"])

    def goes_on(_outcome):
        if runtime.status(a) == "paused":
            runtime.resume(a)
        before = len(runtime.output(a))
        wait_until(lambda: len(runtime.output(a)) > before)

    campaign = InPod(runtime, a, verb, False, request.node.nodeid, 10)
    campaign.run(lambda n: ["kill", str(n)], goes_on)
    campaign.finish()


@pytest.mark.classes("sentry", ns_caveat="ns-pods")
def test_a_pause_of_all_that_was_killed_holds_nobody(runtime, pod):
    """Their kernel keeps them out of their code before it is frozen: not without who would freeze it."""
    a = pod.add("a", ["sh", "-c", "while :; do echo tick; sleep 0.01; done"])
    runtime.wait_for_output(a, "tick")
    for n in range(1, 10000, 2):
        outcome = Outcome(runtime.pause(pod.sandbox, check=False, prefix=[find_nth(), "kill", str(n)]))
        if runtime.status(pod.sandbox) == "paused":
            runtime.resume(pod.sandbox)
        ticks = runtime.output(a)
        wait_until(lambda before=len(ticks): len(runtime.output(a)) > before)
        if outcome.succeeded:
            break
    assert n > 20 and alive(runtime, pod.sandbox, a)


@pytest.mark.classes("sentry", "vm", ns_caveat="ns-pods")
def test_execs_while_one_ends_harm_no_other(runtime, pod):
    b = pod.add("b")
    for n in range(8):
        a = pod.add(f"a{n}", ["sh", "-c", "trap 'exit 7' TERM; echo up; while :; do sleep 0.02; done"])
        runtime.wait_for_output(a, "up")
        execs = [runtime.start_exec(a, ["true"]) for _ in range(6)]
        runtime.kill(a, "TERM")
        for process in execs:
            process.wait()
        runtime.wait_for(a, "stopped")
        runtime.delete(a)
    assert alive(runtime, pod.sandbox, b)
    assert runtime.exec(b, ["echo", "here"]).stdout == "here\n"


@pytest.mark.parametrize("first", ["all", "one"])
def test_a_pause_of_one_is_remembered_beside_that_of_all(runtime, pod, first):
    """As freezers of the host are, each inside the other."""
    a = pod.add("a", TICK)
    runtime.wait_for_output(a, "tick")
    for c in (pod.sandbox, a) if first == "all" else (a, pod.sandbox):
        runtime.pause(c)
    runtime.resume(pod.sandbox)
    assert runtime.status(a) == "paused"
    assert runtime.exec(pod.sandbox, ["echo", "here"]).stdout == "here\n"
    ticks = runtime.output(a)
    runtime.resume(a)
    wait_until(lambda: len(runtime.output(a)) > len(ticks))


def test_a_resume_of_one_is_remembered_while_all_are_paused(runtime, pod, sandboxed):
    a = pod.add("a", TICK)
    runtime.wait_for_output(a, "tick")
    for call in (runtime.pause, runtime.resume, runtime.pause):
        call(a)
    runtime.pause(pod.sandbox)
    runtime.resume(a)
    if sandboxed:
        assert runtime.status(a) == "paused"
        refused(runtime, runtime.resume(a, check=False), f"not paused by itself: sandbox {pod.sandbox.id}")
    ticks = runtime.output(a)
    runtime.resume(pod.sandbox)
    wait_until(lambda: len(runtime.output(a)) > len(ticks))
    assert alive(runtime, pod.sandbox, a)


@pytest.mark.classes("sentry", "vm", ns_caveat="ns-pods")
def test_while_all_are_paused_no_verb_on_one_waits(runtime, pod):
    """Who waits for the sandbox does so for 20 s, longer than CALL_TIMEOUT_S."""
    a, created = pod.add("a", ["sh", "-c", "trap 'exit 7' TERM; echo up; while :; do sleep 0.02; done"]), pod.bundle("b")
    created.process.args = FOREVER
    runtime.create(created)
    runtime.wait_for_output(a, "up")
    runtime.pause(pod.sandbox)
    assert [runtime.status(c) for c in (pod.sandbox, a, created)] == ["paused"] * 3
    refused(runtime, runtime.exec(a, ["true"], check=False), "paused container", code=255)
    refused(runtime, runtime.start(created, check=False), "in the paused state")
    refused(runtime, runtime.ps(a, check=False), f"sandbox {pod.sandbox.id} is paused")
    refused(runtime, runtime.call("debug", a.id, "metrics", check=False), f"sandbox {pod.sandbox.id} is paused")
    refused(runtime, runtime.delete(a, check=False), "not stopped: paused")
    assert runtime.events(a, "--stats").json["id"] == a.id
    if cgroups.has_controller("pids"):
        runtime.update(a, "--pids-limit", "100")
    runtime.kill(a, "TERM")
    assert runtime.status(a) == "paused"
    runtime.resume(pod.sandbox)
    runtime.wait_for(a, "stopped")
    runtime.start(created)
    assert alive(runtime, pod.sandbox, created)


@pytest.mark.parametrize("how", ["kill", "kill --all", "delete --force"])
def test_one_is_ended_while_all_are_paused_and_comes_again(runtime, pod, how):
    a, b = pod.add("a"), pod.add("b", TICK)
    runtime.wait_for_output(b, "tick")
    runtime.pause(pod.sandbox)
    if how == "delete --force":
        runtime.delete(a, "--force")
    else:
        runtime.kill(a, "KILL", *how.split()[1:])
        runtime.wait_for(a, "stopped")
        runtime.delete(a)
    assert runtime.status(a) is None
    assert runtime.status(pod.sandbox) == "paused"
    runtime.resume(pod.sandbox)
    ticks = runtime.output(b)
    runtime.run_detached(a, FOREVER)
    wait_until(lambda: len(runtime.output(b)) > len(ticks))
    assert alive(runtime, pod.sandbox, a, b)
    assert len(runtime.inside(a)) == 1


def test_a_paused_pod_is_deleted_with_all_that_is_in_it(runtime, pod):
    a, b = pod.add("a"), pod.add("b")
    runtime.pause(b)
    runtime.pause(pod.sandbox)
    for c in (pod.sandbox, a, b):
        runtime.delete(c, "--force")
    assert runtime.container_ids() == []


@pytest.mark.classes("ns")
def test_in_class_ns_a_pause_of_the_first_is_its_own(runtime, pod):
    a = pod.add("a", TICK)
    runtime.pause(pod.sandbox)
    assert runtime.status(a) == "running"
    ticks = runtime.output(a)
    wait_until(lambda: len(runtime.output(a)) > len(ticks))
    runtime.resume(pod.sandbox)


@pytest.mark.classes("sentry", "vm", ns_caveat="ns-pods")
@pytest.mark.layouts("v1", "hybrid")
def test_limits_and_statistics_are_each_containers(runtime, pod):
    a, b = pod.bundle("a"), pod.bundle("b")
    a.linux.resources.pids = {"limit": 4}
    for c in (a, b):
        runtime.run_detached(c, ["sh", "-c", "sleep 1000 & exec sleep 1000"])
    many = ["sh", "-c", "for i in 1 2 3 4 5 6; do sleep 1000 & done; echo all"]
    assert "all" not in runtime.exec(a, many, check=False).stdout
    wait_until(lambda: len(runtime.inside(b)) == 2)
    tasks = {c.id: runtime.events(c, "--stats").json["data"]["pids"] for c in (pod.sandbox, b)}
    assert tasks[pod.sandbox.id]["current"] == 1 and tasks[b.id]["current"] == 2
    assert runtime.exec(b, ["sh", "-c", "for i in 1 2 3 4 5 6; do true & done; wait; echo all"]).stdout == "all\n"


@pytest.mark.classes("sentry", ns_caveat="ns-pods")
@pytest.mark.layouts("v1", "hybrid")
def test_each_sees_its_own_limits_and_processes_in_its_cgroup(runtime, pod):
    a, b = pod.bundle("a", "pid"), pod.bundle("b", "pid")
    a.linux.resources.memory = {"limit": 64 << 20}
    a.linux.resources.cpu = {"quota": 50000, "period": 100000}
    a.linux.resources.pids = {"limit": 20}
    for c in (a, b):
        c.mount("/sys/fs/cgroup", "cgroup", "cgroup2", ["ro"])
        runtime.run_detached(c, FOREVER)

    def read(c, *names):
        return runtime.exec(c, ["cat", *(f"/sys/fs/cgroup/{name}" for name in names)]).stdout.splitlines()

    limits = ("memory.max", "cpu.max", "pids.max")
    assert read(a, *limits) == [str(64 << 20), "50000 100000", "20"]
    assert read(b, "cpu.max", "pids.max") == ["max 100000", "max"]
    assert int(read(b, "memory.max")[0]) > 64 << 20
    assert 0 < int(read(a, "memory.current")[0]) < 64 << 20
    assert len(read(a, "cgroup.procs")) == len(read(b, "cgroup.procs")) == 2
    runtime.update(a, "--memory", str(128 << 20), "--pids-limit", "30")
    assert read(a, *limits) == [str(128 << 20), "50000 100000", "30"]
