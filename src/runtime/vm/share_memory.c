/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/vm/share_memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"

#define GUEST_MEMORY "/run/caisson/memory"
#define KUBELETS     "/kubernetes.io~empty-dir/" /* and the volume's name */

bool share_memory_wanted(const struct oci_mount *m)
{
	const char *name;

	if (!m->source || m->source[0] != '/')
		return false;
	if (str_eq(m->destination, "/dev/shm"))
		return !str_eq(m->source, "/dev/shm");
	name = strstr(m->source, KUBELETS);
	name = name ? name + strlen(KUBELETS) : "";
	return *name && !strchr(name, '/');
}

/* A tmpfs that is mounted there as a whole: its directory's parent is in another file system. */
static bool is_whole_tmpfs(const struct oci_mount *m, int fd, const struct stat *st,
			   struct statfs *fs)
{
	AUTO_FREE char *parent = strdup(m->source);
	struct stat other;

	if (!parent || fstatfs(fd, fs) < 0 || fs->f_type != TMPFS_MAGIC)
		return false;
	*strrchr(parent, '/') = '\0';
	if (stat(*parent ? parent : "/", &other) < 0 || other.st_dev == st->st_dev)
		return false;
	/* The host's own, by whatever name: others look at it. */
	return stat("/dev/shm", &other) < 0 || other.st_dev != st->st_dev;
}

static bool is_empty(int at)
{
	const int fd = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;
	bool empty = dir != NULL;

	if (!dir && fd >= 0)
		(void)close(fd);
	while (empty && (entry = readdir(dir)))
		empty = str_eq(entry->d_name, ".") || str_eq(entry->d_name, "..");
	if (dir)
		(void)closedir(dir);
	return empty;
}

/* A mount that was taken before has it made. */
static bool is_known(const struct share *share, const char *path)
{
	for (unsigned int i = 0; i < share->memories_len; i++) {
		if (str_eq(share->memories[i].path, path))
			return true;
	}
	return false;
}

static void describe(const struct stat *st, const struct statfs *fs, uint64_t machine_memory,
		     struct share_memory *ret)
{
	const uint64_t size = (uint64_t)fs->f_blocks * (uint64_t)fs->f_bsize;
	char limit[32] = "", inodes[40] = "";

	if (size && (!machine_memory || size <= machine_memory))
		(void)snprintf(limit, sizeof(limit), ",size=%llu", (unsigned long long)size);
	/* With the size: a number that belongs to the host's memory says nothing here. */
	if (*limit && fs->f_files)
		(void)snprintf(inodes, sizeof(inodes), ",nr_inodes=%llu",
			       (unsigned long long)fs->f_files);
	(void)snprintf(ret->options, sizeof(ret->options), "mode=%o,uid=%u,gid=%u%s%s",
		       st->st_mode & 07777u, st->st_uid, st->st_gid, limit, inodes);
}

int share_memory_take(struct share *share, size_t index, const struct oci_mount *m, int fd,
		      uint64_t machine_memory)
{
	struct share_memory *memory = &share->memories[share->memories_len];
	struct share_mount *mount = &share->mounts[index];
	char path[sizeof(memory->path)];
	struct statfs fs;
	struct stat st;

	if (!share_memory_wanted(m) || fstat(fd, &st) < 0 || !S_ISDIR(st.st_mode) ||
	    !is_whole_tmpfs(m, fd, &st, &fs) || !is_empty(fd))
		return 0;
	/* The device's number is the next file system's when this one is gone; Linux 5.13 has more.
	 */
	(void)snprintf(path, sizeof(path), GUEST_MEMORY "/%u:%u-%x-%x", major(st.st_dev),
		       minor(st.st_dev), (unsigned int)fs.f_fsid.__val[0],
		       (unsigned int)fs.f_fsid.__val[1]);
	if (!is_known(share, path)) {
		if (share->memories_len == SHARE_MEMORIES_MAX) {
			log_warning("mount %s at %s: one too many: it stays in the host's memory",
				    m->source, m->destination);
			return 0;
		}
		memcpy(memory->path, path, sizeof(path));
		describe(&st, &fs, machine_memory, memory);
		share->memories_len++;
	}
	mount->kind = SHARE_MEMORY;
	mount->path = strdup(path);
	return mount->path ? 1 : -ENOMEM;
}
