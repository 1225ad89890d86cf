/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three filters, of which the strictest verdict counts: the one exec, what machines of this kind
 * have no use for, and the list. QEMU adds a fourth (-sandbox).
 */
#include "hypervisor/qemu_filter.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/str.h"
#include "jail/jail.h"

extern const struct sock_filter qemu_list[], qemu_tcg_list[], qemu_kvm_list[];
extern const unsigned short qemu_list_len, qemu_tcg_list_len, qemu_kvm_list_len;

int qemu_filter_lift(int program, int *ret_program, struct err *err)
{
	struct rlimit files;
	rlim_t number = QEMU_DESCRIPTORS;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return err_sys(err, -errno, "QEMU: getrlimit RLIMIT_NOFILE");
	if (files.rlim_max <= number)
		number = files.rlim_max - 1;
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) < 0 ||
	    dup3(program, (int)number, O_CLOEXEC) != (int)number)
		return err_sys(err, -errno, "QEMU: its program's descriptor");
	files.rlim_cur = files.rlim_max = number;
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		return err_sys(err, -errno, "QEMU: setrlimit RLIMIT_NOFILE");
	*ret_program = (int)number;
	return 0;
}

/*
 * A filter sees no path: an absolute one passes, whatever the descriptor is. It names files of
 * QEMU's root directory (libraries and firmware of the host, read-only), and what is executed there
 * has the filters, ids, no_new_privs and namespaces of who executes it, and no code that was not
 * mapped already or could not be. Numbers of another architecture are the list's affair.
 */
static int allow_exec(int program)
{
	const struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_execveat, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)program, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	return jail_filter(filter, ARRAY_LEN(filter), 0);
}

int qemu_filter(const struct machine *m, int program, struct err *err)
{
	int r = allow_exec(program);

	if (r == 0 && m->accel == MACHINE_KVM)
		r = jail_filter(qemu_kvm_list, qemu_kvm_list_len, 0);
	else if (r == 0 && m->role == MACHINE_FRESH)
		r = jail_filter(qemu_tcg_list, qemu_tcg_list_len, 0);
	if (r == 0)
		r = jail_filter(qemu_list, qemu_list_len, 0);
	return r < 0 ? err_sys(err, r, "QEMU: its filter of system calls") : 0;
}
