/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/platform/systrap/systrap.h - what boot says to the systrap platform before its init().
 *
 * The platform's own design is in systrap_internal.h; what a stub is, in abi.h.
 */
#pragma once

#include <stdbool.h>

enum systrap_profile {
	SYSTRAP_CHECKED, /* memory calls of a stub wait for the sentry's word as well (default) */
	SYSTRAP_DIRECT,	 /* they are judged by the filter alone */
};

struct systrap_options {
	int stub_fd;	 /* caisson-stub, borrowed until init() has returned */
	int zygote_sock; /* to a zygote that was started already; 0 or less: init() starts one */
	enum systrap_profile profile;
	bool no_patching; /* leave every call site to SIGSYS */
	bool random_base; /* stubs lie elsewhere in every sandbox (abi.h) */
};

/* Before platform_systrap.init(); the options are copied. */
void systrap_set_options(const struct systrap_options *options);
