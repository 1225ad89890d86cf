/* SPDX-License-Identifier: Apache-2.0 */
/* holder/holder.h - what the filter of caisson-template (seccomp/template.list) knows of it. */
#pragma once

#include <linux/filter.h>

#include "wire/template_msg.h"

#define HOLDER_ACCEPT (SOCK_CLOEXEC | SOCK_NONBLOCK)
#define HOLDER_SEND   (MSG_NOSIGNAL | MSG_DONTWAIT)
/* Between two tries to take a connection for which there is no descriptor or no memory. */
#define HOLDER_AGAIN_MS 2000

extern const struct sock_filter template_filter[];
extern const unsigned short template_filter_len;
