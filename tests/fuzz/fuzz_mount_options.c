/* SPDX-License-Identifier: Apache-2.0 */
/* mounts[].options: each line of the input is one option. */
#include <assert.h>
#include <linux/mount.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "host/ids.h"
#include "host/mount_options.h"

#define OPTIONS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct mount_options *o)
{
	struct ids_mount_maps maps;

	assert((o->flags & o->clear_flags) == 0);
	assert((o->attr_set & MOUNT_ATTR__ATIME) == 0 || (o->attr_clr & MOUNT_ATTR__ATIME));
	assert((o->rec_attr_set & MOUNT_ATTR__ATIME) == 0 || (o->rec_attr_clr & MOUNT_ATTR__ATIME));
	assert(((o->attr_set & o->attr_clr) & ~(uint64_t)MOUNT_ATTR__ATIME) == 0);
	assert(((o->rec_attr_set & o->rec_attr_clr) & ~(uint64_t)MOUNT_ATTR__ATIME) == 0);
	assert(!o->data || *o->data);
	assert(!o->idmap_spec || o->idmap);
	if (o->idmap_spec)
		(void)ids_parse_mount_maps(o->idmap_spec, &maps, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	const char *words[OPTIONS_MAX + 1];
	struct oci_strs options = { .items = words };
	struct mount_options o;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	for (char *p = text; p && options.len < OPTIONS_MAX;) {
		words[options.len++] = p;
		p = strchr(p, '\n');
		if (p)
			*p++ = '\0';
	}
	words[options.len] = NULL;
	if (mount_options_parse(&options, &o, NULL) == 0) {
		check(&o);
		mount_options_done(&o);
	}
	free(text);
	return 0;
}
