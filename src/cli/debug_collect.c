/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/debug.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "cli/check.h"

#define NAME_MAX_BYTES 512 /* of a member's name; tar_add() judges it */

static int add_text(struct collect *c, const char *name, const char *text, struct err *err)
{
	return tar_add(&c->tar, name, text, strlen(text), err);
}

static int add_json(struct collect *c, const char *name, const json_t *value, struct err *err)
{
	AUTO_FREE char *text = value ? json_text(value, JSON_INDENT(2) | JSON_ENCODE_ANY) : NULL;

	return text ? add_text(c, name, text, err) : err_sys(err, -ENOMEM, "debug: %s", name);
}

/* At most max bytes: a regular file's last ones, of another (proc, cgroup) the first ones. */
static int read_bounded(int dirfd, const char *path, size_t max, struct buf *out)
{
	AUTO_CLOSE int fd =
		openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_size > (off_t)max && lseek(fd, st.st_size - (off_t)max, SEEK_SET) < 0)
		return -errno;
	while (out->len < max) {
		char chunk[16384];
		const size_t want = max - out->len < sizeof(chunk) ? max - out->len : sizeof(chunk);
		const ssize_t n = read(fd, chunk, want);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		buf_append(out, chunk, (size_t)n);
	}
	return buf_error(out);
}

/* A file as a member; what cannot be read becomes NAME.error. */
static int add_file(struct collect *c, int dirfd, const char *path, const char *name,
		    struct err *err)
{
	AUTO_BUF struct buf text = { 0 };
	char error_name[NAME_MAX_BYTES];
	const int r = read_bounded(dirfd, path, COLLECT_FILE_MAX, &text);

	if (r == 0)
		return tar_add(&c->tar, name, text.data ? text.data : "", text.len, err);
	(void)snprintf(error_name, sizeof(error_name), "%s.error", name);
	return add_text(c, error_name, strerrordesc_np(-r), err);
}

static void redact_list(json_t *env)
{
	json_t *item;
	size_t i;

	json_array_foreach (env, i, item) {
		const char *text = json_string_value(item);
		const size_t len = text ? strcspn(text, "=") : 0;

		(void)json_array_set_new(
			env, i, json_sprintf("%.*s=<redacted>", (int)len, text ? text : ""));
	}
}

static void redact_values(json_t *object)
{
	const char *key;
	json_t *value;
	void *next;

	json_object_foreach_safe(object, next, key, value)(void)
		json_object_set_new(object, key, json_string("<redacted>"));
}

void collect_redact(json_t *config)
{
	json_t *hooks = json_object_get(config, "hooks");
	const char *kind;
	json_t *list, *hook;
	size_t i;

	redact_list(json_object_get(json_object_get(config, "process"), "env"));
	json_object_foreach (hooks, kind, list) {
		json_array_foreach (list, i, hook)
			redact_list(json_object_get(hook, "env"));
	}
	redact_values(json_object_get(config, "annotations"));
}

/* A JSON file of the container's directory, without its secrets. */
static int add_redacted(struct collect *c, const char *path, const char *name, struct err *err)
{
	AUTO_JSON json_t *document = NULL;
	char error_name[NAME_MAX_BYTES];
	struct err why = { 0 };

	if (json_read_file(c->container->dir_fd, path, OCI_CONFIG_MAX, &document, &why) < 0) {
		(void)snprintf(error_name, sizeof(error_name), "%s.error", name);
		return add_text(c, error_name, why.msg, err);
	}
	collect_redact(document);
	return add_json(c, name, document, err);
}

static int add_log(struct collect *c, struct err *err)
{
	const char *log = config_text(&c->cli->config, CONFIG_LOG);
	AUTO_BUF struct buf text = { 0 };
	int r;

	if (!log || str_after(log, "syslog:") || str_after(log, "journald:"))
		return add_text(c, "log.error", "the log is not a file", err);
	if (str_after(log, "file:"))
		log = str_after(log, "file:");
	r = read_bounded(AT_FDCWD, log, COLLECT_LOG_MAX, &text);
	if (r < 0)
		return add_text(c, "log.error", strerrordesc_np(-r), err);
	return tar_add(&c->tar, "log", text.data ? text.data : "", text.len, err);
}

/* "memory" or, for cgroup2, "unified"; nothing but letters, so that it can be a member's name. */
static void cgroup_label(const char *controllers, char label[static 64])
{
	size_t len = 0;

	if (!*controllers)
		controllers = "unified";
	for (; *controllers && len < 63; controllers++) {
		const char ch = *controllers;
		const bool plain =
			(ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9') || ch == '_';

		label[len++] = plain ? ch : '-';
	}
	label[len] = '\0';
}

static int add_cgroup_dir(struct collect *c, const struct cgroup_dir *dir, struct err *err)
{
	DIR *files = opendir(dir->path);
	const struct dirent *entry;
	char label[64];
	int left = COLLECT_CGROUP_FILES_MAX;
	int r = 0;

	cgroup_label(dir->controllers, label);
	while (files && r == 0 && left > 0 && (entry = readdir(files)) != NULL) {
		char name[NAME_MAX_BYTES];
		struct stat st;

		if (entry->d_type != DT_REG || fstatat(dirfd(files), entry->d_name, &st, 0) < 0 ||
		    !(st.st_mode & 0444))
			continue;
		left--;
		(void)snprintf(name, sizeof(name), "cgroup/%s/%s", label, entry->d_name);
		r = add_file(c, dirfd(files), entry->d_name, name, err);
	}
	if (files)
		(void)closedir(files);
	return r;
}

static int add_cgroup(struct collect *c, struct err *err)
{
	const struct cgroup_dir *dirs = NULL;
	const size_t len = c->container->cgroup ? cgroup_dirs(c->container->cgroup, &dirs) : 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < len; i++)
		r = add_cgroup_dir(c, &dirs[i], err);
	return r;
}

static int add_process(struct collect *c, pid_t pid, bool whole, struct err *err)
{
	static const char *const files[] = { "status",	  "limits",  "cgroup", "wchan",
					     "mountinfo", "uid_map", "gid_map" };
	const size_t len = whole ? ARRAY_LEN(files) : 4;
	AUTO_CLOSE int fd = -EBADF;
	char path[64];
	int r = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d", pid);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return 0; /* it ended */
	for (size_t i = 0; r == 0 && i < len; i++) {
		(void)snprintf(path, sizeof(path), "proc/%d/%s", pid, files[i]);
		r = add_file(c, fd, files[i], path, err);
	}
	return r;
}

static int add_processes(struct collect *c, struct err *err)
{
	AUTO_FREE pid_t *pids = NULL;
	struct err why = { 0 };
	size_t len = 0;
	int r = 0;

	/* container_pids() changes nothing; only its contract lacks the const. */
	if (container_pids((struct container *)c->container, &pids, &len, &why) < 0)
		return add_text(c, "proc.error", why.msg, err);
	for (size_t i = 0; r == 0 && i < len && i < COLLECT_PIDS_MAX; i++)
		r = add_process(c, pids[i], pids[i] == c->container->pid, err);
	return r;
}

static int add_host(struct collect *c, struct err *err)
{
	static const struct {
		const char *path, *name;
	} files[] = {
		{ "/proc/version", "host/version" },
		{ "/proc/mounts", "host/mounts" },
		{ "/proc/self/mountinfo", "host/mountinfo" },
		{ "/proc/meminfo", "host/meminfo" },
		{ "/proc/cgroups", "host/cgroups" },
		{ "/proc/self/cgroup", "host/self-cgroup" },
		{ "/proc/filesystems", "host/filesystems" },
		{ "/usr/lib/os-release", "host/os-release" },
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(files); i++) {
		/* /proc/mounts and /proc/self are links that the kernel makes. */
		AUTO_FREE char *real = realpath(files[i].path, NULL);

		r = add_file(c, AT_FDCWD, real ? real : files[i].path, files[i].name, err);
	}
	return r;
}

static int add_facts(struct collect *c, struct err *err)
{
	AUTO_JSON json_t *check = check_document(&c->cli->runtime, NULL);
	AUTO_JSON json_t *config = config_document(&c->cli->config);
	AUTO_JSON json_t *view = container_view(c->container, "");
	AUTO_BUF struct buf version = { 0 };
	int r;

	version_text(&version);
	r = add_text(c, "version", version.data ? version.data : "", err);
	if (r == 0)
		r = add_json(c, "check.json", check, err);
	if (r == 0)
		r = add_json(c, "caisson.json", config, err);
	redact_values(json_object_get(view, "annotations"));
	return r < 0 ? r : add_json(c, "state-now.json", view, err);
}

int collect_all(struct collect *c, struct err *err)
{
	int r = add_facts(c, err);

	if (r == 0)
		r = add_redacted(c, "state.json", "state.json", err);
	if (r == 0)
		r = add_redacted(c, "config.json", "config.json", err);
	if (r == 0)
		r = add_log(c, err);
	if (r == 0)
		r = add_cgroup(c, err);
	if (r == 0)
		r = add_processes(c, err);
	return r < 0 ? r : add_host(c, err);
}
