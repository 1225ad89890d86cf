# SPDX-License-Identifier: Apache-2.0
"""What a test guest boots from: root file systems, kernels, the first file system. Kept in a cache, made once."""

import contextlib
import fcntl
import functools
import hashlib
import io
import os
import pathlib
import re
import shutil
import stat
import subprocess

REPO = pathlib.Path(__file__).resolve().parents[3]
CACHE = pathlib.Path(os.environ.get("CAISSON_TEST_CACHE", "/var/cache/caisson-tests"))
SUITE = "bookworm"
# What the life cycle suite runs with, systemd, and containerd with what its tests need.
PACKAGES = ("busybox-static", "containerd", "containernetworking-plugins", "dbus", "gcc", "iproute2", "iptables", "kmod",
            "libc6-dev", "procps", "python3", "python3-grpc-tools", "python3-grpcio", "python3-protobuf",
            "python3-pytest", "python3-pytest-timeout", "strace", "systemd", "systemd-sysv", "uidmap")
DISK_SIZE = "3G"
# Without these the kernel of a distribution has neither channel nor files.
MODULES = ("virtio_pci", "virtio_blk", "virtio_console", "virtio_rng", "virtiofs", "overlay")


class CannotMake(Exception):
    pass


def run(*argv, **options):
    done = subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          errors="replace", **options)
    if done.returncode:
        raise CannotMake(f"{argv[0]} failed with status {done.returncode}:\n{done.stderr[-4000:]}")
    return done.stdout


@contextlib.contextmanager
def made_once(name):
    """`with made_once(name) as (target, partial)`: partial is None when target is there already."""
    CACHE.mkdir(parents=True, exist_ok=True)
    target = CACHE / name
    with open(CACHE / f".{name}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.is_dir():
            yield target, None
            return
        partial = CACHE / f"partial-{name}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            yield target, partial
            os.rename(partial, target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def debian_disk(say):
    """An ext4 image with a bookworm and PACKAGES; guests write to copies of it alone."""
    digest = hashlib.sha256(" ".join([SUITE, DISK_SIZE, *PACKAGES]).encode()).hexdigest()[:12]
    with made_once(f"guest-{digest}") as (target, partial):
        if partial:
            say("making a Debian root file system for guests (once, about a minute)")
            root = partial / "root"
            run(REPO / "scripts/debian-root", SUITE, root, *PACKAGES)
            run("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", root, partial / "disk", DISK_SIZE)
            shutil.rmtree(root)
        return target / "disk"


def our_kernel(say):
    """The kernel of class vm."""
    kernel = REPO / "build/guest/vmlinux"
    if not kernel.exists():
        say("the guest's kernel is not there: scripts/build-guest")
        subprocess.run([REPO / "scripts/build-guest", REPO / "build/guest"], check=True, stdin=subprocess.DEVNULL)
    return kernel


class Kernel:
    """A kernel's file and its modules (name -> path), if it has any."""

    def __init__(self, path, modules_dir=None):
        self.path, self.modules_dir = path, modules_dir
        self.ours = modules_dir is None

    @functools.cached_property
    def modules(self):
        found = self.modules_dir.rglob("*.ko") if self.modules_dir else ()
        return {f.stem.replace("-", "_"): f for f in found}

    def with_dependencies(self, names):
        """Files of modules in the order to load them; what the kernel has built in is not among them."""
        order = []

        def add(name):
            path = self.modules.get(name.replace("-", "_"))
            if path is None or path in order:
                return
            depends = re.search(rb"\0depends=([^\0]*)\0", path.read_bytes())
            for other in depends[1].decode().split(",") if depends else ():
                add(other)
            order.append(path)

        for name in names:
            add(name)
        return order


def download(directory):
    """Debian's newest kernel for virtual machines as a package in the directory."""
    asked = run("apt-cache", "depends", "linux-image-cloud-amd64")
    package = re.search(r"Depends: (linux-image-\S+-cloud-amd64)$", asked, re.M)
    if package is None:
        raise CannotMake("apt knows no linux-image-cloud-amd64")
    run("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", package[1], cwd=directory)
    return next(directory.glob("*.deb"))


def debian_kernel(say):
    """Debian's kernel for virtual machines and its modules: the newest at the time it was first asked for."""
    with made_once(f"guest-kernel-{SUITE}") as (target, partial):
        if partial:
            say("fetching Debian's kernel for virtual machines (once)")
            try:
                archive = download(partial)
            except CannotMake:  # lists that are old or not there
                run("apt-get", "-q", "update")
                archive = download(partial)
            run("dpkg-deb", "-x", archive, partial / "files")
            archive.unlink()
            run("busybox", "depmod", "-b", partial / "files", next(partial.glob("files/lib/modules/*")).name)
        files = target / "files"
    # made_once() has put it in its place by now.
    return Kernel(next(files.glob("boot/vmlinuz-*")), next(files.glob("lib/modules/*")))


def kernel(name, say):
    """`caisson`, `debian` or the path of a kernel that has all it needs built in."""
    if name == "debian":
        return debian_kernel(say)
    return Kernel(our_kernel(say) if name == "caisson" else pathlib.Path(name))


# ---------------------------------------------------------------------------- the first file system


class Archive:
    """A cpio archive as the kernel unpacks it (format newc)."""

    def __init__(self):
        self.out = io.BytesIO()
        self.inode = 0

    def _entry(self, name, mode, data=b"", device=(0, 0)):
        self.inode += 1
        name = name.encode() + b"\0"
        fields = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name), 0)
        self.out.write(b"070701" + b"".join(b"%08x" % f for f in fields) + name)
        self.out.write(b"\0" * (-self.out.tell() % 4) + data)
        self.out.write(b"\0" * (-self.out.tell() % 4))

    def directory(self, name):
        self._entry(name, stat.S_IFDIR | 0o755)

    def file(self, name, data, mode=0o755):
        self._entry(name, stat.S_IFREG | mode, data)

    def character_device(self, name, major, minor):
        self._entry(name, stat.S_IFCHR | 0o600, device=(major, minor))

    def bytes(self):
        self._entry("TRAILER!!!", 0)
        return self.out.getvalue()


def first_file_system(chosen, modules, files):
    """busybox, the kernel's modules, `files` (name -> bytes) and the script that init.sh is."""
    here = pathlib.Path(__file__).parent
    archive = Archive()
    for name in ("bin", "dev", "modules", "proc", "root", "share", "sys"):
        archive.directory(name)
    archive.character_device("dev/console", 5, 1)
    archive.file("bin/busybox", pathlib.Path(shutil.which("busybox") or "/bin/busybox").read_bytes())
    archive.file("init", (here / "init.sh").read_bytes())
    archive.file("job.sh", (here / "job.sh").read_bytes())
    for number, path in enumerate(chosen.with_dependencies(modules)):
        archive.file(f"modules/{number:02}-{path.name}", path.read_bytes(), 0o644)
    for name, data in files.items():
        archive.file(name, data)
    return archive.bytes()
