# SPDX-License-Identifier: Apache-2.0
"""Shares of the cases of tests that have many of them."""

import collections
import zlib

MANY = 3  # a test with more cases is run in shares


def left_out(names, part, parts):
    """The names (pytest's node IDs) that are not in share `part` (from 1) of `parts`; and how many there are to choose from.
    Each case is in one share, and each test with many cases in all of them as evenly as it goes."""
    tests = collections.defaultdict(list)
    for name in names:
        tests[name.partition("[")[0]].append(name)
    many = {test: cases for test, cases in tests.items() if len(cases) > MANY}
    # Begun at another case for each test, so that the shares are equal.
    out = {case for test, cases in many.items() for i, case in enumerate(cases)
           if (i + zlib.crc32(test.encode())) % parts != part - 1}
    return out, sum(map(len, many.values()))
