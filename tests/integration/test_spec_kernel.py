# SPDX-License-Identifier: Apache-2.0
"""Names, kernel parameters and the document itself: hostname, domainname, sysctl, personality, unknown fields."""

import json
import socket

import pytest

from lib.runtime import refused

pytestmark = pytest.mark.classes("ns", "sentry", "vm")
WORDING = pytest.mark.beyond("runc", "crun", reason="our wording: the field and what is wrong with it")
NEWER = pytest.mark.beyond("runc", reason="not in 1.1")


# ------------------------------------------------------------------------------------------------- names


def test_hostname_is_set_in_the_container_alone(runtime, bundle):
    before = socket.gethostname()
    bundle.hostname = "h" * 63

    assert runtime.run(bundle, ["report"]).report["hostname"] == "h" * 63
    assert socket.gethostname() == before


@NEWER
def test_domainname_is_set(runtime, bundle):
    bundle.domainname = "nis.example"

    report = runtime.run(bundle, ["report"]).report
    assert (report["hostname"], report["domainname"]) == ("caisson-test", "nis.example")


@pytest.mark.beyond("runc", reason="1.1 sets an absent name to the empty one")
def test_without_a_name_the_new_namespace_keeps_the_runtimes(runtime, bundle):
    del bundle.node.hostname

    assert runtime.run(bundle, ["report"]).report["hostname"] == socket.gethostname()


@WORDING
@pytest.mark.parametrize("field", ["hostname", "domainname"])
def test_name_without_a_uts_namespace_is_refused(runtime, bundle, field):
    bundle.drop_namespace("uts")
    del bundle.node.hostname
    bundle.node[field] = "name"

    refused(runtime, runtime.create(bundle, check=False), f"{field}: cannot be set without a uts namespace")


@WORDING
@pytest.mark.parametrize("field", ["hostname", "domainname"])
def test_name_that_is_too_long_is_refused(runtime, bundle, field):
    bundle.node[field] = "x" * 65

    refused(runtime, runtime.create(bundle, check=False), f"{field}: longer than 64 bytes")


# ------------------------------------------------------------------------------------------------ sysctl


@pytest.mark.parametrize("name,path,value", [
    ("net.ipv4.ip_forward", "net/ipv4/ip_forward", "1"),
    ("net/ipv4/ip_default_ttl", "net/ipv4/ip_default_ttl", "33"),
    ("kernel.shmmax", "kernel/shmmax", "65536"),
    ("kernel.msgmax", "kernel/msgmax", "4096"),
    ("kernel.sem", "kernel/sem", "100\t16000\t50\t100"),
    ("kernel.shm_rmid_forced", "kernel/shm_rmid_forced", "1"),
    ("fs.mqueue.msg_max", "fs/mqueue/msg_max", "5"),
    ("kernel.domainname", "kernel/domainname", "nis.example"),
])
def test_sysctl_is_set_in_the_containers_namespaces_alone(runtime, bundle, name, path, value):
    if runtime.kind == "runc" and "/" in name:
        name = name.replace("/", ".")
    with open(f"/proc/sys/{path}", encoding="ascii") as file:
        before = file.read()
    bundle.linux.sysctl = {name: value}

    assert runtime.run(bundle, ["cat", f"/proc/sys/{path}"]).stdout.strip() == value
    with open(f"/proc/sys/{path}", encoding="ascii") as file:
        assert file.read() == before != value + "\n"


def test_sysctl_works_in_a_user_namespace(runtime, bundle):
    bundle.user_namespace()
    bundle.linux.sysctl = {"net.ipv4.ip_forward": "1"}

    assert runtime.run(bundle, ["cat", "/proc/sys/net/ipv4/ip_forward"]).stdout == "1\n"


@WORDING
@pytest.mark.parametrize("name,dropped,text", [
    ("kernel.panic", None, "is not in a namespace of the container's own"),
    ("vm.swappiness", None, "is not in a namespace of the container's own"),
    ("kernel.hostname", None, 'conflicts with the field "hostname"'),
    ("net.ipv4.ip_forward", "network", "not allowed in the host's network namespace"),
    ("kernel.shmmax", "ipc", "not allowed in the host's ipc namespace"),
    ("fs.mqueue.msg_max", "ipc", "not allowed in the host's ipc namespace"),
    ("net.ipv4../../kernel.panic", None, ""),
    ("../kernel/panic", None, ""),
    ("net", None, "is not in a namespace"),
    ("", None, ""),
])
def test_sysctl_of_the_host_is_refused_by_name(runtime, bundle, name, dropped, text):
    if dropped:
        bundle.drop_namespace(dropped)
    bundle.linux.sysctl = {name: "1"}

    result = runtime.create(bundle, check=False)
    refused(runtime, result, "linux.sysctl")
    assert text in result.stderr.replace('\\"', '"')


@WORDING
@pytest.mark.parametrize("name,value", [("net.ipv4.no_such_thing", "1"), ("net.ipv4.ip_forward", "many")])
def test_sysctl_that_the_kernel_refuses_is_named(runtime, bundle, name, value):
    bundle.linux.sysctl = {name: value}

    result = runtime.create(bundle, check=False)
    assert result.returncode == 1 and name in result.stderr


# ------------------------------------------------------------------------------------------- personality


@NEWER
@pytest.mark.parametrize("domain,number,machine", [("LINUX", 0, "x86_64"), ("LINUX32", 8, "i686")])
def test_personality_is_set(runtime, bundle, domain, number, machine):
    bundle.linux.personality.domain = domain

    report = runtime.run(bundle, ["report"]).report
    assert report["personality"] == number and report["machine"] == machine


@NEWER
def test_personality_covers_exec(runtime, bundle):
    bundle.linux.personality.domain = "LINUX32"
    runtime.run_detached(bundle)

    assert runtime.exec(bundle, ["report"]).report["personality"] == 8


@WORDING
@pytest.mark.parametrize("value,text", [({"domain": "LINUX16"}, 'linux.personality.domain: unknown value "LINUX16"'),
                                        ({}, "linux.personality.domain: missing"),
                                        ({"domain": "LINUX", "flags": ["X"]}, "linux.personality.flags")])
def test_unknown_personality_is_refused(runtime, bundle, value, text):
    bundle.linux.personality = value

    refused(runtime, runtime.create(bundle, check=False), text)


# ------------------------------------------------------------------------------------------ the document


def test_unknown_fields_are_ignored_everywhere(runtime, bundle):
    bundle.node["x-future"] = {"a": [1, None]}
    for node in (bundle.process, bundle.process.user, bundle.root, bundle.linux, bundle.linux.resources):
        node["somethingNew"] = [True]
    bundle.config["mounts"][0]["somethingNew"] = "x"
    bundle.linux.namespaces[0]["somethingNew"] = 1

    assert runtime.run(bundle, ["echo", "ran"]).stdout == "ran\n"


@WORDING
@pytest.mark.parametrize("path,value,expected", [
    ("process.args[0]", 5, "string"), ("process.noNewPrivileges", "yes", "boolean"),
    ("root.readonly", 1, "boolean"), ("hostname", ["x"], "string"),
    ("linux.resources.memory.limit", "1g", "integer"), ("process.user.uid", 1.5, "integer"),
    ("annotations.key", 7, "string"), ("linux", [], "object"),
])
def test_ill_typed_field_is_refused_with_path_and_line(runtime, bundle, path, value, expected):
    node = bundle.config
    *parents, last = path.replace("[0]", ".0").split(".")
    for name in parents:
        node = node[int(name)] if isinstance(node, list) else node.setdefault(name, {})
    node[int(last) if isinstance(node, list) else last] = value
    text = json.dumps(bundle.config, indent=1)
    bundle.write_raw(text)

    result = runtime.create(bundle, check=False, save=False)
    refused(runtime, result, f"{path}: expected {expected}")
    line = int(result.stderr.split("config.json:")[1].split(":")[0])
    shown = text.splitlines()[line - 1]
    assert last in shown or str(value) in shown or json.dumps(value) in shown


@WORDING
def test_document_that_is_no_json_is_refused_with_its_line(runtime, bundle):
    bundle.write_raw('{\n "ociVersion": "1.0.0",\n "process": {,}\n}')

    result = runtime.create(bundle, check=False, save=False)
    refused(runtime, result, "config.json:3")


@WORDING
@pytest.mark.parametrize("version", ["2.0.0", "0.9", "1", "one"])
def test_version_of_another_major_is_refused(runtime, bundle, version):
    bundle.node["ociVersion"] = version

    refused(runtime, runtime.create(bundle, check=False), f'ociVersion: unsupported version "{version}"')


@pytest.mark.parametrize("version", ["1.0.0", "1.0.2-dev", "1.1.0+x", "1.3.0"])
def test_every_version_1_is_taken(runtime, bundle, version):
    bundle.node["ociVersion"] = version

    assert runtime.run(bundle, ["echo", "ran"]).stdout == "ran\n"


@WORDING
@pytest.mark.parametrize("field", ["ociVersion", "root", "process"])
def test_required_field_that_is_missing_is_named(runtime, bundle, field):
    del bundle.node[field]

    result = runtime.run(bundle, None, check=False)
    assert result.returncode == 1 and field in result.stderr


@WORDING
def test_line_of_an_ill_typed_field_is_found_in_a_document_of_one_line_and_of_many(runtime, bundle):
    bundle.process.cwd = 5
    for indent, line in ((None, 1), (0, None)):
        bundle.write_raw(json.dumps(bundle.config, indent=indent))
        stderr = runtime.create(bundle, check=False, save=False).stderr
        assert "process.cwd: expected string, got integer" in stderr
        assert line is None or f"config.json:{line}:" in stderr
