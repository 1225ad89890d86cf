/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sandbox/limits.h"

#include <stdlib.h>

void sandbox_limits_done(struct sandbox_limits *l)
{
	free(l->unified);
}

int sandbox_limits_keep(const struct creation *cr, struct sandbox_limits *ret, struct err *err)
{
	const struct oci_resources *r = &cr->spec.linux.resources;

	ret->resources = *r;
	ret->unified = calloc(r->unified.len + 1, sizeof(*ret->unified));
	if (!ret->unified)
		return err_sys(err, -ENOMEM, "linux.resources");
	for (size_t i = 0; i < r->unified.len; i++)
		ret->unified[i] = r->unified.items[i];
	return 0;
}

void sandbox_limits_return(struct creation *cr, const struct sandbox_limits *limits)
{
	cr->spec.linux.resources = limits->resources;
	for (size_t i = 0; i < limits->resources.unified.len; i++)
		limits->resources.unified.items[i] = limits->unified[i];
}
