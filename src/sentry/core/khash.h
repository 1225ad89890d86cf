/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/core/khash.h - a hash table of lists that grows with what is in it: an idle sandbox pays
 * for a kilobyte, and walks are short with 100,000 names.
 *
 * Nodes are struct list_head of the caller's. The table never shrinks.
 */
#pragma once

#include <stdint.h>

#include "base/list.h"

#define KHASH_FIRST_BITS 6u
#define KHASH_BITS_MAX	 16u

/* The hash that a node was added with. */
typedef uint32_t khash_fn(const struct list_head *node);

/* Zeroed but for `hash`, it is an empty table. */
struct khash {
	khash_fn *hash;
	struct list_head *buckets; /* 1 << bits; `first`, or owned */
	unsigned int bits;
	unsigned int len;
	struct list_head first[1u << KHASH_FIRST_BITS];
};

/* Free the buckets, not what is in them. */
void khash_done(struct khash *t);

/*
 * The list of all nodes with this hash, and of others. Good until something is added. The node of
 * bucket I is in one of the last of the buckets from I on when the table has grown: who walks by
 * index and lets others add meets a node twice, but misses none.
 */
struct list_head *khash_bucket(struct khash *t, uint32_t hash);

void khash_add(struct khash *t, struct list_head *node);

/* Nothing happens to a node that is in no list. */
void khash_del(struct khash *t, struct list_head *node);
