/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/signals.h"

#include <errno.h>
#include <signal.h>

#include "base/log.h"
#include "vmm/channel.h"
#include "vmm/container.h"
#include "vmm/end.h"
#include "vmm/monitor.h"
#include "vmm/process.h"
#include "vmm/vm.h"

/*
 * What waits for the agent, as the kernel keeps it: a signal that waits already is not waited for
 * twice. Bit n - 1 is signal n.
 */
static uint64_t waiting;
static bool resize_waits;

static bool can_ask(const struct vm *vm)
{
	const struct process *init = vm->first ? vm->first->init : NULL;

	return init && init->pid && !init->exited && !end_has_failed(vm) &&
	       channel_has_room(vm->channel);
}

static void ask_signal(struct vm *vm, unsigned int signal)
{
	const struct agent_signal request = { .id = vm->id, .signal = signal };
	const struct channel_call call = { .call = AGENT_SIGNAL, .request = &request };
	struct err err = { 0 };

	if (channel_ask(vm->channel, &call, &err) < 0)
		log_warning("container %s: pass on signal %u: %s", vm->id, signal, err.msg);
}

static void ask_resize(struct vm *vm)
{
	struct agent_resize request = { .id = vm->id };
	const struct channel_call call = { .call = AGENT_RESIZE, .request = &request };
	struct err err = { 0 };

	if (process_terminal_size(vm->first->init, &request.rows, &request.cols) < 0)
		return;
	if (channel_ask(vm->channel, &call, &err) < 0)
		log_warning("container %s: resize: %s", vm->id, err.msg);
}

void signals_go_on(struct vm *vm)
{
	while (waiting && can_ask(vm)) {
		const unsigned int signal = (unsigned int)__builtin_ctzll(waiting) + 1;

		waiting &= waiting - 1;
		ask_signal(vm, signal);
	}
	if (resize_waits && can_ask(vm)) {
		resize_waits = false;
		ask_resize(vm);
	}
}

static void on_signal(void *arg, const struct signalfd_siginfo *info)
{
	struct vm *vm = arg;

	if (info->ssi_signo == SIGCHLD)
		monitor_reap(vm->monitor);
	/* Of our own writes: what is blocked is queued although it is ignored. */
	else if (info->ssi_signo == SIGPIPE || info->ssi_signo == SIGURG ||
		 info->ssi_signo == SIGXFSZ)
		return;
	/* The host's terminal is raw: its window changes, or it hangs up. */
	else if (info->ssi_signo == SIGWINCH && info->ssi_code == SI_KERNEL)
		resize_waits = true;
	else if (info->ssi_signo >= 1 && info->ssi_signo <= 64)
		waiting |= 1ull << (info->ssi_signo - 1);
	signals_go_on(vm);
}

int signals_start(struct vm *vm, struct err *err)
{
	int r;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGURG, SIG_IGN);
	r = loop_on_signals(vm->loop, on_signal, vm);
	return r < 0 ? err_sys(err, r, "wait for signals") : 0;
}
