/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/description.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "hypervisor/machine.h"
#include "wire/agent_codec.h"

#define SEALS	    (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
#define BYTES_MAX   (sizeof(struct vmm_head) + 2 * AGENT_REQUEST_MAX)
#define BOOT_MS_MAX 3600000u
#define FLAGS                                                                               \
	(VMM_RESTORED | VMM_DEBUG_CONSOLE | VMM_LOG_JSON | VMM_LOG_DEBUG | VMM_PLUG_FILES | \
	 VMM_WATCHES | VMM_SHARES | VMM_FORWARDS | VMM_CARRIED(0) | VMM_CARRIED(1) |        \
	 VMM_CARRIED(2))

int description_read_sealed(int fd, const char *what, size_t max, char **ret, size_t *ret_len,
			    struct err *err)
{
	AUTO_FREE char *bytes = NULL;
	const int seals = fcntl(fd, F_GET_SEALS);
	size_t len, at = 0;
	struct stat st;

	if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) < 0)
		return err_set(err, -EBADMSG, "%s is not sealed", what);
	if (st.st_size <= 0 || (uint64_t)st.st_size > max)
		return err_set(err, -EBADMSG, "%s has %lld bytes", what, (long long)st.st_size);
	len = (size_t)st.st_size;
	bytes = malloc(len);
	if (!bytes)
		return err_sys(err, -ENOMEM, "read %s", what);
	while (at < len) {
		const ssize_t n = pread(fd, bytes + at, len - at, (off_t)at);

		if (n <= 0 && !(n < 0 && errno == EINTR))
			return err_sys(err, n < 0 ? -errno : -EIO, "read %s", what);
		at += n > 0 ? (size_t)n : 0;
	}
	*ret = TAKE_PTR(bytes);
	*ret_len = len;
	return 0;
}

static int check_head(const struct vmm_head *h, size_t len, struct err *err)
{
	if (h->magic != VMM_MSG_MAGIC)
		return err_set(err, -EBADMSG, "description: not one of a machine");
	if (h->version != VMM_MSG_VERSION)
		return err_set(err, -EPROTO, "description: of version %u, not %u", h->version,
			       VMM_MSG_VERSION);
	if (h->qemu_pid <= 0 || h->files_pid < 0 || h->qemu_pid == h->files_pid)
		return err_set(err, -EBADMSG, "description: processes %d and %d", h->qemu_pid,
			       h->files_pid);
	if (h->accel != MACHINE_TCG && h->accel != MACHINE_KVM)
		return err_set(err, -EBADMSG, "description: accelerator %u", h->accel);
	if (h->cpus == 0 || h->cpus > MACHINE_CPUS_MAX)
		return err_set(err, -EBADMSG, "description: %u CPUs", h->cpus);
	if (h->memory < MACHINE_MEMORY_MIN || h->memory > MACHINE_MEMORY_MAX)
		return err_set(err, -EBADMSG, "description: %llu bytes of memory",
			       (unsigned long long)h->memory);
	if (h->cpus_max < h->cpus || h->cpus_max > MACHINE_CPUS_MAX || h->reserved ||
	    h->memory_max < h->memory || h->memory_max > MACHINE_MEMORY_MAX ||
	    (h->memory_max - h->memory) % MACHINE_MEMORY_GRAIN)
		return err_set(err, -EBADMSG, "description: at most %u CPUs and %llu bytes",
			       h->cpus_max, (unsigned long long)h->memory_max);
	if (h->boot_ms == 0 || h->boot_ms > BOOT_MS_MAX)
		return err_set(err, -EBADMSG, "description: %u ms to boot", h->boot_ms);
	if (h->flags & ~FLAGS || (h->flags & (VMM_PLUG_FILES | VMM_RESTORED)) == VMM_PLUG_FILES)
		return err_set(err, -EBADMSG, "description: flags %#x", h->flags);
	if (h->network_len > AGENT_REQUEST_MAX || h->create_len > AGENT_REQUEST_MAX ||
	    len != sizeof(*h) + h->network_len + h->create_len)
		return err_set(err, -EBADMSG, "description: %zu bytes for bodies of %u and %u", len,
			       h->network_len, h->create_len);
	return 0;
}

/* Its body goes to the agent as it is; nothing to say is not said. */
static int check_network(struct description *d, const char *body, struct err *err)
{
	AUTO_FREE struct agent_network *network = NULL;
	int r;

	if (d->head.network_len == 0)
		return 0;
	network = malloc(sizeof(*network));
	if (!network)
		return err_sys(err, -ENOMEM, "read the description");
	r = agent_request_decode(AGENT_NETWORK, body, d->head.network_len, network, err);
	if (r < 0)
		return err_prefix(err, r, "description");
	if (network->links_len > 0)
		d->network = body;
	return 0;
}

int description_read(int fd, const char *id, struct description **ret, struct err *err)
{
	struct description *d = calloc(1, sizeof(*d));
	const char *body;
	int r = d ? description_read_sealed(fd, "the description", BYTES_MAX, &d->bytes, &d->len,
					    err)
		  : err_sys(err, -ENOMEM, "read the description");

	if (r == 0 && d->len < sizeof(d->head))
		r = err_set(err, -EBADMSG, "description: %zu bytes", d->len);
	if (r == 0) {
		memcpy(&d->head, d->bytes, sizeof(d->head));
		r = check_head(&d->head, d->len, err);
	}
	if (r == 0) {
		body = d->bytes + sizeof(d->head);
		r = check_network(d, body, err);
		if (r == 0)
			r = agent_request_decode(AGENT_CREATE, body + d->head.network_len,
						 d->head.create_len, &d->create, err);
		if (r == 0 && !str_eq(d->create.id, id))
			r = err_set(err, -EBADMSG, "description: of container %s", d->create.id);
	}
	if (r < 0) {
		description_free(d);
		return r;
	}
	*ret = d;
	return 0;
}

void description_free(struct description *d)
{
	if (!d)
		return;
	free(d->bytes);
	free(d);
}
