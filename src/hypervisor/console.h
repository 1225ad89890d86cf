/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hypervisor/console.h - the last bytes of a guest's console, and what they tell of its end.
 *
 * The guest writes what it likes: texts that come out of here are printable ASCII and newlines,
 * without escape sequences.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define VM_CONSOLE_BYTES (16u << 10)

/* All zero: nothing was said yet. */
struct vm_console {
	char ring[VM_CONSOLE_BYTES];
	uint64_t total; /* bytes that ever came */
};

void vm_console_put(struct vm_console *console, const void *bytes, size_t len);

/*
 * The last whole lines that fit into size bytes (1 or more), NUL included, in the order they came;
 * a line without its end counts. Returns the length.
 */
size_t vm_console_tail(const struct vm_console *console, char *text, size_t size);

/*
 * For the end of a sentence: the lines that tell why a kernel died, the panic first, then what went
 * before it, without their times and separated by "; "; where there is none the last three lines.
 * Cut off at size bytes (1 or more), NUL included; "" when nothing was said. Returns the length.
 */
size_t vm_console_telling(const struct vm_console *console, char *text, size_t size);
