/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/network.h"

#include <errno.h>

int agent_network_apply(const struct agent_network *network, struct err *err)
{
	if (network->links_len == 0)
		return 0;
	return err_set(err, -ENOSYS, "network devices are not configured in the guest yet");
}
