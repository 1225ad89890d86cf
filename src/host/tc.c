/* SPDX-License-Identifier: Apache-2.0 */
#include "host/tc.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/tc_act/tc_mirred.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "host/bpf.h"

/* enum bpf_attach_type of Linux 6.6. */
#define TCX_INGRESS 46

/* Above those that tc(8) chooses (from 49152 down) and those that people write. */
#define OUR_PREFERENCE 51721u
#define FILTER_NAME    "caisson"

/* return bpf_redirect(to, 0): out of device `to`. */
static int load_program(int to, struct err *err)
{
	const struct bpf_insn insns[] = {
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_1, 0, 0, to),
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_2, 0, 0, 0),
		INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_redirect),
		INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
	};
	union bpf_attr attr;
	int fd;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_SCHED_CLS;
	attr.insns = (uint64_t)(uintptr_t)insns;
	attr.insn_cnt = ARRAY_LEN(insns);
	attr.license = (uint64_t)(uintptr_t) "Apache-2.0";
	memcpy(attr.prog_name, FILTER_NAME, sizeof(FILTER_NAME));
	fd = bpf(BPF_PROG_LOAD, &attr);
	return fd < 0 ? err_sys(err, fd, "load a BPF program") : fd;
}

static int redirect_by_link(int from, int to, int *ret_link, struct err *err)
{
	AUTO_CLOSE int program = load_program(to, err);
	union bpf_attr attr;
	int fd;

	if (program < 0)
		return program;
	memset(&attr, 0, sizeof(attr));
	attr.link_create.prog_fd = (uint32_t)program;
	attr.link_create.target_ifindex = (uint32_t)from;
	attr.link_create.attach_type = TCX_INGRESS;
	fd = bpf(BPF_LINK_CREATE, &attr);
	if (fd < 0)
		return err_sys(err, fd, "link a BPF program to a device");
	*ret_link = fd;
	return 0;
}

static struct tcmsg at_ingress(int index)
{
	return (struct tcmsg){
		.tcm_family = AF_UNSPEC,
		.tcm_ifindex = index,
		.tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS),
	};
}

static struct tcmsg ingress_qdisc(int index)
{
	return (struct tcmsg){
		.tcm_family = AF_UNSPEC,
		.tcm_ifindex = index,
		.tcm_parent = TC_H_INGRESS,
		.tcm_handle = TC_H_MAKE(TC_H_INGRESS, 0),
	};
}

/* One that is there already (clsact, too) has room for our filter. */
static int need_qdisc(struct rtnl *c, int index, struct err *err)
{
	const struct tcmsg msg = ingress_qdisc(index);
	struct rtnl_request q;
	int r;

	rtnl_start(&q, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, &msg, sizeof(msg));
	rtnl_put_text(&q, TCA_KIND, "ingress");
	r = rtnl_ask(c, &q, NULL, NULL, err);
	return r == -EEXIST ? 0 : r;
}

static void start_filter(struct rtnl_request *q, int index, const char *kind)
{
	struct tcmsg msg = at_ingress(index);

	msg.tcm_info = TC_H_MAKE(OUR_PREFERENCE << 16, htons(ETH_P_ALL));
	rtnl_start(q, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, &msg, sizeof(msg));
	rtnl_put_text(q, TCA_KIND, kind);
}

/* action mirred egress redirect dev `to` */
static void put_mirred(struct rtnl_request *q, int to)
{
	const struct tc_mirred mirred = {
		.action = TC_ACT_STOLEN,
		.eaction = TCA_EGRESS_REDIR,
		.ifindex = (uint32_t)to,
	};
	const size_t actions = rtnl_nest(q, TCA_U32_ACT);
	const size_t first = rtnl_nest(q, 1);
	size_t options;

	rtnl_put_text(q, TCA_ACT_KIND, "mirred");
	options = rtnl_nest(q, TCA_ACT_OPTIONS);
	rtnl_put(q, TCA_MIRRED_PARMS, &mirred, sizeof(mirred));
	rtnl_nest_end(q, options);
	rtnl_nest_end(q, first);
	rtnl_nest_end(q, actions);
}

/* match u32 0 0 */
static int redirect_by_u32(struct rtnl *c, int from, int to, struct err *err)
{
	struct {
		struct tc_u32_sel sel;
		struct tc_u32_key key;
	} all = { .sel = { .flags = TC_U32_TERMINAL, .nkeys = 1 } };
	struct rtnl_request q;
	size_t options;

	start_filter(&q, from, "u32");
	options = rtnl_nest(&q, TCA_OPTIONS);
	rtnl_put(&q, TCA_U32_SEL, &all, sizeof(all));
	put_mirred(&q, to);
	rtnl_nest_end(&q, options);
	return rtnl_ask(c, &q, NULL, NULL, err);
}

static int redirect_by_bpf(struct rtnl *c, int from, int to, struct err *err)
{
	AUTO_CLOSE int program = load_program(to, err);
	struct rtnl_request q;
	size_t options;

	if (program < 0)
		return program;
	start_filter(&q, from, "bpf");
	options = rtnl_nest(&q, TCA_OPTIONS);
	rtnl_put_u32(&q, TCA_BPF_FD, (uint32_t)program);
	rtnl_put_text(&q, TCA_BPF_NAME, FILTER_NAME);
	rtnl_put_u32(&q, TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
	rtnl_nest_end(&q, options);
	return rtnl_ask(c, &q, NULL, NULL, err);
}

int tc_redirect(struct rtnl *c, int from, int to, unsigned int forms, int *ret_link,
		struct err *err)
{
	int link = -EBADF;
	int r = -EOPNOTSUPP;

	/* No such hook, no such call, no such right: then a filter, whose error is the one to tell.
	 */
	if (forms & TC_LINK)
		r = redirect_by_link(from, to, &link, err);
	*ret_link = link;
	if (r == 0)
		return TC_LINK;
	if (!(forms & (TC_U32 | TC_BPF)))
		return r;
	r = need_qdisc(c, from, err);
	if (r < 0)
		return err_prefix(err, r, "make an ingress qdisc");
	if (forms & TC_U32) {
		r = redirect_by_u32(c, from, to, err);
		if (r == 0)
			return TC_U32;
	}
	/* -ENOENT: there is no such classifier, or action. */
	if (forms & TC_BPF && (r == -ENOENT || !(forms & TC_U32))) {
		r = redirect_by_bpf(c, from, to, err);
		if (r == 0)
			return TC_BPF;
	}
	return err_prefix(err, r, "make a filter that redirects");
}

struct filters {
	bool ours, others;
};

static int take_filter(uint16_t type, const void *body, size_t len, void *arg)
{
	struct filters *found = arg;
	struct tcmsg filter;

	(void)type;
	if (len < sizeof(filter))
		return -EPROTO;
	memcpy(&filter, body, sizeof(filter));
	if (TC_H_MAJ(filter.tcm_info) >> 16 == OUR_PREFERENCE)
		found->ours = true;
	else
		found->others = true;
	return 0;
}

static int find_filters(struct rtnl *c, int index, struct filters *ret, struct err *err)
{
	const struct tcmsg msg = at_ingress(index);
	struct rtnl_request q;
	int tries = 0;
	int r;

	do {
		*ret = (struct filters){ 0 };
		rtnl_start(&q, RTM_GETTFILTER, 0, &msg, sizeof(msg));
		r = rtnl_dump(c, &q, take_filter, ret, err);
	} while (r == -EAGAIN && ++tries < RTNL_TRIES);
	return r;
}

/*
 * A qdisc that has ours alone goes with it, in one step: without the filter nobody would know,
 * after a kill in between, whose it was.
 */
int tc_clear(struct rtnl *c, int index, struct err *err)
{
	const struct tcmsg qdisc = ingress_qdisc(index);
	struct tcmsg filter = at_ingress(index);
	struct filters found;
	struct rtnl_request q;
	int r = find_filters(c, index, &found, err);

	if (r == 0 && found.ours && !found.others) {
		rtnl_start(&q, RTM_DELQDISC, 0, &qdisc, sizeof(qdisc));
		rtnl_put_text(&q, TCA_KIND, "ingress");
		r = rtnl_ask(c, &q, NULL, NULL, err);
		/* One of another kind stays. */
		if (r != -EINVAL && r != -ENOENT)
			return r < 0 ? err_prefix(err, r, "take a redirecting filter away") : 0;
		r = 0;
	}
	if (r < 0)
		return err_prefix(err, r, "look for a redirecting filter");
	filter.tcm_info = TC_H_MAKE(OUR_PREFERENCE << 16, 0);
	rtnl_start(&q, RTM_DELTFILTER, 0, &filter, sizeof(filter));
	r = rtnl_ask(c, &q, NULL, NULL, err);
	/* No filter; no chain of filters; no qdisc. */
	if (r == -ENOENT || r == -EINVAL || r == -EOPNOTSUPP)
		return 0;
	return r < 0 ? err_prefix(err, r, "take a redirecting filter away") : 0;
}
