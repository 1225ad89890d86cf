/* SPDX-License-Identifier: Apache-2.0 */
/*
 * install/plan.h - inside the room: the files that an engine's settings are read from, before and
 * after, and the engines that edit them.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "install/block.h"
#include "install/install.h"

/* One file of the node; its path is as the engine knows it, without the --root before it. */
struct install_file {
	char *path; /* owned, absolute */
	bool existed;
	bool removed; /* it is to go */
	/* Directories: of a file that is not there, those that are missing; of one that is to go,
	 * those that go with it if nothing else is in them. From its own up. */
	unsigned int dirs;
	struct buf before, after;
	struct stat_id {
		dev_t dev;
		ino_t ino;
		off_t size;
		long long mtime_ns;
	} id; /* of what was read */
	mode_t mode;
	uid_t uid;
	gid_t gid;
};

struct engine {
	const char *name;
	const char *const *signs; /* paths; one of them shows that the engine is there */
	const char *restart;	  /* what to do after a change; NULL: nothing */
	/* Read every file that counts into the plan (plan_read()). */
	int (*load)(struct install_plan *plan, struct err *err);
	/* Fill `after` of the files that change; the others are as before. */
	int (*add)(struct install_plan *plan, struct err *err);
	int (*take)(struct install_plan *plan, struct err *err);
};

extern const struct engine engine_containerd, engine_crio, engine_podman, engine_docker;
extern const struct engine engine_microk8s, engine_k3s;

#define HANDLERS 4
/* "caisson" and one for each class: the names that engines and RuntimeClasses use. */
extern const char *const handler_names[HANDLERS];
/*
 * Its containers cannot have the host's devices, all of which engines would list for a privileged
 * one: it is refused then. Privileged inside its machine it is without them.
 */
#define HANDLER_VM 3

/* The file is read (or noted as missing) and becomes the plan's; *ret is borrowed from the plan and
 * good until the next call. -ELOOP, -EISDIR and so on for what is no file; -E2BIG. */
int plan_read(struct install_plan *plan, const char *path, struct install_file **ret,
	      struct err *err);

/* Whether the path is there below the root. */
bool plan_exists(const struct install_plan *plan, const char *path);

/* Names in a directory that end as `suffix`, sorted; none when there is no directory. */
int plan_names(const struct install_plan *plan, const char *dir, const char *suffix, char ***ret,
	       struct err *err);

/* A sentence for the user, after everything else. */
void plan_note(struct install_plan *plan, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * The note that belongs to a node with systemd, where this engine lets systemd make the cgroups
 * unless it is told otherwise, and a runtime without that driver refuses; `how` tells it.
 */
void plan_note_systemd(struct install_plan *plan, const char *how);

/* -EUCLEAN, unless the options say --force: the file has our lines, but edited. */
int plan_edited(const struct install_plan *plan, const char *path, struct err *err);

/* Put `body` as the block of `file`, and out of every other file of the plan. */
int plan_put_block(struct install_plan *plan, size_t file, const char *body, struct err *err);

/* engine.take of every engine whose lines are blocks. */
int plan_cut_blocks(struct install_plan *plan, struct err *err);

/* The program of a handler: "/usr/bin/caisson-ns". */
void plan_program(const struct install_plan *plan, size_t handler, struct buf *out);
/*
 * containerd's shim of a handler, "/usr/bin/containerd-shim-caisson-ns-v2", beside the runtime;
 * appended. False: there is none, and nothing is appended.
 */
bool plan_shim(const struct install_plan *plan, size_t handler, struct buf *out);
