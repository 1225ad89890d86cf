/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/proc/sysctl_ns.c - the numbers of /proc/sys that belong to a namespace and steer it:
 * limits of SysV ipc and of the network stack. They are the reader's; before the first task, what
 * boot writes is for the namespaces that it makes next.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/proc/internal.h"
#include "sentry/mm/ipc_ns.h"
#include "sentry/mm/msg.h"
#include "sentry/mm/sem.h"

#define NUMBERS_MAX 4

/* `len` numbers from an offset in the namespace's limits on; max[i] is the last of its kind. */
struct limit {
	const char *name;
	bool net;
	bool ascending; /* a range: no number is below the one before */
	size_t offset;
	unsigned int len;
	uint64_t min, max[NUMBERS_MAX];
};

#define IPC(name_, field, max_)                                                          \
	{                                                                                \
		.name = (name_), .offset = offsetof(struct ipc_limits, field), .len = 1, \
		.max = { max_ }                                                          \
	}
#define NET(name_, field, min_, max_)                                                       \
	{                                                                                   \
		.name = (name_), .net = true, .offset = offsetof(struct net_limits, field), \
		.len = 1, .min = (min_),                                                    \
		.max = { max_ }                                                             \
	}

static const struct limit limits[] = {
	{ .name = "ip_local_port_range",
	  .net = true,
	  .ascending = true,
	  .offset = offsetof(struct net_limits, ports),
	  .len = 2,
	  .min = 1,
	  .max = { UINT16_MAX, UINT16_MAX } },
	NET("ip_unprivileged_port_start", unprivileged_first, 0, UINT16_MAX),
	IPC("msgmax", msg_max, MSG_TEXT_MAX),
	IPC("msgmnb", msg_mnb, MSG_QUEUE_MAX),
	IPC("msgmni", msg_mni, IPC_OBJECTS_MAX),
	{ .name = "sem",
	  .offset = offsetof(struct ipc_limits, sem),
	  .len = 4,
	  .max = { SEM_SET_MAX, INT32_MAX, SEM_OPS_MAX, IPC_OBJECTS_MAX } },
	IPC("shmall", shm_all, UINT64_MAX),
	IPC("shmmax", shm_max, UINT64_MAX),
	IPC("shmmni", shm_mni, IPC_OBJECTS_MAX),
	NET("somaxconn", backlog_max, 0, INT32_MAX),
};

/* The tables of sysctl.c name each of them. */
static const struct limit *limit_of(const struct kern_inode *ki)
{
	const struct limit *l = limits;

	while (strcmp(l->name, ki->node->name) != 0)
		l++;
	return l;
}

static uint64_t *numbers_of(const struct limit *l)
{
	const struct task *t = task_current();
	char *base;

	if (l->net)
		base = (char *)net_limits_of(t ? t->ns->net : NULL);
	else
		base = (char *)(t ? &t->ns->ipc->limits : &ipc_limits_next);
	return (uint64_t *)(void *)(base + l->offset);
}

int proc_ns_limit_show(struct kern_inode *ki, struct buf *b)
{
	const struct limit *l = limit_of(ki);
	const uint64_t *numbers = numbers_of(l);
	int r = 0;

	for (unsigned int i = 0; i < l->len && r >= 0; i++)
		r = buf_printf(b, "%" PRIu64 "%s", numbers[i], i + 1 < l->len ? "\t" : "\n");
	return r;
}

static int parse(const struct limit *l, unsigned int i, const char *word, uint64_t *ret)
{
	char *end;

	if (i == l->len || *word < '0' || *word > '9')
		return -EINVAL;
	errno = 0;
	*ret = strtoull(word, &end, 10);
	return errno || *end || *ret < l->min || *ret > l->max[i] ? -EINVAL : 0;
}

/* A write that has fewer numbers leaves the rest as it is. */
int proc_ns_limit_store(struct kern_inode *ki, struct file *f, char *text, size_t len)
{
	const struct limit *l = limit_of(ki);
	uint64_t values[NUMBERS_MAX];
	char *save = NULL;
	unsigned int got = 0;

	memcpy(values, numbers_of(l), l->len * sizeof(values[0]));
	for (char *word = strtok_r(text, " \t\n", &save); word;
	     word = strtok_r(NULL, " \t\n", &save), got++)
		if (parse(l, got, word, &values[got]) < 0)
			return -EINVAL;
	for (unsigned int i = 1; i < l->len; i++)
		if (l->ascending && values[i] < values[i - 1])
			return -EINVAL;
	memcpy(numbers_of(l), values, l->len * sizeof(values[0]));
	return 0;
}
