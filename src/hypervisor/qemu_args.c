/* SPDX-License-Identifier: Apache-2.0 */
#include "hypervisor/qemu_args.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/str.h"

/*
 * Of every machine: its pages are not merged with others' of the same content (who measures how
 * long a write takes would learn what they have), and are in no core dump.
 */
#define MEMORY ",mem-merge=off,dump-guest-core=off,memory-backend=memory"
/* Behind all that the machine may have by itself. */
#define SLOTS_ADDRESS 0x1cu

/* A list of arguments under way; errors are sticky. */
struct args {
	char **list; /* owned */
	int error;
};

__attribute__((format(printf, 2, 3))) static void add(struct args *a, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (a->error)
		return;
	a->error = n < 0 || (size_t)n >= sizeof(text) ? -E2BIG : strv_add(&a->list, text);
}

/* Text of others, which may have any length and any sign. */
static void add_text(struct args *a, const char *text)
{
	if (!a->error)
		a->error = strv_add(&a->list, text);
}

static bool has_pci(const struct machine *m)
{
	return m->type != MACHINE_MICROVM;
}

/* The name of a virtio device on the machine's bus. */
static const char *bus(const struct machine *m)
{
	return has_pci(m) ? "pci" : "device";
}

/* Who serves files maps the guest's memory; a private memfd would hold each page twice. */
static void add_memory(struct args *a, const struct machine *m)
{
	const bool files = m->files >= 0;

	add(a, "-object");
	if (m->role == MACHINE_FRESH)
		add(a, "memory-backend-%s,id=memory,size=%" PRIu64 "B,share=%s",
		    files ? "memfd" : "ram", m->memory, files ? "on" : "off");
	else
		add(a,
		    "memory-backend-file,id=memory,size=%" PRIu64 "B,mem-path=" QEMU_FDS
		    "/%d,share=%s",
		    m->memory, QEMU_MEMORY_FD, m->role == MACHINE_CLONE ? "off" : "on");
	if (m->role == MACHINE_CLONE || m->role == MACHINE_COPY) {
		add(a, "-incoming");
		add(a, "defer");
	}
}

/* What may be plugged; and of the command line what says how much that is. */
static bool has_room(const struct machine *m)
{
	return m->memory_max > m->memory;
}

/*
 * A device whose memory the host holds only as far as the guest has been given it. Shared with who
 * serves files from the beginning, so that its table of the guest's memory stays as it is.
 */
static void add_room(struct args *a, const struct machine *m)
{
	if (!has_room(m))
		return;
	add(a, "-object");
	add(a, "memory-backend-%s,id=room,size=%" PRIu64 "B,share=%s",
	    m->files >= 0 ? "memfd" : "ram", m->memory_max - m->memory,
	    m->files >= 0 ? "on" : "off");
	add(a, "-device");
	add(a, "virtio-mem-pci,id=" QEMU_ROOM ",memdev=room,requested-size=0,block-size=%lluB",
	    MACHINE_MEMORY_GRAIN);
}

/* Addresses that images are mapped at, each aligned. */
static uint64_t pmem_bytes(const struct machine *m)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < m->disks_len; i++)
		sum += m->disks[i].pmem ? m->disks[i].pmem + MACHINE_PMEM_GRAIN : 0;
	return sum;
}

static void add_type(struct args *a, const struct machine *m)
{
	/*
	 * Under KVM the guest has kvm-clock and its time stamp counter and needs none of the
	 * three; emulated, it measures its clocks by them, and for a missing RTC it waits a second.
	 */
	const char *legacy = m->accel == MACHINE_KVM ? "off" : "on";

	add(a, "-machine");
	if (m->type == MACHINE_Q35)
		add(a, "q35,graphics=off,smbus=off,sata=off,usb=off" MEMORY);
	else
		add(a,
		    "microvm,x-option-roms=off,isa-serial=on,rtc=%s,pit=%s,pic=%s,acpi=on,pcie=%"
		    "s" MEMORY,
		    legacy, legacy, legacy, has_pci(m) ? "on" : "off");
	if (m->type != MACHINE_Q35) {
		/*
		 * By itself QEMU takes bios-microvm.bin. Debian 12 has this one behind that name,
		 * Debian 13 SeaBIOS, which is slower and finds no kernel without option ROMs.
		 */
		add(a, "-bios");
		add(a, "qboot.rom");
	}
	add(a, "-accel");
	/*
	 * QEMU 7.2 translates code while another processor rewrites it, and then runs what was
	 * half written: a guest's kernel that patches itself panics. One thread for all of them.
	 */
	if (m->accel == MACHINE_KVM)
		add(a, "kvm");
	else
		add(a, "tcg,thread=single,tb-size=%u", QEMU_TRANSLATED_MIB);
	add(a, "-cpu");
	/* Emulated, "rep stosb" goes byte by byte, and the kernel prefers it when it counts as
	 * fast. */
	if (m->accel == MACHINE_TCG)
		add(a, "max,-erms,-fsrm%s", m->nested ? "" : ",-svm");
	else
		add(a, "host,pmu=off%s", m->nested ? "" : ",vmx=off,svm=off");
	add(a, "-smp");
	if (m->cpus_max > m->cpus)
		add(a, "cpus=%u,maxcpus=%u", m->cpus, m->cpus_max);
	else
		add(a, "%u", m->cpus);
	add(a, "-m");
	if (has_room(m) || pmem_bytes(m))
		add(a, "size=%" PRIu64 "B,maxmem=%" PRIu64 "B", m->memory,
		    (has_room(m) ? m->memory_max : m->memory) + pmem_bytes(m));
	else
		add(a, "%" PRIu64 "B", m->memory);
	add_memory(a, m);
	/* virtiofsd speaks virtio 1 alone. */
	add(a, "-global");
	add(a, "virtio-mmio.force-legacy=off");
}

static void add_channel(struct args *a, const char *id, int fd)
{
	add(a, "-chardev");
	add(a, "socket,id=%s,fd=%d", id, fd);
}

static void add_channels(struct args *a, const struct machine *m)
{
	add_channel(a, "monitor", m->monitor);
	add(a, "-mon");
	add(a, "chardev=monitor,mode=control");
	add_channel(a, "console", m->console);
	add(a, "-serial");
	add(a, "chardev:console");
	add_channel(a, "agent", m->agent);
	add(a, "-device");
	add(a, "virtio-serial-%s,max_ports=2", bus(m));
	add(a, "-device");
	add(a, "virtserialport,chardev=agent,nr=1,name=" MACHINE_AGENT_PORT);
	add(a, "-object");
	add(a, "rng-builtin,id=entropy");
	add(a, "-device");
	add(a, "virtio-rng-%s,rng=entropy", bus(m));
	/* QEMU 7.2 would cut what it gives back out of the template's file. */
	if (m->role != MACHINE_FRESH)
		return;
	add(a, "-device");
	add(a, "virtio-balloon-%s,free-page-reporting=on", bus(m));
}

/* Functions of one device each, as far as there are eight. */
static void add_slots(struct args *a, const struct machine *m)
{
	for (unsigned int i = 0; i < m->slots; i++) {
		add(a, "-device");
		add(a, "pcie-root-port,id=slot%u,chassis=%u,slot=%u,addr=%#x.%u%s", i, i + 1, i + 1,
		    SLOTS_ADDRESS + i / 8, i % 8, i % 8 ? "" : ",multifunction=on");
	}
}

static void add_files(struct args *a, const struct machine *m)
{
	if (m->files < 0)
		return;
	add_channel(a, "files", m->files);
	add(a, "-device");
	add(a, "vhost-user-fs-%s,chardev=files,tag=" MACHINE_FILES_TAG, bus(m));
}

/*
 * The first disk of a template and of its clones. The guest keeps what it has seen of a template's,
 * its size above all: so it is larger than any file of a clone.
 */
static void add_first_disk(struct args *a, const struct machine *m)
{
	if (m->role != MACHINE_FRESH && m->disks_len == 0) {
		add(a, "-blockdev");
		add(a, "driver=null-co,node-name=disk0,size=%llu,read-zeroes=on,read-only=on",
		    MACHINE_SPARE_BYTES);
		add(a, "-device");
		add(a, "virtio-blk-%s,drive=disk0,werror=report,rerror=report", bus(m));
	}
}

static void add_disk(struct args *a, const struct machine *m, unsigned int i)
{
	const struct machine_disk *disk = &m->disks[i];
	const char *readonly = disk->readonly ? "on" : "off";
	/* A clone takes its files for those of another host, and would make this one forget them.
	 */
	const char *more = m->role == MACHINE_FRESH ? "" : ",drop-cache=off";

	if (disk->pmem) {
		add(a, "-object");
		add(a,
		    "memory-backend-file,id=image%u,size=%" PRIu64 "B,mem-path=" QEMU_FDS
		    "/%d,share=on,readonly=on",
		    i, disk->pmem, disk->fd);
		add(a, "-device");
		add(a, "virtio-pmem-pci,memdev=image%u", i);
		return;
	}
	add(a, "-add-fd");
	add(a, "fd=%d,set=%u", disk->fd, i);
	add(a, "-blockdev");
	add(a, "driver=%s,node-name=file%u,filename=/dev/fdset/%u,read-only=%s,locking=off%s",
	    disk->device ? "host_device" : "file", i, i, readonly, more);
	add(a, "-blockdev");
	add(a, "driver=raw,node-name=disk%u,file=file%u,read-only=%s", i, i, readonly);
	add(a, "-device");
	add(a, "virtio-blk-%s,drive=disk%u,werror=report,rerror=report", bus(m), i);
}

static void add_nic(struct args *a, const struct machine *m, unsigned int i)
{
	const struct machine_nic *nic = &m->nics[i];
	const uint8_t *mac = nic->mac;
	char fds[MACHINE_QUEUES_MAX * 12 + 1];
	size_t len = 0;

	for (unsigned int q = 0; q < nic->taps_len; q++)
		len += (size_t)snprintf(fds + len, sizeof(fds) - len, "%s%d", q ? ":" : "",
					nic->taps[q]);
	add(a, "-netdev");
	add(a, "tap,id=net%u,%s=%s", i, nic->taps_len > 1 ? "fds" : "fd", fds);
	add(a, "-device");
	add(a, "virtio-net-%s,netdev=net%u,mac=%02x:%02x:%02x:%02x:%02x:%02x%s%s", bus(m), i,
	    mac[0], mac[1], mac[2], mac[3], mac[4], mac[5], nic->taps_len > 1 ? ",mq=on" : "",
	    has_pci(m) ? ",romfile=" : "");
}

int qemu_words(const struct machine *m, char **ret)
{
	AUTO_BUF struct buf words = { .max = 2 * MACHINE_WORDS_MAX };

	/* The reset that ends a panic or the agent's last word ends QEMU, too (-no-reboot). */
	(void)buf_puts(&words, "console=ttyS0 8250.nr_uarts=1 quiet panic=-1 reboot=t "
			       "pcie_ports=native rdinit=/init "
			       "dummy.numdummies=0");
	if (m->accel == MACHINE_TCG) {
		/* An emulated APIC's timer has this rate; it is not worth 100 ms of measuring. */
		(void)buf_puts(&words, " no_timer_check lapic_hz=1000000000");
		if (m->tsc_khz)
			(void)buf_printf(&words, " tsc_early_khz=%" PRIu64 " tsc=reliable",
					 m->tsc_khz);
	}
	/* What is plugged can be taken away again where the kernel puts nothing of its own. */
	if (has_room(m))
		(void)buf_puts(&words, " memhp_default_state=online_movable");
	if (m->cpus == 1 && m->cpus_max <= 1)
		(void)buf_puts(&words, " noreplace-smp");
	/* The agent does before it is saved what its clones need. */
	if (m->role != MACHINE_FRESH)
		(void)buf_puts(&words, " caisson_template=1");
	if (m->words && *m->words)
		(void)buf_printf(&words, " %s", m->words);
	if (buf_error(&words))
		return buf_error(&words);
	*ret = words.data;
	words.data = NULL;
	return 0;
}

static void add_kernel(struct args *a, const struct machine *m)
{
	AUTO_FREE char *words = NULL;

	add(a, "-kernel");
	add(a, QEMU_KERNEL);
	if (m->initrd >= 0) {
		add(a, "-initrd");
		add(a, QEMU_IMAGE);
	}
	if (!a->error)
		a->error = qemu_words(m, &words);
	add(a, "-append");
	if (words)
		add_text(a, words);
}

int qemu_args(const char *program, const struct machine *m, char ***ret, struct err *err)
{
	static const char *const always[] = {
		"-nodefaults",
		"-no-user-config",
		"-no-reboot",
		"-display",
		"none",
		"-msg",
		"timestamp=off",
		"-sandbox",
		"on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
	};
	struct args a = { 0 };
	int r = machine_check(m, err);

	if (r < 0)
		return r;
	add_text(&a, program);
	for (size_t i = 0; i < ARRAY_LEN(always); i++)
		add_text(&a, always[i]);
	add_type(&a, m);
	add_channels(&a, m);
	add_slots(&a, m);
	add_room(&a, m);
	add_files(&a, m);
	add_first_disk(&a, m);
	for (unsigned int i = 0; i < m->disks_len; i++)
		add_disk(&a, m, i);
	for (unsigned int i = 0; i < m->nics_len; i++)
		add_nic(&a, m, i);
	/* A clone's is in its memory. */
	if (m->role == MACHINE_FRESH || m->role == MACHINE_TEMPLATE)
		add_kernel(&a, m);
	if (a.error) {
		strv_free(a.list);
		return err_sys(err, a.error, "QEMU's command line");
	}
	*ret = a.list;
	return 0;
}
