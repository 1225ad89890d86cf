/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/tc.h - everything that enters one device leaves by another (tc(8)).
 *
 * Three forms do the same. TC_LINK, a program at the device's own hook that stays as long as its
 * descriptor is open (tcx, Linux 6.6): nothing is left when a process is killed. The other two are
 * a filter of an ingress qdisc, which stays until somebody takes it away, or the device is gone;
 * once the device it leads to has gone, what enters is lost. Filters of ours have a preference of
 * their own, so that tc_clear() knows them; qdiscs and filters of others stay as they are.
 */
#pragma once

#include "base/err.h"
#include "host/rtnl.h"

enum tc_form {
	TC_LINK = 1, /* bpf_redirect() in a tcx link */
	TC_U32 = 2,  /* u32, which matches all, and mirred */
	TC_BPF = 4,  /* bpf_redirect() in a cls_bpf filter, where u32 or mirred is missing */
	TC_ANY = 7,
};

/*
 * From device `from` to device `to`, both of the caller's network namespace, which is that of `c`.
 * The first of `forms` that the kernel has, in the order above, is taken. What an earlier redirect
 * left at `from` (tc_clear()) would come first. Returns the form, and in
 * ret_link the descriptor that keeps it (-EBADF: none is needed), which is the caller's.
 */
int tc_redirect(struct rtnl *c, int from, int to, unsigned int forms, int *ret_link,
		struct err *err);

/* Take our filter of a device away, and the ingress qdisc if it has no other. 0 if there is none.
 */
int tc_clear(struct rtnl *c, int index, struct err *err);
