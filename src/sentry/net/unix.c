/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unix sockets: birth, names, credentials; what streams and datagrams share.
 */
#include "sentry/net/unix.h"

#include <linux/sockios.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/hash.h"
#include "sentry/net/unix_gc.h"
#include "sentry/net/unix_host.h"
#include "sentry/task/task.h"
#include "sentry/vfs/namei.h"

#define PATH_OFFSET ((socklen_t)offsetof(struct sockaddr_un, sun_path))

struct unix_addr *unix_addr_ref(struct unix_addr *addr)
{
	if (addr)
		addr->refs++;
	return addr;
}

void unix_addr_unref(struct unix_addr *addr)
{
	if (addr && --addr->refs == 0)
		free(addr);
}

int unix_socket_new(struct net_ns *ns, int type, uint32_t flags, struct unix_socket **ret)
{
	struct unix_socket *u = calloc(1, sizeof(*u));
	int r;

	if (!u)
		return -ENOMEM;
	r = socket_init(&u->sock, type == SOCK_DGRAM ? &unix_dgram_ops : &unix_stream_ops, ns,
			AF_UNIX, type, 0, flags);
	if (r < 0) {
		free(u);
		return r;
	}
	stream_init(&u->st, &u->sock);
	list_init(&u->pending);
	list_init(&u->pending_node);
	list_init(&u->clients);
	list_init(&u->client_node);
	list_init(&u->gc_node);
	list_init(&u->gc_todo);
	list_init(&u->name_node);
	list_add_tail(&u->ns_node, &ns->unix_sockets);
	*ret = u;
	return 0;
}

int unix_create(struct net_ns *ns, int type, int protocol, uint32_t flags, struct socket **ret)
{
	struct unix_socket *u;
	int r;

	if (protocol && protocol != AF_UNIX)
		return -EPROTONOSUPPORT;
	if (type == SOCK_RAW)
		type = SOCK_DGRAM; /* as Linux does for BSD programs */
	if (type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_SEQPACKET)
		return -ESOCKTNOSUPPORT;
	r = unix_socket_new(ns, type, flags, &u);
	if (r >= 0)
		*ret = &u->sock;
	return r;
}

void unix_socket_free(struct unix_socket *u)
{
	list_del(&u->ns_node);
	khash_del(&u->sock.ns->unix_names, &u->name_node);
	if (u->inode) {
		*inode_bound(u->inode) = NULL;
		inode_unref(u->inode);
	}
	unix_host_unref(u->host);
	unix_host_unref(u->host_bound);
	packet_queue_done(&u->st.rx);
	unix_addr_unref(u->addr);
	unix_addr_unref(u->peer_addr);
	scm_creds_done(&u->creds);
	scm_creds_done(&u->peer_creds);
	cred_unref(u->cred);
	cred_unref(u->peer_cred);
	socket_done(&u->sock);
	free(u);
	unix_gc_run();
}

void unix_remember_creds(struct unix_socket *u)
{
	const struct task *t = task_current();

	scm_creds_done(&u->creds);
	scm_creds_of(t, &u->creds);
	cred_unref(u->cred);
	u->cred = cred_ref(t->cred);
}

static uint32_t hash_name(const struct sockaddr_un *un, socklen_t len)
{
	return hash32(HASH32_BEGIN, un, len) * 0x9e3779b1; /* the table takes the upper bits */
}

uint32_t unix_name_hash(const struct list_head *node)
{
	const struct unix_socket *u = list_entry(node, const struct unix_socket, name_node);

	return hash_name(&u->addr->un, u->addr->len);
}

static struct unix_socket *find_abstract(struct net_ns *ns, const struct sockaddr_un *un,
					 socklen_t len, int type)
{
	struct unix_socket *u;

	list_for_each(u, khash_bucket(&ns->unix_names, hash_name(un, len)), name_node)
	{
		if (u->sock.type == type && u->addr->len == len && !memcmp(&u->addr->un, un, len))
			return u;
	}
	return NULL;
}

/* Connections that a listener accepts have its name, too, but nobody finds them by it. */
static void set_abstract(struct unix_socket *u, struct unix_addr *addr)
{
	u->addr = addr;
	khash_add(&u->sock.ns->unix_names, &u->name_node);
}

static struct unix_addr *addr_new(const struct sockaddr_un *un, socklen_t len)
{
	struct unix_addr *addr = calloc(1, sizeof(*addr));

	if (!addr)
		return NULL;
	addr->refs = 1;
	addr->len = len;
	memcpy(&addr->un, un, len);
	return addr;
}

int unix_autobind(struct unix_socket *u)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	const socklen_t len = PATH_OFFSET + 6;

	for (uint32_t tries = 0; tries < 1u << 20; tries++) {
		struct unix_addr *addr;
		char name[16];

		fiber_resched();
		if (u->addr)
			return 0;
		(void)snprintf(name, sizeof(name), "%05x", u->sock.ns->autobind_next++ & 0xfffff);
		memcpy(un.sun_path + 1, name, 5);
		if (find_abstract(u->sock.ns, &un, len, u->sock.type))
			continue;
		addr = addr_new(&un, len);
		if (!addr)
			return -ENOMEM;
		set_abstract(u, addr);
		return 0;
	}
	return -ENOSPC;
}

/* The length of a name with its family, a path without what follows its NUL. */
static int judge_name(const struct sock_addr *addr, struct sockaddr_un *ret, socklen_t *ret_len)
{
	socklen_t len = addr->len;

	if (len <= PATH_OFFSET || len > sizeof(*ret) || addr->un.sun_family != AF_UNIX)
		return -EINVAL;
	memset(ret, 0, sizeof(*ret));
	memcpy(ret, &addr->un, len);
	if (ret->sun_path[0])
		len = PATH_OFFSET + (socklen_t)strnlen(ret->sun_path, len - PATH_OFFSET) + 1;
	*ret_len = len;
	return 0;
}

/* The text of a path name: at most 108 bytes, of which none need be a NUL. */
static void path_text(const struct sockaddr_un *un, char text[sizeof(un->sun_path) + 1])
{
	memcpy(text, un->sun_path, sizeof(un->sun_path));
	text[sizeof(un->sun_path)] = '\0';
}

static int bind_path(struct unix_socket *u, const struct sockaddr_un *un, struct unix_addr *addr)
{
	const struct vfs_ctx ctx = task_vfs_ctx(task_current());
	AUTO_CLOSE int host_fd = -EBADF;
	char text[sizeof(un->sun_path) + 1];
	struct inode *inode;
	int r;

	path_text(un, text);
	r = vfs_bind_socket(&ctx, text, u->sock.type, u, &inode, &host_fd);
	if (r < 0)
		return r;
	if (u->addr) /* another thread bound it meanwhile */
		r = -EINVAL;
	else if (host_fd >= 0)
		r = unix_host_new(TAKE_FD(host_fd), &u->sock.wq, &u->host_bound);
	if (r < 0) {
		*inode_bound(inode) = NULL;
		inode_unref(inode);
		return r;
	}
	u->inode = inode;
	u->addr = addr;
	return 0;
}

int unix_bind(struct socket *s, const struct sock_addr *addr)
{
	struct unix_socket *u = to_unix(s);
	struct unix_addr *name;
	struct sockaddr_un un;
	socklen_t len;
	int r;

	if (addr->len == PATH_OFFSET && addr->un.sun_family == AF_UNIX)
		return unix_autobind(u);
	r = judge_name(addr, &un, &len);
	if (r < 0)
		return r;
	if (u->addr)
		return -EINVAL;
	name = addr_new(&un, len < sizeof(un) ? len : (socklen_t)sizeof(un));
	if (!name)
		return -ENOMEM;
	if (un.sun_path[0]) {
		name->len = len <= sizeof(un) + 1 ? len : (socklen_t)sizeof(un) + 1;
		r = bind_path(u, &un, name);
	} else if (find_abstract(s->ns, &un, len, s->type)) {
		r = -EADDRINUSE;
	} else {
		set_abstract(u, name);
	}
	if (r < 0)
		unix_addr_unref(name);
	return r;
}

static int find_path(struct unix_socket *from, const struct sockaddr_un *un,
		     struct unix_socket **ret)
{
	const struct vfs_ctx ctx = task_vfs_ctx(task_current());
	char text[sizeof(un->sun_path) + 1];
	struct inode *inode;
	struct path path;
	int r;

	path_text(un, text);
	r = path_walk(&ctx, NULL, text, WALK_FOLLOW, &path);
	if (r < 0)
		return r;
	inode = path.dentry->inode;
	r = inode_permission(inode, ctx.cred, MAY_WRITE);
	if (r >= 0 && (!S_ISSOCK(inode->mode) || !*inode_bound(inode)))
		r = S_ISSOCK(inode->mode) && inode->ops->connect ? -EREMOTE : -ECONNREFUSED;
	if (r >= 0)
		*ret = *inode_bound(inode);
	path_unref(&path);
	if (r >= 0 && (*ret)->sock.type != from->sock.type)
		r = -EPROTOTYPE;
	return r;
}

int unix_find(struct unix_socket *from, const struct sock_addr *addr, struct unix_socket **ret)
{
	struct sockaddr_un un;
	socklen_t len;
	int r = judge_name(addr, &un, &len);

	if (r < 0)
		return r;
	if (un.sun_path[0])
		return find_path(from, &un, ret);
	*ret = find_abstract(from->sock.ns, &un, len, from->sock.type);
	return *ret ? 0 : -ECONNREFUSED;
}

int unix_connect_host(struct unix_socket *from, const struct sock_addr *addr,
		      struct unix_host **ret)
{
	char text[sizeof(addr->un.sun_path) + 1];
	struct sockaddr_un un;
	socklen_t len;
	int r = judge_name(addr, &un, &len);

	if (r < 0)
		return r;
	path_text(&un, text);
	return unix_host_connect(from, text, ret);
}

void unix_set_peer(struct unix_socket *u, const struct sock_addr *addr)
{
	struct sockaddr_un un;
	socklen_t len;

	unix_addr_unref(TAKE_PTR(u->peer_addr));
	if (judge_name(addr, &un, &len) == 0)
		u->peer_addr = addr_new(&un, len < sizeof(un) ? len : (socklen_t)sizeof(un));
}

int unix_getname(const struct unix_addr *addr, struct sock_addr *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (addr) {
		memcpy(&ret->un, &addr->un,
		       addr->len < sizeof(ret->un) ? addr->len : sizeof(ret->un));
		ret->len = addr->len;
	} else {
		ret->un.sun_family = AF_UNIX;
		ret->len = PATH_OFFSET;
	}
	return 0;
}

void unix_stamp(struct unix_socket *from, const struct unix_socket *to, struct socket_msg *m)
{
	if (m->scm.creds.set)
		return;
	if (from->sock.opt.passcred || !to || to->sock.opt.passcred)
		scm_creds_of(task_current(), &m->scm.creds);
}

void unix_put_creds(struct unix_socket *u, struct socket_msg *m)
{
	struct ucred c;

	if (!u->sock.opt.passcred || !m->want_control)
		return;
	c = scm_ucred(&m->scm.creds);
	if (!m->scm.creds.set)
		c = (struct ucred){ .pid = 0, .uid = 65534, .gid = 65534 };
	scm_put(&m->control, SOL_SOCKET, SCM_CREDENTIALS, &c, sizeof(c));
}

static int get_groups(const struct unix_socket *u, void *value, size_t *len)
{
	const size_t want = u->peer_cred ? u->peer_cred->groups_len * sizeof(uint32_t) : 0;

	if (!u->peer_cred)
		return -ENODATA;
	if (*len < want) {
		*len = want;
		return -ERANGE;
	}
	for (size_t i = 0; i < u->peer_cred->groups_len; i++) {
		const gid_t gid = task_gid_out(task_current(), u->peer_cred->groups[i]);

		memcpy((gid_t *)value + i, &gid, sizeof(gid));
	}
	*len = want;
	return 0;
}

int unix_getsockopt(struct socket *s, int level, int name, void *value, size_t *len)
{
	const struct unix_socket *u = to_unix(s);
	struct ucred c;
	int on;

	if (level != SOL_SOCKET)
		return -EOPNOTSUPP;
	switch (name) {
	case SO_PEERCRED:
		c = scm_ucred(&u->peer_creds);
		*len = *len < sizeof(c) ? *len : sizeof(c);
		memcpy(value, &c, *len);
		return 0;
	case SO_ACCEPTCONN:
		on = u->listening;
		memcpy(value, &on, sizeof(on));
		return 0;
	case SO_PEERGROUPS:
		return get_groups(u, value, len);
	default:
		return -ENOPROTOOPT;
	}
}

long unix_ioctl(struct socket *s, unsigned int cmd, uint64_t arg, struct user_memory *um)
{
	const struct unix_socket *u = to_unix(s);
	const struct packet *first = packet_first(&u->st.rx);
	int value;

	switch (cmd) {
	case SIOCINQ:
		if (u->listening)
			return -EINVAL;
		if (s->type == SOCK_STREAM)
			value = (int)u->st.rx.bytes;
		else
			value = first ? (int)first->len : 0;
		break;
	case SIOCOUTQ:
		value = u->st.peer ? (int)u->st.peer->rx.bytes : 0;
		break;
	default:
		return -ENOTTY;
	}
	return user_copy_out(um, arg, &value, sizeof(value));
}
