/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a template is known by. Files are compared by what a change of them changes, not by what is
 * in them: a start has no time to read a kernel.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/hash.h"
#include "hypervisor/qemu.h"
#include "runtime/vm/template.h"

#define BOOT_ID_MAX 64u /* bytes */

void template_machine(const struct template_plan *plan, struct machine *ret)
{
	*ret = (struct machine){
		.accel = plan->accel,
		.nested = plan->nested,
		.type = MACHINE_MICROVM_PCI,
		.cpus = plan->cpus,
		.memory = plan->memory,
		.kernel = plan->kernel,
		.initrd = plan->image,
		.tsc_khz = plan->tsc_khz,
		.monitor = -EBADF,
		.agent = -EBADF,
		.console = -EBADF,
		.files = -EBADF,
		.role = MACHINE_FRESH,
		.memory_file = -EBADF,
		.state = -EBADF,
		.slots = TEMPLATE_SLOTS,
	};
}

void template_key_done(struct template_key *key)
{
	free(key->text);
	*key = (struct template_key){ 0 };
}

/* Memfds do not outlive it, and files of another boot may have the same numbers. */
static int add_boot(struct buf *b, struct err *err)
{
	AUTO_BUF struct buf boot = { .max = BOOT_ID_MAX };
	const int r = fd_read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", &boot);

	if (r < 0)
		return err_sys(err, r, "the boot of this host");
	(void)buf_printf(b, "boot %.*s\n", (int)strcspn(boot.data, "\n"), boot.data);
	return 0;
}

static int add_file(struct buf *b, const char *name, int fd, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(err, -errno, "template: stat of %s", name);
	(void)buf_printf(b, "%s %ju:%ju %jd %jd.%09ld %jd.%09ld\n", name, (uintmax_t)st.st_dev,
			 (uintmax_t)st.st_ino, (intmax_t)st.st_size, (intmax_t)st.st_mtim.tv_sec,
			 st.st_mtim.tv_nsec, (intmax_t)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
	return 0;
}

static int add_machine(struct buf *b, const struct template_plan *plan, struct err *err)
{
	struct machine m;

	template_machine(plan, &m);
	m.role = MACHINE_TEMPLATE;
	/* Where it cannot be asked for it is measured, each time another number. */
	m.tsc_khz = 0;
	return qemu_print(&m, b, err);
}

int template_key(const struct template_plan *plan, struct template_key *ret, struct err *err)
{
	AUTO_BUF struct buf b = { .max = TEMPLATE_TEXT_MAX };
	int r = add_boot(&b, err);

	if (r == 0)
		r = add_file(&b, "qemu", plan->qemu, err);
	if (r == 0)
		qemu_print_firmware(plan->qemu, &b);
	if (r == 0)
		r = add_file(&b, "kernel", plan->kernel, err);
	if (r == 0)
		r = add_file(&b, "image", plan->image, err);
	if (r == 0)
		r = add_machine(&b, plan, err);
	if (r == 0 && buf_error(&b))
		r = err_sys(err, buf_error(&b), "template: its key");
	if (r < 0)
		return r;
	/* It names a directory; whoever finds a template there compares the text. */
	(void)snprintf(ret->hash, sizeof(ret->hash), "%016" PRIx64,
		       hash64(HASH64_BEGIN, b.data, b.len));
	ret->text = b.data;
	b.data = NULL;
	return 0;
}
