# SPDX-License-Identifier: Apache-2.0
"""`caisson install --root DIR` on trees of nodes, judged by the engines that read the files.

Usage: test_engine_files.py BUILD_DIRECTORY SOURCE_DIRECTORY
"""
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import tomllib
import unittest

BUILD = pathlib.Path(sys.argv[1])
CAISSON = BUILD / "bin/caisson"
HANDLERS = ["caisson", "caisson-ns", "caisson-sentry", "caisson-vm"]
CONTAINERD = next((p for p in ("/usr/bin/containerd", "/usr/local/bin/containerd") if os.access(p, os.X_OK)), None)
CRI_2, CRI_3 = "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime"

DEBIAN = """version = 2

[plugins]
  [plugins."io.containerd.grpc.v1.cri"]
    [plugins."io.containerd.grpc.v1.cri".cni]
      bin_dir = "/usr/lib/cni"
      conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.internal.v1.opt"]
    path = "/var/lib/containerd/opt"
"""
SYSTEMD = """version = 2
[plugins."io.containerd.grpc.v1.cri".containerd]
  default_runtime_name = "runc"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = true
"""


class Node:
    """A tree with the runtime in it."""

    def __init__(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="caisson-node-")
        self.root = pathlib.Path(self.temporary.name)
        for name in HANDLERS:
            self.write(f"/opt/caisson/bin/{name}", "")

    def path(self, path):
        return self.root / path.lstrip("/")

    def write(self, path, text):
        self.path(path).parent.mkdir(parents=True, exist_ok=True)
        self.path(path).write_text(text)

    def read(self, path):
        return self.path(path).read_text()

    def run(self, *args, code=0):
        done = subprocess.run([CAISSON, *args, "--root", self.root], capture_output=True, text=True)
        if done.returncode != code:
            raise AssertionError(f"{args}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def install(self, *args, code=0):
        return self.run("install", "--runtime-path", "/opt/caisson/bin/caisson", *args, code=code)

    def uninstall(self, *args, code=0):
        return self.run("uninstall", *args, code=code)

    def census(self):
        """Every file with its bytes, and every directory."""
        return {str(p.relative_to(self.root)): hashlib.sha256(p.read_bytes()).hexdigest() if p.is_file() else "dir"
                for p in sorted(self.root.rglob("*"))}


class Case(unittest.TestCase):
    def setUp(self):
        self.node = Node()

    def tearDown(self):
        self.node.temporary.cleanup()


@unittest.skipUnless(CONTAINERD, "no containerd on this host: CAVEATS.md#install-judges")
class Containerd(Case):
    """`containerd config dump` reads what is written; imports have the paths of the tree."""

    def dump(self):
        done = subprocess.run([CONTAINERD, "--config", self.node.path("/etc/containerd/config.toml"), "config", "dump"],
                              capture_output=True, text=True, check=True)
        return tomllib.loads(done.stdout)

    def cri(self):
        return self.dump()["plugins"][CRI_2]

    def check_handlers(self, cri, others=("runc",)):
        runtimes = cri["containerd"]["runtimes"]
        self.assertEqual(set(runtimes), set(HANDLERS) | set(others))
        for name in HANDLERS:
            self.assertEqual(runtimes[name]["options"]["BinaryName"], f"/opt/caisson/bin/{name}")
            self.assertEqual(runtimes[name]["pod_annotations"], ["io.caisson.*"])
        self.assertEqual(cri["containerd"]["default_runtime_name"], "runc")

    def test_debians_file_keeps_its_settings_and_gets_the_handlers(self):
        self.node.write("/etc/containerd/config.toml", DEBIAN)
        before = self.dump()
        self.node.install()
        after = self.dump()
        self.check_handlers(after["plugins"][CRI_2])
        self.assertEqual(after["plugins"][CRI_2]["cni"]["bin_dir"], "/usr/lib/cni")
        for name in HANDLERS:
            del after["plugins"][CRI_2]["containerd"]["runtimes"][name]
        # The built-in runc lists the options that it does not set.
        for dump in (before, after):
            runc = dump["plugins"][CRI_2]["containerd"]["runtimes"]["runc"]
            runc["options"] = {key: value for key, value in runc["options"].items() if value}
            del dump["imports"]
        self.assertEqual(after, before)

    def test_the_whole_default_file_gets_the_handlers(self):
        default = subprocess.run([CONTAINERD, "config", "default"], capture_output=True, text=True, check=True).stdout
        self.node.write("/etc/containerd/config.toml", default)
        self.node.install()
        self.check_handlers(self.cri())

    def test_runcs_own_settings_stay_and_its_cgroup_driver_is_told(self):
        self.node.write("/etc/containerd/config.toml", SYSTEMD)
        self.assertIn("systemd", self.node.install().stdout)
        cri = self.cri()
        self.check_handlers(cri)
        self.assertTrue(cri["containerd"]["runtimes"]["runc"]["options"]["SystemdCgroup"])

    def test_a_new_file_is_a_whole_one(self):
        self.node.path("/etc/containerd").mkdir(parents=True)
        self.node.install()
        self.check_handlers(self.cri())

    def test_an_import_that_replaces_the_plugins_settings_gets_the_handlers(self):
        directory = self.node.path("/etc/containerd/conf.d")
        self.node.write("/etc/containerd/config.toml", 'version = 2\nimports = ["conf.d/*.toml"]\n')
        self.node.write("/etc/containerd/conf.d/10-other.toml", f'version = 2\n[plugins."{CRI_2}"]\n'
                        'sandbox_image = "theirs"\n')
        # containerd takes a relative pattern from its own directory.
        os.chdir(directory.parent)
        self.addCleanup(os.chdir, "/")
        self.node.install()
        cri = self.cri()
        self.check_handlers(cri)
        self.assertEqual(cri["sandbox_image"], "theirs")

    def test_the_shims_names_are_containerds(self):
        self.node.write("/opt/caisson/bin/containerd-shim-caisson-ns-v2", "")
        self.node.write("/etc/containerd/config.toml", DEBIAN)
        self.node.install()
        runtime = self.cri()["containerd"]["runtimes"]["caisson-ns"]
        self.assertEqual(runtime["runtime_type"], "io.containerd.caisson-ns.v2")
        self.assertEqual(runtime["runtime_path"], "/opt/caisson/bin/containerd-shim-caisson-ns-v2")


class Formats(Case):
    """Engines that are not to be had here: the format is read by a TOML reader."""

    def toml(self, path):
        return tomllib.loads(self.node.read(path))

    def test_version_3_of_containerds_file(self):
        self.node.write("/etc/containerd/config.toml", "version = 3\nimports = ['/etc/containerd/conf.d/*.toml']\n")
        self.node.install()
        text = self.toml("/etc/containerd/conf.d/50-caisson.toml")
        self.assertEqual(text["version"], 3)
        self.assertEqual(set(text["plugins"]), {CRI_3})
        runtimes = text["plugins"][CRI_3]["containerd"]["runtimes"]
        self.assertEqual(list(runtimes), HANDLERS)
        self.assertEqual(runtimes["caisson-vm"]["options"], {"BinaryName": "/opt/caisson/bin/caisson-vm"})

    def test_crio(self):
        self.node.path("/etc/crio").mkdir(parents=True)
        self.node.install()
        runtimes = self.toml("/etc/crio/crio.conf.d/50-caisson.conf")["crio"]["runtime"]["runtimes"]
        self.assertEqual(list(runtimes), HANDLERS)
        self.assertEqual(runtimes["caisson"], {"runtime_path": "/opt/caisson/bin/caisson", "runtime_type": "oci",
                                               "runtime_root": "/run/caisson"})

    def test_podman(self):
        self.node.write("/usr/bin/podman", "")
        self.node.install()
        text = self.toml("/etc/containers/containers.conf.d/50-caisson.conf")
        self.assertEqual(text["engine"]["runtimes"], {n: [f"/opt/caisson/bin/{n}"] for n in HANDLERS})

    def test_microk8s(self):
        self.node.write("/var/snap/microk8s/7/args/containerd-template.toml",
                        SYSTEMD.replace("version = 2", 'version = 2\nroot = "${SNAP_COMMON}/lib"'))
        self.node.path("/var/snap/microk8s/current").symlink_to("7")
        self.node.install()
        text = self.toml("/var/snap/microk8s/7/args/containerd-template.toml")
        self.assertEqual(set(text["plugins"][CRI_2]["containerd"]["runtimes"]), {*HANDLERS, "runc"})

    def test_k3s(self):
        self.node.path("/var/lib/rancher/k3s").mkdir(parents=True)
        self.node.install()
        template = self.node.read("/var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.tmpl")
        self.assertEqual(template.count("{{"), 1)
        base = 'version = 3\n[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]\nruntime_type = "r"\n'
        text = tomllib.loads(template.replace('{{ template "base" . }}', base))
        self.assertEqual(set(text["plugins"][CRI_3]["containerd"]["runtimes"]), {*HANDLERS, "runc"})


class Verbs(Case):
    def everything(self):
        self.node.write("/etc/containerd/config.toml", DEBIAN)
        self.node.write("/etc/docker/daemon.json", '{\n  "log-level": "info",\n  "hosts": ["fd://"]\n}\n')
        self.node.write("/usr/bin/podman", "")
        self.node.write("/etc/crio/crio.conf", "")
        self.node.path("/var/lib/rancher/k3s/agent/etc/containerd").mkdir(parents=True)
        for directory in ("/etc/crio/crio.conf.d", "/etc/containers/containers.conf.d"):
            self.node.path(directory).mkdir(parents=True)

    def test_install_and_uninstall_leave_the_tree_as_it_was(self):
        self.everything()
        before = self.node.census()
        self.node.install()
        self.assertNotEqual(self.node.census(), before)
        self.node.uninstall()
        self.assertEqual(self.node.census(), before)

    def test_what_is_left_of_another_programs_members_goes_by_its_path(self):
        """Docker's file has no marks: three of four members are ours only where their program is named."""
        self.everything()
        self.node.install("--for", "docker")
        text = json.loads(self.node.read("/etc/docker/daemon.json"))
        del text["runtimes"]["caisson-vm"]
        self.node.write("/etc/docker/daemon.json", json.dumps(text))
        before = self.node.census()
        self.assertIn("edited", self.node.uninstall("--for", "docker", code=1).stderr)
        self.node.uninstall("--for", "docker", "--runtime-path", "/elsewhere/caisson", code=1)
        self.assertEqual(self.node.census(), before)
        self.node.uninstall("--for", "docker", "--runtime-path", "/opt/caisson/bin/caisson")
        text = json.loads(self.node.read("/etc/docker/daemon.json"))
        self.assertFalse(text.get("runtimes"))

    def test_a_second_install_changes_nothing(self):
        self.everything()
        self.node.install()
        before = {p: p.stat().st_mtime_ns for p in self.node.root.rglob("*")}
        out = self.node.install().stdout
        self.assertEqual(out.count("nothing to change"), 5)
        self.assertEqual({p: p.stat().st_mtime_ns for p in self.node.root.rglob("*")}, before)

    def test_a_dry_run_prints_a_diff_that_patch_would_apply_and_writes_nothing(self):
        self.everything()
        before = self.node.census()
        diff = self.node.install("--dry-run").stdout
        self.assertEqual(self.node.census(), before)
        heads = re.findall(r"^\+\+\+ (.*)$", diff, re.M)
        self.assertEqual(len(heads), 5)
        for hunk in re.split(r"^--- .*\n\+\+\+ .*\n", diff, flags=re.M)[1:]:
            old, new = re.match(r"@@ -\d+,(\d+) \+\d+,(\d+) @@\n", hunk).groups()
            lines = [l for l in hunk.splitlines()[1:] if not l.startswith("\\")]
            self.assertEqual(sum(l[0] in " -" for l in lines), int(old))
            self.assertEqual(sum(l[0] in " +" for l in lines), int(new))
        self.node.install()
        gone = self.node.uninstall("--dry-run").stdout
        self.assertIn("+++ /dev/null", gone)
        self.assertNotEqual(self.node.census(), before)

    def test_on_a_node_with_systemd_it_says_what_makes_containers_start(self):
        """Engines that leave cgroups to systemd there get a refusal from the runtime otherwise."""
        self.everything()
        said = {"crio": 'cgroup_manager = "cgroupfs"', "podman": "--cgroup-manager cgroupfs",
                "docker": "native.cgroupdriver=cgroupfs"}
        out = self.node.install().stdout
        self.assertNotIn("systemd's", out)
        self.node.path("/run/systemd/system").mkdir(parents=True)
        self.assertNotIn("systemd's", self.node.install("--for", "docker").stdout)
        self.node.write("/sys/fs/cgroup/cgroup.controllers", "memory\n")
        for engine, words in said.items():
            self.assertRegex(self.node.install("--for", engine).stdout, f"{engine}: .*systemd's.*{words}")
            self.assertEqual(self.node.install("--for", engine, "--dry-run").stdout, "")
            self.assertNotIn("systemd's", self.node.uninstall("--for", engine).stdout)
        text = json.loads(self.node.read("/etc/docker/daemon.json")) if self.node.path(
            "/etc/docker/daemon.json").exists() else {}
        self.node.write("/etc/docker/daemon.json", json.dumps({**text, "exec-opts": ["native.cgroupdriver=cgroupfs"]}))
        self.assertNotIn("systemd's", self.node.install("--for", "docker").stdout)

    def test_it_says_what_has_to_be_restarted(self):
        self.everything()
        out = self.node.install().stdout
        for words in ("systemctl restart containerd", "systemctl restart crio", "systemctl reload docker",
                      "systemctl restart k3s"):
            self.assertIn(words, out)

    def test_status_has_a_line_for_each_engine(self):
        self.everything()
        self.node.install("--for", "docker")
        self.node.write("/etc/containerd/config.toml", "version = 1\n")
        lines = dict(l.split(None, 1) for l in self.node.install("--status").stdout.splitlines())
        self.assertEqual(lines["docker"], "installed       /etc/docker/daemon.json")
        self.assertTrue(lines["containerd"].startswith("not installed"))
        self.assertTrue(lines["microk8s"].startswith("no such engine"))

    def test_one_file_that_is_not_understood_stops_all(self):
        self.everything()
        self.node.write("/etc/docker/daemon.json", "{ nonsense")
        before = self.node.census()
        done = self.node.install(code=1)
        self.assertIn("docker: /etc/docker/daemon.json:1:", done.stderr)
        self.assertEqual(self.node.census(), before)
        self.node.install("--for", "podman", "--for", "crio")

    def test_a_node_without_engines(self):
        self.assertIn("no engine is found", self.node.install(code=1).stderr)
        self.assertIn('unknown engine', self.node.install("--for", "rkt", code=1).stderr)
        self.assertIn("no such file", self.node.install("--for", "microk8s", code=1).stderr)

    def test_dockers_file_is_json_with_the_four_runtimes(self):
        self.everything()
        self.node.install("--for", "docker")
        text = json.loads(self.node.read("/etc/docker/daemon.json"))
        self.assertEqual(list(text), ["log-level", "hosts", "runtimes"])
        self.assertEqual(text["runtimes"], {n: {"path": f"/opt/caisson/bin/{n}"} for n in HANDLERS})


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
