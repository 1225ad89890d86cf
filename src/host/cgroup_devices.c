/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device policy and the v1 devices controller.
 *
 * A new v1 cgroup has its parent's list. On create the policy's default is written first and then
 * every exception: one open for each of devices.allow and devices.deny. On update the container
 * runs, so only the difference is written where that is possible (both are allow lists): denying
 * all first would make its devices fail for a moment.
 */
#include "host/cgroup_devices.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "host/cgroup_write.h"

#define DEVICE_RULE_TEXT 64 /* "c 4294967295:4294967295 rwm" */

/* What a container may have without asking: runc's and crun's list. */
static const struct oci_device_rule default_rules[] = {
	{ true, 'c', -1, -1, "m" },    { true, 'b', -1, -1, "m" },
	{ true, 'c', 1, 3, "rwm" },    /* /dev/null */
	{ true, 'c', 1, 5, "rwm" },    /* /dev/zero */
	{ true, 'c', 1, 7, "rwm" },    /* /dev/full */
	{ true, 'c', 1, 8, "rwm" },    /* /dev/random */
	{ true, 'c', 1, 9, "rwm" },    /* /dev/urandom */
	{ true, 'c', 5, 0, "rwm" },    /* /dev/tty */
	{ true, 'c', 5, 2, "rwm" },    /* /dev/ptmx */
	{ true, 'c', 136, -1, "rwm" }, /* /dev/pts */
};

const struct oci_device_rule *cgroup_default_devices(size_t *ret_len)
{
	*ret_len = ARRAY_LEN(default_rules);
	return default_rules;
}

int cgroup_add_default_devices(struct oci_resources *resources, struct oci_device_rule **ret)
{
	const size_t added = ARRAY_LEN(default_rules);
	struct oci_device_rule *list = calloc(resources->devices_len + added, sizeof(*list));

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < resources->devices_len; i++)
		list[i] = resources->devices[i];
	for (size_t i = 0; i < added; i++)
		list[resources->devices_len + i] = default_rules[i];
	resources->devices = list;
	resources->devices_len += added;
	resources->set = true;
	*ret = list;
	return 0;
}

void device_policy_done(struct device_policy *policy)
{
	free(policy->items);
	*policy = (struct device_policy){ 0 };
}

static struct device_exception *find(const struct device_policy *p, char type, int64_t major,
				     int64_t minor)
{
	for (size_t i = 0; i < p->len; i++) {
		struct device_exception *e = &p->items[i];

		if (e->type == type && e->major == major && e->minor == minor)
			return e;
	}
	return NULL;
}

static int add_exception(struct device_policy *p, struct device_exception add)
{
	struct device_exception *e = find(p, add.type, add.major, add.minor);

	if (e) {
		e->access |= add.access;
		return 0;
	}
	if (p->len == p->cap) {
		const size_t cap = p->cap ? p->cap * 2 : 16;
		struct device_exception *grown;

		if (p->len >= DEVICE_EXCEPTIONS_MAX)
			return -E2BIG;
		grown = reallocarray(p->items, cap, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		p->items = grown;
		p->cap = cap;
	}
	p->items[p->len++] = add;
	return 0;
}

/* Take access away from the same exception; -EINVAL if a wider one would go on giving it. */
static int remove_exception(struct device_policy *p, struct device_exception cut)
{
	struct device_exception *e;

	for (size_t i = 0; i < p->len; i++) {
		const struct device_exception *wide = &p->items[i];
		const bool same = wide->major == cut.major && wide->minor == cut.minor;

		if (!same && wide->type == cut.type && (wide->access & cut.access) &&
		    (wide->major == -1 || wide->major == cut.major) &&
		    (wide->minor == -1 || wide->minor == cut.minor))
			return -EINVAL;
	}
	e = find(p, cut.type, cut.major, cut.minor);
	if (!e)
		return 0;
	e->access &= ~cut.access;
	if (e->access == 0)
		*e = p->items[--p->len];
	return 0;
}

/* NULL is all, "" is nothing; -EINVAL for another letter. */
static int parse_access(const char *text, unsigned int *ret)
{
	unsigned int access = text ? 0 : DEVICE_ALL;

	for (const char *c = text; c && *c; c++) {
		if (*c == 'r')
			access |= DEVICE_READ;
		else if (*c == 'w')
			access |= DEVICE_WRITE;
		else if (*c == 'm')
			access |= DEVICE_MKNOD;
		else
			return -EINVAL;
	}
	*ret = access;
	return 0;
}

static int play_rule(struct device_policy *p, const struct oci_device_rule *rule)
{
	struct device_exception e = { rule->type, rule->major, rule->minor, 0 };
	int r = parse_access(rule->access, &e.access);

	if (r < 0)
		return r;
	if (rule->type == 'a' || rule->type == 0) {
		p->default_allow = rule->allow;
		p->len = 0;
		return 0;
	}
	if ((rule->type != 'b' && rule->type != 'c') || rule->major < -1 ||
	    rule->major > UINT32_MAX || rule->minor < -1 || rule->minor > UINT32_MAX)
		return -EINVAL;
	if (e.access == 0)
		return 0;
	return rule->allow == p->default_allow ? remove_exception(p, e) : add_exception(p, e);
}

int device_policy_build(const struct oci_device_rule *rules, size_t len, struct device_policy *ret,
			struct err *err)
{
	AUTO(device_policy_done) struct device_policy p = { 0 };

	for (size_t i = 0; i < len; i++) {
		const int r = play_rule(&p, &rules[i]);

		if (r == -EINVAL)
			return err_set(
				err, r,
				"linux.resources.devices[%zu]: %s %c %lld:%lld %.8s cannot be "
				"expressed: not valid, or a hole in a wider rule",
				i, rules[i].allow ? "allow" : "deny", rules[i].type,
				(long long)rules[i].major, (long long)rules[i].minor,
				rules[i].access ? rules[i].access : "rwm");
		if (r < 0)
			return err_sys(err, r, "linux.resources.devices[%zu]", i);
	}
	*ret = p;
	p = (struct device_policy){ 0 };
	return 0;
}

/* "*" or a number. */
static int parse_number(const char *text, int64_t *ret)
{
	if (str_eq(text, "*")) {
		*ret = -1;
		return 0;
	}
	return str_to_i64(text, 0, UINT32_MAX, ret);
}

/* "c 1:3 rwm" */
static int parse_list_line(char *line, struct device_policy *p)
{
	struct device_exception e = { 0 };
	char *numbers = strchr(line, ' '), *minor, *access;
	int r;

	minor = numbers ? strchr(numbers, ':') : NULL;
	access = minor ? strchr(minor, ' ') : NULL;
	if (!access || numbers != line + 1)
		return -EINVAL;
	*numbers++ = '\0';
	*minor++ = '\0';
	*access++ = '\0';
	e.type = line[0];
	r = parse_number(numbers, &e.major);
	if (r == 0)
		r = parse_number(minor, &e.minor);
	if (r == 0)
		r = parse_access(access, &e.access);
	if (r < 0)
		return r;
	if (e.type == 'a') {
		p->default_allow = true;
		return 0;
	}
	if ((e.type != 'b' && e.type != 'c') || e.access == 0)
		return -EINVAL;
	return add_exception(p, e);
}

int device_policy_parse(const char *list, struct device_policy *ret)
{
	AUTO(device_policy_done) struct device_policy p = { 0 };
	AUTO_FREE char *text = strdup(list);
	char *save = NULL;

	if (!text)
		return -ENOMEM;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		const int r = parse_list_line(line, &p);

		if (r < 0)
			return r;
	}
	*ret = p;
	p = (struct device_policy){ 0 };
	return 0;
}

/* -------------------------------------------------------------------------------------- v1 */

/* Both files, open for the run of writes. */
struct v1_devices {
	int allow_fd, deny_fd; /* owned */
	struct err *err;
};

static void v1_devices_done(struct v1_devices *v)
{
	auto_close_p(&v->allow_fd);
	auto_close_p(&v->deny_fd);
}

static int write_rule(const struct v1_devices *v, bool allow, const char *text)
{
	ssize_t n;

	do {
		n = write(allow ? v->allow_fd : v->deny_fd, text, strlen(text));
	} while (n < 0 && errno == EINTR);
	if (n >= 0)
		return 0;
	return err_sys(v->err, -errno, "devices: write %s to devices.%s", text,
		       allow ? "allow" : "deny");
}

static void number_text(int64_t n, char text[static 16])
{
	if (n < 0)
		(void)snprintf(text, 16, "*");
	else
		(void)snprintf(text, 16, "%u", (unsigned int)n);
}

static int write_exception(const struct v1_devices *v, bool allow, const struct device_exception *e,
			   unsigned int access)
{
	char text[DEVICE_RULE_TEXT], major[16], minor[16];

	number_text(e->major, major);
	number_text(e->minor, minor);
	(void)snprintf(text, sizeof(text), "%c %s:%s %s%s%s", e->type, major, minor,
		       access & DEVICE_READ ? "r" : "", access & DEVICE_WRITE ? "w" : "",
		       access & DEVICE_MKNOD ? "m" : "");
	return write_rule(v, allow, text);
}

/* From the state `now` to `target`; `from_scratch` writes the default first. */
static int write_transition(const struct v1_devices *v, const struct device_policy *now,
			    const struct device_policy *target, bool from_scratch)
{
	const bool exception = !target->default_allow;
	int r = from_scratch ? write_rule(v, target->default_allow, "a") : 0;

	for (size_t i = 0; r == 0 && !from_scratch && i < now->len; i++) {
		const struct device_exception *old = &now->items[i];
		const struct device_exception *kept =
			find(target, old->type, old->major, old->minor);
		const unsigned int lost = old->access & ~(kept ? kept->access : 0u);

		if (lost)
			r = write_exception(v, !exception, old, lost);
	}
	for (size_t i = 0; r == 0 && i < target->len; i++) {
		const struct device_exception *e = &target->items[i];
		const struct device_exception *had =
			from_scratch ? NULL : find(now, e->type, e->major, e->minor);
		const unsigned int gained = e->access & ~(had ? had->access : 0u);

		if (gained)
			r = write_exception(v, exception, e, gained);
	}
	return r;
}

static int read_policy(int dir_fd, struct device_policy *ret, struct err *err)
{
	AUTO_BUF struct buf list = { .max = CGROUP_FILE_MAX };
	int r = fd_read_file(dir_fd, "devices.list", &list);

	if (r == 0)
		r = device_policy_parse(list.data ? list.data : "", ret);
	return r < 0 ? err_sys(err, r, "devices: read devices.list") : 0;
}

int cgroup_apply_devices_v1(const struct cgroup *cg, const struct oci_resources *res, bool update,
			    struct err *err)
{
	AUTO(cgroup_ctl_done) struct cgroup_ctl ctl = { .dir_fd = -EBADF };
	AUTO(device_policy_done) struct device_policy now = { .default_allow = true };
	AUTO(device_policy_done) struct device_policy target = { 0 };
	AUTO(v1_devices_done) struct v1_devices v = { -EBADF, -EBADF, err };
	bool from_scratch = true;
	int r;

	if (res->devices_len == 0)
		return 0;
	/* A user without the controller has no device nodes of his own making either. */
	if ((cg->rootless || cg->disabled) && cgroup_index(cg, "devices") < 0)
		return 0;
	r = cgroup_ctl_open(cg, "devices", "linux.resources.devices", err, &ctl);
	if (r == 0)
		r = device_policy_build(res->devices, res->devices_len, &target, err);
	if (r == 0 && update) {
		r = read_policy(ctl.dir_fd, &now, err);
		/* A deny list does not show its exceptions: it can only be written anew. */
		from_scratch = now.default_allow || target.default_allow;
	}
	if (r < 0)
		return r;
	v.allow_fd = openat(ctl.dir_fd, "devices.allow", O_WRONLY | O_CLOEXEC);
	v.deny_fd = openat(ctl.dir_fd, "devices.deny", O_WRONLY | O_CLOEXEC);
	if (v.allow_fd < 0 || v.deny_fd < 0)
		return err_sys(err, -errno, "devices: open devices.allow and devices.deny");
	return write_transition(&v, &now, &target, from_scratch);
}
