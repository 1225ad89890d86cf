/* SPDX-License-Identifier: Apache-2.0 */
#include "ns/sources.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "ns/mount_bind.h"

void source_fds_done(struct source_fds *sources)
{
	for (size_t i = 0; sources->fds && i < sources->len; i++)
		auto_close_p(&sources->fds[i]);
	free(sources->fds);
	*sources = (struct source_fds){ 0 };
}

static int open_all(const struct oci_spec *spec, const char *bundle, struct idmap_fds *idmaps,
		    struct source_fds *sources, struct err *err)
{
	for (size_t i = 0; i < sources->len; i++) {
		int *map = idmaps->fds && idmaps->fds[i] >= 0 ? &idmaps->fds[i] : NULL;
		struct err reason;
		const int r = mount_source_open(&spec->mounts[i], bundle, map ? *map : -1,
						&sources->fds[i], &reason);

		if (r < 0 && map)
			return err_set(err, r, "%s", reason.msg);
		if (map && sources->fds[i] >= 0) {
			auto_close_p(map);
			*map = -EBADF;
		}
	}
	return 0;
}

int source_fds_open(const struct oci_spec *spec, const char *bundle, struct idmap_fds *idmaps,
		    struct source_fds *ret, struct err *err)
{
	struct source_fds sources = { .len = spec->mounts_len };
	int r;

	if (sources.len == 0)
		return 0;
	sources.fds = malloc(sources.len * sizeof(*sources.fds));
	if (!sources.fds)
		return err_sys(err, -ENOMEM, "mounts");
	for (size_t i = 0; i < sources.len; i++)
		sources.fds[i] = -EBADF;
	r = open_all(spec, bundle, idmaps, &sources, err);
	if (r < 0) {
		source_fds_done(&sources);
		return r;
	}
	*ret = sources;
	return 0;
}
