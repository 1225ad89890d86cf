# SPDX-License-Identifier: Apache-2.0
"""Reads the built files and proves the hardening that meson.build asks for.

Usage: test_hardening.py BUILD_DIRECTORY SOURCE_DIRECTORY [unittest arguments]. Control-flow notes (IBT, SHSTK) are not
demanded of the whole file: Debian's start files and libc carry none, and the linker keeps a note only if
every input has it. Our own code is compiled for them all the same, and that is looked at.
"""
import functools
import pathlib
import struct
import sys
import unittest

BUILD, SOURCE = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])

ET_DYN = 3
PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_STACK, PT_RELRO = 1, 2, 3, 0x6474E551, 0x6474E552
X, W, R = 1, 2, 4
DT_NEEDED, DT_RELA, DT_RELASZ, DT_RELSZ, DT_PLTRELSZ, DT_RELRSZ = 1, 7, 8, 18, 2, 35
DT_RPATH, DT_TEXTREL, DT_BIND_NOW, DT_FLAGS, DT_RUNPATH, DT_FLAGS_1 = 15, 22, 24, 30, 29, 0x6FFFFFFB
DF_TEXTREL, DF_BIND_NOW, DF_1_NOW, DF_1_PIE = 4, 8, 1, 0x08000000
SHT_SYMTAB, SHN_UNDEF, STT_FUNC = 2, 0, 2
ENDBR64 = b"\xf3\x0f\x1e\xfa"
INIT_MAX_BYTES = 16 << 10


class Elf:
    """The parts of a 64-bit little-endian ELF file that the tests ask about (elf(5))."""

    def __init__(self, path):
        self.data = path.read_bytes()
        if self.data[:6] != b"\x7fELF\x02\x01":
            raise ValueError(f"{path}: not a 64-bit little-endian ELF file")
        (self.type,) = struct.unpack_from("<H", self.data, 16)
        ph, sh = struct.unpack_from("<QQ", self.data, 32)
        ph_size, ph_count, sh_size, sh_count, _ = struct.unpack_from("<5H", self.data, 54)
        # type, flags, offset, virtual address, physical address, size in file, size in memory, alignment
        self.segments = [struct.unpack_from("<IIQQQQQQ", self.data, ph + i * ph_size) for i in range(ph_count)]
        # name, type, flags, address, offset, size, link, info, alignment, entry size
        self.sections = [struct.unpack_from("<IIQQQQIIQQ", self.data, sh + i * sh_size) for i in range(sh_count)]

    def segments_of(self, kind):
        return [s for s in self.segments if s[0] == kind]

    @functools.cached_property
    def dynamic(self):
        found = {}
        for _, _, offset, _, _, size, _, _ in self.segments_of(PT_DYNAMIC):
            for tag, value in struct.iter_unpack("<QQ", self.data[offset:offset + size]):
                if tag == 0:
                    break
                found.setdefault(tag, []).append(value)
        return found

    def flag(self, tag, bit):
        return bool(self.dynamic.get(tag, [0])[0] & bit)

    @functools.cached_property
    def symbols(self):
        """(name, type, section, address) of every symbol of the unstripped file."""
        found = []
        for _, kind, _, _, offset, size, link, _, _, entry in self.sections:
            if kind != SHT_SYMTAB:
                continue
            names = self.sections[link][4]
            for at in range(offset, offset + size, entry):
                name, info, _, section, value, _ = struct.unpack_from("<IBBHQQ", self.data, at)
                text = self.data[names + name:self.data.index(b"\0", names + name)].decode()
                found.append((text, info & 15, section, value))
        return found

    def defined(self):
        return {name for name, _, section, _ in self.symbols if section != SHN_UNDEF}

    def undefined(self):
        return {name for name, _, section, _ in self.symbols if section == SHN_UNDEF}

    def code_at(self, address, count):
        for _, _, offset, start, _, size, _, _ in self.segments_of(PT_LOAD):
            if start <= address < start + size:
                return self.data[offset + address - start:][:count]
        raise ValueError(f"no bytes at {address:#x}")


class Common:
    """What holds for every program."""

    elf = None

    def test_it_is_position_independent(self):
        self.assertEqual(self.elf.type, ET_DYN)
        self.assertTrue(self.elf.flag(DT_FLAGS_1, DF_1_PIE))

    def test_it_needs_no_dynamic_linker(self):
        self.assertEqual(self.elf.segments_of(PT_INTERP), [])
        self.assertNotIn(DT_NEEDED, self.elf.dynamic)

    def test_it_has_no_search_path(self):
        self.assertNotIn(DT_RPATH, self.elf.dynamic)
        self.assertNotIn(DT_RUNPATH, self.elf.dynamic)

    def test_it_binds_at_once(self):
        self.assertTrue(self.elf.flag(DT_FLAGS, DF_BIND_NOW) or DT_BIND_NOW in self.elf.dynamic)
        self.assertTrue(self.elf.flag(DT_FLAGS_1, DF_1_NOW))

    def test_its_relocations_become_read_only(self):
        relro = self.elf.segments_of(PT_RELRO)
        self.assertEqual(len(relro), 1)
        (dynamic,) = self.elf.segments_of(PT_DYNAMIC)
        self.assertLessEqual(relro[0][3], dynamic[3])
        self.assertGreaterEqual(relro[0][3] + relro[0][6], dynamic[3] + dynamic[6])

    def test_its_stack_is_not_executable(self):
        (stack,) = self.elf.segments_of(PT_STACK)
        self.assertEqual(stack[1] & X, 0)

    def test_no_segment_is_writable_and_executable(self):
        loads = self.elf.segments_of(PT_LOAD)
        self.assertTrue(any(s[1] & X for s in loads))
        for segment in loads:
            self.assertNotEqual(segment[1] & (W | X), W | X)

    def test_its_code_is_never_relocated(self):
        self.assertNotIn(DT_TEXTREL, self.elf.dynamic)
        self.assertFalse(self.elf.flag(DT_FLAGS, DF_TEXTREL))

    def test_it_has_the_stack_protector(self):
        self.assertIn("__stack_chk_fail", self.elf.defined())


class Caisson(Common, unittest.TestCase):
    elf = Elf(BUILD / "bin/caisson")

    def test_the_plt_table_lies_in_the_read_only_part(self):
        # Full RELRO: the table that PLT entries jump through is within the segment.
        (relro,) = self.elf.segments_of(PT_RELRO)
        (table,) = self.elf.dynamic[3]  # DT_PLTGOT
        self.assertTrue(relro[3] <= table < relro[3] + relro[6])

    def test_what_is_tested_is_what_was_built(self):
        self.assertEqual(self.elf.data, (BUILD / "src/cli/caisson").read_bytes())

    def test_it_is_an_optimised_build_with_symbols(self):
        self.assertIn("err_set", self.elf.defined())
        names = {self.section_name(s) for s in self.elf.sections}
        self.assertIn(".debug_info", names)

    def section_name(self, section):
        (index,) = struct.unpack_from("<H", self.elf.data, 62)
        start = self.elf.sections[index][4] + section[0]
        return self.elf.data[start:self.elf.data.index(b"\0", start)].decode()

    def test_string_functions_are_fortified(self):
        self.assertIn("__chk_fail", self.elf.defined())
        fortified = {n for n in self.elf.defined() if n.startswith("__") and n.endswith("_chk")}
        self.assertGreaterEqual(len(fortified), 5, fortified)

    def test_its_main_function_starts_with_a_landing_pad(self):
        (main,) = [s[3] for s in self.elf.symbols if s[0] == "main" and s[1] == STT_FUNC]
        self.assertEqual(self.elf.code_at(main, 4), ENDBR64)


class OwnObjects(unittest.TestCase):
    """libc.a is fortified and protected by itself: these are the calls that come from our own sources."""

    ROOMS = ("base", "oci", "host", "ns", "runtime", "cli")

    def calls(self, room):
        objects = sorted((BUILD / "src" / room).glob(f"lib{room}.a.p/*.c.o"))
        self.assertTrue(objects, f"no objects of {room}")
        return set().union(*(Elf(path).undefined() for path in objects))

    def test_every_room_has_the_stack_protector(self):
        for room in self.ROOMS:
            self.assertIn("__stack_chk_fail", self.calls(room), room)

    def test_every_room_calls_fortified_functions(self):
        for room in self.ROOMS:
            self.assertTrue({n for n in self.calls(room) if n.endswith("_chk")}, f"{room}: nothing fortified")

    def test_no_room_calls_what_knows_no_bound(self):
        for room in self.ROOMS:
            self.assertEqual(self.calls(room) & {"sprintf", "vsprintf", "strcpy", "strcat", "gets"}, set(), room)


class CaissonGofer(Common, unittest.TestCase):
    elf = Elf(BUILD / "libexec/caisson/caisson-gofer")

    def test_it_has_no_relocations(self):
        # Nobody would apply them: it has no start files.
        for tag in (DT_RELA, DT_RELASZ, DT_RELSZ, DT_PLTRELSZ, DT_RELRSZ):
            self.assertEqual(self.elf.dynamic.get(tag, [0]), [0], tag)

    def test_it_calls_nothing_from_outside(self):
        self.assertEqual(self.elf.undefined() - {""}, set())


class CaissonInit(Common, unittest.TestCase):
    elf = Elf(BUILD / "src/init/caisson-init")
    image = BUILD / "src/ns/caisson-init.image"

    def test_it_has_no_relocations(self):
        # Nobody would apply them: it has no start files.
        for tag in (DT_RELA, DT_RELASZ, DT_RELSZ, DT_PLTRELSZ, DT_RELRSZ):
            self.assertEqual(self.elf.dynamic.get(tag, [0]), [0], tag)

    def test_stripped_it_is_smaller_than_16_kib(self):
        stripped = Elf(self.image)
        self.assertLess(len(stripped.data), INIT_MAX_BYTES)
        self.assertEqual(stripped.symbols, [])

    def test_it_calls_nothing_from_outside(self):
        self.assertEqual(self.elf.undefined() - {""}, set())

    def test_its_stack_protector_is_used(self):
        objects = sorted((BUILD / "src/init/caisson-init.p").glob("*.c.o"))
        self.assertTrue(any("__stack_chk_fail" in Elf(o).undefined() for o in objects))

    def test_caisson_contains_it(self):
        self.assertIn(self.image.read_bytes(), (BUILD / "bin/caisson").read_bytes())


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
