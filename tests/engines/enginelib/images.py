# SPDX-License-Identifier: Apache-2.0
"""Images made from this machine's own files, without a registry.

Both are docker-archive files (the format of `docker save`), which `podman load`, `docker load` and
`ctr images import` all read:
  busybox.tar  docker.io/library/caisson-test:latest, busybox with its applets and programs/probe.c
  pause.tar    docker.io/library/caisson-pause:latest, programs/pause.c alone
"""

import hashlib
import io
import json
import os
import subprocess
import tarfile

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAMS = os.path.join(os.path.dirname(HERE), "programs")
BUSYBOX = "/bin/busybox"

TEST_IMAGE = "docker.io/library/caisson-test:latest"
PAUSE_IMAGE = "docker.io/library/caisson-pause:latest"

PASSWD = """root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/:/bin/false
tester:x:1000:1000:tester:/home/tester:/bin/sh
nobody:x:65534:65534:nobody:/:/bin/false
"""
GROUP = """root:x:0:
daemon:x:1:
audio:x:29:tester
tester:x:1000:
nogroup:x:65534:
"""


def compile_static(name, out_dir, *options):
    """Compile programs/NAME.c into a static program and return its path."""
    out = os.path.join(out_dir, name)
    subprocess.run(
        ["gcc", "-static", "-Os", "-s", "-Wall", "-Wextra", "-Werror", *options, "-o", out,
         os.path.join(PROGRAMS, name + ".c")],
        check=True, timeout=120)
    return out


class Layer:
    """One image layer: a tar written in memory, reproducible (no times, root owns all)."""

    def __init__(self):
        self.data = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.data, mode="w", format=tarfile.GNU_FORMAT)

    def _add(self, name, **fields):
        content = fields.pop("content", None)
        info = tarfile.TarInfo(name)
        for key, value in fields.items():
            setattr(info, key, value)
        if content is None:
            self.tar.addfile(info)
            return
        info.size = len(content)
        self.tar.addfile(info, io.BytesIO(content))

    def directory(self, name, mode=0o755, uid=0, gid=0):
        self._add(name, type=tarfile.DIRTYPE, mode=mode, uid=uid, gid=gid)

    def file(self, name, content, mode=0o644):
        self._add(name, type=tarfile.REGTYPE, mode=mode, content=content)

    def program(self, name, path):
        with open(path, "rb") as f:
            self.file(name, f.read(), 0o755)

    def link(self, name, target):
        self._add(name, type=tarfile.SYMTYPE, linkname=target, mode=0o777)

    def finish(self):
        self.tar.close()
        return self.data.getvalue()


def busybox_layer(work_dir):
    layer = Layer()
    for name in ("bin", "dev", "etc", "home", "proc", "root", "run", "sys", "usr", "usr/bin",
                 "var", "var/tmp"):
        layer.directory(name)
    layer.directory("tmp", 0o1777)
    layer.directory("home/tester", 0o755, 1000, 1000)
    layer.program("bin/busybox", BUSYBOX)
    applets = subprocess.run([BUSYBOX, "--list"], check=True, capture_output=True, text=True,
                             timeout=20).stdout.split()
    for applet in applets:
        if applet != "busybox":
            layer.link("bin/" + applet, "busybox")
    layer.program("bin/probe", compile_static("probe", work_dir))
    layer.file("etc/passwd", PASSWD.encode())
    layer.file("etc/group", GROUP.encode())
    layer.file("etc/not-executable", b"#!/bin/sh\necho never\n")
    layer.file("etc/image-file", b"from the image\n")
    return layer.finish()


def pause_layer(work_dir):
    layer = Layer()
    for name in ("dev", "etc", "proc", "sys"):
        layer.directory(name)
    layer.program("pause", compile_static("pause", work_dir, "-nostdlib", "-ffreestanding",
                                         "-fno-stack-protector"))
    return layer.finish()


def architecture():
    machine = os.uname().machine
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def write_archive(path, reference, layers, config):
    """Write a docker-archive of layers, the lowest first; config is the image's `config` object."""
    image = {
        "architecture": architecture(),
        "os": "linux",
        "created": "2026-01-01T00:00:00Z",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest() for layer in layers]},
        "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "tests/engines"} for _ in layers],
    }
    image_bytes = json.dumps(image, sort_keys=True).encode()
    config_name = hashlib.sha256(image_bytes).hexdigest() + ".json"
    names = ["layer%d.tar" % number for number in range(len(layers))]
    manifest = [{"Config": config_name, "RepoTags": [reference], "Layers": names}]
    archive = Layer()
    archive.file(config_name, image_bytes)
    for name, layer in zip(names, layers):
        archive.file(name, layer)
    archive.file("manifest.json", json.dumps(manifest).encode())
    with open(path, "wb") as f:
        f.write(archive.finish())


def build(out_dir):
    """Make both archives in out_dir; return {reference: path}."""
    test = os.path.join(out_dir, "busybox.tar")
    pause = os.path.join(out_dir, "pause.tar")
    write_archive(test, TEST_IMAGE, [busybox_layer(out_dir)], {
        "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", "FROM_IMAGE=yes"],
        "Cmd": ["/bin/sh"],
        "WorkingDir": "/",
    })
    write_archive(pause, PAUSE_IMAGE, [pause_layer(out_dir)], {
        "Entrypoint": ["/pause"],
        "StopSignal": "SIGTERM",
    })
    return {TEST_IMAGE: test, PAUSE_IMAGE: pause}
