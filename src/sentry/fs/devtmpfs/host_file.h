/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/devtmpfs/host_file.h - host descriptors that boot donates: a container's stdio.
 *
 * The inode holds the descriptor; every open of it (also through /proc/self/fd/N, which programs
 * reach as /dev/stdout) shares it. Pipes, sockets and terminals should have an open file
 * description of their own with O_NONBLOCK (boot reopens them before the cage); the event loop says
 * when they are ready. Regular files keep the position of the host's description up to date, since
 * it is shared with who gave them. A terminal serves only TCGETS*, TCSETS*, TIOCGWINSZ, TIOCSWINSZ
 * and FIONREAD: it is never a controlling terminal of the guest.
 */
#pragma once

#include "sentry/vfs/file.h"

/*
 * A file over host_fd, whose access mode is the descriptor's. uid and gid own it in the guest's
 * eyes. On success host_fd belongs to the file. 0, -ENOMEM, -EBADF, or what epoll_ctl(2) says.
 */
int host_file_new(int host_fd, uint32_t uid, uint32_t gid, struct file **ret);
