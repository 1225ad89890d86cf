/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sandbox/creds.h"

#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "host/caps.h"

uint64_t creds_gofer_caps(void)
{
	return UINT64_C(1) << CAP_CHOWN | UINT64_C(1) << CAP_DAC_OVERRIDE |
	       UINT64_C(1) << CAP_FOWNER | UINT64_C(1) << CAP_FSETID;
}

static int drop_bounding(uint64_t drop)
{
	for (uint32_t cap = 0; cap <= caps_last(); cap++) {
		if (drop & UINT64_C(1) << cap &&
		    prctl(PR_CAPBSET_DROP, (unsigned long)cap, 0L, 0L, 0L) < 0)
			return errno == EPERM ? 0 : -errno; /* who has none needs not */
	}
	return 0;
}

int creds_bound(uint64_t keep, struct err *err)
{
	const int r = drop_bounding(~keep);

	return r < 0 ? err_sys(err, r, "drop capabilities from the bounding set") : 0;
}

/* Permitted is `permitted` and what is also in `keep`, which is effective and inheritable. */
static int reduce(uint64_t keep, uint64_t permitted)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		const uint32_t have = data[i].permitted;

		data[i].permitted = have & (uint32_t)((keep | permitted) >> (32 * i));
		data[i].effective = data[i].permitted;
		data[i].inheritable = have & (uint32_t)(keep >> (32 * i));
	}
	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

static int raise_ambient(uint64_t caps)
{
	for (uint32_t cap = 0; cap <= caps_last(); cap++) {
		/* EPERM: it is not permitted. */
		if (caps & UINT64_C(1) << cap &&
		    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, (unsigned long)cap, 0L, 0L) < 0 &&
		    errno != EPERM)
			return -errno;
	}
	return 0;
}

/* Root's exec gives nothing: what is kept is in the ambient set. */
#define BITS (SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_KEEP_CAPS)

int creds_become(uint32_t id, uint64_t caps, uint64_t bound, struct err *err)
{
	int r;

	if (prctl(PR_SET_SECUREBITS, (unsigned long)BITS, 0L, 0L, 0L) < 0 && errno != EPERM)
		return err_sys(err, -errno, "prctl PR_SET_SECUREBITS");
	/* Denied in a user namespace that a user mapped alone; there are none of ours to lose. */
	if (setgroups(0, NULL) < 0 && errno != EPERM)
		return err_sys(err, -errno, "setgroups");
	if (id && (setresgid(id, id, id) < 0 || setresuid(id, id, id) < 0))
		return err_sys(err, -errno, "become the sandbox's user %u", id);
	/* What becomes inheritable is still in the bounding set; CAP_SETPCAP empties that. */
	r = reduce(caps, UINT64_C(1) << CAP_SETPCAP);
	if (r == 0)
		r = raise_ambient(caps);
	if (r == 0)
		r = drop_bounding(bound);
	if (r == 0)
		r = reduce(caps, 0);
	if (r < 0)
		return err_sys(err, r, "drop capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) < 0)
		return err_sys(err, -errno, "prctl PR_SET_NO_NEW_PRIVS");
	return 0;
}
