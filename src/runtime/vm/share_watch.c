/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/vm/share_watch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"

#define ENTRIES_MAX 256u	 /* of one volume when the container is made */
#define BYTES_MAX   (1ull << 20) /* of one ConfigMap or Secret at most */
#define DEPTH_MAX   4
#define EVENTS                                                                              \
	(IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE | IN_ATTRIB | \
	 IN_ONLYDIR)

bool share_watch_wanted(const struct oci_mount *m, const char *listed)
{
	static const char *const kubelets[] = { "/kubernetes.io~configmap/",
						"/kubernetes.io~secret/",
						"/kubernetes.io~downward-api/",
						"/kubernetes.io~projected/" };

	for (size_t i = 0; m->source && i < ARRAY_LEN(kubelets); i++) {
		if (strstr(m->source, kubelets[i]))
			return true;
	}
	for (const char *at = listed; at && *at; at += strcspn(at, ",")) {
		size_t len;

		at += *at == ',';
		len = strcspn(at, ",");
		if (len && strlen(m->destination) == len && !strncmp(at, m->destination, len))
			return true;
	}
	return false;
}

struct sum {
	uint64_t bytes;
	unsigned int entries;
};

static bool is_small(int at, const char *name, unsigned int depth, struct sum *sum)
{
	const int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;
	bool small = d && depth <= DEPTH_MAX;

	if (!d && fd >= 0)
		(void)close(fd);
	while (small && (entry = readdir(d))) {
		struct stat st;

		if (str_eq(entry->d_name, ".") || str_eq(entry->d_name, ".."))
			continue;
		/* What is gone meanwhile has no size. */
		if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		sum->bytes += S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
		small = ++sum->entries <= ENTRIES_MAX && sum->bytes <= BYTES_MAX &&
			(S_ISREG(st.st_mode) || S_ISLNK(st.st_mode) ||
			 (S_ISDIR(st.st_mode) && is_small(fd, entry->d_name, depth + 1, sum)));
	}
	if (d)
		(void)closedir(d);
	return small;
}

static int add(struct share *share, int fd)
{
	char path[FD_PATH_MAX];

	if (!share->watches) {
		share->watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
		if (share->watch < 0)
			return -errno;
		share->watches = true;
	}
	return inotify_add_watch(share->watch, fd_path(fd, path), EVENTS) < 0 ? -errno : 0;
}

bool share_watch_add(struct share *share, const struct oci_mount *m, int fd)
{
	struct sum sum = { 0 };
	int r;

	if (share->copies_len == SHARE_COPIES_MAX || !is_small(fd, ".", 0, &sum)) {
		log_warning("mount %s at %s: too large or one too many: its changes are not told "
			    "to inotify(7) inside",
			    m->source, m->destination);
		return false;
	}
	r = add(share, fd);
	if (r < 0)
		log_warning("mount %s at %s: it is not watched: %s", m->source, m->destination,
			    strerrordesc_np(-r));
	return r == 0;
}
