# SPDX-License-Identifier: Apache-2.0
"""KVM for real: a guest whose emulated CPU has SVM and whose kernel has KVM_AMD, and a machine inside it."""

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


def test_a_container_of_class_vm_runs_under_kvm(guest):
    # As udev leaves the device: a group of its own may open it.
    done = guest(*with_kernel(), "--memory", "1536", script=(
        "chown 0:78 /dev/kvm && chmod 660 /dev/kvm && mkdir -p /etc/caisson && "
        "echo '{\"vm.accel\": \"kvm\", \"vm.memory\": \"192M\", \"vm.boot_timeout\": \"300\"}' >/etc/caisson/caisson.json && "
        "build/bin/caisson --isolation vm do -- /bin/sh -c '"
        "cat /sys/devices/system/clocksource/clocksource0/current_clocksource; uname -r; exit 5'; "
        "echo $?; uname -r"))
    assert done.code == 0, done
    assert len(done.out.split()) == 4, done
    clock, inner, status, outer = done.out.split()
    assert (clock, status) == ("kvm-clock", "5") and inner != outer and "cloud" in outer, done
