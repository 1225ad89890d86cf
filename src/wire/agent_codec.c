/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A body is a table of fields, a field one row: what it is, where it stands in the struct and what
 * it may be. code_fields() walks a table and writes or reads: struct coder knows the direction.
 * After the first failure a coder does nothing more and keeps its sentence. What is judged is
 * judged in both directions, so that nothing is sent that the other end refuses.
 */
#include "wire/agent_codec.h"

#include <linux/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/str.h"

#define CPUS_MAX      1024
#define ENTROPY_MIN   32
#define ENTROPY_MAX   4096
#define WORD_MAX      65 /* bytes of a short name, NUL included */
#define CODE_MAX      255
#define SECCOMP_FLAGS 0x3f /* SECCOMP_FILTER_FLAG_TSYNC to WAIT_KILLABLE_RECV */

enum field_kind {
	FIELD_U32,   /* from min to max */
	FIELD_FLAGS, /* u32 with bits of max alone */
	FIELD_I32,   /* from min to max */
	FIELD_U64,
	FIELD_RAW,    /* max bytes without a length */
	FIELD_TEXT,   /* const char *, min to max bytes with its NUL */
	FIELD_BYTES,  /* struct agent_bytes, min to max bytes, a multiple of unit */
	FIELD_STRUCT, /* fields of its own in the same struct */
	FIELD_LIST,   /* an array of at most max structs of `unit` bytes, a u32 behind it counts */
	FIELD_ITEMS,  /* struct agent_processes */
};

struct table;

/* `body`: the whole struct; `field`: what the row is about. NULL, or why it is refused. */
typedef const char *check_fn(const void *body, const void *field);

struct field {
	const char *name;
	enum field_kind kind;
	size_t at;
	int64_t min, max;
	size_t unit, len_at;
	const struct table *table;
	check_fn *check;
};

struct table {
	const struct field *fields;
	size_t len;
	size_t size; /* of the struct */
};

struct coder {
	const char *body_name;
	void *body;
	struct buf *out; /* NULL: decode */
	const char *in;
	size_t left;
	struct err *err;
	int r;
	char where[64]; /* "storages[3]." */
};

/* ---- What a field may be, beside its limits ---- */

static const char *check_absolute(const void *body, const void *field)
{
	const char *path = *(const char *const *)field;

	(void)body;
	return path[0] == '/' ? NULL : "not an absolute path";
}

static const char *check_link(const void *body, const void *field)
{
	const struct agent_network *n = body;

	return *(const uint32_t *)field < n->links_len ? NULL : "no such link";
}

/* Unreachable routes have none. */
static const char *check_route_link(const void *body, const void *field)
{
	return *(const uint32_t *)field == 0 ? NULL : check_link(body, field);
}

/* 1 + index, or 0. */
static const char *check_rule_link(const void *body, const void *field)
{
	const struct agent_network *n = body;

	return *(const uint32_t *)field <= n->links_len ? NULL : "no such link";
}

static const char *check_address(const void *body, const void *field)
{
	const struct agent_ip *ip = field;

	(void)body;
	if (ip->family != AF_INET && ip->family != AF_INET6)
		return "not a known family";
	return ip->prefix <= (ip->family == AF_INET ? 32 : 128) ? NULL : "its prefix is too long";
}

static const char *check_maybe_address(const void *body, const void *field)
{
	const struct agent_ip *ip = field;

	return ip->family == 0 ? NULL : check_address(body, field);
}

static const char *check_processes(const void *body, const void *field)
{
	const struct agent_processes *list = field;

	(void)body;
	for (uint32_t i = 0; i < list->len; i++) {
		struct sentry_ps ps;

		memcpy(&ps, (const char *)(const void *)list->items + i * sizeof(ps), sizeof(ps));
		if (!memchr(ps.comm, '\0', sizeof(ps.comm)) ||
		    !memchr(ps.command, '\0', sizeof(ps.command)))
			return "a text without an end";
		if (ps.pid <= 0 || ps.ppid < 0)
			return "a process without a number";
		if (ps.state < 'A' || (ps.state > 'Z' && ps.state < 'a') || ps.state > 'z')
			return "a state that is no letter";
	}
	return NULL;
}

/* ---- The tables ---- */

#define AT(s, m) .name = #m, .at = offsetof(struct s, m)
#define U32(s, m, lo, hi)                                             \
	{                                                             \
		AT(s, m), .kind = FIELD_U32, .min = (lo), .max = (hi) \
	}
#define ANY_U32(s, m) U32(s, m, 0, UINT32_MAX)
#define LINK(s, m, hi, judge)                                              \
	{                                                                  \
		AT(s, m), .kind = FIELD_U32, .max = (hi), .check = (judge) \
	}
#define FLAGS(s, m, mask)                                    \
	{                                                    \
		AT(s, m), .kind = FIELD_FLAGS, .max = (mask) \
	}
#define I32(s, m, lo, hi)                                             \
	{                                                             \
		AT(s, m), .kind = FIELD_I32, .min = (lo), .max = (hi) \
	}
#define U64(s, m)                           \
	{                                   \
		AT(s, m), .kind = FIELD_U64 \
	}
#define RAW(s, m)                                                              \
	{                                                                      \
		AT(s, m), .kind = FIELD_RAW, .max = sizeof(((struct s *)0)->m) \
	}
/* lo 1: it may be empty; 2: it may not. */
#define TEXT(s, m, lo, hi)                                             \
	{                                                              \
		AT(s, m), .kind = FIELD_TEXT, .min = (lo), .max = (hi) \
	}
#define ABSOLUTE(s, m)                                                         \
	{                                                                      \
		AT(s, m), .kind = FIELD_TEXT, .min = 2, .max = AGENT_PATH_MAX, \
			  .check = check_absolute                              \
	}
#define BYTES(s, m, lo, hi, multiple)                                                       \
	{                                                                                   \
		AT(s, m), .kind = FIELD_BYTES, .min = (lo), .max = (hi), .unit = (multiple) \
	}
#define STRUCT(s, m, of, judge)                                                        \
	{                                                                              \
		AT(s, m), .kind = FIELD_STRUCT, .table = &of##_table, .check = (judge) \
	}
#define LIST(s, m, hi, of)                                                                        \
	{                                                                                         \
		AT(s, m), .kind = FIELD_LIST, .max = (hi), .unit = sizeof(((struct s *)0)->m[0]), \
			  .len_at = offsetof(struct s, m##_len), .table = &of##_table             \
	}
#define TABLE(name)                                                                         \
	static const struct table name##_table = { name##_fields, ARRAY_LEN(name##_fields), \
						   sizeof(struct agent_##name) }

#define ID(s)	   TEXT(s, id, 2, AGENT_NAME_MAX)
#define CONFIG(s)  BYTES(s, config, 1, AGENT_REQUEST_MAX, 1)
#define SECCOMP(s) BYTES(s, seccomp, 0, AGENT_SECCOMP_MAX, sizeof(struct sentry_bpf))

static const struct table nothing_table;

static const struct field container_fields[] = { ID(agent_container) };
TABLE(container);

static const struct field io_fields[] = {
	U32(agent_io, in, 0, AGENT_STREAM_MAX),	 U32(agent_io, out, 0, AGENT_STREAM_MAX),
	U32(agent_io, err, 0, AGENT_STREAM_MAX), U32(agent_io, terminal, 0, 1),
	U32(agent_io, rows, 0, UINT16_MAX),	 U32(agent_io, cols, 0, UINT16_MAX),
};
TABLE(io);

static const struct field storage_fields[] = {
	TEXT(agent_storage, source, 1, AGENT_PATH_MAX),
	ABSOLUTE(agent_storage, target),
	TEXT(agent_storage, type, 1, WORD_MAX),
	TEXT(agent_storage, options, 1, AGENT_PATH_MAX),
	U64(agent_storage, mount_flags),
	FLAGS(agent_storage, flags, AGENT_STORAGE_SHARED),
};
TABLE(storage);

static const struct field create_fields[] = {
	ID(agent_create),
	CONFIG(agent_create),
	SECCOMP(agent_create),
	FLAGS(agent_create, seccomp_flags, SECCOMP_FLAGS),
	STRUCT(agent_create, io, io, NULL),
	LIST(agent_create, storages, AGENT_STORAGES_MAX, storage),
	TEXT(agent_create, bundle, 1, AGENT_PATH_MAX),
	FLAGS(agent_create, flags, AGENT_CREATE_SHELL),
};
TABLE(create);

static const struct field exec_fields[] = {
	ID(agent_exec),
	CONFIG(agent_exec),
	SECCOMP(agent_exec),
	FLAGS(agent_exec, seccomp_flags, SECCOMP_FLAGS),
	STRUCT(agent_exec, io, io, NULL),
	TEXT(agent_exec, cgroup, 1, AGENT_PATH_MAX),
	FLAGS(agent_exec, flags, AGENT_EXEC_SHELL),
};
TABLE(exec);

static const struct field pid_fields[] = { I32(agent_pid, pid, 1, INT32_MAX) };
TABLE(pid);

static const struct field signal_fields[] = {
	ID(agent_signal),
	I32(agent_signal, pid, 0, INT32_MAX),
	U32(agent_signal, signal, 0, 64),
	FLAGS(agent_signal, flags, SENTRY_SIGNAL_ALL | SENTRY_SIGNAL_TTY),
};
TABLE(signal);

static const struct field resize_fields[] = {
	ID(agent_resize),
	I32(agent_resize, pid, 0, INT32_MAX),
	U32(agent_resize, rows, 0, UINT16_MAX),
	U32(agent_resize, cols, 0, UINT16_MAX),
};
TABLE(resize);

static const struct field forward_fields[] = {
	ID(agent_forward),
	U32(agent_forward, port, 1, UINT16_MAX),
	U32(agent_forward, in, 1, AGENT_STREAM_MAX),
	U32(agent_forward, out, 1, AGENT_STREAM_MAX),
};
TABLE(forward);

static const struct field update_fields[] = { ID(agent_update), CONFIG(agent_update) };
TABLE(update);

static const struct field stats_fields[] = {
	U64(agent_stats, cpu_usage_ns),
	U64(agent_stats, cpu_user_ns),
	U64(agent_stats, cpu_system_ns),
	U64(agent_stats, cpu_periods),
	U64(agent_stats, cpu_throttled),
	U64(agent_stats, cpu_throttled_ns),
	U64(agent_stats, memory_usage),
	U64(agent_stats, memory_limit),
	U64(agent_stats, memory_peak),
	U64(agent_stats, memory_swap),
	U64(agent_stats, memory_anon),
	U64(agent_stats, memory_file),
	U64(agent_stats, memory_kernel),
	U64(agent_stats, memory_faults),
	U64(agent_stats, memory_major_faults),
	U64(agent_stats, oom_kills),
	U64(agent_stats, pids),
	U64(agent_stats, pids_limit),
	U64(agent_stats, io_read_bytes),
	U64(agent_stats, io_write_bytes),
	U64(agent_stats, io_reads),
	U64(agent_stats, io_writes),
	U64(agent_stats, total_memory),
	U64(agent_stats, free_memory),
	U64(agent_stats, uptime_ns),
};
TABLE(stats);

static const struct field processes_fields[] = {
	{ .name = "items",
	  .kind = FIELD_ITEMS,
	  .max = AGENT_PROCESSES_MAX,
	  .check = check_processes },
};
TABLE(processes);

static const struct field ip_fields[] = {
	U32(agent_ip, family, 0, AF_INET6),
	RAW(agent_ip, bytes),
	U32(agent_ip, prefix, 0, 128),
};
TABLE(ip);

static const struct field link_fields[] = {
	TEXT(agent_link, name, 2, IFNAMSIZ),
	RAW(agent_link, mac),
	ANY_U32(agent_link, mtu),
	ANY_U32(agent_link, flags),
};
TABLE(link);

static const struct field address_fields[] = {
	LINK(agent_address, link, AGENT_LINKS_MAX - 1, check_link),
	STRUCT(agent_address, ip, ip, check_address),
	STRUCT(agent_address, peer, ip, check_maybe_address),
	RAW(agent_address, broadcast),
	ANY_U32(agent_address, scope),
	ANY_U32(agent_address, flags),
};
TABLE(address);

static const struct field route_fields[] = {
	LINK(agent_route, link, AGENT_LINKS_MAX - 1, check_route_link),
	STRUCT(agent_route, to, ip, check_address),
	STRUCT(agent_route, gateway, ip, check_maybe_address),
	STRUCT(agent_route, source, ip, check_maybe_address),
	ANY_U32(agent_route, scope),
	ANY_U32(agent_route, protocol),
	ANY_U32(agent_route, type),
	ANY_U32(agent_route, table),
	ANY_U32(agent_route, metric),
	ANY_U32(agent_route, flags),
	ANY_U32(agent_route, mtu),
};
TABLE(route);

static const struct field neighbour_fields[] = {
	LINK(agent_neighbour, link, AGENT_LINKS_MAX - 1, check_link),
	STRUCT(agent_neighbour, ip, ip, check_address),
	RAW(agent_neighbour, mac),
	ANY_U32(agent_neighbour, state),
};
TABLE(neighbour);

static const struct field rule_fields[] = {
	U32(agent_rule, family, 0, AF_INET6),
	STRUCT(agent_rule, from, ip, check_maybe_address),
	STRUCT(agent_rule, to, ip, check_maybe_address),
	LINK(agent_rule, in_link, AGENT_LINKS_MAX, check_rule_link),
	LINK(agent_rule, out_link, AGENT_LINKS_MAX, check_rule_link),
	ANY_U32(agent_rule, priority),
	ANY_U32(agent_rule, table),
	ANY_U32(agent_rule, action),
	ANY_U32(agent_rule, flags),
	ANY_U32(agent_rule, mark),
	ANY_U32(agent_rule, mask),
};
TABLE(rule);

static const struct field network_fields[] = {
	LIST(agent_network, links, AGENT_LINKS_MAX, link),
	LIST(agent_network, addresses, AGENT_ADDRESSES_MAX, address),
	LIST(agent_network, routes, AGENT_ROUTES_MAX, route),
	LIST(agent_network, neighbours, AGENT_NEIGHBOURS_MAX, neighbour),
	LIST(agent_network, rules, AGENT_RULES_MAX, rule),
};
TABLE(network);

static const struct field online_fields[] = { U32(agent_online, cpus, 1, CPUS_MAX) };
TABLE(online);

static const struct field reset_fields[] = {
	U64(agent_reset, time_ns),
	BYTES(agent_reset, entropy, ENTROPY_MIN, ENTROPY_MAX, 1),
	TEXT(agent_reset, hostname, 1, WORD_MAX),
};
TABLE(reset);

static const struct field cancel_fields[] = { U32(agent_cancel, serial, 1, UINT32_MAX) };
TABLE(cancel);

static const struct field debug_fields[] = { TEXT(agent_debug, what, 2, WORD_MAX) };
TABLE(debug);

static const struct field text_fields[] = { TEXT(agent_text, text, 1, AGENT_DEBUG_MAX) };
TABLE(text);

static const struct field exited_fields[] = {
	ID(agent_exited),
	I32(agent_exited, pid, 1, INT32_MAX),
	I32(agent_exited, code, 0, CODE_MAX),
};
TABLE(exited);

/* A struct that has grown needs a row more, then these numbers. */
#define SIZE_IS(s, bytes) \
	_Static_assert(sizeof(struct agent_##s) == (bytes), "a row for each field of " #s)
SIZE_IS(container, 8);
SIZE_IS(io, 24);
SIZE_IS(storage, 48);
SIZE_IS(create, 4704);
SIZE_IS(exec, 88);
SIZE_IS(pid, 4);
SIZE_IS(signal, 24);
SIZE_IS(resize, 24);
SIZE_IS(update, 24);
SIZE_IS(stats, 200);
SIZE_IS(processes, 16);
SIZE_IS(ip, 24);
SIZE_IS(link, 24);
SIZE_IS(address, 64);
SIZE_IS(route, 104);
SIZE_IS(neighbour, 40);
SIZE_IS(rule, 84);
SIZE_IS(network, 46552);
SIZE_IS(online, 4);
SIZE_IS(reset, 32);
SIZE_IS(cancel, 4);
SIZE_IS(debug, 8);
SIZE_IS(text, 8);
SIZE_IS(exited, 16);

struct call {
	const char *name;
	const struct table *request, *answer;
};

static const struct call calls[AGENT_CALLS] = {
	[AGENT_CREATE] = { "CREATE", &create_table, &pid_table },
	[AGENT_START] = { "START", &container_table, &nothing_table },
	[AGENT_EXEC] = { "EXEC", &exec_table, &pid_table },
	[AGENT_SIGNAL] = { "SIGNAL", &signal_table, &nothing_table },
	[AGENT_RESIZE] = { "RESIZE", &resize_table, &nothing_table },
	[AGENT_UPDATE] = { "UPDATE", &update_table, &nothing_table },
	[AGENT_STATS] = { "STATS", &container_table, &stats_table },
	[AGENT_PS] = { "PS", &container_table, &processes_table },
	[AGENT_PAUSE] = { "PAUSE", &container_table, &nothing_table },
	[AGENT_RESUME] = { "RESUME", &container_table, &nothing_table },
	[AGENT_DELETE] = { "DELETE", &container_table, &nothing_table },
	[AGENT_REFRESH] = { "REFRESH", &container_table, &nothing_table },
	[AGENT_NETWORK] = { "NETWORK", &network_table, &nothing_table },
	[AGENT_ONLINE] = { "ONLINE", &online_table, &nothing_table },
	[AGENT_RESET] = { "RESET", &reset_table, &nothing_table },
	[AGENT_DEBUG] = { "DEBUG", &debug_table, &text_table },
	[AGENT_SHUTDOWN] = { "SHUTDOWN", &nothing_table, &nothing_table },
	[AGENT_CANCEL] = { "CANCEL", &cancel_table, &nothing_table },
	[AGENT_PING] = { "PING", &nothing_table, &nothing_table },
	[AGENT_FORWARD] = { "FORWARD", &forward_table, &nothing_table },
};

static const struct call events[AGENT_EVENTS] = {
	[AGENT_EXITED] = { "EXITED", &exited_table, NULL },
	[AGENT_OOM] = { "OOM", &container_table, NULL },
};

/* ---- The walk ---- */

static void fail(struct coder *c, const struct field *f, const char *why)
{
	if (c->r == 0)
		c->r = err_set(c->err, c->out ? -EINVAL : -EBADMSG, "agent: %s: %s%s: %s",
			       c->body_name, c->where, f->name, why);
}

static void code_bytes(struct coder *c, const struct field *f, void *bytes, size_t len)
{
	if (c->r < 0)
		return;
	if (c->out) {
		const int r = buf_append(c->out, bytes, len);

		if (r < 0)
			c->r = err_sys(c->err, r, "agent: %s: %s%s", c->body_name, c->where,
				       f->name);
		return;
	}
	if (len > c->left) {
		fail(c, f, "cut off");
		return;
	}
	memcpy(bytes, c->in, len);
	c->in += len;
	c->left -= len;
}

/* A number of 4 bytes from min to max. */
static uint32_t code_number(struct coder *c, const struct field *f, uint32_t v, int64_t min,
			    int64_t max)
{
	code_bytes(c, f, &v, sizeof(v));
	if (c->r == 0 && v < min)
		fail(c, f, min == 1 ? "0" : "too small");
	if (c->r == 0 && v > max)
		fail(c, f, "too large");
	return v;
}

/*
 * The length of something that follows, in units of `size`. True: go on; when reading as many bytes
 * are there.
 */
static bool code_length(struct coder *c, const struct field *f, uint32_t *len, size_t size)
{
	code_bytes(c, f, len, sizeof(*len));
	if (c->r == 0 && *len < f->min)
		fail(c, f, f->kind == FIELD_TEXT || f->min == 1 ? "empty" : "too short");
	if (c->r == 0 && *len > f->max)
		fail(c, f, "too long");
	if (c->r == 0 && !c->out && (uint64_t)*len * size > c->left)
		fail(c, f, "cut off");
	return c->r == 0;
}

/* What was counted by code_length(): a pointer into the bytes when reading. */
static const void *code_borrowed(struct coder *c, const struct field *f, const void *bytes,
				 size_t len)
{
	if (c->out) {
		const int r = buf_append(c->out, bytes, len);

		if (r < 0)
			c->r = err_sys(c->err, r, "agent: %s: %s%s", c->body_name, c->where,
				       f->name);
		return bytes;
	}
	bytes = c->in;
	c->in += len;
	c->left -= len;
	return bytes;
}

/* NULL is written as "". */
static void code_text(struct coder *c, const struct field *f, const char **text)
{
	uint32_t len = 0;

	if (c->out) {
		if (!*text)
			*text = "";
		len = (uint32_t)strnlen(*text, (size_t)f->max) + 1;
	}
	if (!code_length(c, f, &len, 1))
		return;
	*text = code_borrowed(c, f, *text, len);
	if (c->r == 0 && strnlen(*text, len) != len - 1)
		fail(c, f, "not a text");
}

static void code_block(struct coder *c, const struct field *f, struct agent_bytes *b)
{
	if (!code_length(c, f, &b->len, 1))
		return;
	if (b->len % f->unit)
		fail(c, f, "not whole");
	else
		b->bytes = code_borrowed(c, f, b->bytes, b->len);
}

static void code_items(struct coder *c, const struct field *f, struct agent_processes *p)
{
	if (code_length(c, f, &p->len, sizeof(*p->items)))
		p->items = code_borrowed(c, f, p->items, p->len * sizeof(*p->items));
}

static void code_fields(struct coder *c, const struct table *t, char *base);

static void code_list(struct coder *c, const struct field *f, char *base)
{
	uint32_t *const len = (uint32_t *)(void *)(base + f->len_at);

	if (!code_length(c, f, len, 1))
		return;
	for (uint32_t i = 0; c->r == 0 && i < *len; i++) {
		(void)snprintf(c->where, sizeof(c->where), "%s[%u].", f->name, i);
		code_fields(c, f->table, base + f->at + i * f->unit);
	}
	c->where[0] = '\0';
}

/* "NAME." goes behind what stands before names, and away again. */
static void code_struct(struct coder *c, const struct field *f, char *base)
{
	const size_t n = strlen(c->where);

	(void)snprintf(c->where + n, sizeof(c->where) - n, "%s.", f->name);
	code_fields(c, f->table, base + f->at);
	c->where[n] = '\0';
}

static void code_field(struct coder *c, const struct field *f, char *base)
{
	void *const at = base + f->at;

	switch (f->kind) {
	case FIELD_U32:
		*(uint32_t *)at = code_number(c, f, *(uint32_t *)at, f->min, f->max);
		break;
	case FIELD_FLAGS:
		*(uint32_t *)at = code_number(c, f, *(uint32_t *)at, 0, UINT32_MAX);
		if (*(uint32_t *)at & ~(uint32_t)f->max)
			fail(c, f, "a flag that is not known");
		break;
	case FIELD_I32:
		code_bytes(c, f, at, sizeof(int32_t));
		if (*(int32_t *)at < f->min || *(int32_t *)at > f->max)
			fail(c, f, "out of range");
		break;
	case FIELD_U64:
		code_bytes(c, f, at, sizeof(uint64_t));
		break;
	case FIELD_RAW:
		code_bytes(c, f, at, (size_t)f->max);
		break;
	case FIELD_TEXT:
		code_text(c, f, at);
		break;
	case FIELD_BYTES:
		code_block(c, f, at);
		break;
	case FIELD_STRUCT:
		code_struct(c, f, base);
		break;
	case FIELD_LIST:
		code_list(c, f, base);
		break;
	case FIELD_ITEMS:
		code_items(c, f, at);
		break;
	}
}

static void code_fields(struct coder *c, const struct table *t, char *base)
{
	for (size_t i = 0; c->r == 0 && i < t->len; i++) {
		const struct field *f = &t->fields[i];
		const char *why;

		code_field(c, f, base);
		why = c->r == 0 && f->check ? f->check(c->body, base + f->at) : NULL;
		if (why)
			fail(c, f, why);
	}
}

/* ---- The doors ---- */

static const struct call *find(const struct call *list, unsigned int len, unsigned int n)
{
	return n < len && list[n].name ? &list[n] : NULL;
}

bool agent_call_waits(enum agent_call call)
{
	return call == AGENT_CREATE || call == AGENT_START || call == AGENT_EXEC ||
	       call == AGENT_UPDATE || call == AGENT_DELETE;
}

const char *agent_call_name(unsigned int n)
{
	const struct call *call = find(calls, AGENT_CALLS, n);

	return call ? call->name : "?";
}

const char *agent_event_name(unsigned int n)
{
	const struct call *event = find(events, AGENT_EVENTS, n);

	return event ? event->name : "?";
}

/* The walk writes into the struct also where it only reads it (NULL becomes ""): hence a copy. */
static int encode(const struct call *call, const struct table *t, const void *body, struct buf *b,
		  struct err *err)
{
	struct coder c = { .out = b, .err = err };
	AUTO_FREE void *copy = NULL;
	const size_t start = b->len;

	if (!call)
		return err_set(err, -EINVAL, "agent: there is no such message");
	if (t->len == 0)
		return 0;
	if (!body)
		return err_set(err, -EINVAL, "agent: %s: no body", call->name);
	copy = malloc(t->size);
	if (!copy)
		return err_sys(err, -ENOMEM, "agent: %s", call->name);
	memcpy(copy, body, t->size);
	c.body_name = call->name;
	c.body = copy;
	code_fields(&c, t, copy);
	if (c.r < 0 && b->data) {
		b->len = start;
		b->data[start] = '\0';
	}
	return c.r;
}

static int decode(const struct call *call, const struct table *t, const void *bytes, size_t len,
		  void *ret, struct err *err)
{
	struct coder c = { .in = bytes, .left = len, .err = err, .body = ret };

	if (!call)
		return err_set(err, -EBADMSG, "agent: there is no such message");
	c.body_name = call->name;
	if (t->len > 0) {
		memset(ret, 0, t->size);
		code_fields(&c, t, ret);
	}
	if (c.r == 0 && c.left > 0)
		return err_set(err, -EBADMSG, "agent: %s: %zu bytes are left over", call->name,
			       c.left);
	return c.r;
}

int agent_request_encode(enum agent_call call, const void *body, struct buf *b, struct err *err)
{
	const struct call *known = find(calls, AGENT_CALLS, call);

	return encode(known, known ? known->request : NULL, body, b, err);
}

int agent_answer_encode(enum agent_call call, const void *body, struct buf *b, struct err *err)
{
	const struct call *known = find(calls, AGENT_CALLS, call);

	return encode(known, known ? known->answer : NULL, body, b, err);
}

int agent_event_encode(enum agent_event event, const void *body, struct buf *b, struct err *err)
{
	const struct call *known = find(events, AGENT_EVENTS, event);

	return encode(known, known ? known->request : NULL, body, b, err);
}

int agent_request_decode(enum agent_call call, const void *bytes, size_t len, void *ret,
			 struct err *err)
{
	const struct call *known = find(calls, AGENT_CALLS, call);

	return decode(known, known ? known->request : NULL, bytes, len, ret, err);
}

int agent_answer_decode(enum agent_call call, const void *bytes, size_t len, void *ret,
			struct err *err)
{
	const struct call *known = find(calls, AGENT_CALLS, call);

	return decode(known, known ? known->answer : NULL, bytes, len, ret, err);
}

int agent_event_decode(enum agent_event event, const void *bytes, size_t len, void *ret,
		       struct err *err)
{
	const struct call *known = find(events, AGENT_EVENTS, event);

	return decode(known, known ? known->request : NULL, bytes, len, ret, err);
}
