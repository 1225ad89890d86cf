/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device policy as a BPF program on cgroup2 (bpf(2), BPF_PROG_TYPE_CGROUP_DEVICE; struct
 * bpf_cgroup_dev_ctx of linux/bpf.h).
 *
 * Per exception a block that jumps to the next one unless type, access and numbers match; then the
 * opposite of the default is returned. An allowing exception must cover all of the access wanted, a
 * denying one bites if it has any of it: what the v1 controller does. Programs of ancestors are
 * asked too (BPF_F_ALLOW_MULTI), so a container can never have more than its parent.
 */
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "host/bpf.h"
#include "host/cgroup_devices.h"
#include "host/cgroup_write.h"

#define BLOCK_MAX 12 /* instructions of one exception */

/* r2 type, r3 access, r4 major, r5 minor; r1 is scratch afterwards. */
static size_t emit_head(struct bpf_insn *p)
{
	const short access = offsetof(struct bpf_cgroup_dev_ctx, access_type);

	p[0] = INSN(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_2, BPF_REG_1, access, 0);
	p[1] = INSN(BPF_ALU | BPF_AND | BPF_K, BPF_REG_2, 0, 0, 0xffff);
	p[2] = INSN(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_3, BPF_REG_1, access, 0);
	p[3] = INSN(BPF_ALU | BPF_RSH | BPF_K, BPF_REG_3, 0, 0, 16);
	p[4] = INSN(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_4, BPF_REG_1,
		    offsetof(struct bpf_cgroup_dev_ctx, major), 0);
	p[5] = INSN(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_5, BPF_REG_1,
		    offsetof(struct bpf_cgroup_dev_ctx, minor), 0);
	return 6;
}

static size_t emit_exit(struct bpf_insn *p, bool allow)
{
	p[0] = INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, allow);
	p[1] = INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	return 2;
}

/* Jumps are written with offset 0 and pointed at the end of the block when its length is known. */
static size_t emit_exception(struct bpf_insn *p, const struct device_exception *e, bool allow)
{
	const int type = e->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR;
	size_t n = 0, len;

	p[n++] = INSN(BPF_JMP | BPF_JNE | BPF_K, BPF_REG_2, 0, 0, type);
	if (e->access != DEVICE_ALL) {
		p[n++] = INSN(BPF_ALU | BPF_MOV | BPF_X, BPF_REG_1, BPF_REG_3, 0, 0);
		p[n++] = INSN(BPF_ALU | BPF_AND | BPF_K, BPF_REG_1, 0, 0, (int)e->access);
		p[n++] = allow ? INSN(BPF_JMP | BPF_JNE | BPF_X, BPF_REG_1, BPF_REG_3, 0, 0)
			       : INSN(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_1, 0, 0, 0);
	}
	/* 32-bit compares: an immediate of 64-bit ones is sign-extended. */
	if (e->major >= 0)
		p[n++] =
			INSN(BPF_JMP32 | BPF_JNE | BPF_K, BPF_REG_4, 0, 0, (int)(uint32_t)e->major);
	if (e->minor >= 0)
		p[n++] =
			INSN(BPF_JMP32 | BPF_JNE | BPF_K, BPF_REG_5, 0, 0, (int)(uint32_t)e->minor);
	len = n + emit_exit(p + n, allow);
	for (size_t i = 0; i < n; i++) {
		if (BPF_CLASS(p[i].code) == BPF_JMP || BPF_CLASS(p[i].code) == BPF_JMP32)
			p[i].off = (short)(len - i - 1);
	}
	return len;
}

int device_policy_compile(const struct device_policy *policy, struct bpf_insn **ret,
			  size_t *ret_len)
{
	struct bpf_insn *p;
	size_t n;

	if (policy->len > DEVICE_EXCEPTIONS_MAX)
		return -E2BIG;
	p = calloc(8 + policy->len * BLOCK_MAX, sizeof(*p));
	if (!p)
		return -ENOMEM;
	n = emit_head(p);
	for (size_t i = 0; i < policy->len; i++)
		n += emit_exception(p + n, &policy->items[i], !policy->default_allow);
	n += emit_exit(p + n, policy->default_allow);
	*ret = p;
	*ret_len = n;
	return 0;
}

struct cgroup_program {
	struct bpf_insn *insns;
	size_t len;
	int fd;
};

static int load_program(const struct bpf_insn *insns, size_t len)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.insns = (uint64_t)(uintptr_t)insns;
	attr.insn_cnt = (uint32_t)len;
	attr.license = (uint64_t)(uintptr_t) "Apache-2.0";
	memcpy(attr.prog_name, "caisson_dev", sizeof("caisson_dev"));
	return bpf(BPF_PROG_LOAD, &attr);
}

/* A descriptor of `kept`, or of a new program if that is another policy's. The caller's. */
static int take_program(const struct cgroup_program *kept, const struct device_policy *policy)
{
	AUTO_FREE struct bpf_insn *insns = NULL;
	size_t len;
	int r = device_policy_compile(policy, &insns, &len);

	if (r < 0)
		return r;
	if (!kept || kept->len != len || memcmp(kept->insns, insns, len * sizeof(*insns)) != 0)
		return load_program(insns, len);
	r = fcntl(kept->fd, F_DUPFD_CLOEXEC, 3);
	return r < 0 ? -errno : r;
}

static int fill_program(const struct oci_resources *res, struct cgroup_program *program,
			struct err *err)
{
	AUTO(device_policy_done) struct device_policy policy = { 0 };
	int r = device_policy_build(res->devices, res->devices_len, &policy, err);

	if (r < 0)
		return r;
	r = device_policy_compile(&policy, &program->insns, &program->len);
	if (r == 0)
		r = program->fd = load_program(program->insns, program->len);
	return r < 0 ? err_sys(err, r, "linux.resources.devices: load the BPF program") : 0;
}

int cgroup_program_load(const struct oci_resources *res, struct cgroup_program **ret,
			struct err *err)
{
	struct cgroup_program *program = calloc(1, sizeof(*program));
	int r;

	if (!program)
		return err_sys(err, -ENOMEM, "linux.resources.devices");
	program->fd = -EBADF;
	r = fill_program(res, program, err);
	if (r < 0)
		cgroup_program_free(program);
	else
		*ret = program;
	return r;
}

int cgroup_program_fd(const struct cgroup_program *program)
{
	return program ? program->fd : -EBADF;
}

void cgroup_program_free(struct cgroup_program *program)
{
	if (!program)
		return;
	if (program->fd >= 0)
		(void)close(program->fd);
	free(program->insns);
	free(program);
}

#define ATTACHED_MAX 64 /* BPF_CGROUP_MAX_PROGS of the kernel */

/* Ids of the programs on this very cgroup. Returns their number or -errno. */
static int query_programs(int cgroup_fd, uint32_t ids[static ATTACHED_MAX])
{
	union bpf_attr attr;
	int r;

	memset(&attr, 0, sizeof(attr));
	attr.query.target_fd = (uint32_t)cgroup_fd;
	attr.query.attach_type = BPF_CGROUP_DEVICE;
	attr.query.prog_ids = (uint64_t)(uintptr_t)ids;
	attr.query.prog_cnt = ATTACHED_MAX;
	r = bpf(BPF_PROG_QUERY, &attr);
	return r < 0 ? r : (int)attr.query.prog_cnt;
}

static int program_by_id(uint32_t id)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_id = id;
	return bpf(BPF_PROG_GET_FD_BY_ID, &attr);
}

static int attach(int cgroup_fd, int prog_fd, int replace_fd)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (uint32_t)cgroup_fd;
	attr.attach_bpf_fd = (uint32_t)prog_fd;
	attr.attach_type = BPF_CGROUP_DEVICE;
	attr.attach_flags = BPF_F_ALLOW_MULTI;
	if (replace_fd >= 0) {
		attr.attach_flags |= BPF_F_REPLACE;
		attr.replace_bpf_fd = (uint32_t)replace_fd;
	}
	return bpf(BPF_PROG_ATTACH, &attr);
}

static int detach(int cgroup_fd, int prog_fd)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (uint32_t)cgroup_fd;
	attr.attach_bpf_fd = (uint32_t)prog_fd;
	attr.attach_type = BPF_CGROUP_DEVICE;
	return bpf(BPF_PROG_DETACH, &attr);
}

/*
 * One old program is replaced in one step. Several (another tool's doing) are detached after ours
 * is in place: in between the container has less than it asked for, never more.
 */
static int attach_instead(int cgroup_fd, int prog_fd)
{
	uint32_t ids[ATTACHED_MAX];
	AUTO_CLOSE int old = -EBADF;
	const int count = query_programs(cgroup_fd, ids);
	int r;

	if (count < 0)
		return count;
	if (count == 1) {
		old = program_by_id(ids[0]);
		return old < 0 ? old : attach(cgroup_fd, prog_fd, old);
	}
	r = attach(cgroup_fd, prog_fd, -1);
	for (int i = 0; r == 0 && i < count; i++) {
		AUTO_CLOSE int other = program_by_id(ids[i]);

		r = other < 0 ? other : detach(cgroup_fd, other);
	}
	return r;
}

static int attach_policy(const struct cgroup *cg, int dir_fd, const struct device_policy *policy,
			 struct err *err)
{
	AUTO_CLOSE int prog_fd = take_program(cg->program, policy);
	/* bpf(2) wants a descriptor that is open for reading, not O_PATH. */
	AUTO_CLOSE int cgroup_fd = -EBADF;
	int r;

	if (prog_fd < 0)
		return err_sys(err, prog_fd, "linux.resources.devices: load the BPF program");
	cgroup_fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cgroup_fd < 0)
		return err_sys(err, -errno, "linux.resources.devices: open the cgroup");
	r = attach_instead(cgroup_fd, prog_fd);
	return r < 0 ? err_sys(err, r, "linux.resources.devices: attach the BPF program") : 0;
}

int cgroup_apply_devices_v2(const struct cgroup *cg, const struct oci_resources *res,
			    struct err *err)
{
	AUTO(cgroup_ctl_done) struct cgroup_ctl ctl = { .dir_fd = -EBADF };
	AUTO(device_policy_done) struct device_policy policy = { 0 };
	int r;

	if (res->devices_len == 0)
		return 0;
	if ((cg->rootless || cg->disabled) && cgroup_index(cg, "") < 0)
		return 0;
	r = cgroup_ctl_open(cg, "", "linux.resources.devices", err, &ctl);
	if (r == 0)
		r = device_policy_build(res->devices, res->devices_len, &policy, err);
	if (r < 0)
		return r;
	r = attach_policy(cg, ctl.dir_fd, &policy, err);
	/* BPF needs real privilege; without it nobody can make device nodes either. */
	return r == -EPERM && cg->rootless ? 0 : r;
}
