# SPDX-License-Identifier: Apache-2.0
"""scripts/guest-run itself: streams, status, copies, limits, and that nothing stays."""

import os
import pathlib
import signal
import subprocess
import time

from conftest import GUEST_RUN, REPO


def test_streams_and_status_of_the_command_come_back(guest):
    done = guest("--env", "WORD=a b", script='echo "$WORD"; echo wrong >/dev/stderr; pwd; exit 7')
    assert (done.code, done.out, done.err) == (7, "a b\n/src\n", "wrong\n"), done


def test_a_large_output_arrives_whole(guest):
    done = guest(script="seq 300000")
    assert done.code == 0 and done.out == "".join(f"{n}\n" for n in range(1, 300001)), done


def test_what_a_guest_writes_into_the_checkout_stays_in_the_guest(guest):
    done = guest(script="echo x >/src/written-by-a-guest && rm /src/README.md && ! test -e /src/README.md")
    assert done.code == 0, done
    assert not (REPO / "written-by-a-guest").exists() and (REPO / "README.md").exists()


def test_files_and_directories_are_copied_out(guest, tmp_path):
    done = guest("--copy-out", "/var/tmp/file", "--copy-out", "/var/tmp/dir", "--into", tmp_path,
                 script="cd /var/tmp && mkdir dir && head -c 3000000 /dev/zero >dir/zeros && echo 'in it' >file")
    assert done.code == 0, done
    assert (tmp_path / "file").read_text() == "in it\n" and (tmp_path / "dir/zeros").stat().st_size == 3000000


def test_a_copy_that_is_not_there_is_told(guest, tmp_path):
    done = guest("--copy-out", "/nowhere", "--into", tmp_path, script="true")
    assert done.code == 125 and "--copy-out /nowhere: not there" in done.err, done


def test_a_directory_of_the_host_is_the_root(guest, tmp_path):
    done = guest("--root", "/", "--no-checkout", "--share", f"{tmp_path}:/shared",
                 script=f"test -x {GUEST_RUN} && mountpoint /shared && touch /shared/x /etc/x")
    assert done.code == 0, done
    assert not list(tmp_path.iterdir()) and not os.path.exists("/etc/x")


def test_a_command_past_its_time_ends(guest):
    done = guest("--time-limit", "3", script="sleep 1000")
    assert done.code == 124 and "3 s were not enough for the command" in done.err, done


def test_a_guest_that_ends_by_itself_is_told_with_its_last_words(guest):
    done = guest(script="echo last words >/dev/console; /run/guest/busybox reboot -f")
    assert done.code == 125 and "the guest is gone" in done.err and "last words" in done.err, done


def descendants(pid):
    """Processes below pid, by number and start time, so that none is taken for a later one."""
    parents = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(stat.parent.name)] = (int(fields[1]), fields[19])
    found, added = {pid}, True
    while added:
        added = {p for p, (parent, _) in parents.items() if parent in found} - found
        found |= added
    return {(p, parents[p][1]) for p in found - {pid} if p in parents}


def alive(process):
    try:
        return pathlib.Path(f"/proc/{process[0]}/stat").read_text().rpartition(")")[2].split()[19] == process[1]
    except OSError:
        return False


def name_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:  # it has just ended
        return None


def killed(number):
    """The status of a guest-run ended by a signal while its command runs, and its processes that stay."""
    child = subprocess.Popen([GUEST_RUN, "--", "sh", "-c", "echo begun; sleep 1000"], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout.readline() == "begun\n"
        below = descendants(child.pid)
        assert {"qemu-system-x86", "virtiofsd"} <= {name_of(pid) for pid, _ in below}
        child.send_signal(number)
        status = child.wait(60)
    finally:
        child.kill()
    deadline = time.monotonic() + 60
    while any(map(alive, below)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return status, [p for p in below if alive(p)]


def test_nothing_stays_of_one_that_is_killed():
    assert killed(signal.SIGKILL) == (-signal.SIGKILL, [])


def test_nothing_stays_of_one_that_is_asked_to_end():
    assert killed(signal.SIGTERM) == (128 + signal.SIGTERM, [])
