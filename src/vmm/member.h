/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/member.h - containers that join a machine which runs (wire/vmm_msg.h, VMM_JOIN).
 *
 * The connection that asked is the container's life: while it is open the container lives, it is
 * told its end by SENTRY_EXITED, and where it closes the container ends.
 */
#pragma once

struct client;
struct container;
struct request;

/* VMM_JOIN. 0, or -EPROTO: the connection is of no use. */
int client_join(struct client *c, struct request *request);
/* VMM_SHARE. */
int client_share(struct client *c);
