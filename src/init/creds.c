/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials in the only order that works (capabilities(7), credentials(7)): the bounding set
 * while CAP_SETPCAP is there, groups and ids with the permitted set kept, the exact sets, ambient
 * last.
 *
 * A filter without no_new_privs needs CAP_SYS_ADMIN at its installation, which comes later. It is
 * then kept in the permitted and effective sets until exec: exec computes both anew from the
 * bounding, inheritable and ambient sets, which are already exact, so the program never has it.
 */
#include "init/init.h"

#include <linux/capability.h>
#include <linux/prctl.h>
#include <stddef.h>

#include "base/sys.h"

static void set_bounding(const struct init *init)
{
	const struct init_msg *msg = init->msg;

	for (uint32_t cap = 0; cap <= msg->cap_last; cap++) {
		long r;

		if (msg->cap_bounding & (1ull << cap))
			continue;
		r = SYS5(SYS_prctl, PR_CAPBSET_DROP, cap, 0, 0, 0);
		if (r < 0)
			init_fail(init, INIT_STEP_BOUNDING, r);
	}
}

static void set_ids(const struct init *init)
{
	const struct init_msg *msg = init->msg;
	long r;

	(void)SYS5(SYS_prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0);
	if (msg->flags & INIT_SETGROUPS) {
		r = SYS2(SYS_setgroups, msg->groups_len, init_at(msg, msg->groups_off));
		if (r < 0)
			init_fail(init, INIT_STEP_GROUPS, r);
	}
	if (!(msg->flags & INIT_SETID))
		return;
	r = SYS3(SYS_setresgid, msg->gid, msg->gid, msg->gid);
	if (r < 0)
		init_fail(init, INIT_STEP_GID, r);
	r = SYS3(SYS_setresuid, msg->uid, msg->uid, msg->uid);
	if (r < 0)
		init_fail(init, INIT_STEP_UID, r);
}

static void set_caps(const struct init *init)
{
	const struct init_msg *msg = init->msg;
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	uint64_t extra = 0;
	long r;

	if ((msg->flags & INIT_SECCOMP) && !(msg->flags & INIT_NO_NEW_PRIVS))
		extra = 1ull << CAP_SYS_ADMIN;
	for (int i = 0; i < 2; i++) {
		data[i].effective = (uint32_t)((msg->cap_effective | extra) >> (32 * i));
		data[i].permitted = (uint32_t)((msg->cap_permitted | extra) >> (32 * i));
		data[i].inheritable = (uint32_t)(msg->cap_inheritable >> (32 * i));
	}
	r = SYS2(SYS_capset, &header, data);
	if (r < 0)
		init_fail(init, INIT_STEP_CAPS, r);
	r = SYS5(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	for (uint32_t cap = 0; r >= 0 && cap <= msg->cap_last; cap++) {
		if (msg->cap_ambient & (1ull << cap))
			r = SYS5(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0);
	}
	if (r < 0)
		init_fail(init, INIT_STEP_AMBIENT, r);
}

void init_credentials(const struct init *init)
{
	const struct init_msg *msg = init->msg;
	long r;

	if (msg->flags & INIT_CAPS)
		set_bounding(init);
	set_ids(init);
	if (msg->flags & INIT_CAPS)
		set_caps(init);
	(void)SYS5(SYS_prctl, PR_SET_KEEPCAPS, 0, 0, 0, 0);
	if (msg->flags & INIT_NO_NEW_PRIVS) {
		r = SYS5(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (r < 0)
			init_fail(init, INIT_STEP_NO_NEW_PRIVS, r);
	}
}
