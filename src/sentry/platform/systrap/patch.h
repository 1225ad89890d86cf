/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/platform/systrap/patch.h - call sites that jump into the stub instead of trapping.
 *
 * Only a process's own private pages are patched, on the evidence of its own traps; a forked child
 * inherits pages, trampolines and this table. Guests see none of it: instruction pointers are
 * translated both ways (a jump into a patched range stops at an invalid instruction and is put
 * right), trampolines lie where the kernel places nothing.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sentry/platform/systrap/abi.h"

#define PATCH_SITES_MAX 512 /* of one process */
#define PATCH_AREAS_MAX 4   /* of trampolines */
#define CODE_RANGES_MAX 128 /* of executable, not writable, private memory; more is not patched */
#define CODE_SHARED_MAX 32
#define CODE_REGIONS	8

struct platform_space;
struct platform_thread;
struct platform_event;

/* What lies in a space, as far as patching asks. */
struct code_map {
	unsigned int count;
	struct code_range {
		uint64_t start, end;
		int prot;
	} ranges[CODE_RANGES_MAX];
	/* Mapped shared from a file: never patched. Too many to remember: nothing new is. */
	unsigned int shared_count;
	struct code_range shared[CODE_SHARED_MAX];
	bool shared_overflow;
	/* Of each region of 4 GiB that was ever used: its lowest and highest mapped byte. */
	unsigned int regions;
	struct code_region {
		uint64_t key, low, high;
	} region[CODE_REGIONS];
};

/* A site's code: what replaces it and what its slot holds (patch_code.c). */
struct patch_code {
	uint64_t site;	  /* its first byte */
	unsigned int len; /* bytes of the site */
	uint64_t bytes;	  /* new ones, without the displacement of the jump */
	bool loads_nr;	  /* the site began with mov $nr,%eax */
	uint32_t nr;
	unsigned int moved;	/* bytes behind the call that go to the slot */
	uint8_t moved_bytes[8]; /* none: the slot goes back at once */
};

/*
 * Judge the bytes around a call (STUB_SITE_LEN of them, the return address is STUB_SITE_BACK in).
 * nr is what rax held. False: not of a form that can be moved.
 */
bool patch_code_judge(const uint8_t *bytes, uint64_t rip, uint64_t nr, struct patch_code *ret);
/* The slot's bytes, for a slot at `slot` whose area holds the entry's address at its start. */
void patch_code_slot(const struct patch_code *code, uint64_t slot, uint64_t area,
		     uint8_t ret[static STUB_PATCH_LEN]);
#define PATCH_AFTER 13 /* offset in a slot of moved bytes; with loads_nr 5 more come before */

/* Books of memory: called when the stub has changed a range. prot < 0: unmapped. */
void systrap_code_changed(struct platform_space *s, uint64_t addr, uint64_t len, int prot,
			  bool patchable);
void systrap_code_share(struct platform_space *s, uint64_t addr, uint64_t len, bool shared);
bool systrap_code_shared(const struct platform_space *s, uint64_t addr, uint64_t len);
/* Patches of the range are gone. */
void systrap_code_forget(struct platform_space *s, uint64_t addr, uint64_t len);
/* The first part of a range without trampolines: its length, and where it begins. */
uint64_t systrap_code_gap(const struct platform_space *s, uint64_t addr, uint64_t len,
			  uint64_t *ret_addr);
/* No trampoline lies in the range. */
bool systrap_code_free(const struct platform_space *s, uint64_t addr, uint64_t len);

/* A trapped call whose site the stub shows: remember it. */
void systrap_patch_note(struct platform_thread *t, uint64_t nr);
/* On the way back: true if an action was written that patches and answers. May park. */
bool systrap_patch_apply(struct platform_thread *t);
/* SIGILL: true if it is ours; *ret is then a system call, or the thread just goes on (kind < 0). */
bool systrap_patch_fault(struct platform_thread *t, struct platform_event *ret, bool *ret_go_on);

uint64_t systrap_rip_to_guest(const struct platform_space *s, uint64_t rip);
uint64_t systrap_rip_from_guest(const struct platform_space *s, uint64_t rip);

void systrap_patches_inherit(const struct platform_space *from, struct platform_space *to);
void systrap_patches_free(struct platform_space *s);
