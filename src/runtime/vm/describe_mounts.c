/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/vm/describe_mounts.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "base/str.h"
#include "host/mount_options.h"

#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif

static const struct {
	uint64_t flag;
	const char *word;
} flag_words[] = {
	{ MS_RDONLY, "ro" },
	{ MS_NOSUID, "nosuid" },
	{ MS_NODEV, "nodev" },
	{ MS_NOEXEC, "noexec" },
	{ MS_NOATIME, "noatime" },
	{ MS_NODIRATIME, "nodiratime" },
	{ MS_STRICTATIME, "strictatime" },
	{ MS_NOSYMFOLLOW, "nosymfollow" },
};

/* Of an entry besides its own options: "bind", flags, propagation, the end. */
#define WORDS_MORE (ARRAY_LEN(flag_words) + 3)

void guest_mounts_done(struct guest_mounts *mounts)
{
	free(mounts->items);
	free(mounts->words);
	strv_free(mounts->texts);
	*mounts = (struct guest_mounts){ 0 };
}

static void add_word(struct guest_mounts *g, struct oci_strs *list, const char *word)
{
	if (list->len == 0)
		list->items = &g->words[g->words_len];
	g->words[g->words_len++] = word;
	list->len++;
}

static void add_flags(struct guest_mounts *g, struct oci_strs *list, uint64_t flags)
{
	for (size_t i = 0; i < ARRAY_LEN(flag_words); i++) {
		if (flags & flag_words[i].flag)
			add_word(g, list, flag_words[i].word);
	}
}

/* Maps of ids are the clone's on the host; what was made there has no data any more. */
static bool is_for_guest(const char *word, bool made)
{
	if (str_after(word, "idmap") || str_after(word, "ridmap"))
		return false;
	for (const char *const *known = mount_options_known(); made && *known; known++) {
		if (str_eq(*known, word))
			return true;
	}
	return !made;
}

/* The last word that also concerns the mounts below; NULL: there is none. */
static const char *recursive_propagation(const struct oci_strs *options)
{
	static const char *const words[] = { "rshared", "rslave", "rprivate", "runbindable" };
	const char *found = NULL;

	for (size_t i = 0; i < options->len; i++) {
		for (size_t k = 0; k < ARRAY_LEN(words); k++) {
			if (str_eq(options->items[i], words[k]))
				found = words[k];
		}
	}
	return found;
}

static void take_bind(struct guest_mounts *g, const struct share_mount *s,
		      const struct oci_mount *from)
{
	struct oci_mount *m = &g->items[g->len++];

	*m = *from;
	m->source = s->path;
	m->uid_maps = m->gid_maps = (struct oci_id_maps){ 0 };
	m->options = (struct oci_strs){ 0 };
	if (s->made) {
		m->type = "bind";
		add_word(g, &m->options, "bind");
	}
	for (size_t i = 0; i < from->options.len; i++) {
		if (is_for_guest(from->options.items[i], s->made))
			add_word(g, &m->options, from->options.items[i]);
	}
	add_flags(g, &m->options, s->flags);
	g->words_len++; /* the end of the list */
}

/* "parent/place" as a text of ours; NULL: no memory. */
static const char *join(struct guest_mounts *g, const char *parent, const char *place)
{
	char *text;

	if (str_printf(&text, "%s/%s", str_eq(parent, "/") ? "" : parent, place) < 0 ||
	    strv_push(&g->texts, text) < 0)
		return NULL;
	return text;
}

static int take_below(struct guest_mounts *g, const struct share_mount *s,
		      const struct oci_mount *from)
{
	const char *propagation = recursive_propagation(&from->options);

	for (size_t i = 0; i < s->below_len; i++) {
		struct oci_mount *m = &g->items[g->len++];

		*m = (struct oci_mount){ .type = "bind" };
		m->destination = join(g, from->destination, s->below[i].place);
		m->source = join(g, s->path, s->below[i].place);
		if (!m->destination || !m->source)
			return -ENOMEM;
		add_word(g, &m->options, "bind");
		add_flags(g, &m->options, s->below[i].flags);
		if (propagation)
			add_word(g, &m->options, propagation);
		g->words_len++;
	}
	return 0;
}

int describe_guest_mounts(const struct oci_spec *spec, const struct share *share,
			  struct guest_mounts *ret, struct err *err)
{
	size_t len = spec->mounts_len, words = 0;
	int r = 0;

	for (size_t i = 0; i < spec->mounts_len; i++) {
		len += share->mounts[i].below_len;
		words += spec->mounts[i].options.len;
	}
	ret->items = calloc(len + 1, sizeof(*ret->items));
	ret->words = calloc(words + len * WORDS_MORE + 1, sizeof(*ret->words));
	if (!ret->items || !ret->words)
		return err_sys(err, -ENOMEM, "mounts");
	for (size_t i = 0; r == 0 && i < spec->mounts_len; i++) {
		const struct share_mount *s = &share->mounts[i];

		if (s->kind == SHARE_NOTHING) {
			ret->items[ret->len++] = spec->mounts[i];
			continue;
		}
		take_bind(ret, s, &spec->mounts[i]);
		r = take_below(ret, s, &spec->mounts[i]);
	}
	return r < 0 ? err_sys(err, r, "mounts") : 0;
}
