/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every field is named once, in code_*() functions that write or read it: struct coder knows the
 * direction. After the first failure a coder does nothing more and keeps its sentence.
 */
#include "wire/sentry_codec.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

#define CHUNK_SIZE 4096u /* bytes of a chunk of decoded data, at least */

enum kind { KIND_CONTAINER = 1, KIND_PROCESS };

struct head {
	uint32_t magic, version, kind, size;
};

struct chunk {
	struct chunk *next;
	size_t used, size;
	char data[] __attribute__((aligned(8)));
};

struct coder {
	struct buf *out; /* NULL: decode */
	const char *in;
	size_t left;
	struct chunk *chunks; /* what was decoded */
	struct err *err;
	int r;
	char where[96]; /* "mounts[3]." */
};

/* Decoded structs with what they own. */
struct owned_container {
	struct chunk *chunks;
	struct sentry_container c;
};

struct owned_process {
	struct chunk *chunks;
	struct sentry_process p;
};

static void fail(struct coder *c, const char *name, const char *why)
{
	if (c->r < 0)
		return;
	c->r = err_set(c->err, c->out ? -EINVAL : -EBADMSG, "description: %s%s: %s", c->where, name,
		       why);
}

static void *take(struct coder *c, size_t count, size_t size)
{
	const size_t want = (count * size + 7) & ~(size_t)7;
	struct chunk *chunk = c->chunks;

	if (c->r < 0)
		return NULL;
	if (!chunk || chunk->size - chunk->used < want) {
		const size_t room = want > CHUNK_SIZE ? want : CHUNK_SIZE;

		chunk = calloc(1, sizeof(*chunk) + room);
		if (!chunk) {
			c->r = err_sys(c->err, -ENOMEM, "read a description");
			return NULL;
		}
		chunk->size = room;
		chunk->next = c->chunks;
		c->chunks = chunk;
	}
	chunk->used += want;
	return chunk->data + (chunk->used - want);
}

static void free_chunks(struct chunk *chunk)
{
	while (chunk) {
		struct chunk *next = chunk->next;

		free(chunk);
		chunk = next;
	}
}

static void code_bytes(struct coder *c, void *bytes, size_t len, const char *name)
{
	if (c->r < 0)
		return;
	if (c->out) {
		const int r = buf_append(c->out, bytes, len);

		if (r < 0)
			c->r = err_sys(c->err, r, "description: %s%s", c->where, name);
		return;
	}
	if (len > c->left) {
		fail(c, name, "cut off");
		return;
	}
	memcpy(bytes, c->in, len);
	c->in += len;
	c->left -= len;
}

static void code_u64(struct coder *c, uint64_t *v, const char *name)
{
	code_bytes(c, v, sizeof(*v), name);
}

/* A number from 0 to max. */
static void code_u32(struct coder *c, uint32_t *v, uint32_t max, const char *name)
{
	code_bytes(c, v, sizeof(*v), name);
	if (c->r == 0 && *v > max)
		fail(c, name, "too large");
}

static void code_u16(struct coder *c, uint16_t *v, const char *name)
{
	uint32_t wide = *v;

	code_u32(c, &wide, UINT16_MAX, name);
	*v = (uint16_t)wide;
}

static void code_i32(struct coder *c, int32_t *v, const char *name)
{
	code_bytes(c, v, sizeof(*v), name);
}

static void code_bool(struct coder *c, bool *v, const char *name)
{
	uint32_t wide = *v;

	code_u32(c, &wide, 1, name);
	*v = wide;
}

/* The number of items of a list; each takes at least min_bytes of what is left. */
static bool code_count(struct coder *c, uint32_t *len, uint32_t max, size_t min_bytes,
		       const char *name)
{
	code_u32(c, len, max, name);
	if (c->r == 0 && !c->out && *len * min_bytes > c->left)
		fail(c, name, "longer than the description");
	return c->r == 0;
}

/* NULL is written as "". */
static void code_text(struct coder *c, char **text, uint32_t max, const char *name)
{
	uint32_t len = c->out && *text ? (uint32_t)strnlen(*text, (size_t)max + 1) : 0;

	if (!code_count(c, &len, max, 1, name))
		return;
	if (c->out) {
		code_bytes(c, *text, len, name);
		return;
	}
	*text = take(c, 1, (size_t)len + 1);
	if (!*text)
		return;
	code_bytes(c, *text, len, name);
	if (c->r == 0 && memchr(*text, '\0', len))
		fail(c, name, "a NUL in it");
}

static void code_path(struct coder *c, char **path, const char *name)
{
	code_text(c, path, SENTRY_PATH_MAX, name);
	if (c->r == 0 && (!*path || (*path)[0] != '/'))
		fail(c, name, "not an absolute path");
}

static void code_strings(struct coder *c, struct sentry_strings *s, uint32_t max, uint32_t item_max,
			 const char *name)
{
	if (!code_count(c, &s->len, max, sizeof(uint32_t), name))
		return;
	if (!c->out)
		s->items = take(c, (size_t)s->len + 1, sizeof(char *));
	for (uint32_t i = 0; c->r == 0 && i < s->len; i++)
		code_text(c, &s->items[i], item_max, name);
}

/* "NAME[i]." in front of the names that follow; the caller takes it back with at(). */
static void inside(struct coder *c, const char *name, uint32_t i)
{
	(void)snprintf(c->where, sizeof(c->where), "%s[%u].", name, i);
}

static void at(struct coder *c, const char *where)
{
	(void)snprintf(c->where, sizeof(c->where), "%s", where);
}

static void code_rlimits(struct coder *c, struct sentry_process *p)
{
	if (!code_count(c, &p->rlimits_len, SENTRY_RLIMITS_MAX, 20, "rlimits"))
		return;
	if (!c->out)
		p->rlimits = take(c, p->rlimits_len, sizeof(*p->rlimits));
	for (uint32_t i = 0; c->r == 0 && i < p->rlimits_len; i++) {
		struct sentry_rlimit *limit = &p->rlimits[i];

		code_u32(c, &limit->resource, SENTRY_RLIMITS_MAX - 1, "rlimits");
		code_u64(c, &limit->soft, "rlimits");
		code_u64(c, &limit->hard, "rlimits");
		if (c->r == 0 && limit->soft > limit->hard)
			fail(c, "rlimits", "the soft limit is above the hard one");
	}
}

static void code_caps(struct coder *c, struct sentry_process *p)
{
	code_u64(c, &p->cap_bounding, "cap_bounding");
	code_u64(c, &p->cap_effective, "cap_effective");
	code_u64(c, &p->cap_inheritable, "cap_inheritable");
	code_u64(c, &p->cap_permitted, "cap_permitted");
	code_u64(c, &p->cap_ambient, "cap_ambient");
}

static void code_seccomp(struct coder *c, struct sentry_process *p)
{
	if (!code_count(c, &p->seccomp_len, SENTRY_SECCOMP_MAX, sizeof(struct sentry_bpf),
			"seccomp"))
		return;
	code_u32(c, &p->seccomp_flags, UINT32_MAX, "seccomp_flags");
	if (c->r == 0 && !c->out && p->seccomp_len > 0)
		p->seccomp = take(c, p->seccomp_len, sizeof(*p->seccomp));
	if (c->r == 0 && p->seccomp_len > 0)
		code_bytes(c, p->seccomp, p->seccomp_len * sizeof(*p->seccomp), "seccomp");
}

static void code_process(struct coder *c, struct sentry_process *p)
{
	code_strings(c, &p->args, SENTRY_STRINGS_MAX, SENTRY_STRING_MAX, "args");
	if (c->r == 0 && p->args.len == 0)
		fail(c, "args", "empty");
	code_strings(c, &p->env, SENTRY_STRINGS_MAX, SENTRY_STRING_MAX, "env");
	code_text(c, &p->program, SENTRY_PATH_MAX, "program");
	code_path(c, &p->cwd, "cwd");
	code_u32(c, &p->uid, UINT32_MAX - 1, "uid");
	code_u32(c, &p->gid, UINT32_MAX - 1, "gid");
	code_u32(c, &p->umask, 0777, "umask");
	if (code_count(c, &p->groups_len, SENTRY_GROUPS_MAX, sizeof(uint32_t), "groups")) {
		if (!c->out)
			p->groups = take(c, p->groups_len, sizeof(*p->groups));
		for (uint32_t i = 0; c->r == 0 && i < p->groups_len; i++)
			code_u32(c, &p->groups[i], UINT32_MAX - 1, "groups");
	}
	code_caps(c, p);
	code_bool(c, &p->no_new_privs, "no_new_privs");
	code_bool(c, &p->terminal, "terminal");
	code_u16(c, &p->rows, "rows");
	code_u16(c, &p->cols, "cols");
	code_rlimits(c, p);
	code_i32(c, &p->oom_score_adj, "oom_score_adj");
	if (c->r == 0 && (p->oom_score_adj < -1000 || p->oom_score_adj > 1000))
		fail(c, "oom_score_adj", "not between -1000 and 1000");
	code_u32(c, &p->sched_policy, 7, "sched_policy");
	code_u32(c, &p->sched_priority, 99, "sched_priority");
	code_i32(c, &p->nice, "nice");
	if (c->r == 0 && (p->nice < -20 || p->nice > 19))
		fail(c, "nice", "not between -20 and 19");
	code_u32(c, &p->io_priority, UINT16_MAX, "io_priority");
	for (uint32_t i = 0; i < SENTRY_CPU_WORDS; i++)
		code_u64(c, &p->affinity[i], "affinity");
	code_u32(c, &p->personality, UINT32_MAX, "personality");
	code_u32(c, &p->preserve_fds, SENTRY_PRESERVE_MAX, "preserve_fds");
	code_seccomp(c, p);
}

static void code_mount(struct coder *c, struct sentry_mount *m)
{
	code_path(c, &m->destination, "destination");
	code_u32(c, &m->type, SENTRY_MOUNT_TYPES - 1, "type");
	code_text(c, &m->source, SENTRY_PATH_MAX, "source");
	code_u32(c, &m->root, SENTRY_MOUNTS_MAX, "root");
	code_bool(c, &m->is_file, "is_file");
	code_bool(c, &m->copy_up, "copy_up");
	code_bool(c, &m->nofollow, "nofollow");
	code_u64(c, &m->flags, "flags");
	code_u64(c, &m->propagation, "propagation");
	code_text(c, &m->data, SENTRY_PATH_MAX, "data");
}

static void code_device(struct coder *c, struct sentry_device *d)
{
	code_path(c, &d->path, "path");
	code_u32(c, &d->type, 'p', "type");
	if (c->r == 0 && d->type != 'c' && d->type != 'b' && d->type != 'p')
		fail(c, "type", "none of c, b, p");
	code_u32(c, &d->major, UINT32_MAX, "major");
	code_u32(c, &d->minor, UINT32_MAX, "minor");
	code_u32(c, &d->mode, 07777, "mode");
	code_u32(c, &d->uid, UINT32_MAX - 1, "uid");
	code_u32(c, &d->gid, UINT32_MAX - 1, "gid");
}

static void code_pair(struct coder *c, struct sentry_pair *pair)
{
	code_text(c, &pair->key, SENTRY_NAME_MAX, "key");
	code_text(c, &pair->value, SENTRY_PATH_MAX, "value");
}

static void code_map(struct coder *c, struct sentry_id_map *map)
{
	code_u32(c, &map->inside, UINT32_MAX, "inside");
	code_u32(c, &map->outside, UINT32_MAX, "outside");
	code_u32(c, &map->size, UINT32_MAX, "size");
}

/* A list of structs; min is the least that one takes in bytes. */
#define CODE_LIST(c, list, len, max, min, code_one, name)                \
	do {                                                             \
		if (!code_count((c), &(len), (max), (min), (name)))      \
			break;                                           \
		if (!(c)->out)                                           \
			(list) = take((c), (len), sizeof(*(list)));      \
		for (uint32_t i_ = 0; (c)->r == 0 && i_ < (len); i_++) { \
			inside((c), (name), i_);                         \
			code_one((c), &(list)[i_]);                      \
		}                                                        \
		at((c), "");                                             \
	} while (0)

static void code_limits(struct coder *c, struct sentry_limits *l)
{
	code_u64(c, &l->memory, "limits.memory");
	code_u64(c, &l->swap, "limits.swap");
	code_u64(c, &l->cpu_quota_us, "limits.cpu_quota_us");
	code_u64(c, &l->cpu_period_us, "limits.cpu_period_us");
	code_u64(c, &l->cpu_shares, "limits.cpu_shares");
	code_u64(c, &l->pids, "limits.pids");
}

static void code_offset(struct coder *c, struct sentry_time_offset *o, const char *name)
{
	uint64_t secs = (uint64_t)o->secs;

	code_u64(c, &secs, name);
	o->secs = (int64_t)secs;
	code_u32(c, &o->nanosecs, 999999999, name);
}

static void code_sandbox(struct coder *c, struct sentry_container *x)
{
	code_text(c, &x->id, 1024, "id");
	code_u32(c, &x->platform, SENTRY_PLATFORM_PTRACE, "platform");
	code_u32(c, &x->profile, SENTRY_PROFILE_DIRECT, "profile");
	code_u32(c, &x->network, SENTRY_NETWORK_POD, "network");
	code_u32(c, &x->overlay, SENTRY_OVERLAY_ROOT_SELF, "overlay");
	code_u32(c, &x->file_access, SENTRY_FILE_SHARED, "file_access");
	code_u32(c, &x->file_access_mounts, SENTRY_FILE_SHARED, "file_access_mounts");
	code_text(c, &x->strace, SENTRY_PATH_MAX, "strace");
	code_text(c, &x->debug, SENTRY_PATH_MAX, "debug");
	code_u32(c, &x->events, UINT32_MAX, "events");
	code_u32(c, &x->own_namespaces, SENTRY_OWN_ALL, "own_namespaces");
	code_text(c, &x->pid_ns_of, 1024, "pid_ns_of");
}

static void code_container(struct coder *c, struct sentry_container *x)
{
	code_sandbox(c, x);
	code_text(c, &x->hostname, SENTRY_NAME_MAX, "hostname");
	code_text(c, &x->domainname, SENTRY_NAME_MAX, "domainname");
	code_bool(c, &x->root_readonly, "root_readonly");
	code_bool(c, &x->user_ns, "user_ns");
	code_u64(c, &x->root_propagation, "root_propagation");
	code_u64(c, &x->time_ns, "time_ns");
	code_offset(c, &x->monotonic_offset, "monotonic_offset");
	code_offset(c, &x->boottime_offset, "boottime_offset");
	CODE_LIST(c, x->mounts, x->mounts_len, SENTRY_MOUNTS_MAX, 52, code_mount, "mounts");
	code_strings(c, &x->masked_paths, SENTRY_PATHS_MAX, SENTRY_PATH_MAX, "masked_paths");
	code_strings(c, &x->readonly_paths, SENTRY_PATHS_MAX, SENTRY_PATH_MAX, "readonly_paths");
	CODE_LIST(c, x->sysctls, x->sysctls_len, SENTRY_PATHS_MAX, 8, code_pair, "sysctls");
	CODE_LIST(c, x->devices, x->devices_len, SENTRY_DEVICES_MAX, 28, code_device, "devices");
	CODE_LIST(c, x->uid_maps, x->uid_maps_len, SENTRY_ID_MAPS_MAX, 12, code_map, "uid_maps");
	CODE_LIST(c, x->gid_maps, x->gid_maps_len, SENTRY_ID_MAPS_MAX, 12, code_map, "gid_maps");
	code_limits(c, &x->limits);
	at(c, "process.");
	code_process(c, &x->process);
	at(c, "");
}

/* The head, with a size that is known at the end. */
static size_t begin(struct coder *c, enum kind kind)
{
	const size_t start = c->out->len;
	struct head head = { SENTRY_MSG_MAGIC, SENTRY_MSG_VERSION, kind, 0 };

	code_bytes(c, &head, sizeof(head), "head");
	return start;
}

static int finish(struct coder *c, size_t start)
{
	const size_t size = c->out->len - start;
	const uint32_t narrow = (uint32_t)size;

	if (c->r < 0)
		return c->r;
	if (size > SENTRY_MSG_MAX)
		return err_set(c->err, -E2BIG, "description: %zu bytes are too many", size);
	memcpy(c->out->data + start + offsetof(struct head, size), &narrow, sizeof(narrow));
	return 0;
}

int sentry_container_encode(const struct sentry_container *container, struct buf *b,
			    struct err *err)
{
	struct sentry_container copy = *container; /* only read: the direction is out */
	struct coder c = { .out = b, .err = err };
	const size_t start = begin(&c, KIND_CONTAINER);

	code_container(&c, &copy);
	return finish(&c, start);
}

int sentry_process_encode(const struct sentry_process *process, struct buf *b, struct err *err)
{
	struct sentry_process copy = *process;
	struct coder c = { .out = b, .err = err };
	const size_t start = begin(&c, KIND_PROCESS);

	code_process(&c, &copy);
	return finish(&c, start);
}

static int open_head(struct coder *c, const void *bytes, size_t len, enum kind kind)
{
	struct head head;

	c->in = bytes;
	c->left = len;
	code_bytes(c, &head, sizeof(head), "head");
	if (c->r < 0)
		return c->r;
	if (head.magic != SENTRY_MSG_MAGIC || head.kind != kind)
		return err_set(c->err, -EBADMSG, "description: not the kind that is expected");
	if (head.version != SENTRY_MSG_VERSION)
		return err_set(c->err, -EPROTO, "description: version %u is unknown, %u is known",
			       head.version, SENTRY_MSG_VERSION);
	if (head.size != len || len > SENTRY_MSG_MAX)
		return err_set(c->err, -EBADMSG, "description: its size is wrong");
	return 0;
}

static int close_tail(struct coder *c)
{
	if (c->r == 0 && c->left > 0)
		fail(c, "end", "bytes are left over");
	return c->r;
}

int sentry_container_decode(const void *bytes, size_t len, struct sentry_container **ret,
			    struct err *err)
{
	struct coder c = { .err = err };
	struct owned_container *o;
	int r = open_head(&c, bytes, len, KIND_CONTAINER);

	if (r < 0)
		return r;
	o = calloc(1, sizeof(*o));
	if (!o)
		return err_sys(err, -ENOMEM, "read a description");
	code_container(&c, &o->c);
	o->chunks = c.chunks;
	r = close_tail(&c);
	if (r < 0) {
		sentry_container_free(&o->c);
		return r;
	}
	*ret = &o->c;
	return 0;
}

int sentry_process_decode(const void *bytes, size_t len, struct sentry_process **ret,
			  struct err *err)
{
	struct coder c = { .err = err };
	struct owned_process *o;
	int r = open_head(&c, bytes, len, KIND_PROCESS);

	if (r < 0)
		return r;
	o = calloc(1, sizeof(*o));
	if (!o)
		return err_sys(err, -ENOMEM, "read a description");
	code_process(&c, &o->p);
	o->chunks = c.chunks;
	r = close_tail(&c);
	if (r < 0) {
		sentry_process_free(&o->p);
		return r;
	}
	*ret = &o->p;
	return 0;
}

void sentry_container_free(struct sentry_container *c)
{
	struct owned_container *o;

	if (!c)
		return;
	o = (struct owned_container *)(void *)((char *)c - offsetof(struct owned_container, c));
	free_chunks(o->chunks);
	free(o);
}

void sentry_process_free(struct sentry_process *p)
{
	struct owned_process *o;

	if (!p)
		return;
	o = (struct owned_process *)(void *)((char *)p - offsetof(struct owned_process, p));
	free_chunks(o->chunks);
	free(o);
}

int sentry_request_decode(const void *message, size_t len, struct sentry_request *ret,
			  const void **ret_tail, size_t *ret_tail_len)
{
	uint32_t flags = 0;
	size_t tail = 0;

	if (len < sizeof(*ret) || len > SENTRY_FRAME_MAX)
		return -EPROTO;
	memcpy(ret, message, sizeof(*ret));
	if (ret->version != SENTRY_MSG_VERSION || ret->reserved != 0 || ret->type == 0 ||
	    ret->type == SENTRY_EXITED || ret->type >= SENTRY_TYPES || ret->pid < 0)
		return -EPROTO;
	if (ret->type == SENTRY_SIGNAL)
		flags = SENTRY_SIGNAL_ALL | SENTRY_SIGNAL_TTY;
	if (ret->type == SENTRY_FREEZE)
		flags = SENTRY_FREEZE_POD;
	if (ret->type == SENTRY_DEBUG && ret->value == SENTRY_DEBUG_EVENTS)
		flags = UINT32_MAX;
	if (ret->type == SENTRY_UPDATE)
		tail = sizeof(struct sentry_limits);
	if ((ret->flags & ~flags) || len - sizeof(*ret) != tail)
		return -EPROTO;
	*ret_tail = (const char *)message + sizeof(*ret);
	*ret_tail_len = tail;
	return 0;
}
