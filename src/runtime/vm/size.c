/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/vm/size.h"

#include <sys/sysinfo.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"

#define GRAIN	   (2ull << 20) /* bytes: a machine's memory is a multiple */
#define PERIOD_US  100000	/* of cpu.max when nobody says one */
#define POD_MEMORY "io.kubernetes.cri.sandbox-memory"
#define POD_QUOTA  "io.kubernetes.cri.sandbox-cpu-quota"
#define POD_PERIOD "io.kubernetes.cri.sandbox-cpu-period"

/* The number of an annotation, or `otherwise` when it is absent, none or not positive. */
static int64_t annotated(const struct oci_spec *spec, const char *key, int64_t otherwise)
{
	const char *text = oci_annotation(spec, key);
	int64_t value;

	return text && str_to_i64(text, 1, INT64_MAX, &value) == 0 ? value : otherwise;
}

static uint32_t cpus_of(const struct vm_config *config, const struct oci_spec *spec)
{
	const struct oci_resources *r = &spec->linux.resources;
	const int64_t quota = annotated(spec, POD_QUOTA, r->cpu.quota.set ? r->cpu.quota.v : -1);
	const int64_t period = annotated(
		spec, POD_PERIOD,
		r->cpu.period.set && r->cpu.period.v <= INT64_MAX ? (int64_t)r->cpu.period.v : 0);
	const uint64_t per = period > 0 ? (uint64_t)period : PERIOD_US;
	const long host = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t cpus = quota > 0 ? ((uint64_t)quota - 1) / per + 1 : config->cpus;

	if (host > 0 && cpus > (uint64_t)host)
		cpus = (uint64_t)host;
	return cpus > MACHINE_CPUS_MAX ? MACHINE_CPUS_MAX : (uint32_t)cpus;
}

static uint64_t host_memory(void)
{
	struct sysinfo info;

	return sysinfo(&info) < 0 ? UINT64_MAX : (uint64_t)info.totalram * info.mem_unit;
}

int vm_size_get(const struct vm_config *config, const struct oci_spec *spec, struct vm_size *ret,
		struct err *err)
{
	const struct oci_opt_i64 *limit = &spec->linux.resources.memory.limit;
	const int64_t wanted = annotated(spec, POD_MEMORY, limit->set ? limit->v : -1);
	const uint64_t host = host_memory();
	uint64_t memory = config->memory;

	/* Engines say the host's size, or more, for no limit. */
	if (wanted > 0 && (uint64_t)wanted < host)
		memory = (uint64_t)wanted + config->overhead;
	if (memory > host)
		memory = host;
	if (memory < MACHINE_MEMORY_MIN)
		memory = MACHINE_MEMORY_MIN;
	memory = (memory + GRAIN - 1) / GRAIN * GRAIN;
	if (memory > MACHINE_MEMORY_MAX)
		return err_set(err, -EINVAL,
			       "linux.resources.memory.limit: a machine has at most %llu bytes",
			       (unsigned long long)MACHINE_MEMORY_MAX);
	*ret = (struct vm_size){ .cpus = cpus_of(config, spec), .memory = memory };
	return 0;
}
