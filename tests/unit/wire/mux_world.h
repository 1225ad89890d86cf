/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/wire/mux_world.h - one end is a mux, the other a second mux or bytes written by hand.
 * Nothing waits: turn() lets both ends read and write until nothing more happens.
 */
#pragma once

#include "lib/unit.h"

#include "wire/mux.h"

struct end {
	struct mux *mux;
	int hellos, requests, answers, events, ends, rooms, polls;
	struct agent_hello hello;
	uint32_t serial, stream;
	unsigned int number;
	int error;
	size_t body_len;
	char body[128]; /* its beginning */
	size_t data_len;
	uint32_t data_sum;
	bool use_up; /* give credit back at once */
};

struct world {
	struct end host, agent;
	int peer; /* of the only mux */
	struct err err;
	size_t said; /* by hand: bytes that were read from the mux */
};
extern struct world world;
extern const struct mux_ops host_ops, agent_ops;

void pair(int fds[2]);
struct world *start(void);
/* One mux, whose other end is w->peer. */
struct end *alone(struct world *w, enum mux_role role);
int finish(void **state);
int ready(struct world *w, struct end *e);
/* Until neither end has anything to do, or one has failed. */
int turn(struct world *w);
/* Two muxes that have greeted each other. */
struct world *both(void);
void put(struct world *w, struct agent_head head, const void *body, size_t len);
int serve(struct world *w, struct end *e);
/* The agent's greeting by hand. */
struct agent_hello agent_hello(struct world *w);
struct end *greeted_host(void);
struct end *greeted_agent(void);
/* The frame breaks the mux with these words, and nothing works any more. */
void is_refused(struct end *e, struct agent_head head, const void *body, size_t len,
		const char *words);
struct end *host_with_stream(void);

#define DATA_OF(n)   ((struct agent_head){ .type = AGENT_DATA, .stream = (n) })
#define CREDIT_OF(n) ((struct agent_head){ .type = AGENT_CREDIT, .stream = (n) })
#define END_OF(n)    ((struct agent_head){ .type = AGENT_END, .stream = (n) })
#define H(...)	     ((struct agent_head){ __VA_ARGS__ })
