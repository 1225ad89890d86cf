/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The texts of cgroup statistics files, strictly: every line is understood or the whole is refused.
 * Custom kernels do add fields; fields are added as keys, which are kept, not as new line forms.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "host/cgroup_stats.h"

#define KVS_MAX	    4096
#define NUMBERS_MAX 65536 /* CPUs, nodes */
#define IO_MAX	    262144

/* Room for one more item. */
static int grow(void **items, size_t len, size_t *cap, size_t size, size_t max)
{
	const size_t wanted = *cap ? *cap * 2 : 16;
	void *grown;

	if (len < *cap)
		return 0;
	if (len >= max)
		return -E2BIG;
	grown = reallocarray(*items, wanted, size);
	if (!grown)
		return -ENOMEM;
	*items = grown;
	*cap = wanted;
	return 0;
}

static int add_number(struct cgroup_u64s *list, uint64_t v)
{
	const int r = grow((void **)&list->items, list->len, &list->cap, sizeof(list->items[0]),
			   NUMBERS_MAX);

	if (r == 0)
		list->items[list->len++] = v;
	return r;
}

void cgroup_u64s_done(struct cgroup_u64s *list)
{
	free(list->items);
	*list = (struct cgroup_u64s){ 0 };
}

void cgroup_kvs_done(struct cgroup_kvs *list)
{
	for (size_t i = 0; i < list->len; i++)
		free(list->items[i].key);
	free(list->items);
	*list = (struct cgroup_kvs){ 0 };
}

void cgroup_io_list_done(struct cgroup_io_list *list)
{
	free(list->items);
	*list = (struct cgroup_io_list){ 0 };
}

uint64_t cgroup_kvs_get(const struct cgroup_kvs *list, const char *key)
{
	for (size_t i = 0; i < list->len; i++) {
		if (str_eq(list->items[i].key, key))
			return list->items[i].value;
	}
	return 0;
}

static int add_kv(struct cgroup_kvs *ret, char *line)
{
	char *value = strchr(line, ' ');
	int r = grow((void **)&ret->items, ret->len, &ret->cap, sizeof(ret->items[0]), KVS_MAX);
	uint64_t v;

	if (r < 0)
		return r;
	if (!value || value == line)
		return -EINVAL;
	*value++ = '\0';
	r = str_to_u64(value, UINT64_MAX, &v);
	if (r < 0)
		return r;
	ret->items[ret->len].key = strdup(line);
	if (!ret->items[ret->len].key)
		return -ENOMEM;
	ret->items[ret->len++].value = v;
	return 0;
}

int cgroup_parse_kvs(const char *text, struct cgroup_kvs *ret)
{
	AUTO_FREE char *copy = strdup(text);
	char *save = NULL;
	int r = copy ? 0 : -ENOMEM;

	for (char *line = r == 0 ? strtok_r(copy, "\n", &save) : NULL; line && r == 0;
	     line = strtok_r(NULL, "\n", &save))
		r = add_kv(ret, line);
	return r;
}

int cgroup_parse_numbers(const char *text, struct cgroup_u64s *ret)
{
	AUTO_FREE char *copy = strdup(text);
	char *save = NULL;
	int r = copy ? 0 : -ENOMEM;

	for (char *word = r == 0 ? strtok_r(copy, " \n", &save) : NULL; word && r == 0;
	     word = strtok_r(NULL, " \n", &save)) {
		uint64_t v;

		r = str_to_u64(word, UINT64_MAX, &v);
		if (r == 0)
			r = add_number(ret, v);
	}
	return r;
}

int cgroup_parse_ranges(const char *text, struct cgroup_u64s *ret)
{
	AUTO_FREE char *copy = strdup(text);
	char *save = NULL;
	int r = copy ? 0 : -ENOMEM;

	for (char *range = r == 0 ? strtok_r(copy, ",\n", &save) : NULL; range && r == 0;
	     range = strtok_r(NULL, ",\n", &save)) {
		char *dash = strchr(range, '-');
		uint64_t first, last;

		if (dash)
			*dash++ = '\0';
		r = str_to_u64(range, UINT16_MAX, &first);
		if (r == 0)
			r = str_to_u64(dash ? dash : range, UINT16_MAX, &last);
		if (r == 0 && last < first)
			r = -EINVAL;
		for (uint64_t i = 0; r == 0 && i <= last - first; i++)
			r = add_number(ret, first + i);
	}
	return r;
}

/* "cpu user system", then "N USER SYSTEM" a CPU. */
int cgroup_parse_usage_all(const char *text, struct cgroup_u64s *user, struct cgroup_u64s *system)
{
	static const char head[] = "cpu user system\n";
	struct cgroup_u64s all = { 0 };
	int r;

	if (!str_after(text, head))
		return -EINVAL;
	r = cgroup_parse_numbers(text + strlen(head), &all);
	if (r == 0 && all.len % 3 != 0)
		r = -EINVAL;
	for (size_t i = 0; r == 0 && i < all.len; i += 3) {
		r = add_number(user, all.items[i + 1]);
		if (r == 0)
			r = add_number(system, all.items[i + 2]);
	}
	cgroup_u64s_done(&all);
	return r;
}

static int add_io(struct cgroup_io_list *list, const struct cgroup_io_entry *e)
{
	const int r =
		grow((void **)&list->items, list->len, &list->cap, sizeof(list->items[0]), IO_MAX);

	if (r == 0)
		list->items[list->len++] = *e;
	return r;
}

/* "8:16" */
static int parse_device(char *text, struct cgroup_io_entry *e)
{
	char *minor = strchr(text, ':');
	int r;

	if (!minor)
		return -EINVAL;
	*minor++ = '\0';
	r = str_to_u64(text, UINT32_MAX, &e->major);
	return r < 0 ? r : str_to_u64(minor, UINT32_MAX, &e->minor);
}

/* "8:0 Read 123" or "8:0 123"; the sum "Total 123" is left out, as runc does. */
static int parse_blkio_line(char *line, struct cgroup_io_list *ret)
{
	struct cgroup_io_entry e = { 0 };
	char *save = NULL;
	char *device = strtok_r(line, " ", &save);
	char *op = strtok_r(NULL, " ", &save);
	char *value = strtok_r(NULL, " ", &save);
	int r;

	if (!op || strtok_r(NULL, " ", &save))
		return -EINVAL;
	if (!value) {
		value = op;
		op = NULL;
	}
	r = str_to_u64(value, UINT64_MAX, &e.value);
	if (r < 0)
		return r;
	if (!op && str_eq(device, "Total"))
		return 0;
	if (op && strlen(op) >= sizeof(e.op))
		return -EINVAL;
	(void)snprintf(e.op, sizeof(e.op), "%s", op ? op : "");
	r = parse_device(device, &e);
	return r < 0 ? r : add_io(ret, &e);
}

int cgroup_parse_blkio(const char *text, struct cgroup_io_list *ret)
{
	AUTO_FREE char *copy = strdup(text);
	char *save = NULL;
	int r = copy ? 0 : -ENOMEM;

	for (char *line = r == 0 ? strtok_r(copy, "\n", &save) : NULL; line && r == 0;
	     line = strtok_r(NULL, "\n", &save))
		r = parse_blkio_line(line, ret);
	return r;
}

/* "rbytes=1": one of four keys is kept, others are the kernel's own. */
static int parse_io_pair(char *pair, struct cgroup_io_entry e, struct cgroup_io_list *bytes,
			 struct cgroup_io_list *serviced)
{
	static const struct {
		const char *key, *op;
		bool is_bytes;
	} keys[] = {
		{ "rbytes=", "Read", true },
		{ "wbytes=", "Write", true },
		{ "rios=", "Read", false },
		{ "wios=", "Write", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		const char *value = str_after(pair, keys[i].key);
		int r;

		if (!value)
			continue;
		r = str_to_u64(value, UINT64_MAX, &e.value);
		if (r < 0)
			return r;
		(void)snprintf(e.op, sizeof(e.op), "%s", keys[i].op);
		return add_io(keys[i].is_bytes ? bytes : serviced, &e);
	}
	return strchr(pair, '=') ? 0 : -EINVAL;
}

int cgroup_parse_io_stat(const char *text, struct cgroup_io_list *bytes,
			 struct cgroup_io_list *serviced)
{
	AUTO_FREE char *copy = strdup(text);
	char *save = NULL;
	int r = copy ? 0 : -ENOMEM;

	for (char *line = r == 0 ? strtok_r(copy, "\n", &save) : NULL; line && r == 0;
	     line = strtok_r(NULL, "\n", &save)) {
		struct cgroup_io_entry e = { 0 };
		char *words = NULL;
		char *device = strtok_r(line, " ", &words);

		r = device ? parse_device(device, &e) : -EINVAL;
		for (char *pair; r == 0 && (pair = strtok_r(NULL, " ", &words)) != NULL;)
			r = parse_io_pair(pair, e, bytes, serviced);
	}
	return r;
}

/* "12.34" as a number of hundredths divided by 100. */
static int parse_percent(const char *text, double *ret)
{
	char whole[8];
	const size_t n = strcspn(text, ".");
	uint64_t units, hundredths = 0;

	if (n == 0 || n >= sizeof(whole))
		return -EINVAL;
	memcpy(whole, text, n);
	whole[n] = '\0';
	if (str_to_u64(whole, 1000, &units) < 0)
		return -EINVAL;
	if (text[n] && (strlen(text + n + 1) != 2 || str_to_u64(text + n + 1, 99, &hundredths) < 0))
		return -EINVAL;
	*ret = (double)(units * 100 + hundredths) / 100;
	return 0;
}

/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=0" and the same for full. */
static int parse_psi_line(char *line, struct cgroup_psi *ret)
{
	char *save = NULL;
	const char *kind = strtok_r(line, " ", &save);
	const bool some = str_eq(kind, "some");
	double *avg[] = { some ? &ret->some.avg10 : &ret->full.avg10,
			  some ? &ret->some.avg60 : &ret->full.avg60,
			  some ? &ret->some.avg300 : &ret->full.avg300 };
	static const char *const keys[] = { "avg10=", "avg60=", "avg300=" };
	const char *word, *value;

	if (!some && !str_eq(kind, "full"))
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		word = strtok_r(NULL, " ", &save);
		value = word ? str_after(word, keys[i]) : NULL;
		if (!value || parse_percent(value, avg[i]) < 0)
			return -EINVAL;
	}
	word = strtok_r(NULL, " ", &save);
	value = word ? str_after(word, "total=") : NULL;
	return value ? str_to_u64(value, UINT64_MAX,
				  some ? &ret->some.total_us : &ret->full.total_us)
		     : -EINVAL;
}

int cgroup_parse_psi(const char *text, struct cgroup_psi *ret)
{
	AUTO_FREE char *copy = strdup(text);
	char *save = NULL;
	int r = copy ? 0 : -ENOMEM;

	for (char *line = r == 0 ? strtok_r(copy, "\n", &save) : NULL; line && r == 0;
	     line = strtok_r(NULL, "\n", &save))
		r = parse_psi_line(line, ret);
	if (r == 0)
		ret->set = true;
	return r;
}
