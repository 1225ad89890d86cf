/* SPDX-License-Identifier: Apache-2.0 */
#include "ns/idmap.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "host/ids.h"

void idmap_fds_done(struct idmap_fds *maps)
{
	for (size_t i = 0; maps->fds && i < maps->len; i++)
		auto_close_p(&maps->fds[i]);
	free(maps->fds);
	*maps = (struct idmap_fds){ 0 };
}

/* The option "idmap", "ridmap" or one with a value; *ret_maps is the value or NULL. */
static bool wants_idmap(const struct oci_mount *mount, const char **ret_maps)
{
	for (size_t i = 0; i < mount->options.len; i++) {
		const char *option = mount->options.items[i];
		const char *rest = str_after(option, "idmap");

		if (!rest)
			rest = str_after(option, "ridmap");
		if (rest && (*rest == '\0' || *rest == '=')) {
			*ret_maps = *rest == '=' ? rest + 1 : NULL;
			return true;
		}
	}
	return false;
}

/* Relative ids of "idmap=uids=@0-0-1" count from the container's mapping (crun(1)). */
static int resolve(struct oci_id_map *map, bool relative, const struct oci_id_maps *container)
{
	if (!relative)
		return 0;
	for (size_t i = 0; i < container->len; i++) {
		const struct oci_id_map *c = &container->items[i];

		if (map->host_id >= c->container_id && map->host_id - c->container_id < c->size) {
			map->host_id = c->host_id + (map->host_id - c->container_id);
			return 0;
		}
	}
	return -EINVAL;
}

static int open_written(const struct oci_spec *spec, const char *text, struct err *err)
{
	struct ids_mount_maps parsed = { 0 };
	struct oci_id_maps uids = { .items = parsed.uids }, gids = { .items = parsed.gids };
	int r = ids_parse_mount_maps(text, &parsed, err);

	for (size_t i = 0; r == 0 && i < parsed.uids_len; i++)
		r = resolve(&parsed.uids[i], parsed.uids_relative[i], &spec->linux.uid_maps);
	for (size_t i = 0; r == 0 && i < parsed.gids_len; i++)
		r = resolve(&parsed.gids[i], parsed.gids_relative[i], &spec->linux.gid_maps);
	if (r < 0)
		return r;
	uids.len = parsed.uids_len;
	gids.len = parsed.gids_len;
	return ids_userns_open(&uids, &gids, err);
}

static int open_one(const struct oci_spec *spec, const struct oci_mount *mount, struct err *err)
{
	const char *written = NULL;
	int fd;

	if (!wants_idmap(mount, &written) && mount->uid_maps.len == 0 && mount->gid_maps.len == 0)
		return -EBADF;
	if (mount->uid_maps.len > 0 || mount->gid_maps.len > 0)
		fd = ids_userns_open(&mount->uid_maps, &mount->gid_maps, err);
	else if (written)
		fd = open_written(spec, written, err);
	else if (spec->linux.uid_maps.len > 0)
		fd = ids_userns_open(&spec->linux.uid_maps, &spec->linux.gid_maps, err);
	else
		fd = err_set(err, -EINVAL, "idmap without mappings");
	if (fd < 0)
		return err_prefix(err, fd == -EBADF ? -EINVAL : fd, "mounts: %s",
				  mount->destination);
	return fd;
}

int idmap_fds_open(const struct oci_spec *spec, struct idmap_fds *ret, struct err *err)
{
	struct idmap_fds maps = { .len = spec->mounts_len };

	for (size_t i = 0; i < spec->mounts_len; i++) {
		const int fd = open_one(spec, &spec->mounts[i], err);

		if (fd < 0 && fd != -EBADF) {
			idmap_fds_done(&maps);
			return fd;
		}
		if (fd >= 0 && !maps.fds) {
			maps.fds = malloc(maps.len * sizeof(*maps.fds));
			if (!maps.fds) {
				(void)close(fd);
				return err_sys(err, -ENOMEM, "mounts");
			}
			for (size_t j = 0; j < maps.len; j++)
				maps.fds[j] = -EBADF;
		}
		if (fd >= 0)
			maps.fds[i] = fd;
	}
	*ret = maps;
	return 0;
}
