/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/arch/auxv.h"

#include <sys/auxv.h>

#define MINSIGSTKSZ_FALLBACK 2048 /* bytes; a host before Linux 5.14 does not say */
#define HWCAP2_FSGSBASE_BIT  (1u << 1)

static uint64_t vdso_addr;

void arch_auxv_set_vdso(uint64_t addr)
{
	vdso_addr = addr;
}

void arch_auxv_get(struct arch_auxv *ret)
{
	const uint64_t size = getauxval(AT_MINSIGSTKSZ);

	*ret = (struct arch_auxv){
		.vdso = vdso_addr,
		.minsigstksz = size ? size : MINSIGSTKSZ_FALLBACK,
		.hwcap = getauxval(AT_HWCAP),
		.hwcap2 = getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE_BIT,
	};
}
