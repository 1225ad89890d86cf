# SPDX-License-Identifier: Apache-2.0
"""`make install DESTDIR=...` into an empty directory. Usage: test_install.py BUILD_DIRECTORY SOURCE_DIRECTORY

The command is taken from `make -n install`, so that nothing is built again while tests run.
"""
import gzip
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

BUILD, SOURCE = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
PREFIX = pathlib.Path(sys.argv[3])  # the configured prefix, such as /usr/local


def install_command(destination):
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    planned = subprocess.run(["make", "-n", "install", f"BUILD={BUILD}", f"DESTDIR={destination}"],
                             cwd=SOURCE, env=env, capture_output=True, text=True, check=True).stdout
    (command,) = [line for line in planned.splitlines() if "meson install" in line]
    return command


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="caisson-install-")
        cls.top = pathlib.Path(cls.temporary.name)
        done = subprocess.run(["sh", "-c", install_command(cls.top)], cwd=SOURCE, capture_output=True, text=True)
        if done.returncode:
            raise AssertionError(done.stdout + done.stderr)
        cls.root = cls.top / PREFIX.relative_to("/")

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


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
