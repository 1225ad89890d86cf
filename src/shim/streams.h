/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shim/streams.h - standard streams of a process: fifos, loggers, files, terminals.
 *
 * Without a terminal a process gets the client's fifos themselves: the shim copies nothing. It
 * keeps a reading end of the outputs, so that what was written waits for a client that is away (and
 * nobody meets SIGPIPE), but never a writing one: readers see the end when the last writer has
 * gone. Of standard input it keeps a writing end until CloseIO, so that a client may leave and come
 * back.
 *
 *   PATH                 a fifo, or another file
 *   file://PATH          appended to; the process gets a pipe and cannot change what is there
 *   binary://PATH?K=V    a logger, with the outputs as its descriptors 3 and 4 and, as 5, what it
 *                        closes when it is ready (containerd, "Logging drivers")
 *
 * A terminal's master is carried to and from them by the loop.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"

#define STREAM_PATH_MAX 4096 /* bytes, with what a logger is told */

struct pump;
struct streams {
	char *paths[3]; /* owned, as given; "": /dev/null */
	bool terminal;
	bool stdin_closed; /* by streams_close_stdin(), which may come before the ends are open */
	struct loop *loop;
	/* All owned, or -EBADF. */
	int theirs[3];	   /* for the process, until streams_given() */
	int keep[3];	   /* ends that are kept: see above */
	int carried[3];	   /* what the pumps read from (0) and write to (1, 2) */
	int master;	   /* of the terminal */
	int master_writes; /* the same again: a pump for each direction */
	int logger[2];	   /* reading ends for a logger, until it is started */
	char *logger_uri;  /* owned, or NULL */
	struct pump *pumps[3];
};

/* Copies the paths; nothing is opened. -EINVAL for one that is too long. */
int streams_init(struct streams *s, struct loop *loop, const char *const paths[static 3],
		 bool terminal, struct err *err);
void streams_done(struct streams *s); /* what was written is flushed as far as it goes */

/*
 * Open all ends. Does not wait; what is open after a failure is closed by streams_done().
 * `readers`: nobody's output is opened that nobody else reads: -EAGAIN then, without a text, and
 * the next call goes on. A client's open(2) that comes when the process has ended waits for a
 * writer for ever.
 */
int streams_open(struct streams *s, bool readers, struct err *err);
/* Make the process's fifos and pipes this user's, who may open them anew then; files stay whose
 * they are. */
int streams_own(const struct streams *s, uint32_t uid, uint32_t gid, struct err *err);
/* In a worker, with the ends open: start the logger, if there is one, and wait until it is ready.
 */
int streams_start_logger(const struct streams *s, const char *id, const char *ns, struct err *err);
/* The process has its ends. */
void streams_given(struct streams *s);
/* There will be no process: all ends are closed, so that readers see the end. The paths stay, and
 * streams_open() may come again. */
void streams_abort(struct streams *s);

/* Carry between a terminal and the streams from now on; the descriptor becomes theirs. */
int streams_take_master(struct streams *s, int master, struct err *err);
/* The process has ended, and with it its terminal when what it wrote is carried, whoever else has
 * it open: a sandbox, or a process that was left behind. Before, an end may be none: somebody may
 * open it again. */
void streams_ended(struct streams *s);
/* What the process wrote is with who reads its outputs: nothing is to be carried, no fifo holds
 * anything. */
bool streams_read(const struct streams *s);
/* Nothing more is to be carried to the outputs. */
bool streams_carried(const struct streams *s);
int streams_resize(const struct streams *s, uint32_t rows, uint32_t columns);
void streams_close_stdin(struct streams *s);
