# SPDX-License-Identifier: Apache-2.0
"""Figures of pods and of their containers by CRI, with both shims: what a kubelet shows and evicts by."""

import os
import socket
import time

import grpc
import pytest

from enginelib import command, cri
from test_containerd import MIB, containerd, engine, make_pod, pod, sh  # noqa: F401 (fixtures)

SPIN = sh("while :; do :; done")
SPUN_NS = 500_000_000
HELD = 16 * MIB
HOLD = sh("x=$(head -c %d /dev/zero | tr '\\0' x); echo held; sleep 1000 & wait" % HELD)


def cpu(stats):
    return stats.cpu.usage_core_nano_seconds.value


def memory(stats):
    return stats.memory.working_set_bytes.value


def busy(pod):  # noqa: F811
    """Two containers that spin, one that holds memory and one that sleeps: {name: id}. They have had time to show it."""
    found = {"one": pod.start("one", SPIN), "two": pod.start("two", SPIN), "holds": pod.start("holds", HOLD),
             "sleeps": pod.start("sleeps", ("/bin/sleep", "1000"))}
    command.eventually(lambda: pod.log("holds"), 60, "memory that is held")
    for name in ("one", "two"):
        command.eventually(lambda: cpu(pod.cri.ContainerStats(container_id=found[name]).stats) > SPUN_NS,  # noqa: B023
                           60, "CPU time")
    return found


def of_containers(pod):  # noqa: F811
    """{name: figures}, from the list."""
    listed = pod.cri.ListContainerStats(filter={"pod_sandbox_id": pod.id}).stats
    found = {stats.attributes.metadata.name: stats for stats in listed}
    assert len(found) == len(listed)
    return found


def test_figures_of_the_containers_of_a_pod_are_each_ones_own(pod):  # noqa: F811
    began = time.monotonic()
    ids = busy(pod)
    found = of_containers(pod)
    passed = time.monotonic() - began
    assert {name: stats.attributes.id for name, stats in found.items()} == ids
    for name in ("one", "two"):
        assert cpu(found[name]) > max(SPUN_NS, cpu(found["sleeps"])), found
        assert 0 < memory(found[name]) < HELD, found
    assert memory(found["holds"]) >= HELD > memory(found["sleeps"]) > 0, found
    # Time that were counted twice would be more than there has been.
    assert sum(map(cpu, found.values())) < passed * os.cpu_count() * 1e9, (passed, found)
    for name, container in ids.items():
        alone = pod.cri.ContainerStats(container_id=container).stats
        assert alone.attributes.metadata.name == name and cpu(alone) >= cpu(found[name])


def test_figures_of_a_pod_are_those_of_all_in_it(make_pod, isolation):  # noqa: F811
    pod, other = make_pod("one"), make_pod("other")  # noqa: F811
    ids = busy(pod)
    before = of_containers(pod).values()
    stats = pod.cri.PodSandboxStats(pod_sandbox_id=pod.id).stats
    assert (stats.attributes.id, stats.attributes.metadata.name) == (pod.id, "one")
    assert {each.attributes.id for each in stats.linux.containers} == set(ids.values())
    # A guest counts the time that its processors had by its own clock, its host what they ran for.
    if isolation != "vm":
        assert cpu(stats.linux) >= sum(map(cpu, before)), (before, stats)
    assert cpu(stats.linux) > 2 * SPUN_NS / (10 if isolation == "vm" else 1), stats
    assert memory(stats.linux) + MIB > sum(map(memory, before)), (before, stats)  # page cache comes and goes
    assert stats.linux.process.process_count.value >= len(ids), stats
    listed = {each.attributes.id: each for each in pod.cri.ListPodSandboxStats().stats}
    assert set(listed) == {pod.id, other.id}
    assert cpu(listed[other.id].linux) < cpu(stats.linux) and not listed[other.id].linux.containers
    assert [each.attributes.id for each in pod.cri.ListPodSandboxStats(filter={"id": other.id}).stats] == [other.id]


def test_figures_of_a_pods_network(pod):  # noqa: F811
    def received():
        found = pod.cri.PodSandboxStats(pod_sandbox_id=pod.id).stats.linux.network.default_interface
        assert found.name == "eth0" and found.rx_errors.value == found.tx_errors.value == 0
        return found.rx_bytes.value

    before = received()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"x" * 1000, (pod.cri.PodSandboxStatus(pod_sandbox_id=pod.id).status.network.ip, 9))
    command.eventually(lambda: received() >= before + 1000, what="what was sent")


def test_figures_of_a_pod_that_is_not_there(pod):  # noqa: F811
    with pytest.raises(cri.RpcError) as missing:
        pod.cri.PodSandboxStats(pod_sandbox_id="missing")
    assert missing.value.code() == grpc.StatusCode.NOT_FOUND
    pod.cri.StopPodSandbox(pod_sandbox_id=pod.id)
    with pytest.raises(cri.RpcError) as stopped:
        pod.cri.PodSandboxStats(pod_sandbox_id=pod.id)
    assert "is not in ready state" in stopped.value.details()
