/* SPDX-License-Identifier: Apache-2.0 */
/*
 * install/install.h - make Caisson known to the engines of a node, and take it away again.
 *
 * Each engine has files of settings. Our lines in them are told from others: a file of our own, or
 * lines between two comments with a sum (install/block.h), or members of a JSON object that look as
 * we write them. Nothing else is changed, and what is ours but was edited is not touched without
 * `force`. A file is replaced whole (written, synced, renamed), with the owner and the mode that it
 * had; a file that changed since it was read is not. Whatever is not understood for certain is an
 * error with a sentence that names file and line, before anything is written.
 *
 * Nothing here starts or restarts an engine.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

struct engine;
struct install_file;

/* "containerd|crio|podman|docker|microk8s|k3s", for help and messages. */
#define INSTALL_ENGINES	    "containerd|crio|podman|docker|microk8s|k3s"
#define INSTALL_ENGINES_LEN 6
#define INSTALL_FILES_MAX   64 /* of one engine */

struct install_options {
	const char *root;    /* the node's file system: "/", or a directory that it is mounted on */
	const char *runtime; /* absolute path of `caisson` in the node */
	bool force;	     /* also what was edited */
};

enum install_state {
	INSTALL_NO_ENGINE, /* the engine is not on this node */
	INSTALL_ABSENT,
	INSTALL_PRESENT,
	INSTALL_OUTDATED, /* ours, but `install` would write something else now */
	INSTALL_EDITED,
	INSTALL_REFUSED, /* its files are not understood */
};

struct install_plan {
	const struct engine *engine;
	struct install_options options;
	int root_fd; /* owned */
	struct install_file *files;
	size_t files_len;
	size_t counted;	  /* the first of them, whose settings the engine reads (containerd) */
	bool taking;	  /* it is to take away */
	struct buf notes; /* lines */
};

/* The name of engine i < INSTALL_ENGINES_LEN, and its number; -EINVAL for another name. */
const char *install_engine_name(size_t engine);
int install_engine_find(const char *name, struct err *err);

/* Whether the engine is on the node. -errno: the root cannot be opened. */
int install_engine_is_there(size_t engine, const struct install_options *options, struct err *err);

/* What is to be changed to add Caisson to the engine or to take it away; nothing is written. */
int install_plan_add(size_t engine, const struct install_options *options, struct install_plan *ret,
		     struct err *err);
int install_plan_take(size_t engine, const struct install_options *options,
		      struct install_plan *ret, struct err *err);
void install_plan_done(struct install_plan *plan);

/* Files that the plan changes. */
size_t install_plan_changes(const struct install_plan *plan);

/* The plan as a diff; and a line for each file that was changed. */
void install_plan_diff(const struct install_plan *plan, struct buf *out);
void install_plan_summary(const struct install_plan *plan, struct buf *out);

/* Write it. A failure leaves each file either as it was or as planned. */
int install_plan_apply(const struct install_plan *plan, struct err *err);

/* `detail`: the files, or why not; appended. */
int install_status(size_t engine, const struct install_options *options, enum install_state *ret,
		   struct buf *detail, struct err *err);
const char *install_state_name(enum install_state state);
