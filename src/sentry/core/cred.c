/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/core/cred.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>

#define CAP_ALL ((2ull << CAP_LAST_CAP) - 1)

static int compare_ids(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

int cred_set_groups(struct cred *cred, const uint32_t *groups, size_t len)
{
	uint32_t *copy = NULL;

	if (len > 0) {
		copy = malloc(len * sizeof(*copy));
		if (!copy)
			return -ENOMEM;
		memcpy(copy, groups, len * sizeof(*copy));
		qsort(copy, len, sizeof(*copy), compare_ids);
	}
	free(cred->groups);
	cred->groups = copy;
	cred->groups_len = len;
	return 0;
}

struct cred *cred_copy(const struct cred *cred)
{
	struct cred *copy = malloc(sizeof(*copy));

	if (!copy)
		return NULL;
	*copy = *cred;
	copy->refs = 1;
	copy->groups = NULL;
	copy->groups_len = 0;
	if (cred_set_groups(copy, cred->groups, cred->groups_len) < 0) {
		free(copy);
		return NULL;
	}
	(void)user_ns_ref(copy->user_ns);
	return copy;
}

struct cred *cred_new_root(void)
{
	struct cred *cred = calloc(1, sizeof(*cred));

	if (!cred)
		return NULL;
	cred->refs = 1;
	cred->cap_permitted = CAP_ALL;
	cred->cap_effective = CAP_ALL;
	cred->cap_bounding = CAP_ALL;
	return cred;
}

struct cred *cred_ref(const struct cred *cred)
{
	struct cred *c = (struct cred *)(uintptr_t)cred;

	c->refs++;
	return c;
}

void cred_unref(const struct cred *cred)
{
	struct cred *c = (struct cred *)(uintptr_t)cred;

	if (!c || --c->refs > 0)
		return;
	user_ns_unref(c->user_ns);
	free(c->groups);
	free(c);
}

static bool is_member(const struct cred *cred, uint32_t gid)
{
	return cred->groups_len > 0 && bsearch(&gid, cred->groups, cred->groups_len,
					       sizeof(*cred->groups), compare_ids) != NULL;
}

bool cred_in_group(const struct cred *cred, uint32_t gid)
{
	return cred->fsgid == gid || is_member(cred, gid);
}

bool cred_in_egroup(const struct cred *cred, uint32_t gid)
{
	return cred->egid == gid || is_member(cred, gid);
}

bool cred_own_capable(const struct cred *cred, unsigned int cap)
{
	return cred->cap_effective >> cap & 1;
}

/* "Capabilities" of user_namespaces(7). */
bool cred_ns_capable(const struct cred *cred, const struct user_ns *ns, unsigned int cap)
{
	for (;; ns = ns->parent) {
		if (ns == cred->user_ns)
			return cred_own_capable(cred, cap);
		if (!ns || (cred->user_ns && ns->level <= cred->user_ns->level))
			return false;
		if (ns->parent == cred->user_ns && ns->owner == cred->euid)
			return true;
	}
}

bool cred_capable(const struct cred *cred, unsigned int cap)
{
	return cred_ns_capable(cred, NULL, cap);
}

void cred_enter_user_ns(struct cred *cred, struct user_ns *ns)
{
	user_ns_unref(cred->user_ns);
	cred->user_ns = ns;
	cred->securebits = 0;
	cred->cap_inheritable = 0;
	cred->cap_permitted = CAP_ALL;
	cred->cap_effective = CAP_ALL;
	cred->cap_ambient = 0;
	cred->cap_bounding = CAP_ALL;
}
