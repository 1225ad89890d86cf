/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"

/* What a key takes. */
static const struct {
	const char *name;
	const char *words[4]; /* the only values; none: any text */
	bool list;
	bool absolute; /* the value is a path from "/" */
} keys[CONFIG_KEYS] = {
	[CONFIG_ISOLATION] = { .name = "isolation", .words = { "ns", "sentry", "vm" } },
	[CONFIG_ROOT] = { .name = "root", .absolute = true },
	[CONFIG_CGROUP_MANAGER] = { .name = "cgroup_manager",
				    .words = { "cgroupfs", "systemd", "disabled" } },
	[CONFIG_ROOTLESS] = { .name = "rootless", .words = { "true", "false", "auto" } },
	[CONFIG_LOG] = { .name = "log" },
	[CONFIG_LOG_FORMAT] = { .name = "log_format", .words = { "text", "json" } },
	[CONFIG_LOG_LEVEL] = { .name = "log_level",
			       .words = { "error", "warning", "info", "debug" } },
	[CONFIG_LIBEXEC] = { .name = "libexec", .absolute = true },
	[CONFIG_ALLOWED_ANNOTATIONS] = { .name = "allowed_annotations", .list = true },
	[CONFIG_PLATFORM] = { .name = "platform", .words = { "systrap", "ptrace" } },
	[CONFIG_STUB_PROFILE] = { .name = "stub_profile", .words = { "checked", "direct" } },
	[CONFIG_CPU_ISOLATION] = { .name = "cpu_isolation", .words = { "off", "core" } },
	[CONFIG_NETWORK] = { .name = "network", .words = { "none", "host", "pod" } },
	[CONFIG_OVERLAY] = { .name = "overlay", .words = { "none", "root:memory", "root:self" } },
	[CONFIG_FILE_ACCESS] = { .name = "file_access", .words = { "exclusive", "shared" } },
	[CONFIG_FILE_ACCESS_MOUNTS] = { .name = "file_access_mounts",
					.words = { "exclusive", "shared" } },
	[CONFIG_HOST_UDS] = { .name = "host_uds", .words = { "none", "open", "create", "all" } },
	[CONFIG_STRACE] = { .name = "strace" },
	[CONFIG_DEBUG] = { .name = "debug" },
	[CONFIG_EVENTS] = { .name = "events" },
	[CONFIG_EVENT_SINK] = { .name = "event_sink" },
	[CONFIG_SANDBOX_IDS] = { .name = "sandbox_ids" },
	[CONFIG_VM_KERNEL] = { .name = "vm.kernel", .absolute = true },
	[CONFIG_VM_IMAGE] = { .name = "vm.image", .absolute = true },
	[CONFIG_VM_QEMU] = { .name = "vm.qemu", .absolute = true },
	[CONFIG_VM_VIRTIOFSD] = { .name = "vm.virtiofsd", .absolute = true },
	[CONFIG_VM_ACCEL] = { .name = "vm.accel", .words = { "auto", "kvm", "tcg" } },
	[CONFIG_VM_MACHINE] = { .name = "vm.machine",
				.words = { "microvm", "microvm-pci", "q35" } },
	[CONFIG_VM_MEMORY] = { .name = "vm.memory" },
	[CONFIG_VM_CPUS] = { .name = "vm.cpus" },
	[CONFIG_VM_MAX_MEMORY] = { .name = "vm.max_memory" },
	[CONFIG_VM_MAX_CPUS] = { .name = "vm.max_cpus" },
	[CONFIG_VM_OVERHEAD] = { .name = "vm.overhead" },
	[CONFIG_VM_BOOT_TIMEOUT] = { .name = "vm.boot_timeout" },
	[CONFIG_VM_DEBUG_CONSOLE] = { .name = "vm.debug_console", .words = { "false", "true" } },
	[CONFIG_VM_TEMPLATES] = { .name = "vm.templates", .words = { "off", "on" } },
	[CONFIG_VM_CACHE] = { .name = "vm.cache", .words = { "auto", "always", "none" } },
	[CONFIG_VM_TEMPLATE_DIR] = { .name = "vm.template_dir", .absolute = true },
	[CONFIG_VM_NESTED] = { .name = "vm.nested", .words = { "false", "true" } },
};

const char *config_key_name(enum config_key key)
{
	return keys[key].name;
}

const char *config_source_text(const struct config_value *value,
			       char text[static CONFIG_SOURCE_MAX])
{
	switch (value->source) {
	case CONFIG_FROM_FLAG:
		return "flag";
	case CONFIG_FROM_ARGV0:
		return "the name of the program";
	case CONFIG_FROM_FILE:
		(void)snprintf(text, CONFIG_SOURCE_MAX, "%s:%u", value->file, value->line);
		return text;
	case CONFIG_FROM_DEFAULT:
		break;
	}
	return "default";
}

static void value_done(struct config_value *value)
{
	free(value->text);
	free(value->file);
	strv_free(value->list);
	*value = (struct config_value){ 0 };
}

void config_done(struct config *config)
{
	for (size_t i = 0; i < CONFIG_KEYS; i++)
		value_done(&config->values[i]);
}

int config_set(struct config *config, enum config_key key, const char *text,
	       enum config_source source, struct err *err)
{
	struct config_value *value = &config->values[key];
	char *copy;

	if (value->source > source)
		return 0;
	copy = strdup(text);
	if (!copy)
		return err_sys(err, -ENOMEM, "%s", keys[key].name);
	value_done(value);
	value->text = copy;
	value->source = source;
	return 0;
}

/*
 * The line of the n-th key of the outermost object. The text has been parsed, so only strings and
 * brackets matter; jansson keeps the order of keys and refuses duplicates.
 */
static unsigned int line_of_key(const char *text, size_t len, size_t nth)
{
	unsigned int line = 1;
	unsigned int depth = 0;
	bool key_next = true;

	for (size_t i = 0; i < len; i++) {
		switch (text[i]) {
		case '\n':
			line++;
			break;
		case '{':
		case '[':
			depth++;
			break;
		case '}':
		case ']':
			depth--;
			break;
		case ',':
			key_next = key_next || depth == 1;
			break;
		case '"':
			if (depth == 1 && key_next && nth-- == 0)
				return line;
			if (depth == 1)
				key_next = false;
			for (i++; i < len && text[i] != '"'; i++)
				i += text[i] == '\\';
			break;
		}
	}
	return line;
}

static int check_text(enum config_key key, const char *text, const char *where, struct err *err)
{
	char words[64] = "";
	size_t used = 0;

	if (keys[key].absolute && text[0] != '/')
		return err_set(err, -EINVAL, "%s: %s: \"%s\" is not an absolute path", where,
			       keys[key].name, text);
	if (!keys[key].words[0])
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(keys[key].words) && keys[key].words[i]; i++) {
		if (str_eq(text, keys[key].words[i]))
			return 0;
		used += (size_t)snprintf(words + used, sizeof(words) - used, "%s%s", i ? ", " : "",
					 keys[key].words[i]);
	}
	return err_set(err, -EINVAL, "%s: %s: \"%s\" is none of %s", where, keys[key].name, text,
		       words);
}

int config_check(enum config_key key, const char *text, struct err *err)
{
	/* The older ones have their own sentences, as runc's users know them. */
	return key < CONFIG_PLATFORM ? 0 : check_text(key, text, "flag", err);
}

static int take_list(enum config_key key, const json_t *json, const char *where, char ***ret,
		     struct err *err)
{
	AUTO_STRV char **list = NULL;
	const json_t *item;
	size_t i;

	if (!json_is_array(json))
		return err_set(err, -EINVAL, "%s: %s: a list of strings is expected", where,
			       keys[key].name);
	json_array_foreach (json, i, item) {
		if (!json_is_string(item))
			return err_set(err, -EINVAL, "%s: %s[%zu]: a string is expected", where,
				       keys[key].name, i);
		if (strv_add(&list, json_string_value(item)) < 0)
			return err_sys(err, -ENOMEM, "%s", where);
	}
	*ret = TAKE_PTR(list);
	return 0;
}

static int merge_key(struct config *config, enum config_key key, const json_t *json,
		     const char *name, unsigned int line, struct err *err)
{
	struct config_value *value = &config->values[key];
	AUTO_STRV char **list = NULL;
	AUTO_FREE char *file = strdup(name);
	AUTO_FREE char *text = NULL;
	char where[CONFIG_SOURCE_MAX];
	int r;

	(void)snprintf(where, sizeof(where), "%s:%u", name, line);
	if (keys[key].list) {
		r = take_list(key, json, where, &list, err);
		if (r < 0)
			return r;
	} else {
		if (!json_is_string(json))
			return err_set(err, -EINVAL, "%s: %s: a string is expected", where,
				       keys[key].name);
		r = check_text(key, json_string_value(json), where, err);
		if (r < 0)
			return r;
		text = strdup(json_string_value(json));
	}
	if (!file || (!keys[key].list && !text))
		return err_sys(err, -ENOMEM, "%s", where);
	if (value->source > CONFIG_FROM_FILE)
		return 0;
	value_done(value);
	value->text = TAKE_PTR(text);
	value->list = TAKE_PTR(list);
	value->file = TAKE_PTR(file);
	value->line = line;
	value->source = CONFIG_FROM_FILE;
	return 0;
}

static int find_key(const char *name)
{
	for (int i = 0; i < CONFIG_KEYS; i++) {
		if (str_eq(keys[i].name, name))
			return i;
	}
	return -ENOENT;
}

int config_merge(struct config *config, const char *text, size_t len, const char *name,
		 struct err *err)
{
	AUTO_JSON json_t *root = NULL;
	const char *word;
	json_t *json;
	size_t nth = 0;
	int r = json_parse(text, len, name, &root, err);

	if (r < 0)
		return r;
	if (!json_is_object(root))
		return err_set(err, -EINVAL, "%s:1: a JSON object is expected", name);
	json_object_foreach (root, word, json) {
		const unsigned int line = line_of_key(text, len, nth++);
		const int key = find_key(word);

		if (key < 0)
			return err_set(err, -EINVAL, "%s:%u: unknown key \"%s\"", name, line, word);
		r = merge_key(config, (enum config_key)key, json, name, line, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* -ENOENT is returned without a sentence. */
static int read_one(struct config *config, int dirfd, const char *path, const char *name,
		    struct err *err)
{
	AUTO_BUF struct buf text = { .max = CONFIG_FILE_MAX };
	AUTO_CLOSE int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	int r;

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? -ENOENT
							   : err_sys(err, -errno, "open %s", name);
	if (fstat(fd, &st) < 0)
		return err_sys(err, -errno, "stat %s", name);
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "%s is not a regular file", name);
	if (st.st_mode & S_IWOTH)
		return err_set(err, -EPERM, "%s is refused: everybody may write it", name);
	r = st.st_size > (off_t)CONFIG_FILE_MAX ? -E2BIG : fd_read_all(fd, &text);
	if (r < 0)
		return err_sys(err, r, "read %s", name);
	return config_merge(config, text.data ? text.data : "", text.len, name, err);
}

static int only_json(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && str_ends(entry->d_name, ".json");
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int read_directory(struct config *config, const char *path, struct err *err)
{
	AUTO_CLOSE int dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent **entries = NULL;
	int r = 0;
	int n;

	if (dirfd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0
							   : err_sys(err, -errno, "open %s", path);
	n = scandirat(dirfd, ".", &entries, only_json, by_name);
	if (n < 0)
		return err_sys(err, -errno, "read %s", path);
	if (n > CONFIG_FILES_MAX)
		r = err_set(err, -E2BIG, "%s has more than %d files", path, CONFIG_FILES_MAX);
	for (int i = 0; i < n; i++) {
		char name[CONFIG_SOURCE_MAX + NAME_MAX + 2];

		(void)snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
		if (r == 0)
			r = read_one(config, dirfd, entries[i]->d_name, name, err);
		if (r == -ENOENT) /* removed meanwhile */
			r = 0;
		free(entries[i]);
	}
	free(entries);
	return r;
}

int config_read_files(struct config *config, const char *file, struct err *err)
{
	char dir[CONFIG_SOURCE_MAX];
	int r = read_one(config, AT_FDCWD, file, file, err);

	if (r < 0 && r != -ENOENT)
		return r;
	if (snprintf(dir, sizeof(dir), "%s.d", file) >= (int)sizeof(dir))
		return err_set(err, -ENAMETOOLONG, "%s: the name is too long", file);
	return read_directory(config, dir, err);
}

const char *config_path(void)
{
	const char *path = secure_getenv("CAISSON_CONFIG");

	return path && *path ? path : CONFIG_FILE;
}
