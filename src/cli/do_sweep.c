/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/do_sweep.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "cli/cli.h"

int do_id_make(char ret[static DO_ID_MAX], struct err *err)
{
	uint32_t random;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return err_sys(err, -errno, "do: getrandom");
	(void)snprintf(ret, DO_ID_MAX, "do-%d-%08x", (int)getpid(), random);
	return 0;
}

pid_t do_id_pid(const char *id)
{
	const char *rest = str_after(id, "do-");
	char *end;
	long pid;

	if (!rest || *rest < '1' || *rest > '9')
		return 0;
	errno = 0;
	pid = strtol(rest, &end, 10);
	if (errno || pid > INT32_MAX || *end != '-' || strlen(end + 1) != 8 ||
	    strspn(end + 1, "0123456789abcdef") != 8)
		return 0;
	return (pid_t)pid;
}

/* Processes that are there all the same are those of another pid namespace. */
static bool is_over(struct container *c, const char *bundle)
{
	AUTO_FREE pid_t *pids = NULL;
	size_t len = 0;

	return c->status == OCI_STOPPED && c->cgroup && str_eq(c->bundle, bundle) &&
	       container_pids(c, &pids, &len, NULL) == 0 && len == 0;
}

static void sweep_one(const struct runtime *rt, const char *id, const char *bundle)
{
	AUTO_CONTAINER struct container *c = NULL;
	struct err problem = { 0 };

	if (container_load(rt, id, false, &c, NULL) < 0 || !is_over(c, bundle))
		return;
	if (container_delete(c, false, &problem) < 0)
		log_debug("do: %s stays: %s", id, problem.msg);
}

void do_sweep(const struct runtime *rt, const char *bundle)
{
	DIR *dir = opendir(rt->root);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		const pid_t pid = do_id_pid(entry->d_name);

		if (pid && kill(pid, 0) < 0 && errno == ESRCH)
			sweep_one(rt, entry->d_name, bundle);
	}
	if (dir)
		(void)closedir(dir);
}
