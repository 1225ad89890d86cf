/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/freezer.h - the pause of one container of the machine (VMM_FREEZE).
 *
 * What is true says a file of the host, the freezer of the container's cgroup there, which outlives
 * whoever asks; while one is connected that has asked for something it is his word. The agent is
 * asked one thing at a time, and the last word counts: requests that have waited while the machine
 * was paused come true in the order of that file, whatever order they are read in.
 */
#pragma once

struct client;
struct request;
struct vm;

/* Serve one: client->busy until it is so inside. -EPROTO: the connection is of no use. */
int freezer_serve(struct client *k, struct request *request);
/* The connection ends: as the file says, unless another one still asks. */
void freezer_forget(struct client *k);
/* Those that had to wait for room among the calls. */
void freezer_go_on(struct vm *vm);
