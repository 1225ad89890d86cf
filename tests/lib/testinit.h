/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/lib/testinit.h - shared by the files of the test container program.
 */
#pragma once

/* Print everything a process can see of itself as one JSON object. Returns an exit status. */
int report_main(int argc, char **argv);

/* testinit_uds.c: unix sockets by their names. */
int uds_main(int argc, char **argv);

/* testinit_draw.c: what chance and the clocks of its machine are. */
int draw_main(int argc, char **argv);
