# SPDX-License-Identifier: Apache-2.0
"""Class vm: containers of a pod in one machine, what test_pods.py does not say of all classes."""

import fcntl
import os
import pathlib
import shutil
import signal
import subprocess

import pytest

from lib import cgroups, machines
from lib.runtime import refused, wait_until

pytestmark = pytest.mark.classes("vm")

TYPE, SANDBOX = "io.kubernetes.cri.container-type", "io.kubernetes.cri.sandbox-id"
EMPTY_DIR = "pods/1/volumes/kubernetes.io~empty-dir"
CONFIG_MAP = "pods/1/volumes/kubernetes.io~configmap"
FOREVER = ["sleep", "1000"]
MIB = 1 << 20


class Pod:
    def __init__(self, runtime, make_bundle):
        self.runtime, self.make_bundle = runtime, make_bundle
        self.sandbox = make_bundle("pod")
        self.sandbox.config["annotations"] = {TYPE: "sandbox", SANDBOX: self.sandbox.id}

    def begin(self, *flags):
        self.runtime.run_detached(self.sandbox, FOREVER, *flags)
        return self

    def bundle(self, name="a"):
        bundle = self.make_bundle(name)
        bundle.config["annotations"] = {TYPE: "container", SANDBOX: self.sandbox.id}
        pid = self.runtime.state(self.sandbox).pid
        for kind, name in (("network", "net"), ("ipc", "ipc"), ("uts", "uts")):
            bundle.namespace(kind, f"/proc/{pid}/ns/{name}")
        return bundle

    def add(self, name="a", args=None):
        bundle = self.bundle(name)
        self.runtime.run_detached(bundle, args or FOREVER)
        return bundle

    def virtiofsd(self):
        """The process of the machine's file server that has the share for its root directory: the last of the line,
        whatever the pids are."""
        below = machines.below(self.runtime.state(self.sandbox).pid)
        return [pid for pid in below if machines.name_of(pid) == machines.FILES][-1]

    def entries(self, letter="p"):
        """Names in the share, as virtiofsd has them: trees of containers (p), volumes (v)."""
        return [name for name in os.listdir(f"/proc/{self.virtiofsd()}/root") if name.startswith(letter)]

    def mountinfo(self):
        """Mounts in virtiofsd's namespace."""
        text = pathlib.Path(f"/proc/{self.virtiofsd()}/mountinfo").read_text(encoding="utf-8")
        return [line.split() for line in text.splitlines()]

    def served(self):
        return len(self.mountinfo())

    def volume_flags(self):
        """Of each volume that containers have together: "ro" or "rw"."""
        found = [f for f in self.mountinfo() if f[4].startswith("/v") and f[4].endswith("/files")]
        return [f[5].partition(",")[0] for f in found]

    def inside(self):
        """Mounts of the machine's own namespace that are volumes."""
        lines = self.runtime.call("debug", self.sandbox.id, "mounts").stdout.splitlines()
        return [line for line in lines if "/run/caisson/share/v" in line]

    def device(self, bundle, place="/data"):
        """The number of the file system that the container has there."""
        return self.runtime.exec(bundle, ["stat", "-c", "%d", place]).stdout


@pytest.fixture
def new_pod(runtime, make_bundle):
    return Pod(runtime, make_bundle)


@pytest.fixture
def pod(new_pod):
    return new_pod.begin()


@pytest.fixture
def tmpfs(work_dir):
    places = []

    def make(name, options):
        place = work_dir / name
        place.mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], check=True)
        places.append(place)
        return place

    yield make
    for place in places:
        subprocess.run(["umount", "-l", place], check=True)


def alive(runtime, *bundles):
    return [runtime.status(b) for b in bundles] == ["running"] * len(bundles)


# ------------------------------------------------------------------------------------- files


def test_a_volume_in_memory_is_one_for_all_and_stays_between_two(runtime, pod, tmpfs):
    volume = tmpfs(f"{EMPTY_DIR}/cache", "size=2m,mode=1777")
    init, a, b = pod.bundle("init"), pod.bundle("a"), pod.bundle("b")
    for c in (init, a, b):
        c.bind(volume, "/cache")
    runtime.run(init, ["sh", "-c", "echo from-init > /cache/file"])
    runtime.run_detached(a)
    runtime.run_detached(b)
    assert runtime.exec(a, ["cat", "/cache/file"]).stdout == "from-init\n"
    runtime.exec(a, ["sh", "-c", "echo from-a > /cache/file"])
    assert runtime.exec(b, ["cat", "/cache/file"]).stdout == "from-a\n"
    assert runtime.exec(b, ["sh", "-c", "grep -c ' /cache tmpfs ' /proc/mounts"]).stdout == "1\n"
    assert list(volume.iterdir()) == []


def test_a_volume_has_no_more_room_than_the_machine(runtime, pod, tmpfs):
    volume = tmpfs(f"{EMPTY_DIR}/large", "size=100g,mode=1777")
    a = pod.bundle("a")
    a.bind(volume, "/large")
    runtime.run_detached(a)
    kib = int(runtime.exec(a, ["sh", "-c", "df -Pk /large | tail -n 1"]).stdout.split()[1])
    assert kib < int(runtime.exec(a, ["sed", "-n", "s/MemTotal: *\\([0-9]*\\) kB/\\1/p", "/proc/meminfo"]).stdout)


def test_shared_memory_is_the_pods(runtime, new_pod, tmpfs):
    shm = tmpfs("shm", "size=65536k,mode=1777")
    new_pod.sandbox.mounts = [m for m in new_pod.sandbox.mounts if m["destination"] != "/dev/shm"]
    new_pod.sandbox.bind(shm, "/dev/shm")
    new_pod.begin()
    a = new_pod.bundle("a")
    a.mounts = [m for m in a.mounts if m["destination"] != "/dev/shm"]
    a.bind(shm, "/dev/shm")
    runtime.run_detached(a)
    runtime.exec(a, ["sh", "-c", "echo inside > /dev/shm/file"])
    assert runtime.exec(new_pod.sandbox, ["cat", "/dev/shm/file"]).stdout == "inside\n"
    assert list(shm.iterdir()) == []


def test_what_a_container_was_served_goes_with_it(runtime, pod, work_dir):
    volume = work_dir / "volume"
    volume.mkdir()
    before = pod.served()
    for _ in range(3):
        a = pod.bundle("a")
        a.bind(volume, "/data")
        runtime.run_detached(a)
        runtime.exec(a, ["sh", "-c", "echo x > /data/x; ls / > /dev/null"])
        assert len(pod.entries()) == 1 and pod.served() > before
        runtime.kill(a, "KILL")
        runtime.wait_for(a, "stopped")
        runtime.delete(a)
        assert pod.entries() == [] and pod.served() == before
        (volume / "x").unlink()
    assert alive(runtime, pod.sandbox)


def test_what_a_container_of_a_paused_pod_was_served_goes_with_the_pause(runtime, pod, work_dir):
    volume = work_dir / "volume"
    volume.mkdir()
    before = pod.served()
    bundles = [pod.bundle(name) for name in ("a", "b", "stays")]
    for c in bundles:
        c.bind(volume, "/data")
        runtime.run_detached(c, ["sh", "-c", f"while :; do echo y > /data/{c.id}; done"])
    wait_until(lambda: all((volume / c.id).exists() for c in bundles))
    runtime.pause(pod.sandbox)
    for c in bundles[:2]:
        runtime.delete(c, "--force")
    assert len(pod.entries()) == 3
    runtime.resume(pod.sandbox)
    assert len(pod.entries()) == 1
    runtime.stop(bundles[2])
    wait_until(lambda: pod.entries() == [] and pod.served() == before)
    assert alive(runtime, pod.sandbox)


def test_what_a_killed_resume_has_left_goes_with_the_next_container(runtime, pod):
    a, b, c = (pod.add(name) for name in "abc")
    runtime.pause(pod.sandbox)
    runtime.delete(a, "--force")
    cgroups.thaw_everything()  # so far it came
    assert len(pod.entries()) == 3
    end(runtime, b)
    assert len(pod.entries()) == 1 and alive(runtime, c)


def test_a_container_that_cannot_be_read_keeps_its_files(runtime, pod):
    """What belongs to nobody is not known while that of one is not."""
    a, b = pod.add("a"), pod.add("b")
    a.rootfs.write("fresh", "here")
    state = runtime.root / a.id / "state.json"
    text = state.read_text(encoding="utf-8")
    state.write_text("{", encoding="utf-8")
    end(runtime, b)
    assert len(pod.entries()) == 1
    state.write_text(text, encoding="utf-8")
    assert runtime.exec(a, ["cat", "/fresh"]).stdout == "here"


def test_a_container_that_is_refused_leaves_nothing_in_the_share(runtime, pod, work_dir):
    before = pod.served()
    a = pod.bundle("a")
    a.bind(work_dir / "nowhere", "/data")
    refused(runtime, runtime.create(a, check=False), "nowhere")
    b = pod.bundle("b")
    b.process.cwd = "/no/such/place"
    b.process.args = FOREVER
    b.root.readonly = True
    assert runtime.run(b, ["/no/such/program"], "-d", check=False).returncode != 0
    assert pod.entries() == [] and pod.served() == before
    assert runtime.container_ids() == [pod.sandbox.id]


def test_an_overlay_keeps_what_is_written_in_the_machine(runtime, pod, work_dir):
    config = work_dir / "caisson.json"
    config.write_text('{"allowed_annotations": ["io.caisson.vm.rootfs"]}')
    a, b = pod.bundle("a"), pod.bundle("b")
    for c in (a, b):
        c.config["annotations"]["io.caisson.vm.rootfs"] = "overlay"
        runtime.run_detached(c, ["sh", "-c", f"echo {c.id} > /made; exec sleep 1000"], env={"CAISSON_CONFIG": str(config)})
    for c in (a, b):
        wait_until(lambda c=c: runtime.exec(c, ["cat", "/made"], check=False).stdout == f"{c.id}\n")
        assert not c.rootfs.exists("made")
    runtime.stop(a)
    assert runtime.exec(b, ["cat", "/made"]).stdout == f"{b.id}\n"


def test_changes_of_a_config_map_are_told_to_its_container(runtime, pod, work_dir):
    volume = work_dir / f"{CONFIG_MAP}/settings"
    volume.mkdir(parents=True)
    (volume / "key").write_text("old")
    a = pod.bundle("a")
    a.bind(volume, "/settings", "ro")
    runtime.run_detached(a)
    assert runtime.exec(a, ["cat", "/settings/key"]).stdout == "old"
    assert runtime.exec(a, ["sh", "-c", "grep -c ' /settings tmpfs ' /proc/mounts"]).stdout == "1\n"
    (volume / "new").write_text("new")
    (volume / "new").rename(volume / "key")
    wait_until(lambda: runtime.exec(a, ["cat", "/settings/key"]).stdout == "new")


def test_a_pod_in_a_user_namespace_has_one(runtime, new_pod):
    def joins(name):
        bundle = new_pod.bundle(name)
        bundle.user_namespace(host_id=100000)
        bundle.linux.uid_mappings = []
        bundle.linux.gid_mappings = []
        bundle.namespace("user", f"/proc/{runtime.state(new_pod.sandbox).pid}/ns/user")
        return bundle

    new_pod.sandbox.user_namespace(host_id=100000)
    new_pod.begin()
    a = joins("a")
    runtime.run_detached(a)
    assert runtime.exec(a, ["sh", "-c", "echo x > /made; stat -c %u /made"]).stdout == "0\n"
    assert os.stat(a.rootfs / "made").st_uid == 100000
    maps = {runtime.exec(c, ["readlink", "/proc/self/ns/user"]).stdout for c in (new_pod.sandbox, a)}
    assert len(maps) == 1
    opens = ["sh", "-c", "stat -L -c %u:%g /dev/stdout > /dev/stdout"]
    assert runtime.exec(a, opens, "--user", "1000:1000").stdout == "1000:0\n"
    c = joins("c")
    c.process.user = {"uid": 1000, "gid": 1000}
    assert runtime.run(c, opens).stdout == "1000:0\n"
    b = new_pod.bundle("b")
    refused(runtime, runtime.create(b, check=False), "linux.namespaces: user")


# -------------------------------------------------------------- volumes that several containers have


@pytest.fixture
def volume(work_dir):
    place = work_dir / "volume"
    place.mkdir()
    (place / "sub").mkdir()
    return place


def end(runtime, bundle):
    runtime.kill(bundle, "KILL")
    runtime.wait_for(bundle, "stopped")
    runtime.delete(bundle)


def test_a_volume_is_one_file_system_until_the_last_has_gone(runtime, pod, volume, work_dir):
    other = work_dir / "other"
    other.mkdir()
    before = pod.served()
    a, b, c = (pod.bundle(name) for name in "abc")
    for bundle in (a, b, c):
        bundle.bind(volume, "/data")
        bundle.bind(volume, "/again")
        bundle.bind(other, "/other")
    runtime.run_detached(a)
    runtime.run_detached(b)
    device = pod.device(a)
    assert {pod.device(x, y) for x in (a, b) for y in ("/data", "/again")} == {device}
    assert pod.device(a, "/other") == pod.device(b, "/other") != device
    assert len(pod.entries("v")) == 2 and len(pod.inside()) == 4
    # The one for whom it was made is not the one that keeps it.
    end(runtime, a)
    assert len(pod.entries("v")) == 2 and len(pod.inside()) == 4
    runtime.exec(b, ["sh", "-c", "echo b > /data/file"])
    runtime.run_detached(c)
    assert pod.device(c) == device and runtime.exec(c, ["cat", "/again/file"]).stdout == "b\n"
    end(runtime, b)
    assert runtime.exec(c, ["cat", "/data/file"]).stdout == "b\n"
    end(runtime, c)
    assert pod.entries("v") == [] and pod.served() == before and pod.inside() == []
    runtime.run_detached(b)
    assert runtime.exec(b, ["cat", "/data/file"]).stdout == "b\n"


def test_a_guest_that_locks_the_share_keeps_nobody_waiting(runtime, pod, volume):
    """A guest's kernel can have virtiofsd lock whatever is open there."""
    before = pod.served()
    a, b = pod.bundle("a"), pod.bundle("b")
    for bundle in (a, b):
        bundle.bind(volume, "/data")
    runtime.run_detached(a)
    top = os.open(f"/proc/{pod.virtiofsd()}/root", os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(top, fcntl.LOCK_EX | fcntl.LOCK_NB)
        runtime.run_detached(b)
        end(runtime, a)
        end(runtime, b)
    finally:
        os.close(top)
    assert pod.entries() == pod.entries("v") == [] and pod.served() == before


def test_a_volume_is_written_to_where_a_container_may(runtime, pod, volume):
    reader, writer = pod.bundle("reader"), pod.bundle("writer")
    reader.bind(volume, "/data", "ro")
    writer.bind(volume, "/data")
    runtime.run_detached(reader)
    assert pod.volume_flags() == ["ro"]
    runtime.run_detached(writer)
    assert pod.volume_flags() == ["rw"] and pod.device(reader) == pod.device(writer)
    runtime.exec(writer, ["sh", "-c", "echo x > /data/file"])
    assert runtime.exec(reader, ["cat", "/data/file"]).stdout == "x\n"
    assert "Read-only" in runtime.exec(reader, ["sh", "-c", "echo y > /data/file"], check=False).stderr
    again = pod.bundle("again")
    again.bind(volume, "/data", "ro")
    runtime.run_detached(again)
    assert "Read-only" in runtime.exec(again, ["sh", "-c", "rm /data/file"], check=False).stderr
    assert (volume / "file").read_text() == "x\n"


def test_a_part_of_a_volume_shows_no_more_than_it(runtime, pod, volume):
    (volume / "secret").write_text("x")
    whole, part, same = pod.bundle("whole"), pod.bundle("part"), pod.bundle("same")
    whole.bind(volume, "/data")
    part.bind(volume / "sub", "/data")
    same.bind(volume / "sub", "/data")
    for c in (part, same, whole):
        runtime.run_detached(c)
    assert pod.device(part) == pod.device(same) != pod.device(whole)
    end(runtime, whole)
    root = f"/proc/{pod.virtiofsd()}/root"
    assert [os.listdir(f"{root}/{name}/files") for name in pod.entries("v")] == [[]]


def test_changes_of_one_are_told_to_the_other(runtime, pod, volume):
    a, b = pod.bundle("a"), pod.bundle("b")
    for c in (a, b):
        c.bind(volume, "/data")
        runtime.run_detached(c)
    watcher = runtime.start_exec(a, ["testinit", "inotify", "/data", "new"])
    assert watcher.read_line() == "watching"
    runtime.exec(b, ["sh", "-c", "echo x > /data/old; mv /data/old /data/new"])
    assert "new" in watcher.finish()


def test_what_the_host_mounts_below_is_seen_by_those_who_ask_for_it(runtime, pod, tmpfs, work_dir):
    place = tmpfs("propagates", "size=1m")
    subprocess.run(["mount", "--make-shared", place], check=True)
    (place / "below").mkdir()
    a, b, c = pod.bundle("a"), pod.bundle("b"), pod.bundle("c")
    for bundle, word in ((a, "rslave"), (b, "rslave"), (c, "rprivate")):
        bundle.bind(place, "/data", "rbind", word)
        runtime.run_detached(bundle)
    assert pod.device(a) == pod.device(b) != pod.device(c)
    later = work_dir / "later"
    later.mkdir()
    (later / "file").write_text("later")
    subprocess.run(["mount", "--bind", later, place / "below"], check=True)
    try:
        for bundle in (a, b):
            wait_until(lambda x=bundle: runtime.exec(x, ["cat", "/data/below/file"], check=False).stdout == "later")
        assert runtime.exec(c, ["ls", "/data/below"]).stdout == ""
    finally:
        subprocess.run(["umount", "-l", place / "below"], check=True)


def test_more_volumes_than_are_shared_are_volumes_all_the_same(runtime, pod, work_dir):
    a, b = pod.bundle("a"), pod.bundle("b")
    for c in (a, b):
        for n in range(34):
            place = work_dir / f"v{n}"
            place.mkdir(exist_ok=True)
            (place / "n").write_text(str(n))
            c.bind(place, f"/v/{n}")
        runtime.run_detached(c)
    for c in (a, b):
        assert runtime.exec(c, ["sh", "-c", "cat /v/*/n | wc -c"]).stdout.strip() == str(10 + 24 * 2)
    assert len(pod.entries("v")) == 32
    assert pod.device(a, "/v/31") == pod.device(b, "/v/31")
    assert pod.device(a, "/v/33") != pod.device(b, "/v/33")


# -------------------------------------------------------------------------------- refused by name


def test_what_cannot_join_is_refused_by_name(runtime, pod, work_dir):
    def why(change, text, *flags):
        bundle = pod.bundle("a")
        change(bundle)
        refused(runtime, runtime.create(bundle, *flags, check=False), text)
        assert runtime.status(bundle) is None

    image = work_dir / "image"
    image.write_bytes(bytes(4096))
    why(lambda b: setattr(b.root, "path", str(image)), "root.path: an image is a disk")
    why(lambda b: b.namespace("network"), "a new network namespace")
    why(lambda b: b.namespace("ipc", "/proc/self/ns/ipc"), "the ipc namespace of no container of sandbox")
    why(lambda b: b.namespace("network", "/proc/self/ns/net"), "the network namespace of no container of sandbox")
    assert pod.entries() == []


def test_a_machine_without_a_file_server_takes_nobody(runtime, new_pod, work_dir):
    """Its root file system is an image, and no annotation says that others will come."""
    if shutil.which("mkfs.erofs") is None:
        pytest.skip("needs mkfs.erofs: CAVEATS.md#vm-images")
    image = work_dir / "image"
    subprocess.run(["mkfs.erofs", str(image), str(new_pod.sandbox.rootfs)], check=True, capture_output=True)
    new_pod.sandbox.config["annotations"] = {}
    new_pod.sandbox.root.path = str(image)
    new_pod.begin()
    refused(runtime, runtime.create(new_pod.bundle("a"), check=False), "was not started for a pod")


# ------------------------------------------------------------------------------------- its process


def test_who_enters_a_container_by_its_pid_is_with_its_pod(runtime, pod, work_dir):
    def namespaces(pid):
        return [os.readlink(f"/proc/{pid}/ns/{name}") for name in ("net", "ipc", "uts")]

    a = pod.bundle("a")
    told = work_dir / "told"
    script = f"pid=$(sed 's/.*\"pid\": *\\([0-9]*\\).*/\\1/'); for n in net ipc uts; do readlink /proc/$pid/ns/$n; done > {told}"
    a.hook("prestart", "/bin/sh", "-c", script)
    runtime.run_detached(a)
    sandbox, pid = runtime.state(pod.sandbox).pid, runtime.state(a).pid
    assert namespaces(pid) == namespaces(sandbox) != namespaces(os.getpid())
    assert told.read_text(encoding="utf-8").splitlines() == namespaces(sandbox)
    assert os.readlink(f"/proc/{sandbox}/ns/pid") != os.readlink(f"/proc/{pid}/ns/pid")
    # Nor keeps it anything of its maker's busy.
    assert os.readlink(f"/proc/{pid}/cwd") == "/"


# ------------------------------------------------------------------------------------- limits


def test_limits_and_figures_are_the_containers_own(runtime, pod):
    a, b = pod.bundle("a"), pod.bundle("b")
    a.linux.resources.memory = {"limit": 64 * MIB}
    a.linux.resources.pids = {"limit": 37}
    b.linux.resources.memory = {"limit": 48 * MIB}
    for c in (a, b):
        runtime.run_detached(c)
    runtime.exec(a, ["sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done"])
    figures = {c.id: runtime.events(c, "--stats").json["data"] for c in (a, b)}
    assert figures[a.id]["memory"]["usage"]["limit"] == 64 * MIB
    assert figures[b.id]["memory"]["usage"]["limit"] == 48 * MIB
    assert figures[a.id]["pids"]["limit"] == 37 and figures[a.id]["pids"]["current"] == 1
    assert 0 < figures[a.id]["memory"]["usage"]["usage"] < 64 * MIB
    assert figures[a.id]["cpu"]["usage"]["total"] > figures[b.id]["cpu"]["usage"]["total"] > 0
    runtime.update(a, "--memory", str(96 * MIB))
    assert runtime.events(a, "--stats").json["data"]["memory"]["usage"]["limit"] == 96 * MIB
    runtime.update(a, "--memory", str(32 * MIB))
    assert runtime.events(a, "--stats").json["data"]["memory"]["usage"]["limit"] == 32 * MIB
    assert runtime.events(b, "--stats").json["data"]["memory"]["usage"]["limit"] == 48 * MIB


def test_a_machine_is_counted_once(runtime, pod):
    pod.add("a")
    lines = runtime.call("metrics").stdout.splitlines()
    assert sum(line.startswith("caisson_container_cpu_seconds_total{") for line in lines) == 2
    assert [pod.sandbox.id in line for line in lines if line.startswith("caisson_vm_memory_bytes{")] == [True]


def test_one_that_is_out_of_memory_ends_alone_and_is_told(runtime, pod):
    b = pod.add("b")
    a = pod.bundle("a")
    a.linux.resources.memory = {"limit": 24 * MIB, "swap": 24 * MIB}
    a.process.args = ["sh", "-c", "read go; exec awk 'BEGIN { for (s = \"x\"; ; s = s s) ; }'"]
    runner = runtime.start_run(a)
    runtime.wait_for(a, "running")
    events = {c.id: runtime.start_call("events", c.id) for c in (a, b, pod.sandbox)}
    told = [events[a.id].read_line() for _ in range(1)]
    assert told
    runner.finish(b"go\n")
    assert runner.wait() == 137
    rest = events[a.id].finish()
    assert '"oom"' in rest
    assert alive(runtime, pod.sandbox, b)
    for c in (b, pod.sandbox):
        events[c.id].popen.send_signal(signal.SIGTERM)
        assert b'"oom"' not in events[c.id].popen.stdout.read()


def test_one_is_paused_alone(runtime, pod):
    count = ["sh", "-c", "i=0; while :; do i=$((i + 1)); echo $i > /count; sleep 0.01; done"]
    a, b = pod.add("a", count), pod.add("b", count)
    read = lambda c: c.rootfs.read("count") if c.rootfs.exists("count") else ""
    wait_until(lambda: read(a) and read(b))
    spent = runtime.events(a, "--stats").json["data"]["cpu"]["usage"]["total"]
    runtime.pause(a)
    assert runtime.status(a) == "paused" and runtime.status(b) == "running"
    figures = runtime.events(a, "--stats").json["data"]
    assert figures["cpu"]["usage"]["total"] >= spent and figures["pids"]["current"] >= 1
    before, other = read(a), read(b)
    wait_until(lambda: read(b) not in ("", other))
    assert read(a) == before
    runtime.resume(a)
    wait_until(lambda: read(a) not in ("", before))
    runtime.pause(a)
    runtime.kill(a, "KILL")
    runtime.wait_for(a, "stopped")
    runtime.delete(a)
    assert alive(runtime, pod.sandbox, b)


# --------------------------------------------------------------------------- killed at any moment


def test_a_killed_keeper_ends_its_container_alone(runtime, pod):
    a, b = pod.add("a"), pod.add("b")
    os.kill(runtime.state(a).pid, signal.SIGKILL)
    runtime.wait_for(a, "stopped")
    wait_until(lambda: b"caisson_vm_containers 2\n" in runtime.call("debug", pod.sandbox.id, "metrics").stdout.encode())
    runtime.delete(a)
    assert len(pod.entries()) == 1 and alive(runtime, pod.sandbox, b)


@pytest.mark.parametrize("who", ["supervisor", "virtiofsd"])
def test_a_killed_machine_leaves_nothing(runtime, pod, who):
    a, b = pod.add("a"), pod.add("b")
    os.kill(runtime.state(pod.sandbox).pid if who == "supervisor" else pod.virtiofsd(), signal.SIGKILL)
    for c in (a, b, pod.sandbox):
        runtime.wait_for(c, "stopped")
        runtime.delete(c)
    assert runtime.container_ids() == []


def test_a_runtime_that_is_killed_leaves_what_delete_takes_away(runtime, pod, volume):
    before = pod.served()
    for n in range(1, 12):
        a = pod.bundle("a")
        a.bind(volume, "/data")
        a.process.args = FOREVER
        a.save()
        call = runtime.start_call("create", "--bundle", a.path, a.id)
        try:
            call.popen.wait(0.02 * n)
        except subprocess.TimeoutExpired:
            pass
        call.popen.kill()
        call.popen.wait()
        runtime.delete(a, "--force")
        wait_until(lambda: pod.entries() == pod.entries("v") == [] and pod.served() == before)
        wait_until(lambda: "caisson_vm_containers 1\n" in runtime.call("debug", pod.sandbox.id, "metrics").stdout)
    assert alive(runtime, pod.sandbox)


def test_five_come_at_once(runtime, pod, volume):
    before = pod.served()
    bundles = [pod.bundle(f"c{n}") for n in range(5)]
    calls = []
    for c in bundles:
        c.bind(volume, "/data")
        c.process.args = ["sh", "-c", "hostname; exec sleep 1000"]
        c.save()
        calls.append(runtime.start_call("run", "-d", "--bundle", c.path, c.id, stdout=subprocess.DEVNULL))
    assert [call.wait() for call in calls] == [0] * 5
    assert alive(runtime, pod.sandbox, *bundles)
    assert len(pod.entries()) == 5 and len(pod.entries("v")) == 1
    assert len({pod.device(c) for c in bundles}) == 1
    for c in bundles:
        runtime.kill(c, "KILL")
    calls = [runtime.start_call("delete", "--force", c.id) for c in bundles]
    assert [call.wait() for call in calls] == [0] * 5
    assert pod.entries() == pod.entries("v") == pod.inside() == [] and pod.served() == before
