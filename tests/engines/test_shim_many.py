# SPDX-License-Identifier: Apache-2.0
"""Many pods, at once and one after the other, and many containers of one pod: after them there is no more than after the
first ten."""

import os
import time
from concurrent.futures import ThreadPoolExecutor

from conftest import class_name
from enginelib import census, command
from enginelib.remains import Remains, descriptors, anonymous_kib
from test_containerd import containerd, engine, make_pod, sh  # noqa: F401 (fixtures)
from test_shim import shim_of
from test_shim_kills import Life

SOAK = os.environ.get("CAISSON_SOAK") == "1"
VM = class_name() == "vm"
AT_ONCE = 5 if VM else 30
ROW = (25 if VM else 500) if SOAK else (5 if VM else 40)
FIRST = 2 if VM else 10
SPARE_KIB = 128  # what a heap may be off by: a page here and there, not one for each life


def life(engine, logs):  # noqa: F811
    """A pod from its start to its removal; seconds."""
    start, pod = time.monotonic(), Life(engine, logs)
    for step in Life.STEPS:
        step(pod)
    return time.monotonic() - start


def picture_of(engine, logs):  # noqa: F811
    """What a node has that has seen a pod: directories, the bridge."""
    life(engine, logs)
    return Remains(engine)


def settled(engine):  # noqa: F811
    """containerd's descriptors, when two looks in a row see as many."""
    seen = []

    def same():
        seen.append(descriptors(engine.daemon.proc.pid))
        return seen[-2:] == seen[-1:] * 2 and seen[-1]
    return command.eventually(same, interval=0.3)


def test_many_pods_at_once_leave_nothing(engine, tmp_path):  # noqa: F811
    remains = picture_of(engine, tmp_path)
    with ThreadPoolExecutor(AT_ONCE) as workers:
        list(workers.map(lambda _: life(engine, tmp_path), range(AT_ONCE)))
    remains.assert_none(timeout=60)


def test_many_pods_in_a_row_leave_no_more_than_the_first(engine, tmp_path):  # noqa: F811
    remains = picture_of(engine, tmp_path)
    for _ in range(FIRST):
        life(engine, tmp_path)
    remains.assert_none()
    before = settled(engine)
    times = [life(engine, tmp_path) for _ in range(ROW - FIRST)]
    remains.assert_none()
    # Connections of the client and of the row's last pod come and go; one for each pod would be a leak.
    after = settled(engine)
    print("%d pods: %.1f ms each, the last ten %.1f; descriptors of containerd %d, then %d" % (
        ROW, 1000 * sum(times) / len(times), 100 * sum(times[-10:]), before, after))
    assert after <= before + 4


def test_many_containers_of_a_pod_leave_its_shim_as_it_was(make_pod):  # noqa: F811
    pod = make_pod("row")
    shim = shim_of(pod.id)

    def round_of():
        container = pod.start("c", sh("sleep 1000 & sleep 1000"))
        for _ in range(3):
            assert pod.exec(container, *sh("echo x")) == "x\n"
        pod.cri.StopContainer(container_id=container, timeout=0)
        pod.cri.RemoveContainer(container_id=container)

    def picture():
        return descriptors(shim), anonymous_kib(shim), len(census.cgroups()), len(census.mounts())
    for _ in range(10):
        round_of()
    before = picture()
    for _ in range((500 if SOAK else 40) - 10):
        round_of()
    after = picture()
    print("descriptors, anonymous KiB, cgroups, mounts: %s, then %s" % (before, after))
    assert after[0] == before[0] and after[2:] == before[2:]
    assert after[1] <= before[1] + SPARE_KIB
