/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/msg.h - SysV message queues (msgget(2), msgop(2), msgctl(2)).
 */
#pragma once

#include "sentry/core/waitq.h"
#include "sentry/mem/user_memory.h"
#include "sentry/mm/ipc_ns.h"

#define MSG_TEXT_MAX   (1 << 20) /* bytes of one message: what kernel.msgmax may be */
#define MSG_QUEUE_MAX  (1 << 26) /* bytes of a queue: kernel.msgmnb */
#define MSG_QUEUES_MAX 32000	 /* MSGMNI */

struct msg_queue {
	struct ipc_object object;
	struct list_head messages; /* struct message, oldest first */
	uint64_t bytes, bytes_max;
	unsigned int count;
	int64_t stime, rtime, ctime; /* seconds since the epoch; 0: never */
	int lspid, lrpid;
	struct waitq senders, receivers;
};

struct message {
	struct list_head node;
	int64_t type;
	size_t len;
	char text[];
};

int msg_get(struct ipc_ns *ns, int key, int flags, const struct cred *cred);
/* msgsnd(2) takes *message on success. */
int msg_send(struct ipc_ns *ns, int id, struct message **message, int flags,
	     const struct cred *cred, int pid);
/* msgrcv(2): *ret is the caller's, to be freed. -E2BIG: longer than max without MSG_NOERROR. */
int msg_receive(struct ipc_ns *ns, int id, int64_t type, size_t max, int flags,
		const struct cred *cred, int pid, struct message **ret);
void msg_remove(struct ipc_ns *ns, struct msg_queue *q);

void msg_free_object(struct ipc_object *object);
