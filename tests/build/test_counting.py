# SPDX-License-Identifier: Apache-2.0
"""scripts/run-tests counts what the test programs say; the soak leaves nothing out. Usage: test_counting.py BUILD_DIRECTORY SOURCE_DIRECTORY"""
import concurrent.futures
import importlib.machinery
import importlib.util
import io
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import unittest
from unittest import mock

SOURCE = pathlib.Path(sys.argv[2])
sys.dont_write_bytecode = True
loader = importlib.machinery.SourceFileLoader("run_tests", str(SOURCE / "scripts/run-tests"))
run_tests = importlib.util.module_from_spec(importlib.util.spec_from_loader("run_tests", loader))
loader.exec_module(run_tests)
sys.path.insert(0, str(SOURCE / "tests/integration"))
from lib import cases, faults  # noqa: E402

CMOCKA = """[==========] Running 4 test(s).
[ RUN      ] one
[       OK ] one
[ RUN      ] two
needs root: CAVEATS.md#unit-root
[  SKIPPED ] two
[ RUN      ] three
[  ERROR   ] --- 1 != 2
[   LINE   ] --- t.c:9: error: Failure!
[  FAILED  ] three
[ RUN      ] four
[  SKIPPED ] four
[==========] 4 test(s) run.
[  PASSED  ] 1 test(s).
[  SKIPPED ] 2 test(s), listed below:
[  SKIPPED ] two
[  SKIPPED ] four

 2 SKIPPED TEST(S)
"""


def numbers(counts):
    return counts.passed, counts.failed, counts.skipped


class Pytest(unittest.TestCase):
    def count(self, text):
        return run_tests.count_pytest(text, 0)

    def test_a_quiet_and_a_framed_closing_line(self):
        self.assertEqual(numbers(self.count("2 passed, 1 skipped in 0.01s\n")), (2, 0, 1))
        framed = "==== 1 failed, 3 passed, 2 deselected, 1 warning in 61.01s (0:01:01) ====\n"
        self.assertEqual(numbers(self.count(framed)), (3, 1, 0))

    def test_an_error_while_collecting_is_a_failure(self):
        text = "ERROR test_x.py\n!!!! Interrupted: 1 error during collection !!!!\n1 error in 0.05s\n"
        self.assertEqual(numbers(self.count(text)), (0, 1, 0))
        self.assertEqual(numbers(self.count("=== 5 passed, 2 errors in 1.00s ===\n")), (5, 2, 0))

    def test_several_runs_of_one_command_add_up(self):
        text = "4 passed in 1.00s\n== docker\n3 passed, 1 failed in 2.00s\n"
        self.assertEqual(numbers(self.count(text)), (7, 1, 0))

    def test_what_only_looks_like_a_closing_line_counts_nothing(self):
        self.assertEqual(numbers(self.count("the child said: 4 passed in 1.00s\nno tests ran in 0.01s\n")), (0, 0, 0))

    def test_skips_are_grouped_by_reason(self):
        text = "SKIPPED [2] test_a.py:7: no disk: CAVEATS.md#anchor\nSKIPPED [1] test_b.py: no disk: CAVEATS.md#anchor\n"
        self.assertEqual(self.count(text).reasons, {"no disk: CAVEATS.md#anchor": 3})


class Cmocka(unittest.TestCase):
    def test_cases_and_reasons(self):
        counts = run_tests.Counts()
        self.assertTrue(run_tests.count_cmocka(CMOCKA, counts))
        self.assertEqual((counts.passed, counts.skipped), (1, 2))
        self.assertEqual(counts.reasons, {"needs root: CAVEATS.md#unit-root": 1, "four: no reason": 1})

    def test_other_programs_are_not_cmocka(self):
        self.assertFalse(run_tests.count_cmocka("59 inputs replayed\n", run_tests.Counts()))


class Caveats(unittest.TestCase):
    def test_a_skip_needs_a_row_that_exists(self):
        good, bad = "needs root: CAVEATS.md#unit-root", "needs luck: CAVEATS.md#no-such-row"
        self.assertEqual(list(run_tests.unexplained([good, bad, "no reason"])), [bad, "no reason"])


# A suite's first attempt, and its second one, which is told a name: what it says and its status.
ATTEMPTS = """if [ $# = 0 ]; then echo 'FAILED t.py::one - why'; echo '1 failed, 5 passed in 1.00s'; exit %d
else echo '%s in 1.00s'; exit %d; fi"""


class Attempts(unittest.TestCase):
    def run_suite(self, first, second, status):
        suite = run_tests.Suite("it", "pytest", ["sh", "-c", ATTEMPTS % (first, second, status)])
        with mock.patch.object(run_tests, "SOAK", False), mock.patch("sys.stdout", io.StringIO()):
            return run_tests.run_all([suite])

    def test_what_fails_once_is_unsteady(self):
        totals = self.run_suite(1, "1 passed", 0)
        self.assertEqual((numbers(totals), totals.unsteady), ((6, 0, 0), ["it: t.py::one"]))

    def test_a_suite_that_is_killed_fails_whatever_failed_before(self):
        for status in (2, 3, 137):
            totals = self.run_suite(status, "1 passed", 0)
            self.assertEqual(totals.failures, ["it: t.py::one", f"it: ended with status {status} before its end"])
            self.assertEqual(numbers(totals), (5, 2, 0))

    def test_a_second_attempt_that_does_not_come_to_its_end_excuses_nothing(self):
        for said, status in (("1 passed", 137), ("1 skipped", 0), ("nothing", 0)):
            self.assertEqual(numbers(self.run_suite(1, said, status)), (5, 1, 0))

    def test_an_engine_whose_tests_fail_hides_no_other_that_was_killed(self):
        with tempfile.TemporaryDirectory() as scratch:
            lane = pathlib.Path(scratch) / "lane"
            lane.write_text("#!/bin/sh\ncase $4 in *=containerd) exit 137 ;; *) exit 1 ;; esac\n")
            lane.chmod(0o755)
            done = subprocess.run([SOURCE / "tests/run-engines", "podman", "containerd", "docker"], capture_output=True,
                                  check=False, env={**os.environ, "CAISSON_LANE_TOOL": str(lane)})
        self.assertEqual(done.returncode, 137)


class Beside(unittest.TestCase):
    SUITES = [run_tests.Suite(name, "status", ["sh", "-c", f"echo {name} began; {command}"], "words")
              for name, command in (("one", "echo one ended"), ("two", "exit 1"), ("three", "echo three ended"))]

    def test_what_each_says_comes_in_one_piece_and_all_count(self):
        with mock.patch("sys.stdout", io.StringIO()) as out:
            totals = run_tests.run_all(self.SUITES)
        self.assertEqual(numbers(totals), (2, 1, 0))
        self.assertEqual(totals.failures, ["two: see above"])
        self.assertIn("== one\none began\none ended\n== one: 1 passed", out.getvalue())

    def test_the_longest_begin_first(self):
        names = [suite.name for suite in run_tests.suites()]
        for begin in run_tests.LONGEST:
            self.assertTrue(any(name.startswith(begin) for name in names), begin)
        with mock.patch.multiple(run_tests, SOAK=False, BESIDE=1, LONGEST=("thr", "tw")), \
                mock.patch("sys.stdout", io.StringIO()) as out:
            run_tests.run_all(self.SUITES)
        begun = [line.removeprefix("== begun: ") for line in out.getvalue().splitlines() if line.startswith("== begun")]
        self.assertEqual(begun, ["three", "two", "one"])

    def test_a_run_that_is_interrupted_begins_no_other_suite(self):
        begun, goes_on = [], threading.Event()

        class Pool(concurrent.futures.ThreadPoolExecutor):
            def shutdown(self, wait=True, **options):
                if wait:
                    goes_on.set()
                super().shutdown(wait, **options)

        def run(suite, _say):
            begun.append(suite.name)
            return suite.name == "one" or goes_on.wait(60)

        def interrupt(text):
            if not text.startswith("== begun"):
                raise KeyboardInterrupt

        with mock.patch.multiple(run_tests, SOAK=False, BESIDE=1, run=run, say_now=interrupt), \
                mock.patch("concurrent.futures.ThreadPoolExecutor", Pool), self.assertRaises(KeyboardInterrupt):
            run_tests.run_all(self.SUITES)
        self.assertNotIn("three", begun)

    def test_artifacts_go_to_directories_of_their_own(self):
        places = [run_tests.environment(suite)["CAISSON_ARTIFACTS"] for suite in self.SUITES]
        self.assertEqual(len(set(places)), len(self.SUITES))
        self.assertIsNone(run_tests.environment(self.SUITES[0]._replace(beside=None)))


class Soak(unittest.TestCase):
    def test_every_file_that_a_suite_leaves_out_runs_in_another(self):
        with mock.patch.object(run_tests, "SOAK", True):
            commands = [suite.command for suite in run_tests.suites()]
        left_out = {word.removeprefix("--ignore=") for command in commands for word in command if "--ignore=" in word}
        self.assertEqual(left_out, {*run_tests.CAMPAIGNS, *run_tests.TIMED})
        for file in left_out:
            self.assertTrue((SOURCE / "tests/integration" / file).exists(), file)
            self.assertTrue(any(file in command for command in commands), file)
        given = [word for command in commands if "CAISSON_CLASS=vm" not in command
                 for word in command if word.startswith("CAISSON_SHARE=")]
        self.assertEqual(given, [f"CAISSON_SHARE={i + 1}/{run_tests.SHARES}" for i in range(run_tests.SHARES)])

    def test_the_soak_has_all_cases_and_the_day_names_its_share(self):
        for soak, there_are in ((True, 0), (False, 3)):
            with mock.patch.multiple(run_tests, SOAK=soak, os=mock.Mock(cpu_count=lambda: 2)):
                words = [word for suite in run_tests.suites() for word in suite.command if "CASES" in word]
            self.assertEqual(len(words), there_are)
        self.assertIn(words[0], ("CAISSON_CASES=1/2", "CAISSON_CASES=2/2"))

    def test_each_case_is_in_one_share_and_few_cases_are_in_all(self):
        many = [f"t.py::many[{n}]" for n in range(9)] + [f"t.py::more[{n}]" for n in range(cases.MANY + 1)]
        few = ["t.py::one"] + [f"t.py::few[{n}]" for n in range(cases.MANY)]
        chosen = []
        for part in (1, 2, 3):
            out, there_are = cases.left_out(many + few, part, 3)
            self.assertEqual(there_are, len(many))
            self.assertFalse(out.intersection(few))
            chosen += [name for name in many if name not in out]
        self.assertEqual(sorted(chosen), sorted(many))

    def test_the_shares_of_a_campaign_hit_each_site_once(self):
        hit = []
        for share in (1, 2, 3):
            with mock.patch.multiple(faults, SOAK=True, SHARE=share, SHARES=3):
                hit += faults.choose(100, 5, "")
        self.assertEqual(sorted(hit), list(range(1, 101)))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
