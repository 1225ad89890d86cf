# SPDX-License-Identifier: Apache-2.0
"""config.json as objects: `bundle.linux.masked_paths += ["/x"]` edits `linux.maskedPaths`.

A Node wraps one JSON object. Attributes are the specification's names in snake_case and must
be known (a typo is an AttributeError, not a silently ignored field); reading a missing object or
list makes an empty one and attaches it. `node["anyName"]` reads and writes without that check,
for tests of unknown and ill-typed fields. `del node.x` removes a field.
"""

import re

OBJECTS = set("""
    process user capabilities consoleSize scheduler ioPriority execCPUAffinity root hooks annotations
    linux sysctl resources memory cpu pids blockIO network rdma unified seccomp intelRdt personality
    timeOffsets netDevices memoryPolicy boottime monotonic
""".split())

LISTS = set("""
    args env additionalGids bounding effective inheritable permitted ambient rlimits mounts options
    uidMappings gidMappings prestart createRuntime createContainer startContainer poststart poststop
    namespaces devices hugepageLimits weightDevice throttleReadBpsDevice throttleWriteBpsDevice
    throttleReadIOPSDevice throttleWriteIOPSDevice priorities architectures flags syscalls names
    maskedPaths readonlyPaths schemata nodes
""".split())

SCALARS = set("""
    ociVersion hostname domainname terminal height width cwd uid gid umask username noNewPrivileges
    apparmorProfile selinuxLabel oomScoreAdj policy nice priority runtime deadline period class
    initial final path readonly destination source type containerID hostID size timeout
    cgroupsPath rootfsPropagation mountLabel major minor fileMode allow access limit reservation swap
    kernel kernelTCP swappiness disableOOMKiller useHierarchy checkBeforeUpdate shares quota burst
    realtimeRuntime realtimePeriod cpus mems idle weight leafWeight rate pageSize classID
    hcaHandles hcaObjects defaultAction defaultErrnoRet listenerPath listenerMetadata action errnoRet
    closID l3CacheSchema memBwSchema enableMonitoring domain secs nanosecs name index value
    valueTwo op hard soft mode
""".split())

KNOWN = OBJECTS | LISTS | SCALARS
IRREGULAR = {
    "block_io": "blockIO", "disable_oom_killer": "disableOOMKiller", "kernel_tcp": "kernelTCP",
    "class_id": "classID", "container_id": "containerID", "host_id": "hostID",
    "exec_cpu_affinity": "execCPUAffinity", "clos_id": "closID",
    "throttle_read_iops_device": "throttleReadIOPSDevice",
    "throttle_write_iops_device": "throttleWriteIOPSDevice",
}


def json_name(attribute):
    """snake_case to the specification's name."""
    if attribute in IRREGULAR:
        return IRREGULAR[attribute]
    return re.sub(r"_([a-z0-9])", lambda m: m.group(1).upper(), attribute.rstrip("_"))


class Node:
    """One JSON object of a config, by reference."""

    def __init__(self, data):
        object.__setattr__(self, "data", data)

    def __getattr__(self, attribute):
        name = json_name(attribute)
        if name not in KNOWN:
            raise AttributeError(f"config.json has no field {name!r}")
        if name not in self.data:
            if name in OBJECTS:
                self.data[name] = {}
            elif name in LISTS:
                self.data[name] = []
        value = self.data.get(name)
        return Node(value) if isinstance(value, dict) else value

    def __setattr__(self, attribute, value):
        name = json_name(attribute)
        if name not in KNOWN:
            raise AttributeError(f"config.json has no field {name!r}")
        self.data[name] = value.data if isinstance(value, Node) else value

    def __delattr__(self, attribute):
        self.data.pop(json_name(attribute), None)

    def __getitem__(self, name):
        value = self.data[name]
        return Node(value) if isinstance(value, dict) else value

    def __setitem__(self, name, value):
        self.data[name] = value.data if isinstance(value, Node) else value

    def __delitem__(self, name):
        del self.data[name]

    def __contains__(self, name):
        return name in self.data

    def __repr__(self):
        return f"Node({self.data!r})"


DEFAULT_CAPS = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
MASKED_PATHS = ["/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
                "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware",
                "/proc/scsi"]
READONLY_PATHS = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]


def base_config():
    """A new config like the one `spec` writes, with a program that ends at once."""
    return {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False,
            "user": {"uid": 0, "gid": 0},
            "args": ["true"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                    "TERM=xterm"],
            "cwd": "/",
            "capabilities": {name: list(DEFAULT_CAPS)
                             for name in ("bounding", "effective", "permitted")},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": False},
        "hostname": "caisson-test",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
             "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
            {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
             "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs",
             "options": ["nosuid", "noexec", "nodev", "ro"]},
        ],
        "linux": {
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
            "namespaces": [{"type": name} for name in ("pid", "network", "ipc", "uts", "mount")],
            "maskedPaths": list(MASKED_PATHS),
            "readonlyPaths": list(READONLY_PATHS),
        },
    }
