# SPDX-License-Identifier: Apache-2.0
"""scripts/fetch-debian without an archive: what it had last, or nothing. Usage: test_fetch_debian.py SOURCE_DIRECTORY"""
import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

FETCH = pathlib.Path(sys.argv[1]) / "scripts/fetch-debian"
NOBODY = "http://127.0.0.1:9/debian"  # no port that is listened on
UNAVAILABLE = 69


class WithoutAnArchive(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.cache = pathlib.Path(scratch.name)
        words = hashlib.sha256(f"{NOBODY}\ntrixie\nhello\n".encode()).hexdigest()[:16]
        self.last = self.cache / f".last-trixie-{words}"

    def fetch(self):
        done = subprocess.run([FETCH, "trixie", self.cache, "hello"], capture_output=True, text=True, check=False,
                              env={**os.environ, "CAISSON_DEBIAN_MIRROR": NOBODY})
        return done.returncode, done.stdout

    def test_there_is_nothing(self):
        self.assertEqual(self.fetch(), (UNAVAILABLE, ""))

    def test_what_was_unpacked_last_is_used(self):
        (self.cache / "there/root").mkdir(parents=True)
        self.last.write_text(f"{self.cache}/there\n")
        self.assertEqual(self.fetch(), (0, f"{self.cache}/there\n"))

    def test_a_name_that_was_not_written_whole_is_no_root_directory(self):
        """/root is there on every system."""
        for text in ("", "\n"):
            self.last.write_text(text)
            self.assertEqual(self.fetch(), (UNAVAILABLE, ""))

    def test_what_has_gone_is_not_used(self):
        self.last.write_text(f"{self.cache}/gone\n")
        self.assertEqual(self.fetch(), (UNAVAILABLE, ""))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
