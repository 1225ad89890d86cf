# SPDX-License-Identifier: Apache-2.0
"""containerd's CRI plugin runs pods by the handlers that `caisson install` has written."""

import os
import tomllib

import pytest

from enginelib import census, command, containerd_config, node
from enginelib import containerd as lib
from test_containerd import Pod, sh
from test_shim_networks import address_of, ask

MAIN = """version = 3
imports = ["/etc/containerd/conf.d/*.toml"]
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
    SystemdCgroup = true
"""


class Installed(lib.Containerd):
    """Its file of settings lies in a node's tree, and names no runtime before."""

    root = None

    def _start(self):
        with open(self.config, encoding="utf-8") as f:
            text = f.read()
        first = text.index(containerd_config.FIRST_OF_HANDLERS)
        last = text.index(containerd_config.END_OF_HANDLERS)
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(text[:first] + text[last:])
        node.install("containerd", self.runtime, self.root, shims=lib.OWN_SHIM)
        super()._start()


@pytest.fixture(scope="module")
def containerd(work, runtime, image_archives, artifacts):
    if os.path.basename(runtime) == "runc":
        pytest.skip("stand-in runc: nothing to install")
    root = os.path.join(work, "containerd-install")
    directory = os.path.join(root, "etc/containerd")
    os.makedirs(directory)
    Installed.root = root
    containerd = Installed(directory, runtime, image_archives, artifacts)
    yield containerd
    containerd.remove_all()
    containerd.stop()
    for point in census.mounts():
        if point.startswith(root):
            command.run(["umount", "--lazy", point])


def test_a_pod_runs_by_the_handler_of_the_class(containerd, runtime, isolation):
    with open(containerd.config, encoding="utf-8") as f:
        assert ('runtime_type = "io.containerd.caisson-ns.v2"' in f.read()) == lib.OWN_SHIM
    pod = containerd.cri.RunPodSandbox(runtime_handler="caisson-" + isolation, config={
        "metadata": {"name": "installed", "uid": "u", "namespace": "default", "attempt": 0},
        "hostname": "installed", "linux": {}}).pod_sandbox_id
    listed = command.run([node.programs_of(runtime), "list", "--all-roots", "--format", "json"]).out
    assert '"id":"%s"' % pod in listed and '"isolation":"%s"' % isolation in listed
    containerd.cri.StopPodSandbox(pod_sandbox_id=pod)
    containerd.cri.RemovePodSandbox(pod_sandbox_id=pod)


def test_a_pod_has_its_network_by_that_handler(containerd, isolation, tmp_path):
    """With what has been written, and nothing else."""
    pod = Pod(containerd, "served", tmp_path, handler="caisson-" + isolation, cgroup_parent="/kubepods")
    container = pod.start("c", sh("echo by $HOSTNAME > /tmp/page; exec httpd -f -p 80 -h /tmp"))
    assert ask("http://%s/page" % address_of(pod)) == b"by served\n"
    assert "inet %s/" % address_of(pod) in pod.exec(container, "/bin/ip", "-4", "addr", "show", "dev", "eth0")
    containerd.remove_all()


def test_a_privileged_container_runs_by_that_handler(containerd, isolation, tmp_path):
    """In class vm with all capabilities in its machine, and the devices of any container (CAVEATS.md#vm-devices)."""
    pod = Pod(containerd, "privileged", tmp_path, handler="caisson-" + isolation, cgroup_parent="/kubepods",
              security_context={"privileged": True})
    container = pod.start("c", ("/bin/sleep", "1000"), linux={"security_context": {"privileged": True}})
    caps = command.fields(pod.exec(container, "/bin/probe", "caps"))
    with open("/proc/self/status", encoding="utf-8") as f:
        assert caps["CapEff"] == command.fields(f.read())["CapBnd"]
    assert caps["Seccomp"] == "0"
    said = pod.exec(container, *sh("mkdir -p /tmp/m && mount -t tmpfs none /tmp/m && echo mounted; ls /dev"))
    assert said.startswith("mounted\n") and "null" in said.split()
    if isolation == "vm":
        assert not {"kvm", "kmsg", "mem", "fuse", "loop-control"} & set(said.split())
        assert "not permitted" in pod.exec(container, *sh("(mknod /tmp/d c 1 1 && : < /tmp/d) 2>&1; true"))
    containerd.remove_all()


def test_runc_is_still_the_default(containerd):
    text = command.run(["containerd", "--config", containerd.config, "config", "dump"]).out.replace("'", '"')
    assert 'default_runtime_name = "runc"' in text
    assert 'containerd.runtimes.runc]' in text


@pytest.mark.series("2.1")
def test_a_file_that_is_imported_takes_nothing_away(runtime, tmp_path):
    """containerd merges files of version 3; it has to, where ours is one of several."""
    directory = tmp_path / "etc/containerd"
    (directory / "conf.d").mkdir(parents=True)
    main, other = directory / "config.toml", directory / "conf.d/10-other.toml"
    main.write_text(MAIN)
    other.write_text("version = 3\n[plugins.'io.containerd.cri.v1.runtime'.cni]\n  bin_dirs = ['/elsewhere']\n")
    node.install("containerd", runtime, str(tmp_path), shims=lib.OWN_SHIM)
    assert (directory / "conf.d/50-caisson.toml").exists() and main.read_text() == MAIN
    main.write_text(MAIN.replace("/etc/containerd", str(directory)))
    plugin = tomllib.loads(command.run(["containerd", "--config", str(main), "config", "dump"]).out)[
        "plugins"]["io.containerd.cri.v1.runtime"]
    runtimes = plugin["containerd"]["runtimes"]
    assert set(runtimes) == {"runc", *node.HANDLERS}
    assert runtimes["runc"]["options"]["SystemdCgroup"] is True and plugin["cni"]["bin_dirs"] == ["/elsewhere"]
    assert runtimes["caisson-vm"]["pod_annotations"] == ["io.caisson.*"]
