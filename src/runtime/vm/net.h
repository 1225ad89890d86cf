/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/vm/net.h - the network of a pod becomes its machine's.
 *
 * Every Ethernet device of the network namespace that is up (veth, macvlan, a tap of a user mode
 * network ...) is carried: a tap device beside it, whatever enters one leaves by the other, and the
 * guest gets its name, MAC, MTU, addresses, routes, neighbours and rules. The device itself stays
 * as it is, for whoever made it; what it receives does not reach the host's stack any more.
 *
 * Not carried: "lo" (the guest has its own), devices that are down, and, with a warning, ports of a
 * bridge or bond, and routes and rules of a form that the guest is not told. Refused by name:
 * devices that are up without Ethernet (tun, WireGuard, InfiniBand), devices that stand upon
 * another one that is carried, two with one MAC, more than MACHINE_NICS_MAX, and a namespace whose
 * devices are another machine's already, or the host's own.
 */
#pragma once

#include <net/if.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "hypervisor/machine.h"
#include "wire/agent_msg.h"

struct vm_net {
	struct agent_network network; /* its names are those below */
	struct machine_nic nics[MACHINE_NICS_MAX];
	unsigned int nics_len;
	char names[MACHINE_NICS_MAX][IFNAMSIZ];
	struct {
		int device, tap; /* their indices */
		int links[2];	 /* of vm_net_connect() */
	} pairs[MACHINE_NICS_MAX];
};

/*
 * Take the interfaces of the caller's network namespace, each with `queues` queues (cut to
 * MACHINE_QUEUES_MAX). The taps of nics[], all above 2, are the caller's and go with the last
 * process that has them. NULL with the error set; free it with vm_net_free().
 */
struct vm_net *vm_net_take(unsigned int queues, struct err *err);

/*
 * In the same namespace: what enters a device leaves by its tap from here on, and the other way
 * round. Each direction waits for the host's kernel (synchronize_rcu(), 5 to 20 ms), so that it is
 * done while a machine boots. pairs[].links, above 2 or -EBADF, are the caller's: where the kernel
 * can do it that way (host/tc.h) the redirects go with the last process that has them.
 */
int vm_net_connect(struct vm_net *n, struct err *err);
void vm_net_free(struct vm_net *n);
DEFINE_AUTO(struct vm_net *, vm_net_free);
#define AUTO_VM_NET AUTO(vm_net_free_p)

/*
 * After the machine: take redirects away that did not go with it, from a network namespace that
 * outlives it. 0 if there is none, or no namespace any more.
 */
int vm_net_forget(const char *netns, struct err *err);
