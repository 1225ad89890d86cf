/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/warm.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/mount.h>

#include "agent/container.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"

#define ID	      "warm"
#define UPPER	      AGENT_TOP "/" ID "-upper"
#define ROOT	      AGENT_TOP "/" ID "-root"
#define NOBODYS	      "/caisson-devices" /* a cgroup */
#define WAIT_MS	      10000
#define CLOCKSOURCE   "/sys/devices/system/clocksource/clocksource0/current_clocksource"
#define CLOCK_WAIT_MS 3000
#define SETTLE_MS     300

/* As engines write it; the program is our own, which ends at once where it is not process 1. */
static const char config[] =
	"{\"ociVersion\":\"1.0.2\",\"hostname\":\"warm\",\"root\":{\"path\":\"" ROOT "\"},"
	"\"process\":{\"user\":{\"uid\":0,\"gid\":0,\"additionalGids\":[0,1]},\"cwd\":\"/\","
	"\"args\":[\"/init\",\"warm\"],\"env\":[\"PATH=/bin\"],\"noNewPrivileges\":true,"
	"\"oomScoreAdj\":0,\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"hard\":1024,\"soft\":1024}],"
	"\"capabilities\":{\"bounding\":[\"CAP_KILL\",\"CAP_CHOWN\"],\"effective\":[\"CAP_KILL\"],"
	"\"permitted\":[\"CAP_KILL\"]}},"
	"\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"},"
	"{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\","
	"\"options\":[\"nosuid\",\"mode=755\",\"size=65536k\"]},"
	"{\"destination\":\"/dev/pts\",\"type\":\"devpts\",\"source\":\"devpts\","
	"\"options\":[\"nosuid\",\"noexec\",\"newinstance\",\"ptmxmode=0666\",\"mode=0620\"]},"
	"{\"destination\":\"/dev/shm\",\"type\":\"tmpfs\",\"source\":\"shm\","
	"\"options\":[\"nosuid\",\"noexec\",\"nodev\",\"mode=1777\",\"size=65536k\"]},"
	"{\"destination\":\"/dev/mqueue\",\"type\":\"mqueue\",\"source\":\"mqueue\"},"
	"{\"destination\":\"/sys\",\"type\":\"sysfs\",\"source\":\"sysfs\","
	"\"options\":[\"nosuid\",\"noexec\",\"nodev\",\"ro\"]},"
	"{\"destination\":\"/sys/fs/cgroup\",\"type\":\"cgroup\",\"source\":\"cgroup\","
	"\"options\":[\"nosuid\",\"noexec\",\"nodev\",\"relatime\",\"ro\"]}],"
	"\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"mount\"},{\"type\":\"ipc\"},"
	"{\"type\":\"uts\"},{\"type\":\"cgroup\"}],"
	"\"resources\":{\"devices\":[{\"allow\":false,\"access\":\"rwm\"}],"
	"\"memory\":{\"limit\":67108864},\"cpu\":{\"shares\":512,\"quota\":50000,"
	"\"period\":100000},\"pids\":{\"limit\":64}},"
	"\"maskedPaths\":[\"/proc/kcore\",\"/sys/firmware\"],\"readonlyPaths\":[\"/proc/sys\"]}}";

static const struct sock_filter filter[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

static const struct agent_create request = {
	.id = ID,
	.config = { config, sizeof(config) - 1 },
	.seccomp = { filter, sizeof(filter) },
	.storages = { { .source = "tmpfs",
			.target = UPPER,
			.type = "tmpfs",
			.options = "mode=755" },
		      { .source = "overlay",
			.target = ROOT,
			.type = "overlay",
			.options = "lowerdir=/,upperdir=" UPPER "/files,workdir=" UPPER "/work" } },
	.storages_len = 2,
	.bundle = "",
};

enum state { MADE, ENDED, GONE };

/* Of a container that failed as well. */
static bool is(const struct agent *a, enum state state)
{
	struct err ignored = { 0 };
	const struct container *c = container_find(a, ID, &ignored);

	if (!c)
		return a->workers_len == 0;
	return (state == MADE && c->init) || (state == ENDED && !c->init);
}

static int await(struct agent *a, enum state state, struct container **ret, struct err *err)
{
	const int64_t deadline = clock_ms() + WAIT_MS;
	int r = 0;

	while (r == 0 && !is(a, state)) {
		if (clock_ms() > deadline)
			return err_set(err, -ETIMEDOUT, "a container hangs");
		r = loop_once(a->loop, 100);
	}
	if (r < 0)
		return err_sys(err, r, "the event loop");
	if (state == GONE)
		return 0;
	*ret = container_find(a, ID, err);
	return *ret ? 0 : -ENOENT;
}

static int run(struct agent *a, struct err *err)
{
	struct container *c;
	int r = container_create(a, 0, &request, err);

	if (r < 0)
		return r;
	r = await(a, MADE, &c, err);
	if (r == 0)
		r = container_start(c, 0, err);
	return r < 0 ? r : await(a, ENDED, &c, err);
}

/*
 * The devices that nearly every container may use, as a program that the kernel has verified and
 * translated. It is attached to a cgroup of nobody: what the kernel patches in its code for the
 * first program and the first cgroup stays patched.
 */
static int keep_program(struct agent *a, struct err *err)
{
	AUTO_FREE struct oci_device_rule *rules = NULL;
	struct cgroup *nobodys = NULL;
	struct cgroup_options options = { .path = NOBODYS, .id = ID };
	struct oci_resources resources = { 0 };
	int r = cgroup_add_default_devices(&resources, &rules);

	if (r < 0)
		return err_sys(err, r, "linux.resources.devices");
	r = cgroup_program_load(&resources, &a->program, err);
	options.program = a->program;
	if (r == 0)
		r = cgroup_new(&options, &nobodys, err);
	if (r == 0)
		r = cgroup_create(nobodys, err);
	if (r == 0)
		r = cgroup_apply(nobodys, &resources, false, err);
	cgroup_free(nobodys);
	return r;
}

/* Of a kernel that still looks for its clock: an emulated one, for a second after its boot. */
static bool clock_is_interim(void)
{
	static const char *const names[] = { "jiffies\n", "refined-jiffies\n", "tsc-early\n" };
	AUTO_BUF struct buf name = { .max = 64 };
	bool found = false;

	if (fd_read_file(AT_FDCWD, CLOCKSOURCE, &name) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		found |= str_eq(name.data, names[i]);
	return found;
}

/*
 * What the kernel does by and by clones would do while they make their containers: free what the
 * container had (after grace periods of RCU, in works), and stop for a moment to take its time
 * stamp counter for its clock and to have its timer tell events instead of ticks.
 */
static int settle(struct agent *a, struct err *err)
{
	const int64_t deadline = clock_ms() + CLOCK_WAIT_MS;
	int64_t since = clock_ms();
	int r = 0;

	while (r == 0 && clock_ms() < deadline && clock_ms() < since + SETTLE_MS) {
		r = loop_once(a->loop, 20);
		if (clock_is_interim())
			since = clock_ms();
	}
	return r < 0 ? err_sys(err, r, "the event loop") : 0;
}

int warm_up(struct agent *a, struct err *err)
{
	struct err problem = { 0 }, ignored = { 0 };
	struct container *c;
	int r;

	if (keep_program(a, &problem) < 0)
		log_warning("before the template is saved: %s", problem.msg);
	problem = (struct err){ 0 };
	r = run(a, &problem);
	c = container_find(a, ID, &ignored);
	if (c && container_delete(c, 0, &problem) > 0)
		r = await(a, GONE, &c, &problem) < 0 ? problem.code : r;
	if (container_find(a, ID, &ignored) || a->workers_len > 0)
		return err_set(err, -EBUSY, "before the template is saved: %s", problem.msg);
	if (r < 0)
		log_warning("before the template is saved: %s", problem.msg);
	return settle(a, err);
}
