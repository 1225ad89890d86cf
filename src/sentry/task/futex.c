/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/task/futex.c - see futex.h: waiting, waking, moving. */
#include "sentry/task/futex.h"

#include <linux/futex.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "sentry/task/freeze.h"
#include "sentry/task/futex_queue.h"
#include "sentry/task/run.h"

#define BUCKETS 1024 /* a power of two */

static struct list_head buckets[BUCKETS];

struct list_head *futex_bucket(const struct futex_key *key)
{
	const uint64_t h = ((uint64_t)(uintptr_t)key->object ^ key->offset) * 0x9e3779b97f4a7c15ull;
	struct list_head *head = &buckets[h >> 54];

	if (!head->next)
		list_init(head);
	return head;
}
_Static_assert(BUCKETS == 1 << (64 - 54), "the hash's top bits are the index");

bool futex_key_equal(const struct futex_key *a, const struct futex_key *b)
{
	return a->object == b->object && a->offset == b->offset;
}

static int shared_key(struct mm *mm, uaddr_t addr, struct futex_key *ret)
{
	const struct vma *vma;
	int r = 0;

	kmutex_lock(&mm->lock);
	vma = mm_find(mm, addr);
	if (!vma) {
		r = -EFAULT;
	} else if (vma->flags & MAP_SHARED) {
		ret->offset = vma->offset + (addr - vma->start);
		if (vma->memfile) {
			ret->memfile = memfile_ref(vma->memfile);
			ret->object = ret->memfile;
		} else if (vma->file && vma->file->inode) {
			ret->inode = inode_ref(vma->file->inode);
			ret->object = inode_bound(ret->inode); /* containers may share it */
		}
	}
	kmutex_unlock(&mm->lock);
	return r;
}

int futex_key_get(struct task *t, uaddr_t addr, bool shared, struct futex_key *ret)
{
	int r = 0;

	*ret = (struct futex_key){ 0 };
	if (addr % sizeof(uint32_t))
		return -EINVAL;
	if (addr >= PLATFORM_GUEST_TOP)
		return -EFAULT;
	if (shared)
		r = shared_key(t->mm, addr, ret);
	if (r == 0 && !ret->object) {
		ret->object = t->mm;
		ret->offset = addr;
	}
	return r;
}

void futex_key_put(struct futex_key *key)
{
	if (key->memfile)
		memfile_unref(key->memfile);
	if (key->inode)
		inode_unref(key->inode);
	*key = (struct futex_key){ 0 };
}

/* A second holder of the same object. */
static struct futex_key key_copy(const struct futex_key *key)
{
	struct futex_key copy = *key;

	if (copy.memfile)
		memfile_ref(copy.memfile);
	if (copy.inode)
		inode_ref(copy.inode);
	return copy;
}

void futex_enqueue(struct futex_waiter *w)
{
	list_add_tail(&w->node, futex_bucket(&w->key));
}

void futex_dequeue(struct futex_waiter *w)
{
	list_del(&w->node);
}

void futex_wake_waiter(struct futex_waiter *w)
{
	list_del(&w->node);
	fiber_wake(w->fiber);
}

int futex_read_word(struct task *t, uaddr_t addr, uint32_t *ret)
{
	return user_copy_in(task_um(t), ret, addr, sizeof(*ret));
}

int futex_write_word(struct task *t, uaddr_t addr, uint32_t value)
{
	return user_copy_out(task_um(t), addr, &value, sizeof(value));
}

/* target: of FUTEX_WAIT_REQUEUE_PI, else NULL. */
static int waiter_start(struct task *t, const struct futex_wait_request *req,
			const struct futex_key *target, struct futex_waiter *w)
{
	uint32_t value;
	int r;

	*w = (struct futex_waiter){
		.bitset = req->bitset,
		.fiber = t->fiber,
		.task = t,
		.addr = req->addr,
		.target = target,
	};
	list_init(&w->node);
	r = futex_key_get(t, req->addr, req->shared, &w->key);
	if (r < 0)
		return r;
	futex_enqueue(w);
	r = futex_read_word(t, req->addr, &value);
	if (r == 0 && value != req->value)
		r = -EAGAIN;
	/* Woken while the word was read: that wake-up is ours. */
	return list_empty(&w->node) ? 0 : r;
}

static int first_woken(const struct futex_waiter *w, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (list_empty(&w[i].node))
			return (int)i;
	return -1;
}

static int sleep_until_woken(const struct futex_waiter *w, size_t len, nsec_t deadline)
{
	int i, r = 0;

	while ((i = first_woken(w, len)) < 0 && r == 0)
		r = wait_result(fiber_park(deadline, true));
	return i >= 0 ? i : r;
}

int futex_wait_many(struct task *t, const struct futex_wait_request *reqs, size_t len)
{
	AUTO_FREE struct futex_waiter *w = calloc(len, sizeof(*w));
	size_t n = 0;
	int r = 0;

	if (!w)
		return -ENOMEM;
	for (; n < len && r == 0; n++)
		r = waiter_start(t, &reqs[n], NULL, &w[n]);
	if (r == 0)
		r = sleep_until_woken(w, len, reqs[0].deadline);
	else if (first_woken(w, n) >= 0 && n > 1)
		r = first_woken(w, n);
	for (size_t i = 0; i < n; i++) {
		futex_dequeue(&w[i]);
		futex_key_put(&w[i].key);
	}
	return r;
}

int futex_wait(struct task *t, const struct futex_wait_request *req)
{
	struct futex_waiter w;
	int r;

	if (!req->bitset)
		return -EINVAL;
	r = waiter_start(t, req, NULL, &w);
	if (r == 0)
		r = sleep_until_woken(&w, 1, req->deadline);
	futex_dequeue(&w);
	futex_key_put(&w.key);
	return r;
}

static int wake_key(const struct futex_key *key, int n, uint32_t bitset)
{
	struct futex_waiter *w, *next;
	int woken = 0;

	list_for_each_safe(w, next, futex_bucket(key), node)
	{
		if (!futex_key_equal(&w->key, key) || !(w->bitset & bitset))
			continue;
		if (w->pi || w->target)
			return -EINVAL;
		futex_wake_waiter(w);
		if (++woken >= n)
			break;
	}
	return woken;
}

int futex_wake(struct task *t, uaddr_t addr, bool shared, int n, uint32_t bitset)
{
	struct futex_key key;
	int r;

	if (!bitset)
		return -EINVAL;
	r = futex_key_get(t, addr, shared, &key);
	if (r < 0)
		return r;
	r = wake_key(&key, n, bitset);
	futex_key_put(&key);
	return r;
}

int futex_wake_address(struct task *t, uaddr_t addr, int n)
{
	const int shared = futex_wake(t, addr, true, n, FUTEX_BITSET_MATCH_ANY);

	return shared > 0 ? shared : futex_wake(t, addr, false, n, FUTEX_BITSET_MATCH_ANY);
}

/* Wake n waiters of the first key and move n2 more to the second. */
static int requeue_keys(const struct futex_key *from, const struct futex_key *to, int n, int n2)
{
	struct list_head moved = LIST_HEAD_INIT(moved);
	struct futex_waiter *w, *next;
	int woken = 0, count = 0, r = 0;

	list_for_each_safe(w, next, futex_bucket(from), node)
	{
		if (!futex_key_equal(&w->key, from))
			continue;
		if (w->pi || w->target) {
			r = -EINVAL; /* those before it have moved */
			break;
		}
		if (woken < n) {
			futex_wake_waiter(w);
			woken++;
		} else if (count < n2) {
			list_del(&w->node);
			list_add_tail(&w->node, &moved);
			count++;
		} else {
			break;
		}
	}
	list_for_each(w, &moved, node)
	{
		struct futex_key old = w->key;

		w->key = key_copy(to);
		futex_key_put(&old);
	}
	list_splice_tail(&moved, futex_bucket(to));
	return r < 0 ? r : woken + count;
}

int futex_requeue(struct task *t, const struct futex_pair *pair, const uint32_t *expected)
{
	struct futex_key from, to;
	uint32_t value;
	int r;

	if (pair->n < 0 || pair->n2 < 0)
		return -EINVAL;
	r = futex_key_get(t, pair->addr, pair->shared, &from);
	if (r < 0)
		return r;
	r = futex_key_get(t, pair->addr2, pair->shared, &to);
	if (r == 0 && expected) {
		r = futex_read_word(t, pair->addr, &value);
		if (r == 0 && value != *expected)
			r = -EAGAIN;
	}
	if (r == 0)
		r = requeue_keys(&from, &to, pair->n, pair->n2);
	futex_key_put(&from);
	futex_key_put(&to);
	return r;
}

int futex_wait_requeue_pi(struct task *t, const struct futex_wait_request *req, uaddr_t addr2)
{
	struct futex_key target;
	struct futex_waiter w;
	int r;

	if (req->addr == addr2)
		return -EINVAL;
	r = futex_key_get(t, addr2, req->shared, &target);
	if (r < 0)
		return r;
	r = waiter_start(t, req, &target, &w);
	if (r == 0)
		r = sleep_until_woken(&w, 1, req->deadline);
	futex_dequeue(&w);
	if (w.moved)
		r = futex_lock_pi(t, addr2, req->shared, false, req->deadline);
	futex_key_put(&w.key);
	futex_key_put(&target);
	/* Once moved it cannot begin anew; and the caller looks again anyway. */
	return r == -ERESTARTSYS || r == -ERESTARTNOINTR ? -EAGAIN : r;
}

/* Those that are moved take the lock themselves, in the order in which they waited. */
static int move_to_lock(const struct futex_key *from, const struct futex_key *to, int n)
{
	struct futex_waiter *w, *next;
	int moved = 0;

	list_for_each_safe(w, next, futex_bucket(from), node)
	{
		if (!futex_key_equal(&w->key, from))
			continue;
		if (!w->target || !futex_key_equal(w->target, to))
			return -EINVAL;
		if (moved > n)
			break;
		w->moved = true;
		futex_wake_waiter(w);
		moved++;
	}
	return moved;
}

int futex_cmp_requeue_pi(struct task *t, const struct futex_pair *pair, uint32_t expected)
{
	struct futex_key from, to;
	uint32_t value;
	int r;

	if (pair->n != 1 || pair->n2 < 0 || pair->addr == pair->addr2)
		return -EINVAL;
	r = futex_key_get(t, pair->addr, pair->shared, &from);
	if (r < 0)
		return r;
	r = futex_key_get(t, pair->addr2, pair->shared, &to);
	if (r == 0)
		r = futex_read_word(t, pair->addr, &value);
	if (r == 0 && value != expected)
		r = -EAGAIN;
	if (r == 0)
		r = move_to_lock(&from, &to, pair->n2);
	futex_key_put(&from);
	futex_key_put(&to);
	return r;
}

/* FUTEX_OP's change of the second word; the old value is what is compared. */
static int apply_op(struct task *t, uaddr_t addr, uint32_t op, bool *ret_wake)
{
	const unsigned int kind = op >> 28 & 7, cmp = op >> 24 & 15;
	int32_t arg = (int32_t)(op << 8) >> 20;
	const int32_t cmp_arg = (int32_t)(op << 20) >> 20;
	uint32_t old;
	int32_t v;
	int r = futex_read_word(t, addr, &old);

	if (r < 0)
		return r;
	if (op >> 31)
		arg = 1 << (arg & 31);
	v = (int32_t)old;
	switch (kind) {
	case FUTEX_OP_SET:
		r = futex_write_word(t, addr, (uint32_t)arg);
		break;
	case FUTEX_OP_ADD:
		r = futex_write_word(t, addr, old + (uint32_t)arg);
		break;
	case FUTEX_OP_OR:
		r = futex_write_word(t, addr, old | (uint32_t)arg);
		break;
	case FUTEX_OP_ANDN:
		r = futex_write_word(t, addr, old & ~(uint32_t)arg);
		break;
	case FUTEX_OP_XOR:
		r = futex_write_word(t, addr, old ^ (uint32_t)arg);
		break;
	default:
		return -ENOSYS;
	}
	if (r < 0)
		return r;
	switch (cmp) {
	case FUTEX_OP_CMP_EQ:
		*ret_wake = v == cmp_arg;
		return 0;
	case FUTEX_OP_CMP_NE:
		*ret_wake = v != cmp_arg;
		return 0;
	case FUTEX_OP_CMP_LT:
		*ret_wake = v < cmp_arg;
		return 0;
	case FUTEX_OP_CMP_LE:
		*ret_wake = v <= cmp_arg;
		return 0;
	case FUTEX_OP_CMP_GT:
		*ret_wake = v > cmp_arg;
		return 0;
	case FUTEX_OP_CMP_GE:
		*ret_wake = v >= cmp_arg;
		return 0;
	default:
		return -ENOSYS;
	}
}

int futex_wake_op(struct task *t, const struct futex_pair *pair, uint32_t op)
{
	struct futex_key first, second;
	bool wake_second = false;
	int r, r2 = 0;

	r = futex_key_get(t, pair->addr, pair->shared, &first);
	if (r < 0)
		return r;
	r = futex_key_get(t, pair->addr2, pair->shared, &second);
	if (r == 0) {
		thread_group_freeze(t);
		r = apply_op(t, pair->addr2, op, &wake_second);
		thread_group_thaw(t);
	}
	if (r == 0)
		r = wake_key(&first, pair->n, FUTEX_BITSET_MATCH_ANY);
	if (r >= 0 && wake_second)
		r2 = wake_key(&second, pair->n2, FUTEX_BITSET_MATCH_ANY);
	futex_key_put(&first);
	futex_key_put(&second);
	return r < 0 ? r : r2 < 0 ? r2 : r + r2;
}
