# SPDX-License-Identifier: Apache-2.0
"""linux.netDevices: network devices of the host that move into the container's network namespace."""

import os
import shutil
import socket
import subprocess

import pytest

from lib.runtime import refused

pytestmark = [pytest.mark.classes("ns", "vm"),
              pytest.mark.beyond("runc", "crun", reason="network devices came with the specification 1.3"),
              pytest.mark.skipif(shutil.which("ip") is None, reason="needs ip(8): CAVEATS.md#unit-iproute2")]


def ip(*args):
    return subprocess.run(["ip", *args], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def pair():
    """A veth pair, `moves` with addresses and a peer that stays."""
    ip("link", "add", "moves", "type", "veth", "peer", "name", "stays")
    ip("link", "set", "stays", "up")
    yield "moves"
    # Where the device has moved, the end of the container's namespace is about to remove both.
    subprocess.run(["ip", "link", "del", "stays"], check=False, capture_output=True)


def devices(runtime, bundle):
    """Names of the container's network devices."""
    return set(runtime.run(bundle, ["ls", "/sys/class/net"]).stdout.split())


def test_device_moves_under_its_own_name(runtime, bundle, pair):
    bundle.linux["netDevices"] = {pair: {}}

    assert devices(runtime, bundle) == {"lo", "moves"}


def test_device_gets_the_name_of_the_config(runtime, bundle, pair):
    bundle.linux["netDevices"] = {pair: {"name": "eth0"}}

    assert devices(runtime, bundle) == {"lo", "eth0"}


def test_device_is_gone_from_the_host_while_the_container_lives(runtime, bundle, pair):
    bundle.linux["netDevices"] = {pair: {"name": "eth0"}}
    runtime.run_detached(bundle)

    assert not os.path.exists("/sys/class/net/moves") and os.path.exists("/sys/class/net/stays")
    assert "eth0" in runtime.exec(bundle, ["ip", "-o", "link"]).stdout


def test_moved_device_is_up_and_keeps_address_and_mtu(runtime, bundle, pair):
    ip("link", "set", pair, "mtu", "1400")
    ip("addr", "add", "10.9.8.7/24", "dev", pair)
    ip("addr", "add", "fd00:1::7/64", "dev", pair, "nodad")
    bundle.linux["netDevices"] = {pair: {"name": "eth0"}}
    runtime.run_detached(bundle)

    text = runtime.exec(bundle, ["ip", "addr", "show", "eth0"]).stdout
    assert "mtu 1400" in text and "UP" in text
    assert "10.9.8.7/24" in text and "fd00:1::7/64" in text


def test_moved_device_reaches_its_peer(runtime, bundle, pair):
    ip("addr", "add", "10.9.8.1/24", "dev", "stays")
    ip("addr", "add", "10.9.8.7/24", "dev", pair)
    bundle.linux["netDevices"] = {pair: {"name": "eth0"}}

    with socket.create_server(("10.9.8.1", 0)) as server:
        out = runtime.run(bundle, ["testinit", "tcp", "10.9.8.1", server.getsockname()[1]]).stdout
    assert out == "ok\n"


def test_several_devices_move(runtime, bundle, pair):
    bundle.linux["netDevices"] = {"moves": {"name": "eth0"}, "stays": {"name": "eth1"}}

    assert devices(runtime, bundle) == {"lo", "eth0", "eth1"}


def test_device_moves_into_a_namespace_of_an_own_user(runtime, bundle, pair):
    bundle.user_namespace()
    bundle.linux["netDevices"] = {pair: {"name": "eth0"}}

    assert devices(runtime, bundle) == {"lo", "eth0"}


def test_device_that_is_not_there_is_an_error_that_names_it(runtime, bundle):
    bundle.linux["netDevices"] = {"absent0": {}}

    refused(runtime, runtime.create(bundle, check=False), "absent0")


def test_name_that_is_taken_inside_is_an_error_and_the_device_stays(runtime, bundle, pair):
    bundle.linux["netDevices"] = {pair: {"name": "lo"}}

    result = runtime.create(bundle, check=False)
    refused(runtime, result, 'linux.netDevices: "moves": the container has a device "lo" already')
    assert os.path.exists("/sys/class/net/moves")


@pytest.mark.parametrize("value,text", [
    ({"": {}}, 'linux.netDevices[""]: not a name'), ({"x" * 16: {}}, "not a name of a network device"),
    ({"a/b": {}}, "not a name of a network device"), ({"..": {}}, "not a name of a network device"),
    ({"moves": {"name": "x" * 16}}, 'is not a name of a network device'),
    ({"moves": {"name": "a b"}}, 'is not a name of a network device'),
    ({"moves": {"name": 5}}, "linux.netDevices.moves.name: expected string"),
    ({"moves": 5}, "linux.netDevices.moves: expected object"), ([], "linux.netDevices: expected object"),
])
def test_malformed_device_is_refused(runtime, bundle, value, text):
    bundle.linux["netDevices"] = value

    refused(runtime, runtime.create(bundle, check=False), text)


def test_devices_need_a_network_namespace(runtime, bundle, pair):
    bundle.drop_namespace("network")
    bundle.linux["netDevices"] = {pair: {}}

    refused(runtime, runtime.create(bundle, check=False), "linux.netDevices: needs a network namespace")
    assert os.path.exists("/sys/class/net/moves")


def test_json_of_features_says_that_devices_move(runtime):
    assert runtime.features().json["linux"]["netDevices"] == {"enabled": True}
