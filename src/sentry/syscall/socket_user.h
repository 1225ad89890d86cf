/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/syscall/socket_user.h - descriptors and addresses of socket calls. */
#pragma once

#include "sentry/net/socket.h"
#include "sentry/task/task.h"

/* The socket of a descriptor; *ret_file is its reference. NULL: *ret_error is -EBADF, -ENOTSOCK. */
struct socket *socket_get(struct task *t, int fd, struct file **ret_file, int *ret_error);

/* -EINVAL, -EFAULT. */
int sock_addr_in(struct task *t, uaddr_t addr, int64_t len, struct sock_addr *ret);
/* An address cut to the room that *len_addr says; its whole length goes there. */
int sock_addr_out(struct task *t, const struct sock_addr *from, uaddr_t addr, uaddr_t len_addr);
