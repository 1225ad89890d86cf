# SPDX-License-Identifier: Apache-2.0
"""process: user, capabilities, rlimits, no_new_privs, scheduling, I/O priority, processors, memory policy."""

import json
import resource

import pytest

from lib.bundle import cap_number, own_capabilities
from lib.runtime import refused

pytestmark = pytest.mark.classes("ns", "sentry", "vm")
WORDING = pytest.mark.beyond("runc", "crun", reason="our wording: the field and what is wrong with it")
NEWER = pytest.mark.beyond("runc", reason="not in 1.1")
SETS = ("bounding", "effective", "permitted", "inheritable", "ambient")


def report_of(runtime, bundle):
    return runtime.run(bundle, ["report"]).report


# --------------------------------------------------------------------------------------------------- user


def test_user_group_and_supplementary_groups_are_exactly_those(runtime, bundle):
    large = 2147483647 if runtime.kind == "runc" else 4294967294
    bundle.process.user = {"uid": 1000, "gid": 1001, "additionalGids": [5, 2000, large]}

    report = report_of(runtime, bundle)
    assert [report[n] for n in ("uid", "euid", "suid")] == [1000] * 3
    assert [report[n] for n in ("gid", "egid", "sgid")] == [1001] * 3
    assert sorted(report["groups"]) == [5, 2000, large]


def test_without_additional_gids_there_are_no_other_groups(runtime, bundle):
    bundle.process.user = {"uid": 1000, "gid": 1001}

    report = runtime.run(bundle, ["report"], prefix=["setpriv", "--groups", "0,7,8"]).report
    assert report["groups"] in ([], [1001])


@pytest.mark.parametrize("umask", [0o077, 0o002, 0, 0o777])
def test_umask_is_set(runtime, bundle, umask):
    bundle.process.user.umask = umask

    assert report_of(runtime, bundle)["umask"] == umask


def test_umask_is_022_unless_the_config_says_so(runtime, bundle):
    report = runtime.run(bundle, ["report"], prefix=["sh", "-c", 'umask 077; exec "$@"', "sh"]).report
    assert report["umask"] == 0o022


def test_umask_makes_the_mode_of_files(runtime, bundle):
    bundle.process.user.umask = 0o137

    assert "mode=100640" in runtime.run(bundle, ["sh", "-c", ">/tmp/new; testinit stat /tmp/new"]).stdout


@WORDING
@pytest.mark.parametrize("user,path", [
    ({"uid": -1, "gid": 0}, "uid"), ({"uid": 0, "gid": 4294967296}, "gid"), ({"uid": "root", "gid": 0}, "uid"),
    ({"uid": 0, "gid": 0, "additionalGids": [1, -5]}, "additionalGids[1]"),
    ({"uid": 0, "gid": 0, "additionalGids": 5}, "additionalGids"),
    ({"uid": 0, "gid": 0, "umask": -1}, "umask"),
])
def test_malformed_user_is_refused(runtime, bundle, user, path):
    bundle.process.user = user

    refused(runtime, runtime.create(bundle, check=False), f"process.user.{path}: ")


# ------------------------------------------------------------------------------------------- capabilities


def sets_of(report):
    return {name: report[f"cap_{name}"] for name in SETS}


def numbers(*names):
    return sorted(cap_number(name) for name in names)


def test_five_sets_are_exactly_those_of_the_config_for_an_ordinary_user(runtime, bundle):
    bundle.process.user = {"uid": 1000, "gid": 1000}
    bundle.process.no_new_privileges = False
    bundle.process.capabilities = {
        "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_NET_RAW"],
        "permitted": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"], "effective": ["CAP_CHOWN"],
        "inheritable": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"], "ambient": ["CAP_KILL"],
    }

    # execve(2): permitted and effective of an ordinary user's program are the ambient set.
    found = sets_of(report_of(runtime, bundle))
    assert found == {"bounding": numbers("CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_NET_RAW"),
                     "permitted": numbers("CAP_KILL"), "effective": numbers("CAP_KILL"),
                     "inheritable": numbers("CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"),
                     "ambient": numbers("CAP_KILL")}


def test_roots_program_has_the_bounding_set(runtime, bundle):
    bundle.capabilities("CAP_CHOWN", "CAP_NET_ADMIN", "CAP_AUDIT_WRITE")

    wanted = numbers("CAP_CHOWN", "CAP_NET_ADMIN", "CAP_AUDIT_WRITE")
    assert sets_of(report_of(runtime, bundle)) == {"bounding": wanted, "effective": wanted, "permitted": wanted,
                                                   "inheritable": [], "ambient": []}


@pytest.mark.parametrize("name,also", [("bounding", ()), ("effective", ("permitted",)), ("permitted", ()),
                                       ("inheritable", ("bounding",)),
                                       ("ambient", ("bounding", "permitted", "inheritable"))])
def test_each_set_arrives_by_itself_and_exec_joins_them_as_the_kernel_says(runtime, bundle, name, also):
    caps = {s: ["CAP_KILL", "CAP_CHOWN"] if s in (name, *also) else ["CAP_KILL"] for s in SETS}
    bundle.process.capabilities = caps
    bundle.process.user = {"uid": 1000, "gid": 1000}

    # capabilities(7): an ordinary user's program has the ambient set as permitted and effective one.
    wanted = {s: numbers(*caps["ambient" if s in ("permitted", "effective") else s]) for s in SETS}
    assert sets_of(report_of(runtime, bundle)) == wanted


@WORDING
@pytest.mark.classes("ns", caveat="sentry-host-view", vm_caveat="vm-host-view")
def test_created_process_has_the_permitted_and_effective_sets_of_the_config(runtime, bundle):
    bundle.process.user = {"uid": 1000, "gid": 1000}
    bundle.process.capabilities = {"bounding": ["CAP_KILL", "CAP_CHOWN"], "permitted": ["CAP_KILL", "CAP_CHOWN"],
                                   "effective": ["CAP_CHOWN"], "inheritable": [], "ambient": []}
    runtime.create(bundle)

    with open(f"/proc/{runtime.state(bundle).pid}/status", encoding="ascii") as file:
        lines = dict(line.split(":", 1) for line in file.read().splitlines())
    assert int(lines["CapPrm"], 16) == 1 << cap_number("CAP_KILL") | 1 << cap_number("CAP_CHOWN")
    assert int(lines["CapEff"], 16) == 1 << cap_number("CAP_CHOWN")


def test_sets_may_be_empty(runtime, bundle):
    bundle.process.capabilities = {}

    assert sets_of(report_of(runtime, bundle)) == {name: [] for name in SETS}


@pytest.mark.parametrize("kept,lost", [
    ("CAP_NET_RAW", "CAP_CHOWN"),
    ("CAP_CHOWN", "CAP_NET_RAW")])
def test_kernel_refuses_what_the_set_lacks(runtime, bundle, kept, lost):
    bundle.capabilities(kept)
    programs = {"CAP_CHOWN": "chown 5 /tmp", "CAP_NET_RAW": "testinit syscall 41 2 3 1"}

    assert runtime.run(bundle, ["sh", "-c", programs[kept]]).returncode == 0
    result = runtime.run(bundle, ["sh", "-c", programs[lost]], check=False)
    assert result.returncode == 1 and "EPERM" in result.stdout + result.stderr.replace("not permitted", "EPERM")


def test_ambient_set_survives_the_exec_of_an_ordinary_user(runtime, bundle):
    bundle.process.user = {"uid": 1000, "gid": 1000}
    caps = ["CAP_NET_RAW"]
    bundle.process.capabilities = {s: caps for s in SETS}

    assert runtime.run(bundle, ["sh", "-c", "testinit syscall 41 2 3 1"]).stdout.startswith("ret ")


@pytest.mark.beyond("runc", reason="1.1 fails with EPERM")
@pytest.mark.classes("ns", "vm", caveat="sentry-host-view")
def test_capability_that_the_runtime_lacks_is_left_out_with_a_warning(runtime, bundle):
    missing = "CAP_SYS_RESOURCE"
    assert missing not in own_capabilities()
    bundle.capabilities("CAP_KILL", missing)

    result = runtime.run(bundle, ["report"])
    assert result.report["cap_effective"] == numbers("CAP_KILL")
    if runtime.kind == "caisson":
        assert missing in result.stderr


@pytest.mark.beyond("crun", reason="refuses")
def test_capability_that_the_kernel_does_not_know_is_left_out_with_a_warning(runtime, bundle):
    bundle.capabilities("CAP_KILL", "CAP_TIME_TRAVEL")

    result = runtime.run(bundle, ["report"])
    assert result.report["cap_effective"] == numbers("CAP_KILL")
    assert "CAP_TIME_TRAVEL" in result.stderr


@WORDING
def test_unknown_capability_of_a_process_file_is_warned_about_too(runtime, bundle):
    runtime.run_detached(bundle)
    process = {**bundle.config["process"], "args": ["report"], "capabilities": {"bounding": ["CAP_TIME_TRAVEL"]}}
    path = bundle.path / "process.json"
    path.write_text(json.dumps(process))

    result = runtime.exec(bundle, [], "--process", path)
    assert result.report["cap_bounding"] == [] and "CAP_TIME_TRAVEL" in result.stderr


@WORDING
@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("value", ["CAP_KILL", [5], {"CAP_KILL": True}])
def test_malformed_set_is_refused(runtime, bundle, name, value):
    bundle.process.capabilities = {name: value}

    refused(runtime, runtime.create(bundle, check=False), f"process.capabilities.{name}")


# ------------------------------------------------------------------------------------------ no_new_privs


@pytest.mark.parametrize("value", [True, False])
def test_no_new_privileges_is_the_flag_of_the_process(runtime, bundle, value):
    bundle.process.no_new_privileges = value

    assert report_of(runtime, bundle)["no_new_privs"] == int(value)


def test_set_uid_program_gains_nothing_under_no_new_privileges(runtime, make_bundle):
    for value, expected in ((True, 1000), (False, 0)):
        bundle = make_bundle()
        bundle.rootfs.write("suid/testinit", (bundle.rootfs / "bin/testinit").read_bytes(), 0o4755)
        bundle.mount("/suid", "tmpfs", "tmpfs", ["tmpcopyup"])  # the lane's own file system is nosuid
        bundle.process.user = {"uid": 1000, "gid": 1000}
        bundle.process.no_new_privileges = value
        assert runtime.run(bundle, ["/suid/testinit", "report"]).report["euid"] == expected


# ----------------------------------------------------------------------------------------------- rlimits

LIMITS = ["CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE", "MEMLOCK", "AS", "LOCKS", "SIGPENDING",
          "MSGQUEUE", "NICE", "RTPRIO", "RTTIME"]
SMALL = {"CPU": (50, 60), "FSIZE": (1 << 20, 1 << 21), "DATA": (1 << 30, 1 << 31), "STACK": (1 << 20, 1 << 23),
         "CORE": (0, 0), "RSS": (1 << 30, 1 << 31), "NPROC": (500, 600), "NOFILE": (99, 100),
         "MEMLOCK": (4096, 8192), "AS": (1 << 33, 1 << 34), "LOCKS": (10, 20), "SIGPENDING": (5, 6),
         "MSGQUEUE": (4096, 8192), "NICE": (0, 0), "RTPRIO": (0, 0), "RTTIME": (100000, 200000)}


@pytest.mark.parametrize("name", LIMITS)
def test_limit_of_each_kind_is_set(runtime, bundle, name):
    soft, hard = SMALL[name]
    bundle.process.rlimits = [{"type": f"RLIMIT_{name}", "soft": soft, "hard": hard}]

    assert report_of(runtime, bundle)["rlimits"][f"RLIMIT_{name}"] == [soft, hard]


def test_several_limits_are_set_together_and_the_others_stay(runtime, bundle):
    bundle.process.rlimits = [{"type": f"RLIMIT_{n}", "soft": SMALL[n][0], "hard": SMALL[n][1]}
                              for n in ("NOFILE", "CORE", "NPROC")]

    limits = report_of(runtime, bundle)["rlimits"]
    assert [limits[f"RLIMIT_{n}"] for n in ("NOFILE", "CORE", "NPROC")] == [[99, 100], [0, 0], [500, 600]]
    assert limits["RLIMIT_STACK"] == list(resource.getrlimit(resource.RLIMIT_STACK))


def test_largest_number_is_no_limit(runtime, bundle):
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    bundle.process.rlimits = [{"type": "RLIMIT_FSIZE", "soft": 2 ** 64 - 1, "hard": 2 ** 64 - 1}]

    assert report_of(runtime, bundle)["rlimits"]["RLIMIT_FSIZE"] == [-1, -1]


def test_limit_stops_the_program(runtime, bundle):
    bundle.process.rlimits = [{"type": "RLIMIT_FSIZE", "soft": 4096, "hard": 4096}]

    runtime.run(bundle, ["sh", "-c", "trap '' XFSZ; head -c 9000 /dev/zero >/tmp/file"], check=False)
    assert (bundle.rootfs / "tmp/file").stat().st_size == 4096


@pytest.mark.beyond("runc", "crun", reason="they are not judged by limits this low")
def test_a_low_limit_of_descriptors_is_the_programs_and_not_that_of_its_setup(runtime, bundle):
    bundle.process.rlimits = [{"type": "RLIMIT_NOFILE", "soft": 4, "hard": 4}]

    assert runtime.run(bundle, ["sh", "-c", "ulimit -n"]).stdout == "4\n"
    runtime.run_detached(bundle, ["sleep", "1000"])
    assert runtime.exec(bundle, ["sh", "-c", "ulimit -n"]).stdout == "4\n"


@pytest.mark.beyond("runc", "crun", reason="they are not judged by limits this low")
def test_a_low_limit_of_descriptors_leaves_the_gate_one(runtime, bundle):
    bundle.process.rlimits = [{"type": "RLIMIT_NOFILE", "soft": 4, "hard": 4}]
    bundle.process.args = ["sh", "-c", "ulimit -n"]

    runtime.create(bundle)
    runtime.start(bundle)
    runtime.wait_for_output(bundle, "4\n")


@WORDING
@pytest.mark.classes("ns", "vm", caveat="sentry-host-view")
def test_raising_a_hard_limit_without_privilege_is_an_error_that_names_it(runtime, bundle):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    bundle.process.rlimits = [{"type": "RLIMIT_NOFILE", "soft": 10, "hard": hard + 1}]

    result = runtime.create(bundle, check=False)
    refused(runtime, result, "process.rlimits: set RLIMIT_NOFILE")
    assert f"hard limit now {hard}" in result.stderr


@WORDING
@pytest.mark.parametrize("limit,text", [
    ({"type": "RLIMIT_NONE", "soft": 1, "hard": 1}, 'process.rlimits[0].type: unknown value "RLIMIT_NONE"'),
    ({"soft": 1, "hard": 1}, "process.rlimits[0].type: missing"),
    ({"type": "RLIMIT_CPU", "hard": 1}, "process.rlimits[0].soft: missing"),
    ({"type": "RLIMIT_CPU", "soft": 1}, "process.rlimits[0].hard: missing"),
    ({"type": "RLIMIT_CPU", "soft": 2, "hard": 1}, "process.rlimits[0].soft: greater than the hard limit"),
    ({"type": "RLIMIT_CPU", "soft": -1, "hard": 1}, "process.rlimits[0].soft"),
    ({"type": "RLIMIT_CPU", "soft": 1, "hard": 2 ** 64}, "process.rlimits[0].hard"),
])
def test_malformed_limit_is_refused(runtime, bundle, limit, text):
    bundle.process.rlimits = [limit]

    refused(runtime, runtime.create(bundle, check=False), text)


@WORDING
def test_limit_that_is_given_twice_is_refused(runtime, bundle):
    bundle.process.rlimits = [{"type": "RLIMIT_CPU", "soft": 1, "hard": 1}] * 2

    refused(runtime, runtime.create(bundle, check=False), "process.rlimits[1]: RLIMIT_CPU is given twice")


# -------------------------------------------------------------------------------------------- oomScoreAdj


@pytest.mark.parametrize("value", [0, 1, 500, 1000])
def test_oom_score_of_the_config_is_set(runtime, bundle, value):
    bundle.process.oom_score_adj = value

    assert report_of(runtime, bundle)["oom_score_adj"] == str(value)


@WORDING
def test_lowering_the_oom_score_without_privilege_is_an_error_that_names_it(runtime, bundle):
    bundle.process.oom_score_adj = -1000

    refused(runtime, runtime.create(bundle, check=False), "process.oomScoreAdj")


# --------------------------------------------------------------------------------------------- scheduler

POLICIES = {"SCHED_OTHER": 0, "SCHED_FIFO": 1, "SCHED_RR": 2, "SCHED_BATCH": 3, "SCHED_IDLE": 5,
            "SCHED_DEADLINE": 6}


@NEWER
@pytest.mark.parametrize("policy", ["SCHED_OTHER", "SCHED_BATCH", "SCHED_IDLE"])
@pytest.mark.parametrize("nice", [-5, 0, 19])
def test_scheduler_has_policy_and_nice_value(runtime, bundle, policy, nice):
    bundle.process.scheduler = {"policy": policy, "nice": nice}

    found = report_of(runtime, bundle)["scheduler"]
    assert found["policy"] == POLICIES[policy]
    assert found["nice"] == (nice if policy != "SCHED_IDLE" else found["nice"])


@NEWER
@pytest.mark.classes("ns", "vm", caveat="sentry-sched")
def test_scheduler_flag_resets_children(runtime, bundle):
    bundle.process.scheduler = {"policy": "SCHED_BATCH", "nice": -3, "flags": ["SCHED_FLAG_RESET_ON_FORK"]}

    assert report_of(runtime, bundle)["scheduler"]["flags"] & 1
    child = runtime.run(bundle, ["sh", "-c", "report; true"]).report["scheduler"]
    assert child["nice"] == 0


@NEWER
@pytest.mark.classes("ns", "vm", caveat="sentry-sched")
def test_deadline_scheduler_has_its_three_times(runtime, bundle):
    bundle.process.scheduler = {"policy": "SCHED_DEADLINE", "runtime": 1000000, "deadline": 5000000,
                                "period": 20000000}

    found = report_of(runtime, bundle)["scheduler"]
    assert (found["policy"], found["runtime"], found["deadline"], found["period"]) == (6, 1000000, 5000000,
                                                                                       20000000)


@NEWER
@pytest.mark.parametrize("policy", ["SCHED_FIFO", "SCHED_RR"])
def test_realtime_scheduler_has_its_priority_or_is_an_error_that_names_it(runtime, bundle, policy):
    bundle.process.scheduler = {"policy": policy, "priority": 7}

    result = runtime.run(bundle, ["report"], check=False)
    if result.returncode:  # the cgroup has no realtime budget: CAVEATS.md#ns-realtime
        assert "process.scheduler" in result.stderr and "priority 7" in result.stderr
    else:
        found = result.report["scheduler"]
        assert (found["policy"], found["priority"]) == (POLICIES[policy], 7)


@NEWER
def test_scheduler_of_a_process_file_is_that_of_exec(runtime, bundle):
    runtime.run_detached(bundle)
    process = {**bundle.config["process"], "args": ["report"], "scheduler": {"policy": "SCHED_BATCH", "nice": 4}}
    path = bundle.path / "process.json"
    path.write_text(json.dumps(process))

    found = runtime.exec(bundle, [], "--process", path).report["scheduler"]
    assert (found["policy"], found["nice"]) == (3, 4)


@WORDING
@pytest.mark.parametrize("value,text", [
    ({}, "process.scheduler.policy: missing"),
    ({"policy": "SCHED_NONE"}, 'process.scheduler.policy: unknown value "SCHED_NONE"'),
    ({"policy": "SCHED_OTHER", "nice": 20}, "process.scheduler.nice"),
    ({"policy": "SCHED_OTHER", "nice": -21}, "process.scheduler.nice"),
    ({"policy": "SCHED_OTHER", "priority": 1}, "process.scheduler.priority: only for"),
    ({"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_X"]}, 'unknown value "SCHED_FLAG_X"'),
    ({"policy": "SCHED_OTHER", "runtime": 1}, "process.scheduler: runtime, deadline and period"),
    ({"policy": "SCHED_OTHER", "deadline": 1}, "process.scheduler: runtime, deadline and period"),
    ({"policy": "SCHED_OTHER", "period": 1}, "process.scheduler: runtime, deadline and period"),
    ({"policy": "SCHED_DEADLINE", "runtime": 9, "deadline": 5, "period": 5}, "process.scheduler: set policy 6"),
    ({"policy": "SCHED_ISO"}, "process.scheduler: set policy 4"),
])
def test_scheduler_that_cannot_be_is_refused(runtime, bundle, value, text):
    bundle.process.scheduler = value

    refused(runtime, runtime.create(bundle, check=False), text)


# -------------------------------------------------------------------------------------------- ioPriority


@NEWER
@pytest.mark.parametrize("name,number", [("IOPRIO_CLASS_RT", 1), ("IOPRIO_CLASS_BE", 2), ("IOPRIO_CLASS_IDLE", 3)])
@pytest.mark.parametrize("priority", [0, 5, 7])
def test_io_priority_has_class_and_priority(runtime, bundle, name, number, priority):
    bundle.process.io_priority = {"class": name, "priority": priority}

    assert report_of(runtime, bundle)["ioprio"] == number << 13 | priority


@WORDING
@pytest.mark.parametrize("value,text", [
    ({"class": "IOPRIO_CLASS_NONE", "priority": 1}, "process.ioPriority.class: unknown value"),
    ({"priority": 1}, "process.ioPriority.class: missing"),
    ({"class": "IOPRIO_CLASS_BE"}, "process.ioPriority.priority: missing"),
    ({"class": "IOPRIO_CLASS_BE", "priority": 8}, "process.ioPriority.priority"),
    ({"class": "IOPRIO_CLASS_BE", "priority": -1}, "process.ioPriority.priority"),
])
def test_malformed_io_priority_is_refused(runtime, bundle, value, text):
    bundle.process.io_priority = value

    refused(runtime, runtime.create(bundle, check=False), text)


# --------------------------------------------------------------------------------------- execCPUAffinity


def two_processors(runtime, bundle):
    """A machine has one, unless there is a limit of more."""
    if runtime.isolation == "vm":
        bundle.linux.resources.cpu.quota, bundle.linux.resources.cpu.period = 200000, 100000


@NEWER
@pytest.mark.parametrize("affinity,wanted", [({"final": "1"}, [1]), ({"final": "0-1"}, [0, 1]),
                                             ({"initial": "1"}, [1]), ({"initial": "0", "final": "1"}, [1])])
def test_exec_runs_on_the_processors_of_the_config_and_the_container_on_all(runtime, bundle, affinity, wanted):
    two_processors(runtime, bundle)
    bundle.process["execCPUAffinity"] = affinity
    bundle.process.args = ["sh", "-c", "report; sleep 100"]
    runtime.run(bundle, None, "-d")

    assert runtime.exec(bundle, ["report"]).report["affinity"] == wanted
    runtime.wait_for_output(bundle, "\n}")
    assert runtime.outputs[bundle.id].report["affinity"] == [0, 1]


@NEWER
def test_affinity_of_a_process_file_goes_before_the_configs(runtime, bundle):
    two_processors(runtime, bundle)
    bundle.process["execCPUAffinity"] = {"final": "0"}
    runtime.run_detached(bundle)
    process = {**bundle.config["process"], "args": ["report"], "execCPUAffinity": {"final": "1"}}
    path = bundle.path / "process.json"
    path.write_text(json.dumps(process))

    assert runtime.exec(bundle, [], "--process", path).report["affinity"] == [1]


@WORDING
@pytest.mark.parametrize("value,path", [({"initial": "x"}, "initial"), ({"final": "1-"}, "final"),
                                        ({"final": "3-1"}, "final"), ({"final": 1}, "final")])
def test_malformed_list_of_processors_is_refused(runtime, bundle, value, path):
    bundle.process["execCPUAffinity"] = value

    refused(runtime, runtime.create(bundle, check=False), f"process.execCPUAffinity.{path}: ")


# ------------------------------------------------------------------------------------------ memoryPolicy


def policy_of(runtime, bundle):
    """The policy in front of the program's mappings in /proc/self/numa_maps."""
    words = {line.split()[1] for line in runtime.run(bundle, ["cat", "/proc/self/numa_maps"]).stdout.splitlines()}
    return words.pop() if len(words) == 1 else words


@NEWER
@pytest.mark.parametrize("policy,shown", [
    ({"mode": "MPOL_DEFAULT"}, "default"), ({"mode": "MPOL_BIND", "nodes": "0"}, "bind:0"),
    ({"mode": "MPOL_PREFERRED", "nodes": "0"}, "prefer:0"), ({"mode": "MPOL_LOCAL"}, "local"),
    ({"mode": "MPOL_INTERLEAVE", "nodes": "0"}, "interleave:0"),
    ({"mode": "MPOL_PREFERRED_MANY", "nodes": "0"}, "prefer (many):0"),
    ({"mode": "MPOL_WEIGHTED_INTERLEAVE", "nodes": "0"}, "weighted interleave:0"),
    ({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]}, "bind=static:0"),
    ({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_RELATIVE_NODES"]}, "bind=relative:0"),
])
@pytest.mark.classes("ns", caveat="sentry-memory-policy", vm_caveat="vm-one-node")
def test_memory_policy_is_that_of_the_program(runtime, bundle, policy, shown):
    bundle.linux.memory_policy = policy

    text = runtime.run(bundle, ["cat", "/proc/self/numa_maps"]).stdout
    assert all(f" {shown} " in f"{line} " for line in text.splitlines() if "vdso" not in line), text


@WORDING
@pytest.mark.parametrize("policy,text", [
    ({"mode": "MPOL_NONE"}, 'linux.memoryPolicy.mode: unknown value "MPOL_NONE"'), ({}, "linux.memoryPolicy.mode"),
    ({"mode": "MPOL_BIND"}, "linux.memoryPolicy.nodes: must not be empty with MPOL_BIND"),
    ({"mode": "MPOL_LOCAL", "nodes": "0"}, "linux.memoryPolicy.nodes: must be empty with MPOL_LOCAL"),
    ({"mode": "MPOL_BIND", "nodes": "a"}, 'linux.memoryPolicy.nodes: "a" is no list'),
    ({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_X"]}, "linux.memoryPolicy.flags[0]: unknown value"),
    pytest.param({"mode": "MPOL_BIND", "nodes": "900"}, "linux.memoryPolicy: set MPOL_BIND",
                 marks=pytest.mark.classes("ns", caveat="sentry-memory-policy", vm_caveat="vm-one-node")),
])
def test_memory_policy_that_cannot_be_is_refused(runtime, bundle, policy, text):
    bundle.linux.memory_policy = policy

    refused(runtime, runtime.create(bundle, check=False), text)
