# SPDX-License-Identifier: Apache-2.0
"""One test guest under QEMU, from its start to the command's exit status. Runs as process 1 of a pid namespace
with mounts of its own, so that nothing is left whatever ends it."""

import collections
import ctypes
import mmap
import os
import pathlib
import secrets
import selectors
import shlex
import socket
import subprocess
import time

import images

VIRTIOFSD = ("/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd")
PLACE = pathlib.Path("/mnt")  # covered by a tmpfs of our own mount namespace
CONSOLE_KEPT = 16 << 10  # bytes
CHUNK = 1 << 16
KVM_PROBE_S = 20.0
START_S = 300.0  # to the command's beginning; a host that emulates beside other work is slow
EMULATED_APIC_HZ = 1000000000
Outcome = collections.namedtuple("Outcome", "status missing")


class GuestError(Exception):
    """The guest did not get as far as the command's end; says why."""


def tsc_khz():
    """The rate of this CPU's time stamp counter, which an emulated guest sees and cannot measure well."""
    code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(bytes.fromhex("0f3148c1e2204809d0c3"))  # rdtsc; shl $32,%rdx; or %rdx,%rax; ret
    read = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(ctypes.c_char.from_buffer(code)))

    def both():
        """(time, counter) at one moment: the tightest of some, as on a busy host another process may come between."""
        tries = [(time.monotonic_ns(), read(), time.monotonic_ns()) for _ in range(20)]
        before, ticks, _ = min(tries, key=lambda one: one[2] - one[0])
        return before, ticks

    began = both()
    time.sleep(0.05)
    ended = both()
    return (ended[1] - began[1]) * 1000000 // (ended[0] - began[0])


def words_of(kernel, accel, cpus):
    """The kernel's command line."""
    words = ["console=ttyS0", "quiet", "panic=-1", "reboot=t", "cgroup_no_v1=all"]
    if accel == "tcg":
        words += ["no_timer_check", "mitigations=off", f"tsc_early_khz={tsc_khz()}"]
        if kernel.ours:
            words.append(f"lapic_hz={EMULATED_APIC_HZ}")
    if cpus == 1:
        words.append("noreplace-smp")
    return " ".join(words)


def machine_args(options, kernel, accel):
    """Our kernel is told of its devices on its command line; a distribution's finds them by PCI."""
    if kernel.ours:
        machine, bus = "microvm,x-option-roms=off,isa-serial=on,rtc=on,pit=on,pic=on,acpi=off", "device"
    else:
        machine, bus = "q35,graphics=off,smbus=off,sata=off,usb=off", "pci"
    cpu = options.cpu or ("host" if accel == "kvm" else "max")
    return bus, [
        "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
        "-machine", machine + ",memory-backend=memory", "-accel", "kvm" if accel == "kvm" else "tcg,thread=single",
        "-cpu", cpu, "-smp", str(options.cpus),
        "-m", f"{options.memory}M", "-object", f"memory-backend-memfd,id=memory,size={options.memory}M,share=on",
        "-global", "virtio-mmio.force-legacy=off", "-object", "rng-builtin,id=entropy",
        "-device", f"virtio-rng-{bus},rng=entropy", "-device", f"virtio-serial-{bus},max_ports=4",
        "-kernel", str(kernel.path), "-append", words_of(kernel, accel, options.cpus)]


class Machine:
    """The processes of a guest and what they say."""

    def __init__(self, argv):
        self.argv, self.ours, self.theirs = argv, {}, []
        self.console, self.stderr = bytearray(), b""
        self.inherited = []  # descriptors that the command line names
        self.process = None

    def channel(self, name):
        """A socket to QEMU's character device `name`."""
        mine, other = socket.socketpair()
        self.ours[name] = mine
        self.theirs.append(other)
        self.argv += ["-chardev", f"socket,id={name},fd={other.fileno()}"]

    def start(self):
        self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=open(PLACE / "stderr", "wb"),
                                        pass_fds=[*self.inherited, *(s.fileno() for s in self.theirs)])
        for other in self.theirs:
            other.close()

    def hear_console(self, data):
        self.console += data
        del self.console[:-CONSOLE_KEPT]

    def last_words(self):
        said = [(PLACE / "stderr").read_text(errors="replace").strip(),
                self.console.decode(errors="replace").strip()]
        return "\n".join(filter(None, said)) or "(neither QEMU nor the guest said anything)"

    def end(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
        return self.process.wait() if self.process else None


def kvm_works(kernel):
    """A kernel really runs under KVM: /dev/kvm alone proves nothing. Remembered until the host boots again."""
    boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    verdict = images.CACHE / f"kvm-{boot}"
    if not verdict.exists():
        works = os.access("/dev/kvm", os.R_OK | os.W_OK) and probe_kvm(kernel)
        verdict.write_text("yes\n" if works else "no\n")
    return verdict.read_text() == "yes\n"


def probe_kvm(kernel):
    machine = Machine(["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
                       "-machine", "microvm,x-option-roms=off,acpi=off", "-accel", "kvm", "-cpu", "host", "-m", "64M",
                       "-kernel", str(kernel.path), "-append", "console=ttyS0 panic=-1 reboot=t"])
    machine.channel("console")
    machine.argv += ["-serial", "chardev:console"]
    machine.start()
    console = machine.ours["console"]
    deadline = time.monotonic() + KVM_PROBE_S
    try:
        while b"Unable to mount root fs" not in machine.console:
            console.settimeout(max(deadline - time.monotonic(), 0.01))
            data = console.recv(CHUNK)
            if not data:
                return False
            machine.hear_console(data)
        return True
    except TimeoutError:
        return False
    finally:
        machine.end()


# ---------------------------------------------------------------------------- what the guest gets


def bind_readonly(mount, source, target):
    target.mkdir()
    mount(str(source), str(target), None, bind=True)
    mount(None, str(target), None, bind=True, remount=True, readonly=True)


def share(options, mount):
    """The directories that virtiofsd serves, each bound read-only; the socket that it listens at."""
    top = PLACE / "share"
    top.mkdir()
    if options.root:
        bind_readonly(mount, options.root, top / "root")
    for number, (source, _) in enumerate(options.shares):
        bind_readonly(mount, source, top / str(number))
    program = next((p for p in VIRTIOFSD if os.access(p, os.X_OK)), None)
    if program is None:
        raise GuestError("virtiofsd is not installed (qemu-system-common)")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(PLACE / "files.sock"))
    listener.listen(1)
    log = open(PLACE / "stderr", "ab")
    subprocess.Popen([program, f"--fd={listener.fileno()}", "-o", f"source={top}", "-o", "cache=auto", "-o", "xattr",
                      "-o", "log_level=err"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                     pass_fds=[listener.fileno()])
    listener.close()


def first_files(options, mark):
    """Settings and the command, as init.sh and job.sh read them."""
    settings = {
        "ROOT": "share" if options.root else "disk",
        "INIT": "systemd" if options.systemd else "job",
        "SHARED": "yes" if options.root or options.shares else "",
        "SHARES": " ".join(target for _, target in options.shares),
        "DIRECTORY": options.directory,
        "COPIES": "\n".join(options.copy_out),
        "MARK": mark,
    }
    lines = [f"{name}={shlex.quote(value)}" for name, value in settings.items()]
    exports = [f"export {shlex.quote(setting)}" for setting in options.env]
    command = "\n".join(["#!/bin/sh", *exports, "exec " + shlex.join(options.command), ""])
    return {"guest.conf": "\n".join(lines + [""]).encode(), "command": command.encode()}


# ---------------------------------------------------------------------------- what it says


class Stream:
    """Bytes of the command up to the mark, passed on to a descriptor as they come."""

    def __init__(self, fd, mark):
        self.fd, self.mark, self.held, self.ended = fd, mark, b"", False

    def feed(self, data):
        if self.ended:
            return
        self.held += data
        at = self.held.find(self.mark)
        self.ended = at >= 0
        # What may be the beginning of the mark waits for the rest.
        ready = at if self.ended else max(len(self.held) - len(self.mark) + 1, 0)
        if not self.ended and self.mark[:1] not in self.held[ready:]:
            ready = len(self.held)
        self.pass_on(self.held[:ready])
        self.held = self.held[ready:]

    def pass_on(self, data):
        while data:
            try:
                data = data[os.write(self.fd, data):]
            except BrokenPipeError:
                return


class Control:
    """The port `ctl`: lines, and archives between them."""

    def __init__(self, into):
        self.into, self.line, self.left, self.tar = into, b"", 0, None
        self.began, self.status, self.missing = False, None, []

    def feed(self, data):
        while data:
            if self.left:
                piece, data = data[:self.left], data[self.left:]
                self.left -= len(piece)
                self.tar.stdin.write(piece)
                if not self.left:
                    self.finish_archive()
                continue
            piece, newline, data = data.partition(b"\n")
            self.line += piece
            if newline:
                self.hear(self.line.decode(errors="replace"))
                self.line = b""

    def hear(self, line):
        word, _, rest = line.partition(" ")
        if word == "begin":
            self.began = True
        elif word == "status":
            self.status = int(rest)
        elif word == "missing":
            self.missing.append(rest)
        elif word == "file":
            self.left = int(rest)
            self.tar = subprocess.Popen(["tar", "-x", "-C", self.into], stdin=subprocess.PIPE)

    def finish_archive(self):
        self.tar.stdin.close()
        if self.tar.wait():
            raise GuestError(f"tar could not unpack a copy into {self.into}")


def listen(machine, options, mark):
    """Until the command has ended and all that it said has come."""
    out, err, control = Stream(1, mark), Stream(2, mark), Control(options.into)
    show = Stream(2, b"\0") if options.console else None
    selector = selectors.DefaultSelector()
    for name, sink in (("out", out), ("err", err), ("ctl", control), ("console", None)):
        selector.register(machine.ours[name], selectors.EVENT_READ, (name, sink))
    deadline, limit, what = time.monotonic() + START_S, START_S, "to start"
    while control.status is None or not (out.ended and err.ended):
        ready = selector.select(max(deadline - time.monotonic(), 0))
        if not ready:
            raise TimeoutError(f"{limit:g} s were not enough {what}")
        for key, _ in ready:
            name, sink = key.data
            data = key.fileobj.recv(CHUNK)
            if not data:
                raise GuestError(f"the guest is gone: QEMU's status {machine.process.wait(10)}")
            if sink is None:
                machine.hear_console(data)
                if show:
                    show.pass_on(data)
            else:
                sink.feed(data)
        if control.began and limit != options.time_limit:
            deadline, limit, what = time.monotonic() + options.time_limit, options.time_limit, "for the command"
    return Outcome(control.status, control.missing)


def run(options, kernel, disk, mount):
    """Boot, run the command; Outcome, or GuestError or TimeoutError with the guest's last words."""
    mount("tmpfs", str(PLACE), "tmpfs")
    accel = options.accel
    if accel == "auto":
        accel = "kvm" if kernel.ours and kvm_works(kernel) else "tcg"
    mark = f"[end of guest-run {secrets.token_hex(16)}]"
    archive = os.memfd_create("first-file-system", 0)
    os.write(archive, images.first_file_system(kernel, (*images.MODULES, *options.module), first_files(options, mark)))
    bus, argv = machine_args(options, kernel, accel)
    machine = Machine([*argv, "-initrd", f"/proc/self/fd/{archive}"])
    machine.inherited.append(archive)
    for name in ("console", "out", "err", "ctl"):
        machine.channel(name)
    machine.argv += ["-serial", "chardev:console"]
    for number, name in enumerate(("out", "err", "ctl"), 1):
        machine.argv += ["-device", f"virtserialport,chardev={name},nr={number},name={name}"]
    if disk:
        machine.argv += ["-drive", f"if=none,id=disk,format=raw,snapshot=on,cache=unsafe,file={disk}",
                         "-device", f"virtio-blk-{bus},drive=disk"]
    if options.root or options.shares:
        share(options, mount)
        machine.argv += ["-chardev", f"socket,id=files,path={PLACE}/files.sock",
                         "-device", f"vhost-user-fs-{bus},chardev=files,tag=guest"]
    try:
        machine.start()
        return listen(machine, options, mark.encode())
    except (GuestError, TimeoutError) as error:
        machine.end()
        raise type(error)(f"{error}; its last words:\n{machine.last_words()}") from None
    finally:
        machine.end()
