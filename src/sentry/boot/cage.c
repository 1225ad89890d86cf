/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/boot/cage.h"

#include <linux/seccomp.h>
#include <unistd.h>

#include "jail/jail.h"
#include "sentry/core/hostwork.h"

extern const struct sock_filter sentry_filter[];
extern const unsigned short sentry_filter_len;
/* The same and sockets, for --network=host. */
extern const struct sock_filter sentry_network_filter[];
extern const unsigned short sentry_network_filter_len;

int cage_close(const struct sentry_container *c, struct err *err)
{
	const bool network = c->network != SENTRY_NETWORK_NONE;
	int r;

	(void)close(SENTRY_FD_STUB);
	hostwork_await();
	r = jail_no_dump();
	if (r == 0)
		r = jail_capabilities(0);
	if (r == 0 && c->platform == SENTRY_PLATFORM_SYSTRAP)
		r = jail_filter(network ? sentry_network_filter : sentry_filter,
				network ? sentry_network_filter_len : sentry_filter_len,
				SECCOMP_FILTER_FLAG_TSYNC);
	return r < 0 ? err_sys(err, r, "close the cage") : 0;
}
