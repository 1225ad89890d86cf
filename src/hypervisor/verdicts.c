/* SPDX-License-Identifier: Apache-2.0 */
#include "hypervisor/verdicts.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "hypervisor/kept.h"

#define VERDICTS_MAX 8u /* that are kept: of several kernels, QEMUs and rights */
#define ENTRY_MAX    (VERDICT_KEY_MAX + sizeof(((struct probe *)0)->reason) + 8)
#define MEMORY_MAX   (VERDICTS_MAX * ENTRY_MAX)

/* One of two lines, a key and its verdict; *at is behind it then. False: there is none. */
static bool next_verdict(const char **at, size_t *ret_key, size_t *ret_len)
{
	const char *key_end = strchr(*at, '\n');
	const char *verdict_end = key_end ? strchr(key_end + 1, '\n') : NULL;

	if (!verdict_end)
		return false;
	*ret_key = (size_t)(key_end + 1 - *at);
	*ret_len = (size_t)(verdict_end + 1 - *at);
	*at = verdict_end + 1;
	return true;
}

static bool is_of(const struct buf *key, const char *text, size_t key_len)
{
	return key_len == key->len && memcmp(text, key->data, key_len) == 0;
}

/* "kvm" or "tcg REASON" */
static bool believe(const char *verdict, size_t len, struct probe *ret)
{
	if (len == 3 && memcmp(verdict, "kvm", len) == 0) {
		ret->accel = MACHINE_KVM;
		return true;
	}
	if (len < 4 || memcmp(verdict, "tcg ", 4) != 0)
		return false;
	ret->accel = MACHINE_TCG;
	(void)snprintf(ret->reason, sizeof(ret->reason), "%.*s", (int)len - 4, verdict + 4);
	return true;
}

bool verdicts_recall(const char *path, const struct buf *key, struct probe *ret)
{
	AUTO_BUF struct buf text = { .max = MEMORY_MAX };
	const char *at, *from;
	size_t key_len, len;

	if (kept_read(path, &text) < 0 || !text.data)
		return false;
	for (at = from = text.data; next_verdict(&at, &key_len, &len); from = at) {
		if (is_of(key, from, key_len))
			return believe(from + key_len, len - key_len - 1, ret);
	}
	return false;
}

/* The youngest first; those of another boot are the first to go. */
void verdicts_keep(const char *path, const struct buf *key, const struct probe *probe)
{
	AUTO_BUF struct buf old = { .max = MEMORY_MAX };
	AUTO_BUF struct buf text = { .max = MEMORY_MAX };
	const char *at, *from;
	size_t key_len, len;
	unsigned int kept = 1;

	(void)buf_append(&text, key->data, key->len);
	(void)buf_printf(&text, "%s%s\n", probe->accel == MACHINE_KVM ? "kvm" : "tcg ",
			 probe->reason);
	if (kept_read(path, &old) < 0 || !old.data)
		old.len = 0;
	at = from = old.len ? old.data : "";
	for (; kept < VERDICTS_MAX && next_verdict(&at, &key_len, &len); from = at) {
		if (is_of(key, from, key_len) || len > ENTRY_MAX)
			continue;
		(void)buf_append(&text, from, len);
		kept++;
	}
	if (!buf_error(&text))
		(void)fd_replace_file(AT_FDCWD, path, text.data, text.len, 0600);
}
