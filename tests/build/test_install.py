# SPDX-License-Identifier: Apache-2.0
"""`make install DESTDIR=...` into an empty directory, and again. Usage: test_install.py BUILD_DIRECTORY SOURCE_DIRECTORY

The command is taken from `make -n install`, so that nothing is built again while tests run.
"""
import ctypes
import gzip
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import unittest

BUILD, SOURCE = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
PREFIX = pathlib.Path(sys.argv[3])  # the configured prefix, such as /usr/local


def install_command(destination):
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    # From where make is run, as its own BUILD is.
    planned = subprocess.run(["make", "-n", "install", f"BUILD={os.path.relpath(BUILD, SOURCE)}", f"DESTDIR={destination}"],
                             cwd=SOURCE, env=env, capture_output=True, text=True, check=True).stdout
    (command,) = [line for line in planned.splitlines() if "scripts/install" in line]
    return command


CREATED, DELETED, MODIFIED, MOVED_TO = 0x100, 0x200, 0x2, 0x80  # inotify(7)


class Watch:
    """What happens to the names of directories."""

    def __init__(self, *directories):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.fd = self.libc.inotify_init1(os.O_NONBLOCK)
        for directory in directories:
            if self.libc.inotify_add_watch(self.fd, os.fsencode(directory), CREATED | DELETED | MODIFIED | MOVED_TO) < 0:
                raise OSError(ctypes.get_errno(), "inotify_add_watch")

    def read(self):
        """[(name, what)]"""
        data, found = os.read(self.fd, 1 << 20), []
        os.close(self.fd)
        while data:
            _, mask, _, length = struct.unpack_from("iIII", data)
            found.append((data[16:16 + length].rstrip(b"\0").decode(), mask))
            data = data[16 + length:]
        return found


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="caisson-install-")
        cls.top = pathlib.Path(cls.temporary.name)
        cls.install()
        cls.root = cls.top / PREFIX.relative_to("/")

    @classmethod
    def install(cls):
        done = subprocess.run(["sh", "-c", install_command(cls.top)], cwd=SOURCE, capture_output=True, text=True)
        if done.returncode:
            raise AssertionError(done.stdout + done.stderr)

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def test_the_program_runs_from_where_it_was_installed(self):
        done = subprocess.run([self.root / "bin/caisson", "--version"], capture_output=True, text=True, check=True)
        self.assertRegex(done.stdout, r"^caisson version \d+\.\d+\.\d+")

    def test_the_links_fix_a_class(self):
        for name in ("ns", "sentry", "vm"):
            link = self.root / f"bin/caisson-{name}"
            self.assertEqual(os.readlink(link), "caisson")

    def test_the_program_is_stripped(self):
        data = (self.root / "bin/caisson").read_bytes()
        self.assertNotIn(b".symtab\0", data)
        self.assertLess(len(data), (BUILD / "bin/caisson").stat().st_size)

    def test_the_program_is_not_writable_by_others(self):
        self.assertEqual((self.root / "bin/caisson").stat().st_mode & 0o7777, 0o755)

    def test_man_pages_are_installed(self):
        for page in ("man8/caisson.8", "man8/containerd-shim-caisson-v2.8", "man5/caisson.json.5"):
            plain = self.root / "share/man" / page
            packed = plain.with_name(plain.name + ".gz")
            text = plain.read_text() if plain.exists() else gzip.decompress(packed.read_bytes()).decode()
            self.assertTrue(re.search(r"^\.(TH|Dt) ", text, re.M), page)

    def test_licence_and_documents_are_installed(self):
        for name in ("LICENSE", "README.md", "CAVEATS.md"):
            self.assertEqual((self.root / "share/doc/caisson" / name).read_bytes(), (SOURCE / name).read_bytes())

    def test_nothing_else_is_installed(self):
        allowed = {"bin", "libexec/caisson", "libexec/caisson/guest", "share/man/man5", "share/man/man8",
                   "share/doc/caisson"}
        for path in self.top.rglob("*"):
            if not path.is_dir():
                self.assertIn(path.parent.relative_to(self.root).as_posix(), allowed, path)
                self.assertFalse(path.name.startswith("."), path)

    def test_a_second_install_replaces_each_file_at_once(self):
        """What is there is never missing, never half of it, and stays what it was for who has it open."""
        places = [self.root / "bin", self.root / "libexec/caisson"]
        (self.root / "bin/.caisson.new").mkdir()  # of one that was killed, or of anybody
        with open(self.root / "bin/caisson", "rb") as running:
            before = running.read()
            watch = Watch(*places)
            self.install()
            running.seek(0)
            self.assertEqual(running.read(), before)
            self.assertEqual(os.fstat(running.fileno()).st_nlink, 0)
        happened = [(name, what) for name, what in watch.read() if not name.startswith(".")]
        names = [path.name for place in places for path in place.iterdir() if path.is_symlink() or path.is_file()]
        self.assertEqual(sorted((name, MOVED_TO) for name in names), sorted(happened))
        # All is there, and nothing of the way there.
        self.assertIn("caisson-vm", names)
        self.test_nothing_else_is_installed()
        self.test_the_program_is_stripped()
        self.assertEqual([name for name in os.listdir(BUILD) if name.startswith("install.")], [])


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
