/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cage.h"

#include "jail/jail.h"

extern const struct sock_filter vm_filter[];
extern const unsigned short vm_filter_len;

int cage_close(struct err *err)
{
	int r = jail_no_dump();

	if (r == 0)
		r = jail_capabilities(0);
	if (r == 0)
		r = jail_filter(vm_filter, vm_filter_len, 0);
	return r < 0 ? err_sys(err, r, "close the cage of caisson-vm") : 0;
}
