/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Areas against a model: an array of pages with their properties. After every operation the tree
 * must be exactly the runs of equal pages, the counters their sums, and the stub must have mapped
 * what the tree says.
 */
#include "lib/unit.h"

#include <stdio.h>
#include <sys/mman.h>

#include "fake_platform.h"
#include "sentry/mm/vma.h"

static const struct mm_limits no_limits = { UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX };

struct model_page {
	bool mapped, locked, dontfork;
	int prot;
	uint8_t tag; /* first byte of the page */
};

struct model {
	struct model_page pages[ARENA_PAGES];
};

static struct platform_thread *t;
static struct mm *mm;
static struct model model;
static uint32_t seed;

static uint32_t rnd(uint32_t below)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % below;
}

static uaddr_t addr_of(size_t page)
{
	return ARENA_BASE + page * MM_PAGE;
}

static bool same(const struct model_page *a, const struct model_page *b)
{
	return a->mapped == b->mapped &&
	       (!a->mapped ||
		(a->prot == b->prot && a->locked == b->locked && a->dontfork == b->dontfork));
}

/* The end of the run of equal pages that begins at page i. */
static size_t run_end(size_t i)
{
	size_t end = i + 1;

	while (end < ARENA_PAGES && same(&model.pages[i], &model.pages[end]))
		end++;
	return end;
}

static void check_stub(size_t i)
{
	const struct fake_page *p = &t->space->pages[i];
	const struct model_page *m = &model.pages[i];

	assert_int_equal(p->mapped, m->mapped);
	if (m->mapped) {
		assert_int_equal(p->prot, m->prot);
		assert_int_equal(p->bytes[0], m->tag);
	}
}

static void check(void)
{
	struct vma *vma = mm_find_from(mm, 0);
	uint64_t total = 0, data = 0, locked = 0;
	unsigned int count = 0;

	for (size_t i = 0; i < ARENA_PAGES; i++)
		check_stub(i);
	for (size_t i = 0; i < ARENA_PAGES; i = run_end(i)) {
		const struct model_page *m = &model.pages[i];
		const uint64_t len = (run_end(i) - i) * MM_PAGE;

		if (!m->mapped)
			continue;
		assert_non_null(vma);
		assert_int_equal(vma->start, addr_of(i));
		assert_int_equal(vma->end, addr_of(run_end(i)));
		assert_int_equal(vma->prot, m->prot);
		assert_int_equal(!!(vma->flags & MAP_LOCKED), m->locked);
		total += len;
		data += m->prot & PROT_WRITE ? len : 0;
		locked += m->locked ? len : 0;
		count++;
		vma = vma_next(vma);
	}
	assert_null(vma);
	assert_int_equal(mm->vma_count, count);
	assert_int_equal(mm->total, total);
	assert_int_equal(mm->data, data);
	assert_int_equal(mm->locked, locked);
}

static int random_prot(void)
{
	static const int prots[] = { PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE,
				     PROT_READ | PROT_EXEC };

	return prots[rnd(4)];
}

static void do_mmap(size_t first, size_t n)
{
	const int prot = random_prot();
	const int64_t r = mm_mmap(mm, t, &no_limits, addr_of(first), n * MM_PAGE, prot,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0);

	assert_int_equal(r, addr_of(first));
	for (size_t i = first; i < first + n; i++)
		model.pages[i] = (struct model_page){ .mapped = true, .prot = prot };
}

static void do_munmap(size_t first, size_t n)
{
	assert_int_equal(mm_munmap(mm, t, addr_of(first), n * MM_PAGE), 0);
	for (size_t i = first; i < first + n; i++)
		model.pages[i].mapped = false;
}

static void do_mprotect(size_t first, size_t n)
{
	const int prot = random_prot();
	size_t i = first;

	for (; i < first + n && model.pages[i].mapped; i++)
		model.pages[i].prot = prot;
	assert_int_equal(mm_mprotect(mm, t, addr_of(first), n * MM_PAGE, prot),
			 i == first + n ? 0 : -ENOMEM);
}

static void do_mlock(size_t first, size_t n)
{
	const bool lock = rnd(2);
	size_t i = first;

	for (; i < first + n && model.pages[i].mapped; i++)
		model.pages[i].locked = lock;
	assert_int_equal(mm_mlock(mm, &no_limits, addr_of(first), n * MM_PAGE, lock),
			 i == first + n ? 0 : -ENOMEM);
}

static void do_madvise(size_t first, size_t n)
{
	const int advice = rnd(2) ? MADV_DONTFORK : MADV_DOFORK;
	bool hole = false;

	for (size_t i = first; i < first + n; i++) {
		hole |= !model.pages[i].mapped;
		model.pages[i].dontfork = model.pages[i].mapped && advice == MADV_DONTFORK;
	}
	assert_int_equal(mm_madvise(mm, t, addr_of(first), n * MM_PAGE, advice),
			 hole ? -ENOMEM : 0);
}

static void do_write(size_t first, size_t n)
{
	for (size_t i = first; i < first + n; i++) {
		const uint8_t tag = (uint8_t)rnd(256);
		struct model_page *m = &model.pages[i];
		const int r = user_copy_out(&mm->um, addr_of(i), &tag, 1);

		assert_int_equal(r, m->mapped && m->prot & PROT_WRITE ? 0 : -EFAULT);
		if (r == 0)
			m->tag = tag;
	}
}

static void do_mremap(size_t first, size_t n)
{
	const size_t to = rnd(ARENA_PAGES), len = 1 + rnd((uint32_t)(ARENA_PAGES - to));
	const bool overlap = to < first + n && first < to + len;
	const struct model before = model;
	int64_t want = (int64_t)addr_of(to), r;

	t->fail_move = rnd(2);
	if (!model.pages[first].mapped || run_end(first) < first + n)
		want = -EFAULT;
	else if (overlap)
		want = -EINVAL;
	r = mm_mremap(mm, t, &no_limits, addr_of(first), n * MM_PAGE, len * MM_PAGE,
		      MREMAP_MAYMOVE | MREMAP_FIXED, addr_of(to));
	assert_int_equal(r, want);
	if (want < 0)
		return;
	for (size_t i = 0; i < len; i++) {
		model.pages[to + i] = before.pages[first + (i < n ? i : 0)];
		if (i >= n)
			model.pages[to + i].tag = 0;
	}
	for (size_t i = first; i < first + n; i++)
		model.pages[i].mapped = false;
}

static void do_resize(size_t first, size_t n)
{
	const size_t len = 1 + rnd((uint32_t)(ARENA_PAGES - first));
	int64_t want = (int64_t)addr_of(first);

	/* What is cut off may lie in other areas, or nowhere. */
	if (!model.pages[first].mapped || (len > n && run_end(first) < first + n))
		want = -EFAULT;
	else if (len > n && run_end(first) > first + n)
		want = -ENOMEM;
	for (size_t i = first + n; want > 0 && i < first + len; i++) {
		if (model.pages[i].mapped)
			want = -ENOMEM;
	}
	assert_int_equal(
		mm_mremap(mm, t, &no_limits, addr_of(first), n * MM_PAGE, len * MM_PAGE, 0, 0),
		want);
	for (size_t i = first; want > 0 && i < first + (len > n ? len : n); i++) {
		if (i >= first + len)
			model.pages[i].mapped = false;
		else if (i >= first + n) {
			model.pages[i] = model.pages[first];
			model.pages[i].tag = 0;
		}
	}
}

/* The child has what the parent has, but what is marked and the locks. */
static void do_fork(void)
{
	struct platform_thread *child_thread;
	struct mm *child;
	uint64_t total = 0;

	assert_int_equal(mm_fork(mm, t, &child_thread, &child), 0);
	for (size_t i = 0; i < ARENA_PAGES; i++) {
		const struct model_page *m = &model.pages[i];
		const bool there = m->mapped && !m->dontfork;

		assert_int_equal(!!mm_find(child, addr_of(i)), there);
		assert_int_equal(child_thread->space->pages[i].mapped, there);
		total += there ? MM_PAGE : 0;
	}
	assert_int_equal(child->total, total);
	assert_int_equal(child->locked, 0);
	mm_unref(child);
	fake_thread_free(child_thread);
}

static void begin(uint32_t s)
{
	platform = &fake_platform;
	seed = s;
	memset(&model, 0, sizeof(model));
	t = fake_thread_new();
	mm = mm_new(t->space);
	assert_non_null(mm);
}

static void end(void)
{
	mm_unref(mm);
	fake_thread_free(t);
}

static void random_operations_keep_the_tree_equal_to_the_pages(void **state)
{
	static void (*const ops[])(size_t, size_t) = { do_mmap,	 do_munmap,  do_mprotect, do_mlock,
						       do_write, do_madvise, do_mremap,	  do_resize,
						       do_mmap,	 do_write };

	for (uint32_t s = 1; s <= 40; s++) {
		begin(s);
		for (int i = 0; i < 300; i++) {
			const size_t first = rnd(ARENA_PAGES);
			const size_t n = 1 + rnd((uint32_t)(ARENA_PAGES - first) / 2 + 1) / 2;

			ops[rnd(sizeof(ops) / sizeof(ops[0]))](first, n);
			check();
			if (i % 50 == 0)
				do_fork();
		}
		end();
	}
}

static void a_failure_of_the_stub_changes_no_books(void **state)
{
	begin(1);
	do_mmap(4, 8);
	t->fail_next = -ENOMEM;
	assert_int_equal(mm_munmap(mm, t, addr_of(6), MM_PAGE), -ENOMEM);
	check();
	t->fail_next = -ENOMEM;
	assert_int_equal(mm_mmap(mm, t, &no_limits, addr_of(6), MM_PAGE, PROT_READ,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0),
			 -ENOMEM);
	check();
	t->fail_next = -ENOMEM;
	assert_int_equal(
		mm_mprotect(mm, t, addr_of(6), MM_PAGE, PROT_READ | PROT_WRITE | PROT_EXEC),
		-ENOMEM);
	check();
	end();
}

static void flags_and_ranges_are_judged(void **state)
{
	const int anon = MAP_PRIVATE | MAP_ANONYMOUS;

	begin(1);
	assert_int_equal(mm_mmap(mm, t, &no_limits, 0, 0, PROT_READ, anon, NULL, 0), -EINVAL);
	assert_int_equal(mm_mmap(mm, t, &no_limits, 0, MM_PAGE, PROT_READ, MAP_ANONYMOUS, NULL, 0),
			 -EINVAL);
	assert_int_equal(mm_mmap(mm, t, &no_limits, 0, UINT64_MAX, PROT_READ, anon, NULL, 0),
			 -ENOMEM);
	assert_int_equal(
		mm_mmap(mm, t, &no_limits, 0, MM_PAGE, PROT_READ, anon | MAP_HUGETLB, NULL, 0),
		-ENOMEM);
	assert_int_equal(
		mm_mmap(mm, t, &no_limits, 1, MM_PAGE, PROT_READ, anon | MAP_FIXED, NULL, 0),
		-EINVAL);
	assert_int_equal(
		mm_mmap(mm, t, &no_limits, 0, MM_PAGE, PROT_READ, anon | MAP_FIXED, NULL, 0),
		-EPERM);
	assert_int_equal(mm_mmap(mm, t, &no_limits, PLATFORM_GUEST_TOP, MM_PAGE, PROT_READ,
				 anon | MAP_FIXED, NULL, 0),
			 -ENOMEM);
	do_mmap(3, 1);
	assert_int_equal(mm_mmap(mm, t, &no_limits, addr_of(3), MM_PAGE, PROT_READ,
				 anon | MAP_FIXED_NOREPLACE, NULL, 0),
			 -EEXIST);
	assert_int_equal(mm_munmap(mm, t, addr_of(3) + 1, MM_PAGE), -EINVAL);
	assert_int_equal(mm_munmap(mm, t, addr_of(3), 0), -EINVAL);
	assert_int_equal(mm_munmap(mm, t, addr_of(3), UINT64_MAX), -EINVAL);
	assert_int_equal(mm_mprotect(mm, t, addr_of(3), MM_PAGE, 1 << 20), -EINVAL);
	assert_int_equal(mm_mprotect(mm, t, addr_of(4), MM_PAGE, PROT_READ), -ENOMEM);
	check();
	end();
}

static void limits_are_obeyed(void **state)
{
	const struct mm_limits two_pages = { 2 * MM_PAGE, UINT64_MAX, UINT64_MAX, MM_PAGE };
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;

	begin(1);
	assert_int_equal(
		mm_mmap(mm, t, &two_pages, addr_of(0), 3 * MM_PAGE, PROT_READ, flags, NULL, 0),
		-ENOMEM);
	assert_int_equal(
		mm_mmap(mm, t, &two_pages, addr_of(0), 2 * MM_PAGE, PROT_READ, flags, NULL, 0),
		addr_of(0));
	/* What a fixed mapping replaces does not count twice. */
	assert_int_equal(
		mm_mmap(mm, t, &two_pages, addr_of(0), 2 * MM_PAGE, PROT_READ, flags, NULL, 0),
		addr_of(0));
	assert_int_equal(mm_mmap(mm, t, &two_pages, addr_of(5), MM_PAGE, PROT_READ, flags, NULL, 0),
			 -ENOMEM);
	assert_int_equal(mm_mlock(mm, &two_pages, addr_of(0), 2 * MM_PAGE, true), -ENOMEM);
	assert_int_equal(mm_mlock(mm, &two_pages, addr_of(0), MM_PAGE, true), 0);
	assert_int_equal(
		mm_mremap(mm, t, &two_pages, addr_of(0), MM_PAGE, 9 * MM_PAGE, MREMAP_MAYMOVE, 0),
		-ENOMEM);
	end();
}

static void the_kernel_chooses_the_highest_gap(void **state)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	int64_t first, second;

	begin(1);
	mm->mmap_top = mm->gap_top = addr_of(ARENA_PAGES);
	first = mm_mmap(mm, t, &no_limits, 0, 4 * MM_PAGE, PROT_READ, flags, NULL, 0);
	assert_int_equal(first, addr_of(ARENA_PAGES - 4));
	second = mm_mmap(mm, t, &no_limits, 0, 2 * MM_PAGE, PROT_READ, flags, NULL, 0);
	assert_int_equal(second, addr_of(ARENA_PAGES - 6));
	assert_int_equal(mm_munmap(mm, t, (uaddr_t)first, 4 * MM_PAGE), 0);
	first = mm_mmap(mm, t, &no_limits, 0, 3 * MM_PAGE, PROT_READ, flags, NULL, 0);
	assert_int_equal(first, addr_of(ARENA_PAGES - 3));
	/* A hint that is free is taken. */
	assert_int_equal(
		mm_mmap(mm, t, &no_limits, addr_of(7) + 5, MM_PAGE, PROT_READ, flags, NULL, 0),
		addr_of(7));
	end();
}

static void small_steps_of_brk_need_no_stub(void **state)
{
	unsigned int operations;
	uint8_t byte = 7;

	begin(1);
	mm->brk_start = mm->brk = mm->brk_mapped = ARENA_BASE;
	assert_int_equal(mm_brk(mm, t, &no_limits, 0), ARENA_BASE);
	assert_int_equal(mm_mmap(mm, t, &no_limits, addr_of(40), MM_PAGE, PROT_READ,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0),
			 addr_of(40));
	assert_int_equal(mm_brk(mm, t, &no_limits, ARENA_BASE + 5), ARENA_BASE + 5);
	assert_int_equal(mm->brk_mapped, addr_of(40)); /* as far as there is room */
	operations = t->operations;
	assert_int_equal(mm_brk(mm, t, &no_limits, addr_of(20)), addr_of(20));
	assert_int_equal(t->operations, operations);
	assert_int_equal(mm->total, 21 * MM_PAGE);
	assert_int_equal(mm_brk(mm, t, &no_limits, addr_of(41)), addr_of(20)); /* in the way */
	assert_int_equal(user_copy_out(&mm->um, addr_of(19), &byte, 1), 0);
	assert_int_equal(mm_brk(mm, t, &no_limits, addr_of(2)), addr_of(2));
	assert_int_equal(mm_brk(mm, t, &no_limits, addr_of(20)), addr_of(20));
	assert_int_equal(user_copy_in(&mm->um, &byte, addr_of(19), 1), 0);
	assert_int_equal(byte, 0);
	/* Somebody maps into the reserve. */
	assert_int_equal(mm_mmap(mm, t, &no_limits, addr_of(25), MM_PAGE, PROT_READ,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0),
			 addr_of(25));
	assert_int_equal(mm->brk_mapped, addr_of(20));
	assert_false(t->space->pages[30].mapped);
	end();
}

static void the_peak_is_known_of_a_process_too_small_for_the_host(void **state)
{
	begin(1);
	assert_int_equal(mm_mmap(mm, t, &no_limits, addr_of(20), 8 * MM_PAGE, PROT_READ,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0),
			 addr_of(20));
	assert_int_equal(mm_peak(mm), mm->total); /* never asked */
	mm->usage.min_flt = 3;
	assert_int_equal(mm_peak(mm), 3 * MM_PAGE);
	mm->usage.min_flt = 3000; /* the same pages again and again */
	assert_int_equal(mm_peak(mm), mm->total);
	mm->usage.max_rss = 132 * 1024;
	assert_int_equal(mm_peak(mm), 132 * 1024);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flags_and_ranges_are_judged),
		cmocka_unit_test(limits_are_obeyed),
		cmocka_unit_test(a_failure_of_the_stub_changes_no_books),
		cmocka_unit_test(the_kernel_chooses_the_highest_gap),
		cmocka_unit_test(small_steps_of_brk_need_no_stub),
		cmocka_unit_test(the_peak_is_known_of_a_process_too_small_for_the_host),
		cmocka_unit_test(random_operations_keep_the_tree_equal_to_the_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
