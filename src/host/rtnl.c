/* SPDX-License-Identifier: Apache-2.0 */
#include "host/rtnl.h"

#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

#ifndef NETLINK_GET_STRICT_CHK
#define NETLINK_GET_STRICT_CHK 12
#endif

int rtnl_open(struct rtnl *ret, struct err *err)
{
	static const int options[] = { NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK };
	const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	const struct timeval timeout = { .tv_sec = RTNL_TIMEOUT_S };
	const int on = 1;

	if (fd < 0)
		return err_sys(err, -errno, "make a socket of rtnetlink");
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	/* An older kernel has fewer words, longer answers and unfiltered lists. */
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		(void)setsockopt(fd, SOL_NETLINK, options[i], &on, sizeof(on));
	*ret = (struct rtnl){ .fd = fd };
	return 0;
}

void rtnl_done(struct rtnl *c)
{
	auto_close_p(&c->fd);
	c->fd = -EBADF;
}

void rtnl_start(struct rtnl_request *q, uint16_t type, uint16_t flags, const void *body, size_t len)
{
	memset(&q->head, 0, sizeof(q->head));
	q->full = false;
	q->head.nlmsg_len = (uint32_t)NLMSG_LENGTH(len);
	q->head.nlmsg_type = type;
	q->head.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	memset(q->bytes + NLMSG_HDRLEN, 0, NLMSG_ALIGN(len));
	memcpy(q->bytes + NLMSG_HDRLEN, body, len);
}

/* Its payload, of `len` bytes, not written yet but for the padding; NULL: no room. */
static void *add(struct rtnl_request *q, uint16_t type, size_t len)
{
	const size_t at = NLMSG_ALIGN(q->head.nlmsg_len);
	struct rtattr *a = (struct rtattr *)(q->bytes + at);

	if (q->full || len > RTNL_REQUEST_MAX || RTA_SPACE(len) > RTNL_REQUEST_MAX - at) {
		q->full = true;
		return NULL;
	}
	memset(a, 0, RTA_SPACE(len));
	a->rta_type = type;
	a->rta_len = (uint16_t)RTA_LENGTH(len);
	q->head.nlmsg_len = (uint32_t)(at + RTA_SPACE(len));
	return RTA_DATA(a);
}

void rtnl_put(struct rtnl_request *q, uint16_t type, const void *bytes, size_t len)
{
	void *to = add(q, type, len);

	if (to && len > 0)
		memcpy(to, bytes, len);
}

void rtnl_put_u32(struct rtnl_request *q, uint16_t type, uint32_t value)
{
	rtnl_put(q, type, &value, sizeof(value));
}

void rtnl_put_text(struct rtnl_request *q, uint16_t type, const char *text)
{
	rtnl_put(q, type, text, strlen(text) + 1);
}

size_t rtnl_nest(struct rtnl_request *q, uint16_t type)
{
	const size_t at = NLMSG_ALIGN(q->head.nlmsg_len);

	(void)add(q, (uint16_t)(type | NLA_F_NESTED), 0);
	return at;
}

void rtnl_nest_end(struct rtnl_request *q, size_t nest)
{
	struct rtattr *a = (struct rtattr *)(q->bytes + nest);

	if (!q->full)
		a->rta_len = (uint16_t)(q->head.nlmsg_len - nest);
}

int rtnl_parse(const void *body, size_t len, size_t head, const struct rtattr **table, size_t size)
{
	const uint8_t *at = body;
	size_t left;

	memset(table, 0, size * sizeof(*table));
	if (len < head)
		return -EBADMSG;
	head = NLMSG_ALIGN(head);
	left = len > head ? len - head : 0;
	at += head;
	while (left > 0) {
		const struct rtattr *a = (const struct rtattr *)at;
		size_t whole;

		if (left < sizeof(*a) || a->rta_len < sizeof(*a) || a->rta_len > left)
			return -EBADMSG;
		if ((a->rta_type & NLA_TYPE_MASK) < size)
			table[a->rta_type & NLA_TYPE_MASK] = a;
		/* The last one may lack its padding. */
		whole = RTA_ALIGN(a->rta_len) < left ? RTA_ALIGN(a->rta_len) : left;
		at += whole;
		left -= whole;
	}
	return 0;
}

int rtnl_parse_nest(const struct rtattr *a, const struct rtattr **table, size_t size)
{
	return rtnl_parse(a ? RTA_DATA(a) : "", rtnl_len(a), 0, table, size);
}

size_t rtnl_len(const struct rtattr *a)
{
	return a ? RTA_PAYLOAD(a) : 0;
}

bool rtnl_get(const struct rtattr *a, void *ret, size_t len)
{
	if (!a || rtnl_len(a) != len)
		return false;
	memcpy(ret, RTA_DATA(a), len);
	return true;
}

bool rtnl_get_u32(const struct rtattr *a, uint32_t *ret)
{
	return rtnl_get(a, ret, sizeof(*ret));
}

const char *rtnl_get_text(const struct rtattr *a)
{
	return a && memchr(RTA_DATA(a), '\0', rtnl_len(a)) ? RTA_DATA(a) : NULL;
}

static int send_request(struct rtnl *c, struct rtnl_request *q, struct err *err)
{
	ssize_t n;

	if (q->full)
		return err_sys(err, -EMSGSIZE, "a request of more than %u bytes", RTNL_REQUEST_MAX);
	q->head.nlmsg_seq = ++c->serial;
	do {
		n = send(c->fd, q->bytes, q->head.nlmsg_len, 0);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? err_sys(err, -errno, "write to rtnetlink") : 0;
}

/* One datagram of the kernel: its length. */
static ssize_t receive(const struct rtnl *c, void *reply, struct err *err)
{
	struct sockaddr_nl from;
	struct iovec iov = { reply, RTNL_REPLY_MAX };
	struct msghdr m;
	ssize_t n;

	do {
		memset(&from, 0, sizeof(from));
		m = (struct msghdr){ .msg_name = &from,
				     .msg_namelen = sizeof(from),
				     .msg_iov = &iov,
				     .msg_iovlen = 1 };
		n = recvmsg(c->fd, &m, 0);
		/* Whoever has our number may write to us; the kernel's is 0. */
	} while ((n < 0 && errno == EINTR) || (n >= 0 && from.nl_pid != 0));
	if (n < 0 && errno == ENOBUFS) {
		/* Room for the next answer: else it would be lost, too, and nobody would say so. */
		while (recv(c->fd, reply, RTNL_REPLY_MAX, MSG_DONTWAIT) >= 0)
			;
		return err_set(err, -ENOBUFS, "answers of rtnetlink were lost");
	}
	if (n < 0 && errno == EAGAIN)
		return err_set(err, -ETIMEDOUT, "no answer of rtnetlink within %d s",
			       RTNL_TIMEOUT_S);
	if (n < 0)
		return err_sys(err, -errno, "read from rtnetlink");
	if (m.msg_flags & MSG_TRUNC)
		return err_set(err, -EMSGSIZE, "an answer of rtnetlink has more than %u bytes",
			       RTNL_REPLY_MAX);
	return n > 0 ? n : err_set(err, -EBADMSG, "an empty answer of rtnetlink");
}

static int not_understood(struct err *err)
{
	return err_set(err, -EBADMSG, "an answer of rtnetlink is not understood");
}

/* NLMSGERR_ATTR_MSG: behind the request, which the kernel repeats unless it was told not to. */
static void kernel_words(const struct nlmsghdr *h, char text[static RTNL_TEXT_MAX])
{
	const struct nlmsgerr *e = NLMSG_DATA(h);
	const struct rtattr *attrs[NLMSGERR_ATTR_MSG + 1];
	const size_t len = NLMSG_PAYLOAD(h, 0);
	const size_t repeated = h->nlmsg_flags & NLM_F_CAPPED || e->msg.nlmsg_len < NLMSG_HDRLEN
					? 0
					: e->msg.nlmsg_len - NLMSG_HDRLEN;
	const char *words;

	*text = '\0';
	if (!(h->nlmsg_flags & NLM_F_ACK_TLVS) || repeated > len ||
	    rtnl_parse(e, len, sizeof(*e) + repeated, attrs, NLMSGERR_ATTR_MSG + 1) < 0)
		return;
	words = rtnl_get_text(attrs[NLMSGERR_ATTR_MSG]);
	for (size_t i = 0; words && *words && i < RTNL_TEXT_MAX - 1; i++, words++) {
		text[i] = *words >= ' ' && *words < 0x7f ? *words : '?';
		text[i + 1] = '\0';
	}
}

/* Of NLMSG_ERROR: 0 is the acknowledgement. */
static int judge(const struct nlmsghdr *h, struct err *err)
{
	const struct nlmsgerr *e = NLMSG_DATA(h);
	char words[RTNL_TEXT_MAX];

	if (NLMSG_PAYLOAD(h, 0) < sizeof(*e) || e->error > 0)
		return not_understood(err);
	if (e->error == 0)
		return 0;
	kernel_words(h, words);
	return err_set(err, e->error, "%s%s%s", strerror(-e->error), *words ? ": " : "", words);
}

/* NLMSG_DONE: what made the kernel end the list early, if anything. */
static int judge_done(const struct nlmsghdr *h, struct err *err)
{
	int code = 0;

	if (NLMSG_PAYLOAD(h, 0) >= sizeof(code))
		memcpy(&code, NLMSG_DATA(h), sizeof(code));
	if (code > 0)
		return not_understood(err);
	return code < 0 ? err_set(err, code, "%s", strerror(-code)) : 0;
}

struct talk {
	uint32_t serial;
	bool dump;
	rtnl_take *take;
	void *arg;
	int result; /* the first that is not 0 */
	struct err *err;
};

static void keep(struct talk *t, int r)
{
	t->result = t->result ? t->result : r;
}

/* Messages of one datagram. 1: it was the last; 0: more are to come; -EBADMSG. */
static int take_datagram(struct talk *t, const uint8_t *at, size_t left)
{
	while (left > 0) {
		const struct nlmsghdr *h = (const struct nlmsghdr *)at;
		size_t whole;

		if (left < sizeof(*h) || h->nlmsg_len < sizeof(*h) || h->nlmsg_len > left)
			return not_understood(t->err);
		whole = NLMSG_ALIGN(h->nlmsg_len) < left ? NLMSG_ALIGN(h->nlmsg_len) : left;
		at += whole;
		left -= whole;
		if (h->nlmsg_seq != t->serial)
			continue;
		if (h->nlmsg_flags & NLM_F_DUMP_INTR && t->dump && t->result == 0)
			keep(t, err_set(t->err, -EAGAIN, "the list changed while it was read"));
		if (h->nlmsg_type == NLMSG_ERROR) {
			keep(t, judge(h, t->result ? NULL : t->err));
			return 1;
		}
		if (h->nlmsg_type == NLMSG_DONE) {
			keep(t, judge_done(h, t->result ? NULL : t->err));
			return 1;
		}
		if (h->nlmsg_type >= NLMSG_MIN_TYPE && t->take && t->result == 0) {
			keep(t, t->take(h->nlmsg_type, NLMSG_DATA(h), NLMSG_PAYLOAD(h, 0), t->arg));
			if (t->result < 0)
				(void)err_set(t->err, t->result, "%s", strerror(-t->result));
		}
	}
	return 0;
}

static int talk(struct rtnl *c, struct rtnl_request *q, struct talk *t)
{
	_Alignas(struct nlmsghdr) uint8_t reply[RTNL_REPLY_MAX];
	int r = send_request(c, q, t->err);

	t->serial = c->serial;
	while (r == 0) {
		const ssize_t n = receive(c, reply, t->result ? NULL : t->err);

		r = n < 0 ? (int)n : take_datagram(t, reply, (size_t)n);
	}
	return t->result || r > 0 ? t->result : r;
}

int rtnl_ask(struct rtnl *c, struct rtnl_request *q, rtnl_take *take, void *arg, struct err *err)
{
	struct talk t = { .take = take, .arg = arg, .err = err };

	q->head.nlmsg_flags |= NLM_F_ACK;
	return talk(c, q, &t);
}

int rtnl_dump(struct rtnl *c, struct rtnl_request *q, rtnl_take *take, void *arg, struct err *err)
{
	struct talk t = { .dump = true, .take = take, .arg = arg, .err = err };

	q->head.nlmsg_flags |= NLM_F_DUMP;
	return talk(c, q, &t);
}

static int take_index(uint16_t type, const void *body, size_t len, void *arg)
{
	const struct ifinfomsg *link = body;

	if (type != RTM_NEWLINK || len < sizeof(*link))
		return -EBADMSG;
	*(int *)arg = link->ifi_index;
	return 0;
}

int rtnl_link_index(struct rtnl *c, const char *name, struct err *err)
{
	const struct ifinfomsg link = { .ifi_family = AF_UNSPEC };
	struct rtnl_request q;
	int index = 0;
	int r;

	if (!*name || strlen(name) >= IFNAMSIZ)
		return err_set(err, -EINVAL, "\"%s\" is no name of a device", name);
	rtnl_start(&q, RTM_GETLINK, 0, &link, sizeof(link));
	rtnl_put_text(&q, IFLA_IFNAME, name);
	r = rtnl_ask(c, &q, take_index, &index, err);
	if (r == 0 && index <= 0)
		r = not_understood(err);
	return r < 0 ? r : index;
}

int rtnl_link_delete(struct rtnl *c, int index, struct err *err)
{
	const struct ifinfomsg link = { .ifi_index = index };
	struct rtnl_request q;

	rtnl_start(&q, RTM_DELLINK, 0, &link, sizeof(link));
	return rtnl_ask(c, &q, NULL, NULL, err);
}

int rtnl_link_set_up(struct rtnl *c, int index, bool up, struct err *err)
{
	const struct ifinfomsg link = {
		.ifi_index = index,
		.ifi_flags = up ? IFF_UP : 0,
		.ifi_change = IFF_UP,
	};
	struct rtnl_request q;

	rtnl_start(&q, RTM_NEWLINK, 0, &link, sizeof(link));
	return rtnl_ask(c, &q, NULL, NULL, err);
}
