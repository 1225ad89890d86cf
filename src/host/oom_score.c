/* SPDX-License-Identifier: Apache-2.0 */
#include "host/oom_score.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

int oom_score_apply(const struct oci_process *process, pid_t pid, struct err *err)
{
	char path[64];
	AUTO_CLOSE int dir = -EBADF;

	if (!process->oom_score_adj.set)
		return 0;
	(void)snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return dir < 0 ? err_sys(err, -errno, "process.oomScoreAdj: open %s", path)
		       : oom_score_apply_in(process, dir, err);
}

int oom_score_apply_in(const struct oci_process *process, int dir, struct err *err)
{
	char text[24];
	int r;

	if (!process->oom_score_adj.set)
		return 0;
	(void)snprintf(text, sizeof(text), "%" PRId64, process->oom_score_adj.v);
	r = fd_write_file(dir, "oom_score_adj", text);
	if (r == -EACCES && geteuid() != 0)
		return 0; /* only root may lower it; runc and crun go on, too */
	if (r < 0)
		return err_sys(err, r, "process.oomScoreAdj: write %s to oom_score_adj", text);
	return 0;
}
