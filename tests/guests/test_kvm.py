# SPDX-License-Identifier: Apache-2.0
"""KVM for real: a guest whose emulated CPU has SVM and whose kernel has KVM_AMD, and a machine inside it."""

import json
import os

from conftest import REPO

KERNEL = REPO / "build/guest/vmlinux"
# The host's own programs are the root: its QEMU runs inside, too.
HOST = ("--kernel", "debian", "--root", "/", "--cpu", "max,+svm", "--module", "kvm_amd")


def with_kernel():
    """The guest's kernel, which is a link out of the checkout, at the same place inside."""
    place = os.path.dirname(os.path.realpath(KERNEL))
    return (*HOST, "--share", f"{place}:{place}")


def test_our_kernel_runs_under_kvm(guest):
    done = guest(*with_kernel(), script=(
        "qemu-system-x86_64 -nodefaults -no-user-config -no-reboot -display none -accel kvm -cpu host -m 64M "
        "-machine microvm,x-option-roms=off,acpi=off,rtc=off,pit=off,pic=off -serial stdio "
        f"-kernel {os.path.realpath(KERNEL)} -append 'console=ttyS0 panic=-1 reboot=t'"))
    assert done.code == 0 and "Hypervisor detected: KVM" in done.out, done
    assert "Kernel panic - not syncing: VFS: Unable to mount root fs" in done.out, done


# As udev leaves the device: a group of its own may open it. vm.accel is auto: what the probe finds.
SETUP = r"""
chown 0:78 /dev/kvm && chmod 660 /dev/kvm && mkdir -p /etc/caisson /tmp/bundle/rootfs && cd /tmp/bundle &&
echo '{"vm.memory": "192M", "vm.boot_timeout": "300"}' >/etc/caisson/caisson.json && cp /bin/busybox rootfs &&
/src/build/bin/caisson spec && sed -i 's/"terminal": true/"terminal": false/; s|"sh"|"/busybox", "sleep", "1000"|' config.json
"""
ASKED = r"""
caisson="/src/build/bin/caisson --isolation vm"
$caisson check --json; echo; echo =
$caisson do -- /bin/sh -c 'cat /sys/devices/system/clocksource/clocksource0/current_clocksource; uname -r; exit 5'
echo $?; uname -r; echo =
$caisson run -d --bundle /tmp/bundle c >&2 && $caisson state c; echo; echo =
$caisson debug c metrics; $caisson delete --force c
"""


def test_a_container_of_class_vm_runs_under_kvm(guest):
    done = guest(*with_kernel(), "--memory", "1536", script=f"({SETUP}) && {ASKED}")
    assert done.code == 0, done
    check, ran, state, metrics = done.out.split("\n=\n")

    probe = next(one for one in json.loads(check)["classes"]["vm"]["checks"] if one["name"] == "kvm")
    assert probe["result"] == "ok", done
    clock, inner, status, outer = ran.split()
    assert (clock, status) == ("kvm-clock", "5") and inner != outer and "cloud" in outer, done
    assert json.loads(state)["accelerator"] == "kvm" and "caisson_vm_emulated 0\n" in metrics, done
