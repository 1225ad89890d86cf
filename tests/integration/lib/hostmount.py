# SPDX-License-Identifier: Apache-2.0
"""mount(2) and umount2(2) on the lane's side of a test."""

import ctypes
import os

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE, MS_SHARED = 32, 4096, 16384, 1 << 18, 1 << 20
_libc = ctypes.CDLL(None, use_errno=True)


def mount(source, target, fstype=None, flags=0, data=None):
    def text(value):
        return None if value is None else str(value).encode()

    if _libc.mount(text(source), text(target), text(fstype), ctypes.c_ulong(flags), text(data)) < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"mount {target}: {os.strerror(code)}")


def unmount(target):
    """Detach everything that is mounted there."""
    while _libc.umount2(str(target).encode(), 2) == 0:
        pass
