/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shim/settings.h - what the runtime is told for one container: the name of the shim's program, the
 * options of the create request, the configuration.
 *
 * Who runs the node decides the class: the runtime type (containerd-shim-caisson-ns-v2), our
 * options or the name of BinaryName, in this order; then the annotation io.caisson.isolation and
 * the configuration count as everywhere (runtime/isolation.h).
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "runtime/config.h"
#include "runtime/runtime.h"

struct Caisson__Shim__Any; /* of task.pb-c.h */

#define SETTINGS_ROOT	  "/run/containerd/caisson" /* of all; a directory in it per namespace */
#define SETTINGS_FILE	  "caisson.json"	    /* in a bundle: for `delete` */
#define SETTINGS_BODY_MAX (64u << 10)

struct settings {
	struct config config;
	struct runtime rt; /* points into config */
	bool no_pivot, no_new_keyring;
	uint32_t io_uid,
		io_gid; /* whose the streams' fifos and pipes shall be; both 0: as they are */
};

/* `program`: the name this program was called by. `options` may be NULL. -EINVAL names what. */
int settings_new(const char *program, const char *ns, const struct Caisson__Shim__Any *options,
		 struct settings **ret, struct err *err);
void settings_free(struct settings *settings); /* accepts NULL */

/*
 * The cgroup that the shim itself shall be in by the options (runc's ShimCgroup), the caller's;
 * NULL when they do not say, or are of another kind.
 */
char *settings_shim_cgroup(const struct Caisson__Shim__Any *options);

/*
 * Write into the bundle what `delete` must know when the shim is gone, and read it: the root.
 * Where the bundle has nothing (containerd may take it away beside `delete`, when a create fails by
 * its shim's end) or is gone, `bundle_fd` below 0, it is the usual one of the namespace. A
 * configuration that has become unusable meanwhile does not keep it from that.
 */
int settings_save(const struct settings *settings, int bundle_fd, struct err *err);
int settings_load(const char *program, const char *ns, int bundle_fd, struct settings **ret,
		  struct err *err);
