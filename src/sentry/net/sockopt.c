/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of level SOL_SOCKET (socket(7)); other levels are the family's.
 */
#include <asm/socket.h>
#include <linux/capability.h>
#include <string.h>

#include "sentry/core/kclock.h"
#include "sentry/net/socket.h"
#include "sentry/task/task.h"

static bool *flag_of(struct socket_options *o, int name)
{
	switch (name) {
	case SO_REUSEADDR:
		return &o->reuseaddr;
	case SO_REUSEPORT:
		return &o->reuseport;
	case SO_KEEPALIVE:
		return &o->keepalive;
	case SO_BROADCAST:
		return &o->broadcast;
	case SO_DONTROUTE:
		return &o->dontroute;
	case SO_OOBINLINE:
		return &o->oobinline;
	case SO_PASSCRED:
		return &o->passcred;
	case SO_PASSSEC:
		return &o->passsec;
	case SO_TIMESTAMP_OLD:
	case SO_TIMESTAMP_NEW:
		return &o->timestamp;
	case SO_TIMESTAMPNS_OLD:
	case SO_TIMESTAMPNS_NEW:
		return &o->timestamp_ns;
	case SO_RXQ_OVFL:
		return &o->rxq_ovfl;
	case SO_NO_CHECK:
		return &o->no_check;
	default:
		return NULL;
	}
}

static int set_buffer(int *ret, int value, int max)
{
	if (value < 0 || value > max)
		value = max;
	/* The kernel's books take as much again (socket(7)). */
	*ret = value * 2 < SOCKET_BUF_MIN ? SOCKET_BUF_MIN : value * 2;
	return 0;
}

static int set_timeout(nsec_t *ret, const void *value, size_t len)
{
	struct timeval tv;

	if (len < sizeof(tv))
		return -EINVAL;
	memcpy(&tv, value, sizeof(tv));
	if (tv.tv_usec < 0 || tv.tv_usec >= 1000000)
		return -EDOM;
	if (tv.tv_sec < 0)
		*ret = 0;
	else if (!tv.tv_sec && !tv.tv_usec)
		*ret = NSEC_NEVER;
	else
		*ret = timespec_to_nsec(
			&(struct timespec){ .tv_sec = tv.tv_sec, .tv_nsec = tv.tv_usec * 1000 });
	return 0;
}

static int set_device(struct socket *s, const char *value, size_t len)
{
	char name[sizeof(s->opt.device)] = "";

	memcpy(name, value, len < sizeof(name) - 1 ? len : sizeof(name) - 1);
	if (name[0] && strcmp(name, "lo"))
		return -ENODEV;
	memcpy(s->opt.device, name, sizeof(name));
	return 0;
}

/* Options that are neither flags nor plain numbers. -ENOPROTOOPT: not one of them. */
static int set_special(struct socket *s, int name, const void *value, size_t len)
{
	struct socket_options *o = &s->opt;

	switch (name) {
	case SO_LINGER:
		if (len < sizeof(o->linger))
			return -EINVAL;
		memcpy(&o->linger, value, sizeof(o->linger));
		o->linger.l_onoff = o->linger.l_onoff != 0;
		return 0;
	case SO_RCVTIMEO_OLD:
	case SO_RCVTIMEO_NEW:
		return set_timeout(&o->rcvtimeo, value, len);
	case SO_SNDTIMEO_OLD:
	case SO_SNDTIMEO_NEW:
		return set_timeout(&o->sndtimeo, value, len);
	case SO_BINDTODEVICE:
		return set_device(s, value, len);
	case SO_ATTACH_FILTER:
	case SO_ATTACH_BPF:
		return -EPERM;
	case SO_DETACH_FILTER:
		return -ENOENT;
	default:
		return -ENOPROTOOPT;
	}
}

static int set_number(struct socket *s, int name, int value)
{
	struct socket_options *o = &s->opt;

	switch (name) {
	case SO_SNDBUF:
		return set_buffer(&o->sndbuf, value, SOCKET_BUF_MAX);
	case SO_RCVBUF:
		return set_buffer(&o->rcvbuf, value, SOCKET_BUF_MAX);
	case SO_SNDBUFFORCE:
	case SO_RCVBUFFORCE:
		if (!net_capable(s->ns, CAP_NET_ADMIN))
			return -EPERM;
		return set_buffer(name == SO_SNDBUFFORCE ? &o->sndbuf : &o->rcvbuf, value,
				  SOCKET_BUF_FORCED_MAX);
	case SO_RCVLOWAT:
		o->rcvlowat = value < 0 ? INT32_MAX : value ? value : 1;
		return 0;
	case SO_PRIORITY:
		if ((value < 0 || value > 6) && !net_capable(s->ns, CAP_NET_ADMIN))
			return -EPERM;
		o->priority = value;
		return 0;
	case SO_MARK:
		if (!net_capable(s->ns, CAP_NET_ADMIN) && !net_capable(s->ns, CAP_NET_RAW))
			return -EPERM;
		o->mark = value;
		return 0;
	case SO_BUSY_POLL:
		if (value < 0)
			return -EINVAL;
		o->busy_poll = value;
		return 0;
	case SO_PEEK_OFF:
		return s->family == AF_UNIX && value < 0 ? 0 : -EOPNOTSUPP;
	case SO_DEBUG:
		return value && !net_capable(s->ns, CAP_NET_ADMIN) ? -EACCES : 0;
	default:
		return -ENOPROTOOPT;
	}
}

static int set_generic(struct socket *s, int name, const void *value, size_t len)
{
	bool *flag = flag_of(&s->opt, name);
	int number, r = set_special(s, name, value, len);

	if (r != -ENOPROTOOPT)
		return r;
	if (len < sizeof(number))
		return -EINVAL;
	memcpy(&number, value, sizeof(number));
	if (flag) {
		*flag = number != 0;
		if (number && flag == &s->opt.timestamp)
			s->opt.timestamp_ns = false;
		return 0;
	}
	return set_number(s, name, number);
}

int socket_setsockopt(struct socket *s, int level, int name, const void *value, size_t len)
{
	if (level == SOL_SOCKET) {
		const int r = set_generic(s, name, value, len);

		if (r < 0 || !s->ops->mirror_options)
			return r;
		(void)s->ops->setsockopt(s, level, name, value, len);
		return 0;
	}
	if (!s->ops->setsockopt)
		return level == IPPROTO_TCP || level == SOL_IP || level == SOL_IPV6 ? -EOPNOTSUPP
										    : -ENOPROTOOPT;
	return s->ops->setsockopt(s, level, name, value, len);
}

static int put_option(void *value, size_t *len, const void *from, size_t from_len)
{
	if (*len > from_len)
		*len = from_len;
	memcpy(value, from, *len);
	return 0;
}

static int get_timeout(nsec_t timeout, void *value, size_t *len)
{
	const struct timespec ts = nsec_to_timespec(timeout == NSEC_NEVER ? 0 : timeout);
	const struct timeval tv = { .tv_sec = ts.tv_sec, .tv_usec = ts.tv_nsec / 1000 };

	return put_option(value, len, &tv, sizeof(tv));
}

static bool is_listening(struct socket *s)
{
	int on = 0;
	size_t len = sizeof(on);

	return s->ops->getsockopt &&
	       s->ops->getsockopt(s, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) == 0 && on;
}

static int get_number(struct socket *s, int name, int *ret)
{
	const struct socket_options *o = &s->opt;

	switch (name) {
	case SO_TYPE:
		*ret = s->type;
		break;
	case SO_DOMAIN:
		*ret = s->family;
		break;
	case SO_PROTOCOL:
		*ret = s->protocol;
		break;
	case SO_ERROR:
		*ret = -(s->ops->take_error ? s->ops->take_error(s) : socket_take_error(s));
		break;
	case SO_ACCEPTCONN:
		*ret = is_listening(s);
		break;
	case SO_SNDBUF:
		*ret = o->sndbuf;
		break;
	case SO_RCVBUF:
		*ret = o->rcvbuf;
		break;
	case SO_RCVLOWAT:
		*ret = o->rcvlowat;
		break;
	case SO_SNDLOWAT:
		*ret = 1;
		break;
	case SO_PRIORITY:
		*ret = o->priority;
		break;
	case SO_MARK:
		*ret = o->mark;
		break;
	case SO_BUSY_POLL:
		*ret = o->busy_poll;
		break;
	case SO_PEEK_OFF:
		*ret = o->peek_off;
		break;
	case SO_DEBUG:
	case SO_INCOMING_CPU:
		*ret = 0;
		break;
	default:
		return -ENOPROTOOPT;
	}
	return 0;
}

static int get_generic(struct socket *s, int name, void *value, size_t *len)
{
	const bool *flag = flag_of(&s->opt, name);
	int number, r;

	switch (name) {
	case SO_LINGER:
		return put_option(value, len, &s->opt.linger, sizeof(s->opt.linger));
	case SO_RCVTIMEO_OLD:
	case SO_RCVTIMEO_NEW:
		return get_timeout(s->opt.rcvtimeo, value, len);
	case SO_SNDTIMEO_OLD:
	case SO_SNDTIMEO_NEW:
		return get_timeout(s->opt.sndtimeo, value, len);
	case SO_BINDTODEVICE:
		if (!s->opt.device[0])
			*len = 0;
		return put_option(value, len, s->opt.device, strlen(s->opt.device) + 1);
	case SO_PEERCRED:
	case SO_PEERGROUPS:
	case SO_PEERSEC:
		if (s->family == AF_UNIX)
			return s->ops->getsockopt(s, SOL_SOCKET, name, value, len);
		break;
	default:
		break;
	}
	if (name == SO_PEERCRED) {
		const struct ucred none = { .pid = 0, .uid = (uid_t)-1, .gid = (gid_t)-1 };

		return put_option(value, len, &none, sizeof(none));
	}
	if (flag) {
		number = *flag;
	} else {
		r = get_number(s, name, &number);
		if (r < 0)
			return r;
	}
	return put_option(value, len, &number, sizeof(number));
}

int socket_getsockopt(struct socket *s, int level, int name, void *value, size_t *len)
{
	if (level == SOL_SOCKET)
		return get_generic(s, name, value, len);
	return s->ops->getsockopt ? s->ops->getsockopt(s, level, name, value, len) : -EOPNOTSUPP;
}
