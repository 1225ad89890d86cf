# SPDX-License-Identifier: Apache-2.0
"""Escapes: an image or a volume that leads the set-up of a container astray (native.md section D).

What one call can show is shown by one call; what has to be raced is raced for a second or two, and
longer in `make soak`. The same at the level of one function: tests/unit/ns/test_rootfs_hostile.c.
"""

import os
import pathlib
import time

import pytest

from lib import cgroups, hostile, seen
from lib.runtime import refused

pytestmark = pytest.mark.classes("ns", "sentry", "vm")
OURS = pytest.mark.beyond("runc", "crun", reason="our wording, or a version of before the fix")
SECONDS = 30.0 if os.environ.get("CAISSON_SOAK") == "1" else 1.5
UP = "../../../../../../../.."


def for_a_while(at_least=6, met=lambda: True, at_most=300):
    """So long, and so often: a start may take its time. Until it has met() what it is about, if need be."""
    end = time.monotonic() + SECONDS
    tries = 0
    while tries < at_least or time.monotonic() < end or (not met() and tries < at_most):
        yield
        tries += 1


@pytest.fixture
def host(work_dir):
    """A directory of the host that nothing may be made, mounted or written in."""
    directory = work_dir / "host"
    directory.mkdir()
    (directory / "file").write_text("untouched")
    yield directory
    assert sorted(os.listdir(directory)) == ["file"]
    assert (directory / "file").read_text() == "untouched"
    mountinfo = pathlib.Path("/proc/self/mountinfo").read_text()
    assert str(directory) not in mountinfo


# --------------------------------------------------------------------------------- /proc and /sys


@OURS
@pytest.mark.parametrize("name", ["proc", "sys"])
@pytest.mark.parametrize("target", ["/elsewhere", "/tmp", UP + "/tmp", "."])
def test_proc_and_sys_that_are_links_are_refused(runtime, bundle, name, target):
    """CVE-2019-19921, CVE-2023-27561, CVE-2023-28642."""
    bundle.rootfs.mkdir("elsewhere")
    os.rmdir(bundle.rootfs / name)
    bundle.rootfs.symlink(name, target)

    refused(runtime, runtime.run(bundle, ["true"], check=False),
            "must be mounted on an ordinary directory, not a link")


@OURS
@pytest.mark.parametrize("destination", ["/proc", "/proc/", "//proc", "/./proc", "/x/../proc", "/proc/self",
                                         "/proc/sys", "/proc/self/attr", "/proc/thread-self/attr/exec",
                                         "/proc/../proc/sys/kernel", "/proc/1/attr/exec"])
@pytest.mark.parametrize("kind", ["bind", "tmpfs"])
def test_nothing_but_procfs_is_mounted_on_proc_or_in_it(runtime, bundle, host, destination, kind):
    """CVE-2019-16884, CVE-2025-52881: writes of the runtime to /proc would go into the volume."""
    if kind == "bind":
        bundle.bind(host, destination)
    else:
        bundle.mount(destination, "tmpfs", "tmpfs")

    result = runtime.run(bundle, ["true"], check=False)
    assert result.returncode == 1
    assert "/proc" in result.stderr


@OURS
def test_link_of_the_image_does_not_smuggle_a_volume_onto_proc(runtime, bundle, host):
    bundle.rootfs.symlink("innocent", "/proc")
    bundle.bind(host, "/innocent")

    refused(runtime, runtime.run(bundle, ["true"], check=False), "only a proc file system may be mounted at /proc")


@OURS
def test_proc_swapped_for_a_link_while_containers_start(runtime, bundle, host):
    """The image is a volume that another container changes: /proc is a directory at one moment."""
    bundle.rootfs.symlink("evil", UP + str(host))
    with hostile.Race(bundle.rootfs / "proc", bundle.rootfs / "evil"):
        good = bad = 0
        for _ in for_a_while():
            result = runtime.run(bundle, ["sh", "-c", "test -e /proc/self/status && test -e /proc/self/attr"],
                                 check=False)
            good, bad = good + (result.returncode == 0), bad + (result.returncode != 0)
    assert good + bad > 5


@OURS
def test_sysctls_are_written_to_the_hosts_procfs_only(runtime, bundle):
    """CVE-2025-52881: the container's own /proc, of whatever kind, is not what is written to."""
    bundle.rootfs.mkdir("proc/sys/kernel")
    fake = bundle.rootfs.write("proc/sys/kernel/domainname", "fake")
    bundle.node.mounts = [m for m in bundle.config["mounts"] if m["destination"] != "/proc"]
    bundle.linux.masked_paths, bundle.linux.readonly_paths = [], []
    bundle.linux.sysctl["kernel.domainname"] = "sandbox"

    result = runtime.run(bundle, ["uname", "-a"], check=False)
    assert fake.read_text() == "fake"
    assert result.returncode in (0, 1)
    assert pathlib.Path("/proc/sys/kernel/domainname").read_text().strip() != "sandbox"


@OURS
@pytest.mark.parametrize("name", ["kernel/../../../tmp/x", "..", "kernel.../x", "/kernel/domainname", "",
                                  "net.ipv4.../../kernel.core_pattern", "kernel.core_pattern"])
def test_sysctl_names_do_not_leave_proc_sys(runtime, bundle, name):
    before = pathlib.Path("/proc/sys/kernel/core_pattern").read_text()
    bundle.linux.sysctl[name] = "|/evil"

    assert runtime.run(bundle, ["true"], check=False).returncode == 1
    assert pathlib.Path("/proc/sys/kernel/core_pattern").read_text() == before


# ------------------------------------------------------------------------------- targets of mounts


@pytest.mark.parametrize("kind", ["tmpfs", "bind", "file"])
@pytest.mark.parametrize("link", [UP, "/" + UP, "/proc/self/cwd/" + UP, "/proc/1/root"])
def test_links_of_the_image_lead_no_mount_and_no_directory_to_the_host(runtime, bundle, work_dir, host, kind, link):
    """CVE-2024-45310, CVE-2021-30465 without the race: a link in the way of a mount target."""
    bundle.rootfs.symlink("out", link + str(host))
    destination = "/out/made/here"
    if kind == "tmpfs":
        bundle.mount(destination, "tmpfs", "tmpfs")
    elif kind == "bind":
        (work_dir / "volume").mkdir()
        bundle.bind(work_dir / "volume", destination)
    else:
        (work_dir / "single").write_text("x")
        bundle.bind(work_dir / "single", destination)

    result = runtime.run(bundle, ["report"], check=False)
    if result.returncode == 0:
        assert any(m.point.endswith("/made/here") for m in seen.mounts(result.report))


@pytest.mark.parametrize("kind", ["tmpfs", "bind", "cgroup"])
def test_target_swapped_for_a_link_leads_nowhere(runtime, bundle, work_dir, host, kind):
    """CVE-2021-30465: two containers share a volume; one swaps what the other's mount goes onto."""
    volume = work_dir / "volume"
    (volume / "target/inner").mkdir(parents=True)
    (volume / "evil").symlink_to(UP + str(host))
    bundle.bind(volume, "/volume")
    if kind == "tmpfs":
        bundle.mount("/volume/target/inner/deep", "tmpfs", "tmpfs")
    elif kind == "bind":
        (work_dir / "other").mkdir()
        bundle.bind(work_dir / "other", "/volume/target/inner/deep")
    else:
        bundle.mount("/volume/target/inner/deep", "cgroup2" if cgroups.is_v2() else "cgroup",
                     "cgroup2" if cgroups.is_v2() else "cgroup", ["ro"])
    attempts = 0
    with hostile.Race(volume / "target", volume / "evil"):
        for _ in for_a_while():
            result = runtime.run(bundle, ["sh", "-c", "cat /volume/*/file; ls -R /volume/"], check=False)
            assert "untouched" not in result.stdout
            attempts += 1
    assert attempts > 5


def test_directories_made_in_a_racing_volume_stay_there(runtime, bundle, work_dir, host):
    """CVE-2024-45310: mkdir of a long target while its middle is swapped for a link."""
    volume = work_dir / "volume"
    (volume / "a").mkdir(parents=True)
    (volume / "evil").symlink_to(UP + str(host))
    bundle.bind(volume, "/volume")
    attempts = 0
    with hostile.Race(volume / "a", volume / "evil"):
        for _ in for_a_while():
            bundle.config["mounts"][-1:] = bundle.config["mounts"][-1:]
            bundle.config["mounts"] = [m for m in bundle.config["mounts"] if "/volume/a" not in m["destination"]]
            bundle.mount(f"/volume/a/b{attempts}/c/d/e", "tmpfs", "tmpfs")
            runtime.run(bundle, ["true"], check=False)
            attempts += 1
    assert attempts > 5


def test_working_directory_is_made_inside(runtime, bundle, host):
    """CVE-2025-24965: whatever is made in the root file system follows no link out of it."""
    for link in (UP + str(host), "/proc/1/root" + str(host), str(host)):
        if bundle.rootfs.exists("link"):
            os.unlink(bundle.rootfs / "link")
        bundle.rootfs.symlink("link", link)
        bundle.process.cwd = "/link/new/dir"
        runtime.run(bundle, ["true"], check=False)


@pytest.mark.parametrize("name", ["fd", "stdin", "ptmx", "pts", "shm", "mqueue", "null", "tty"])
def test_entries_of_dev_that_are_links_lead_nowhere(runtime, bundle, host, name):
    """The image brings its own /dev: default nodes and links are not written through what is there."""
    bundle.node.mounts = [m for m in bundle.config["mounts"] if m["destination"] != "/dev"]
    bundle.rootfs.symlink(f"dev/{name}", UP + str(host) + "/made")

    runtime.run(bundle, ["true"], check=False)
    bundle.rootfs.exists("dev")


# ------------------------------------------------------------------- /dev/null, /dev/console, masks


@pytest.mark.parametrize("target", ["/etc/passwd", "/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern"])
def test_false_null_device_masks_nothing(runtime, bundle, target):
    """CVE-2025-31133: what is bound over masked paths must be the null device."""
    bundle.node.mounts = [m for m in bundle.config["mounts"] if not m["destination"].startswith("/dev")]
    bundle.rootfs.symlink("dev/null", target)
    bundle.rootfs.write("etc/secret", "s3cret")
    bundle.linux.masked_paths += ["/etc/secret"]

    result = runtime.run(bundle, ["sh", "-c", "cat /proc/self/mountinfo; cat /etc/secret"], check=False)
    assert "s3cret" not in result.stdout
    for line in result.stdout.splitlines():
        if " - " in line and seen.Mount(line).point in ("/etc/secret", "/proc/kcore"):
            assert seen.Mount(line).root.endswith("/null"), line


@OURS
def test_null_device_swapped_while_containers_start(runtime, bundle):
    bundle.node.mounts = [m for m in bundle.config["mounts"] if not m["destination"].startswith("/dev")]
    os.mknod(bundle.rootfs / "dev/null", 0o20666, os.makedev(1, 3))
    bundle.rootfs.symlink("dev/evil", "/etc/passwd")
    bundle.rootfs.write("etc/secret", "s3cret")
    bundle.linux.masked_paths += ["/etc/secret"]
    good = 0

    def started():
        result = runtime.run(bundle, ["sh", "-c", "testinit stat /etc/secret /proc/keys; cat /etc/secret"],
                             check=False)
        if result.returncode != 0 and not result.stdout:
            return False
        assert "s3cret" not in result.stdout and result.stdout.count("rdev=1:3") == 2, result.stdout
        return True

    with hostile.Race(bundle.rootfs / "dev/null", bundle.rootfs / "dev/evil"):
        for _ in for_a_while(met=lambda: good > 0 or runtime.isolation == "vm"):
            good += started()
    # A guest's kernel remembers what was at /dev/null a moment ago: there all starts of the race may be refused.
    assert good > 0 or runtime.isolation == "vm", "no container started in the race"
    if (bundle.rootfs / "dev/null").is_symlink():
        os.rename(bundle.rootfs / "dev/evil", bundle.rootfs / "dev/null")
    assert started(), "nor without it"


@pytest.mark.parametrize("target", ["/etc/passwd", "/proc/sys/kernel/core_pattern", UP + "/etc/hostname", "pts/ptmx"])
def test_console_that_is_a_link_covers_nothing_else(runtime, bundle, console, target):
    """CVE-2025-52565: the terminal is bound on a file that is /dev/console itself."""
    bundle.node.mounts = [m for m in bundle.config["mounts"] if m["destination"] != "/dev"]
    bundle.rootfs.symlink("dev/console", target)
    bundle.process.terminal = True
    bundle.process.args = ["sh", "-c", "cat /proc/self/mountinfo; echo the-end; sleep 100"]

    result = runtime.run(bundle, None, "-d", "--console-socket", console.path, check=False)
    if result.returncode == 0:
        text = console.terminal().expect("the-end")
        points = [line.split()[4] for line in text.splitlines() if " - devpts " in line]
        assert set(points) <= {"/dev/pts", "/dev/console"}, points


@OURS
def test_masked_path_swapped_for_a_link_masks_no_other_file(runtime, bundle, host):
    bundle.rootfs.mkdir("masked")
    bundle.rootfs.symlink("evil", UP + str(host))
    bundle.linux.masked_paths = ["/masked"]
    with hostile.Race(bundle.rootfs / "masked", bundle.rootfs / "evil"):
        for _ in for_a_while():
            runtime.run(bundle, ["true"], check=False)
            assert os.listdir(host) == ["file"]


# ------------------------------------------------------------------------------- cgroups and messages


@pytest.mark.parametrize("namespace", [False, True])
def test_user_namespace_cannot_write_the_hosts_hierarchy(runtime, bundle, namespace):
    """CVE-2023-25809: the host's cgroups, delegated to the caller, are read-only or not there."""
    bundle.user_namespace()
    if namespace:
        bundle.namespace("cgroup")
    kind = "cgroup2" if cgroups.is_v2() else "cgroup"
    bundle.mount("/sys/fs/cgroup", kind, kind, ["rw", "nosuid", "noexec", "nodev"])
    before = cgroups.all_cgroups()

    depth = 0 if cgroups.is_v2() else 1  # v1's are mounted in a tmpfs, which is the container's own
    script = (f"find /sys/fs/cgroup -mindepth {depth} -maxdepth 3 -type d | while read d; do mkdir $d/evil 2>/dev/null && echo MADE $d; "
              "echo 1 2>/dev/null >$d/cgroup.procs && echo MOVED $d; done; true")
    result = runtime.run(bundle, ["sh", "-c", script], check=False)
    assert "MADE" not in result.stdout
    assert cgroups.all_cgroups() <= before | {str(cgroups.cgroup_dir(bundle.linux.cgroups_path, top.name))
                                              for top in cgroups.hierarchies()}
    assert result.returncode == 0 or "cgroup" in result.stderr


@OURS
@pytest.mark.parametrize("count,length", [(1, 131000), (20000, 10), (1000, 1000)])
def test_long_arguments_and_environments_arrive_whole(runtime, bundle, count, length):
    """CVE-2021-43784: lengths of the message to the child are counted, not assumed."""
    bundle.process.env += [f"V{i}=" + "x" * length for i in range(count)]

    out = runtime.run(bundle, ["cat", "/proc/self/environ"]).stdout
    assert out.count("\0") >= count + 2 and out.count("x" * length) >= count


@OURS
@pytest.mark.parametrize("count,length", [(1, 140000), (100, 100000), (40, 500000)])
def test_what_is_too_long_for_exec_is_an_error(runtime, bundle, count, length):
    bundle.process.env += [f"V{i}=" + "x" * length for i in range(count)]

    result = runtime.run(bundle, ["true"], check=False)
    assert result.returncode == 1 and result.stderr.strip()
