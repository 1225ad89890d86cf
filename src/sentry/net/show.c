/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of /proc/net (proc_pid_net(5)).
 */
#include <string.h>

#include "sentry/net/inet.h"
#include "sentry/net/unix.h"

/* Addresses are printed as the machine's words, as Linux does. */
static void put_endpoint(struct buf *b, const struct endpoint *e, bool v6)
{
	uint32_t words[4];

	memcpy(words, e->ip, sizeof(words));
	if (v6)
		buf_printf(b, "%08X%08X%08X%08X:%04X", words[0], words[1], words[2], words[3],
			   e->port);
	else
		buf_printf(b, "%08X:%04X", words[3], e->port);
}

static void put_inet(struct buf *b, const struct inet_socket *s, unsigned int row, int state)
{
	const bool v6 = s->sock.family == AF_INET6, tcp = s->sock.type == SOCK_STREAM;
	const struct file *f = &s->sock.file;
	const size_t start = b->len;

	buf_printf(b, tcp ? "%4u: " : "%5u: ", row);
	put_endpoint(b, &s->local, v6);
	buf_puts(b, " ");
	put_endpoint(b, &s->remote, v6);
	buf_printf(b, " %02X %08X:%08X 00:00000000 00000000 %5u        0 %llu %u %016llx", state,
		   0u, s->state == TCP_LISTENING ? s->pending_count : (unsigned int)s->st.rx.bytes,
		   f->cred ? f->cred->euid : 0, (unsigned long long)f->inode->ino, f->refs, 0ull);
	buf_puts(b, tcp ? " 100 0 0 10 0" : " 0");
	while (!v6 && tcp && !buf_error(b) && b->len - start < 149)
		buf_puts(b, " ");
	buf_puts(b, "\n");
}

static int show_inet(struct list_head *table, int family, bool tcp, struct buf *b)
{
	unsigned int row = 0;

	for (unsigned int i = 0; i < NET_PORT_BUCKETS; i++) {
		const struct inet_socket *s;

		list_for_each(s, &table[i], port_node)
		{
			if (s->sock.family == family)
				put_inet(b, s, row++,
					 tcp		  ? tcp_linux_state(s)
					 : s->remote.port ? 1
							  : 7);
		}
	}
	return buf_error(b);
}

#define TCP_HEAD                                                                             \
	"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid " \
	" timeout inode                                                     \n"
#define V6_HEAD                                                                                 \
	"  sl  local_address                         remote_address                        st " \
	"tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode%s\n"
#define UDP_HEAD                                                                               \
	"   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  " \
	"timeout inode ref pointer drops             \n"

static int show_tcp(struct net_ns *ns, struct buf *b)
{
	buf_puts(b, TCP_HEAD);
	return show_inet(ns->tcp_ports, AF_INET, true, b);
}

static int show_tcp6(struct net_ns *ns, struct buf *b)
{
	buf_printf(b, V6_HEAD, "");
	return show_inet(ns->tcp_ports, AF_INET6, true, b);
}

static int show_udp(struct net_ns *ns, struct buf *b)
{
	buf_puts(b, UDP_HEAD);
	return show_inet(ns->udp_ports, AF_INET, false, b);
}

static int show_udp6(struct net_ns *ns, struct buf *b)
{
	buf_printf(b, V6_HEAD, " ref pointer drops");
	return show_inet(ns->udp_ports, AF_INET6, false, b);
}

static void put_unix_name(struct buf *b, const struct unix_addr *addr)
{
	const size_t len = addr->len - sizeof(sa_family_t);

	buf_puts(b, " ");
	for (size_t i = 0; i < len; i++) {
		const char c = addr->un.sun_path[i];

		if (!c && i + 1 == len && addr->un.sun_path[0])
			break;
		buf_append(b, c ? &c : "@", 1);
	}
}

static int show_unix(struct net_ns *ns, struct buf *b)
{
	const struct unix_socket *u;

	buf_puts(b, "Num       RefCount Protocol Flags    Type St Inode Path\n");
	list_for_each(u, &ns->unix_sockets, ns_node)
	{
		/* SS_UNCONNECTED 1, SS_CONNECTED 3; __SO_ACCEPTCON */
		buf_printf(b, "%016llx: %08X %08X %08X %04X %02X %5llu", 0ull, u->sock.file.refs,
			   0u, u->listening ? 1u << 16 : 0u, (unsigned int)u->sock.type,
			   u->connected ? 3u : 1u, (unsigned long long)u->sock.file.inode->ino);
		if (u->addr)
			put_unix_name(b, u->addr);
		buf_puts(b, "\n");
	}
	return buf_error(b);
}

static int show_dev(struct net_ns *ns, struct buf *b)
{
	buf_puts(b, "Inter-|   Receive                                                |  Transmit\n"
		    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    "
		    "packets errs drop fifo colls carrier compressed\n");
	buf_printf(b, "%6s: %7d %7d %4d %4d %4d %5d %10d %9d %8d %7d %4d %4d %4d %5d %7d %10d\n",
		   "lo", 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	return buf_error(b);
}

static int show_route(struct net_ns *ns, struct buf *b)
{
	/* The main table is empty: loopback is in the local one. */
	buf_printf(b, "%-127s\n",
		   "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\t"
		   "MTU\tWindow\tIRTT");
	return buf_error(b);
}

static int show_if_inet6(struct net_ns *ns, struct buf *b)
{
	if (ns->loopback_up)
		buf_puts(b, "00000000000000000000000000000001 01 80 10 80       lo\n");
	return buf_error(b);
}

static int show_ipv6_route(struct net_ns *ns, struct buf *b)
{
	if (ns->loopback_up)
		buf_puts(b, "00000000000000000000000000000001 80 00000000000000000000000000000000 "
			    "00 00000000000000000000000000000000 00000000 00000002 00000000 "
			    "80200001       lo\n");
	return buf_error(b);
}

static int show_arp(struct net_ns *ns, struct buf *b)
{
	return buf_puts(b,
			"IP address       HW type     Flags       HW address            Mask     "
			"Device\n");
}

static int show_netlink(struct net_ns *ns, struct buf *b)
{
	return buf_puts(b,
			"sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    "
			"Drops    Inode\n");
}

static int show_packet(struct net_ns *ns, struct buf *b)
{
	return buf_puts(b, "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n");
}

static int show_raw(struct net_ns *ns, struct buf *b)
{
	return buf_puts(b, UDP_HEAD);
}

static int show_sockstat(struct net_ns *ns, struct buf *b)
{
	unsigned int tcp = 0, udp = 0;

	for (unsigned int i = 0; i < NET_PORT_BUCKETS; i++) {
		const struct inet_socket *s;

		list_for_each(s, &ns->tcp_ports[i], port_node) tcp++;
		list_for_each(s, &ns->udp_ports[i], port_node) udp++;
	}
	buf_printf(b, "sockets: used %u\nTCP: inuse %u orphan 0 tw 0 alloc %u mem 0\n", tcp + udp,
		   tcp, tcp);
	buf_printf(b,
		   "UDP: inuse %u mem 0\nUDPLITE: inuse 0\nRAW: inuse 0\nFRAG: inuse 0 memory 0\n",
		   udp);
	return buf_error(b);
}

static int show_protocols(struct net_ns *ns, struct buf *b)
{
	return buf_puts(b,
			"protocol  size sockets  memory press maxhdr  slab module     cl co di ac "
			"io in de sh ss gs se re sp bi br ha uh gp em\n");
}

const struct net_proc_file net_proc_files[] = {
	{ "arp", show_arp },
	{ "dev", show_dev },
	{ "if_inet6", show_if_inet6 },
	{ "ipv6_route", show_ipv6_route },
	{ "netlink", show_netlink },
	{ "packet", show_packet },
	{ "protocols", show_protocols },
	{ "raw", show_raw },
	{ "raw6", show_raw },
	{ "route", show_route },
	{ "sockstat", show_sockstat },
	{ "tcp", show_tcp },
	{ "tcp6", show_tcp6 },
	{ "udp", show_udp },
	{ "udp6", show_udp6 },
	{ "udplite", show_raw },
	{ "unix", show_unix },
	{ NULL, NULL },
};
