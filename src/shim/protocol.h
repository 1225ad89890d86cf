/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shim/protocol.h - which version of the protocol `start` answers with (containerd, "Runtime v2").
 *
 * 2: the plain address, service containerd.task.v2.Task; all that containerd 1.x knows. 3: JSON
 * with the address, containerd.task.v3.Task. containerd says what it takes at most in an
 * environment variable (2 in 1.7 and, as found with the real one, in 2.1). A later version of a
 * shim says 3 only of one that speaks it: the shim of a pod may be older than `start`.
 */
#pragma once

#define PROTOCOL_VARIABLE "MAX_SHIM_VERSION"
#define PROTOCOL_PLAIN	  2u
#define PROTOCOL_NEWEST	  3u

/* The newest that both containerd, by the environment, and we know. */
unsigned int protocol_asked(void);

/* The same of the shim that listens at `path`, up to `asked`: it is asked for version 3, a second
 * at most; who does not answer speaks version 2. */
unsigned int protocol_of_shim(const char *path, unsigned int asked);

/* What `start` says of a shim at `path`: owned; NULL: no memory. */
char *protocol_answer(const char *path, unsigned int version);
