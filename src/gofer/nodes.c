/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of nodes. An id is a serial number above a slot number: it only grows, is never used
 * again (48 bits of serial last for decades of walks), and is looked up with one comparison, which
 * fails for any id that the client made up or has closed.
 */
#include "gofer/server.h"

#include <errno.h>
#include <sys/stat.h>

#define SLOT_BITS 15u
#define SLOT_MASK ((1u << SLOT_BITS) - 1)

_Static_assert(GOFER_NODES_MAX <= SLOT_MASK + 1, "a slot fits its bits");

struct gofer_held *gofer_node(struct gofer_server *s, uint64_t id)
{
	struct gofer_held *node = &s->nodes[id & SLOT_MASK];

	return id && node->id == id ? node : NULL;
}

int gofer_node_writable(struct gofer_server *s, uint64_t id, struct gofer_held **ret)
{
	struct gofer_held *node = gofer_node(s, id);

	if (!node)
		return -EBADF;
	if (s->roots[node->root].flags & GOFER_ROOT_RO)
		return -EROFS;
	*ret = node;
	return 0;
}

/* A free slot: one that was given back, else the next that nobody has touched. */
static struct gofer_held *take_slot(struct gofer_server *s)
{
	struct gofer_held *node;

	if (s->nodes_len >= s->nodes_max || s->serial >> (63 - SLOT_BITS))
		return NULL;
	if (!s->free_head)
		return &s->nodes[s->nodes_top++];
	node = &s->nodes[s->free_head - 1];
	s->free_head = node->next_free;
	return node;
}

int gofer_node_add_known(struct gofer_server *s, int fd, uint16_t root, struct gofer_entry *entry)
{
	const struct gofer_attr *attr = &entry->attr;
	struct gofer_held *node = take_slot(s);

	if (!node) {
		(void)gofer_close_fd(fd);
		return -ENFILE;
	}
	*node = (struct gofer_held){
		.id = ++s->serial << SLOT_BITS | (uint64_t)(node - s->nodes),
		.dev = attr->dev,
		.ino = attr->ino,
		.fd = fd,
		.type = attr->mode & S_IFMT,
		.root = root,
	};
	s->nodes_len++;
	entry->node = node->id;
	return 0;
}

int gofer_node_add(struct gofer_server *s, int fd, uint16_t root, struct gofer_entry *ret)
{
	const int r = gofer_attr(fd, &ret->attr);

	if (r < 0) {
		(void)gofer_close_fd(fd);
		return r;
	}
	return gofer_node_add_known(s, fd, root, ret);
}

void gofer_node_close(struct gofer_server *s, struct gofer_held *node)
{
	if (node->type == S_IFDIR)
		gofer_streams_forget(s, node->id);
	(void)gofer_close_fd(node->fd);
	*node = (struct gofer_held){ .next_free = s->free_head };
	s->free_head = (uint16_t)(node - s->nodes + 1);
	s->nodes_len--;
}
