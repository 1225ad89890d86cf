/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/spec_default.c - the example document. It stands here as compact text, with ' for " so that
 * it can be read; it is parsed once and printed with indentation.
 */
#include "oci/spec_default.h"

#include <string.h>

#include "base/json.h"
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

/* jansson indents by blanks only: one blank per level becomes one tab. No string has a newline. */
static void blanks_to_tabs(char *text)
{
	for (char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		while (*line == ' ')
			*line++ = '\t';
	}
}

int oci_spec_default_print(const struct oci_spec_default *options, struct buf *out, struct err *err)
{
	AUTO_BUF struct buf compact = { 0 };
	AUTO_FREE char *text = NULL;
	AUTO_JSON json_t *spec = NULL;
	int r;

	put_text(options, &compact);
	r = buf_error(&compact);
	if (r < 0)
		return err_sys(err, r, "make the default config.json");
	for (char *quote = compact.data; (quote = strchr(quote, '\''));)
		*quote = '"';
	r = json_parse(compact.data, compact.len, "the default config.json", &spec, err);
	if (r < 0)
		return r;
	text = json_dumps(spec, JSON_INDENT(1));
	if (!text)
		return err_sys(err, -ENOMEM, "make the default config.json");
	blanks_to_tabs(text);
	r = buf_puts(out, text);
	return r < 0 ? err_sys(err, r, "make the default config.json") : 0;
}
