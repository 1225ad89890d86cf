# SPDX-License-Identifier: Apache-2.0
"""A file system of the host whose files answer when they are told to: FUSE, spoken here (linux/fuse.h).

Names and attributes are there at once; what is read waits for `release()`. Mounted in the caller's mount
namespace, which is the lane's own."""

import contextlib
import ctypes
import errno
import os
import stat
import struct
import threading

import pytest

FORGET, BATCH_FORGET, INTERRUPT = 2, 42, 36  # nobody awaits an answer
LOOKUP, GETATTR, OPEN, READ, STATFS, RELEASE = 1, 3, 14, 15, 17, 18
FLUSH, INIT, OPENDIR, READDIR, RELEASEDIR, ACCESS = 25, 26, 27, 28, 29, 34
GETXATTR, LISTXATTR = 22, 23
ASYNC_READ = 1  # as libfuse: what is read ahead is not waited for
SIZE = 1 << 20
MS_NOSUID, MS_NODEV, MNT_DETACH = 2, 4, 2
libc = ctypes.CDLL(None, use_errno=True)


def attributes(inode):
    mode = stat.S_IFDIR | 0o755 if inode == 1 else stat.S_IFREG | 0o755
    return struct.pack("<6Q10I", inode, 0 if inode == 1 else SIZE, SIZE // 512, 0, 0, 0,
                       0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


class SlowFs:
    """`waiting` are the reads that were not answered yet."""

    def __init__(self, path, names):
        self.path, self.names = path, {name.encode(): 2 + i for i, name in enumerate(names)}
        self.waiting, self.open, self.lock = [], False, threading.Lock()
        self.interruptible = False  # a reader that is killed has its answer, as of a network's file system
        path.mkdir()
        self.fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={self.fd},rootmode=40000,user_id=0,group_id=0,allow_other"
        if libc.mount(b"slow", bytes(path), b"fuse", MS_NOSUID | MS_NODEV, options.encode()) < 0:
            code = ctypes.get_errno()
            os.close(self.fd)
            raise OSError(code, os.strerror(code))
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def release(self):
        """From now on everything is answered at once."""
        with self.lock:
            self.open = True
            waiting, self.waiting = self.waiting, []
        for unique, data in waiting:
            self.answer(unique, data)

    def close(self):
        """The connection, and with it the thread, ends with the last mount of it."""
        self.release()
        libc.umount2(bytes(self.path), MNT_DETACH)

    def answer(self, unique, data=b"", error=0):
        try:
            os.write(self.fd, struct.pack("<IiQ", 16 + len(data), -error, unique) + data)
        except OSError as failed:  # who asked was killed meanwhile
            if failed.errno != errno.ENOENT:
                raise

    def serve(self):
        while True:
            try:
                request = os.read(self.fd, 1 << 18)
            except OSError as failed:
                if failed.errno in (errno.ENOENT, errno.EINTR, errno.EAGAIN):
                    continue
                os.close(self.fd)
                return  # ENODEV: unmounted
            _, opcode, unique, inode = struct.unpack_from("<IIQQ", request)
            if opcode == INTERRUPT and self.interruptible:
                self.interrupt(*struct.unpack_from("<Q", request, 40))
            elif opcode not in (FORGET, BATCH_FORGET, INTERRUPT):
                self.handle(opcode, unique, inode, request[40:])

    def handle(self, opcode, unique, inode, body):
        if opcode == INIT:
            self.answer(unique, struct.pack("<4I2H2I2H8I", 7, 31, 0, ASYNC_READ, 12, 9, 65536, 1, 0, 0, *[0] * 8))
        elif opcode == LOOKUP and body.rstrip(b"\0") in self.names:
            found = self.names[body.rstrip(b"\0")]
            self.answer(unique, struct.pack("<4Q2I", found, 0, 60, 60, 0, 0) + attributes(found))
        elif opcode == LOOKUP:
            self.answer(unique, error=errno.ENOENT)
        elif opcode == GETATTR:
            self.answer(unique, struct.pack("<QII", 60, 0, 0) + attributes(inode))
        elif opcode in (OPEN, OPENDIR):
            self.answer(unique, struct.pack("<QII", 0, 0, 0))
        elif opcode == READ:
            _, offset, size = struct.unpack_from("<QQI", body)
            self.read(unique, b"s" * max(0, min(size, SIZE - offset)))
        elif opcode == STATFS:
            self.answer(unique, struct.pack("<5Q10I", 0, 0, 0, 0, 0, 4096, 255, 4096, *[0] * 7))
        elif opcode in (FLUSH, RELEASE, RELEASEDIR, READDIR, ACCESS):
            self.answer(unique)
        elif opcode in (GETXATTR, LISTXATTR):
            self.answer(unique, error=errno.ENODATA)
        else:
            self.answer(unique, error=errno.ENOSYS)

    def interrupt(self, unique):
        with self.lock:
            known = any(waiting == unique for waiting, _ in self.waiting)
            self.waiting = [entry for entry in self.waiting if entry[0] != unique]
        if known:
            self.answer(unique, error=errno.EINTR)

    def read(self, unique, data):
        with self.lock:
            if not self.open:
                self.waiting.append((unique, data))
                return
        self.answer(unique, data)


@contextlib.contextmanager
def served(path, *names):
    """Such a file system at `path` with files of these names."""
    try:
        fs = SlowFs(path, names)
    except OSError as failed:
        pytest.skip(f"no FUSE here ({failed}): CAVEATS.md#test-fuse")
    try:
        yield fs
    finally:
        fs.close()
