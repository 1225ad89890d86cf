/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Acts against the host's resources.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "acts.h"

/* On failure errno says why. */
static bool write_text(const char *path, const char *text)
{
	const int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok;
	int error;

	if (fd < 0)
		return false;
	ok = write(fd, text, strlen(text)) > 0;
	error = errno;
	(void)close(fd);
	errno = error;
	return ok;
}

enum verdict leave_cgroup(struct report *report)
{
	static const char *const files[] = { "cgroup.procs",	      "../cgroup.procs",
					     "../../cgroup.procs",    "tasks",
					     "release_agent",	      "notify_on_release",
					     "memory.limit_in_bytes", "pids.max" };
	DIR *dir = opendir("/sys/fs/cgroup");
	char path[600];
	int error = ENOENT;

	if (mount("cgroup", "/mnt", "cgroup", 0, "memory") == 0)
		return verdict(report, ESCAPED, "mounted a cgroup hierarchy");
	if (errno != ENOENT)
		error = errno;
	for (struct dirent *e; dir && (e = readdir(dir));) {
		if (strcmp(e->d_name, "..") == 0)
			continue;
		for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
			(void)snprintf(path, sizeof(path), "/sys/fs/cgroup/%s/%s", e->d_name,
				       files[i]);
			/* Moving into the cgroup where one is, or lifting its limit. */
			if (write_text(path, strstr(files[i], "max") || strstr(files[i], "limit")
						     ? "max"
						     : "0"))
				return verdict(report, ESCAPED, "wrote %s", path);
			if (errno != ENOENT)
				error = errno;
		}
	}
	if (dir)
		(void)closedir(dir);
	errno = error;
	return refused(report, "write");
}

enum verdict fork_bomb(struct report *report)
{
	const long limit = fact_number("PIDS_LIMIT");
	long made = 0;
	int error = 0;

	/* Twice the limit at most: enough to prove it, too few to hurt a host without one. */
	while (made < 2 * limit) {
		const pid_t pid = fork();

		if (pid < 0) {
			error = errno;
			break;
		}
		if (pid == 0) {
			(void)pause();
			_exit(0);
		}
		made++;
	}
	(void)signal(SIGTERM, SIG_IGN);
	(void)kill(0, SIGTERM); /* this process group: the bomb */
	for (long i = 0; i < made; i++)
		(void)wait(NULL);
	if (!error || made > limit)
		return verdict(report, ESCAPED, "made %ld processes", made);
	return verdict(report, CONTAINED, "%s after %ld processes", strerrorname_np(error), made);
}

enum verdict fill_memory(struct report *report)
{
	const size_t limit = (size_t)fact_number("MEMORY_LIMIT");
	const size_t step = 1u << 20;
	const pid_t pid = fork();
	int status = 0;

	if (pid < 0)
		return verdict(report, ESCAPED, "not tried: fork failed");
	if (pid == 0) {
		(void)write_text("/proc/self/oom_score_adj", "1000");
		for (size_t used = 0; used < 2 * limit; used += step) {
			char *p = mmap(NULL, step, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

			if (p == MAP_FAILED)
				_exit(2);
			memset(p, 0x5a, step);
		}
		_exit(1);
	}
	if (waitpid(pid, &status, 0) != pid)
		return verdict(report, ESCAPED, "lost the process");
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return verdict(report, CONTAINED, "killed at its memory limit");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
		return verdict(report, REFUSED, "mmap: ENOMEM");
	return verdict(report, ESCAPED, "used twice its memory limit");
}

enum verdict fill_disk(struct report *report)
{
	static const char *const places[] = { "/fill",	   "/root/fill",    "/var/tmp/fill",
					      "/tmp/fill", "/dev/shm/fill", "/run/fill" };
	static char block[1u << 20];
	const long limit_mib = fact_number("DISK_LIMIT_MIB");
	long written = 0;
	int error = 0;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		const int fd = open(places[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

		if (fd < 0)
			continue;
		while (written <= limit_mib) {
			if (write(fd, block, sizeof(block)) != (ssize_t)sizeof(block)) {
				error = errno;
				break;
			}
			written++;
		}
		(void)unlink(places[i]);
		(void)close(fd);
	}
	if (written > limit_mib)
		return verdict(report, ESCAPED, "wrote %ld MiB", written);
	return verdict(report, CONTAINED, "%s after %ld MiB",
		       error ? strerrorname_np(error) : "read-only", written);
}
