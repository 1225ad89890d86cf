/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NUMA calls of a machine with one node, number 0 (set_mempolicy(2) and kin): arguments are judged,
 * and nothing has to be moved.
 */
#include <linux/mempolicy.h>
#include <sys/mman.h>

#include "sentry/syscall/syscall.h"

#define NODES_MAX      1024u /* bits of a node mask that Linux reads */
#define MOVE_PAGES_MAX 65536 /* pages of one call */
#define MODE_FLAGS_ALL (MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES | MPOL_F_NUMA_BALANCING)
#define MPOL_MODES     7u /* MPOL_DEFAULT .. MPOL_WEIGHTED_INTERLEAVE */

/* The nodes of a mask: 0 none, 1 node 0; -EINVAL: others, or too long a mask; -EFAULT. */
static int get_nodes(struct task *t, uaddr_t addr, uint64_t maxnode)
{
	uint64_t word = 0;
	int found = 0;

	if (!addr || maxnode <= 1)
		return 0;
	maxnode--; /* the kernel's mask has one bit less than it says */
	if (maxnode > 8 * MM_PAGE)
		return -EINVAL;
	for (uint64_t bit = 0; bit < maxnode; bit += 64) {
		if (user_copy_in(task_um(t), &word, addr + bit / 8, sizeof(word)) < 0)
			return -EFAULT;
		if (maxnode - bit < 64)
			word &= (1ull << (maxnode - bit)) - 1;
		if (word & ~(bit ? 0ull : 1ull))
			return -EINVAL;
		found |= (int)word;
	}
	return found;
}

static int judge_policy(struct task *t, unsigned int mode, uaddr_t mask, uint64_t maxnode)
{
	const unsigned int flags = mode & MODE_FLAGS_ALL;
	int nodes;

	mode &= ~(unsigned int)MODE_FLAGS_ALL;
	if (mode >= MPOL_MODES || (flags & MPOL_F_STATIC_NODES && flags & MPOL_F_RELATIVE_NODES))
		return -EINVAL;
	nodes = get_nodes(t, mask, maxnode);
	if (nodes < 0)
		return nodes;
	switch (mode) {
	case MPOL_DEFAULT:
	case MPOL_LOCAL:
		return nodes ? -EINVAL : 0;
	case MPOL_PREFERRED:
		return 0;
	default:
		return nodes ? 0 : -EINVAL;
	}
}

sysret_t sys_set_mempolicy(struct task *t, const struct syscall_args *a)
{
	return judge_policy(t, arg_uint(a, 0), arg_uaddr(a, 1), arg_u64(a, 2));
}

sysret_t sys_mbind(struct task *t, const struct syscall_args *a)
{
	const uint64_t len = (arg_u64(a, 1) + MM_PAGE - 1) & ~(MM_PAGE - 1);
	const uaddr_t addr = arg_uaddr(a, 0);
	int r;

	if (addr % MM_PAGE || addr + len < addr ||
	    arg_uint(a, 5) & ~(unsigned int)(MPOL_MF_STRICT | MPOL_MF_MOVE | MPOL_MF_MOVE_ALL))
		return -EINVAL;
	r = judge_policy(t, arg_uint(a, 2), arg_uaddr(a, 3), arg_u64(a, 4));
	if (r < 0 || !len)
		return r;
	return mm_check_mapped(t->mm, addr, len) < 0 ? -EFAULT : 0;
}

sysret_t sys_get_mempolicy(struct task *t, const struct syscall_args *a)
{
	const uint64_t maxnode = arg_u64(a, 2), flags = arg_u64(a, 4);
	const uaddr_t mode_addr = arg_uaddr(a, 0), mask_addr = arg_uaddr(a, 1);
	const uint64_t node0 = flags & MPOL_F_MEMS_ALLOWED ? 1 : 0;
	const int mode = 0;
	int r = 0;

	if (flags & ~(uint64_t)(MPOL_F_NODE | MPOL_F_ADDR | MPOL_F_MEMS_ALLOWED) ||
	    (flags & MPOL_F_MEMS_ALLOWED && flags & (MPOL_F_NODE | MPOL_F_ADDR)) ||
	    (mask_addr && maxnode < 1) || (!(flags & MPOL_F_ADDR) && arg_uaddr(a, 3)))
		return -EINVAL;
	if (flags & MPOL_F_NODE && !(flags & MPOL_F_ADDR))
		return -EINVAL; /* only for an interleaving policy */
	if (flags & MPOL_F_ADDR &&
	    mm_check_mapped(t->mm, arg_uaddr(a, 3) & ~(MM_PAGE - 1), MM_PAGE) < 0)
		return -EFAULT;
	if (mode_addr)
		r = user_copy_out(task_um(t), mode_addr, &mode, sizeof(mode));
	if (r >= 0 && mask_addr) {
		const uint64_t bytes = (maxnode - 1 + 63) / 64 * 8;

		if (bytes > MM_PAGE)
			return -EINVAL;
		if (bytes)
			r = user_copy_out(task_um(t), mask_addr, &node0, sizeof(node0));
		if (r >= 0 && bytes > sizeof(node0))
			r = user_zero(task_um(t), mask_addr + sizeof(node0), bytes - sizeof(node0));
	}
	return r;
}

static int judge_pid(struct task *t, int pid)
{
	struct task *other;

	if (!pid)
		return 0;
	other = task_find(task_pid_ns(t), pid);
	if (!other)
		return -ESRCH;
	task_unref(other);
	return 0;
}

sysret_t sys_migrate_pages(struct task *t, const struct syscall_args *a)
{
	const int from = get_nodes(t, arg_uaddr(a, 2), arg_u64(a, 1));
	const int to = get_nodes(t, arg_uaddr(a, 3), arg_u64(a, 1));

	if (from < 0 || to < 0)
		return from < 0 ? from : to;
	return judge_pid(t, arg_int(a, 0));
}

/* One page's status: its node, or -errno; -EFAULT also for the arrays themselves. */
static int move_page(struct task *t, const struct syscall_args *a, uint64_t i)
{
	const uaddr_t nodes = arg_uaddr(a, 3);
	uint64_t page;
	int node = 0, status;

	if (user_copy_in(task_um(t), &page, arg_uaddr(a, 2) + i * sizeof(page), sizeof(page)) < 0)
		return -EFAULT;
	if (nodes && user_copy_in(task_um(t), &node, nodes + i * sizeof(node), sizeof(node)) < 0)
		return -EFAULT;
	if (node)
		return -ENODEV;
	status = mm_check_mapped(t->mm, page & ~(MM_PAGE - 1), MM_PAGE) < 0 ? -EFAULT : 0;
	return user_copy_out(task_um(t), arg_uaddr(a, 4) + i * sizeof(status), &status,
			     sizeof(status));
}

sysret_t sys_move_pages(struct task *t, const struct syscall_args *a)
{
	const int pid = arg_int(a, 0), own = task_tgid(t, task_pid_ns(t));
	const uint64_t count = arg_u64(a, 1);
	int r = judge_pid(t, pid);

	if (arg_uint(a, 5) & ~(unsigned int)(MPOL_MF_MOVE | MPOL_MF_MOVE_ALL))
		return -EINVAL;
	if (count > MOVE_PAGES_MAX)
		return -E2BIG;
	if (r >= 0 && pid && pid != own)
		r = -EPERM;
	for (uint64_t i = 0; i < count && r >= 0; i++) {
		r = move_page(t, a, i);
		fiber_resched();
	}
	return r;
}
