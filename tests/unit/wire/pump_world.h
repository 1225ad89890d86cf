/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/wire/pump_world.h - two muxes on one loop, pumps at either end: what the test writes
 * at the host's side comes out at the agent's, and the other way.
 */
#pragma once

#include "lib/unit.h"

#include "unit/wire/until.h"
#include "wire/pump.h"

#define STREAMS 4 /* numbers below it */
#define BIG	(3u << 20)

struct end {
	struct mux *mux;
	struct loop_source *source;
	struct pump *pumps[STREAMS];
	int done[STREAMS];
	int error; /* of the mux */
};

extern struct world {
	struct loop *loop;
	struct end host, agent;
} world;

extern char sent[BIG], got[BIG];

/* For T(): *state is the world, whose muxes have greeted each other. */
int start(void **state);
int finish(void **state);
#define T(f) cmocka_unit_test_setup_teardown(f, start, finish)

/* A mux of one side on `fd`; and what its loop calls. */
void start_end(struct world *w, struct end *e, int fd, enum mux_role role);
void on_mux(void *arg, int fd, uint32_t events);

/* A pump of `fd`, which becomes its own; its end is counted in done[], by on_done(). */
void add(struct end *e, uint32_t stream, int fd, enum pump_direction direction);
void on_done(void *arg, struct pump *pump);
/* Until nothing happens any more. */
void settle(void);
/* The loop has nothing to do: it waits as long as it is told to. */
void assert_idle(void);
/* A pipe whose end for reading has `flags`. */
void pipe_in(int *ret_read, int *ret_write, int flags);
/* `sent` has another byte at each place of a page. */
void fill_sent(void);
