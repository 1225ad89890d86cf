/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/address.h"

#include <dirent.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "oci/pod.h"
#include "shim/manage.h"

#define BACKLOG	   128
#define DIGITS	   32	       /* of a name */
#define LISTED_MAX (16u << 20) /* bytes, of the kernel's list of sockets */

/* FNV-1a of 128 bits: a name that differs where its parts do, nothing that keeps a secret. */
static void hash(unsigned __int128 *h, const char *text)
{
	const unsigned __int128 prime = ((unsigned __int128)1 << 88) + 0x13b;

	/* With its NUL, which no part holds: "a", "bc" is not "ab", "c". */
	for (size_t i = 0; i <= strlen(text); i++)
		*h = (*h ^ (unsigned char)text[i]) * prime;
}

int address_path(const char *dir, const char *containerd, const char *ns, const char *group,
		 char ret[static ADDRESS_MAX], struct err *err)
{
	unsigned __int128 h = ((unsigned __int128)0x6c62272e07bb0142 << 64) | 0x62b821756295c58d;
	char path[ADDRESS_MAX];
	int len;

	hash(&h, containerd);
	hash(&h, ns);
	hash(&h, group);
	len = snprintf(path, sizeof(path), "%s/%016llx%016llx", dir, (unsigned long long)(h >> 64),
		       (unsigned long long)h);
	if (len >= (int)sizeof(path))
		return err_set(err, -ENAMETOOLONG, "the path of a socket in %s is too long", dir);
	memcpy(ret, path, sizeof(path));
	return 0;
}

const char *address_group(const json_t *config, const char *id)
{
	const char *sandbox = oci_pod_sandbox(json_object_get(config, "annotations"));

	return sandbox ? sandbox : id;
}

static void set_address(struct sockaddr_un *address, const char *path)
{
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(address->sun_path, path, strnlen(path, sizeof(address->sun_path) - 1));
}

int address_connect(const char *path)
{
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address;

	if (fd < 0)
		return -errno;
	set_address(&address, path);
	return connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : TAKE_FD(fd);
}

bool address_answers(const char *path)
{
	AUTO_CLOSE int fd = address_connect(path);

	return fd >= 0 || fd == -EAGAIN;
}

static int bind_and_listen(const char *path, struct err *err)
{
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address;
	mode_t old;
	int r;

	if (fd < 0)
		return err_sys(err, -errno, "make a socket");
	set_address(&address, path);
	old = umask(0177);
	r = bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
	(void)umask(old);
	if (r == 0 && listen(fd, BACKLOG) < 0)
		r = -errno;
	return r < 0 ? err_sys(err, r, "listen at %s", path) : TAKE_FD(fd);
}

/* For its owner alone; those above it, as containerd makes them, for who passes through. */
static int make_directory(char *dir, struct err *err)
{
	for (char *slash = strchr(dir + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		int r;

		*slash = '\0';
		r = mkdir(dir, 0711) < 0 && errno != EEXIST ? err_sys(err, -errno, "make %s", dir)
							    : 0;
		*slash = '/';
		if (r < 0)
			return r;
	}
	return mkdir(dir, 0700) < 0 && errno != EEXIST ? err_sys(err, -errno, "make %s", dir) : 0;
}

/* Whoever holds it may look at a socket and replace or remove it. */
static int lock_directory(const char *path, bool make, struct err *err)
{
	AUTO_FREE char *copy = strdup(path);
	AUTO_CLOSE int lock = -EBADF;
	char *dir;
	int r;

	if (!copy)
		return err_sys(err, -ENOMEM, "%s", path);
	dir = dirname(copy);
	r = make ? make_directory(dir, err) : 0;
	if (r < 0)
		return r;
	lock = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lock < 0 || flock(lock, LOCK_EX) < 0)
		return err_sys(err, -errno, "lock %s", dir);
	return TAKE_FD(lock);
}

int address_remove(const char *path, struct err *err)
{
	AUTO_CLOSE int lock = lock_directory(path, false, err);

	if (lock < 0)
		return lock == -ENOENT ? 0 : lock;
	if (!address_answers(path) && unlink(path) < 0 && errno != ENOENT)
		return err_sys(err, -errno, "remove %s", path);
	return 0;
}

/* One of ours: those of other runtimes' shims are longer. */
static bool is_our_name(const char *name)
{
	const size_t digits = strspn(name, "0123456789abcdef");

	return digits == DIGITS && (!name[digits] || str_eq(name + digits, MANAGE_SUFFIX));
}

static bool is_socket(int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(st.st_mode);
}

/* The kernel's list has those of our network namespace: of others the connection tells. */
static bool is_dead(const char *path, const char *listed)
{
	const char *at = strstr(listed, path);
	AUTO_CLOSE int fd = -EBADF;

	for (; at; at = strstr(at + 1, path)) {
		if (at[strlen(path)] == '\n')
			return false;
	}
	fd = address_connect(path);
	return fd == -ECONNREFUSED;
}

void address_sweep(const char *path)
{
	AUTO_CLOSE int lock = lock_directory(path, false, NULL);
	AUTO_BUF struct buf listed = { .max = LISTED_MAX };
	const size_t dir_len = (size_t)(strrchr(path, '/') - path);
	const int fd = lock < 0 ? -1 : fcntl(lock, F_DUPFD_CLOEXEC, 3);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	char each[ADDRESS_MAX];

	if (!dir && fd >= 0)
		(void)close(fd);
	if (!dir)
		return;
	if (fd_read_file(AT_FDCWD, "/proc/net/unix", &listed) == 0 && listed.data) {
		while ((entry = readdir(dir))) {
			if (is_our_name(entry->d_name) && is_socket(lock, entry->d_name) &&
			    snprintf(each, sizeof(each), "%.*s/%s", (int)dir_len, path,
				     entry->d_name) < (int)sizeof(each) &&
			    is_dead(each, listed.data))
				(void)unlinkat(lock, entry->d_name, 0);
		}
	}
	(void)closedir(dir);
}

int address_listen(const char *path, struct err *err)
{
	AUTO_CLOSE int lock = lock_directory(path, true, err);

	if (lock < 0)
		return lock;
	if (address_answers(path))
		return -EEXIST;
	if (unlink(path) < 0 && errno != ENOENT)
		return err_sys(err, -errno, "remove %s", path);
	return bind_and_listen(path, err);
}

int address_save(int bundle_fd, const char *path, struct err *err)
{
	char text[sizeof(ADDRESS_SCHEME) + ADDRESS_MAX];
	const int len = snprintf(text, sizeof(text), ADDRESS_SCHEME "%s", path);
	const int r = fd_replace_file(bundle_fd, ADDRESS_FILE, text, (size_t)len, 0600);

	return r < 0 ? err_sys(err, r, "write " ADDRESS_FILE) : 0;
}

int address_load(int bundle_fd, char ret[static ADDRESS_MAX], struct err *err)
{
	AUTO_BUF struct buf text = { .max = 4096 };
	int r = fd_read_file(bundle_fd, ADDRESS_FILE, &text);
	const char *path;

	if (r < 0)
		return err_sys(err, r, "read " ADDRESS_FILE);
	path = text.data ? str_after(text.data, ADDRESS_SCHEME) : NULL;
	if (!path || path[0] != '/' || strlen(path) >= ADDRESS_MAX)
		return err_set(err, -EINVAL, ADDRESS_FILE ": no path of a unix socket");
	memcpy(ret, path, strlen(path) + 1);
	return 0;
}
