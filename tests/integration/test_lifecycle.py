# SPDX-License-Identifier: Apache-2.0
"""The life cycle of the runtime specification (runtime.md#lifecycle)."""

import pytest

from lib.runtime import refused

pytestmark = pytest.mark.classes("ns", "sentry", "vm")


def test_create_start_kill_delete_pass_through_the_oci_states(runtime, bundle):
    bundle.process.args = ["sleep", "1000"]

    runtime.create(bundle)
    assert runtime.state(bundle).status == "created"
    runtime.start(bundle)
    assert runtime.state(bundle).status == "running"
    refused(runtime, runtime.delete(bundle, check=False), "that is not stopped: running")
    runtime.kill(bundle, "KILL")
    runtime.wait_for(bundle, "stopped")
    runtime.delete(bundle)
    assert runtime.state(bundle, check=False).returncode != 0
