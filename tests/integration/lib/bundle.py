# SPDX-License-Identifier: Apache-2.0
"""A bundle: a directory with config.json and a root file system of its own."""

import itertools
import json
import os
import pathlib

from . import programs
from .config import Node, base_config

_serial = itertools.count(1)


class Rootfs:
    """The root file system of one bundle. Paths are relative to it."""

    def __init__(self, path):
        self.path = pathlib.Path(path)

    def __str__(self):
        return str(self.path)

    def __fspath__(self):
        return str(self.path)

    def __truediv__(self, name):
        return self.path / str(name).lstrip("/")

    def write(self, name, text, mode=0o644):
        path = self / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(mode)
        return path

    def read(self, name):
        return (self / name).read_text(encoding="utf-8", errors="surrogateescape")

    def exists(self, name):
        return os.path.lexists(self / name)

    def mkdir(self, name, mode=0o755):
        path = self / name
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(mode)
        return path

    def symlink(self, name, target):
        path = self / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)
        return path


class Bundle:
    """`bundle.process`, `.linux` ... are Nodes of its config (see config.py); `bundle.id` is the
    container's ID in this test. The wrapper writes config.json before each create and run."""

    def __init__(self, directory, template, name="c"):
        self.path = pathlib.Path(directory)
        self.path.mkdir(parents=True)
        self.id = f"{name}{next(_serial)}-{os.getpid()}"
        self.config = base_config()
        self.config["linux"]["cgroupsPath"] = f"/{self.id}"
        programs.clone_rootfs(template, self.path / "rootfs")
        self.rootfs = Rootfs(self.path / "rootfs")

    def __fspath__(self):
        return str(self.path)

    def __str__(self):
        return str(self.path)

    def __getattr__(self, attribute):
        if attribute.startswith("_") or attribute in ("config", "path", "rootfs", "id"):
            raise AttributeError(attribute)
        return getattr(Node(self.config), attribute)

    def __setattr__(self, attribute, value):
        if attribute in ("path", "id", "config", "rootfs"):
            object.__setattr__(self, attribute, value)
        else:
            setattr(Node(self.config), attribute, value)

    @property
    def node(self):
        """The whole config as a Node."""
        return Node(self.config)

    def save(self, name="config.json"):
        path = self.path / name
        path.write_text(json.dumps(self.config, indent=1), encoding="utf-8")
        return path

    def write_raw(self, text, name="config.json"):
        """Put a document there that the wrapper will not overwrite: pass save=False to it."""
        path = self.path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def mount(self, destination, source="none", fstype="bind", options=(), **more):
        """Append a mount. Returns it as a Node."""
        entry = {"destination": destination, "source": str(source), "type": fstype,
                 "options": list(options), **more}
        self.config.setdefault("mounts", []).append(entry)
        return Node(entry)

    def bind(self, source, destination, *options):
        """Bind mount a host path; read-write unless "ro" is among the options."""
        return self.mount(destination, source, "bind", ["rbind", *options])

    def namespace(self, kind, path=None):
        """Add the namespace, or join the one at path."""
        self.drop_namespace(kind)
        entry = {"type": kind} if path is None else {"type": kind, "path": str(path)}
        self.linux.namespaces.append(entry)

    def drop_namespace(self, kind):
        """Share that namespace with the runtime."""
        self.linux.namespaces = [n for n in self.linux.namespaces if n["type"] != kind]

    def capabilities(self, *names, sets=("bounding", "effective", "permitted")):
        """Exactly these capabilities in the named sets, none in the others."""
        self.config["process"]["capabilities"] = {s: list(names) for s in sets}

    def all_capabilities(self):
        """Every capability the lane itself has."""
        self.capabilities(*own_capabilities())

    def hook(self, kind, *argv, env=None, timeout=None):
        entry = {"path": argv[0], "args": list(argv)}
        if env is not None:
            entry["env"] = list(env)
        if timeout is not None:
            entry["timeout"] = timeout
        self.config.setdefault("hooks", {}).setdefault(kind, []).append(entry)
        return entry

    def user_namespace(self, host_id=100000, size=65536):
        """A new user namespace with one mapping; the rootfs is handed to its root."""
        self.namespace("user")
        for kind in ("uid_mappings", "gid_mappings"):
            setattr(self.linux, kind, [{"containerID": 0, "hostID": host_id, "size": size}])
        for directory, directories, files in os.walk(self.rootfs.path):
            os.lchown(directory, host_id, host_id)
            for name in files + directories:
                path = os.path.join(directory, name)
                if os.lstat(path).st_nlink == 1 or os.path.isdir(path):
                    os.lchown(path, host_id, host_id)


CAPABILITIES = """CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP
LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO
SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD
LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ
PERFMON BPF CHECKPOINT_RESTORE""".split()


def cap_number(name):
    return CAPABILITIES.index(name.removeprefix("CAP_"))


def own_capabilities():
    """Names in the bounding set of this process."""
    for line in pathlib.Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("CapBnd:"):
            bits = int(line.split()[1], 16)
            return [f"CAP_{n}" for i, n in enumerate(CAPABILITIES) if bits >> i & 1]
    raise RuntimeError("no CapBnd in /proc/self/status")
