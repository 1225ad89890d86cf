/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/setup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "host/ids.h"
#include "runtime/sandbox/ids.h"
#include "wire/sentry_msg.h"

/* The inode number of the first user namespace (PROC_USER_INIT_INO in include/linux/proc_ns.h). */
#define INITIAL_USER_NS 0xEFFFFFFDu

#define DEFAULT_ROOT "/run/caisson"

/* A user namespace other than the host's first one. */
static bool in_user_namespace(void)
{
	AUTO_BUF struct buf map = { 0 };
	unsigned int inside, outside, size;
	struct stat st;

	if (stat("/proc/self/ns/user", &st) == 0 && st.st_ino == INITIAL_USER_NS)
		return false;
	if (fd_read_file(AT_FDCWD, "/proc/self/uid_map", &map) < 0 || !map.data)
		return false;
	if (sscanf(map.data, "%u %u %u", &inside, &outside, &size) != 3)
		return false;
	return inside != 0 || outside != 0 || size != UINT32_MAX;
}

/* The id of this user outside the user namespace, for /run/user/UID. */
static unsigned int outer_uid(void)
{
	AUTO_BUF struct buf map = { 0 };
	const unsigned int uid = geteuid();
	uint32_t outside;

	if (fd_read_file(AT_FDCWD, "/proc/self/uid_map", &map) < 0 || !map.data)
		return uid;
	return ids_outside(map.data, uid, &outside) ? outside : uid;
}

/* rootless: a user other than root, or root of a user namespace. */
static bool decide_rootless(const struct config *config)
{
	const char *text = config_text(config, CONFIG_ROOTLESS);

	if (str_eq(text, "true"))
		return true;
	if (str_eq(text, "false"))
		return false;
	return geteuid() != 0 || in_user_namespace();
}

static int default_root(bool rootless, char root[static PATH_MAX])
{
	const char *runtime_dir = getenv("XDG_RUNTIME_DIR");
	int len;

	if (!rootless)
		len = snprintf(root, PATH_MAX, "%s", DEFAULT_ROOT);
	else if (runtime_dir && runtime_dir[0] == '/')
		len = snprintf(root, PATH_MAX, "%s/caisson", runtime_dir);
	else
		len = snprintf(root, PATH_MAX, "/run/user/%u/caisson", outer_uid());
	return len < PATH_MAX ? 0 : -ENAMETOOLONG;
}

void runtime_default_libexec(char dir[static PATH_MAX])
{
	char exe[PATH_MAX];
	const ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	char *slash;

	if (n > 0) {
		exe[n] = '\0';
		slash = strrchr(exe, '/');
		if (slash)
			*slash = '\0';
		(void)snprintf(dir, PATH_MAX, "%.*s/../libexec/caisson", PATH_MAX - 32, exe);
		if (access(dir, F_OK) == 0)
			return;
	}
	(void)snprintf(dir, PATH_MAX, "%s", CAISSON_LIBEXECDIR);
}

/* A relative --root counts from here, and later from nowhere else. */
static int absolute_root(struct config *config, struct err *err)
{
	struct config_value *value = &config->values[CONFIG_ROOT];
	char cwd[PATH_MAX];
	char *path = NULL;

	if (!value->text || value->text[0] == '/')
		return 0;
	if (value->text[0] == '\0')
		return err_set(err, -EINVAL, "--root: the path is empty");
	if (!getcwd(cwd, sizeof(cwd)))
		return err_sys(err, -errno, "--root %s: getcwd", value->text);
	if (str_printf(&path, "%s/%s", cwd, value->text) < 0)
		return err_sys(err, -ENOMEM, "--root");
	free(value->text);
	value->text = path;
	return 0;
}

/* What is said when nobody says anything. */
static const struct {
	enum config_key key;
	const char *text;
} defaults[] = {
	{ CONFIG_ISOLATION, "sentry" },
	{ CONFIG_CGROUP_MANAGER, "cgroupfs" },
	{ CONFIG_ROOTLESS, "auto" },
	{ CONFIG_LOG_FORMAT, "text" },
	{ CONFIG_LOG_LEVEL, "info" },
	{ CONFIG_PLATFORM, "systrap" },
	{ CONFIG_STUB_PROFILE, "checked" },
	{ CONFIG_CPU_ISOLATION, "off" },
	{ CONFIG_NETWORK, "pod" },
	{ CONFIG_OVERLAY, "none" },
	{ CONFIG_FILE_ACCESS, "exclusive" },
	{ CONFIG_FILE_ACCESS_MOUNTS, "shared" },
	{ CONFIG_HOST_UDS, "none" },
	{ CONFIG_STRACE, "" },
	{ CONFIG_DEBUG, "" },
	{ CONFIG_EVENTS, "all" },
	{ CONFIG_EVENT_SINK, "" },
	{ CONFIG_SANDBOX_IDS, "1879048192:131072" },
	{ CONFIG_VM_ACCEL, "auto" },
	{ CONFIG_VM_MACHINE, "microvm" },
	{ CONFIG_VM_MEMORY, "512M" },
	{ CONFIG_VM_CPUS, "1" },
	{ CONFIG_VM_MAX_MEMORY, "" },
	{ CONFIG_VM_MAX_CPUS, "" },
	{ CONFIG_VM_OVERHEAD, "64M" },
	{ CONFIG_VM_BOOT_TIMEOUT, "60" },
	{ CONFIG_VM_DEBUG_CONSOLE, "false" },
	{ CONFIG_VM_TEMPLATES, "off" },
	{ CONFIG_VM_CACHE, "auto" },
	{ CONFIG_VM_NESTED, "false" },
};

static int add_defaults(struct config *config, struct runtime *rt, struct err *err)
{
	char path[PATH_MAX];
	int r = 0;

	rt->rootless = decide_rootless(config);
	if (!config_text(config, CONFIG_ROOT)) {
		r = default_root(rt->rootless, path);
		if (r < 0)
			return err_sys(err, r, "the default root directory");
		r = config_set(config, CONFIG_ROOT, path, CONFIG_FROM_DEFAULT, err);
	}
	if (r == 0 && !config_text(config, CONFIG_LIBEXEC)) {
		runtime_default_libexec(path);
		r = config_set(config, CONFIG_LIBEXEC, path, CONFIG_FROM_DEFAULT, err);
	}
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(defaults); i++)
		r = config_set(config, defaults[i].key, defaults[i].text, CONFIG_FROM_DEFAULT, err);
	return r;
}

static int cgroup_manager_from_text(const char *text, enum cgroup_manager *ret, struct err *err)
{
	if (str_eq(text, "cgroupfs"))
		*ret = CGROUP_MANAGER_CGROUPFS;
	else if (str_eq(text, "systemd"))
		*ret = CGROUP_MANAGER_SYSTEMD;
	else if (str_eq(text, "disabled"))
		*ret = CGROUP_MANAGER_DISABLED;
	else
		return err_set(
			err, -EINVAL,
			"unknown cgroup manager \"%s\": it is one of cgroupfs, systemd, disabled",
			text);
	return 0;
}

/* The class somebody chose, and the one that counts when nobody did. */
static int choose_isolation(const struct config *config, struct runtime *rt, struct err *err)
{
	const struct config_value *value = &config->values[CONFIG_ISOLATION];
	enum isolation isolation;
	int r = isolation_from_name(value->text, &isolation, err);

	if (r < 0)
		return r;
	rt->isolation = value->source >= CONFIG_FROM_ARGV0 ? isolation : ISOLATION_UNSET;
	rt->default_isolation = isolation;
	return 0;
}

static void set_up_vm(const struct config *config, struct vm_settings *s)
{
	*s = (struct vm_settings){
		.kernel = config_text(config, CONFIG_VM_KERNEL),
		.image = config_text(config, CONFIG_VM_IMAGE),
		.qemu = config_text(config, CONFIG_VM_QEMU),
		.virtiofsd = config_text(config, CONFIG_VM_VIRTIOFSD),
		.accel = config_text(config, CONFIG_VM_ACCEL),
		.machine = config_text(config, CONFIG_VM_MACHINE),
		.memory = config_text(config, CONFIG_VM_MEMORY),
		.cpus = config_text(config, CONFIG_VM_CPUS),
		.max_memory = config_text(config, CONFIG_VM_MAX_MEMORY),
		.max_cpus = config_text(config, CONFIG_VM_MAX_CPUS),
		.overhead = config_text(config, CONFIG_VM_OVERHEAD),
		.boot_timeout = config_text(config, CONFIG_VM_BOOT_TIMEOUT),
		.debug_console = config_text(config, CONFIG_VM_DEBUG_CONSOLE),
		.templates = config_text(config, CONFIG_VM_TEMPLATES),
		.cache = config_text(config, CONFIG_VM_CACHE),
		.template_dir = config_text(config, CONFIG_VM_TEMPLATE_DIR),
		.nested = config_text(config, CONFIG_VM_NESTED),
	};
}

/* The texts have been checked against the words of their keys. */
static int set_up_sentry(const struct config *config, struct sentry_settings *s, struct err *err)
{
	const char *overlay = config_text(config, CONFIG_OVERLAY);
	const char *host_uds = config_text(config, CONFIG_HOST_UDS);

	s->platform = str_eq(config_text(config, CONFIG_PLATFORM), "ptrace")
			      ? SENTRY_PLATFORM_PTRACE
			      : SENTRY_PLATFORM_SYSTRAP;
	s->network = config_text(config, CONFIG_NETWORK);
	s->overlay = str_eq(overlay, "root:self")     ? SENTRY_OVERLAY_ROOT_SELF
		     : str_eq(overlay, "root:memory") ? SENTRY_OVERLAY_ROOT_MEMORY
						      : SENTRY_OVERLAY_NONE;
	s->file_access = str_eq(config_text(config, CONFIG_FILE_ACCESS), "shared")
				 ? SENTRY_FILE_SHARED
				 : SENTRY_FILE_EXCLUSIVE;
	s->file_access_mounts = str_eq(config_text(config, CONFIG_FILE_ACCESS_MOUNTS), "exclusive")
					? SENTRY_FILE_EXCLUSIVE
					: SENTRY_FILE_SHARED;
	s->host_uds = str_eq(host_uds, "open")	   ? SENTRY_HOST_UDS_OPEN
		      : str_eq(host_uds, "create") ? SENTRY_HOST_UDS_CREATE
		      : str_eq(host_uds, "all")	   ? SENTRY_HOST_UDS_ALL
						   : SENTRY_HOST_UDS_NONE;
	s->core_scheduling = str_eq(config_text(config, CONFIG_CPU_ISOLATION), "core");
	s->stub_profile = config_text(config, CONFIG_STUB_PROFILE);
	s->strace = config_text(config, CONFIG_STRACE);
	s->debug = config_text(config, CONFIG_DEBUG);
	s->events = config_text(config, CONFIG_EVENTS);
	s->event_sink = config_text(config, CONFIG_EVENT_SINK);
	return sandbox_ids_parse(config_text(config, CONFIG_SANDBOX_IDS), s, err);
}

int runtime_set_up(struct config *config, struct runtime *rt, struct err *err)
{
	int r = add_defaults(config, rt, err);

	if (r == 0)
		r = absolute_root(config, err);
	if (r == 0)
		r = choose_isolation(config, rt, err);
	if (r == 0)
		r = set_up_sentry(config, &rt->sentry, err);
	if (r == 0)
		r = cgroup_manager_from_text(config_text(config, CONFIG_CGROUP_MANAGER),
					     &rt->cgroup_manager, err);
	if (r < 0)
		return r;
	set_up_vm(config, &rt->vm);
	rt->root = config_text(config, CONFIG_ROOT);
	rt->libexec = config_text(config, CONFIG_LIBEXEC);
	rt->allowed_annotations =
		(const char *const *)config->values[CONFIG_ALLOWED_ANNOTATIONS].list;
	return 0;
}
