# SPDX-License-Identifier: Apache-2.0
"""The verbs that fault campaigns run, with what each acts on and what its success means."""

from . import cgroups
from .faults import Verb
from .runtime import wait_until


def running(runtime, bundle):
    runtime.run_detached(bundle, bundle.process.args)


def created(runtime, bundle):
    runtime.create(bundle)


def stopped(runtime, bundle):
    runtime.run_detached(bundle, ["true"])
    runtime.wait_for(bundle, "stopped")


def paused(runtime, bundle):
    running(runtime, bundle)
    runtime.pause(bundle)


def is_status(*wanted):
    def check(runtime, bundle, _outcome):
        status = runtime.status(bundle)
        return None if status in wanted else f"status is {status}, not {' or '.join(map(str, wanted))}"
    return check


def is_killed(runtime, bundle, _outcome):
    wait_until(lambda: runtime.status(bundle) == "stopped", 5, "killed and stopped")


def is_limited(_runtime, bundle, _outcome):
    if cgroups.is_v2():
        return None
    limit = cgroups.read(bundle.linux.cgroups_path, "pids.max")
    return None if limit == "50" else f"pids.max is {limit}"


SLEEP = ["sleep", "1000"]
CREATE = ["--bundle", "{bundle}", "--pid-file", "{bundle}/pid", "{id}"]
VERBS = {verb.name: verb for verb in [
    Verb("create", ["create", *CREATE], check=is_status("created")),
    Verb("run", ["run", *CREATE], process=["true"], check=is_status(None)),
    Verb("run -d", ["run", "-d", *CREATE], process=SLEEP, check=is_status("running")),
    Verb("start", ["start", "{id}"], created, is_status("running"), SLEEP),
    Verb("delete", ["delete", "{id}"], stopped, is_status(None)),
    Verb("delete --force", ["delete", "--force", "{id}"], running, is_status(None), SLEEP),
    Verb("exec", ["exec", "{id}", "true"], running, process=SLEEP),
    Verb("exec -d", ["exec", "-d", "{id}", "sleep", "1000"], running, process=SLEEP),
    Verb("kill", ["kill", "{id}", "KILL"], running, is_killed, SLEEP),
    Verb("update", ["update", "--pids-limit", "50", "{id}"], running, is_limited, SLEEP),
    Verb("pause", ["pause", "{id}"], running, is_status("paused"), SLEEP),
    Verb("resume", ["resume", "{id}"], paused, is_status("running"), SLEEP),
]}
