/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/devpts/internal.h - what the files of devpts share; nobody else includes it.
 *
 * One struct tty is a pair. Bytes that are written to the master are judged by the line discipline
 * (ldisc_receive) and wait in `input` for readers of the slave; what is written to the slave, and
 * echoes, wait in `output` for readers of the master.
 */
#pragma once

#include <asm/termbits.h>

#include "sentry/fs/devpts/devpts.h"
#include "sentry/task/task.h"

#define TTY_INPUT_SIZE	4096u  /* bytes: MAX_CANON + 1, as N_TTY_BUF_SIZE of Linux */
#define TTY_OUTPUT_SIZE 16384u /* bytes */
#define TTY_CELL_MAX	8u     /* bytes that one byte of output may become (a tab) */
#define PTY_MAX		4096u  /* pairs of one devpts */
#define PTS_MAJOR	136u

struct devpts;

struct tty {
	unsigned int refs; /* the master's file, slaves' files, the session */
	unsigned int index;
	struct devpts *fs;     /* NULL: the master is closed */
	struct inode *inode;   /* of the slave; one reference until the master is closed */
	struct superblock *sb; /* one reference */

	struct termios2 termios;
	struct winsize ws;
	struct session
		*session; /* that it controls; not referenced: tty_session_ended() clears it */

	bool locked, exclusive;
	bool stopped;	  /* output: by ^S or TCOOFF */
	bool tco_stopped; /* by TCOOFF only */
	bool packet;
	uint8_t packet_status; /* TIOCPKT_* that the master has not seen */
	bool slave_closed;     /* it was open and is not now */
	unsigned int slaves;   /* open files */
	uint64_t hangups;      /* files of an older count are hung up */
	struct waitq master_wq, slave_wq;

	/* Line discipline: counters only grow; bytes lie at their value modulo the size. */
	uint64_t in_tail, in_head, canon_head;
	uint64_t line_end[TTY_INPUT_SIZE / 64]; /* a bit per byte: it ends a line */
	uint8_t input[TTY_INPUT_SIZE];
	bool lnext, erasing;
	unsigned int column, canon_column;

	uint64_t out_tail, out_head;
	uint8_t output[TTY_OUTPUT_SIZE];
};

static inline bool l_flag(const struct tty *t, unsigned int flag)
{
	return t->termios.c_lflag & flag;
}
static inline bool i_flag(const struct tty *t, unsigned int flag)
{
	return t->termios.c_iflag & flag;
}
static inline bool o_flag(const struct tty *t, unsigned int flag)
{
	return t->termios.c_oflag & flag;
}

/* tty.c: life of pairs. */
struct tty *tty_new(unsigned int index);
struct tty *tty_ref(struct tty *t);
void tty_unref(struct tty *t); /* accepts NULL */
/* Every open slave is hung up: readers see the end, writers EIO. */
void tty_hangup(struct tty *t);

/* ldisc.c: input. */
size_t ldisc_room(const struct tty *t); /* bytes that ldisc_receive() takes now */
void ldisc_receive(struct tty *t, uint8_t c);
bool ldisc_input_ready(const struct tty *t, bool for_poll);
size_t ldisc_take(struct tty *t, uint8_t *dst, size_t len); /* a line at most when ICANON */
size_t ldisc_input_count(const struct tty *t);
void ldisc_flush_input(struct tty *t);
void ldisc_set_termios(struct tty *t, const struct termios2 *termios);

/* output.c: what the master reads. */
size_t tty_out_room(const struct tty *t);
void tty_out_raw(struct tty *t, const void *bytes, size_t len); /* what fits */
/* One byte with output processing: false when there is no room for what it becomes. */
bool tty_out_cooked(struct tty *t, uint8_t c);
size_t tty_out_take(struct tty *t, uint8_t *dst, size_t len);
void tty_flush_output(struct tty *t);
void tty_stop(struct tty *t);
void tty_start(struct tty *t);
void tty_packet(struct tty *t, uint8_t status);
void echo_char(struct tty *t, uint8_t c); /* ^C for control characters with ECHOCTL */
void echo_raw(struct tty *t, const char *text);

/* job.c: controlling terminals. */
/* sig is SIGTTIN or SIGTTOU: 0 go on, -EIO, -ERESTARTSYS (the group was sent sig). */
int tty_check_change(struct tty *t, int sig);
void tty_signal(struct tty *t, int sig);	   /* the foreground group */
void tty_opened_by(struct tty *t, uint32_t flags); /* may become the controlling terminal */
int tty_set_controlling(struct tty *t, struct file *f, uint64_t arg); /* TIOCSCTTY */
int tty_give_up(struct tty *t);					      /* TIOCNOTTY */
int tty_get_pgrp(struct tty *t, bool master, int *ret);
int tty_set_pgrp(struct tty *t, int nr);
int tty_get_session(struct tty *t, bool master, int *ret);
void tty_disassociate(struct tty *t); /* its session has it no more */
struct tty *tty_of_current(void);     /* controlling terminal: not referenced, or NULL */
void job_register(void);

/* pts.c and ptmx.c: files. */
struct tty_file {
	struct file file;
	struct tty *tty; /* one reference */
	bool master;
	uint64_t hangups;
};
int pts_open_tty(struct tty *t, uint32_t flags, struct file **ret);
/* Hang up: the name goes, SIGHUP to who has it as controlling terminal, the end for readers. */
void tty_master_gone(struct tty *t);
bool pts_file(const struct file *f); /* an open slave */
int ptmx_open_new(struct devpts *fs, uint32_t flags, struct file **ret);
static inline struct tty_file *tty_file_of(struct file *f)
{
	return container_of(f, struct tty_file, file);
}
static inline bool tty_file_hung(const struct tty_file *tf)
{
	return !tf->master && tf->hangups != tf->tty->hangups;
}
struct tty_file *tty_file_check(struct file *f); /* NULL: not a terminal of this room */

/* ioctl.c */
long tty_ioctl(struct file *f, unsigned int cmd, uint64_t arg, struct user_memory *um);
void tty_set_winsize(struct tty *t, const struct winsize *ws);

/* devpts.c */
int devpts_add(struct devpts *fs, struct tty **ret);  /* a new pair with a name */
void devpts_remove(struct tty *t);		      /* its name goes; drops t->inode */
struct tty *devpts_tty_of_inode(struct inode *inode); /* not referenced, or NULL */
struct devpts *devpts_find(void); /* the one at the running task's /dev/pts, or NULL */
