/* SPDX-License-Identifier: Apache-2.0 */
/* A socketpair stands for the kernel's socket where the answers are no kernel's. */
#include "hosttest.h"

#include <net/if.h>
#include <sys/socket.h>

#include "host/rtnl.h"

struct fake {
	struct rtnl client;
	int kernel;
};

static struct fake fake_new(void)
{
	struct fake f = { .client = RTNL_INIT };
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
	f.client.fd = pair[0];
	f.kernel = pair[1];
	return f;
}

static void fake_done(struct fake *f)
{
	rtnl_done(&f->client);
	assert_int_equal(f->client.fd, -EBADF);
	close(f->kernel);
}

/* An answer that will be read; `length` is what it says of itself. */
static void answer(struct fake *f, uint16_t type, uint16_t flags, const void *body, size_t len,
		   uint32_t length)
{
	_Alignas(struct nlmsghdr) uint8_t bytes[RTNL_REQUEST_MAX] = { 0 };
	struct nlmsghdr *h = (struct nlmsghdr *)bytes;

	h->nlmsg_len = length;
	h->nlmsg_type = type;
	h->nlmsg_flags = flags;
	h->nlmsg_seq = f->client.serial + 1;
	memcpy(bytes + NLMSG_HDRLEN, body, len);
	assert_true(send(f->kernel, bytes, NLMSG_HDRLEN + len, 0) > 0);
}

static void answer_whole(struct fake *f, uint16_t type, uint16_t flags, const void *body,
			 size_t len)
{
	answer(f, type, flags, body, len, (uint32_t)NLMSG_LENGTH(len));
}

static void answer_error(struct fake *f, int error)
{
	const struct nlmsgerr e = { .error = error };

	answer_whole(f, NLMSG_ERROR, NLM_F_CAPPED, &e, sizeof(e));
}

static int count(uint16_t type, const void *body, size_t len, void *arg)
{
	int *n = arg;

	++*n;
	return type == RTM_NEWADDR ? -E2BIG : 0;
}

static int ask(struct fake *f, bool dump, int *n, struct err *err)
{
	const struct ifinfomsg link = { 0 };
	struct rtnl_request q;

	*n = 0;
	*err = (struct err){ 0 };
	rtnl_start(&q, RTM_GETLINK, 0, &link, sizeof(link));
	return dump ? rtnl_dump(&f->client, &q, count, n, err)
		    : rtnl_ask(&f->client, &q, count, n, err);
}

static void answers_that_are_no_messages_are_refused(void **state)
{
	struct fake f = fake_new();
	const uint32_t one = 1;
	const struct nlmsgerr positive = { .error = 5 };
	struct err err;
	int n;

	/* Shorter than a head; a length below a head's; a length above what came. */
	assert_int_equal(send(f.kernel, "abc", 3, 0), 3);
	assert_int_equal(ask(&f, false, &n, &err), -EBADMSG);
	answer(&f, RTM_NEWLINK, 0, &one, sizeof(one), 15);
	assert_int_equal(ask(&f, false, &n, &err), -EBADMSG);
	answer(&f, RTM_NEWLINK, 0, &one, sizeof(one), 21);
	assert_int_equal(ask(&f, false, &n, &err), -EBADMSG);
	assert_string_equal(err.msg, "an answer of rtnetlink is not understood");
	/* An error without room for one, an error that is none, a list that ends with one. */
	answer_whole(&f, NLMSG_ERROR, 0, &one, sizeof(one));
	assert_int_equal(ask(&f, false, &n, &err), -EBADMSG);
	answer_whole(&f, NLMSG_ERROR, 0, &positive, sizeof(positive));
	assert_int_equal(ask(&f, false, &n, &err), -EBADMSG);
	answer_whole(&f, NLMSG_DONE, 0, &one, sizeof(one));
	assert_int_equal(ask(&f, true, &n, &err), -EBADMSG);
	assert_int_equal(send(f.kernel, "", 0, 0), 0);
	assert_int_equal(ask(&f, false, &n, &err), -EBADMSG);
	assert_int_equal(n, 0);
	fake_done(&f);
}

static void an_answer_above_the_limit_is_refused(void **state)
{
	static uint8_t bytes[RTNL_REPLY_MAX + 4];
	struct fake f = fake_new();
	struct err err;
	int n;

	assert_int_equal(send(f.kernel, bytes, sizeof(bytes), 0), sizeof(bytes));
	assert_int_equal(ask(&f, false, &n, &err), -EMSGSIZE);
	fake_done(&f);
}

static void errors_have_the_words_of_the_kernel(void **state)
{
	struct {
		struct nlmsgerr e;
		struct rtattr a;
		char text[12];
	} m = { .e = { .error = -EEXIST, .msg = { .nlmsg_len = NLMSG_HDRLEN } },
		.a = { .rta_type = NLMSGERR_ATTR_MSG, .rta_len = 16 },
		.text = "alrea\ndy in" };
	struct fake f = fake_new();
	struct err err;
	int n;

	answer_whole(&f, NLMSG_ERROR, NLM_F_CAPPED | NLM_F_ACK_TLVS, &m, sizeof(m));
	assert_int_equal(ask(&f, false, &n, &err), -EEXIST);
	assert_string_equal(err.msg, "File exists: alrea?dy in");
	/* The request repeated; then more of it than there is; then a text without an end. */
	answer_whole(&f, NLMSG_ERROR, NLM_F_ACK_TLVS, &m, sizeof(m));
	assert_int_equal(ask(&f, false, &n, &err), -EEXIST);
	assert_string_equal(err.msg, "File exists: alrea?dy in");
	m.e.msg.nlmsg_len = 0xfffffff0;
	answer_whole(&f, NLMSG_ERROR, NLM_F_ACK_TLVS, &m, sizeof(m));
	assert_int_equal(ask(&f, false, &n, &err), -EEXIST);
	assert_string_equal(err.msg, "File exists");
	m.text[11] = 'x';
	answer_whole(&f, NLMSG_ERROR, NLM_F_CAPPED | NLM_F_ACK_TLVS, &m, sizeof(m));
	assert_int_equal(ask(&f, false, &n, &err), -EEXIST);
	assert_string_equal(err.msg, "File exists");
	fake_done(&f);
}

static void lists_are_read_to_their_end(void **state)
{
	struct fake f = fake_new();
	const struct ifinfomsg link = { 0 };
	const int denied = -EPERM, fine = 0;
	struct err err;
	int n;

	answer_whole(&f, RTM_NEWLINK, NLM_F_MULTI, &link, sizeof(link));
	answer_whole(&f, RTM_NEWLINK, NLM_F_MULTI, &link, sizeof(link));
	answer_whole(&f, NLMSG_DONE, NLM_F_MULTI, &fine, sizeof(fine));
	assert_int_equal(ask(&f, true, &n, &err), 0);
	assert_int_equal(n, 2);
	/* The taker's error is the result, and the next request finds no old answers. */
	answer_whole(&f, RTM_NEWADDR, NLM_F_MULTI, &link, sizeof(link));
	answer_whole(&f, RTM_NEWLINK, NLM_F_MULTI, &link, sizeof(link));
	answer_whole(&f, NLMSG_DONE, NLM_F_MULTI, &denied, sizeof(denied));
	assert_int_equal(ask(&f, true, &n, &err), -E2BIG);
	assert_int_equal(n, 1);
	assert_int_equal(err.code, -E2BIG);
	answer_whole(&f, NLMSG_DONE, NLM_F_MULTI, &denied, sizeof(denied));
	assert_int_equal(ask(&f, true, &n, &err), -EPERM);
	answer_whole(&f, RTM_NEWLINK, NLM_F_MULTI | NLM_F_DUMP_INTR, &link, sizeof(link));
	answer_whole(&f, NLMSG_DONE, NLM_F_MULTI, &fine, sizeof(fine));
	assert_int_equal(ask(&f, true, &n, &err), -EAGAIN);
	assert_int_equal(n, 0);
	fake_done(&f);
}

static void answers_to_an_earlier_request_are_passed_over(void **state)
{
	struct fake f = fake_new();
	const struct ifinfomsg link = { 0 };
	struct err err;
	int n;

	answer_error(&f, -EPERM);
	f.client.serial++;
	answer_whole(&f, RTM_NEWLINK, 0, &link, sizeof(link));
	answer_error(&f, 0);
	assert_int_equal(ask(&f, false, &n, &err), 0);
	assert_int_equal(n, 1);
	fake_done(&f);
}

static void attributes_that_do_not_fit_are_malformed(void **state)
{
	_Alignas(4) uint8_t bytes[64] = { 0 };
	struct rtattr *a = (struct rtattr *)(bytes + 4), *b = (struct rtattr *)(bytes + 12);
	const struct rtattr *table[4], *inner[3];
	uint32_t value = 7;

	*a = (struct rtattr){ .rta_len = 8, .rta_type = 1 };
	*b = (struct rtattr){ .rta_len = 5, .rta_type = 9 };
	assert_int_equal(rtnl_parse(bytes, 17, 4, table, 4), 0);
	assert_ptr_equal(table[1], a);
	assert_null(table[2]);
	assert_int_equal(rtnl_parse(bytes, 4, 4, table, 4), 0);
	assert_null(table[1]);
	assert_int_equal(rtnl_parse(bytes, 3, 4, table, 4), -EBADMSG);
	assert_int_equal(rtnl_parse(bytes, 16, 4, table, 4), -EBADMSG); /* b is cut off */
	assert_int_equal(rtnl_parse(bytes, 15, 4, table, 4), -EBADMSG);
	b->rta_len = 3;
	assert_int_equal(rtnl_parse(bytes, 32, 4, table, 4), -EBADMSG);
	b->rta_len = 0;
	assert_int_equal(rtnl_parse(bytes, 32, 4, table, 4), -EBADMSG);

	/* A nest, the last of its type; what is inside must end with it. */
	*a = (struct rtattr){ .rta_len = 8, .rta_type = 2 };
	*b = (struct rtattr){ .rta_len = 20, .rta_type = 2 | NLA_F_NESTED };
	*(struct rtattr *)(bytes + 16) = (struct rtattr){ .rta_len = 8, .rta_type = 1 };
	memcpy(bytes + 20, "\x2a\0\0", 4);
	*(struct rtattr *)(bytes + 24) = (struct rtattr){ .rta_len = 6, .rta_type = 2 };
	memcpy(bytes + 28, "xy", 2);
	assert_int_equal(rtnl_parse(bytes, 32, 4, table, 4), 0);
	assert_ptr_equal(table[2], b);
	assert_int_equal(rtnl_parse_nest(table[2], inner, 3), 0);
	assert_true(rtnl_get_u32(inner[1], &value));
	assert_int_equal(value, 42);
	assert_false(rtnl_get_u32(inner[2], &value));
	assert_null(rtnl_get_text(inner[2]));
	assert_int_equal(rtnl_len(inner[2]), 2);
	b->rta_len = 17;
	assert_int_equal(rtnl_parse_nest(table[2], inner, 3), -EBADMSG);
	assert_int_equal(rtnl_parse_nest(NULL, inner, 3), 0);
	assert_false(rtnl_get(NULL, &value, 0));
	assert_int_equal(value, 42);
}

static void a_request_that_is_too_long_is_not_sent(void **state)
{
	static const char text[900];
	struct fake f = fake_new();
	struct rtnl_request q;
	struct err err;
	size_t nest;
	char none;

	rtnl_start(&q, RTM_GETLINK, 0, "", 0);
	nest = rtnl_nest(&q, 1);
	rtnl_put(&q, 1, text, sizeof(text));
	rtnl_put(&q, 2, text, sizeof(text));
	assert_false(q.full);
	rtnl_put(&q, 3, text, sizeof(text));
	rtnl_put_u32(&q, 4, 1); /* would fit */
	rtnl_nest_end(&q, nest);
	assert_true(q.full);
	assert_true(q.head.nlmsg_len <= RTNL_REQUEST_MAX);
	assert_int_equal(rtnl_ask(&f.client, &q, NULL, NULL, &err), -EMSGSIZE);
	assert_int_equal(recv(f.kernel, &none, 1, MSG_DONTWAIT), -1);
	rtnl_start(&q, RTM_GETLINK, 0, "", 0);
	rtnl_put(&q, 1, text, SIZE_MAX - 8);
	assert_true(q.full);
	fake_done(&f);
}

/* A socket with almost no room, whose group has more to say than fits. */
static int lose_answers(void *arg)
{
	AUTO_RTNL struct rtnl c = RTNL_INIT;
	AUTO_RTNL struct rtnl other = RTNL_INIT;
	const int small = 1, group = RTNLGRP_LINK;
	struct err err = { 0 };
	int r = 0;

	if (unshare(CLONE_NEWNET) < 0 || rtnl_open(&c, &err) < 0 || rtnl_open(&other, &err) < 0)
		return 1;
	if (setsockopt(c.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)) < 0 ||
	    setsockopt(c.fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		return 2;
	for (int i = 0; i < 64; i++)
		if (rtnl_link_set_up(&other, 1, i % 2 == 0, &err) < 0)
			return 3;
	r = rtnl_link_index(&c, "lo", &err);
	if (r != -ENOBUFS || !strstr(err.msg, "lost"))
		return 4;
	/* What it has to say after that is heard. */
	if (setsockopt(c.fd, SOL_NETLINK, NETLINK_DROP_MEMBERSHIP, &group, sizeof(group)) < 0)
		return 5;
	return rtnl_link_set_up(&c, 1, true, &err) == 0 ? 0 : 6;
}

static void lost_answers_are_an_error(void **state)
{
	NEED_ROOT();
	assert_int_equal(in_child(lose_answers, NULL), 0);
}

static int ask_kernel(void *arg)
{
	AUTO_RTNL struct rtnl c = RTNL_INIT;
	const struct ifinfomsg all = { 0 };
	struct rtnl_request q;
	struct err err = { 0 };
	int n = 0;

	if (unshare(CLONE_NEWNET) < 0 || rtnl_open(&c, &err) < 0)
		return 1;
	if (rtnl_link_index(&c, "lo", &err) != 1)
		return 2;
	if (rtnl_link_index(&c, "nodev0", &err) != -ENODEV || !strstr(err.msg, "No such device"))
		return 3;
	if (rtnl_link_index(&c, "", &err) != -EINVAL ||
	    rtnl_link_index(&c, "interfacenamethatistoolong", &err) != -EINVAL)
		return 4;
	if (rtnl_link_set_up(&c, 77, true, &err) != -ENODEV)
		return 5;
	rtnl_start(&q, RTM_GETLINK, 0, &all, sizeof(all));
	if (rtnl_dump(&c, &q, count, &n, &err) < 0 || n < 1)
		return 6;
	return rtnl_link_set_up(&c, 1, true, &err) == 0 ? 0 : 7;
}

static void the_kernel_is_asked(void **state)
{
	NEED_ROOT();
	assert_int_equal(in_child(ask_kernel, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_that_are_no_messages_are_refused),
		cmocka_unit_test(an_answer_above_the_limit_is_refused),
		cmocka_unit_test(errors_have_the_words_of_the_kernel),
		cmocka_unit_test(lists_are_read_to_their_end),
		cmocka_unit_test(answers_to_an_earlier_request_are_passed_over),
		cmocka_unit_test(attributes_that_do_not_fit_are_malformed),
		cmocka_unit_test(a_request_that_is_too_long_is_not_sent),
		cmocka_unit_test(lost_answers_are_an_error),
		cmocka_unit_test(the_kernel_is_asked),
	};

	return cmocka_run_group_tests_name("host/rtnl", tests, NULL, NULL);
}
