# SPDX-License-Identifier: Apache-2.0
"""Many containers, at once and in a row: nothing mixes, nothing is left."""

import json
import os
import subprocess
import threading

import pytest

from lib import cgroups
from lib.runtime import wait_until

pytestmark = pytest.mark.classes("ns", "sentry", "vm")


def resources():
    """What must not grow: processes, mounts, cgroups, all descriptors in the lane."""
    pids = [p for p in os.listdir("/proc") if p.isdigit()]
    descriptors = 0
    for pid in pids:
        try:
            descriptors += len(os.listdir(f"/proc/{pid}/fd"))
        except FileNotFoundError:
            continue
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        mounts = len(file.readlines())
    return {"processes": len(pids), "descriptors": descriptors, "mounts": mounts,
            "cgroups": len(cgroups.all_cgroups())}


def settled(before):
    """No more than before: some of `before` may have waited for the lane's init to reap them, as some of now may."""
    def no_more():
        return all(number <= before[what] for what, number in resources().items())

    wait_until(no_more, what=f"no more than {before}")


@pytest.fixture
def many(runtime, scaled):
    """How many containers at once; a machine takes more of the host."""
    return scaled(80, 8) if runtime.isolation == "vm" else scaled(100, 20)


@pytest.fixture
def patient(work_dir):
    """An environment in which machines that are started at once have time to boot, however few processors there are."""
    config = work_dir / "caisson.json"
    config.write_text('{"vm.boot_timeout": "600"}', encoding="ascii")
    return {"CAISSON_CONFIG": str(config)}


def test_containers_run_at_once_do_not_mix(runtime, make_bundle, many, patient):
    for _ in range(10):
        runtime.run(make_bundle())
    after_ten = resources()
    bundles = [make_bundle() for _ in range(many)]

    processes = [runtime.start_run(b, ["sh", "-c", f"echo {b.id}; hostname"], env=patient) for b in bundles]
    for container, process in zip(bundles, processes):
        assert process.finish(timeout_s=600 if runtime.isolation == "vm" else 60).split() == [container.id, "caisson-test"], process.errors
        assert process.returncode == 0
        for stream in (process.stdin, process.stdout):
            stream.close()
    assert runtime.container_ids() == []
    settled(after_ten)


def test_detached_containers_live_together(runtime, make_bundle, many):
    runtime.run(make_bundle())
    before = resources()
    bundles = [make_bundle() for _ in range(many)]
    for container in bundles:
        runtime.run_detached(container)

    assert sorted(runtime.list("-q").stdout.split()) == sorted(b.id for b in bundles)
    assert len({runtime.state(b).pid for b in bundles}) == len(bundles)
    for container in bundles:
        runtime.delete(container, "--force")
    assert runtime.list("-q").stdout == ""
    settled(before)


def test_a_row_of_runs_leaves_no_more_than_ten_did(runtime, bundle, scaled):
    for _ in range(10):
        runtime.run(bundle)
    after_ten = resources()

    # Of machines fewer: what one leaves is seen after some as well as after many, which take minutes.
    for _ in range(scaled(400, 20) if runtime.isolation == "vm" else scaled(1000, 50)):
        runtime.run(bundle)
    settled(after_ten)


@pytest.mark.beyond("runc", reason="1.1 checks and makes the directory in two steps")
def test_of_concurrent_creates_with_one_id_exactly_one_wins(runtime, make_bundle, scaled):
    for _ in range(scaled(50, 3)):
        bundles = [make_bundle() for _ in range(4)]
        for container in bundles:
            container.id = bundles[0].id
            container.process.args = ["true"]
            container.save()
        processes = [runtime.start_call("create", "--bundle", b.path, b.id, stdout=subprocess.DEVNULL)
                     for b in bundles]
        codes = sorted(p.wait() for p in processes)
        assert codes == [0, 1, 1, 1], codes
        assert runtime.status(bundles[0]) == "created"
        runtime.delete(bundles[0], "--force")


def test_concurrent_deletes_leave_nothing_and_do_not_crash(runtime, bundle):
    runtime.run_detached(bundle)

    processes = [runtime.start_call("delete", "--force", bundle.id) for _ in range(4)]
    codes = [p.wait() for p in processes]
    assert 0 in codes and all(c in (0, 1) for c in codes), codes
    assert runtime.status(bundle) is None


def test_concurrent_states_see_a_whole_answer(runtime, bundle, scaled):
    answers = set()

    def ask():
        for _ in range(scaled(50, 5)):
            answers.add(runtime_status(runtime, bundle))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    runtime.create(bundle)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {"created"}


def runtime_status(runtime, bundle):
    """`state` without the wrapper's log files, which belong to one thread."""

    done = subprocess.run(runtime.argv("state", bundle.id), stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=30, check=False)
    return json.loads(done.stdout)["status"] if done.returncode == 0 else None
