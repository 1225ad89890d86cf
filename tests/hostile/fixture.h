/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/hostile/fixture.h - guests of a few bytes of machine code on platform systrap, without a
 * kernel above it, and an honest one whose well-being every attack is judged by.
 */
#pragma once

#include "base/str.h"
#include "sentry/core/fiber.h"
#include "sentry/platform/platform.h"
#include "sentry/platform/systrap/abi.h"
#include "lib/unit.h"

#define CODE 0x400000ull /* a page */
#define DATA 0x500000ull /* four pages */
#define PAGE 4096ull

#define HONEST_CODE_LEN 9
#define SPIN_CODE_LEN	2

/* A call for ever; a jump to itself. */
extern const uint8_t hostile_honest_code[HONEST_CODE_LEN];
extern const uint8_t hostile_spin_code[SPIN_CODE_LEN];

/* The stub's text, from STUB_TEXT on. */
extern uint8_t hostile_stub_image[STUB_TEXT_LEN];
extern size_t hostile_stub_len;

/* Offset of the next syscall instruction in the stub's text; UINT64_MAX: none. */
uint64_t hostile_next_syscall(uint64_t after);

/* A new process whose one thread begins at CODE with its stack in DATA. */
struct platform_thread *hostile_guest(const uint8_t *code, size_t len);

/* Put a thread at an address of the stub's program with these registers of a call. */
void hostile_at(struct platform_thread *t, uint64_t rip, uint64_t nr, const uint64_t a[6]);

/* Run for at most so long; what ended it. Calls are answered, with one in eight that fails. */
enum platform_event_kind hostile_run_for(struct platform_thread *t, nsec_t ns);

/* The honest guest begins; it gets its answers and has its memory, or the test fails. */
extern struct platform_thread *hostile_honest;
void hostile_honest_begins(void);
void hostile_honest_lives(void);

/* Run fn on a fiber until it is over. */
void hostile_on_fiber(void (*fn)(void));
/* The same for what may end the kernel, which then says this status, before its own end. */
void hostile_on_fiber_until(void (*fn)(void), int status);

/* The platform, by the arguments of a program: the stub's path, the profile. False: wrong ones. */
bool hostile_choose(int argc, char **argv);

/* main() of a program with these arguments: the stub's path, the profile. */
int hostile_main(int argc, char **argv, const char *name, const struct CMUnitTest *tests, size_t n);
