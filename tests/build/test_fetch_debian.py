# SPDX-License-Identifier: Apache-2.0
"""scripts/fetch-debian without an archive (what it had last, or nothing), and with a small one that lies about its keys and
its age. Usage: test_fetch_debian.py SOURCE_DIRECTORY"""
import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

FETCH = pathlib.Path(sys.argv[1]) / "scripts/fetch-debian"
NOBODY = "http://127.0.0.1:9/debian"  # no port that is listened on
UNAVAILABLE = 69


class WithoutAnArchive(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.cache = pathlib.Path(scratch.name)
        words = hashlib.sha256(f"{NOBODY}\ntrixie\nwhole\nhello\n".encode()).hexdigest()[:16]
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


def gpg(home, *words, given=None):
    return subprocess.run(["gpg", "--batch", "--quiet", "--homedir", home, *words], input=given, check=True,
                          stdout=subprocess.PIPE).stdout


class Archive:
    """Suite `next` with a package hello of a version, signed with the key in `home`."""

    def __init__(self, directory, home):
        self.directory = directory
        self.home = home
        self.keyring = directory / "keyring.gpg"
        self.keyring.write_bytes(gpg(home, "--export"))

    def package(self, version):
        """A package with one file, and its paragraph for the list."""
        tree = self.directory / "tree"
        (tree / "DEBIAN").mkdir(parents=True, exist_ok=True)
        (tree / "usr/bin").mkdir(parents=True, exist_ok=True)
        (tree / "usr/bin/hello").write_text(f"{version}\n")
        control = (f"Package: hello\nVersion: {version}\nArchitecture: amd64\nMaintainer: nobody <nobody@localhost>\n"
                   "Depends: other\nDescription: a package\n")
        (tree / "DEBIAN/control").write_text(control)
        name = f"hello_{version}_amd64.deb"
        subprocess.run(["dpkg-deb", "--build", "--root-owner-group", tree, self.directory / name], check=True,
                       stdout=subprocess.DEVNULL)
        data = (self.directory / name).read_bytes()
        return control + f"Filename: {name}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n"

    def publish(self, version="2.1.0", age_s=0, sign=True):
        """`age_s`: for how long its lists have been past their Valid-Until."""
        suite = self.directory / "dists/next"
        (suite / "main/binary-amd64").mkdir(parents=True, exist_ok=True)
        packages = self.package(version).encode()
        (suite / "main/binary-amd64/Packages").write_bytes(packages)
        now = time.time()
        day = "%a, %d %b %Y %H:%M:%S UTC"
        valid_until = now - age_s if age_s else now + 3600
        release = (f"Origin: Debian\nSuite: next\nCodename: next\nArchitectures: amd64\nComponents: main\n"
                   f"Date: {time.strftime(day, time.gmtime(min(now, valid_until) - 60))}\n"
                   f"Valid-Until: {time.strftime(day, time.gmtime(valid_until))}\nSHA256:\n "
                   f"{hashlib.sha256(packages).hexdigest()} {len(packages)} main/binary-amd64/Packages\n").encode()
        if sign:
            release = gpg(self.home, "--clearsign", given=release)
        (suite / ("InRelease" if sign else "Release")).write_bytes(release)


class WithAnArchive(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(scratch.cleanup)
        cls.home = pathlib.Path(scratch.name)
        gpg(cls.home, "--passphrase", "", "--quick-gen-key", "archive", "ed25519", "sign")
        cls.addClassCleanup(subprocess.run, ["gpgconf", "--homedir", cls.home, "--kill", "all"], check=True)

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        directory = pathlib.Path(scratch.name)
        self.cache = directory / "cache"
        self.archive = Archive(directory, self.home)

    def fetch(self, *options, package="hello=2.1.*", keys=None):
        """The version of the program that is to be had and the status, and what is said."""
        done = subprocess.run([FETCH, "--alone", *options, "next", self.cache, package], capture_output=True, text=True,
                              check=False, env={**os.environ, "CAISSON_DEBIAN_MIRROR": f"copy:{self.archive.directory}",
                                                "CAISSON_DEBIAN_KEYS": str(keys or self.archive.keyring)})
        if done.returncode:
            self.assertEqual(done.stdout, "")
            return done.returncode, done.stderr
        return (pathlib.Path(done.stdout.strip()) / "root/usr/bin/hello").read_text().strip(), done.stderr

    def forget_the_day(self):
        """As if nothing had been asked today."""
        for asked in [*self.cache.glob("apt-*/asked*"), *self.cache.glob(".last-*")]:
            os.utime(asked, (0, 0))

    def test_what_is_signed_and_new_is_taken(self):
        self.archive.publish()
        self.assertEqual(self.fetch()[0], "2.1.0")

    def test_what_is_not_signed_is_refused(self):
        self.archive.publish(sign=False)
        status, said = self.fetch("--old-lists", "a reason")
        self.assertEqual(status, UNAVAILABLE)
        self.assertIn("not signed", said)

    def test_what_another_key_signed_is_refused(self):
        self.archive.publish()
        status, said = self.fetch(keys="/usr/share/keyrings/debian-archive-keyring.gpg")
        self.assertEqual(status, UNAVAILABLE)
        self.assertIn("NO_PUBKEY", said)

    def test_lists_past_their_time_are_refused_without_a_reason(self):
        self.archive.publish(age_s=3600)
        self.assertEqual(self.fetch("--old-lists", "")[0], 64)
        for _ in range(2):
            status, said = self.fetch()
            self.assertEqual(status, UNAVAILABLE)
            self.assertIn("expired", said)
            # What one has taken for a reason is not for those without.
            version, said = self.fetch("--old-lists", "it is what is meant")
            self.assertEqual(version, "2.1.0")
        self.assertNotIn("expired", said)

    def test_the_reason_is_told(self):
        self.archive.publish(age_s=3600)
        self.assertIn("it is what is meant", self.fetch("--old-lists", "it is what is meant")[1])

    def test_another_version_is_not_taken_and_what_there_was_stays(self):
        self.archive.publish(version="2.2.0")
        status, said = self.fetch()
        self.assertEqual(status, UNAVAILABLE)
        self.assertIn("2.1.*", said)
        self.archive.publish(version="2.1.5")
        self.forget_the_day()
        self.assertEqual(self.fetch()[0], "2.1.5")
        self.archive.publish(version="2.2.0")
        self.forget_the_day()
        self.assertEqual(self.fetch()[0], "2.1.5")
        self.assertEqual(self.fetch(package="hello=2.2.*")[0], "2.2.0")

    def test_a_package_that_is_not_there_is_an_error(self):
        self.archive.publish()
        status, said = self.fetch(package="nothing")
        self.assertEqual(status, 1)
        self.assertIn("nothing", said)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
