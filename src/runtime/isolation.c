/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/isolation.h"

#include <fnmatch.h>

#include "base/str.h"

static const char *const names[ISOLATION_MAX] = {
	[ISOLATION_NS] = "ns",
	[ISOLATION_SENTRY] = "sentry",
	[ISOLATION_VM] = "vm",
};

const char *isolation_name(enum isolation isolation)
{
	return isolation >= 0 && isolation < ISOLATION_MAX ? names[isolation] : "unset";
}

int isolation_from_name(const char *name, enum isolation *ret, struct err *err)
{
	for (int i = 0; i < ISOLATION_MAX; i++) {
		if (str_eq(name, names[i])) {
			*ret = (enum isolation)i;
			return 0;
		}
	}
	return err_set(err, -EINVAL,
		       "unknown isolation class \"%.64s\": the classes are ns, sentry and vm",
		       name);
}

int isolation_ops_get(enum isolation isolation, const struct isolation_ops **ret, struct err *err)
{
	static const struct isolation_ops *const tables[ISOLATION_MAX] = {
		[ISOLATION_NS] = &class_ns,
		[ISOLATION_SENTRY] = &class_sentry,
		[ISOLATION_VM] = &class_vm,
	};

	if (isolation < 0 || isolation >= ISOLATION_MAX)
		return err_set(err, -ENOTSUP, "isolation class %s is not built into this caisson",
			       isolation_name(isolation));
	*ret = tables[isolation];
	return 0;
}

static void add(struct oci_opt_i64 *limit, uint64_t extra)
{
	if (limit->set && limit->v > 0)
		limit->v = limit->v < INT64_MAX - (int64_t)extra ? limit->v + (int64_t)extra
								 : INT64_MAX;
}

void isolation_add_extras(const struct isolation_ops *ops, const struct container *c,
			  struct oci_resources *limits)
{
	if (ops->host_limits)
		ops->host_limits(c, limits);
	else
		add(&limits->pids_limit, ops->extra_pids);
	/* Where there are none, nobody enforces them (or an update leaves them as they are). */
	if (ops->host_devices && limits->devices_len) {
		limits->devices = (struct oci_device_rule *)ops->host_devices; /* only read */
		limits->devices_len = ops->host_devices_len;
	}
}

/* Entries of allowed_annotations are names or glob(7) patterns. */
bool isolation_annotation_allowed(const struct runtime *rt, const char *key)
{
	for (size_t i = 0; rt->allowed_annotations && rt->allowed_annotations[i]; i++) {
		if (fnmatch(rt->allowed_annotations[i], key, 0) == 0)
			return true;
	}
	return false;
}

int isolation_choose(const struct runtime *rt, const struct oci_spec *spec, enum isolation *ret,
		     struct err *err)
{
	const char *text = oci_annotation(spec, ISOLATION_ANNOTATION);
	enum isolation asked = ISOLATION_UNSET;
	int r;

	if (text) {
		r = isolation_from_name(text, &asked, err);
		if (r < 0)
			return err_prefix(err, r, "annotation " ISOLATION_ANNOTATION);
	}
	if (rt->isolation == ISOLATION_UNSET) {
		*ret = asked != ISOLATION_UNSET ? asked : rt->default_isolation;
		if (*ret == ISOLATION_UNSET)
			*ret = ISOLATION_SENTRY;
		return 0;
	}
	if (asked == ISOLATION_UNSET || asked == rt->isolation) {
		*ret = rt->isolation;
		return 0;
	}
	if (!isolation_annotation_allowed(rt, ISOLATION_ANNOTATION))
		return err_set(err, -EPERM,
			       "the runtime was called for isolation class %s, "
			       "annotation " ISOLATION_ANNOTATION
			       " asks for %s, and allowed_annotations does not list it",
			       isolation_name(rt->isolation), isolation_name(asked));
	*ret = asked;
	return 0;
}
