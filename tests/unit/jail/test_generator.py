#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Lists that scripts/gen-seccomp must refuse: test_generator.py GENERATOR."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

GENERATOR = sys.argv.pop(1)


def generate(text):
    with tempfile.TemporaryDirectory() as d:
        source, output = pathlib.Path(d, "x.list"), pathlib.Path(d, "x.c")
        source.write_text(text)
        done = subprocess.run([GENERATOR, source, output, "x"], capture_output=True, text=True)
        return done.returncode, done.stderr, output.read_text() if output.exists() else ""


class Refusals(unittest.TestCase):
    def refused(self, text, words):
        status, said, output = generate(text)
        self.assertNotEqual(status, 0)
        self.assertIn(words, said)
        self.assertEqual(output, "")

    def test_a_line_without_a_reason(self):
        self.refused("read -\n", "line 1")
        self.refused("read - #  \n", "line 1")

    def test_a_line_without_a_rule(self):
        self.refused("\nread # why\n", "line 2")

    def test_a_condition_that_is_none(self):
        for bad in ("a6 == 1", "a0 = 1", "a0 == ", "b0 == 1", "a0 & 3 <= 1", "a0 in 3", "a0 in {}", "a0 < 3"):
            self.refused(f"read {bad} # why\n", "read")

    def test_an_action_that_is_none(self):
        self.refused("read - -> maybe # why\n", "maybe")
        self.refused("@default never\n", "never")

    def test_a_directive_that_is_none(self):
        self.refused("@if x\n", "@if")

    def test_more_rules_than_a_jump_can_cross(self):
        values = ", ".join(str(n) for n in range(200))
        self.refused(f"read a0 in {{{values}}} # why\n", "too long")

    def test_the_empty_list_allows_nothing(self):
        status, _, output = generate("")
        self.assertEqual(status, 0)
        self.assertNotIn("RET_ALLOW", output)


if __name__ == "__main__":
    unittest.main()
