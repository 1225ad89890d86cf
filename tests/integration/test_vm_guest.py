# SPDX-License-Identifier: Apache-2.0
"""Class vm: the guest's kernel as a container sees it: what it was built with, how it stands to attacks by
speculation, and the packet filters that sidecars load."""

import gzip
import os
import re
import shutil

import pytest

from lib.programs import REPO_DIR

pytestmark = [pytest.mark.classes("vm"), pytest.mark.beyond("runc", "crun", reason="have no machines")]
WAIT_S = 120
FRAGMENT = REPO_DIR / "guest/kernel.config"
needs_iptables = pytest.mark.skipif(shutil.which("iptables-nft") is None or shutil.which("nft") is None,
                                    reason="needs iptables and nft: CAVEATS.md#unit-iproute2")
needs_ipset = pytest.mark.skipif(shutil.which("ipset") is None, reason="needs ipset: CAVEATS.md#unit-iproute2")


def run(runtime, bundle, script):
    return runtime.run(bundle, ["sh", "-ec", script], timeout_s=WAIT_S).stdout


def with_programs_of_the_host(bundle):
    for directory in ("/usr", "/lib", "/lib64", "/etc/alternatives"):
        if os.path.isdir(directory):
            bundle.bind(os.path.realpath(directory), directory, "ro")
    bundle.mount("/run", "tmpfs", "tmpfs")
    bundle.all_capabilities()


def rules(runtime, bundle, script):
    """The output of a script of rules; `counted PORT TO` is an answer of PORT's through loopback to who asks at TO."""
    with_programs_of_the_host(bundle)
    return run(runtime, bundle, "PATH=$PATH:/usr/sbin:/sbin; ip link set lo up\n"
               "echo yes >/run/yes; counted() { /bin/busybox nc -l -p $1 </run/yes >/dev/null & n=0\n"
               "until /bin/busybox nc -w 30 127.0.0.1 $2 </dev/null | grep yes; do\n"
               "n=$((n+1)); [ $n -lt 300 ]; sleep 0.1; done; }\n" + script)


def wanted():
    """{option: value} of the fragment."""
    lines = FRAGMENT.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line.startswith("CONFIG_"))


# ---- What it was built with ----


def test_kernel_has_every_option_of_the_fragment(runtime, bundle):
    bundle.bind(bundle.path, "/out")
    run(runtime, bundle, "cat /proc/config.gz >/out/config.gz")
    text = gzip.decompress((bundle.path / "config.gz").read_bytes()).decode()
    built = dict(line.split("=", 1) for line in text.splitlines() if line.startswith("CONFIG_"))

    lost = [f"{name}={value}" for name, value in wanted().items() if built.get(name, "n") != value]
    assert not lost
    for name in ("MODULES", "KEXEC", "KEXEC_FILE", "HIBERNATION", "DEVMEM", "PROC_KCORE", "DEBUG_FS", "KPROBES",
                 "MAGIC_SYSRQ", "X86_IOPL_IOPERM", "VSOCKETS", "BLK_DEV_DM", "AUTOFS_FS"):
        assert f"CONFIG_{name}" not in built


def test_nothing_is_open_that_software_can_close(runtime, bundle):
    seen = run(runtime, bundle, "cd /sys/devices/system/cpu/vulnerabilities; grep . *; cat /proc/cmdline")
    *bugs, words = seen.splitlines()
    found = dict(line.split(":", 1) for line in bugs)
    assert "mitigations=" not in words and "nospectre" not in words and "nopti" not in words
    assert {"meltdown", "spectre_v1", "spectre_v2", "retbleed", "mds"} <= set(found)
    assert found["spectre_v1"].startswith("Mitigation") and found["spectre_v2"].startswith("Mitigation")
    # What waits for microcode nobody inside can mend.
    assert not [name for name, state in found.items() if "Vulnerable" in state and "microcode" not in state], found


def test_kernel_tells_an_ordinary_user_little(runtime, bundle):
    seen = run(runtime, bundle, "cd /proc/sys; cat kernel/dmesg_restrict kernel/unprivileged_bpf_disabled "
               "net/core/bpf_jit_enable; cat /sys/kernel/security/lsm 2>/dev/null || true; ls /dev/mem /dev/kmem "
               "/proc/kcore 2>/dev/null || true")
    assert seen.split()[:3] == ["1", "2", "1"]
    assert not {"/dev/mem", "/dev/kmem", "/proc/kcore"} & set(seen.split())


# ---- Packet filters ----

MESH = """
i=iptables-{kind}
$i -t nat -N IN; $i -t nat -N TO_IN; $i -t nat -N OUT; $i -t nat -N TO_OUT
$i -t nat -A TO_IN -p tcp -j REDIRECT --to-ports 15006
$i -t nat -A TO_OUT -p tcp -j REDIRECT --to-ports 15001
$i -t nat -A PREROUTING -p tcp -j IN
$i -t nat -A IN -p tcp --dport 15008 -j RETURN
$i -t nat -A IN -p tcp -j TO_IN
$i -t nat -A OUTPUT -j OUT
$i -t nat -A OUT -o lo -s 127.0.0.6/32 -j RETURN
$i -t nat -A OUT -o lo ! -d 127.0.0.1/32 -p tcp ! --dport 15008 -m owner --uid-owner 1337 -j TO_IN
$i -t nat -A OUT -m owner --gid-owner 1337 -j RETURN
$i -t nat -A OUT -p tcp -m multiport --dports 80,443 -m comment --comment counted -j TO_OUT
$i -t mangle -N DIVERT
$i -t mangle -A DIVERT -j MARK --set-mark 1337
$i -t mangle -A DIVERT -j ACCEPT
$i -t mangle -A PREROUTING -p tcp -m socket --transparent -j DIVERT
$i -t mangle -A PREROUTING ! -d 127.0.0.1/32 -p tcp -j TPROXY --on-port 15006 --tproxy-mark 1337/0xffffffff
$i -t mangle -A PREROUTING -p tcp -m mark --mark 1337 -j CONNMARK --save-mark
$i -t mangle -A OUTPUT -p tcp -m connmark --mark 1337 -j CONNMARK --restore-mark
$i -t raw -A OUTPUT -p udp --dport 53 -m owner --uid-owner 1337 -j CT --zone 1
$i -t raw -A PREROUTING -p udp --sport 53 -j CT --zone 2
$i -t nat -A OUTPUT -p udp --dport 53 -d 10.0.0.10/32 -j REDIRECT --to-port 15053
$i -t nat -A POSTROUTING -p udp --dport 53 -j SNAT --to-source 10.8.0.7
"""
NODE = """
i=iptables-{kind}
$i -t nat -N SVC; $i -t nat -N EP; $i -t nat -N MASQ
$i -t nat -A MASQ -j MARK --or-mark 0x4000
$i -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j SVC
$i -t nat -A POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
$i -t nat -A POSTROUTING -j MASQUERADE --random-fully
$i -t nat -A SVC -m recent --name EP --rcheck --seconds 9 --reap -j EP
$i -t nat -A SVC -m statistic --mode random --probability 0.5 -j EP
$i -t nat -A EP -p tcp -m recent --name EP --set -j DNAT --to-destination 10.0.0.5:80
$i -A INPUT -m conntrack --ctstate INVALID -j DROP
$i -A INPUT -p tcp -m connlimit --connlimit-above 99 -j REJECT --reject-with tcp-reset
$i -A INPUT -p tcp -m hashlimit --hashlimit-name h --hashlimit-upto 1000/sec -m comment --comment counted
$i -A INPUT -m iprange --src-range 10.0.0.1-10.0.0.9 -j LOG
$i -A INPUT -m physdev --physdev-is-in -j ACCEPT
$i -A INPUT -m pkttype --pkt-type broadcast -m length --length 64:128 -j NFLOG --nflog-group 1
$i -A INPUT -m time --timestart 08:00 -p tcp -m string --algo bm --string nothing -j DROP
$i -A INPUT -m connbytes --connbytes 9: --connbytes-dir both --connbytes-mode packets -j RETURN
$i -A INPUT -p udp --dport 9 -j NFQUEUE --queue-num 1 --queue-bypass
$i -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -m tcpmss --mss 1300: -j TCPMSS --clamp-mss-to-pmtu
$i -t mangle -A POSTROUTING -m dscp --dscp 1 -j DSCP --set-dscp 2
$i -t mangle -A POSTROUTING -m ttl --ttl-eq 1 -j TTL --ttl-set 64
$i -t raw -A PREROUTING -m rpfilter --invert -j DROP
$i -t raw -A PREROUTING -p sctp --dport 9 -j NOTRACK
ip6tables-{kind} -t nat -A OUTPUT -p tcp -m multiport --dports 80 -j REDIRECT --to-ports 15001
ip6tables-{kind} -A INPUT -m hl --hl-eq 255 -p icmpv6 -j ACCEPT
ip6tables-{kind} -A INPUT -m frag -j REJECT
"""


def packets(listing):
    """Of the rule with the comment `counted`."""
    line = next(line for line in listing.splitlines() if "/* counted */" in line)
    return int(line.split()[0])


@needs_iptables
@pytest.mark.parametrize("kind", ["nft", "legacy"])
def test_rules_of_a_mesh_are_taken_and_count(runtime, bundle, kind):
    """What a service mesh's init container loads: what goes to port 80 is answered at 15001."""
    listing = rules(runtime, bundle, MESH.format(kind=kind) + "counted 15001 80; $i -t nat -vnxL OUT")
    assert packets(listing) > 0


@needs_iptables
@pytest.mark.parametrize("kind", ["nft", "legacy"])
def test_rules_of_a_node_are_taken_and_count(runtime, bundle, kind):
    """What kube-proxy, Docker and firewalls load."""
    listing = rules(runtime, bundle, NODE.format(kind=kind) + "counted 7000 7000; $i -vnxL INPUT")
    assert packets(listing) > 0


NFT = """
nft -f - <<END
table inet t {
	counter named { }
	quota much { over 1 mbytes }
	set seen { type ipv4_addr; flags dynamic, timeout; timeout 1m; }
	map ports { type inet_service : verdict; elements = { 9 : drop } }
	chain c_raw { type filter hook prerouting priority raw; ct zone set 7; }
	chain c_tproxy { type filter hook prerouting priority mangle;
		meta l4proto tcp socket transparent 1 meta mark set 1 accept
		ip daddr 10.9.9.9 tcp dport 80 tproxy ip to 127.0.0.1:15001 meta mark set 1 accept
	}
	chain c_in { type filter hook input priority filter;
		tcp dport vmap @ports
		ct state new add @seen { ip saddr }
		tcp dport 7000 counter name named
		tcp dport 22 ct count over 9 reject with tcp reset
		udp dport 9 queue flags bypass to 1
		quota name much drop
		fib daddr type local limit rate 1000/second accept
		ip dscp 1 log prefix "x" group 2
	}
	chain c_nat { type nat hook output priority -100;
		meta skuid 1337 return
		tcp dport 80 redirect to :7000
		tcp dport 81 dnat ip to numgen random mod 2 map { 0 : 127.0.0.1, 1 : 127.0.0.2 }
		tcp dport 82 dnat ip to jhash ip saddr mod 2 map { 0 : 127.0.0.1, 1 : 127.0.0.2 }
	}
	chain c_post { type nat hook postrouting priority 100; oifname "eth9" masquerade; }
}
table netdev d { chain c { type filter hook ingress device lo priority 0; ip saddr 192.0.2.1 drop; }; }
table bridge b { chain c { type filter hook forward priority 0; ether type arp accept; }; }
table arp a { chain c { type filter hook input priority 0; arp operation request accept; }; }
END
counted 7000 80
nft list counter inet t named
"""


@needs_iptables
def test_rules_of_nft_are_taken_and_count(runtime, bundle):
    listing = rules(runtime, bundle, NFT)
    assert int(re.search(r"packets (\d+)", listing)[1]) > 0


@needs_iptables
@needs_ipset
def test_rules_with_sets_are_taken_and_count(runtime, bundle):
    kinds = {"hash:ip": "127.0.0.1", "hash:net": "10.0.0.0/8", "hash:ip,port": "10.0.0.1,tcp:80",
             "hash:ip,port,ip": "10.0.0.1,tcp:80,10.0.0.2", "hash:ip,port,net": "10.0.0.1,tcp:80,10.0.0.0/24",
             "hash:net,port": "10.0.0.0/24,tcp:80", "hash:net,net": "10.0.0.0/24,10.1.0.0/24",
             "hash:net,iface": "10.0.0.0/24,lo", "hash:mac": "02:00:00:00:00:01"}
    script = "".join(f"ipset create s{n} {kind}; ipset add s{n} {member}\n"
                     for n, (kind, member) in enumerate(kinds.items()))
    bundle.rootfs.write("etc/protocols", "tcp 6 TCP\n")
    listing = rules(runtime, bundle, script + "ipset create p bitmap:port range 0-65535; ipset add p 7000\n"
                    "ipset create l list:set; ipset add l s0\n"
                    "iptables-nft -A INPUT -p tcp -m set --match-set p dst -m set --match-set l src -m comment "
                    "--comment counted\ncounted 7000 7000; iptables-nft -vnxL INPUT")
    assert packets(listing) > 0


# ---- What ends it ----

EAT = "dd if=/dev/zero of=/dev/null count=1 bs="


def test_a_panic_of_the_kernel_is_told_by_its_words(runtime, bundle):
    """A container that may write below /proc/sys makes its own machine's kernel panic, and no other's."""
    bundle.all_capabilities()
    bundle.linux.readonly_paths = []
    bundle.linux.resources.memory.limit = 64 << 20
    process = runtime.start_run(bundle, ["sh", "-c", f"echo 2 >/proc/sys/vm/panic_on_oom && echo set; {EAT}128M"])

    assert process.wait(WAIT_S) == 137, process.errors
    assert process.read_line() == "set"
    assert "the guest's kernel has panicked: Out of memory: compulsory panic_on_oom is enabled" in process.errors


def test_a_machine_without_memory_kills_what_eats_it(runtime, bundle):
    """No limit of the container's: the memory of the machine ends. Its agent goes on."""
    runtime.run_detached(bundle, ["sh", "-c", f"{EAT}4G; echo status $?; exec sleep 1000"])
    runtime.wait_for_output(bundle, "status 137", WAIT_S)

    assert runtime.exec(bundle, ["echo", "alive"]).stdout == "alive\n"
    runtime.stop(bundle)
