/* SPDX-License-Identifier: Apache-2.0 */
#include "host/rdt.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"

#define RESCTRL_PLACE	  "/sys/fs/resctrl"
#define RDT_NAME_MAX	  255
#define RESCTRL_MAGIC	  0x7655821 /* RDTGROUP_SUPER_MAGIC */
#define SCHEMATA_TEXT_MAX 65536

int rdt_open(struct err *err)
{
	AUTO_CLOSE int fd = open(RESCTRL_PLACE, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct statfs fs;

	if (fd < 0 || fstatfs(fd, &fs) < 0 || fs.f_type != RESCTRL_MAGIC)
		return err_set(err, -ENOTSUP,
			       "linux.intelRdt: this host has no resctrl file system at %s",
			       RESCTRL_PLACE);
	return TAKE_FD(fd);
}

bool rdt_supported(void)
{
	AUTO_BUF struct buf text = { .max = SCHEMATA_TEXT_MAX };

	return fd_read_file(AT_FDCWD, "/proc/filesystems", &text) == 0 && text.data &&
	       strstr(text.data, "\tresctrl\n");
}

/* The class of service: "." for the root's own (closID "/", OCI 1.3), else one plain name. */
static int class_name(const struct oci_intel_rdt *rdt, const char *id, const char **ret,
		      struct err *err)
{
	const char *name = rdt->clos_id ? rdt->clos_id : id;

	if (str_eq(rdt->clos_id, "/")) {
		*ret = ".";
		return 0;
	}
	if (!*name || strchr(name, '/') || strlen(name) > RDT_NAME_MAX || str_eq(name, ".") ||
	    str_eq(name, "..") || str_eq(name, "info") || str_eq(name, "mon_groups") ||
	    str_eq(name, "mon_data"))
		return err_set(err, -EINVAL, "linux.intelRdt: \"%s\" cannot be the name of a class",
			       name);
	*ret = name;
	return 0;
}

static int open_beneath(int dirfd, const char *path)
{
	return fd_open_resolve(dirfd, path, O_RDONLY | O_DIRECTORY, 0,
			       RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
}

/* A line must be whole and single, so that one schema cannot smuggle in another. */
static int add_line(struct buf *text, const char *line, const char *field, struct err *err)
{
	if (!line || !*line)
		return 0;
	if (strchr(line, '\n') && str_eq(field, "schemata"))
		return err_set(err, -EINVAL, "linux.intelRdt.%s: a line break in \"%s\"", field,
			       line);
	(void)buf_puts(text, line);
	if (line[strlen(line) - 1] != '\n')
		(void)buf_puts(text, "\n");
	return 0;
}

static int write_schemata(int class_fd, const struct buf *text, struct err *err)
{
	int r = buf_error(text);

	if (r == 0 && text->len > 0)
		r = fd_write_file(class_fd, "schemata", text->data);
	return r < 0 ? err_sys(err, r, "linux.intelRdt: write schemata \"%s\"",
			       text->data ? text->data : "")
		     : 0;
}

/* runc: memBwSchema replaces "MB:" lines of l3CacheSchema. */
static int add_cache_schema(struct buf *text, const char *schema, bool drop_bandwidth)
{
	while (schema && *schema) {
		const size_t len = strcspn(schema, "\n");

		if (len > 0 && !(drop_bandwidth && strncmp(schema, "MB:", 3) == 0)) {
			(void)buf_append(text, schema, len);
			(void)buf_puts(text, "\n");
		}
		schema += len + (schema[len] == '\n');
	}
	return buf_error(text);
}

static int collect_schemata(const struct oci_intel_rdt *rdt, struct buf *text, struct err *err)
{
	int r = add_cache_schema(text, rdt->l3_cache_schema, rdt->mem_bw_schema != NULL);

	if (r < 0)
		return err_sys(err, r, "linux.intelRdt");
	r = add_line(text, rdt->mem_bw_schema, "memBwSchema", err);
	for (size_t i = 0; r == 0 && i < rdt->schemata.len; i++)
		r = add_line(text, rdt->schemata.items[i], "schemata", err);
	return r;
}

static bool wants_monitoring(const struct oci_intel_rdt *rdt)
{
	return rdt->enable_monitoring || rdt->enable_cmt || rdt->enable_mbm;
}

static int write_task(int dirfd, pid_t pid, const char *what, struct err *err)
{
	char number[16];
	int r;

	(void)snprintf(number, sizeof(number), "%d", (int)pid);
	r = fd_write_file(dirfd, "tasks", number);
	return r < 0 ? err_sys(err, r, "linux.intelRdt: put process %d into %s", (int)pid, what)
		     : 0;
}

static int monitor(int class_fd, const char *id, pid_t pid, struct err *err)
{
	AUTO_CLOSE int groups = open_beneath(class_fd, "mon_groups");
	AUTO_CLOSE int group = -EBADF;

	if (groups < 0)
		return err_sys(err, groups, "linux.intelRdt: monitoring is not offered here");
	if (mkdirat(groups, id, 0755) < 0 && errno != EEXIST)
		return err_sys(err, -errno, "linux.intelRdt: make the monitoring group %s", id);
	group = open_beneath(groups, id);
	if (group < 0)
		return err_sys(err, group, "linux.intelRdt: open the monitoring group %s", id);
	return write_task(group, pid, "the monitoring group", err);
}

static int remove_quietly(int dirfd, const char *name)
{
	return unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

/* Make the class or join one that is there. config-linux.md: a closID without schema must exist. */
static int enter_class(int resctrl_fd, const struct oci_intel_rdt *rdt, const char *name,
		       bool *ret_made, struct err *err)
{
	const bool has_schema = rdt->l3_cache_schema || rdt->mem_bw_schema || rdt->schemata.len > 0;
	int fd;

	*ret_made = false;
	if (!str_eq(name, ".") && (!rdt->clos_id || has_schema)) {
		if (mkdirat(resctrl_fd, name, 0755) == 0)
			*ret_made = true;
		else if (errno != EEXIST)
			return err_sys(err, -errno, "linux.intelRdt: make the class %s", name);
	}
	fd = open_beneath(resctrl_fd, name);
	if (fd < 0)
		return err_sys(err, fd, "linux.intelRdt: open the class %s", name);
	return fd;
}

/* A class that existed must already have the schemata that are asked for (config-linux.md). */
static int check_schemata(int class_fd, const struct buf *wanted, struct err *err)
{
	AUTO_BUF struct buf present = { .max = SCHEMATA_TEXT_MAX };
	int r = fd_read_file(class_fd, "schemata", &present);

	if (r < 0)
		return err_sys(err, r, "linux.intelRdt: read schemata");
	for (const char *line = wanted->data; line && *line;) {
		const size_t len = strcspn(line, "\n");
		const char *p = present.data;
		bool found = false;

		while (!found && p && *p) {
			p += strspn(p, " ");
			found = strncmp(p, line, len) == 0 && (p[len] == '\n' || p[len] == '\0');
			p = strchr(p, '\n');
			p = p ? p + 1 : NULL;
		}
		if (!found)
			return err_set(err, -EINVAL,
				       "linux.intelRdt: the class exists and its schemata lack "
				       "\"%.*s\"",
				       (int)len, line);
		line += len + (line[len] == '\n');
	}
	return 0;
}

int rdt_apply(int resctrl_fd, const struct oci_intel_rdt *rdt, const char *id, pid_t pid,
	      bool *ret_made, struct err *err)
{
	AUTO_BUF struct buf schemata = { .max = SCHEMATA_TEXT_MAX };
	AUTO_CLOSE int class_fd = -EBADF;
	const char *name;
	bool made;
	int r;

	r = class_name(rdt, id, &name, err);
	r = r < 0 ? r : collect_schemata(rdt, &schemata, err);
	if (r < 0)
		return r;
	class_fd = enter_class(resctrl_fd, rdt, name, &made, err);
	if (class_fd < 0)
		return class_fd;
	if (made || !rdt->clos_id || str_eq(name, "."))
		r = write_schemata(class_fd, &schemata, err);
	else
		r = check_schemata(class_fd, &schemata, err);
	if (r == 0)
		r = write_task(class_fd, pid, "its class", err);
	if (r == 0 && wants_monitoring(rdt))
		r = monitor(class_fd, id, pid, err);
	if (r < 0) {
		if (made)
			(void)remove_quietly(resctrl_fd, name);
		return r;
	}
	*ret_made = made;
	return 0;
}

int rdt_update(int resctrl_fd, const char *clos, const char *l3_schema, const char *mem_bw_schema,
	       struct err *err)
{
	const struct oci_intel_rdt rdt = { .set = true,
					   .clos_id = clos,
					   .l3_cache_schema = l3_schema,
					   .mem_bw_schema = mem_bw_schema };
	AUTO_BUF struct buf schemata = { .max = SCHEMATA_TEXT_MAX };
	AUTO_CLOSE int class_fd = -EBADF;
	const char *name;
	int r;

	r = class_name(&rdt, clos, &name, err);
	r = r < 0 ? r : collect_schemata(&rdt, &schemata, err);
	if (r < 0)
		return r;
	class_fd = open_beneath(resctrl_fd, name);
	if (class_fd < 0)
		return err_sys(err, class_fd, "linux.intelRdt: open the class %s", name);
	return write_schemata(class_fd, &schemata, err);
}

int rdt_remove(int resctrl_fd, const struct oci_intel_rdt *rdt, const char *id, bool made,
	       struct err *err)
{
	const char *name;
	char path[2 * RDT_NAME_MAX + 16];
	int r;

	r = class_name(rdt, id, &name, err);
	if (r < 0)
		return r;
	/* Without a class of its own the container may have a group in the one it joined. */
	if (!made || wants_monitoring(rdt)) {
		r = snprintf(path, sizeof(path), "%s/mon_groups/%s", name, id);
		r = r < 0 || (size_t)r >= sizeof(path) ? -ENAMETOOLONG
						       : remove_quietly(resctrl_fd, path);
		if (r < 0)
			return err_sys(err, r, "linux.intelRdt: remove the monitoring group %s",
				       id);
	}
	/* The kernel removes the monitoring groups of a class with it (resctrl). */
	r = made ? remove_quietly(resctrl_fd, name) : 0;
	return r < 0 ? err_sys(err, r, "linux.intelRdt: remove the class %s", name) : 0;
}
