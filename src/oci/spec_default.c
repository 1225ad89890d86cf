/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/spec_default.c - the example document. It stands here as compact text, with ' for " so that
 * it can be read; it is parsed once and printed with indentation.
 */
#include "oci/spec_default.h"

#include <stdbool.h>

#include "oci/spec.h"

#define CAPS "['CAP_AUDIT_WRITE', 'CAP_KILL', 'CAP_NET_BIND_SERVICE']"

static const char head[] =
	"{'ociVersion': '" OCI_VERSION_MAX "',"
	" 'process': {'terminal': true, 'user': {'uid': 0, 'gid': 0}, 'args': ['sh'],"
	"  'env': ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',"
	"   'TERM=xterm'],"
	"  'cwd': '/',"
	"  'capabilities': {'bounding': " CAPS ", 'effective': " CAPS ", 'permitted': " CAPS "},"
	"  'rlimits': [{'type': 'RLIMIT_NOFILE', 'hard': 1024, 'soft': 1024}],"
	"  'noNewPrivileges': true},"
	" 'root': {'path': 'rootfs', 'readonly': true},"
	" 'hostname': 'caisson',"
	" 'mounts': [{'destination': '/proc', 'type': 'proc', 'source': 'proc'},"
	"  {'destination': '/dev', 'type': 'tmpfs', 'source': 'tmpfs',"
	"   'options': ['nosuid', 'strictatime', 'mode=755', 'size=65536k']},"
	"  {'destination': '/dev/pts', 'type': 'devpts', 'source': 'devpts',"
	"   'options': ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620'";

static const char middle[] =
	"]},"
	"  {'destination': '/dev/shm', 'type': 'tmpfs', 'source': 'shm',"
	"   'options': ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=65536k']},"
	"  {'destination': '/dev/mqueue', 'type': 'mqueue', 'source': 'mqueue',"
	"   'options': ['nosuid', 'noexec', 'nodev']},";

static const char sys_own[] = "  {'destination': '/sys', 'type': 'sysfs', 'source': 'sysfs',"
			      "   'options': ['nosuid', 'noexec', 'nodev', 'ro']},";

/* A new sysfs shows a network namespace, which a rootless container does not own here. */
static const char sys_rootless[] = "  {'destination': '/sys', 'type': 'none', 'source': '/sys',"
				   "   'options': ['rbind', 'nosuid', 'noexec', 'nodev', 'ro']},";

static const char after_mounts[] =
	"  {'destination': '/sys/fs/cgroup', 'type': 'cgroup', 'source': 'cgroup',"
	"   'options': ['nosuid', 'noexec', 'nodev', 'relatime', 'ro']}],"
	" 'linux': {";

static const char tail[] =
	"  'maskedPaths': ['/proc/acpi', '/proc/asound', '/proc/kcore', '/proc/keys',"
	"   '/proc/latency_stats', '/proc/timer_list', '/proc/timer_stats', '/proc/sched_debug',"
	"   '/sys/firmware', '/proc/scsi', '/sys/devices/virtual/tpm'],"
	"  'readonlyPaths': ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys',"
	"   '/proc/sysrq-trigger']}}";

static void put_text(const struct oci_spec_default *options, struct buf *b)
{
	const char *cgroup = options->cgroup_namespace ? ", {'type': 'cgroup'}" : "";

	(void)buf_puts(b, head);
	/* The caller of a rootless container has no group 5 (tty) to give the terminals to. */
	(void)buf_puts(b, options->rootless ? "" : ", 'gid=5'");
	(void)buf_puts(b, middle);
	(void)buf_puts(b, options->rootless ? sys_rootless : sys_own);
	(void)buf_puts(b, after_mounts);
	if (options->rootless)
		(void)buf_printf(b,
				 "'uidMappings': [{'containerID': 0, 'hostID': %u, 'size': 1}],"
				 "'gidMappings': [{'containerID': 0, 'hostID': %u, 'size': 1}],"
				 "'namespaces': [{'type': 'pid'}, {'type': 'ipc'}, {'type': 'uts'},"
				 " {'type': 'mount'}%s, {'type': 'user'}],",
				 options->host_uid, options->host_gid, cgroup);
	else
		(void)buf_printf(b,
				 "'resources': {'devices': [{'allow': false, 'access': 'rwm'}]},"
				 "'namespaces': [{'type': 'pid'}, {'type': 'network'},"
				 " {'type': 'ipc'}, {'type': 'uts'}, {'type': 'mount'}%s],",
				 cgroup);
	(void)buf_puts(b, tail);
}

static void put_line(struct buf *out, unsigned int depth)
{
	(void)buf_puts(out, "\n");
	while (depth-- > 0)
		(void)buf_puts(out, "\t");
}

/* One member or item per line, tabs for depth, " for '. */
static void lay_out(const char *text, struct buf *out)
{
	bool in_string = false;
	unsigned int depth = 0;

	for (; *text; text++) {
		if (*text == '\'') {
			in_string = !in_string;
			(void)buf_puts(out, "\"");
		} else if (in_string) {
			(void)buf_append(out, text, 1);
		} else if (*text == '{' || *text == '[') {
			(void)buf_append(out, text, 1);
			put_line(out, ++depth);
		} else if (*text == '}' || *text == ']') {
			put_line(out, --depth);
			(void)buf_append(out, text, 1);
		} else if (*text == ',') {
			(void)buf_append(out, text, 1);
			put_line(out, depth);
		} else if (*text == ':') {
			(void)buf_puts(out, ": ");
		} else if (*text != ' ') {
			(void)buf_append(out, text, 1);
		}
	}
}

int oci_spec_default_print(const struct oci_spec_default *options, struct buf *out, struct err *err)
{
	AUTO_BUF struct buf compact = { 0 };
	int r;

	put_text(options, &compact);
	r = buf_error(&compact);
	if (r == 0) {
		lay_out(compact.data, out);
		r = buf_error(out);
	}
	return r < 0 ? err_sys(err, r, "make the default config.json") : 0;
}
