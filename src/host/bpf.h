/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/bpf.h - bpf(2): one instruction, and the call. For the files of this room.
 */
#pragma once

#include <errno.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#define INSN(c, d, s, o, i) \
	((struct bpf_insn){ .code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i) })

/* 0, a descriptor or -errno. */
static inline int bpf(int cmd, union bpf_attr *attr)
{
	const long r = syscall(SYS_bpf, cmd, attr, sizeof(*attr));

	return r < 0 ? -errno : (int)r;
}
