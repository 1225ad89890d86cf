#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""seccomp/gofer.list has no call that the gofer does not make: test_list.py LIST GOFER TEST...

The tests of requests run against the caged program under strace(1). (That no call is missing in the list
shows without it: the cage kills.)
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

# After a stop in a call that the gofer does not block in for long enough to be tested.
NOT_SEEN = {"restart_syscall"}


def listed(path):
    lines = pathlib.Path(path).read_text().splitlines()
    return {line.split()[0] for line in lines if line.strip() and line[0] not in "#@"}


def used(traces):
    """Calls behind seccomp(2) in each trace."""
    found = set()
    for trace in traces:
        text = trace.read_text(errors="replace")
        _, caged, rest = text.partition("\nseccomp(SECCOMP_SET_MODE_FILTER")
        if caged:
            found |= set(re.findall(r"^(\w+)\(", rest.partition("\n")[2], re.M))
    return found


def main(list_path, gofer, *tests):
    strace = shutil.which("strace")
    if not strace or os.geteuid() != 0:
        print("needs strace and root")
        return 77
    with tempfile.TemporaryDirectory(prefix="gofer-list-") as d:
        wrapper = pathlib.Path(d, "gofer")
        wrapper.write_text(f'#!/bin/sh\nexec {strace} -D -qq -s 0 -o {d}/$$.trace {gofer} "$@"\n')
        wrapper.chmod(0o755)
        for test in tests:
            done = subprocess.run([test], env={**os.environ, "GOFER_PROGRAM": str(wrapper)},
                                  capture_output=True, text=True)
            if done.returncode:
                print(done.stdout[-3000:], done.stderr[-3000:])
                return 1
        calls = used(pathlib.Path(d).glob("*.trace"))
    unused, unknown = listed(list_path) - calls - NOT_SEEN, calls - listed(list_path)
    print("listed and never made:", sorted(unused), "made and not listed:", sorted(unknown))
    return 1 if unused or unknown or not calls else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
