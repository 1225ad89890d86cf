/* SPDX-License-Identifier: Apache-2.0 */
#include "hypervisor/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

#define PAGE	    4096u
#define OWN_DEVICES 3u /* console and channel, entropy, balloon */

const char *machine_accel_name(enum machine_accel accel)
{
	return accel == MACHINE_KVM ? "kvm" : "tcg";
}

static int check_size(const struct machine *m, struct err *err)
{
	if (m->cpus < 1 || m->cpus > MACHINE_CPUS_MAX)
		return err_set(err, -EINVAL, "virtual machine: %u CPUs, where 1 to %u can be",
			       m->cpus, MACHINE_CPUS_MAX);
	if (m->memory < MACHINE_MEMORY_MIN || m->memory > MACHINE_MEMORY_MAX)
		return err_set(err, -EINVAL,
			       "virtual machine: %" PRIu64 " bytes of memory, where %llu to %llu "
			       "can be",
			       m->memory, MACHINE_MEMORY_MIN, MACHINE_MEMORY_MAX);
	if (m->memory % PAGE)
		return err_set(err, -EINVAL,
			       "virtual machine: %" PRIu64 " bytes of memory are no whole pages",
			       m->memory);
	return 0;
}

static int check_room(const struct machine *m, struct err *err)
{
	if (m->type != MACHINE_Q35 || m->role != MACHINE_FRESH) {
		if (m->cpus_max || m->memory_max)
			return err_set(err, -EINVAL,
				       "virtual machine: CPUs and memory can be plugged into a "
				       "fresh one of type q35 alone");
		return 0;
	}
	if (m->cpus_max && (m->cpus_max < m->cpus || m->cpus_max > MACHINE_CPUS_MAX))
		return err_set(err, -EINVAL, "virtual machine: %u CPUs of at most %u", m->cpus,
			       m->cpus_max);
	if (m->memory_max && (m->memory_max < m->memory || m->memory_max > MACHINE_MEMORY_MAX ||
			      (m->memory_max - m->memory) % MACHINE_MEMORY_GRAIN))
		return err_set(err, -EINVAL,
			       "virtual machine: %" PRIu64 " bytes of memory of at most %" PRIu64,
			       m->memory, m->memory_max);
	return 0;
}

static int check_kernel(const struct machine *m, struct err *err)
{
	if (m->type >= MACHINE_TYPES)
		return err_set(err, -EINVAL, "virtual machine: machine type %d", (int)m->type);
	if (m->kernel < 0 && (m->role == MACHINE_FRESH || m->role == MACHINE_TEMPLATE))
		return err_set(err, -EINVAL, "virtual machine: no kernel");
	if (m->words && strlen(m->words) >= MACHINE_WORDS_MAX)
		return err_set(err, -EINVAL,
			       "virtual machine: the kernel's command line has more than %u bytes",
			       MACHINE_WORDS_MAX);
	return 0;
}

static int check_devices(const struct machine *m, struct err *err)
{
	if (m->monitor < 0 || m->agent < 0 || m->console < 0)
		return err_set(err, -EINVAL,
			       "virtual machine: no socket for monitor, agent or console");
	if (m->disks_len > MACHINE_DISKS_MAX || m->nics_len > MACHINE_NICS_MAX)
		return err_set(err, -EINVAL,
			       "virtual machine: %u disks and %u network devices, where %u and %u "
			       "can be",
			       m->disks_len, m->nics_len, MACHINE_DISKS_MAX, MACHINE_NICS_MAX);
	if (m->type == MACHINE_MICROVM &&
	    OWN_DEVICES + (m->files >= 0) + m->disks_len + m->nics_len > MACHINE_MICROVM_DEVICES)
		return err_set(
			err, -EINVAL,
			"virtual machine: %u disks and %u network devices: a microvm without "
			"PCI has no places for them",
			m->disks_len, m->nics_len);
	for (unsigned int i = 0; i < m->disks_len; i++) {
		if (m->disks[i].fd < 0)
			return err_set(err, -EINVAL, "virtual machine: disk %u is not open", i);
		if (m->disks[i].pmem &&
		    (m->type != MACHINE_Q35 || m->role != MACHINE_FRESH || !m->disks[i].readonly ||
		     m->disks[i].device || m->disks[i].pmem % MACHINE_PMEM_GRAIN))
			return err_set(err, -EINVAL,
				       "virtual machine: disk %u cannot be persistent memory", i);
	}
	for (unsigned int i = 0; i < m->nics_len; i++) {
		const struct machine_nic *nic = &m->nics[i];

		if (nic->taps_len < 1 || nic->taps_len > MACHINE_QUEUES_MAX)
			return err_set(err, -EINVAL,
				       "virtual machine: network device %u with %u queues, where 1 "
				       "to %u can be",
				       i, nic->taps_len, MACHINE_QUEUES_MAX);
		for (unsigned int q = 0; q < nic->taps_len; q++) {
			if (nic->taps[q] < 0)
				return err_set(err, -EINVAL,
					       "virtual machine: queue %u of network device %u is "
					       "not open",
					       q, i);
		}
		/* The lowest bit of a hardware address means a group (IEEE 802). */
		if (nic->mac[0] & 1)
			return err_set(err, -EINVAL,
				       "virtual machine: network device %u has the address of a "
				       "group",
				       i);
	}
	return 0;
}

static int check_role(const struct machine *m, struct err *err)
{
	const bool saved = m->role == MACHINE_CLONE || m->role == MACHINE_COPY;

	if (m->slots > (m->type == MACHINE_MICROVM ? 0 : MACHINE_SLOTS_MAX))
		return err_set(err, -EINVAL, "virtual machine: %u slots, where %u can be", m->slots,
			       m->type == MACHINE_MICROVM ? 0 : MACHINE_SLOTS_MAX);
	if (m->role == MACHINE_FRESH)
		return 0;
	if (m->role == MACHINE_TEMPLATE && (m->disks_len || m->nics_len))
		return err_set(err, -EINVAL, "virtual machine: a template with devices of its own");
	if (m->disks_len && (!m->disks[0].readonly || m->disks[0].device))
		return err_set(err, -EINVAL,
			       "virtual machine: the first disk of a clone is no read-only file");
	if (m->memory_file < 0 || (saved && m->state < 0))
		return err_set(err, -EINVAL, "virtual machine: no file of its %s",
			       m->memory_file < 0 ? "memory" : "state");
	/* Who serves files has a state of its own, which nobody saves. */
	if (m->files >= 0)
		return err_set(err, -EINVAL,
			       "virtual machine: files cannot be a part of a template");
	return 0;
}

int machine_check(const struct machine *m, struct err *err)
{
	int r = check_size(m, err);

	if (r == 0)
		r = check_room(m, err);
	if (r == 0)
		r = check_kernel(m, err);
	if (r == 0)
		r = check_devices(m, err);
	return r < 0 ? r : check_role(m, err);
}

/* ---- The files of a template ---- */

int machine_memory(uint64_t bytes, int *ret)
{
	const unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	AUTO_CLOSE int fd = memfd_create("caisson-template", flags | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
		fd = memfd_create("caisson-template", flags);
	if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0)
		return -errno;
	*ret = TAKE_FD(fd);
	return 0;
}

/* [from, to) */
static int copy_part(int source, int target, off_t from, off_t to)
{
	while (from < to) {
		const ssize_t n = copy_file_range(source, &from, target, &(off_t){ from },
						  (size_t)(to - from), 0);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return -EIO;
	}
	return 0;
}

int machine_copy_into(int memory_file, int copy)
{
	off_t from, to = 0;
	int r = 0;

	while (r == 0) {
		from = lseek(memory_file, to, SEEK_DATA);
		if (from < 0 && errno == ENXIO)
			break;
		to = from < 0 ? from : lseek(memory_file, from, SEEK_HOLE);
		r = to < 0 ? -errno : copy_part(memory_file, copy, from, to);
	}
	return r;
}

int machine_copy(int memory_file, int *ret)
{
	AUTO_CLOSE int copy = -EBADF;
	struct stat st;
	int r = fstat(memory_file, &st) < 0 ? -errno : machine_memory((uint64_t)st.st_size, &copy);

	if (r == 0)
		r = machine_copy_into(memory_file, copy);
	if (r == 0)
		*ret = TAKE_FD(copy);
	return r;
}

int machine_seal(int fd)
{
	return fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0
		       ? -errno
		       : 0;
}
