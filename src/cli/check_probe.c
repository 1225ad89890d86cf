/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/check_probe.c - the probes of `caisson check` for class ns: kernel interfaces and rights.
 * Those about files and limits stand in check_report.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "cli/check.h"
#include "cli/check_internal.h"
#include "host/ids.h"
#include "host/seccomp.h"

#define NOBODY 65534u /* an ordinary user, when root asks what such a one can do */

void probe_namespaces(struct check_finding *f)
{
	static const struct {
		const char *file, *name;
		bool required;
	} kinds[] = {
		{ "mnt", "mount", true },      { "pid", "pid", true },
		{ "net", "network", true },    { "ipc", "ipc", true },
		{ "uts", "uts", true },	       { "user", "user", false },
		{ "cgroup", "cgroup", false }, { "time", "time", false },
	};
	enum check_result result = CHECK_OK;
	char missing[128] = "";

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		char path[64];
		const size_t used = strlen(missing);

		(void)snprintf(path, sizeof(path), "/proc/self/ns/%s", kinds[i].file);
		if (access(path, F_OK) == 0)
			continue;
		if (kinds[i].required)
			result = CHECK_MISSING;
		else if (result == CHECK_OK)
			result = CHECK_LIMITED;
		(void)snprintf(missing + used, sizeof(missing) - used, " %s", kinds[i].name);
	}
	if (result == CHECK_OK) {
		check_set(f, CHECK_OK, "all eight kinds");
		return;
	}
	check_set(f, result, "not in this kernel:%s", missing);
	check_remedy(f, "build the kernel with CONFIG_NAMESPACES and the options below it");
}

/* Run fn in a child process, so that what it unshares and mounts ends with it: 0 or -errno. */
static int in_child(int (*fn)(void))
{
	const pid_t pid = fork();
	int status;

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		const int r = -fn();

		_exit(r >= 0 && r < 255 ? r : 254);
	}
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -ECHILD;
}

static int become_root_of_user_namespace(void)
{
	const unsigned int uid = geteuid(), gid = getegid();
	char map[32];
	int r;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return -errno;
	r = fd_write_file(AT_FDCWD, "/proc/self/setgroups", "deny");
	(void)snprintf(map, sizeof(map), "0 %u 1", uid);
	if (r == 0)
		r = fd_write_file(AT_FDCWD, "/proc/self/uid_map", map);
	(void)snprintf(map, sizeof(map), "0 %u 1", gid);
	return r < 0 ? r : fd_write_file(AT_FDCWD, "/proc/self/gid_map", map);
}

/*
 * Root asks for ordinary users. A process that has changed its ids is not dumpable, and so may not
 * write its own id maps: say that it is.
 */
static int become_ordinary(void)
{
	if (geteuid() != 0)
		return 0;
	if (setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0)
		return -errno;
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0 ? -errno : 0;
}

static int try_user_namespace(void)
{
	const int r = become_ordinary();

	return r < 0 ? r : become_root_of_user_namespace();
}

/* "kernel.unprivileged_userns_clone is 0" and the like: why an ordinary user has no namespace. */
static bool explain_sysctl(struct check_finding *f, const char *path, const char *bad,
			   const char *remedy)
{
	AUTO_BUF struct buf text = { 0 };

	if (fd_read_file(AT_FDCWD, path, &text) < 0 || !text.data)
		return false;
	text.data[strcspn(text.data, "\n")] = '\0';
	if (!str_eq(text.data, bad))
		return false;
	check_remedy(f, "%s", remedy);
	return true;
}

void probe_user_namespace(struct check_finding *f)
{
	const int r = in_child(try_user_namespace);

	if (r == 0) {
		check_set(f, CHECK_OK, "an ordinary user can make user namespaces");
		return;
	}
	check_set(f, geteuid() == 0 ? CHECK_LIMITED : CHECK_MISSING,
		  "an ordinary user cannot make a user namespace: %s", strerrordesc_np(-r));
	if (!explain_sysctl(f, "/proc/sys/user/max_user_namespaces", "0",
			    "sysctl user.max_user_namespaces=15000") &&
	    !explain_sysctl(f, "/proc/sys/kernel/unprivileged_userns_clone", "0",
			    "sysctl kernel.unprivileged_userns_clone=1") &&
	    !explain_sysctl(f, "/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1",
			    "sysctl kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor "
			    "profile for caisson with \"userns,\""))
		check_remedy(f,
			     "the kernel needs CONFIG_USER_NS; in a container, its seccomp profile "
			     "must allow unshare(2)");
}

static int try_overlay(void)
{
	int r = try_user_namespace();

	if (r < 0)
		return r;
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 ||
	    mount("tmpfs", "/tmp", "tmpfs", 0, "size=64k") < 0 || mkdir("/tmp/upper", 0700) < 0 ||
	    mkdir("/tmp/work", 0700) < 0 || mkdir("/tmp/root", 0700) < 0)
		return -errno;
	r = mount("overlay", "/tmp/root", "overlay", 0,
		  "lowerdir=/usr,upperdir=/tmp/upper,workdir=/tmp/work,userxattr");
	return r < 0 ? -errno : 0;
}

void probe_overlay(struct check_finding *f)
{
	const int r = in_child(try_overlay);

	if (r == 0) {
		check_set(f, CHECK_OK, "an ordinary user can mount overlay in a user namespace");
		return;
	}
	check_set(f, CHECK_LIMITED, "no overlay in a user namespace: %s", strerrordesc_np(-r));
	check_remedy(f,
		     "Linux 5.11 or newer with CONFIG_OVERLAY_FS; until then \"caisson do\" of an "
		     "ordinary user shows files read-only");
}

/* True unless the kernel has no such call. */
static bool has_call(long number)
{
	/* Arguments that every one of them refuses before it does anything. */
	return syscall(number, -1, NULL, -1, NULL, -1, -1) >= 0 || errno != ENOSYS;
}

void probe_calls(struct check_finding *f)
{
	static const struct {
		long number;
		const char *name;
		const char *since;
	} calls[] = {
		{ SYS_openat2, "openat2", "5.6" },
		{ SYS_clone3, "clone3", "5.3" },
		{ SYS_pidfd_open, "pidfd_open", "5.3" },
		{ SYS_pidfd_send_signal, "pidfd_send_signal", "5.1" },
		{ SYS_open_tree, "open_tree", "5.2" },
		{ SYS_move_mount, "move_mount", "5.2" },
		{ SYS_fsopen, "fsopen", "5.2" },
		{ SYS_mount_setattr, "mount_setattr", "5.12" },
		{ SYS_close_range, "close_range", "5.9" },
		{ SYS_execveat, "execveat", "3.19" },
	};

	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		/* close_range(-1, 0, -1) and clone3(-1, NULL) fail with EINVAL or EFAULT. */
		if (has_call(calls[i].number))
			continue;
		check_set(f, CHECK_MISSING, "%s(2) is not there", calls[i].name);
		check_remedy(f,
			     "Linux %s or newer; in a container, a seccomp profile that allows it",
			     calls[i].since);
		return;
	}
	check_set(f, CHECK_OK,
		  "openat2 clone3 pidfd open_tree move_mount fsopen mount_setattr close_range");
}

void probe_seccomp(struct check_finding *f)
{
	AUTO_FREE const char **flags = NULL;
	char text[CHECK_TEXT_MAX / 2] = "";
	char library[32];
	struct seccomp_notif_sizes sizes;
	bool notify;

	if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0 && errno == EINVAL) {
		check_set(f, CHECK_MISSING, "the kernel has no seccomp");
		check_remedy(f, "build the kernel with CONFIG_SECCOMP_FILTER");
		return;
	}
	notify = syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) == 0;
	if (seccomp_supported_flags(&flags, NULL) == 0) {
		for (size_t i = 0; flags && flags[i]; i++) {
			const size_t used = strlen(text);

			(void)snprintf(text + used, sizeof(text) - used, " %s", flags[i]);
		}
	}
	check_set(f, notify ? CHECK_OK : CHECK_LIMITED, "libseccomp %s, notify %s, flags:%s",
		  seccomp_library_version(library), notify ? "yes" : "no", text);
	if (!notify)
		check_remedy(f, "Linux 5.0 or newer for SCMP_ACT_NOTIFY");
}

void probe_idmapped(struct check_finding *f)
{
	struct oci_id_map map = { .container_id = 0, .host_id = 1000, .size = 1 };
	const struct oci_id_maps maps = { .items = &map, .len = 1 };
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP };
	AUTO_CLOSE int userns = -EBADF;
	AUTO_CLOSE int tree = -EBADF;
	struct err why = { 0 };

	if (geteuid() != 0) {
		check_set(f, CHECK_LIMITED, "needs root");
		check_remedy(f, "mounts with uidMappings need a runtime that root calls");
		return;
	}
	userns = ids_userns_open(&maps, &maps, &why);
	tree = (int)syscall(SYS_open_tree, AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (userns >= 0 && tree >= 0) {
		attr.userns_fd = (uint64_t)userns;
		if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) == 0) {
			check_set(f, CHECK_OK, "the file system of / takes id mappings");
			return;
		}
	}
	check_set(f, CHECK_LIMITED, "not for the file system of /: %s",
		  userns < 0 ? why.msg : strerrordesc_np(errno));
	check_remedy(
		f, "Linux 5.12 or newer and a file system that supports it (ext4, xfs, btrfs ...)");
}

void probe_landlock(struct check_finding *f)
{
	const long abi =
		syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	if (abi > 0) {
		check_set(f, CHECK_OK, "ABI %ld", abi);
		return;
	}
	check_set(f, CHECK_LIMITED, "not available: %s", strerrordesc_np(errno));
	check_remedy(f, "CONFIG_SECURITY_LANDLOCK, and \"landlock\" in the kernel parameter lsm=");
}
