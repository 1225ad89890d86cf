/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/core/khash.h"

#include <stdlib.h>

#define FULL	  2u /* nodes for each bucket */
#define GROW_BITS 2u

static void init_buckets(struct list_head *buckets, unsigned int bits)
{
	for (uint32_t i = 0; i < 1u << bits; i++)
		list_init(&buckets[i]);
}

static void begin(struct khash *t)
{
	t->bits = KHASH_FIRST_BITS;
	t->buckets = t->first;
	init_buckets(t->buckets, t->bits);
}

void khash_done(struct khash *t)
{
	if (t->buckets != t->first)
		free(t->buckets);
	t->buckets = NULL;
	t->len = 0;
}

struct list_head *khash_bucket(struct khash *t, uint32_t hash)
{
	if (!t->buckets)
		begin(t);
	return &t->buckets[hash >> (32 - t->bits)];
}

/* Without memory the lists become longer. */
static void grow(struct khash *t)
{
	const unsigned int bits = t->bits + GROW_BITS;
	struct list_head *old = t->buckets;
	const uint32_t old_len = 1u << t->bits;
	struct list_head *buckets = malloc(sizeof(*buckets) << bits);

	if (!buckets)
		return;
	init_buckets(buckets, bits);
	t->buckets = buckets;
	t->bits = bits;
	for (uint32_t i = 0; i < old_len; i++) {
		while (!list_empty(&old[i])) {
			struct list_head *node = old[i].next;

			list_move_tail(node, khash_bucket(t, t->hash(node)));
		}
	}
	if (old != t->first)
		free(old);
}

void khash_add(struct khash *t, struct list_head *node)
{
	list_add(node, khash_bucket(t, t->hash(node)));
	if (++t->len > FULL << t->bits && t->bits + GROW_BITS <= KHASH_BITS_MAX)
		grow(t);
}

void khash_del(struct khash *t, struct list_head *node)
{
	if (list_empty(node))
		return;
	list_del(node);
	t->len--;
}
