# SPDX-License-Identifier: Apache-2.0
"""Class vm: the interfaces of a pod's network namespace are its machine's, and nothing of that stays."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys

import pytest

from lib.runtime import wait_until

pytestmark = [pytest.mark.classes("vm"),
              pytest.mark.skipif(shutil.which("ip") is None, reason="needs ip(8): CAVEATS.md#unit-iproute2")]

WAIT_S = 60
# Devices with programs at their tcx ingress: bpf(2) is call 321 of x86-64, BPF_PROG_QUERY 16, BPF_TCX_INGRESS 46. An
# older kernel knows no such thing (EINVAL).
TCX = """
import ctypes, socket, struct
for index, name in socket.if_nameindex():
    asked = ctypes.create_string_buffer(struct.pack("4IQI", index, 46, 0, 0, 0, 0), 64)
    if ctypes.CDLL(None).syscall(321, 16, asked, 64) == 0 and struct.unpack_from("I", asked, 24)[0]:
        print(name)
"""


def sh(script, check=True, inside=None):
    """Its output; in the network namespace of process `inside`, or in the lane's."""
    enter = ["nsenter", "-t", str(inside), "-n"] if inside else []
    done = subprocess.run([*enter, "sh", "-ec", script], check=False, capture_output=True, text=True,
                          timeout=WAIT_S)
    assert not check or done.returncode == 0, done.stderr
    return done.stdout


class Pod:
    """A network namespace as a plugin of an engine makes it; the other ends are in the lane's."""

    def __init__(self):
        self.holder = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo ready; exec sleep 1000"],
                                       stdout=subprocess.PIPE)
        assert self.holder.stdout.readline() == b"ready\n"
        self.path = f"/proc/{self.holder.pid}/ns/net"
        self.outer = []
        self.sh("ip link set lo up")

    def sh(self, script, check=True):
        return sh(script, check, self.holder.pid)

    def veth(self, name, *addresses, mtu=1500, outside=()):
        peer = f"o-{name}"
        sh(f"ip link add {peer} mtu {mtu} type veth peer name {name} mtu {mtu} netns {self.holder.pid}; "
           f"ip link set {peer} up")
        self.outer.append(peer)
        self.sh(f"ip link set {name} up")
        for address in addresses:
            self.sh(f"ip addr add {address} dev {name} {'nodad' if ':' in address else ''}")
        for address in outside:
            sh(f"ip addr add {address} dev {peer} {'nodad' if ':' in address else ''}")
        return peer

    def redirects(self):
        """Devices whose packets go elsewhere: by a tcx link, or a qdisc of an older kernel."""
        linked = subprocess.run(["nsenter", "-t", str(self.holder.pid), "-n", sys.executable, "-c", TCX], check=True,
                                capture_output=True, text=True, timeout=WAIT_S).stdout.split()
        return linked + [line for line in self.sh("tc qdisc").splitlines() if "ingress" in line]

    def is_clean(self):
        """No tap, no redirect."""
        return "caisson" not in self.sh("ip link") and not self.redirects()

    def close(self):
        for name in self.outer:
            sh(f"ip link del {name}", check=False)
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()


@pytest.fixture
def pod(runtime, bundle):
    made = Pod()
    bundle.namespace("network", made.path)
    bundle.all_capabilities()
    yield made
    made.close()


@pytest.fixture
def plain(pod):
    """One interface, IPv4 and IPv6."""
    pod.veth("eth0", "10.8.0.7/24", "fd00:8::7/64", mtu=1400, outside=("10.8.0.1/24", "fd00:8::1/64"))
    pod.sh("ip route add default via 10.8.0.1; ip -6 route add default via fd00:8::1")
    return pod


def run(runtime, bundle, script):
    return runtime.run(bundle, ["sh", "-ec", script], timeout_s=WAIT_S).stdout


def connect(port):
    """To the container, which may not listen yet."""
    def attempt():
        try:
            return socket.create_connection(("10.8.0.7", port), timeout=WAIT_S)
        except OSError:
            return None
    client = wait_until(attempt, WAIT_S, f"an answer at port {port}")
    client.settimeout(WAIT_S)
    return client


def monitor_of(pid):
    """The process of QEMU, a child of the supervisor."""
    for entry in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split():
        if "qemu" in pathlib.Path(f"/proc/{entry}/comm").read_text(encoding="utf-8"):
            return int(entry)
    raise AssertionError("no QEMU")


def test_interface_has_its_name_mac_mtu_addresses_and_routes(runtime, bundle, plain):
    mac = plain.sh("ip -o link show eth0").split("link/ether ")[1].split()[0]

    seen = run(runtime, bundle, "ip -o link show eth0; ip addr show eth0; ip route; ip -6 route; ls /sys/class/net")
    assert mac in seen and "mtu 1400" in seen
    assert "inet 10.8.0.7/24" in seen and "inet6 fd00:8::7/64" in seen
    assert "default via 10.8.0.1 dev eth0" in seen and "default via fd00:8::1 dev eth0" in seen
    assert seen.split()[-2:] == ["eth0", "lo"]
    assert plain.is_clean()


def test_a_network_that_is_behind_its_router_is_asked_there(runtime, bundle, plain):
    """As CNI's ptp makes it: the kernel's own route to the network is taken away."""
    plain.sh("ip route flush dev eth0; ip route add 10.8.0.1 dev eth0 scope link; "
             "ip route add 10.8.0.0/24 via 10.8.0.1 dev eth0 src 10.8.0.7; ip -6 route del fd00:8::/64 dev eth0; "
             "ip -6 route add fd00:8::1 dev eth0; ip -6 route add fd00:8::/64 via fd00:8::1 dev eth0")
    outside = plain.sh("ip route; ip -6 route | grep fd00")
    assert "proto kernel" not in outside
    # BusyBox has fewer words for a route: the destinations, and by whom.
    assert [line.split(" dev ")[0] for line in run(runtime, bundle, "ip route; ip -6 route | grep fd00").splitlines()] \
        == [line.split(" dev ")[0] for line in outside.splitlines()]


def test_user_namespace_has_the_interface_for_its_own(runtime, bundle, plain):
    bundle.user_namespace()
    out = run(runtime, bundle, "ping -c 2 -W 30 10.8.0.1; ping -6 -c 2 -W 30 fd00:8::1; ip route; ls /sys/class/net;"
                               "ip link set eth0 mtu 1300; ip -o link show eth0")
    assert out.count(" 0% packet loss") == 2
    assert "default via 10.8.0.1 dev eth0" in out and "mtu 1300" in out
    assert plain.is_clean()


def test_packets_of_both_families_go_and_come_back(runtime, bundle, plain):
    out = run(runtime, bundle, "ping -c 2 -W 30 10.8.0.1; ping -6 -c 2 -W 30 fd00:8::1; "
                               "ping -c 1 -W 30 -s 1372 10.8.0.1; ip link show eth0")
    assert out.count(" 0% packet loss") == 3


def test_tcp_goes_both_ways(runtime, bundle, plain):
    with socket.create_server(("10.8.0.1", 0)) as server:
        server.settimeout(WAIT_S)
        process = runtime.start_run(bundle, ["sh", "-ec", f"echo question | nc -w 60 10.8.0.1 "
                                             f"{server.getsockname()[1]}; echo answer | nc -l -p 7000"])
        peer, _ = server.accept()
        with peer:
            assert peer.makefile().readline() == "question\n"
        with connect(7000) as client:
            assert client.makefile().readline() == "answer\n"
        process.popen.stdin.close()
        assert process.wait(WAIT_S) == 0


def test_bulk_arrives_whole(runtime, bundle, plain):
    """Through segmentation offload, of more than a window's size."""
    bundle.rootfs.write("bulk", os.urandom(1 << 20))
    with socket.create_server(("fd00:8::1", 0), family=socket.AF_INET6) as server:
        server.settimeout(WAIT_S)
        process = runtime.start_run(bundle, ["sh", "-ec", f"nc -w 60 fd00:8::1 {server.getsockname()[1]} < /bulk"])
        peer, _ = server.accept()
        with peer:
            peer.settimeout(WAIT_S)
            got = b"".join(iter(lambda: peer.recv(1 << 16), b""))
        process.wait(WAIT_S)
    assert got == (bundle.rootfs / "bulk").read_bytes()


def test_several_interfaces_tables_and_rules(runtime, bundle, plain):
    """A second veth with a table of its own, and a macvlan over a device outside."""
    plain.veth("net1", "10.9.0.7/24", outside=("10.9.0.1/24",))
    plain.sh("ip route add default via 10.9.0.1 dev net1 table 100; ip rule add from 10.9.0.7 table 100 prio 512; "
             "ip neigh add 10.9.0.9 lladdr 02:00:00:00:00:99 dev net1 nud permanent")
    sh("ip link add o-low type veth peer name o-lower; ip link set o-low up; ip link set o-lower up; "
       "ip addr add 10.10.0.1/24 dev o-lower; "
       f"ip link add link o-low name net2 netns {plain.holder.pid} type macvlan mode bridge")
    plain.outer.append("o-low")
    plain.sh("ip link set net2 up; ip addr add 10.10.0.7/24 dev net2")

    out = run(runtime, bundle, "for a in 10.8.0.1 10.9.0.1 10.10.0.1; do ping -c 1 -W 30 $a; done; "
                               "ip route show table 100; ip rule; ip neigh; ls /sys/class/net")
    assert out.count(" 0% packet loss") == 3
    assert "default via 10.9.0.1 dev net1" in out and "512:\tfrom 10.9.0.7 lookup 100" in out
    assert "02:00:00:00:00:99" in out and out.split()[-4:] == ["eth0", "lo", "net1", "net2"]


# At the other end of a user mode network's tap: answers who has an address, and echoes.
USER_MODE = r"""
import fcntl, os, struct
tap = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tap, 0x400454ca, struct.pack("16sH22x", b"eth0", 0x1002))  # TUNSETIFF: IFF_TAP, IFF_NO_PI
print("ready", flush=True)
own = bytes.fromhex("0200000000fe")
while True:
    f = os.read(tap, 65536)
    if f[12:14] == b"\x08\x06" and f[20:22] == b"\0\1":
        os.write(tap, f[6:12] + own + f[12:20] + b"\0\2" + own + f[38:42] + f[22:32])
    elif f[12:14] == b"\x08\0" and f[23] == 1 and f[34] == 8:
        total = struct.unpack("!H", f[36:38])[0] + 0x0800
        total = struct.pack("!H", (total & 0xffff) + (total >> 16))
        os.write(tap, f[6:12] + own + f[12:26] + f[30:34] + f[26:30] + b"\0" + f[35:36] + total + f[38:])
"""


def test_a_tap_of_a_user_mode_network_is_the_machines(runtime, bundle, pod):
    """As slirp4netns and pasta give it to an ordinary user's pod."""
    with subprocess.Popen(["nsenter", "-t", str(pod.holder.pid), "-n", sys.executable, "-c", USER_MODE],
                          stdout=subprocess.PIPE) as other_end:
        assert other_end.stdout.readline() == b"ready\n"
        pod.sh("ip link set eth0 mtu 1280 up; ip addr add 10.8.0.7/24 dev eth0; ip route add default via 10.8.0.2")
        out = run(runtime, bundle, "for a in 10.8.0.2 192.0.2.1; do ping -c 1 -W 30 $a; done; ip -o link show eth0")
        assert out.count(" 0% packet loss") == 2 and "mtu 1280" in out
        assert pod.is_clean()
        other_end.kill()


def test_an_interface_has_a_queue_for_each_cpu(runtime, bundle, plain):
    bundle.config["linux"].setdefault("resources", {})["cpu"] = {"quota": 200000, "period": 100000}

    out = run(runtime, bundle, "nproc; ls /sys/class/net/eth0/queues; ping -c 1 -W 30 10.8.0.1")
    last = int(out.split()[0]) - 1
    assert f"rx-{last}" in out and f"tx-{last}" in out and " 0% packet loss" in out
    assert last == min(2, len(os.sched_getaffinity(0))) - 1


def test_resolv_conf_of_the_engine_is_seen_inside(runtime, bundle, plain, work_dir):
    (work_dir / "resolv.conf").write_text("nameserver 10.8.0.53\n", encoding="ascii")
    bundle.bind(work_dir / "resolv.conf", "/etc/resolv.conf", "ro")

    assert run(runtime, bundle, "cat /etc/resolv.conf") == "nameserver 10.8.0.53\n"


def test_sysctls_of_the_network_are_set_inside(runtime, bundle, plain):
    """As Podman and containerd ask for them."""
    bundle.linux["sysctl"] = {"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 0",
                              "net.ipv4.conf.eth0.rp_filter": "2"}
    outside = plain.sh("cat /proc/sys/net/ipv4/ip_unprivileged_port_start")

    out = run(runtime, bundle, "cd /proc/sys/net/ipv4; cat ip_unprivileged_port_start ping_group_range conf/eth0/rp_filter")
    assert out.split() == ["0", "0", "0", "2"]
    assert plain.sh("cat /proc/sys/net/ipv4/ip_unprivileged_port_start") == outside != "0\n"


def test_a_new_namespace_has_a_loopback_alone(runtime, bundle):
    bundle.namespace("network")
    bundle.all_capabilities()

    assert run(runtime, bundle, "ls /sys/class/net; ping -c 1 -W 30 127.0.0.1 > /dev/null").split() == ["lo"]


@pytest.mark.parametrize("victim", ["monitor", "supervisor"])
def test_nothing_stays_when_a_machine_is_killed(runtime, bundle, plain, victim, wait_for):
    runtime.run_detached(bundle, timeout_s=WAIT_S)
    assert "caisson0" in plain.sh("ip link") and any("eth0" in one for one in plain.redirects())
    pid = runtime.state(bundle).pid

    os.kill(monitor_of(pid) if victim == "monitor" else pid, signal.SIGKILL)
    wait_for(plain.is_clean, WAIT_S, "the tap and its redirects to go")
    runtime.call("delete", "--force", bundle.id, timeout_s=WAIT_S)
    # The namespace is as good as new.
    assert " 0% packet loss" in run(runtime, bundle, "ping -c 1 -W 30 10.8.0.1")


def test_what_a_machine_cannot_have_is_refused_by_name(runtime, bundle, plain):
    plain.sh("ip tuntap add wg0 mode tun; ip link set wg0 up")

    refused = runtime.run(bundle, ["true"], check=False, timeout_s=WAIT_S)
    assert refused.returncode != 0 and "network: wg0 (tun) is no Ethernet device" in refused.stderr
    assert plain.is_clean()


def test_two_machines_do_not_share_a_namespace(runtime, bundle, plain, make_bundle):
    runtime.run_detached(bundle, timeout_s=WAIT_S)
    other = make_bundle()
    other.namespace("network", plain.path)
    other.config["annotations"] = {"io.kubernetes.cri.container-type": "sandbox"}

    refused = runtime.run(other, ["true"], check=False, timeout_s=WAIT_S)
    assert refused.returncode != 0 and "another machine's already" in refused.stderr
    assert "caisson0" in plain.sh("ip link")


def test_the_second_in_a_namespace_is_in_the_machine_of_the_first(runtime, bundle, plain, make_bundle):
    runtime.run_detached(bundle, timeout_s=WAIT_S)
    other = make_bundle()
    other.namespace("network", plain.path)

    boot = "cat /proc/sys/kernel/random/boot_id"
    first = runtime.exec(bundle, ["sh", "-c", boot]).stdout
    out = runtime.run(other, ["sh", "-c", boot + "; ip addr"], timeout_s=WAIT_S).stdout
    assert out.startswith(first) and "inet 10.8.0." in out
    assert runtime.status(bundle) == "running" and "caisson0" in plain.sh("ip link")


def test_a_tap_that_a_fallen_qemu_left_is_removed(runtime, bundle, plain, wait_for):
    """By the next start, and by delete."""
    plain.sh("ip tuntap add caisson0 mode tap")
    runtime.run_detached(bundle, timeout_s=WAIT_S)
    os.kill(runtime.state(bundle).pid, signal.SIGKILL)
    wait_for(plain.is_clean, WAIT_S, "the tap to go with its machine")
    plain.sh("ip tuntap add caisson1 mode tap")
    runtime.call("delete", "--force", bundle.id, timeout_s=WAIT_S)
    assert plain.is_clean()


@pytest.mark.skipif(shutil.which("tc") is None, reason="needs tc(8): CAVEATS.md#unit-iproute2")
def test_a_filter_that_a_machine_left_goes_with_its_container(runtime, bundle, plain):
    """As an older kernel, which has no links, keeps it."""
    runtime.run_detached(bundle, timeout_s=WAIT_S)
    plain.sh("tc qdisc add dev eth0 ingress; tc filter add dev eth0 parent ffff: prio 51721 protocol all "
             "u32 match u32 0 0 action mirred egress redirect dev caisson0")
    runtime.call("delete", "--force", bundle.id, timeout_s=WAIT_S)

    assert plain.is_clean()


@pytest.mark.skipif(shutil.which("iptables-nft") is None, reason="needs iptables: CAVEATS.md#unit-iproute2")
def test_the_rules_of_a_sidecar_hold_inside(runtime, bundle, plain):
    """What a mesh's init container does, by nftables; what comes to port 80 is answered at 7000."""
    for directory in ("/usr", "/lib", "/lib64", "/etc/alternatives"):
        if os.path.isdir(directory):
            bundle.bind(os.path.realpath(directory), directory, "ro")
    bundle.mount("/run", "tmpfs", "tmpfs")
    process = runtime.start_run(bundle, [
        "sh", "-ec", "PATH=$PATH:/usr/sbin; i='iptables-nft -t nat'; $i -N IN; $i -A PREROUTING -p tcp -j IN; "
        "$i -A IN -p tcp -m multiport --dports 80,81 -j REDIRECT --to-ports 7000; "
        "$i -A OUTPUT -p tcp -m owner --uid-owner 1337 -j RETURN; $i -A POSTROUTING -o eth0 -j MASQUERADE; "
        "iptables-nft -A INPUT -m conntrack --ctstate NEW,ESTABLISHED -m comment --comment x -j ACCEPT; "
        "ip6tables-nft -A INPUT -p tcp --dport 9 -j REJECT; iptables-nft -S INPUT; echo ready; "
        "echo answer | /bin/busybox nc -l -p 7000"])
    lines = []
    while (line := process.read_line()) not in ("ready", ""):
        lines.append(line)
    assert any("--ctstate NEW,ESTABLISHED" in line for line in lines)

    with connect(80) as client:
        assert client.makefile().readline() == "answer\n"
    process.popen.stdin.close()
    assert process.wait(WAIT_S) == 0, process.errors


CNI = pathlib.Path("/usr/lib/cni")


def cni(command, pod, interface, config):
    """What an engine does with a plugin: ADD or DEL."""
    env = {"CNI_COMMAND": command, "CNI_CONTAINERID": "it", "CNI_NETNS": pod.path, "CNI_IFNAME": interface,
           "CNI_PATH": str(CNI), "PATH": os.environ["PATH"]}
    config = {"cniVersion": "0.4.0", "name": f"net-{interface}", **config}
    done = subprocess.run([CNI / config["type"]], input=json.dumps(config), env=env, capture_output=True, text=True,
                          timeout=WAIT_S, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(not (CNI / "bridge").exists(), reason="needs CNI plugins: CAVEATS.md#unit-iproute2")
def test_interfaces_of_cni_plugins(runtime, bundle, pod, work_dir):
    """bridge with both families, and ptp, whose gateway is in no network of the pod's."""
    bridge = {"type": "bridge", "bridge": "cni-it0", "isDefaultGateway": True, "ipam": {
        "type": "host-local", "dataDir": str(work_dir / "ipam"),
        "ranges": [[{"subnet": "10.11.0.0/24"}], [{"subnet": "fd00:11::/64"}]]}}
    ptp = {"type": "ptp", "ipam": {"type": "host-local", "dataDir": str(work_dir / "ipam"), "subnet": "10.12.0.0/24",
                                   "routes": [{"dst": "10.77.0.0/16"}]}}
    pod.outer.append("cni-it0")
    cni("ADD", pod, "eth0", bridge)
    cni("ADD", pod, "net1", ptp)

    out = run(runtime, bundle, "for a in 10.11.0.1 fd00:11::1 10.12.0.1; do ping -c 1 -W 30 $a; done; ip route")
    assert out.count(" 0% packet loss") == 3
    assert "default via 10.11.0.1 dev eth0" in out and "10.77.0.0/16 via 10.12.0.1 dev net1" in out
    assert pod.is_clean()
    cni("DEL", pod, "net1", ptp)
    cni("DEL", pod, "eth0", bridge)
    assert "eth0" not in pod.sh("ip link")
