/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/bpf.h - classic BPF as seccomp(2) allows it: judged once, then interpreted.
 */
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BPF_LEN_MAX BPF_MAXINSNS /* instructions of one filter: 4096 */

/*
 * Only instructions that a seccomp filter may have, jumps forward and inside, loads of whole words
 * of struct seccomp_data, a return at the end. 0 or -EINVAL. *ret_uses_ip: it looks at the
 * instruction pointer.
 */
int bpf_check(const struct sock_filter *insns, size_t len, bool *ret_uses_ip);
/* A program that was checked: its result. */
uint32_t bpf_run(const struct sock_filter *insns, const struct seccomp_data *data);
/*
 * The same for every call with data's nr and arch, whatever else it has. False: the result depends
 * on more, and *ret is not set. (Linux: seccomp_is_const_allow().)
 */
bool bpf_run_by_number(const struct sock_filter *insns, const struct seccomp_data *data,
		       uint32_t *ret);
