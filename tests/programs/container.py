# SPDX-License-Identifier: Apache-2.0
"""config.json of a container that runs a bash script in the Debian root."""

TMPFS = ("/tmp", "/run", "/var/log", "/var/lib/nginx", "/var/lib/redis", "/root")
CAPS = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_SETGID", "CAP_SETUID",
        "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL"]


def config_of(script, root, work, user):
    def tmpfs(path):
        return {"destination": path, "type": "tmpfs", "source": "tmpfs",
                "options": ["nosuid", "nodev", "mode=1777"]}
    caps = CAPS if user == 0 else []
    return {
        "ociVersion": "1.0.2",
        "process": {"user": {"uid": user, "gid": user}, "args": ["/bin/bash", "-c", script], "cwd": "/work",
                    "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
                            "LANG=C.UTF-8", "TERM=dumb"],
                    "capabilities": {k: caps for k in ("bounding", "effective", "permitted")},
                    "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 4096}],
                    "noNewPrivileges": True},
        "root": {"path": str(root), "readonly": True},
        "hostname": "programs",
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
                   {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
                    "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
                   {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
                    "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
                   {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
                    "options": ["nosuid", "noexec", "nodev", "mode=1777"]},
                   {"destination": "/sys", "type": "sysfs", "source": "sysfs",
                    "options": ["nosuid", "noexec", "nodev", "ro"]},
                   *map(tmpfs, TMPFS),
                   {"destination": "/work", "type": "bind", "source": str(work), "options": ["rbind", "rw"]}],
        "linux": {"namespaces": [{"type": t} for t in ("pid", "ipc", "uts", "mount", "network")]},
    }
