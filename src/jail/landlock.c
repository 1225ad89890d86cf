/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rights are named here by number: the headers of a build machine may be older than the kernel
 * that the program meets (Linux, include/uapi/linux/landlock.h; Landlock ABI versions 1 to 6).
 */
#include "jail/jail.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "base/sys.h"

#define LL_CREATE_RULESET 444
#define LL_ADD_RULE	  445
#define LL_RESTRICT_SELF  446
#define LL_VERSION	  1u /* flag: say the ABI's version */
#define LL_PATH_BENEATH	  1

#define LL_EXECUTE    (1ull << 0)
#define LL_WRITE_FILE (1ull << 1)
#define LL_READ_FILE  (1ull << 2)
#define LL_MAKE_CHAR  (1ull << 6)
#define LL_MAKE_BLOCK (1ull << 11)
#define LL_REFER      (1ull << 13) /* ABI 2 */
#define LL_TRUNCATE   (1ull << 14) /* 3 */
#define LL_IOCTL_DEV  (1ull << 15) /* 5 */

#define LL_SCOPE_SIGNAL (1ull << 1) /* 6 */

#define LL_OF_FILES (LL_EXECUTE | LL_WRITE_FILE | LL_READ_FILE | LL_TRUNCATE | LL_IOCTL_DEV)
#define LL_DENIED   (LL_EXECUTE | LL_MAKE_CHAR | LL_MAKE_BLOCK | LL_IOCTL_DEV)

struct ll_ruleset {
	uint64_t fs;
	uint64_t net;	 /* ABI 4: bind, connect */
	uint64_t scoped; /* ABI 6: abstract sockets, signals */
};

struct ll_path_beneath {
	uint64_t allowed;
	int32_t fd;
} __attribute__((packed));

/* Everything that this ABI can deny. */
static void ruleset_of(long abi, struct ll_ruleset *ret, size_t *ret_size)
{
	ret->fs = LL_REFER - 1;
	ret->fs |= abi >= 2 ? LL_REFER : 0;
	ret->fs |= abi >= 3 ? LL_TRUNCATE : 0;
	ret->fs |= abi >= 5 ? LL_IOCTL_DEV : 0;
	ret->net = abi >= 4 ? 3 : 0;
	ret->scoped = abi >= 6 ? 3 : 0;
	*ret_size = abi >= 6 ? sizeof(*ret) : abi >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
}

static long allow_below(long ruleset, int tree, uint64_t rights)
{
	struct ll_path_beneath rule = { .allowed = rights & ~LL_DENIED, .fd = tree };
	struct stat st;
	const long r = SYS2(SYS_fstat, tree, &st);

	if (r < 0)
		return r;
	if (!S_ISDIR(st.st_mode))
		rule.allowed &= LL_OF_FILES;
	return SYS4(LL_ADD_RULE, ruleset, LL_PATH_BENEATH, &rule, 0);
}

int jail_landlock(const int *trees, size_t len)
{
	const long abi = SYS3(LL_CREATE_RULESET, 0, 0, LL_VERSION);
	struct ll_ruleset rights;
	size_t size;
	long ruleset, r = 0;

	/* Before ABI 2 no file could ever be renamed to another directory. */
	if (abi < 2)
		return 0;
	ruleset_of(abi, &rights, &size);
	ruleset = SYS3(LL_CREATE_RULESET, &rights, size, 0);
	if (ruleset < 0)
		return (int)ruleset;
	for (size_t i = 0; r == 0 && i < len; i++)
		r = allow_below(ruleset, trees[i], rights.fs);
	if (r == 0)
		r = SYS2(LL_RESTRICT_SELF, ruleset, 0);
	(void)SYS1(SYS_close, ruleset);
	return (int)r;
}

int jail_landlock_signals(void)
{
	const struct ll_ruleset rules = { .scoped = LL_SCOPE_SIGNAL };

	if (SYS3(LL_CREATE_RULESET, 0, 0, LL_VERSION) < 6)
		return -EOPNOTSUPP;
	return (int)SYS3(LL_CREATE_RULESET, &rules, sizeof(rules), 0);
}
