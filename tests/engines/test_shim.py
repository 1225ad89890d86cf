# SPDX-License-Identifier: Apache-2.0
"""containerd-shim-caisson-v2: what its own life has that the runc shim's tests do not show."""

import json
import os
import shutil
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from enginelib import census, command
from enginelib.containerd import NAMESPACE, SOCKET
from enginelib.containerd_config import SERIES
from test_containerd import containerd, engine, make_pod, pod, sh  # noqa: F401 (fixtures)

SOCKETS = "/run/containerd/s"
BUNDLES = "/run/containerd/io.containerd.runtime.v2.task/" + NAMESPACE


def name_of(pid):
    try:
        with open("/proc/%d/comm" % pid, encoding="utf-8") as f:
            return f.read().strip()
    except OSError:
        return ""


def leads_session(pid):
    try:
        return os.getsid(pid) == pid
    except ProcessLookupError:
        return False


def shims():
    """Pids of the shims of this lane, each of which leads a session: its workers, whose forks have its name at first,
    do not. A waiter or a pod's keeper was cloned from one and has its command line."""
    return [pid for pid, line in census.processes().items()
            if "containerd-shim-caisson" in line and name_of(pid) not in ("caisson-wait", "caisson-pod")
            and leads_session(pid)]


def shim_of(name):
    """The pid of the shim that serves a container."""
    found = [pid for pid in shims()
             if "-id\0%s\0" % name in open("/proc/%d/cmdline" % pid, encoding="utf-8").read()]
    assert len(found) == 1, census.processes()
    return found[0]


class Events:
    """What containerd has told since this began, as (topic, fields)."""

    def __init__(self, containerd):
        self.proc = subprocess.Popen([*containerd.argv, "events"], stdout=subprocess.PIPE,
                                     stderr=subprocess.DEVNULL)
        self.text = b""
        os.set_blocking(self.proc.stdout.fileno(), False)
        # It says nothing when it has subscribed: events of a label that nobody else sets do.
        containerd.ctr("namespaces", "create", "probe%d" % os.getpid(), rc=None)
        self.number = 0

        def subscribed():
            self.number += 1
            containerd.ctr("namespaces", "label", "probe%d" % os.getpid(), "n=%d" % self.number)
            return self.read("/namespaces/update")
        command.eventually(subscribed, what="subscription to events")

    def read(self, prefix="/tasks/"):
        """All so far whose topic begins with prefix."""
        try:
            while True:
                data = os.read(self.proc.stdout.fileno(), 65536)
                assert data, "the end of events"
                self.text += data
        except BlockingIOError:
            pass
        found = []
        for line in self.text.decode().split("\n")[:-1]:
            topics = [word for word in line.split(" ") if word.startswith("/")]
            if topics and topics[0].startswith(prefix):
                found.append((topics[0], json.loads(line[line.index("{"):])))
        return found

    def of(self, name):
        """Topics of a container's events."""
        return [topic for topic, fields in self.read() if fields.get("container_id") == name]

    def close(self):
        self.proc.kill()
        self.proc.wait()
        self.proc.stdout.close()


@pytest.fixture
def events(containerd):  # noqa: F811
    found = Events(containerd)
    yield found
    found.close()
    containerd.ctr("namespaces", "remove", "probe%d" % os.getpid(), rc=None)


def test_events_of_a_life_come_in_order_and_once(containerd, events):  # noqa: F811
    name = containerd.start("/bin/sleep", "1000")
    containerd.ctr("tasks", "exec", "--exec-id", "e1", name, "/bin/true")
    containerd.ctr("tasks", "pause", name)
    containerd.ctr("tasks", "resume", name)
    containerd.ctr("tasks", "kill", "--signal", "KILL", name)
    command.eventually(lambda: containerd.task(name)[1] == "STOPPED", what="STOPPED")
    containerd.ctr("tasks", "delete", name, rc=None)
    command.eventually(lambda: "/tasks/delete" in events.of(name), what="the delete event")
    assert events.of(name) == [
        "/tasks/create", "/tasks/start", "/tasks/exec-added", "/tasks/exec-started", "/tasks/exit",
        "/tasks/paused", "/tasks/resumed", "/tasks/exit", "/tasks/delete"]
    ends = [fields for topic, fields in events.read() if topic == "/tasks/exit"]
    assert [(e["id"], e.get("exit_status", 0)) for e in ends] == [("e1", 0), (name, 137)]


def test_out_of_memory_of_a_container_is_told_once_and_before_its_end(pod, events):  # noqa: F811
    limit = {"resources": {"memory_limit_in_bytes": 24 << 20}}
    other = pod.start("other", ("/bin/sleep", "1000"), linux=limit)
    hog = pod.start("hog", sh("until [ -e /go ]; do sleep 0.1; done; exec probe eat 100"), linux=limit)
    pod.exec(hog, "/bin/touch", "/go")
    assert pod.wait_exited(hog).exit_code == 137
    command.eventually(lambda: "/tasks/delete" in events.of(hog), what="the delete event")
    assert [topic for topic in events.of(hog) if "/exec-" not in topic] == [
        "/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/oom", "/tasks/exit", "/tasks/delete"]
    assert [fields["id"] for topic, fields in events.read() if topic == "/tasks/exit"][-1] == hog
    assert events.of(other) == ["/tasks/create", "/tasks/start"]


def test_end_at_once_is_told_after_the_start(containerd, events):  # noqa: F811
    names = [containerd.name() for _ in range(5)]
    for name in names:
        containerd.ctr(*containerd.run_argv(name, ["/bin/true"], ("--rm",)))
    for name in names:
        command.eventually(lambda: "/tasks/delete" in events.of(name), what="the delete event")
        assert events.of(name) == ["/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete"]


def test_metrics_of_a_task_and_stats_of_a_container(pod, containerd):  # noqa: F811
    """What every class can say of a process that is busy."""
    spin = sh("while :; do :; done")
    container, alone = pod.start("a", spin), containerd.start(*spin)

    for name in (container, alone):
        before = containerd.figures(name).cpu
        command.eventually(lambda: containerd.figures(name).cpu > before + 100_000_000, 60, "CPU time")  # noqa: B023
        assert containerd.figures(name).memory > 0 and containerd.figures(name).tasks >= 1

    def stats():
        return pod.cri.ContainerStats(container_id=container).stats

    before = stats().cpu.usage_core_nano_seconds.value
    command.eventually(lambda: stats().cpu.usage_core_nano_seconds.value > before + 100_000_000, 60, "CPU time")
    assert stats().memory.working_set_bytes.value > 0
    assert [found.attributes.id for found in pod.cri.ListContainerStats().stats] == [container]


def test_output_is_whole_at_the_end(containerd):  # noqa: F811
    result = containerd.once(*sh("i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done"))
    assert result.out == "".join("line %d\n" % i for i in range(20000))


def test_input_reaches_a_process_and_its_end_too(containerd):  # noqa: F811
    """ctr forgets to tell an end of its input that comes while it creates: it comes after the output."""
    words = b"some\nwords\n" * 10000
    proc = subprocess.Popen([*containerd.argv, *containerd.run_argv(containerd.name(), ["/bin/cat"], ("--rm",))],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    with ThreadPoolExecutor(1) as writer:
        writer.submit(proc.stdin.write, words[:1])
        assert os.read(proc.stdout.fileno(), 1) == words[:1]
        sent = writer.submit(lambda: [proc.stdin.write(words[n:n + 4096]) for n in range(1, len(words), 4096)])
        seen = b""
        while len(seen) < len(words) - 1:
            data = os.read(proc.stdout.fileno(), 65536)
            assert data, "the end after %d bytes" % len(seen)
            seen += data
        sent.result()
        assert seen == words[1:]
    proc.stdin.close()
    assert proc.stdout.read() == b"" and proc.wait(60) == 0
    proc.stdout.close()


LINES = "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done"


def test_terminal_output_is_whole_at_the_end(pod):  # noqa: F811
    """Through the CRI: ctr of containerd 1.6 closes its end of the fifo when it hears that the process has ended, and
    loses what it has not read within the time that the shim gives it."""
    container = pod.start("a", sh(LINES), tty=True)
    assert pod.wait_exited(container).exit_code == 0
    command.eventually(lambda: len(pod.log("a")) >= 3000, what="the end of the log")
    assert [entry[3].rstrip("\r") for entry in pod.log("a")] == ["line %d" % i for i in range(3000)]


def test_terminal_output_is_whole(containerd):  # noqa: F811
    name = containerd.name()
    argv = containerd.run_argv(name, sh(LINES + "; echo the-end; read end"), ("--rm", "--tty"))
    with containerd.terminal(*argv) as term:
        seen = term.expect("the-end").replace("\r", "")
        term.send("\n")
        assert term.wait() == 0
    assert seen == "".join("line %d\n" % i for i in range(3000))


def test_terminal_of_a_process_that_cannot_start_ends(containerd):  # noqa: F811
    """Its client waits for the end of the output before it deletes the process."""
    name = containerd.start("/bin/sleep", "1000")
    with containerd.terminal("tasks", "exec", "--tty", "--exec-id", "e", name, "/nowhere") as term:
        assert term.wait() != 0
    # The name is free again.
    assert containerd.ctr("tasks", "exec", "--exec-id", "e", name, "/bin/echo", "on").text == "on"


def test_attach_to_a_running_container(containerd):  # noqa: F811
    name = containerd.name()
    with containerd.terminal(*containerd.run_argv(name, ["/bin/sh"], ("--tty",))) as term:
        term.expect("# ")
        with containerd.terminal("tasks", "attach", name) as second:
            second.send("echo se''cond; exit 5\n")
            assert second.wait() == 5
        term.wait()
    containerd.remove(name)


def test_file_and_binary_loggers(containerd, tmp_path):  # noqa: F811
    script = tmp_path / "logger"
    script.write_text("#!/bin/sh\nexec 5>&-\necho $CONTAINER_NAMESPACE $CONTAINER_ID $1 $2 > %s/who\n"
                      "cat <&3 > %s/out &\ncat <&4 > %s/err\nwait\n" % ((tmp_path,) * 3))
    script.chmod(0o755)
    name = containerd.name()
    containerd.ctr(*containerd.run_argv(name, sh("echo to-out; echo to-err >&2"), (
        "--detach", "--log-uri", "binary://%s?key=value" % script)))
    command.eventually(lambda: (tmp_path / "err").exists() and
                       (tmp_path / "err").read_text() == "to-err\n", what="the logger's file")
    command.eventually(lambda: (tmp_path / "out").read_text() == "to-out\n", what="the output")
    assert (tmp_path / "who").read_text() == "%s %s key value\n" % (NAMESPACE, name)
    name = containerd.name()
    containerd.ctr(*containerd.run_argv(name, sh("echo one; echo two >&2"), (
        "--detach", "--log-uri", "file://%s/deep/log" % tmp_path)))
    command.eventually(lambda: (tmp_path / "deep" / "log").exists() and
                       sorted((tmp_path / "deep" / "log").read_text().split()) == ["one", "two"],
                       what="the file")


def test_killed_containerd_finds_its_tasks_and_their_ends(containerd):  # noqa: F811
    stays = containerd.start("/bin/sleep", "1000")
    ends = containerd.start("/bin/sleep", "1000")
    pids = [containerd.task(name)[0] for name in (stays, ends)]
    containerd.cri.close()
    containerd.daemon.proc.kill()
    containerd.daemon.proc.wait()
    os.kill(pids[1], signal.SIGTERM)
    os.kill(pids[1], signal.SIGKILL)
    command.eventually(lambda: not os.path.exists("/proc/%d" % pids[1]), what="the end of the process")
    containerd._start()
    assert containerd.task(stays) == (pids[0], "RUNNING")
    if SERIES == "1.6":
        command.eventually(lambda: containerd.task(ends)[1] == "STOPPED", what="STOPPED")
        assert containerd.ctr("tasks", "delete", ends, rc=None).rc in (0, 137)
    # Later ones delete a task that has no process any more when they find it.
    assert containerd.task(ends) is None
    assert containerd.ctr("tasks", "exec", "--exec-id", "e", stays, "/bin/echo", "on").text == "on"


def test_killed_shim_leaves_nothing(containerd, events):  # noqa: F811
    name = containerd.start(*sh("sleep 3001 & sleep 3002"))
    os.kill(shim_of(name), signal.SIGKILL)
    command.eventually(lambda: containerd.task(name) is None, what="the end of the task")
    command.eventually(lambda: not [line for line in census.processes().values()
                                    if "sleep 300" in line], what="the end of the processes")
    command.eventually(lambda: not os.path.exists(os.path.join(BUNDLES, name)), what="no bundle")
    assert not [m for m in census.mounts() if name in m]
    command.eventually(lambda: "/tasks/delete" in events.of(name), what="the delete event")
    assert events.of(name).count("/tasks/exit") == 1
    containerd.ctr("containers", "delete", name)
    assert os.listdir(SOCKETS) == []
    # The name is free again.
    assert containerd.ctr(*containerd.run_argv(name, ["/bin/echo", "again"], ("--rm",))).text == "again"


def test_sockets_of_a_shim_that_nobody_knew_go_with_the_next_one(containerd, runtime, tmp_path):  # noqa: F811
    """Killed when containerd had not connected yet: who lives keeps his."""
    stays, ends = (containerd.start("/bin/sleep", "1000") for _ in range(2))
    command.eventually(lambda: len(os.listdir(SOCKETS)) == 4, what="the sockets of two")
    (tmp_path / "config.json").write_text("{}")
    shim = os.path.join(os.path.dirname(runtime), "containerd-shim-%s-v2" % os.path.basename(runtime))
    command.run([shim, "-namespace", NAMESPACE, "-id", "ghost", "-address", SOCKET, "start"], cwd=tmp_path)
    os.kill(shim_of("ghost"), signal.SIGKILL)
    assert len(os.listdir(SOCKETS)) == 6
    containerd.remove(ends)
    command.eventually(lambda: len(os.listdir(SOCKETS)) == 2, what="the end of what nobody serves")
    assert containerd.ctr("tasks", "exec", "--exec-id", "e", stays, "/bin/echo", "on").text == "on"


@pytest.fixture
def waiting(containerd, tmp_path):  # noqa: F811
    """A `ctr run` whose create waits in a hook until tmp_path/go is there: (name, process)."""
    root, name = tmp_path / "root", containerd.name()
    (root / "bin").mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin" / "sleep")
    spec = json.loads(containerd.ctr("oci", "spec").out)
    spec["root"] = {"path": str(root)}
    spec["process"].update(args=["/bin/sleep", "3004"], cwd="/", terminal=False)
    spec["linux"]["cgroupsPath"] = "/%s/%s" % (NAMESPACE, name)
    script = "touch {0}/here; while [ ! -e {0}/go ]; do sleep 0.1; done".format(tmp_path)
    spec["hooks"] = {"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", script]}]}
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    proc = subprocess.Popen([*containerd.argv, "run", "--runtime", containerd.shim, "--detach",
                             "--config", str(tmp_path / "spec.json"), name],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        command.eventually(lambda: (tmp_path / "here").exists(), what="the hook")
        yield name, proc
    finally:
        (tmp_path / "go").touch()
        proc.kill()
        proc.wait()


def nothing_of(name):
    """Of a container of `waiting`."""
    return not shims() and not os.path.exists(os.path.join(BUNDLES, name)) and not [
        line for line in census.processes().values() if "sleep 3004" in line]


def test_create_that_was_given_up_leaves_nothing(waiting, tmp_path):
    name, proc = waiting
    proc.kill()
    command.eventually(lambda: not os.path.exists(os.path.join(BUNDLES, name)), what="no bundle")
    (tmp_path / "go").touch()
    command.eventually(lambda: nothing_of(name), what="the end of what it made")
    assert os.listdir(SOCKETS) == []


def test_create_whose_worker_is_killed_leaves_nothing(waiting, containerd):  # noqa: F811
    name, proc = waiting
    found = [pid for pid in census.processes() if name_of(pid) == "caisson-worker"]
    assert len(found) == 1
    os.kill(found[0], signal.SIGKILL)
    assert proc.wait(60) != 0
    command.eventually(lambda: nothing_of(name), what="the end of what it made")
    root = "/run/containerd/caisson/" + NAMESPACE
    assert command.run([containerd.runtime, "--root", root, "list", "--quiet"]).text == ""


def test_killed_container_is_told_once(containerd, events):  # noqa: F811
    name = containerd.start("/bin/sleep", "1000")
    os.kill(containerd.task(name)[0], signal.SIGKILL)
    command.eventually(lambda: containerd.task(name)[1] == "STOPPED", what="STOPPED")
    containerd.remove(name)
    command.eventually(lambda: "/tasks/delete" in events.of(name), what="the delete event")
    assert events.of(name).count("/tasks/exit") == 1


def test_thirty_at_once(containerd):  # noqa: F811
    def life(number):
        return containerd.once(*sh("echo %d" % number), timeout=120).text

    with ThreadPoolExecutor(30) as workers:
        assert list(workers.map(life, range(30))) == [str(n) for n in range(30)]
    command.eventually(lambda: not shims(), what="the end of the shims")
    assert os.listdir(SOCKETS) == []


def test_one_shim_serves_a_pod_in_little_memory(make_pod):  # noqa: F811
    one, other = make_pod("one"), make_pod("other")
    for number in range(3):
        one.start("c%d" % number, ("/bin/sleep", "1000"))
    other.start("c", ("/bin/sleep", "1000"))
    found = shims()
    assert len(found) == 2 and sorted(found) == sorted(map(shim_of, (one.id, other.id)))
    for pid in found:
        assert private_kib(pid) < 3 * 1024
        with open("/proc/%d/status" % pid, encoding="utf-8") as f:
            assert command.fields(f.read())["Threads"] == "1"


def private_kib(pid):
    """Memory of a process that it shares with nobody."""
    with open("/proc/%d/smaps_rollup" % pid, encoding="utf-8") as f:
        sizes = command.fields(f.read())
    return sum(int(sizes[key].split()[0]) for key in ("Private_Clean", "Private_Dirty"))


def children_of(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid), encoding="utf-8") as f:
        return [int(word) for word in f.read().split()]


def test_pause_of_a_pod_is_one_small_process(pod):  # noqa: F811
    """The image's own program, and nothing of the runtime's beside it but the shim."""
    shim = shim_of(pod.id)
    command.eventually(lambda: len(children_of(shim)) == 1, what="the end of the workers")
    (pause,) = children_of(shim)
    assert children_of(pause) == []
    # What it was executed from is the image's file, not a copy that the runtime keeps.
    assert os.readlink("/proc/%d/exe" % pause) == "/pause"
    assert private_kib(pause) < 200, open("/proc/%d/smaps" % pause, encoding="utf-8").read()
    # Its standard streams, and no descriptor of the runtime's.
    assert sorted(os.listdir("/proc/%d/fd" % pause)) == ["0", "1", "2"]
    for controller in ("memory", "pids"):
        assert census.cgroup_file(controller, pause, "cgroup.procs") == str(pause)


def below(pid):
    """All processes that it and those below it have, whichever thread has made them."""
    found, left = [], [pid]
    while left:
        pid = left.pop()
        try:
            for thread in os.listdir("/proc/%d/task" % pid):
                with open("/proc/%d/task/%s/children" % (pid, thread), encoding="utf-8") as f:
                    left += map(int, f.read().split())
        except (FileNotFoundError, ProcessLookupError):
            continue
        found += [pid]
    return found[1:]


def test_all_of_a_pod_but_its_shim_is_counted_in_the_pods_group(pod):  # noqa: F811
    """To the limits of that group a kubelet adds the overhead of the RuntimeClass."""
    container = pod.start("a", ("/bin/sleep", "1000"))
    shim = shim_of(pod.id)

    def groups():
        """{command line: directory} of those that have not gone meanwhile."""
        lines, found = census.processes(), {}
        for pid in below(shim):
            try:
                found[lines.get(pid, str(pid))] = census.cgroup_of("memory", pid)
            except (FileNotFoundError, ProcessLookupError):
                pass
        return found
    command.eventually(lambda: all("/kubepods/pod/" in path for path in groups().values()),  # workers end
                       what="nobody elsewhere: %s" % groups())
    assert {pod.pid(container), json.loads(pod.cri.PodSandboxStatus(
        pod_sandbox_id=pod.id, verbose=True).info["info"])["pid"]} <= set(below(shim))


if os.environ.get("CAISSON_VM_TEMPLATES") == "on":
    def test_pod_life_of_a_clone(pod):  # noqa: F811
        """The machines of the other tests are what was asked for."""
        lines = census.processes()
        assert [pid for pid in below(shim_of(pod.id)) if " -incoming " in lines.get(pid, "")]


def test_container_restarts_without_its_pod(pod):  # noqa: F811
    first = pod.start("a", sh("exit 3"))
    assert pod.wait_exited(first).exit_code == 3
    pod.cri.RemoveContainer(container_id=first)
    second = pod.start("a", ("/bin/sleep", "1000"))
    assert pod.status(second).state == 1
    assert pod.cri.PodSandboxStatus(pod_sandbox_id=pod.id).status.state == 0


def test_killed_shim_of_a_pod_ends_all_of_it(pod, containerd):  # noqa: F811
    container = pod.start("a", ("/bin/sleep", "3003"))
    os.kill(shim_of(pod.id), signal.SIGKILL)
    pod.wait_exited(container)
    command.eventually(lambda: not [line for line in census.processes().values()
                                    if "sleep 3003" in line], what="the end of the processes")


def test_class_by_annotation_and_by_configuration(containerd, isolation, tmp_path):  # noqa: F811
    """Of the runtime type without a class; one that has a class lets nobody contradict it."""
    name = containerd.name()
    other = "ns" if isolation == "vm" else "vm"
    argv = containerd.run_argv(name, ["/bin/true"], ("--rm", "--annotation",
                                                     "io.caisson.isolation=" + other))
    assert "io.caisson.isolation" in containerd.ctr(*argv, rc=1).err
    containerd.ctr("containers", "delete", name, rc=None)  # --rm may have done it
    argv = containerd.run_argv(containerd.name(), ["/bin/echo", "ns"], (
        "--rm", "--annotation", "io.caisson.isolation=ns"))
    argv[argv.index("--runtime") + 1] = "io.containerd.caisson.v2"
    assert containerd.ctr(*argv).text == "ns"
    config = tmp_path / "caisson.json"
    config.write_text('{"isolation": "ns"}')
    argv = containerd.run_argv(containerd.name(), ["/bin/echo", "ns"], (
        "--rm", "--runtime-config-path", str(config)))
    argv[argv.index("--runtime") + 1] = "io.containerd.caisson.v2"
    assert containerd.ctr(*argv).text == "ns"


def test_version_and_wrong_use(runtime):
    shim = os.path.join(os.path.dirname(runtime), "containerd-shim-caisson-v2")
    assert "Version:" in command.run([shim, "-v"]).out
    # A message with the name, and a message with the version in it.
    name, version = b"containerd-shim-caisson-v2", command.run([shim, "-v"]).out.split()[-1].encode()
    field = b"\x0a%c%b" % (len(version), version)
    assert command.run([shim, "-info"]).out.encode() == b"\x0a%c%b\x12%c%b" % (len(name), name, len(field), field)
    assert "usage" in command.run([shim, "start"], rc=1).err
    assert "not defined" in command.run([shim, "-frob", "start"], rc=1).err
    assert "namespace" in command.run(
        [shim, "-namespace", "../x", "-id", "a", "-address", SOCKET, "start"], rc=1).err
