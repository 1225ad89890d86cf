# SPDX-License-Identifier: Apache-2.0
"""Options of a create request from a client of containerd's own Tasks service: what `ctr` cannot say."""

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor, TimeoutError  # pylint: disable=redefined-builtin

import pytest

from enginelib import census, command, cri
from enginelib.containerd import NAMESPACE, SOCKET
from enginelib.containerd_config import SERIES
from test_containerd import containerd, engine, sh  # noqa: F401 (fixtures)
from test_shim import SOCKETS, shim_of, shims

PACKAGE = "containerd.services.tasks.v1."
RUNC, OURS = "containerd.runc.v1.Options", "caisson.shim.Options"
MESSAGES = {RUNC: "RuncOptions", OURS: "CaissonOptions"}


class Task:
    """A container that `ctr` has made, and its task."""

    def __init__(self, tasks, containerd, directory, argv, shim, uid):  # noqa: F811
        self.tasks, self.containerd, self.name, self.fifos = tasks, containerd, containerd.name(), directory
        self.readers = []
        root = directory / "root"
        (root / "bin").mkdir(parents=True)
        shutil.copy("/bin/busybox", root / "bin" / "sh")
        spec = json.loads(containerd.ctr("oci", "spec").out)
        spec["root"] = {"path": str(root)}
        spec["process"].update(args=list(argv), cwd="/", terminal=False, user={"uid": uid, "gid": 0})
        spec["linux"]["cgroupsPath"] = "/%s/%s" % (NAMESPACE, self.name)
        self.process = dict(spec["process"])
        (directory / "spec.json").write_text(json.dumps(spec))
        containerd.ctr("containers", "create", "--runtime", shim, "--config",
                       str(directory / "spec.json"), self.name)

    def fifo(self, name):
        """One that has a reader."""
        path = str(self.fifos / name)
        os.mkfifo(path, 0o600)
        self.readers.append(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
        return path

    def create(self, kind, **options):
        value = self.tasks.encode(PACKAGE + MESSAGES[kind], **options)
        self.out = self.fifo("out")
        return self.tasks.Create(container_id=self.name, stdout=self.out,
                                 anys={"options": (kind, value)}).pid

    def start(self):
        self.tasks.Start(container_id=self.name)

    def read(self, path):
        """What is in a fifo whose writers may be there still."""
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            return os.read(fd, 65536).decode()
        except BlockingIOError:
            return ""
        finally:
            os.close(fd)

    def exec(self, name, *argv, **streams):
        """Names a process that is to run in it."""
        process = dict(self.process, args=list(argv))
        self.tasks.Exec(container_id=self.name, exec_id=name, anys={
            "spec": ("types.containerd.io/opencontainers/runtime-spec/1/Process", json.dumps(process).encode())}, **streams)

    def remove(self):
        while self.readers:
            os.close(self.readers.pop())
        try:
            self.tasks.Kill(container_id=self.name, signal=9)
        except cri.RpcError:
            pass
        try:
            self.tasks.Wait(container_id=self.name)
            self.tasks.Delete(container_id=self.name)
        except cri.RpcError:
            pass
        self.containerd.ctr("containers", "delete", self.name, rc=None)


@pytest.fixture
def tasks(containerd):  # noqa: F811
    client = cri.Client(SOCKET, containerd.directory, "tasks.proto", PACKAGE + "Tasks",
                        [("containerd-namespace", NAMESPACE)])
    yield client
    client.close()


@pytest.fixture
def make(tasks, containerd, tmp_path):  # noqa: F811
    made = []

    def one(*argv, shim=None, uid=0):
        directory = tmp_path / str(len(made))
        directory.mkdir()
        made.append(Task(tasks, containerd, directory, argv, shim or containerd.shim, uid))
        return made[-1]
    yield one
    for task in made:
        task.remove()


def error_of(call):
    with pytest.raises(cri.RpcError) as error:
        call()
    return error.value.details()


@pytest.fixture
def shim_group(containerd):  # noqa: F811 (which looks for groups that are left, after this)
    """A cgroup of every controller, by its path."""
    name = "shims-%d" % os.getpid()
    made = []
    for controller in os.listdir(census.CGROUP_ROOT):
        path = os.path.join(census.CGROUP_ROOT, controller, name)
        if os.path.isdir(os.path.dirname(path)) and not os.path.islink(os.path.dirname(path)):
            os.mkdir(path)
            made.append(path)
            # Of v1, a cpuset without CPUs takes nobody.
            for key in ("cpuset.cpus", "cpuset.mems"):
                if os.path.exists(path + "/" + key):
                    with open(os.path.dirname(path) + "/" + key, encoding="utf-8") as above:
                        text = above.read()
                    with open(path + "/" + key, "w", encoding="utf-8") as f:
                        f.write(text)
    yield name
    for path in made:
        command.eventually(lambda path=path: not open(path + "/cgroup.procs", encoding="utf-8").read(),
                           what="an empty " + path)
        os.rmdir(path)


def groups_of(pid):
    """Of the hierarchies that are there: the unified one is not in every lane."""
    unified = os.path.isdir(census.CGROUP_ROOT + "/unified")
    with open("/proc/%d/cgroup" % pid, encoding="utf-8") as f:
        words = [line.strip().split(":", 2) for line in f]
    return {controllers: path for _, controllers, path in words if controllers or unified}


def test_shim_enters_its_cgroup_and_containers_do_not(shim_group, make):
    task = make("/bin/sh", "-c", "sleep 1000")
    pid = task.create(RUNC, shim_cgroup="/" + shim_group)
    task.start()
    paths = groups_of(shim_of(task.name))
    assert paths and all(path.endswith("/" + shim_group) for path in paths.values()), paths
    assert not any(shim_group in path for path in groups_of(pid).values())


def test_shim_cgroup_that_is_not_there_or_leads_away_fails_the_create(make):
    for path in ("/nowhere-shims", "/../x"):
        task = make("/bin/sh")
        assert "ShimCgroup" in error_of(lambda: task.create(RUNC, shim_cgroup=path))  # noqa: B023
    command.eventually(lambda: not shims(), what="no shim")
    assert os.listdir(SOCKETS) == []


def test_owner_of_the_streams(make):
    # The user of the process gets them from the runtime in any case, as from runc.
    task = make("/bin/sh", "-c", "echo made > /dev/stdout; exec sleep 1000", uid=1234)
    task.create(RUNC, io_uid=1234, io_gid=5678)
    task.start()
    info = os.stat(task.out)
    assert (info.st_uid, info.st_gid, info.st_mode & 0o777) == (1234, 5678, 0o600)
    command.eventually(lambda: task.read(task.out) == "made\n", what="the output")
    err = task.fifo("exec-err")
    task.exec("e", "/bin/sh", "-c", "echo exec >&2", stderr=err)
    task.tasks.Start(container_id=task.name, exec_id="e")
    assert task.tasks.Wait(container_id=task.name, exec_id="e").exit_status == 0
    info = os.stat(err)
    assert (info.st_uid, info.st_gid) == (1234, 5678)
    assert task.read(err) == "exec\n"
    task.tasks.DeleteProcess(container_id=task.name, exec_id="e")


@pytest.mark.parametrize("what", ["container", "exec"])
def test_what_a_slow_client_reads_is_all_there(make, what):
    """containerd opens the outputs beside the calls, and may come to it when a short process would have ended: its
    open(2) would wait for a writer for ever then, and with it ExecSync."""
    task = make("/bin/sh", "-c", "echo said" if what == "container" else "exec sleep 1000")
    out = str(task.fifos / "slow")
    os.mkfifo(out, 0o600)
    with ThreadPoolExecutor(2) as workers:
        if what == "container":
            call = workers.submit(lambda: task.tasks.Create(container_id=task.name, stdout=out) and task.start())
        else:
            task.create(RUNC)
            task.start()
            task.exec("e", "/bin/sh", "-c", "echo said", stdout=out)
            call = workers.submit(lambda: task.tasks.Start(container_id=task.name, exec_id="e"))
        reader = None
        try:
            with pytest.raises(TimeoutError):
                call.result(timeout=1)  # it waits
            reader = os.open(out, os.O_RDONLY | os.O_NONBLOCK)
            call.result(timeout=30)
            os.set_blocking(reader, True)
            assert os.read(reader, 100) == b"said\n" and os.read(reader, 100) == b""
        finally:
            if reader is not None:
                os.close(reader)
    if what == "exec":
        task.tasks.Wait(container_id=task.name, exec_id="e")
        task.tasks.DeleteProcess(container_id=task.name, exec_id="e")


def test_streams_stay_whose_they_are(make, tmp_path):
    """Without an owner, and of what is no fifo."""
    task = make("/bin/sh", "-c", "sleep 1000")
    task.create(RUNC)
    assert os.stat(task.out).st_uid == os.geteuid()
    log = tmp_path / "log"
    log.touch()
    other = make("/bin/sh", "-c", "echo in-a-file")
    value = other.tasks.encode(PACKAGE + "RuncOptions", io_uid=1234)
    other.tasks.Create(container_id=other.name, stdout=str(log), anys={"options": (RUNC, value)})
    other.start()
    command.eventually(lambda: log.read_text() == "in-a-file\n", what="the output")
    assert log.stat().st_uid == os.geteuid()


def test_streams_of_a_user_namespace_are_its_roots(containerd):  # noqa: F811
    """`ctr --uidmap` says so itself, with the options of runtime v1."""
    name = containerd.name()
    argv = containerd.run_argv(name, sh("stat -c %u,%g -L /proc/self/fd/1"), (
        "--rm", "--uidmap", "0:100000:5000", "--gidmap", "0:200000:5000"))
    assert containerd.ctr(*argv).text == "0,0"


def test_binary_name_of_another_runtime_is_refused(make):
    task = make("/bin/sh")
    assert "/usr/bin/crun" in error_of(lambda: task.create(RUNC, binary_name="/usr/bin/crun"))


# Only what containerd knows, it hands on.
OUR_OPTIONS = pytest.mark.skipif(SERIES == "2.1", reason="containerd 2: CAVEATS.md#containerd2-options")


@OUR_OPTIONS
def test_options_of_our_own(make, runtime, isolation, tmp_path):
    """The class, the root and the configuration by options, with the program that has no class."""
    root = tmp_path / "roots"
    config = tmp_path / "caisson.json"
    config.write_text('{"isolation": "%s"}' % isolation)
    for options in ({"isolation": isolation}, {"config_path": str(config)}):
        task = make("/bin/sh", "-c", "sleep 1000", shim="io.containerd.caisson.v2")
        task.create(OURS, root=str(root), no_new_keyring=True, **options)
        task.start()
        listed = json.loads(command.run([runtime, "--root", "%s/%s" % (root, NAMESPACE), "list", "-f", "json"]).out)
        assert [(c["id"], c["status"]) for c in listed] == [(task.name, "running")]
        state = json.loads(command.run([runtime, "--root", "%s/%s" % (root, NAMESPACE), "state", task.name]).out)
        assert state["status"] == "running"
        task.remove()


@OUR_OPTIONS
def test_options_of_our_own_that_are_wrong(make, tmp_path):
    for options, word in (({"isolation": "strong"}, "strong"), ({"root": "here"}, "here"),
                          ({"cgroup_manager": "frob"}, "frob"),
                          ({"config_path": str(tmp_path / "missing")}, "missing")):
        task = make("/bin/sh", shim="io.containerd.caisson.v2")
        assert word in error_of(lambda: task.create(OURS, **options))  # noqa: B023
        assert "no" in error_of(lambda: task.tasks.Wait(container_id=task.name))  # noqa: B023
    task = make("/bin/sh", shim="io.containerd.caisson.v2")
    assert "com.example" in error_of(lambda: task.tasks.Create(
        container_id=task.name, anys={"options": ("com.example.Options", b"\x08\x01")}))
    assert "no caisson.shim.Options" in error_of(lambda: task.tasks.Create(
        container_id=task.name, anys={"options": (OURS, b"\x0a\x7f")}))
    command.eventually(lambda: not shims(), what="no shim")
