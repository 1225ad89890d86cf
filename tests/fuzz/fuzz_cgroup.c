/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parsers of room host/cgroup: mountinfo with /proc/self/cgroup, cgroup.procs, devices.list,
 * and the statistics files. The first byte chooses the parser; for the first one a zero byte parts
 * its texts.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "host/cgroup_devices.h"
#include "host/cgroup_internal.h"
#include "host/cgroup_stats.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_hierarchies(const char *text, size_t len)
{
	struct cgroup_hierarchies h;
	const size_t first = strlen(text);
	const struct cgroup_options o = { .path = text, .id = "c" };
	struct cgroup *cg = NULL;

	if (cgroup_parse_hierarchies(text, first < len ? text + first + 1 : "", &h) < 0)
		return;
	if (cgroup_new_in(&h, &o, &cg, NULL) == 0) {
		const struct cgroup_dir *dirs;
		struct cgroup *again = NULL;
		const size_t n = cgroup_dirs(cg, &dirs);

		/* Mount points are the kernel's; below them no path climbs. */
		for (size_t i = 0; i < n; i++) {
			if (strstr(dirs[i].path + cg->base_len[i], "/../"))
				abort();
		}
		if (cgroup_from_paths(dirs, n, &again, NULL) == 0)
			cgroup_free(again);
	}
	cgroup_free(cg);
	cgroup_hierarchies_done(&h);
}

static void fuzz_clean_path(const char *text)
{
	char once[CGROUP_PATH_MAX], twice[CGROUP_PATH_MAX];

	/* What systemd's words mean is a path that leads down. */
	if (cgroup_slice_path(text, once) > 0 && (*once != '/' || strstr(once, "//")))
		abort();
	if (cgroup_clean_path(text, once) < 0)
		return;
	if (cgroup_clean_path(once, twice) < 0 || strcmp(once, twice) != 0 || strstr(once, "//"))
		abort();
}

static int ignore_pid(pid_t pid, void *arg)
{
	(void)arg;
	if (pid <= 0)
		abort();
	return 0;
}

static void fuzz_devices(const char *text)
{
	struct device_policy policy = { 0 };
	struct bpf_insn *insns = NULL;
	size_t len;

	if (device_policy_parse(text, &policy) < 0)
		return;
	if (device_policy_compile(&policy, &insns, &len) == 0)
		free(insns);
	device_policy_done(&policy);
}

static void fuzz_stats(unsigned int which, const char *text)
{
	AUTO(cgroup_kvs_done) struct cgroup_kvs kvs = { 0 };
	AUTO(cgroup_u64s_done) struct cgroup_u64s a = { 0 };
	AUTO(cgroup_u64s_done) struct cgroup_u64s b = { 0 };
	AUTO(cgroup_io_list_done) struct cgroup_io_list x = { 0 };
	AUTO(cgroup_io_list_done) struct cgroup_io_list y = { 0 };
	struct cgroup_psi psi = { 0 };

	switch (which % 7) {
	case 0:
		(void)cgroup_parse_kvs(text, &kvs);
		break;
	case 1:
		(void)cgroup_parse_numbers(text, &a);
		break;
	case 2:
		(void)cgroup_parse_ranges(text, &a);
		break;
	case 3:
		(void)cgroup_parse_usage_all(text, &a, &b);
		break;
	case 4:
		(void)cgroup_parse_blkio(text, &x);
		break;
	case 5:
		(void)cgroup_parse_io_stat(text, &x, &y);
		break;
	default:
		(void)cgroup_parse_psi(text, &psi);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = size > 0 ? malloc(size) : NULL;

	if (!text)
		return 0;
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	switch (data[0] % 11) {
	case 0:
		fuzz_hierarchies(text, size - 1);
		break;
	case 1:
		fuzz_clean_path(text);
		break;
	case 2:
		(void)cgroup_parse_pids(text, ignore_pid, NULL);
		break;
	case 3:
		fuzz_devices(text);
		break;
	default:
		fuzz_stats(data[0] % 11 - 4u, text);
		break;
	}
	return 0;
}
