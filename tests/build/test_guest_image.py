# SPDX-License-Identifier: Apache-2.0
"""build/guest/image has the agent, places to mount at and the kernel's console, and nothing to run or read besides.

Usage: test_guest_image.py BUILD_DIRECTORY SOURCE_DIRECTORY
"""
import pathlib
import stat
import struct
import sys
import unittest

BUILD = pathlib.Path(sys.argv[1])
HEAD, PT_INTERP = 110, 3


def entries(data):
    """{name: (mode, bytes)} of an archive of the kernel's (Documentation/driver-api/early-userspace/buffer-format)."""
    found, at = {}, 0
    while True:
        assert data[at:at + 6] == b"070701", f"no entry at {at}"
        fields = [int(data[i:i + 8], 16) for i in range(at + 6, at + HEAD, 8)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        name = data[at + HEAD:at + HEAD + name_size - 1].decode()
        start = at + HEAD + name_size + (-(HEAD + name_size) % 4)
        if name == "TRAILER!!!":
            return found, data[start:]
        assert name not in found, name
        found[name] = mode, data[start:start + size]
        at = start + size + -size % 4


class GuestImage(unittest.TestCase):
    def setUp(self):
        self.entries, self.rest = entries((BUILD / "guest/image").read_bytes())

    def test_it_has_the_agent_and_nothing_else(self):
        kinds = {name: stat.S_IFMT(mode) for name, (mode, _) in self.entries.items()}
        self.assertEqual(kinds, {"dev": stat.S_IFDIR, "proc": stat.S_IFDIR, "run": stat.S_IFDIR, "sys": stat.S_IFDIR,
                                 "tmp": stat.S_IFDIR, "dev/console": stat.S_IFCHR, "init": stat.S_IFREG})
        # A second archive behind the first would be unpacked, too.
        self.assertFalse(self.rest.strip(b"\0"))

    def test_the_agent_needs_no_other_file(self):
        program = self.entries["init"][1]
        self.assertEqual(program[:4], b"\x7fELF")
        (place,) = struct.unpack_from("<Q", program, 32)
        size, count = struct.unpack_from("<2H", program, 54)
        kinds = [struct.unpack_from("<I", program, place + i * size)[0] for i in range(count)]
        self.assertNotIn(PT_INTERP, kinds)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
