/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cage.h"

#include "jail/jail.h"

extern const struct sock_filter vm_filter[];
extern const unsigned short vm_filter_len;

/* A sanitizer makes calls of its own: its build serves tests/vmm alone, which need no cage. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

int cage_close(struct err *err)
{
	int r = SANITIZED ? 0 : jail_no_dump();

	if (r == 0)
		r = jail_capabilities(0);
	if (r == 0 && !SANITIZED)
		r = jail_filter(vm_filter, vm_filter_len, 0);
	return r < 0 ? err_sys(err, r, "close the cage of caisson-vm") : 0;
}
