/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patched call sites: the short way into the stub and back, without a signal.
 *
 * Which sites are patched, and how, the sentry decides (patch.c there); here traps are counted and
 * bytes written. A site lies in one page of private memory, so a patch is one process's own.
 */
#include "sentry/platform/systrap/stub/stub.h"

#include <sys/mman.h>

#define PAGE	  4096ull
#define HOT_TRAPS 8  /* of one site, before it is shown */
#define HOT_AGAIN 64 /* and again, if it was not patched */
#define HASH_MASK 0xfff

bool stub_answer(const struct stub_ctx *c, uint64_t nr, long *ret)
{
	const volatile struct stub_ids *ids =
		(const volatile struct stub_ids *)stub_at(STUB_IDS) + c->index % STUB_THREADS;

	if (!(ids->valid & STUB_IDS_ANSWERS))
		return false;
	switch (nr) {
	case SYS_getpid:
		*ret = ids->tgid;
		return true;
	case SYS_gettid:
		*ret = ids->tid;
		return true;
	case SYS_getppid:
		*ret = ids->ppid;
		return true;
	case SYS_getuid:
		*ret = ids->uid;
		return true;
	case SYS_geteuid:
		*ret = ids->euid;
		return true;
	case SYS_getgid:
		*ret = ids->gid;
		return true;
	case SYS_getegid:
		*ret = ids->egid;
		return true;
	default:
		return false;
	}
}

long stub_fast(struct stub_ctx *c)
{
	long r;

	if (stub_answer(c, c->nr, &r))
		return r;
	if (!stub_notify(c))
		stub_post(c, STUB_REQ_FAST | stub_show(c, c->nr, c->args), c->nr);
	if (stub_actions(c) == STUB_ACT_FRAME)
		c->intr |= STUB_INTR_FRAME;
	stub_note_map(c);
	return (long)c->ret;
}

long stub_fast_interrupt(struct stub_ctx *c, long rax)
{
	c->intr = 0;
	stub_post(c, STUB_REQ_FAST_INTERRUPT, (uint64_t)rax);
	if (stub_actions(c) == STUB_ACT_FRAME)
		c->intr |= STUB_INTR_FRAME;
	return (long)c->ret;
}

void stub_note_site(struct stub_ctx *c, uint64_t rip)
{
	uint8_t *count = (uint8_t *)c + STUB_COUNTS + ((rip ^ rip >> 12) & HASH_MASK);
	const uint8_t *from = (const uint8_t *)(rip - STUB_SITE_BACK);

	c->site = 0;
	if (++*count % HOT_AGAIN != HOT_TRAPS || !stub_global()->patch)
		return;
	/* Only bytes of the page that was executed are known to be there. */
	if (rip % PAGE < STUB_SITE_BACK || rip % PAGE > PAGE - STUB_SITE_LEN ||
	    rip >= stub_at(STUB_BASE))
		return;
	for (unsigned int i = 0; i < STUB_SITE_LEN; i++)
		c->site_bytes[i] = from[i];
	c->site = rip;
}

static void write_site(uint64_t site, uint64_t bytes, unsigned int n)
{
	const unsigned int shift = (unsigned int)(site % 8);
	volatile uint8_t *p = (volatile uint8_t *)site;

	/* In one word if it fits: other threads then see the old bytes or the new ones. */
	if (shift + n <= 8) {
		volatile uint64_t *word = (volatile uint64_t *)(site - shift);
		const uint64_t mask = (n == 8 ? ~0ull : (1ull << 8 * n) - 1) << 8 * shift;

		*word = (*word & ~mask) | (bytes << 8 * shift & mask);
		return;
	}
	for (unsigned int i = 0; i < n; i++)
		p[i] = (uint8_t)(bytes >> 8 * i);
}

void stub_patch(const struct stub_ctx *c)
{
	const uint64_t page = c->act[0], site = c->act[2], bytes = c->act[3];
	const int prot = (int)c->act[1];
	const unsigned int n = (unsigned int)c->act[4];

	if (site / PAGE * PAGE != page || n > 8 || (site + n - 1) / PAGE * PAGE != page)
		return;
	if (SYS3(SYS_mprotect, page, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC) < 0)
		return;
	write_site(site, bytes, n);
	(void)SYS3(SYS_mprotect, page, PAGE, prot);
}
