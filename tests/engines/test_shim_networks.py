# SPDX-License-Identifier: Apache-2.0
"""Pods in networks that Debian's CNI plugins make (loopback, bridge, ptp, portmap, host-local): a server in a pod, asked
by the host and by another pod, on its address and on a port of the node; names; the node's own network; classes side
by side."""

import hashlib
import ipaddress
import json
import os
import socket
import threading
import urllib.error
import urllib.request

import pytest

from conftest import class_name
from enginelib import census, command, servers
from enginelib.containerd import Containerd
from enginelib.containerd_config import RUNTIMES, SERIES
from test_containerd import Pod, sh
from test_shim import shim_of

CLASSES = ("ns", "sentry", "vm")
PROGRAM_OF = {"ns": "pause", "sentry": "caisson-sentry", "vm": "caisson-vm"}
BRIDGE, SUBNET, PORT, NODE_PORT = "caisson-nets", "10.91.0.0/24", 8080, 18080
GATEWAY = str(ipaddress.ip_network(SUBNET)[1])
PATIENCE_S = 60
IP_FREEBIND = 15
IPAM = {"type": "host-local", "dataDir": "/run/caisson-cni", "ranges": [[{"subnet": SUBNET}]],
        "routes": [{"dst": "0.0.0.0/0"}]}
FIRST = {
    "bridge": {"type": "bridge", "bridge": BRIDGE, "isGateway": True, "hairpinMode": True, "ipam": IPAM},
    "ptp": {"type": "ptp", "ipam": IPAM},
}
HANDLER = """
    [%s.{name}]
      runtime_type = "io.containerd.caisson-{isolation}.v2"
      [%s.{name}.options]
        {options}
""" % (RUNTIMES, RUNTIMES)
SERVER = "mkdir -p /www; echo from $HOSTNAME > /www/page; exec httpd -f -p %d -h /www" % PORT


@pytest.fixture(scope="module", params=sorted(FIRST))
def node(request, work, runtime, image_archives, artifacts):
    """containerd with a handler for each class, and a network of one kind."""
    before = census.Census()
    directory = os.path.join(work, "networks-" + request.param)
    os.mkdir(directory)
    settings = os.path.join(directory, "network.json")
    with open(settings, "w", encoding="utf-8") as f:
        json.dump({"network": "none"}, f)
    handlers = "".join(HANDLER.format(name=name, isolation=name, options="") for name in CLASSES)
    handlers += HANDLER.format(name="sentry-alone", isolation="sentry", options='ConfigPath = "%s"' % settings)
    engine = Containerd(directory, runtime, image_archives, artifacts, handlers=handlers, bridge=BRIDGE, plugins=[
        FIRST[request.param], {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True}])
    engine.kind = request.param
    yield engine
    engine.remove_all()
    engine.stop()
    before.assert_nothing_new(lambda kind, name: kind == "cgroup" and name.endswith(("/kubepods", "/k8s.io")))


@pytest.fixture
def make(node, tmp_path):
    """make(name, handler, more): a pod; all are removed at the end."""
    yield lambda name, handler, more=None, **options: Pod(
        node, name, tmp_path / name, handler=handler, more=more, cgroup_parent="/kubepods", **options)
    node.remove_all()


def address_of(pod):
    return pod.cri.PodSandboxStatus(pod_sandbox_id=pod.id).status.network.ip


def ask(url):
    """The answer's body, once there is a server."""
    def answer():
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE_S) as reply:
                return reply.read()
        except (urllib.error.URLError, ConnectionError):
            return None
    return command.eventually(answer, PATIENCE_S, "an answer of " + url)


def client(make):
    """A trusted pod beside it: (pod, container)."""
    pod = make("client", "ns")
    return pod, pod.start("c", ("/bin/sleep", "1000"))


def test_a_server_is_asked_by_the_node_and_by_another_pod(make):
    pod = make("server", class_name(), {"port_mappings": [
        {"container_port": PORT, "host_port": NODE_PORT, "protocol": "TCP"}]})
    address = address_of(pod)
    assert ipaddress.ip_address(address) in ipaddress.ip_network(SUBNET)
    container = pod.start("c", sh(SERVER))
    assert "inet %s/" % address in pod.exec(container, "/bin/ip", "-4", "addr", "show", "dev", "eth0")
    assert ask("http://%s:%d/page" % (address, PORT)) == b"from server\n"
    # The node's port leads there, from the node and from a pod.
    assert ask("http://%s:%d/page" % (GATEWAY, NODE_PORT)) == b"from server\n"
    other, asking = client(make)
    for place in ("%s:%d" % (address, PORT), "%s:%d" % (GATEWAY, NODE_PORT)):
        assert other.exec(asking, "/bin/wget", "-q", "-O", "-", "http://%s/page" % place) == "from server\n"


@pytest.fixture(scope="module")
def servers_image(node, tmp_path_factory):
    """As a field of a container's configuration."""
    path = str(tmp_path_factory.mktemp("servers") / "servers.tar")
    servers.build(path)
    node.ctr("images", "import", path, timeout=120)
    return {"image": servers.SERVERS_IMAGE}


def test_nginx_is_asked_by_the_node_and_by_another_pod(make, servers_image):
    """Of Debian's package and with its configuration: a master and workers of another user."""
    pod = make("nginx", class_name())
    container = pod.start("c", servers.NGINX, image=servers_image)
    place = "http://%s:%d/" % (address_of(pod), servers.HTTP_PORT)
    assert b"Welcome to nginx!" in ask(place)
    assert ask(place + "blob") == servers.blob()
    other, asking = client(make)
    assert "Welcome to nginx!" in other.exec(asking, "/bin/wget", "-q", "-O", "-", place)
    assert other.exec(asking, *sh("wget -q -O - %sblob | sha256sum" % place)).split()[0] == \
        hashlib.sha256(servers.blob()).hexdigest()
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(place + "none", timeout=PATIENCE_S)
    pod.cri.StopContainer(container_id=container, timeout=PATIENCE_S, timeout_s=2 * PATIENCE_S)
    assert pod.status(container).exit_code == 0  # SIGTERM: its workers have ended, and it says so


def test_redis_is_asked_by_the_node_and_by_another_pod(make, servers_image):
    pod = make("redis", class_name())
    pod.start("c", servers.REDIS, image=servers_image)
    address = address_of(pod)
    command.eventually(lambda: answer_of(address, servers.REDIS_PORT, b"PING\r\n") == b"+PONG\r\n", PATIENCE_S, "an answer")
    other = make("redis-client", "ns")
    asking = other.start("c", ("/usr/bin/redis-server", "--port", "0", "--unixsocket", "/tmp/socket"), image=servers_image)
    for words, answer in (("set key value", "OK"), ("get key", "value"), ("incr count", "1"), ("incr count", "2")):
        assert other.exec(asking, "/usr/bin/redis-cli", "-h", address, *words.split()).strip() == answer
    assert answer_of(address, servers.REDIS_PORT, b"GET key\r\n") == b"$5\r\nvalue\r\n"


def answer_of(address, port, words):
    """What a server says to words that have a short answer; None without one."""
    try:
        with socket.create_connection((address, port), timeout=PATIENCE_S) as sock:
            sock.sendall(words)
            return sock.recv(4096)
    except ConnectionError:
        return None


def test_a_pod_of_the_class_asks_another_pod(make):
    server = make("server", "ns")
    server.start("c", sh(SERVER))
    ask("http://%s:%d/page" % (address_of(server), PORT))
    pod = make("asking", class_name())
    container = pod.start("c", ("/bin/sleep", "1000"))
    argv = ("/bin/wget", "-q", "-O", "-", "http://%s:%d/page" % (address_of(server), PORT))
    assert pod.exec(container, *argv) == "from server\n"
    assert "inet %s/" % address_of(pod) in pod.exec(container, "/bin/ip", "-4", "addr", "show", "dev", "eth0")


def test_a_low_port_is_for_who_has_the_capability(make):
    """Who judges is the class's kernel, and not the host's, for which a sentry is nobody. containerd 2 opens these ports to
    everybody, by a sysctl of the pod's network (enable_unprivileged_ports)."""
    pod = make("low", class_name())
    server = pod.start("c", sh("mkdir -p /www; echo low > /www/page; exec httpd -f -p 80 -h /www"))
    assert ask("http://%s/page" % address_of(pod)) == b"low\n"
    without = pod.start("d", ("/bin/sleep", "1000"), linux={"security_context": {
        "capabilities": {"drop_capabilities": ["NET_BIND_SERVICE"]}}})
    for container, allowed in ((without, SERIES == "2.1"), (server, True)):
        limit_s = 1 if allowed else PATIENCE_S  # who is refused ends by itself
        said = pod.exec(container, *sh("timeout %d probe serve 127.0.0.1 81 cat 2>&1; true" % limit_s))
        assert ("denied" in said) != allowed, said


class Names(threading.Thread):
    """A name server on an address: every name has the address 10.1.2.3."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)  # the gateway may not be there yet
        self.socket.bind((address, 53))
        self.asked = set()
        self.start()

    def run(self):
        while True:
            data, sender = self.socket.recvfrom(512)
            if data == b"end":
                return
            end = data.index(b"\0", 12)
            name, at = [], 12
            while at < end:
                name.append(data[at + 1:at + 1 + data[at]].decode())
                at += 1 + data[at]
            self.asked.add((".".join(name), sender[0]))
            question, kind = data[12:end + 5], data[end + 1:end + 3]
            answers = b"\0\1" if kind == b"\0\1" else b"\0\0"
            record = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + bytes((10, 1, 2, 3)) if kind == b"\0\1" else b""
            self.socket.sendto(data[:2] + b"\x85\x80\0\1" + answers + b"\0\0\0\0" + question + record, sender)

    def close(self):
        own = self.socket.getsockname()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as teller:
            teller.sendto(b"end", own)
        self.join()
        self.socket.close()


def test_names_by_the_resolver_of_the_pod(make):
    pod = make("names", class_name(), {"dns_config": {
        "servers": [GATEWAY], "searches": ["pods.test"], "options": ["ndots:1"]}})
    container = pod.start("c", ("/bin/sleep", "1000"))
    assert pod.exec(container, "/bin/cat", "/etc/resolv.conf").splitlines() == [
        "search pods.test", "nameserver " + GATEWAY, "options ndots:1"]
    names = Names(GATEWAY)
    try:
        assert "10.1.2.3" in pod.exec(container, "/bin/nslookup", "some.name.test")
        assert ("some.name.test", address_of(pod)) in names.asked
    finally:
        names.close()


def test_the_network_of_the_node(make):
    """Class ns is granted it. The others have a loopback device of their own: CAVEATS.md sentry-joined,
    vm-host-network."""
    pod = make("node", "caisson", hostname="", security_context={"namespace_options": {"network": 2}})
    container = pod.start("c", ("/bin/sleep", "1000"), linux={"security_context": {"namespace_options": {"network": 2}}})
    seen = {line.split(":")[1].strip().split("@")[0]
            for line in pod.exec(container, "/bin/ip", "-o", "link").splitlines()}
    assert seen == (set(os.listdir("/sys/class/net")) if class_name() == "ns" else {"lo"})


def test_a_sandbox_without_the_hosts_sockets_has_loopback_alone(make):
    """Class sentry with `network` "none"."""
    pod = make("alone", "sentry-alone")
    container = pod.start("c", sh(SERVER))
    assert [line.split()[1] for line in pod.exec(container, "/bin/ip", "-o", "link").splitlines()] == ["lo:"]
    assert pod.exec(container, *sh(
        "until wget -q -O - http://127.0.0.1:%d/page; do sleep 0.1; done" % PORT)) == "from alone\n"
    with pytest.raises(OSError):
        socket.create_connection((address_of(pod), PORT), timeout=PATIENCE_S).close()


def test_classes_side_by_side(make):
    """Under one containerd, each pod by its handler; what is left of one when it goes is no other's."""
    pods = {name: make("side-" + name, name) for name in CLASSES}
    containers = {name: pod.start("c", sh(SERVER)) for name, pod in pods.items()}
    for name, pod in pods.items():
        info = json.loads(pod.cri.PodSandboxStatus(pod_sandbox_id=pod.id, verbose=True).info["info"])
        with open("/proc/%d/comm" % info["pid"], encoding="utf-8") as f:
            assert f.read().strip() == PROGRAM_OF[name][:15]
        assert ask("http://%s:%d/page" % (address_of(pod), PORT)) == ("from side-%s\n" % name).encode()
    assert len({shim_of(pod.id) for pod in pods.values()}) == len(pods)
    # A pause that is a process of the host: that of class ns alone.
    assert [line for line in census.processes().values() if line.startswith("/pause")] == ["/pause"]
    for asking, pod in pods.items():
        for asked, other in pods.items():
            page = "http://%s:%d/page" % (address_of(other), PORT)
            assert pod.exec(containers[asking], "/bin/wget", "-q", "-O", "-", page) == "from side-%s\n" % asked
    for name in list(pods):
        gone = pods.pop(name)
        gone.cri.StopPodSandbox(pod_sandbox_id=gone.id)
        gone.cri.RemovePodSandbox(pod_sandbox_id=gone.id)
        for other in pods.values():
            ask("http://%s:%d/page" % (address_of(other), PORT))
