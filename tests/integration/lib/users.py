# SPDX-License-Identifier: Apache-2.0
"""Maps of ids, and an ordinary user who runs the runtime."""

USER = 65534  # newuidmap(1) wants a user that has a name


def ids(*ranges):
    return [{"containerID": inside, "hostID": outside, "size": size} for inside, outside, size in ranges]
