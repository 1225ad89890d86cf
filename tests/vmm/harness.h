/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/vmm/harness.h - caisson-vm with a machine that is a program of ours (fake_machine.c, or any
 * that takes its place).
 */
#pragma once

#include "lib/unit.h"

#include <sys/types.h>

#include "base/err.h"
#include "wire/vmm_msg.h"

#define PATIENCE_MS 60000 /* of the tests: a loaded machine is no failure */

struct harness {
	/* Before harness_start(). */
	const char *mode;   /* of the machine; NULL: "honest" */
	const char *script; /* what the first process does; NULL: "hold" */
	uint32_t boot_ms;   /* 0: PATIENCE_MS */
	uint32_t flags;
	bool impatient; /* the limits are those of a guest that is not emulated */
	bool terminal;	/* 0, 1, 2 are `pty` */
	bool no_input;	/* the container's 0 is closed */
	bool with_network;
	bool grows;	 /* to 1 GiB and four CPUs */
	uint32_t cpus;	 /* 0: one */
	bool with_files; /* a second child, which stands for virtiofsd */
	int files;	 /* with VMM_PLUG_FILES: its socket */
	int forwards;	 /* with VMM_FORWARDS: a listening socket */
	/* Ours afterwards. */
	pid_t pid;
	int report;
	int in, out, err; /* ends of pipes, or the terminal's master in `out` */
	int log;	  /* a file */
	char address[64]; /* of the control socket, abstract */
};

void harness_start(struct harness *h);
/* Kills what is left. */
void harness_stop(struct harness *h);

/* The next report; its sentence is in *ret. 0 or a report's type. */
uint32_t harness_report(struct harness *h, struct err *ret);
void harness_go(struct harness *h, char go);
/* READY, then `go`. */
void harness_run(struct harness *h, char go);
/* Its exit code; signals as 128 + n. */
int harness_wait(struct harness *h);
/* The machine's process, by /proc, and the one behind it. */
pid_t harness_machine(const struct harness *h);
pid_t harness_files(const struct harness *h);
/* What stands in the log. */
const char *harness_log(struct harness *h);

/* Read up to `size` bytes to the end, or until `until` has come. */
size_t harness_read(int fd, char *bytes, size_t size, const char *until);

/* ---- A client of the control server ---- */

/* -1: nobody listens any more. */
int client_open(const struct harness *h);
/* Whether anybody hears it, the reply tells. */
void client_say(int sock, const struct sentry_request *request, const void *tail, size_t len,
		const int *fds, size_t fds_len);
/* The next reply; bytes behind it, NUL-terminated, into text (may be NULL). false: the end. */
bool client_hear(int sock, struct sentry_reply *ret, char *text, size_t size);
/* Both. */
struct sentry_reply client_ask(int sock, struct sentry_request request, char *text, size_t size);
/* An EXEC of a script with these descriptors. */
void client_say_exec(int sock, const char *script, const int fds[3], bool terminal);
/* The same with this value and these flags. */
void client_say_exec_as(int sock, struct sentry_request request, const char *script,
			const int fds[3], bool terminal);
/*
 * A VMM_JOIN of container `id` with this script and these descriptors; its control server is at
 * `address` (abstract). And its answer: 0 or the error, with the sentence.
 */
void client_say_join(int sock, const char *id, const char *script, const int fds[3],
		     const char *address);
int client_join(int sock, const char *id, const char *script, const int fds[3], const char *address,
		char *text, size_t size);
/* As client_open(), at an address. */
int client_open_at(const char *address);
/* And its answer: the pid, or the error. */
int client_exec_script(int sock, const char *script, const int fds[3], bool terminal);
