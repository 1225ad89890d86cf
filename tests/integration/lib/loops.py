# SPDX-License-Identifier: Apache-2.0
"""Loop devices: block devices of the host whose bytes are a file's."""

import errno
import fcntl
import os
import stat

LOOP_CTL_GET_FREE, LOOP_SET_FD, LOOP_CLR_FD = 0x4C82, 0x4C00, 0x4C01  # linux/loop.h
LOOP_MAJOR = 7


class Loop:
    """A device for `file`; its node lies at `node`."""

    def __init__(self, file, node):
        self.node, self.minor, self.major = node, None, LOOP_MAJOR
        with open("/dev/loop-control", "rb") as control, open(file, "r+b") as backing:
            while self.minor is None:
                minor = fcntl.ioctl(control, LOOP_CTL_GET_FREE)
                os.mknod(node, 0o600 | stat.S_IFBLK, os.makedev(LOOP_MAJOR, minor))
                try:
                    with open(node, "r+b", buffering=0) as device:
                        fcntl.ioctl(device, LOOP_SET_FD, backing.fileno())
                    self.minor = minor
                except OSError as e:  # somebody else has taken it meanwhile
                    os.unlink(node)
                    if e.errno != errno.EBUSY:
                        raise

    def free(self):
        with open(self.node, "rb", buffering=0) as device:
            fcntl.ioctl(device, LOOP_CLR_FD)
        os.unlink(self.node)
