# SPDX-License-Identifier: Apache-2.0
"""A real containerd with our shim on pure cgroup v2 with all controllers: tests/run-engines in a guest.

Of class vm there is none: a machine inside an emulated guest is too slow (CAVEATS.md, vm-cgroup-v2)."""

import os
import sys

import pytest

from conftest import REPO, SOAK

sys.path.insert(0, str(REPO / "tests/programs"))

import debian  # noqa: E402 (the root of the servers of test_shim_networks.py)

# Lives, limits, figures and ends, of which v2 has its own files and messages.
FEW = {
    "ns": "run_with_limits or pause_and_resume or kill_all or resources_update or out_of_memory_of_one or "
          "metrics_of_a_task or (exec_sync and not timeout) or container_restarts or counted_in_the_pods_group",
    "sentry": "resources_update or out_of_memory_of_one or pause_and_resume or container_restarts or "
              "counted_in_the_pods_group",
}
# In the soak.
MORE = " or run_output or run_environment or named_control_group or metrics_of_a_task or pod_life or stop_is_polite"


@pytest.mark.parametrize("isolation", ["ns", "sentry"])
def test_pods_of_containerd_on_pure_cgroup_v2(guest_suite, isolation):
    root, chosen = debian.rootfs(), FEW[isolation] + (MORE if SOAK else "")
    guest_suite("--cpus", "2", "--memory", "2048", "--time-limit", "2300" if SOAK else "900", "--share", root,
                "--env", f"CAISSON_TEST_CACHE={os.path.dirname(root)}", "--env",
                f"CAISSON_RUNTIME=build/bin/caisson-{isolation}", "--env", "CAISSON_PATIENCE=8",
                script=f"tests/run-engines shim --cgroup v2 -rfEs -k '{chosen}'")
