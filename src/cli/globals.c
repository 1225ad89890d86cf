/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/globals.c - from global flags, the program's name, configuration and host to the log and to
 * struct runtime.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "cli/cli.h"
#include "runtime/setup.h"

#define FIELD(member) offsetof(struct global_options, member)

const struct option global_option_table[] = {
	{ "root", "root directory for storage of container state (this should be located in tmpfs)",
	  "DIR", FIELD(root), OPTION_STRING, 0 },
	{ "log", "set the log file: a path, file:PATH, syslog:IDENT or journald:IDENT", "FILE",
	  FIELD(log), OPTION_STRING, 0 },
	{ "log-format", "set the log format: text or json", "FORMAT", FIELD(log_format),
	  OPTION_STRING, 0 },
	{ "log-level", "least important level that is logged: error, warning, info or debug",
	  "LEVEL", FIELD(log_level), OPTION_STRING, 0 },
	{ "debug", "enable debug logging, of the named rooms of a sentry too (--debug=vfs,mm)",
	  NULL, FIELD(debug), OPTION_OPTIONAL, 0 },
	{ "systemd-cgroup", "the same as --cgroup-manager systemd", NULL, FIELD(systemd_cgroup),
	  OPTION_FLAG, 0 },
	{ "cgroup-manager", "who makes cgroups: cgroupfs, systemd or disabled", "NAME",
	  FIELD(cgroup_manager), OPTION_STRING, 0 },
	{ "rootless", "ignore cgroup permission errors: true, false or auto", "true|false|auto",
	  FIELD(rootless), OPTION_STRING, 0 },
	{ "isolation", "isolation class: ns, sentry or vm", "CLASS", FIELD(isolation),
	  OPTION_STRING, 0 },
	{ "platform", "class sentry: how the container's code runs: systrap or ptrace", "NAME",
	  FIELD(platform), OPTION_STRING, 0 },
	{ "stub-profile",
	  "class sentry: calls that change memory are checked by the sentry or direct", "NAME",
	  FIELD(stub_profile), OPTION_STRING, 0 },
	{ "cpu-isolation", "class sentry: off, or core: no other process on a core's threads",
	  "MODE", FIELD(cpu_isolation), OPTION_STRING, 0 },
	{ "network", "class sentry: none, host or pod", "NAME", FIELD(network), OPTION_STRING, 0 },
	{ "overlay", "class sentry: where writes to the root go: none, root:memory or root:self",
	  "MODE", FIELD(overlay), OPTION_STRING, 0 },
	{ "file-access", "class sentry: the root file system is exclusive or shared with others",
	  "MODE", FIELD(file_access), OPTION_STRING, 0 },
	{ "file-access-mounts", "class sentry: the same for bind mounts", "MODE",
	  FIELD(file_access_mounts), OPTION_STRING, 0 },
	{ "host-uds",
	  "class sentry: unix sockets of the host in volumes: none, open, create or all", "MODE",
	  FIELD(host_uds), OPTION_STRING, 0 },
	{ "strace", "class sentry: log system calls, all or those named (--strace=open,read)", NULL,
	  FIELD(strace), OPTION_OPTIONAL, 0 },
	{ "events", "class sentry: events that --event-sink gets: all or names with commas", "LIST",
	  FIELD(events), OPTION_STRING, 0 },
	{ "event-sink", "class sentry: file, fifo or unix socket for the event stream", "PATH",
	  FIELD(event_sink), OPTION_STRING, 0 },
	{ "criu", "ignored, for compatibility", "PATH", 0, OPTION_IGNORED_VALUE, 0 },
	{ "version", "print the version", NULL, FIELD(version), OPTION_FLAG, 'v' },
	{ 0 },
};

/* A socket of syslog(3) takes one datagram for each write(2). */
static int open_syslog(struct err *err)
{
	const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/dev/log" };
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return err_sys(err, -errno, "log: socket");
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return err_sys(err, -errno, "log: no syslog on this host: connect /dev/log");
	return TAKE_FD(fd);
}

/* journald's stream socket: seven lines of header, then a line is an entry (sd-daemon(3)). */
static int open_journald(const char *ident, struct err *err)
{
	const struct sockaddr_un address = { .sun_family = AF_UNIX,
					     .sun_path = "/run/systemd/journal/stdout" };
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char header[256];
	int len;
	int r;

	if (fd < 0)
		return err_sys(err, -errno, "log: socket");
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return err_sys(err, -errno, "log: no journald on this host: connect %s",
			       address.sun_path);
	len = snprintf(header, sizeof(header), "%s\n\n6\n0\n0\n0\n0\n", ident);
	if (len < 0 || len >= (int)sizeof(header) || strchr(ident, '\n'))
		return err_set(err, -EINVAL, "log: bad journald identifier");
	r = fd_write_all(fd, header, (size_t)len);
	if (r < 0)
		return err_sys(err, r, "log: write to journald");
	return TAKE_FD(fd);
}

static int open_log(const char *log, struct err *err)
{
	const char *rest;
	int fd;

	if (str_after(log, "syslog:"))
		return open_syslog(err);
	rest = str_after(log, "journald:");
	if (rest)
		return open_journald(rest, err);
	rest = str_after(log, "file:");
	if (rest)
		log = rest;
	fd = open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	return fd < 0 ? err_sys(err, -errno, "open log file %s", log) : fd;
}

/* --debug alone, and --debug=rooms; --debug=false takes it back, as of any flag of Go's. */
static bool is_debug(const struct global_options *f)
{
	return f->debug && !str_eq(f->debug, "false") && !str_eq(f->debug, "0");
}

/* The rooms of --debug=rooms, or NULL. */
static const char *debug_rooms(const struct global_options *f)
{
	return !is_debug(f) || str_eq(f->debug, "true") || str_eq(f->debug, "1") || !*f->debug
		       ? NULL
		       : f->debug;
}

/* What a flag or, for verbs that have read it, the configuration says. */
static const char *setting(const struct cli *cli, const char *flag, enum config_key key)
{
	return flag ? flag : config_text(&cli->config, key);
}

static int log_level_from_text(const char *text, enum log_level *ret, struct err *err)
{
	static const char *const names[] = { "error", "warning", "info", "debug" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (str_eq(text, names[i])) {
			*ret = (enum log_level)i;
			return 0;
		}
	}
	if (str_eq(text, "warn")) {
		*ret = LOG_LEVEL_WARNING;
		return 0;
	}
	return err_set(err, -EINVAL, "invalid log-level: %s", text);
}

int globals_setup_log(struct cli *cli, struct err *err)
{
	const char *file = setting(cli, cli->flags.log, CONFIG_LOG);
	const char *format = setting(cli, cli->flags.log_format, CONFIG_LOG_FORMAT);
	const char *level_text = setting(cli, cli->flags.log_level, CONFIG_LOG_LEVEL);
	enum log_level level = LOG_LEVEL_INFO;
	int fd = log_fd();
	int r;

	if (format && !str_eq(format, "text") && !str_eq(format, "json"))
		return err_set(err, -EINVAL, "invalid log-format: %s", format);
	if (level_text) {
		r = log_level_from_text(level_text, &level, err);
		if (r < 0)
			return r;
	}
	if (is_debug(&cli->flags))
		level = LOG_LEVEL_DEBUG;
	if (file && *file && fd == STDERR_FILENO) {
		fd = open_log(file, err);
		if (fd < 0)
			return fd;
	}
	log_setup(fd, str_eq(format, "json"), level);
	return 0;
}

static const char *base_name(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;

	return slash ? slash + 1 : path;
}

/* caisson-ns, caisson-sentry, caisson-vm. */
static int isolation_from_argv0(struct cli *cli, struct err *err)
{
	const char *class = cli->argv0 ? str_after(base_name(cli->argv0), "caisson-") : NULL;

	if (!class || (!str_eq(class, "ns") && !str_eq(class, "sentry") && !str_eq(class, "vm")))
		return 0;
	return config_set(&cli->config, CONFIG_ISOLATION, class, CONFIG_FROM_ARGV0, err);
}

static int take_flags(struct cli *cli, struct err *err)
{
	const struct global_options *f = &cli->flags;
	const struct {
		enum config_key key;
		const char *text;
	} flags[] = {
		{ CONFIG_ROOT, f->root },
		{ CONFIG_ISOLATION, f->isolation },
		{ CONFIG_CGROUP_MANAGER, f->systemd_cgroup ? "systemd" : f->cgroup_manager },
		{ CONFIG_ROOTLESS, f->rootless },
		{ CONFIG_LOG, f->log },
		{ CONFIG_LOG_FORMAT, f->log_format },
		{ CONFIG_LOG_LEVEL, is_debug(f) ? "debug" : f->log_level },
		{ CONFIG_PLATFORM, f->platform },
		{ CONFIG_STUB_PROFILE, f->stub_profile },
		{ CONFIG_CPU_ISOLATION, f->cpu_isolation },
		{ CONFIG_NETWORK, f->network },
		{ CONFIG_OVERLAY, f->overlay },
		{ CONFIG_FILE_ACCESS, f->file_access },
		{ CONFIG_FILE_ACCESS_MOUNTS, f->file_access_mounts },
		{ CONFIG_HOST_UDS, f->host_uds },
		{ CONFIG_STRACE, f->strace && !*f->strace ? "all" : f->strace },
		{ CONFIG_DEBUG, debug_rooms(f) },
		{ CONFIG_EVENTS, f->events },
		{ CONFIG_EVENT_SINK, f->event_sink },
	};

	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		int r = flags[i].text ? config_check(flags[i].key, flags[i].text, err) : 0;

		if (r < 0)
			return r;
		r = flags[i].text ? config_set(&cli->config, flags[i].key, flags[i].text,
					       CONFIG_FROM_FLAG, err)
				  : 0;
		if (r < 0)
			return r;
	}
	if (f->systemd_cgroup && f->cgroup_manager && !str_eq(f->cgroup_manager, "systemd"))
		return err_set(err, -EINVAL, "--systemd-cgroup and --cgroup-manager %s contradict",
			       f->cgroup_manager);
	return 0;
}

int globals_setup_runtime(struct cli *cli, struct err *err)
{
	struct runtime *rt = &cli->runtime;
	const char *rootless = cli->flags.rootless;
	int r;

	if (rootless && !str_eq(rootless, "true") && !str_eq(rootless, "false") &&
	    !str_eq(rootless, "auto"))
		return err_set(err, -EINVAL,
			       "invalid value \"%s\" for --rootless: true, false or auto",
			       rootless);
	r = config_read_files(&cli->config, config_path(), err);
	if (r == 0)
		r = isolation_from_argv0(cli, err);
	if (r == 0)
		r = take_flags(cli, err);
	return r < 0 ? r : runtime_set_up(&cli->config, rt, err);
}
