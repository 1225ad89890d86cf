# SPDX-License-Identifier: Apache-2.0
"""What a suite that runs in a guest may skip."""

import types

import pytest

from conftest import judge

PASSED = "1 passed, 1 skipped in 2.00s\n"


def done(out, code=0):
    return types.SimpleNamespace(code=code, out=out)


def test_a_skip_that_names_its_row_is_told():
    row = "class vm: CAVEATS.md#vm-cgroup-v2"
    assert judge(done(f"SKIPPED [1] test_x.py:3: {row}\n{PASSED}")) == {row: 1}


@pytest.mark.parametrize("out, code", [
    (PASSED, 0), (f"SKIPPED [1] test_x.py:3: no luck\n{PASSED}", 0),
    (f"SKIPPED [1] test_x.py:3: CAVEATS.md#no-such-row\n{PASSED}", 0), ("1 skipped in 1.00s\n", 0),
    ("1 passed, 1 failed in 1.00s\n", 0), ("1 passed in 1.00s\n", 1), ("", 0),
], ids=["without a reason", "without a row", "of a row that is not there", "nothing passed", "failed", "status", "silent"])
def test_what_else_is_skipped_or_fails_is_a_failure(out, code):
    with pytest.raises(AssertionError):
        judge(done(out, code))
