/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patching: where trampolines lie, which sites are patched, what instruction pointers mean.
 *
 * A site is patched while no other thread of its process runs, or if its bytes lie in one aligned
 * word. In a site of the second form the byte behind the former call is part of the jump's
 * displacement; slots are chosen so that this byte is an invalid instruction as well.
 */
#include "sentry/platform/systrap/patch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "sentry/core/klog.h"
#include "sentry/platform/systrap/systrap_internal.h"

#define PAGE		 4096ull
#define REACH		 0x70000000ull	   /* of a jump, with room to spare */
#define HIGH_MAPPINGS	 0x700000000000ull /* above: placed downwards from a random top */
#define AREA_SLOTS	 (STUB_AREA_LEN / STUB_PATCH_LEN)
#define INVALID_DISTANCE 0x06ull /* second byte of the displacement */

struct systrap_area {
	unsigned int refs;
	uint64_t base;
	uint8_t *map;
	uint8_t used[AREA_SLOTS];
};

struct patched {
	uint64_t site, slot;
	uint8_t len, moved;
	bool loads_nr;
};

struct systrap_patches {
	unsigned int refs; /* spaces; one that adds a site takes a copy of its own first */
	unsigned int areas, count;
	struct systrap_area *area[PATCH_AREAS_MAX];
	struct patched site[PATCH_SITES_MAX];
};

static void patches_unref(struct systrap_patches *p)
{
	if (!p || --p->refs > 0)
		return;
	for (unsigned int i = 0; i < p->areas; i++) {
		struct systrap_area *a = p->area[i];

		if (--a->refs > 0)
			continue;
		(void)munmap(a->map, STUB_AREA_LEN);
		free(a);
	}
	free(p);
}

void systrap_patches_free(struct platform_space *s)
{
	patches_unref(s->patches);
	s->patches = NULL;
}

void systrap_patches_inherit(const struct platform_space *from, struct platform_space *to)
{
	to->code = from->code;
	to->patches = from->patches;
	if (to->patches)
		to->patches->refs++;
}

/* A table that is this space's alone. */
static struct systrap_patches *own_patches(struct platform_space *s)
{
	struct systrap_patches *p = s->patches, *copy;

	if (p && p->refs == 1)
		return p;
	copy = calloc(1, sizeof(*copy));
	if (!copy)
		return NULL;
	if (p) {
		*copy = *p;
		for (unsigned int i = 0; i < copy->areas; i++)
			copy->area[i]->refs++;
		patches_unref(p);
	}
	copy->refs = 1;
	s->patches = copy;
	return copy;
}

static bool overlaps(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
	return a < b + b_len && b < a + a_len;
}

bool systrap_code_free(const struct platform_space *s, uint64_t addr, uint64_t len)
{
	for (unsigned int i = 0; s->patches && i < s->patches->areas; i++) {
		if (overlaps(addr, len, s->patches->area[i]->base, STUB_AREA_LEN))
			return false;
	}
	return true;
}

uint64_t systrap_code_gap(const struct platform_space *s, uint64_t addr, uint64_t len,
			  uint64_t *ret_addr)
{
	uint64_t end = addr + len;
	bool moved;

	do {
		moved = false;
		for (unsigned int i = 0; s->patches && i < s->patches->areas; i++) {
			const uint64_t base = s->patches->area[i]->base;

			if (addr >= base && addr < base + STUB_AREA_LEN) {
				addr = base + STUB_AREA_LEN;
				moved = true;
			} else if (addr < base && base < end) {
				end = base;
			}
		}
	} while (moved);
	*ret_addr = addr;
	return addr < end ? end - addr : 0;
}

void systrap_code_share(struct platform_space *s, uint64_t addr, uint64_t len, bool shared)
{
	struct code_map *c = &s->code;

	for (unsigned int i = 0; i < c->shared_count;) {
		if (c->shared[i].start >= addr && c->shared[i].end <= addr + len)
			c->shared[i] = c->shared[--c->shared_count];
		else
			i++;
	}
	if (!shared)
		return;
	if (c->shared_count < CODE_SHARED_MAX)
		c->shared[c->shared_count++] = (struct code_range){ addr, addr + len, 0 };
	else
		c->shared_overflow = true;
}

bool systrap_code_shared(const struct platform_space *s, uint64_t addr, uint64_t len)
{
	const struct code_map *c = &s->code;

	for (unsigned int i = 0; i < c->shared_count; i++) {
		if (addr < c->shared[i].end && addr + len > c->shared[i].start)
			return true;
	}
	return c->shared_overflow;
}

static void add_range(struct code_map *c, uint64_t start, uint64_t end, int prot)
{
	if (start < end && c->count < CODE_RANGES_MAX)
		c->ranges[c->count++] = (struct code_range){ start, end, prot };
}

static void cut_ranges(struct code_map *c, uint64_t start, uint64_t end)
{
	for (unsigned int i = 0; i < c->count;) {
		const struct code_range r = c->ranges[i];

		if (r.end <= start || r.start >= end) {
			i++;
			continue;
		}
		c->ranges[i] = c->ranges[--c->count];
		add_range(c, r.start, start < r.start ? r.start : start, r.prot);
		add_range(c, end > r.end ? r.end : end, r.end, r.prot);
	}
}

static struct code_region *region_of(struct code_map *c, uint64_t addr, bool create)
{
	const uint64_t key = addr >> 32;

	for (unsigned int i = 0; i < c->regions; i++) {
		if (c->region[i].key == key)
			return &c->region[i];
	}
	if (!create || c->regions == CODE_REGIONS)
		return NULL;
	c->region[c->regions] = (struct code_region){ .key = key, .low = addr, .high = addr };
	return &c->region[c->regions++];
}

void systrap_code_forget(struct platform_space *s, uint64_t start, uint64_t len)
{
	const uint64_t end = start + len;
	struct systrap_patches *p = s->patches;
	bool any = false;

	for (unsigned int i = 0; p && i < p->count && !any; i++)
		any = p->site[i].site + p->site[i].len > start && p->site[i].site < end;
	if (!any)
		return;
	p = own_patches(s);
	for (unsigned int i = 0; p && i < p->count;) {
		if (p->site[i].site + p->site[i].len > start && p->site[i].site < end)
			p->site[i] = p->site[--p->count];
		else
			i++;
	}
}

void systrap_code_changed(struct platform_space *s, uint64_t addr, uint64_t len, int prot,
			  bool patchable)
{
	struct code_region *region;

	cut_ranges(&s->code, addr, addr + len);
	if (prot < 0 || prot & PROT_WRITE)
		systrap_code_forget(s, addr, len);
	if (prot < 0)
		return;
	if (patchable && prot & PROT_EXEC && !(prot & PROT_WRITE))
		add_range(&s->code, addr, addr + len, prot);
	region = region_of(&s->code, addr, true);
	if (!region)
		return;
	if (addr < region->low)
		region->low = addr;
	if (addr + len > region->high)
		region->high = addr + len;
}

static const struct code_range *range_of(const struct platform_space *s, uint64_t site,
					 unsigned int len)
{
	for (unsigned int i = 0; i < s->code.count; i++) {
		const struct code_range *r = &s->code.ranges[i];

		if (site >= r->start && site + len <= r->end)
			return r;
	}
	return NULL;
}

static struct patched *find(const struct platform_space *s, uint64_t rip)
{
	for (unsigned int i = 0; s->patches && i < s->patches->count; i++) {
		struct patched *p = &s->patches->site[i];

		if (rip >= p->site && rip < p->site + p->len)
			return p;
	}
	return NULL;
}

uint64_t systrap_rip_to_guest(const struct platform_space *s, uint64_t rip)
{
	for (unsigned int i = 0; s->patches && i < s->patches->count; i++) {
		const struct patched *p = &s->patches->site[i];
		uint64_t in;

		if (rip < p->slot || rip >= p->slot + STUB_PATCH_LEN)
			continue;
		in = rip - p->slot;
		if (p->loads_nr)
			return in < 5 ? p->site : p->site + 5;
		if (in < PATCH_AFTER)
			return p->site;
		in -= PATCH_AFTER;
		return p->site + 2 + (in > p->moved ? p->moved : in);
	}
	return rip;
}

uint64_t systrap_rip_from_guest(const struct platform_space *s, uint64_t rip)
{
	const struct patched *p = find(s, rip);

	if (!p || rip == p->site)
		return rip;
	if (p->loads_nr) /* between the load and the call */
		return rip == p->site + 5 ? p->slot + 5 : rip;
	if (rip < p->site + 2 || rip - p->site - 2 >= p->moved)
		return rip;
	return p->slot + PATCH_AFTER + (rip - p->site - 2);
}

static bool in_reach(uint64_t a, uint64_t b)
{
	return (a > b ? a - b : b - a) < REACH;
}

/*
 * Where the kernel places nothing: above the mappings that grow downwards from a random top, or
 * below a program, whose heap grows upwards.
 */
static uint64_t area_place(struct platform_space *s, uint64_t site)
{
	const struct code_region *r = region_of(&s->code, site, false), *above;
	uint64_t at;

	if (!r)
		return 0;
	if (site < HIGH_MAPPINGS) {
		at = r->low / STUB_AREA_LEN * STUB_AREA_LEN;
		return at > 4 * STUB_AREA_LEN ? at - 2 * STUB_AREA_LEN : 0;
	}
	above = region_of(&s->code, site + (1ull << 32), false);
	at = above && in_reach(above->high, site) ? above->high : r->high;
	return (at / STUB_AREA_LEN + 2) * STUB_AREA_LEN;
}

static int donate_area(struct platform_thread *t, int fd, uint64_t at)
{
	const struct platform_map map = { .addr = at,
					  .len = STUB_AREA_LEN,
					  .prot = PROT_READ | PROT_EXEC,
					  .shared = true,
					  .host_fd = fd };

	return systrap_map_donated(t, &map, MAP_SHARED | MAP_FIXED_NOREPLACE);
}

/* A memfd that only the sentry can write, mapped in the stub. */
static struct systrap_area *new_area(struct platform_thread *t, uint64_t site)
{
	AUTO_CLOSE int fd = memfd_create("trampolines", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	const uint64_t at = area_place(t->space, site), entry = systrap.entry;
	struct systrap_area *a;
	void *map;

	if (fd < 0 || at == 0 || at + STUB_AREA_LEN > systrap_at(STUB_BASE) ||
	    !in_reach(at, site) || ftruncate(fd, STUB_AREA_LEN) < 0)
		return NULL;
	map = mmap(NULL, STUB_AREA_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return NULL;
	a = calloc(1, sizeof(*a));
	if (!a ||
	    fcntl(fd, F_ADD_SEALS,
		  F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0 ||
	    donate_area(t, fd, at) < 0) {
		(void)munmap(map, STUB_AREA_LEN);
		free(a);
		return NULL;
	}
	a->base = at;
	a->map = map;
	memcpy(a->map, &entry, sizeof(entry));
	a->used[0] = 1;
	a->refs = 1;
	return a;
}

/* A free slot in reach; for the second form with the invalid byte in its distance. */
static unsigned int pick_slot(const struct systrap_area *a, const struct patch_code *code)
{
	if (!in_reach(a->base, code->site))
		return 0;
	for (unsigned int i = 1; i < AREA_SLOTS; i++) {
		const uint64_t distance = a->base + i * STUB_PATCH_LEN - (code->site + 5);

		if (!a->used[i] && (code->loads_nr || (distance >> 8 & 0xff) == INVALID_DISTANCE))
			return i;
	}
	return 0;
}

static struct systrap_area *find_slot(struct platform_thread *t, struct systrap_patches *p,
				      const struct patch_code *code, unsigned int *ret_slot)
{
	struct systrap_area *a;

	for (unsigned int i = 0; i < p->areas; i++) {
		*ret_slot = pick_slot(p->area[i], code);
		if (*ret_slot)
			return p->area[i];
	}
	if (p->areas == PATCH_AREAS_MAX)
		return NULL;
	a = new_area(t, code->site);
	if (!a)
		return NULL;
	p->area[p->areas++] = a;
	*ret_slot = pick_slot(a, code);
	return *ret_slot ? a : NULL;
}

/* One that is new and has not been answered runs the stub's code only. */
static bool runs_guest(const struct platform_thread *t)
{
	return t->guest && t->seq > 0;
}

/* Nobody else executes these bytes, or everybody sees them change at once. */
static bool is_safe(const struct platform_thread *t, const struct patch_code *code)
{
	const struct platform_thread *other;

	if (code->site % 8 + code->len <= 8)
		return true;
	list_for_each(other, &t->space->threads, node)
	{
		if (other != t && (runs_guest(other) || other->posted))
			return false;
	}
	return true;
}

/* Calls that need a frame anyway. */
static bool wants_frame(uint64_t nr)
{
	switch (nr) {
	case SYS_rt_sigreturn:
	case SYS_clone:
	case SYS_fork:
	case SYS_vfork:
	case SYS_execve:
	case SYS_exit:
	case SYS_exit_group:
	case SYS_execveat:
	case SYS_clone3:
		return true;
	default:
		return false;
	}
}

static void left(const struct platform_thread *t, uint64_t site, uint64_t nr, const char *why)
{
	systrap.counts.sites_left++;
	klog(platform, "%d: the site at %llx (call %llu) stays: %s", t->tid,
	     (unsigned long long)site, (unsigned long long)nr, why);
}

void systrap_patch_note(struct platform_thread *t, uint64_t nr)
{
	uint8_t bytes[STUB_SITE_LEN];
	const uint64_t rip = __atomic_load_n(&t->ctx->site, __ATOMIC_RELAXED);

	t->patch_wanted = false;
	if (rip == 0 || systrap.options.no_patching || wants_frame(nr))
		return;
	memcpy(bytes, t->ctx->site_bytes, sizeof(bytes));
	t->patch_wanted = patch_code_judge(bytes, rip, nr, &t->patch) && !find(t->space, rip - 2);
	if (!t->patch_wanted)
		left(t, rip, nr, "its form");
}

/* Threads that will return to the byte behind the call go to the slot instead. */
static void redirect(struct platform_space *s)
{
	struct platform_thread *t;

	list_for_each(t, &s->threads, node)
	{
		if (!t->guest && t->uc)
			systrap_frame_translate(t);
	}
}

/* The entry in the table, and the action for the stub. Parks for a new area only. */
static bool prepare(struct platform_thread *t)
{
	struct platform_space *s = t->space;
	const struct patch_code *code = &t->patch;
	const struct code_range *range;
	struct systrap_patches *p = own_patches(s);
	struct systrap_area *a;
	struct stub_ctx *c = t->ctx;
	unsigned int slot;
	uint64_t at;

	if (!p || p->count == PATCH_SITES_MAX)
		return false;
	a = find_slot(t, p, code, &slot);
	range = range_of(s, code->site, code->len);
	if (!a || s->dead || !range || s->patches != p || p->refs != 1 || find(s, code->site))
		return false;
	a->used[slot] = 1;
	at = a->base + slot * STUB_PATCH_LEN;
	patch_code_slot(code, at, a->base, a->map + (size_t)slot * STUB_PATCH_LEN);
	p->site[p->count++] = (struct patched){ .site = code->site,
						.slot = at,
						.len = (uint8_t)code->len,
						.moved = (uint8_t)code->moved,
						.loads_nr = code->loads_nr };
	systrap.counts.sites_patched++;
	redirect(s);
	c->act[0] = code->site / PAGE * PAGE;
	c->act[1] = (uint64_t)range->prot;
	c->act[2] = code->site;
	c->act[3] = code->bytes | ((at - (code->site + 5)) & 0xffffffff) << 8;
	c->act[4] = code->len;
	systrap_grant(t, 0, SYS_mprotect, (const uint64_t[6]){ c->act[0], PAGE, 7 }, 0x7);
	systrap_grant(t, 1, SYS_mprotect, (const uint64_t[6]){ c->act[0], PAGE, c->act[1] }, 0x7);
	return true;
}

static bool others_run(const struct platform_thread *t)
{
	const struct platform_thread *other;

	list_for_each(other, &t->space->threads, node)
	{
		if (other != t && runs_guest(other))
			return true;
	}
	return false;
}

/* None of the others runs guest code, and none begins to before the lock is free. */
static void patch_alone(struct platform_thread *t)
{
	struct platform_space *s = t->space;

	kmutex_lock(&s->flush_lock);
	if (!s->dead && !others_run(t) && prepare(t) && !others_run(t))
		(void)systrap_action(t, STUB_ACT_PATCH_WAIT);
	kmutex_unlock(&s->flush_lock);
}

bool systrap_patch_apply(struct platform_thread *t)
{
	const struct patch_code *code = &t->patch;

	t->patch_wanted = false;
	if (find(t->space, code->site))
		return false;
	if (!range_of(t->space, code->site, code->len)) {
		left(t, code->site, t->syscall_nr, "no code of its own");
		return false;
	}
	if (is_safe(t, code)) {
		const bool done = prepare(t);

		if (!done)
			left(t, code->site, t->syscall_nr, "no slot");
		return done;
	}
	if (!others_run(t))
		patch_alone(t);
	else
		left(t, code->site, t->syscall_nr, "others run");
	return false;
}

bool systrap_patch_fault(struct platform_thread *t, struct platform_event *ret, bool *ret_go_on)
{
	struct arch_regs regs;
	const struct patched *p;
	uint64_t rip;

	*ret_go_on = false;
	if (ret->info.si_signo != SIGILL || !t->space->patches || systrap_frame_rip(t, &rip) < 0)
		return false;
	p = find(t->space, rip);
	if (!p)
		return false;
	if (!p->loads_nr) {
		systrap_frame_translate(t);
		*ret_go_on = true;
		return systrap_frame_rip(t, &rip) == 0 && !find(t->space, rip);
	}
	if (rip != p->site + 5 || systrap_get_regs(t, &regs) < 0)
		return false;
	/* Somebody came behind the load: it is the call. */
	t->in_syscall = true;
	t->syscall_nr = regs.r.rax;
	systrap_frame_set_rip(t, p->site + p->len);
	ret->kind = PLATFORM_SYSCALL;
	ret->nr = regs.r.rax;
	ret->args = (struct syscall_args){ .v = { regs.r.rdi, regs.r.rsi, regs.r.rdx, regs.r.r10,
						  regs.r.r8, regs.r.r9 } };
	return true;
}
