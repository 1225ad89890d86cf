/* SPDX-License-Identifier: Apache-2.0 */
#include "host/seccomp_cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "host/seccomp_internal.h"

#define CACHE_MAGIC   0x46504253u /* "SBPF" */
#define CACHE_VERSION 1u	  /* change it whenever seccomp.c compiles differently */
#define FILE_MAX      (1u << 20)  /* bytes */
#define NAME_MAX_LEN  32

struct header {
	uint32_t magic, version;
	uint32_t question_len, insns;
	uint32_t flags, notifies;
	uint64_t checksum; /* of all the rest: seal() */
};

static uint64_t mix(uint64_t h, uint64_t word)
{
	h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

/* For accidents and file names, not against an attacker: who can write here is the runtime's user.
 */
static uint64_t checksum(const void *bytes, size_t len)
{
	const unsigned char *p = bytes;
	uint64_t h = mix(UINT64_C(0x243f6a8885a308d3), len), word;

	for (; len >= sizeof(word); len -= sizeof(word), p += sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		h = mix(h, word);
	}
	word = 0;
	memcpy(&word, p, len);
	return mix(h, word);
}

/* The checksum of a file: its header with the field itself as zero, and what follows. */
static uint64_t seal(struct header h, const void *rest, size_t len)
{
	h.checksum = 0;
	return mix(checksum(&h, sizeof(h)), checksum(rest, len));
}

static void put_number(struct buf *b, uint64_t number)
{
	(void)buf_append(b, &number, sizeof(number));
}

/* With its length in front: no two lists of strings look alike. */
static void put_text(struct buf *b, const char *text)
{
	put_number(b, text ? strlen(text) : UINT64_MAX);
	if (text)
		(void)buf_puts(b, text);
}

static void put_strs(struct buf *b, const struct oci_strs *strs)
{
	put_number(b, strs->len);
	for (size_t i = 0; i < strs->len; i++)
		put_text(b, strs->items[i]);
}

static void put_optional(struct buf *b, const struct oci_opt_u64 *number)
{
	put_number(b, number->set);
	put_number(b, number->set ? number->v : 0);
}

static void put_rule(struct buf *b, const struct oci_seccomp_rule *rule)
{
	put_strs(b, &rule->names);
	put_text(b, rule->action);
	put_optional(b, &rule->errno_ret);
	put_number(b, rule->args_len);
	for (size_t i = 0; i < rule->args_len; i++) {
		put_number(b, rule->args[i].index);
		put_number(b, rule->args[i].value);
		put_number(b, rule->args[i].value_two);
		put_text(b, rule->args[i].op);
	}
}

/* Everything that the compiler's answer depends on. */
static int question_of(const struct oci_spec *spec, struct buf *b)
{
	const struct oci_seccomp *s = &spec->linux.seccomp;
	struct utsname kernel = { 0 };
	char version[32];

	(void)uname(&kernel);
	(void)buf_reserve(b, 16384);
	put_text(b, seccomp_library_version(version));
	put_text(b, kernel.release);
	put_number(b, seccomp_arch_native());
	put_number(b, seccomp_fails_unknown(spec));
	put_text(b, s->default_action);
	put_optional(b, &s->default_errno_ret);
	put_strs(b, &s->architectures);
	put_strs(b, &s->flags);
	put_number(b, s->listener_path != NULL);
	put_number(b, s->rules_len);
	for (size_t i = 0; i < s->rules_len; i++)
		put_rule(b, &s->rules[i]);
	return buf_error(b);
}

static void file_name(const struct buf *question, char name[static NAME_MAX_LEN])
{
	(void)snprintf(name, NAME_MAX_LEN, "%016llx.bpf",
		       (unsigned long long)checksum(question->data, question->len));
}

static bool load_is_valid(const struct sock_filter *f)
{
	return f->code != (BPF_LD | BPF_W | BPF_ABS) ||
	       (f->k % 4 == 0 && f->k < sizeof(struct seccomp_data));
}

static bool jump_is_valid(const struct sock_filter *f, size_t left)
{
	if (BPF_CLASS(f->code) != BPF_JMP)
		return true;
	if (BPF_OP(f->code) == BPF_JA)
		return f->k < left;
	return f->jt < left && f->jf < left;
}

static bool code_is_valid(const struct sock_filter *f)
{
	switch (f->code) {
	case BPF_ALU | BPF_DIV | BPF_K:
		return f->k != 0;
	case BPF_ALU | BPF_LSH | BPF_K:
	case BPF_ALU | BPF_RSH | BPF_K:
		return f->k < 32;
	case BPF_LD | BPF_MEM:
	case BPF_LDX | BPF_MEM:
	case BPF_ST:
	case BPF_STX:
		return f->k < BPF_MEMWORDS;
	case BPF_LD | BPF_W | BPF_ABS:
	case BPF_LD | BPF_W | BPF_LEN:
	case BPF_LDX | BPF_W | BPF_LEN:
	case BPF_LD | BPF_IMM:
	case BPF_LDX | BPF_IMM:
	case BPF_RET | BPF_K:
	case BPF_RET | BPF_A:
	case BPF_ALU | BPF_ADD | BPF_K:
	case BPF_ALU | BPF_ADD | BPF_X:
	case BPF_ALU | BPF_SUB | BPF_K:
	case BPF_ALU | BPF_SUB | BPF_X:
	case BPF_ALU | BPF_MUL | BPF_K:
	case BPF_ALU | BPF_MUL | BPF_X:
	case BPF_ALU | BPF_DIV | BPF_X:
	case BPF_ALU | BPF_AND | BPF_K:
	case BPF_ALU | BPF_AND | BPF_X:
	case BPF_ALU | BPF_OR | BPF_K:
	case BPF_ALU | BPF_OR | BPF_X:
	case BPF_ALU | BPF_XOR | BPF_K:
	case BPF_ALU | BPF_XOR | BPF_X:
	case BPF_ALU | BPF_LSH | BPF_X:
	case BPF_ALU | BPF_RSH | BPF_X:
	case BPF_ALU | BPF_NEG:
	case BPF_MISC | BPF_TAX:
	case BPF_MISC | BPF_TXA:
	case BPF_JMP | BPF_JA:
	case BPF_JMP | BPF_JEQ | BPF_K:
	case BPF_JMP | BPF_JEQ | BPF_X:
	case BPF_JMP | BPF_JGE | BPF_K:
	case BPF_JMP | BPF_JGE | BPF_X:
	case BPF_JMP | BPF_JGT | BPF_K:
	case BPF_JMP | BPF_JGT | BPF_X:
	case BPF_JMP | BPF_JSET | BPF_K:
	case BPF_JMP | BPF_JSET | BPF_X:
		return true;
	default:
		return false;
	}
}

bool seccomp_program_is_valid(const struct sock_filter *insns, size_t len)
{
	if (len == 0 || len > BPF_MAXINSNS || BPF_CLASS(insns[len - 1].code) != BPF_RET)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!code_is_valid(&insns[i]) || !load_is_valid(&insns[i]) ||
		    !jump_is_valid(&insns[i], len - i - 1))
			return false;
	}
	return true;
}

/* Regular, ours, closed to others, one name: nobody else can have written it. */
static int verify_file(int fd, size_t *ret_size)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 07777) != 0600 ||
	    st.st_nlink != 1)
		return -EBADMSG;
	if (st.st_size < (off_t)sizeof(struct header) || st.st_size > FILE_MAX)
		return -EBADMSG;
	*ret_size = (size_t)st.st_size;
	return 0;
}

/* The bytes of a whole file against the question. */
static int program_of(const char *bytes, size_t size, const struct buf *question,
		      struct seccomp_program *ret)
{
	struct seccomp_program program = { 0 };
	struct header h;

	memcpy(&h, bytes, sizeof(h));
	bytes += sizeof(h);
	size -= sizeof(h);
	if (h.magic != CACHE_MAGIC || h.version != CACHE_VERSION || h.insns > BPF_MAXINSNS ||
	    h.question_len > FILE_MAX || h.notifies > 1 ||
	    size != h.question_len + h.insns * sizeof(struct sock_filter))
		return -EBADMSG;
	if (seal(h, bytes, size) != h.checksum)
		return -EBADMSG;
	if (h.question_len != question->len || memcmp(bytes, question->data, question->len) != 0)
		return -ENOENT; /* two questions with one name */
	program.insns = malloc(h.insns * sizeof(struct sock_filter) + 1);
	if (!program.insns)
		return -ENOMEM;
	memcpy(program.insns, bytes + h.question_len, h.insns * sizeof(struct sock_filter));
	program.len = h.insns;
	program.flags = h.flags;
	program.notifies = h.notifies;
	if (!seccomp_program_is_valid(program.insns, program.len)) {
		seccomp_program_done(&program);
		return -EBADMSG;
	}
	*ret = program;
	return 0;
}

static int load(int dirfd, const char *name, const struct buf *question,
		struct seccomp_program *ret)
{
	AUTO_CLOSE int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	AUTO_FREE char *bytes = NULL;
	size_t size = 0;
	ssize_t n;
	int r;

	if (fd < 0)
		return errno == ENOENT ? -ENOENT : -EBADMSG;
	r = verify_file(fd, &size);
	if (r < 0)
		return r;
	bytes = malloc(size);
	if (!bytes)
		return -ENOMEM;
	n = pread(fd, bytes, size, 0);
	if (n < 0 || (size_t)n != size)
		return -EBADMSG;
	return program_of(bytes, size, question, ret);
}

/* Where others can make or rename names nothing is read or written. */
static int verify_directory(int dirfd)
{
	struct stat st;

	if (fstat(dirfd, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) && st.st_uid == geteuid() && (st.st_mode & 077) == 0 ? 0
											: -EPERM;
}

int seccomp_cache_load(int dirfd, const struct oci_spec *spec, struct seccomp_program *ret)
{
	AUTO_BUF struct buf question = { .max = FILE_MAX };
	char name[NAME_MAX_LEN];
	int r = verify_directory(dirfd);

	r = r < 0 ? r : question_of(spec, &question);
	if (r < 0)
		return r;
	file_name(&question, name);
	r = load(dirfd, name, &question, ret);
	if (r == -EBADMSG)
		(void)unlinkat(dirfd, name, 0);
	return r;
}

static bool is_cache_file(const char *name)
{
	return str_ends(name, ".bpf") || strstr(name, ".bpf.new.");
}

/* Profiles come and go with engine updates; a full cache begins anew. */
static int empty_if_full(int dirfd)
{
	const int copy = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *entry;
	size_t files = 0;

	if (!dir) {
		const int r = -errno;

		if (copy >= 0)
			(void)close(copy);
		return r;
	}
	while ((entry = readdir(dir)))
		files += is_cache_file(entry->d_name);
	if (files >= SECCOMP_CACHE_FILES) {
		rewinddir(dir);
		while ((entry = readdir(dir))) {
			if (is_cache_file(entry->d_name))
				(void)unlinkat(dirfd, entry->d_name, 0);
		}
	}
	(void)closedir(dir);
	return 0;
}

int seccomp_cache_store(int dirfd, const struct oci_spec *spec,
			const struct seccomp_program *program)
{
	AUTO_BUF struct buf question = { .max = FILE_MAX };
	AUTO_BUF struct buf file = { .max = FILE_MAX };
	struct header h = { .magic = CACHE_MAGIC,
			    .version = CACHE_VERSION,
			    .insns = (uint32_t)program->len,
			    .flags = program->flags,
			    .notifies = program->notifies };
	char name[NAME_MAX_LEN];
	int r = verify_directory(dirfd);

	r = r < 0 ? r : question_of(spec, &question);
	if (r < 0)
		return r;
	h.question_len = (uint32_t)question.len;
	(void)buf_append(&file, &h, sizeof(h));
	(void)buf_append(&file, question.data, question.len);
	(void)buf_append(&file, program->insns, program->len * sizeof(*program->insns));
	if (buf_error(&file) < 0)
		return buf_error(&file);
	h.checksum = seal(h, file.data + sizeof(h), file.len - sizeof(h));
	memcpy(file.data, &h, sizeof(h));
	r = empty_if_full(dirfd);
	if (r < 0)
		return r;
	file_name(&question, name);
	return fd_replace_file(dirfd, name, file.data, file.len, 0600);
}

int seccomp_compile_cached(int dirfd, const struct oci_spec *spec, struct seccomp_program *ret,
			   struct err *err)
{
	int r;

	if (!spec->linux.seccomp.set || dirfd < 0)
		return seccomp_compile(spec, ret, err);
	if (seccomp_cache_load(dirfd, spec, ret) == 0)
		return 0;
	r = seccomp_compile(spec, ret, err);
	if (r == 0)
		(void)seccomp_cache_store(dirfd, spec, ret); /* the next start compiles again */
	return r;
}
