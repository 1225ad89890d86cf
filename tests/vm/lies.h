/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/vm/lies.h - what an agent that a guest has taken over may do to its host, by name.
 *
 *   lying-agent FD LIE [CALL] | list | any
 *
 * Behaves well but for one thing, which it does when CALL comes (the default is the lie's own;
 * HELLO is one, too): a lie that has an answer of its own gives that one, others are told before
 * the honest answer. The container of the honest part writes "started" when it is started and lives
 * until SIGKILL or SIGTERM; what is executed writes "executed", reads until its input ends and
 * ends with code 0.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "wire/agent_codec.h"

struct liar {
	int fd;
	const struct lie *lie;
	unsigned int at; /* the call; 0: HELLO */
	struct agent_hello hello;
	/* The request that is served. */
	uint32_t serial;
	enum agent_call call;
	char id[AGENT_NAME_MAX];
	struct agent_io io; /* of the container */
	struct agent_io exec_io;
	int32_t last_pid;
	int32_t exec_pid; /* 0: none runs */
	bool ended;
};

enum told {
	TOLD_BESIDE, /* the honest answer follows */
	TOLD_INSTEAD,
};

struct lie {
	const char *name;
	unsigned int at; /* the call at which it is told if nobody says another; 0: HELLO */
	enum told (*tell)(struct liar *l);
	bool any; /* one at every call */
};

extern const struct lie lies[]; /* ends with a NULL name */

/* Ends the program when the host has gone: that is what honest people do to liars. */
void say_bytes(struct liar *l, const void *bytes, size_t len);
void say(struct liar *l, struct agent_head head, const void *body, size_t len);
void answer(struct liar *l, int error, const void *body, size_t len);
void data(struct liar *l, uint32_t stream, const char *bytes, size_t len);
void end(struct liar *l, uint32_t stream, uint32_t error);
void exited(struct liar *l, const char *id, int32_t pid, int32_t code);
/* Read and forget what the host says, until it goes. */
void listen_for_ever(struct liar *l) __attribute__((noreturn));
/* Not even read. */
void sulk(struct liar *l) __attribute__((noreturn));
