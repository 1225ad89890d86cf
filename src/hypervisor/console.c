/* SPDX-License-Identifier: Apache-2.0 */
#include "hypervisor/console.h"

#include <stdbool.h>
#include <string.h>

#include "base/str.h"

#define LINES_LAST 3u	/* without a telling one */
#define LINES_TOLD 6u	/* at most */
#define LINE_TOLD  160u /* bytes of one */
#define ESCAPE	   '\033'

struct line {
	const char *text;
	size_t len;
};

void vm_console_put(struct vm_console *console, const void *bytes, size_t len)
{
	const char *p = bytes;

	/* What would be overwritten at once need not be copied. */
	if (len > VM_CONSOLE_BYTES) {
		console->total += len - VM_CONSOLE_BYTES;
		p += len - VM_CONSOLE_BYTES;
		len = VM_CONSOLE_BYTES;
	}
	while (len) {
		const size_t at = console->total % VM_CONSOLE_BYTES;
		const size_t n = len < VM_CONSOLE_BYTES - at ? len : VM_CONSOLE_BYTES - at;

		memcpy(console->ring + at, p, n);
		console->total += n;
		p += n;
		len -= n;
	}
}

/* ---- Printable ---- */

/* Whether `c`, within an escape sequence since `*inside` bytes, still belongs to it (ECMA-48). */
static bool skip_escape(char c, unsigned int *inside)
{
	if (c == ESCAPE) {
		*inside = 1;
		return true;
	}
	if (*inside == 0)
		return false;
	/* After ESC [: parameters until a letter; after any other ESC: one byte. */
	if (*inside == 1 && c == '[') {
		*inside = 2;
		return true;
	}
	if (*inside >= 2 && *inside < 32 && (unsigned char)c >= 0x20 && (unsigned char)c < 0x40) {
		++*inside;
		return true;
	}
	*inside = 0;
	return c != '\n';
}

/* All that is kept, from the oldest byte on, as printable text; returns its length. */
static size_t unroll(const struct vm_console *console, char text[static VM_CONSOLE_BYTES])
{
	const uint64_t kept = console->total < VM_CONSOLE_BYTES ? console->total : VM_CONSOLE_BYTES;
	unsigned int escape = 0;
	size_t len = 0;

	for (uint64_t i = console->total - kept; i < console->total; i++) {
		const char c = console->ring[i % VM_CONSOLE_BYTES];

		if (skip_escape(c, &escape) || c == '\r' || c == '\0')
			continue;
		if (c == '\t')
			text[len++] = ' ';
		else
			text[len++] = c == '\n' || (c >= ' ' && c <= '~') ? c : '?';
	}
	return len;
}

size_t vm_console_tail(const struct vm_console *console, char *text, size_t size)
{
	char all[VM_CONSOLE_BYTES];
	const size_t len = unroll(console, all);
	const size_t room = size - 1;
	size_t from = len > room ? len - room : 0;

	/* The first line is whole, too, unless there is only one. */
	if (from > 0 || console->total > VM_CONSOLE_BYTES) {
		const char *end = from > 0 && all[from - 1] == '\n'
					  ? all + from - 1
					  : memchr(all + from, '\n', len - from);

		if (end && end + 1 < all + len)
			from = (size_t)(end + 1 - all);
	}
	memcpy(text, all + from, len - from);
	text[len - from] = '\0';
	return len - from;
}

/* ---- What tells something ---- */

static bool holds(const struct line *line, const char *word)
{
	return memmem(line->text, line->len, word, strlen(word)) != NULL;
}

static bool is_telling(const struct line *line)
{
	static const char *const words[] = {
		"Kernel panic",
		"Out of memory",
		"BUG:",
		"Oops",
		"RIP:",
		"Failed to execute",
		"No working init",
		"Unable to mount root",
		"segfault at",
		"general protection",
		"Initramfs unpacking failed",
	};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (holds(line, words[i]))
			return true;
	}
	return false;
}

static bool is_panic(const struct line *line)
{
	return holds(line, "Kernel panic - not syncing");
}

/* Without "[    0.123456] " and blanks around it. */
static struct line trim(struct line line)
{
	const char *end;

	if (line.len > 0 && *line.text == '[' && (end = memchr(line.text, ']', line.len)) &&
	    strspn(line.text + 1, " 0123456789.T") + 1 >= (size_t)(end - line.text)) {
		line.len -= (size_t)(end + 1 - line.text);
		line.text = end + 1;
	}
	while (line.len > 0 && *line.text == ' ') {
		line.text++;
		line.len--;
	}
	while (line.len > 0 && line.text[line.len - 1] == ' ')
		line.len--;
	return line;
}

/* Cut lines off from the front of *rest; false at its end. */
static bool next_line(struct line *rest, struct line *ret)
{
	const char *end = rest->len ? memchr(rest->text, '\n', rest->len) : NULL;
	const size_t len = end ? (size_t)(end - rest->text) : rest->len;

	if (rest->len == 0)
		return false;
	*ret = trim((struct line){ rest->text, len });
	rest->text += len + (end ? 1 : 0);
	rest->len -= len + (end ? 1 : 0);
	return true;
}

static bool is_same(const struct line *a, const struct line *b)
{
	return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

struct telling {
	struct line *found; /* LINES_TOLD; the first one is the panic's */
	size_t n;
	bool panic;
};

static bool is_told(const struct telling *t, const struct line *line)
{
	for (size_t i = t->panic ? 0 : 1; i < t->n; i++) {
		if (is_same(&t->found[i], line))
			return true;
	}
	return false;
}

static void tell(struct telling *t, const struct line *line)
{
	if (line->len > 0 && t->n < LINES_TOLD && !is_told(t, line))
		t->found[t->n++] = *line;
}

/*
 * At most LINES_TOLD: the panic, then the others in their order. What a check of the kernel found
 * may stand before its BUG(); lines come twice.
 */
static size_t find_telling(struct line rest, struct line found[static LINES_TOLD])
{
	struct telling t = { .found = found, .n = 1 };
	struct line line, before = { "", 0 };

	for (; next_line(&rest, &line); before = holds(&line, "[ cut here ]") ? before : line) {
		const bool checked = holds(&line, "ernel BUG at ");

		if (is_panic(&line) && !t.panic) {
			found[0] = line;
			t.panic = true;
			continue;
		}
		if (holds(&line, "end Kernel panic"))
			continue;
		if (checked && !is_told(&t, &line))
			tell(&t, &before);
		if (checked || is_telling(&line))
			tell(&t, &line);
	}
	if (!t.panic)
		memmove(found, found + 1, --t.n * sizeof(*found));
	return t.n;
}

static size_t find_last(struct line rest, struct line found[static LINES_TOLD])
{
	struct line line;
	size_t n = 0;

	while (next_line(&rest, &line)) {
		if (line.len == 0)
			continue;
		if (n == LINES_LAST)
			memmove(found, found + 1, --n * sizeof(*found));
		found[n++] = line;
	}
	return n;
}

size_t vm_console_telling(const struct vm_console *console, char *text, size_t size)
{
	char all[VM_CONSOLE_BYTES];
	const struct line said = { all, unroll(console, all) };
	struct line found[LINES_TOLD];
	size_t n = find_telling(said, found), len = 0;

	if (n == 0)
		n = find_last(said, found);
	for (size_t i = 0; i < n && len + 3 < size; i++) {
		size_t part = found[i].len < LINE_TOLD ? found[i].len : LINE_TOLD;

		if (i > 0) {
			memcpy(text + len, "; ", 2);
			len += 2;
		}
		if (part > size - 1 - len)
			part = size - 1 - len;
		memcpy(text + len, found[i].text, part);
		len += part;
	}
	text[len] = '\0';
	return len;
}
