/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/vm/net.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <net/if_arp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "host/rtnl.h"
#include "host/tap.h"
#include "host/tc.h"
#include "runtime/vm/net_read.h"

/* Flags of a device that the guest's has, too. */
#define CARRIED_FLAGS (IFF_NOARP | IFF_PROMISC | IFF_ALLMULTI | IFF_MULTICAST)

/* While it is taken. */
struct taker {
	struct rtnl c;
	struct net_devices devices;
	int index[MACHINE_NICS_MAX]; /* of the device of each link */
	struct vm_net *net;
};

static void close_all(int *fds, size_t len)
{
	for (size_t i = 0; i < len; i++)
		auto_close_p(&fds[i]);
}

void vm_net_free(struct vm_net *n)
{
	if (!n)
		return;
	for (unsigned int i = 0; i < n->nics_len; i++) {
		close_all(n->nics[i].taps, n->nics[i].taps_len);
		close_all(n->pairs[i].links, ARRAY_LEN(n->pairs[i].links));
	}
	free(n);
}

/* ---- What is carried ---- */

static const struct net_device *find_carried(const struct taker *t, int index)
{
	for (size_t i = 0; i < t->devices.len; i++) {
		const struct net_device *d = &t->devices.items[i];

		if (index && d->index == index && d->flags & IFF_UP && !(d->flags & IFF_LOOPBACK) &&
		    !d->master)
			return d;
	}
	return NULL;
}

static int check_mac(const struct taker *t, const struct net_device *d, struct err *err)
{
	static const uint8_t none[6];
	const struct agent_network *n = &t->net->network;

	if (!d->has_mac || d->mac[0] & 1 || memcmp(d->mac, none, sizeof(none)) == 0)
		return err_set(err, -ENOTSUP, "network: %s has no address of Ethernet", d->name);
	for (uint32_t i = 0; i < n->links_len; i++) {
		if (memcmp(n->links[i].mac, d->mac, sizeof(d->mac)) == 0)
			return err_set(
				err, -ENOTSUP,
				"network: %s and %s have the same MAC: a machine cannot tell "
				"them apart",
				n->links[i].name, d->name);
	}
	return 0;
}

/* 1: it is carried; 0: it is left. */
static int judge_device(const struct taker *t, const struct net_device *d, struct err *err)
{
	const struct net_device *parent = find_carried(t, d->parent);
	int r;

	if (d->flags & IFF_LOOPBACK || !(d->flags & IFF_UP))
		return 0;
	if (d->master) {
		log_warning("class vm: %s is a port of another device, which is carried for it",
			    d->name);
		return 0;
	}
	if (d->type != ARPHRD_ETHER)
		return err_set(err, -ENOTSUP,
			       "network: %s (%s) is no Ethernet device: a machine cannot have it",
			       d->name, *d->kind ? d->kind : "unknown");
	if (parent)
		return err_set(err, -ENOTSUP,
			       "network: %s stands upon %s of the same network namespace, whose "
			       "frames are the machine's",
			       d->name, parent->name);
	r = check_mac(t, d, err);
	if (r < 0)
		return r;
	if (t->net->network.links_len == MACHINE_NICS_MAX)
		return err_set(err, -ENOTSUP,
			       "network: %s: a machine has %u network devices at most", d->name,
			       MACHINE_NICS_MAX);
	return 1;
}

static void add_link(struct taker *t, const struct net_device *d)
{
	struct agent_network *n = &t->net->network;
	const uint32_t i = n->links_len++;
	struct agent_link *link = &n->links[i];

	memcpy(t->net->names[i], d->name, sizeof(d->name));
	t->index[i] = d->index;
	*link = (struct agent_link){ .name = t->net->names[i], .mtu = d->mtu };
	link->flags = (d->flags & CARRIED_FLAGS) | (d->no_ipv6 ? AGENT_LINK_NO_IPV6 : 0u);
	memcpy(link->mac, d->mac, sizeof(d->mac));
}

/* Its interfaces would be taken from the host. */
static int check_not_hosts(struct err *err)
{
	struct stat own, hosts;

	if (stat("/proc/self/ns/net", &own) < 0)
		return err_sys(err, -errno, "look at the own network namespace");
	if (stat("/proc/1/ns/net", &hosts) == 0 && own.st_dev == hosts.st_dev &&
	    own.st_ino == hosts.st_ino)
		return err_set(err, -ENOTSUP,
			       "network: a machine cannot have the host's network namespace");
	return 0;
}

/*
 * Taps of ours that nobody has open any more, as only a QEMU that has fallen to its guest can leave
 * them (TUNSETPERSIST).
 */
static int remove_left(struct rtnl *c, struct net_devices *devices, struct err *err)
{
	size_t kept = 0;

	for (size_t i = 0; i < devices->len; i++) {
		const struct net_device *d = &devices->items[i];
		int r;

		if (!tap_is_ours(d->kind, d->name) || !d->no_carrier) {
			devices->items[kept++] = *d;
			continue;
		}
		r = check_not_hosts(err);
		if (r < 0)
			return r;
		log_warning("class vm: %s, which a machine has left behind, is removed", d->name);
		r = rtnl_link_delete(c, d->index, err);
		if (r < 0 && r != -ENODEV)
			return err_prefix(err, r, "network: remove %s", d->name);
	}
	devices->len = kept;
	return 0;
}

static int choose_devices(struct taker *t, struct err *err)
{
	int r = net_read_devices(&t->c, &t->devices, err);

	if (r == 0)
		r = remove_left(&t->c, &t->devices, err);
	if (r < 0)
		return err_prefix(err, r, "network");
	for (size_t i = 0; i < t->devices.len; i++) {
		const struct net_device *d = &t->devices.items[i];

		if (tap_is_ours(d->kind, d->name))
			return err_set(
				err, -EBUSY,
				"network: the network namespace is another machine's already "
				"(%s): containers of class vm cannot share one",
				d->name);
	}
	for (size_t i = 0; i < t->devices.len; i++) {
		r = judge_device(t, &t->devices.items[i], err);
		if (r < 0)
			return r;
		if (r > 0)
			add_link(t, &t->devices.items[i]);
	}
	return 0;
}

/* ---- Taps and redirects ---- */

static int lift_all(int *fds, size_t len, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < len && r == 0; i++) {
		if (fds[i] >= 0)
			r = fd_lift(&fds[i]);
	}
	return r < 0 ? err_sys(err, r, "duplicate a descriptor") : 0;
}

/* Frames that come to the device first pass by what an earlier machine has left there. */
static int make_nic(struct taker *t, uint32_t i, unsigned int queues, struct err *err)
{
	struct machine_nic *nic = &t->net->nics[t->net->nics_len++];
	const struct agent_link *link = &t->net->network.links[i];
	char name[IFNAMSIZ], about[64];
	int tap, r;

	t->net->pairs[i].device = t->index[i];
	for (size_t k = 0; k < ARRAY_LEN(t->net->pairs[i].links); k++)
		t->net->pairs[i].links[k] = -EBADF;
	memcpy(nic->mac, link->mac, sizeof(nic->mac));
	r = tap_open(queues, nic->taps, name, err);
	if (r < 0)
		return r;
	nic->taps_len = queues;
	tap = rtnl_link_index(&t->c, name, err);
	if (tap < 0)
		return tap;
	t->net->pairs[i].tap = tap;
	(void)snprintf(about, sizeof(about), "caisson: a machine's %s", link->name);
	r = tap_set_up(&t->c, tap, link->mtu, about, err);
	if (r < 0)
		return err_prefix(err, r, "bring %s up with MTU %u", name, link->mtu);
	r = tc_clear(&t->c, t->index[i], err);
	return r < 0 ? r : lift_all(nic->taps, nic->taps_len, err);
}

static int take(struct taker *t, unsigned int queues, struct err *err)
{
	struct agent_network *n = &t->net->network;
	int r = rtnl_open(&t->c, err);

	if (queues < 1 || queues > MACHINE_QUEUES_MAX)
		queues = queues < 1 ? 1 : MACHINE_QUEUES_MAX;
	if (r == 0)
		r = choose_devices(t, err);
	if (r < 0 || n->links_len == 0)
		return r;
	r = check_not_hosts(err);
	if (r < 0)
		return r;
	r = net_read_all(&t->c, t->index, n, err);
	if (r < 0)
		return err_prefix(err, r, "network");
	for (uint32_t i = 0; r >= 0 && i < n->links_len; i++) {
		r = make_nic(t, i, queues, err);
		if (r < 0)
			return err_prefix(err, r, "network: %s", n->links[i].name);
	}
	return 0;
}

struct vm_net *vm_net_take(unsigned int queues, struct err *err)
{
	struct taker t = { .c = RTNL_INIT, .net = calloc(1, sizeof(*t.net)) };
	int r;

	if (!t.net) {
		(void)err_sys(err, -ENOMEM, "network");
		return NULL;
	}
	r = take(&t, queues, err);
	rtnl_done(&t.c);
	if (r == 0)
		return t.net;
	vm_net_free(t.net);
	return NULL;
}

int vm_net_connect(struct vm_net *n, struct err *err)
{
	AUTO_RTNL struct rtnl c = RTNL_INIT;
	int r = n->nics_len > 0 ? rtnl_open(&c, err) : 0;

	for (unsigned int i = 0; r >= 0 && i < n->nics_len; i++) {
		const int device = n->pairs[i].device, tap = n->pairs[i].tap;
		int *links = n->pairs[i].links;

		r = tc_redirect(&c, device, tap, TC_ANY, &links[0], err);
		if (r >= 0)
			r = tc_redirect(&c, tap, device, TC_ANY, &links[1], err);
		if (r >= 0)
			r = lift_all(links, ARRAY_LEN(n->pairs[i].links), err);
		if (r < 0)
			return err_prefix(err, r, "network: %s", n->names[i]);
	}
	return r < 0 ? r : 0;
}

/* ---- Afterwards ---- */

static int forget_inside(struct err *err)
{
	AUTO_RTNL struct rtnl c = RTNL_INIT;
	struct net_devices devices;
	int r = rtnl_open(&c, err);

	if (r == 0)
		r = net_read_devices(&c, &devices, err);
	if (r == 0)
		r = remove_left(&c, &devices, err);
	/* A machine has the namespace now. */
	for (size_t i = 0; r == 0 && i < devices.len; i++) {
		if (tap_is_ours(devices.items[i].kind, devices.items[i].name))
			return 0;
	}
	for (size_t i = 0; r == 0 && i < devices.len; i++)
		r = tc_clear(&c, devices.items[i].index, err);
	return r == -ENODEV ? 0 : r;
}

int vm_net_forget(const char *netns, struct err *err)
{
	/* Looked at before it is opened: a fifo or a device may lie there by now. */
	AUTO_CLOSE int found = open(netns, O_PATH | O_CLOEXEC);
	AUTO_CLOSE int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	AUTO_CLOSE int there = -EBADF;
	char path[FD_PATH_MAX];
	struct stat theirs, ours;
	struct statfs fs;
	int r;

	if (found < 0 || fstatfs(found, &fs) < 0 || fs.f_type != NSFS_MAGIC)
		return 0;
	if (home < 0)
		return err_sys(err, -errno, "open the own network namespace");
	/* Nor is it to be the host's, where a creation was refused. */
	if (fstat(found, &theirs) < 0 || fstat(home, &ours) < 0 ||
	    (theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino))
		return 0;
	there = open(fd_path(found, path), O_RDONLY | O_CLOEXEC);
	if (there < 0)
		return 0;
	/* The file may be an ordinary one by now. */
	if (setns(there, CLONE_NEWNET) < 0)
		return 0;
	r = forget_inside(err);
	if (setns(home, CLONE_NEWNET) < 0)
		return err_sys(err, -errno, "return to the own network namespace");
	return r;
}
