/* SPDX-License-Identifier: Apache-2.0 */
/*
 * install/block.h - our lines in a file of somebody else, between two comments.
 *
 *	# BEGIN caisson (part, sum 0123456789abcdef): written by "caisson install" ...
 *	...
 *	# END caisson
 *
 * The sum is that of the lines between (64 bits FNV-1a: it finds an edit, it is no signature). Text
 * outside of the two comments is never changed: what block_put() added block_cut() takes away, byte
 * for byte. A file for which directories had to be made says how many, "(file, sum ..., dirs 2)":
 *they go with it, if nothing else is in them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum block_kind {
	BLOCK_FILE,   /* the file is ours: when nothing else is in it, it goes with its lines */
	BLOCK_PART,   /* lines in a file that was there before */
	BLOCK_JOINED, /* the same, and a newline was added before them: the file did not end with
			 one */
};

struct block {
	size_t start,
		end; /* of the whole lines, with both comments and the newline if it is ours */
	enum block_kind kind;
	unsigned int dirs; /* of a BLOCK_FILE: directories that were made for it, from its own up */
	bool intact;	   /* what is between is what was written */
};

/*
 * 1: *ret is the block, 0: none, -EBADMSG: comments that do not belong together, or two blocks.
 * `name` is the file in messages.
 */
int block_find(const char *text, size_t len, const char *name, struct block *ret, struct err *err);

/* `text` with `body` (whole lines) as its block: where there is one in its place, else at the end.
 * `new_file`: 0 for a file that was there, else 1 and the number of directories that are made for
 * it. Errors are those of block_find() and of the buffer. */
int block_put(const struct buf *text, const char *name, const char *body, unsigned int new_file,
	      struct buf *ret, struct err *err);

/* `text` without its block. 1: there was one; 0: none, and *ret is the text. */
int block_cut(const struct buf *text, const char *name, struct buf *ret, struct err *err);
