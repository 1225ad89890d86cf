/* SPDX-License-Identifier: Apache-2.0 */
/* cli/check_report.c - the table of probes, and those that ask files and limits. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "cli/check.h"
#include "cli/check_internal.h"
#include "host/cgroup.h"
#include "host/ids.h"
#include "host/rdt.h"

#define NOFILE_ENOUGH 65536u /* descriptors; what distributions give services */

/* The words of a file in one line; "" when it cannot be read. */
static void read_words(const char *path, char *text, size_t size)
{
	AUTO_BUF struct buf file = { 0 };

	text[0] = '\0';
	if (fd_read_file(AT_FDCWD, path, &file) < 0 || !file.data)
		return;
	for (char *c = file.data; *c; c++)
		*c = *c == '\n' || *c == '\t' ? ' ' : *c;
	for (; file.len > 0 && file.data[file.len - 1] == ' '; file.len--)
		file.data[file.len - 1] = '\0';
	(void)snprintf(text, size, "%.*s", (int)size - 1, file.data);
}

/* The names of enabled v1 controllers: lines "name hierarchy groups enabled" of /proc/cgroups. */
static void v1_controllers(char *text, size_t size)
{
	AUTO_BUF struct buf file = { 0 };

	text[0] = '\0';
	if (fd_read_file(AT_FDCWD, "/proc/cgroups", &file) < 0)
		return;
	for (char *line = file.data; line && *line;) {
		char name[32];
		unsigned int hierarchy, groups, enabled;
		const size_t used = strlen(text);

		if (sscanf(line, "%31s %u %u %u", name, &hierarchy, &groups, &enabled) == 4 &&
		    enabled && hierarchy)
			(void)snprintf(text + used, size - used, "%s%s", used ? " " : "", name);
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
}

static void probe_cgroups(struct check_finding *f)
{
	const enum cgroup_layout layout = cgroup_layout();
	const char *names[] = { "none", "v1", "hybrid (v1 and v2)", "v2" };
	char controllers[CHECK_TEXT_MAX / 2];

	if (layout == CGROUP_LAYOUT_NONE) {
		check_set(f, CHECK_LIMITED, "no cgroup file system is mounted");
		check_remedy(f, "mount -t cgroup2 cgroup2 /sys/fs/cgroup; until then only "
				"--cgroup-manager disabled works");
		return;
	}
	if (layout == CGROUP_LAYOUT_V2)
		read_words("/sys/fs/cgroup/cgroup.controllers", controllers, sizeof(controllers));
	else
		v1_controllers(controllers, sizeof(controllers));
	check_set(f, controllers[0] ? CHECK_OK : CHECK_LIMITED, "layout %s, controllers: %s",
		  names[layout], controllers[0] ? controllers : "none");
	if (!controllers[0])
		check_remedy(f, "enable controllers: kernel parameter cgroup_no_v1=all, or "
				"cgroup.subtree_control of the parent");
}

static void probe_cgroup_rights(struct check_finding *f)
{
	static const char *const places[] = { "/sys/fs/cgroup/memory", "/sys/fs/cgroup/unified",
					      "/sys/fs/cgroup" };

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		char procs[128];

		(void)snprintf(procs, sizeof(procs), "%s/cgroup.procs", places[i]);
		if (access(procs, F_OK) < 0)
			continue;
		if (access(procs, W_OK) == 0) {
			check_set(f, CHECK_OK, "%s can be written", places[i]);
			return;
		}
		break;
	}
	check_set(f, CHECK_LIMITED,
		  "this user may not make cgroups at the top: no resource limits");
	check_remedy(
		f, "call as root, or have a cgroup delegated to this user (systemd: Delegate=yes) "
		   "and name it in linux.cgroupsPath");
}

static void probe_systemd(struct check_finding *f)
{
	const bool systemd = access("/run/systemd/system", F_OK) == 0;

	check_set(f, CHECK_LIMITED, "%s; the cgroup manager systemd is not built yet",
		  systemd ? "systemd runs here" : "no systemd on this host");
	check_remedy(f, "use --cgroup-manager cgroupfs (the default)");
}

static void probe_id_helpers(struct check_finding *f)
{
	static const char *const programs[] = { "/usr/bin/newuidmap", "/usr/bin/newgidmap" };
	struct ids_range range;
	struct err why = { 0 };
	struct stat st;

	for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
		if (stat(programs[i], &st) == 0)
			continue;
		check_set(f, CHECK_LIMITED, "%s is not installed", programs[i]);
		check_remedy(
			f, "install the package uidmap (shadow-utils): ordinary users need it for "
			   "more than one id");
		return;
	}
	if (geteuid() == 0) {
		check_set(f, CHECK_OK,
			  "newuidmap and newgidmap are installed; root needs no ranges");
		return;
	}
	if (ids_subid_ranges("/etc/subuid", getuid(), &range, 1, &why) > 0 &&
	    ids_subid_ranges("/etc/subgid", getuid(), &range, 1, &why) > 0) {
		check_set(f, CHECK_OK, "newuidmap, newgidmap, and ranges for this user");
		return;
	}
	check_set(f, CHECK_LIMITED, "this user has no ranges in /etc/subuid and /etc/subgid");
	check_remedy(f, "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER");
}

/* Capabilities that root of a usual host has, and what fails without them. */
static void probe_capabilities(struct check_finding *f)
{
	static const struct {
		const char *name, *loss;
		bool required;
	} wanted[] = {
		{ "CAP_SYS_ADMIN", "no container at all", true },
		{ "CAP_SETUID", "no other user", true },
		{ "CAP_SETGID", "no other group", true },
		{ "CAP_SETPCAP", "capabilities cannot be dropped", true },
		{ "CAP_SYS_CHROOT", "no root directory", true },
		{ "CAP_MKNOD", "devices are bind mounts", false },
		{ "CAP_NET_ADMIN", "no network devices", false },
		{ "CAP_SYS_RESOURCE",
		  "hard rlimits cannot be raised, oom_score_adj cannot be lowered", false },
	};
	enum check_result result = CHECK_OK;
	char text[CHECK_TEXT_MAX - 64] = "";

	if (geteuid() != 0) {
		check_set(f, CHECK_LIMITED, "not root: containers need a user namespace");
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
		const size_t used = strlen(text);

		if (prctl(PR_CAPBSET_READ, oci_cap_number(wanted[i].name), 0, 0, 0) == 1)
			continue;
		if (wanted[i].required)
			result = CHECK_MISSING;
		else if (result == CHECK_OK)
			result = CHECK_LIMITED;
		(void)snprintf(text + used, sizeof(text) - used, "%s%s (%s)", used ? ", " : "",
			       wanted[i].name, wanted[i].loss);
	}
	if (result == CHECK_OK) {
		check_set(f, CHECK_OK, "root has what it needs");
		return;
	}
	check_set(f, result, "missing: %s", text);
	check_remedy(f, "whoever started this session took them out of the bounding set");
}

static void probe_lsm(struct check_finding *f)
{
	char list[128];
	const bool selinux = access("/sys/fs/selinux/enforce", F_OK) == 0;
	const bool apparmor = access("/sys/kernel/security/apparmor/profiles", F_OK) == 0;

	read_words("/sys/kernel/security/lsm", list, sizeof(list));
	check_set(f, selinux || apparmor ? CHECK_OK : CHECK_LIMITED,
		  "AppArmor %s, SELinux %s, lsm: %s", apparmor ? "yes" : "no",
		  selinux ? "yes" : "no", list[0] ? list : "unknown");
	if (!selinux && !apparmor)
		check_remedy(
			f, "apparmorProfile and selinuxLabel in config.json are errors here; boot "
			   "with apparmor=1 or selinux=1");
}

static void probe_descriptors(struct check_finding *f)
{
	struct rlimit limit = { 0 };

	(void)getrlimit(RLIMIT_NOFILE, &limit);
	check_set(f, limit.rlim_max >= NOFILE_ENOUGH ? CHECK_OK : CHECK_LIMITED,
		  "hard limit %llu open files", (unsigned long long)limit.rlim_max);
	if (limit.rlim_max < NOFILE_ENOUGH)
		check_remedy(f, "containers that ask for more fail; raise it in limits.conf(5) or "
				"LimitNOFILE=");
}

static void probe_rdt(struct check_finding *f)
{
	if (rdt_supported()) {
		check_set(f, CHECK_OK, "resctrl is in this kernel");
		return;
	}
	check_set(f, CHECK_LIMITED, "no resctrl: linux.intelRdt is an error here");
	check_remedy(f, "a CPU with RDT or QoS extensions and CONFIG_X86_CPU_RESCTRL");
}

const struct check_probe check_probes[] = {
	{ "namespaces", true, probe_namespaces },
	{ "system calls", true, probe_calls },
	{ "capabilities", true, probe_capabilities },
	{ "user namespaces", true, probe_user_namespace },
	{ "seccomp", true, probe_seccomp },
	{ "cgroups", false, probe_cgroups },
	{ "cgroup rights", false, probe_cgroup_rights },
	{ "systemd", false, probe_systemd },
	{ "overlay", false, probe_overlay },
	{ "idmapped mounts", false, probe_idmapped },
	{ "id ranges", false, probe_id_helpers },
	{ "landlock", false, probe_landlock },
	{ "LSM", false, probe_lsm },
	{ "open files", false, probe_descriptors },
	{ "resource director", false, probe_rdt },
	{ 0 },
};
