/* SPDX-License-Identifier: Apache-2.0 */
/* install/dropins.c - engines with a directory of settings to which a file of ours is added: CRI-O
 * and Podman. */
#include "install/plan.h"

#define CRIO_FILE   "/etc/crio/crio.conf.d/50-caisson.conf"
#define PODMAN_FILE "/etc/containers/containers.conf.d/50-caisson.conf"

/* Where `caisson list` looks, too. */
#define CRIO_ROOT "/run/caisson"

static int load(struct install_plan *plan, const char *path, struct err *err)
{
	struct install_file *file;

	return plan_read(plan, path, &file, err);
}

static int add(struct install_plan *plan, const struct buf *body, struct err *err)
{
	const int r = buf_error(body);

	return r < 0 ? err_sys(err, r, "%s", plan->files[0].path)
		     : plan_put_block(plan, 0, body->data, err);
}

/* ---- CRI-O: crio.conf(5), CRIO.RUNTIME.RUNTIMES TABLE ---- */

static int crio_load(struct install_plan *plan, struct err *err)
{
	return load(plan, CRIO_FILE, err);
}

static int crio_add(struct install_plan *plan, struct err *err)
{
	AUTO_BUF struct buf body = { 0 };

	for (size_t i = 0; i < HANDLERS; i++) {
		buf_printf(&body, "[crio.runtime.runtimes.%s]\nruntime_path = \"",
			   handler_names[i]);
		plan_program(plan, i, &body);
		buf_puts(&body, "\"\nruntime_type = \"oci\"\nruntime_root = \"" CRIO_ROOT "\"\n");
		if (i == HANDLER_VM)
			buf_puts(&body, "privileged_without_host_devices = true\n");
	}
	plan_note_systemd(plan, "cgroup_manager = \"cgroupfs\" in [crio.runtime]");
	return add(plan, &body, err);
}

static const char *const crio_signs[] = { "/etc/crio", "/usr/bin/crio", "/usr/local/bin/crio",
					  NULL };

const struct engine engine_crio = {
	.name = "crio",
	.signs = crio_signs,
	.restart = "systemctl restart crio (running containers stay)",
	.load = crio_load,
	.add = crio_add,
	.take = plan_cut_blocks,
};

/* ---- Podman: containers.conf(5), [engine.runtimes] ---- */

static int podman_load(struct install_plan *plan, struct err *err)
{
	return load(plan, PODMAN_FILE, err);
}

static int podman_add(struct install_plan *plan, struct err *err)
{
	AUTO_BUF struct buf body = { 0 };

	buf_puts(&body, "[engine.runtimes]\n");
	for (size_t i = 0; i < HANDLERS; i++) {
		buf_printf(&body, "%s = [\"", handler_names[i]);
		plan_program(plan, i, &body);
		buf_puts(&body, "\"]\n");
	}
	plan_note_systemd(plan, "podman --cgroup-manager cgroupfs, or cgroup_manager = "
				"\"cgroupfs\" in [engine] of containers.conf");
	return add(plan, &body, err);
}

static const char *const podman_signs[] = { "/usr/bin/podman", "/usr/local/bin/podman", PODMAN_FILE,
					    NULL };

const struct engine engine_podman = {
	.name = "podman",
	.signs = podman_signs,
	.load = podman_load,
	.add = podman_add,
	.take = plan_cut_blocks,
};
