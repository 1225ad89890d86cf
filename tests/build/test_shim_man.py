# SPDX-License-Identifier: Apache-2.0
"""The shim's manual page against its source: flags, options, paths, environment. Usage: test_shim_man.py SOURCE_DIRECTORY"""
import pathlib
import re
import sys
import unittest

SOURCE = pathlib.Path(sys.argv[1])
PAGE = (SOURCE / "man/containerd-shim-caisson-v2.8").read_text()


def section(name):
    """Of the page, without roff's dashes and fonts."""
    found = re.search(r'^\.SH "?%s"?\n(.*?)(?=^\.SH |\Z)' % name, PAGE, re.M | re.S)
    return found[1].replace("\\-", "-").replace("\\(aq", "'")


def source(name):
    return (SOURCE / "src/shim" / name).read_text()


class Page(unittest.TestCase):
    def test_flags_are_those_of_the_program(self):
        flags = set(re.findall(r'^\t\t\{ "([a-z-]+)", ', source("main.c"), re.M))
        told = set(re.findall(r"^\.(?:B|BI|BR) -([a-z-]+)", section("FLAGS"), re.M))
        told |= set(re.findall(r'^\.BR -v ", " -([a-z]+)', section("FLAGS"), re.M))
        self.assertEqual(told, flags)
        self.assertGreater(len(flags), 5)

    def test_paths_are_those_of_the_management_socket(self):
        paths = set(re.findall(r'^\t\{ "(/[a-z/]*)", ', source("manage.c"), re.M))
        told = set(re.findall(r"^\.BI? (/[a-z/]*)", section("MANAGEMENT SOCKET"), re.M))
        self.assertEqual(told, paths)
        self.assertGreater(len(paths), 3)

    def test_options_are_those_of_the_messages(self):
        proto = (SOURCE / "proto/task_options.proto").read_text()
        body = re.search(r"^message Options \{(.*?)^\}", proto, re.M | re.S)[1]
        for name in re.findall(r"^  \w+ (\w+) = ", body, re.M):
            self.assertRegex(section("OPTIONS OF THE CREATE REQUEST"), r"\b%s\b" % name)
        body = re.search(r"^message RuncOptions \{(.*?)^\}", proto, re.M | re.S)[1]
        for name in re.findall(r"^  \w+ (\w+) = ", body, re.M):
            word = "".join(part.capitalize() for part in name.split("_"))
            self.assertRegex(section("OPTIONS OF THE CREATE REQUEST"), r"\b%s\b" % word)

    def test_the_environment_that_is_removed_is_told(self):
        names = re.search(r"names\[\] = \{(.*?)\}", source("serve.c"), re.S)[1]
        for name in re.findall(r'"(\w+)"', names):
            self.assertIn(name, section("ENVIRONMENT"))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
