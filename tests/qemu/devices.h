/* SPDX-License-Identifier: Apache-2.0 */
/* tests/qemu/devices.h - what test machines get: disks, a network, files. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* A file system ("ext4", "erofs") with a file "greeting"; opened with `flags`, without a name. */
int make_disk(const char *type, int flags);

/* A tap device with 192.0.2.1/24 in a network namespace of its own, and a socket on port 7. */
void make_net(int *ret_ns, int *ret_tap, int *ret_echo);
/* Sends back what comes to the socket, until it is killed. */
pid_t start_echo(int sock);

bool has_virtiofsd(void);
/* virtiofsd for one directory; *ret is a connection to it. */
pid_t start_files(const char *dir, int *ret);
