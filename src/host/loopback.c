/* SPDX-License-Identifier: Apache-2.0 */
#include "host/loopback.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "host/bpf.h"

#define NAME "caisson_lo"

#define KEEPALIVE_IDLE_S  60
#define KEEPALIVE_AGAIN_S 15
#define KEEPALIVE_COUNT	  4

#define CTX(field) (offsetof(struct bpf_sk_lookup, field))

/* Of an address in network order, as the processor loads it. */
#define FIRST_BYTE(reg) INSN(BPF_ALU | BPF_AND | BPF_K, reg, 0, 0, (int)htonl(0xff000000u))
#define LOOPBACK	((int)htonl(0x7f000000u))
#define LAST_OF_SIX	((int)htonl(1)) /* word of ::1; the others are 0 */

static int set_option(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

/*
 * On an address that nobody outside reaches; its own port is of no meaning. A socket of IPv6 has
 * connections of both families; of a kernel without IPv6 it is one of IPv4.
 */
static int open_socket(void)
{
	const struct sockaddr_in four = { .sin_family = AF_INET,
					  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 both = { .sin6_family = AF_INET6 };
	AUTO_CLOSE int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0 && errno == EAFNOSUPPORT) {
		fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		r = fd < 0 ? -1 : bind(fd, (const struct sockaddr *)&four, sizeof(four));
		return r < 0 ? -errno : TAKE_FD(fd);
	}
	r = fd < 0 ? -errno : set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
	if (r < 0)
		return r;
	both.sin6_addr.s6_addr32[2] = htonl(0xffff);
	both.sin6_addr.s6_addr32[3] = four.sin_addr.s_addr;
	return bind(fd, (const struct sockaddr *)&both, sizeof(both)) < 0 ? -errno : TAKE_FD(fd);
}

static int open_listener(struct err *err)
{
	AUTO_CLOSE int fd = open_socket();
	int r = fd < 0 ? fd : set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);

	if (r == 0)
		r = set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
	if (r == 0)
		r = set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_AGAIN_S);
	if (r == 0)
		r = set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT);
	if (r == 0 && listen(fd, LOOPBACK_BACKLOG) < 0)
		r = -errno;
	return r < 0 ? err_sys(err, r, "listen on the loopback device") : TAKE_FD(fd);
}

/* By which the program knows the socket; goes with the program. */
static int make_map(int listener, struct err *err)
{
	const uint32_t key = 0;
	const uint64_t value = (uint64_t)listener;
	AUTO_CLOSE int map = -EBADF;
	union bpf_attr attr;
	int r;

	memset(&attr, 0, sizeof(attr));
	attr.map_type = BPF_MAP_TYPE_SOCKMAP;
	attr.key_size = sizeof(key);
	attr.value_size = sizeof(value);
	attr.max_entries = 1;
	memcpy(attr.map_name, NAME, sizeof(NAME));
	map = bpf(BPF_MAP_CREATE, &attr);
	if (map < 0)
		return err_sys(err, map, "make a map of sockets");
	memset(&attr, 0, sizeof(attr));
	attr.map_fd = (uint32_t)map;
	attr.key = (uint64_t)(uintptr_t)&key;
	attr.value = (uint64_t)(uintptr_t)&value;
	r = bpf(BPF_MAP_UPDATE_ELEM, &attr);
	return r < 0 ? err_sys(err, r, "put a socket into a map") : TAKE_FD(map);
}

/* Where jumps go, by the instruction's number; an offset counts from the one after the jump. */
#define SIX		  12
#define TAKE		  28
#define PASS		  42
#define TO(label, number) ((label) - (number)-1)
/* Numbers `n` and the next one: a word of an address is this one, or it is left alone. */
#define WORD_IS(n, field, value)                                              \
	INSN(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_0, BPF_REG_6, CTX(field), 0), \
		INSN(BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, TO(PASS, (n) + 1), value)

/*
 * if (protocol == TCP &&
 *     ((family == AF_INET && both addresses are in 127.0.0.0/8) ||
 *      (family == AF_INET6 && both addresses are ::1)))
 *         sk_assign(ctx, map[0]);
 * return SK_PASS;
 */
static int load_program(int map, struct err *err)
{
	const struct bpf_insn insns[] = {
		INSN(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_6, BPF_REG_1, 0, 0),
		WORD_IS(1, protocol, IPPROTO_TCP),
		INSN(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_0, BPF_REG_6, CTX(family), 0),
		INSN(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, TO(SIX, 4), AF_INET6),
		INSN(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_0, BPF_REG_6, CTX(local_ip4), 0),
		FIRST_BYTE(BPF_REG_0),
		INSN(BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, TO(PASS, 7), LOOPBACK),
		INSN(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_0, BPF_REG_6, CTX(remote_ip4), 0),
		FIRST_BYTE(BPF_REG_0),
		INSN(BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, TO(PASS, 10), LOOPBACK),
		INSN(BPF_JMP | BPF_JA, 0, 0, TO(TAKE, 11), 0),
		/* SIX: */
		WORD_IS(12, local_ip6[0], 0),
		WORD_IS(14, local_ip6[1], 0),
		WORD_IS(16, local_ip6[2], 0),
		WORD_IS(18, local_ip6[3], LAST_OF_SIX),
		WORD_IS(20, remote_ip6[0], 0),
		WORD_IS(22, remote_ip6[1], 0),
		WORD_IS(24, remote_ip6[2], 0),
		WORD_IS(26, remote_ip6[3], LAST_OF_SIX),
		/* TAKE: */
		INSN(BPF_ST | BPF_MEM | BPF_W, BPF_REG_10, 0, -4, 0),
		INSN(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_2, BPF_REG_10, 0, 0),
		INSN(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, -4),
		INSN(BPF_LD | BPF_DW | BPF_IMM, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0, map),
		INSN(0, 0, 0, 0, 0),
		INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem),
		INSN(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, TO(PASS, 34), 0),
		INSN(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_7, BPF_REG_0, 0, 0),
		INSN(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_1, BPF_REG_6, 0, 0),
		INSN(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_2, BPF_REG_7, 0, 0),
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_3, 0, 0, 0),
		INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_sk_assign),
		INSN(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_1, BPF_REG_7, 0, 0),
		INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_sk_release),
		/* PASS: */
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, SK_PASS),
		INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
	};
	union bpf_attr attr;
	int fd;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_SK_LOOKUP;
	attr.expected_attach_type = BPF_SK_LOOKUP;
	attr.insns = (uint64_t)(uintptr_t)insns;
	attr.insn_cnt = ARRAY_LEN(insns);
	attr.license = (uint64_t)(uintptr_t) "Apache-2.0";
	memcpy(attr.prog_name, NAME, sizeof(NAME));
	fd = bpf(BPF_PROG_LOAD, &attr);
	return fd < 0 ? err_sys(err, fd, "load a BPF program") : fd;
}

static int make_link(int program, struct err *err)
{
	AUTO_CLOSE int here = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	union bpf_attr attr;
	int fd;

	if (here < 0)
		return err_sys(err, -errno, "open the network namespace");
	memset(&attr, 0, sizeof(attr));
	attr.link_create.prog_fd = (uint32_t)program;
	attr.link_create.target_fd = (uint32_t)here;
	attr.link_create.attach_type = BPF_SK_LOOKUP;
	fd = bpf(BPF_LINK_CREATE, &attr);
	return fd < 0 ? err_sys(err, fd, "link a BPF program to a network namespace") : fd;
}

int loopback_take(int *ret_listener, int *ret_link, struct err *err)
{
	AUTO_CLOSE int listener = open_listener(err), map = -EBADF, program = -EBADF;
	int link;

	map = listener < 0 ? listener : make_map(listener, err);
	program = map < 0 ? map : load_program(map, err);
	link = program < 0 ? program : make_link(program, err);
	if (link < 0)
		return link;
	*ret_listener = TAKE_FD(listener);
	*ret_link = link;
	return 0;
}
