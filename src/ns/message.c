/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The message to caisson-init: one growing buffer, offsets instead of pointers (wire/init_msg.h).
 */
#include "ns/message.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"
#include "host/caps.h"

/* Every part starts on a multiple of 8, as struct sock_filter and the lists want. */
static int align(struct buf *b)
{
	static const char zeros[8];

	return buf_append(b, zeros, (8 - b->len % 8) % 8);
}

static uint32_t put_bytes(struct buf *b, const void *bytes, size_t len)
{
	(void)align(b);
	const uint32_t off = (uint32_t)b->len;

	(void)buf_append(b, bytes, len);
	return off;
}

static uint32_t put_string(struct buf *b, const char *s)
{
	const uint32_t off = (uint32_t)b->len;

	(void)buf_append(b, s, strlen(s) + 1);
	return off;
}

/* A list of strings: first the array of offsets, which is filled in as the strings follow. */
static uint32_t put_strings(struct buf *b, const struct oci_strs *list, const char *extra)
{
	const size_t count = list->len + (extra ? 1 : 0);
	uint32_t off;

	(void)align(b);
	off = (uint32_t)b->len;
	if (buf_reserve(b, count * sizeof(uint32_t)) < 0)
		return 0;
	memset(b->data + b->len, 0, count * sizeof(uint32_t));
	b->len += count * sizeof(uint32_t);
	for (size_t i = 0; i < count; i++) {
		const uint32_t at = put_string(b, i < list->len ? list->items[i] : extra);

		if (buf_error(b))
			return 0;
		memcpy(b->data + off + i * sizeof(uint32_t), &at, sizeof(at));
	}
	return off;
}

static void put_caps(struct init_msg *msg, const struct oci_caps *want)
{
	const struct oci_caps caps = caps_grant(want);

	msg->flags |= INIT_CAPS;
	msg->cap_last = caps_last();
	msg->cap_bounding = caps.bounding;
	msg->cap_permitted = caps.permitted;
	msg->cap_effective = caps.effective;
	msg->cap_inheritable = caps.inheritable;
	msg->cap_ambient = caps.ambient;
}

static void put_seccomp(struct buf *b, struct init_msg *msg, const struct seccomp_program *program)
{
	if (!program || !program->insns)
		return;
	msg->flags |= INIT_SECCOMP | (program->notifies ? INIT_SECCOMP_NOTIFY : 0);
	msg->seccomp_flags = program->flags;
	msg->seccomp_len = (uint32_t)program->len;
	msg->seccomp_off = put_bytes(b, program->insns, program->len * sizeof(*program->insns));
}

/*
 * Whether setgroups(2) is allowed at all: not in a user namespace whose map a user wrote alone.
 * Asked of the call itself, with the list that is there, since an exec has no /proc/self in the
 * container's procfs. Who lacks CAP_SETGID shall fail, not go on with the groups of others.
 */
static bool may_setgroups(void)
{
	const int len = getgroups(0, NULL);
	AUTO_FREE gid_t *groups = calloc(len > 0 ? (size_t)len : 1, sizeof(*groups));

	if (len < 0 || !groups || getgroups(len, groups) != len)
		return true;
	return setgroups((size_t)len, groups) == 0 || errno != EPERM ||
	       !(caps_own() & 1ull << CAP_SETGID);
}

int message_build(struct buf *b, const struct message_options *o)
{
	const struct oci_process *p = o->process;
	struct init_msg msg = {
		.magic = INIT_MSG_MAGIC,
		.version = INIT_MSG_VERSION,
		.flags = INIT_SETID | o->flags,
		.gate = o->gate,
		.uid = p->user.uid,
		.gid = p->user.gid,
	};

	b->max = INIT_MSG_MAX;
	(void)buf_append(b, &msg, sizeof(msg));
	if (p->no_new_privileges)
		msg.flags |= INIT_NO_NEW_PRIVS;
	put_caps(&msg, &p->caps);
	put_seccomp(b, &msg, o->seccomp);
	if (!o->keep_original_groups && (p->user.additional_gids_len > 0 || o->may_setgroups)) {
		msg.flags |= INIT_SETGROUPS;
		msg.groups_len = (uint32_t)p->user.additional_gids_len;
		msg.groups_off = put_bytes(b, p->user.additional_gids,
					   p->user.additional_gids_len * sizeof(uint32_t));
	}
	msg.argv_len = (uint32_t)p->args.len;
	msg.argv_off = put_strings(b, &p->args, NULL);
	msg.envp_len = (uint32_t)p->env.len + (o->home ? 1 : 0);
	msg.envp_off = put_strings(b, &p->env, o->home);
	msg.path_off = put_string(b, o->path);
	msg.cwd_off = put_string(b, p->cwd);
	(void)align(b);
	msg.size = (uint32_t)b->len;
	if (buf_error(b))
		return buf_error(b);
	memcpy(b->data, &msg, sizeof(msg));
	return 0;
}

int message_memfd(const struct message_options *options, struct err *err)
{
	AUTO_BUF struct buf b = { 0 };
	AUTO_CLOSE int fd = -EBADF;
	struct message_options o = *options;
	int r;

	o.may_setgroups = o.may_setgroups && may_setgroups();
	r = message_build(&b, &o);
	if (r < 0)
		return err_sys(err, r, "build the message to caisson-init");
	fd = memfd_create("caisson-init-message", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return err_sys(err, -errno, "memfd_create");
	r = fd_write_all(fd, b.data, b.len);
	if (r < 0)
		return err_sys(err, r, "write the message to caisson-init");
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		return err_sys(err, -errno, "seal the message to caisson-init");
	return TAKE_FD(fd);
}
