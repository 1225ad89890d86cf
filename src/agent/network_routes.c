/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/network_routes.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <string.h>
#include <sys/socket.h>

size_t network_ip_len(const struct agent_ip *ip)
{
	return ip->family == AF_INET ? 4 : 16;
}

const char *network_ip_text(const struct agent_ip *ip, char text[static NETWORK_IP_TEXT])
{
	const char *s = inet_ntop((int)ip->family, ip->bytes, text, NETWORK_IP_TEXT);

	return s ? s : "?";
}

static bool has_device(uint32_t type)
{
	return type != RTN_BLACKHOLE && type != RTN_UNREACHABLE && type != RTN_PROHIBIT &&
	       type != RTN_THROW;
}

/* An IPv4 route by an IPv6 router has its gateway in RTA_VIA. */
static void put_gateway(struct rtnl_request *q, const struct agent_route *r)
{
	const size_t len = network_ip_len(&r->gateway);
	struct {
		uint16_t family;
		uint8_t bytes[16];
	} via = { .family = (uint16_t)r->gateway.family };

	if (!r->gateway.family)
		return;
	memcpy(via.bytes, r->gateway.bytes, len);
	if (r->gateway.family == r->to.family)
		rtnl_put(q, RTA_GATEWAY, r->gateway.bytes, len);
	else
		rtnl_put(q, RTA_VIA, &via, sizeof(via.family) + len);
}

static int apply_route(struct network *net, const struct agent_route *r, struct err *err)
{
	const struct rtmsg msg = {
		.rtm_family = (uint8_t)r->to.family,
		.rtm_dst_len = (uint8_t)r->to.prefix,
		.rtm_table = (uint8_t)(r->table < 256 ? r->table : RT_TABLE_COMPAT),
		.rtm_protocol = (uint8_t)r->protocol,
		.rtm_scope = (uint8_t)r->scope,
		.rtm_type = (uint8_t)r->type,
		.rtm_flags = r->flags & RTNH_F_ONLINK,
	};
	struct rtnl_request q;
	int result;

	/* Two of one destination and metric may differ in their gateway. */
	rtnl_start(&q, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_APPEND, &msg, sizeof(msg));
	rtnl_put_u32(&q, RTA_TABLE, r->table);
	if (r->to.prefix)
		rtnl_put(&q, RTA_DST, r->to.bytes, network_ip_len(&r->to));
	if (has_device(r->type))
		rtnl_put_u32(&q, RTA_OIF, (uint32_t)net->index[r->link]);
	put_gateway(&q, r);
	if (r->source.family)
		rtnl_put(&q, RTA_PREFSRC, r->source.bytes, network_ip_len(&r->source));
	if (r->metric)
		rtnl_put_u32(&q, RTA_PRIORITY, r->metric);
	if (r->mtu) {
		const size_t metrics = rtnl_nest(&q, RTA_METRICS);

		rtnl_put_u32(&q, RTAX_MTU, r->mtu);
		rtnl_nest_end(&q, metrics);
	}
	result = rtnl_ask(&net->c, &q, NULL, NULL, err);
	return result == -EEXIST ? 0 : result;
}

static int name_route(const struct network *net, const struct agent_route *r, struct err *err)
{
	char to[NETWORK_IP_TEXT], gateway[NETWORK_IP_TEXT];

	return err_prefix(err, err->code, "network: route %s/%u%s%s by %s, table %u",
			  network_ip_text(&r->to, to), r->to.prefix,
			  r->gateway.family ? " via " : "",
			  r->gateway.family ? network_ip_text(&r->gateway, gateway) : "",
			  has_device(r->type) ? net->n->links[r->link].name : "nobody", r->table);
}

/*
 * Those without a gateway come first; then each round takes those whose gateway one of the round
 * before leads to, as long as there are any.
 */
int network_apply_routes(struct network *net, struct err *err)
{
	const struct agent_network *n = net->n;
	bool done[AGENT_ROUTES_MAX] = { false };
	struct err why = { 0 }, first = { 0 };
	uint32_t left = n->routes_len, before;

	for (uint32_t i = 0; i < n->routes_len; i++) {
		done[i] =
			!n->routes[i].gateway.family && apply_route(net, &n->routes[i], &why) == 0;
		left -= done[i];
	}
	do {
		before = left;
		first.code = 0;
		for (uint32_t i = 0; i < n->routes_len; i++) {
			if (done[i])
				continue;
			done[i] = apply_route(net, &n->routes[i], &why) == 0;
			left -= done[i];
			if (!done[i] && !first.code) {
				(void)name_route(net, &n->routes[i], &why);
				first = why;
			}
		}
	} while (left > 0 && left < before);
	return left > 0 ? err_set(err, first.code, "%s", first.msg) : 0;
}

int network_apply_rule(struct network *net, const struct agent_rule *rule, struct err *err)
{
	const struct agent_link *links = net->n->links;
	const struct fib_rule_hdr hdr = {
		.family = (uint8_t)rule->family,
		.dst_len = (uint8_t)(rule->to.family ? rule->to.prefix : 0),
		.src_len = (uint8_t)(rule->from.family ? rule->from.prefix : 0),
		.table = (uint8_t)(rule->table < 256 ? rule->table : RT_TABLE_COMPAT),
		.action = (uint8_t)rule->action,
		.flags = rule->flags & FIB_RULE_INVERT,
	};
	struct rtnl_request q;
	int r;

	rtnl_start(&q, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, &hdr, sizeof(hdr));
	if (rule->to.family)
		rtnl_put(&q, FRA_DST, rule->to.bytes, network_ip_len(&rule->to));
	if (rule->from.family)
		rtnl_put(&q, FRA_SRC, rule->from.bytes, network_ip_len(&rule->from));
	if (rule->in_link)
		rtnl_put_text(&q, FRA_IIFNAME, links[rule->in_link - 1].name);
	if (rule->out_link)
		rtnl_put_text(&q, FRA_OIFNAME, links[rule->out_link - 1].name);
	rtnl_put_u32(&q, FRA_PRIORITY, rule->priority);
	rtnl_put_u32(&q, FRA_TABLE, rule->table);
	if (rule->mark || rule->mask) {
		rtnl_put_u32(&q, FRA_FWMARK, rule->mark);
		rtnl_put_u32(&q, FRA_FWMASK, rule->mask);
	}
	r = rtnl_ask(&net->c, &q, NULL, NULL, err);
	if (r == 0 || r == -EEXIST)
		return 0;
	return err_prefix(err, r, "network: rule %u to table %u", rule->priority, rule->table);
}
