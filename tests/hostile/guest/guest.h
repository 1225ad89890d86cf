/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/hostile/guest/guest.h - the attacks that run inside a sandbox, one sub-command each.
 *
 * Each prints what it saw, a line per fact, and returns the exit status: 0 if nothing was wrong.
 */
#pragma once

#include <stdint.h>

/* random SECONDS SEED THREADS: calls with arguments of chance; only as pid 1 of a sandbox. */
int guest_random(int argc, char **argv);
/* exhaust KIND: take of one kind until it is refused; prints `COUNT ERRNO`. */
int guest_exhaust(int argc, char **argv);
int guest_hoard(int argc, char **argv);
/* bomb KIND [DEPTH]: forks, deep paths, links. */
int guest_bomb(int argc, char **argv);
/* deaf: forged frames for the host's sigreturn; prints how long each end of such a process took. */
int guest_deaf(int argc, char **argv);
/* wait: a process in each way to sleep until SIGUSR1; prints `ready`, then `woken N of N`. */
int guest_wait(int argc, char **argv);

/* press KIND SECONDS: loops that are costly for the host. */
int guest_press(int argc, char **argv);
/* pulse SECONDS: a call for so long; prints median, p99 and greatest time in ns. */
int guest_pulse(int argc, char **argv);
/* mapped FILE SECONDS: reads, writes and executes a file that the host cuts meanwhile. */
int guest_mapped(int argc, char **argv);

/* slow touch|read|copy FILE: of a file whose reads wait; prints `HOW 0` when they came. */
int guest_slow(int argc, char **argv);

/* setid PROGRAM: execute this program, set-uid, with hostile threads and parents; secret: what it
 * then is. */
int guest_setid(int argc, char **argv);
int guest_secret(int argc, char **argv);

/* The program of the stub in this process; only by the first thread at first. */
#define GUEST_STUB_TEXT_LEN 0x10000
uint64_t guest_stub_text(void);

/* Numbers of chance: state is never 0. */
uint64_t guest_rand(uint64_t *state);
uint64_t guest_now_ns(void);
