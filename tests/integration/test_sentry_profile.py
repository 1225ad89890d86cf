# SPDX-License-Identifier: Apache-2.0
"""--stub-profile: whether calls of a stub that change memory wait for the sentry's word (seccomp/stub.txt)."""

import json

import pytest

from lib import guest
from lib.runtime import refused, wait_until

pytestmark = [pytest.mark.classes("sentry"), pytest.mark.beyond("runc", "crun", reason="have no sentry"),
              pytest.mark.timeout(600)]
DIRECT = ["--stub-profile=direct"]


def words_of_press(runtime, bundle):
    """How often stubs have waited for the sentry's word when a program has changed the protection of areas."""
    runtime.exec(bundle, ["guest", "press", "areas", 1], timeout_s=120)
    return guest.metric(runtime, bundle, "caisson_platform_words_given_total")


def test_memory_calls_wait_for_a_word_unless_the_profile_is_direct(runtime, make_bundle):
    checked, direct = make_bundle(), make_bundle()
    for bundle, flags in ((checked, []), (direct, DIRECT)):
        guest.install(bundle)
        runtime.run_detached(bundle, ["guest", "init"], global_flags=flags)

    wait_until(lambda: words_of_press(runtime, checked) > 1000, 120)
    assert words_of_press(runtime, direct) < 500, "those of files and clones alone"


def test_the_configuration_and_an_allowed_annotation_choose_as_well(runtime, bundle, work_dir):
    config = work_dir / "caisson.json"
    config.write_text(json.dumps({"stub_profile": "nothing"}))
    refused(runtime, runtime.run(bundle, ["true"], check=False, env={"CAISSON_CONFIG": str(config)}), "stub_profile")
    config.write_text(json.dumps({"stub_profile": "direct"}))
    assert runtime.run(bundle, ["echo", "ran"], env={"CAISSON_CONFIG": str(config)}).stdout == "ran\n"

    bundle.annotations["io.caisson.stub-profile"] = "direct"
    refused(runtime, runtime.run(bundle, ["true"], check=False),
            "annotation io.caisson.stub-profile: allowed_annotations does not list it")
    config.write_text(json.dumps({"allowed_annotations": ["io.caisson.stub-profile"]}))
    assert runtime.run(bundle, ["echo", "ran"], env={"CAISSON_CONFIG": str(config)}).stdout == "ran\n"
    bundle.annotations["io.caisson.stub-profile"] = "nothing"
    refused(runtime, runtime.run(bundle, ["true"], check=False, env={"CAISSON_CONFIG": str(config)}),
            'io.caisson.stub-profile: "nothing" is not known')


@pytest.mark.parametrize("kind", ["areas", "flood", "doorbell"])
def test_a_direct_sandbox_outlives_one_that_presses_it(runtime, bundle, scaled, kind):
    guest.install(bundle)
    runtime.run_detached(bundle, ["guest", "init"], global_flags=DIRECT)
    assert runtime.exec(bundle, ["guest", "press", kind, scaled(20, 3)], timeout_s=120).returncode == 0
    assert runtime.exec(bundle, ["echo", "alive"], timeout_s=120).stdout == "alive\n"


def test_random_calls_in_a_direct_sandbox_end(runtime, bundle, scaled):
    guest.install(bundle, memory=1 << 30)
    seconds = scaled(120, 5)
    run = runtime.run(bundle, ["guest", "random", seconds, 31, 8], global_flags=DIRECT, timeout_s=seconds + 180)
    assert run.stdout.splitlines()[-1].startswith("slices ")
