/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/arch/auxv.h - what the auxiliary vector (getauxval(3)) of a guest says about the machine.
 */
#pragma once

#include <stdint.h>

struct arch_auxv {
	uint64_t vdso;	      /* AT_SYSINFO_EHDR: where every stub has its vDSO; 0: none */
	uint64_t minsigstksz; /* AT_MINSIGSTKSZ, bytes: the largest signal frame */
	uint64_t hwcap;	      /* AT_HWCAP: CPUID.1:EDX as the host's kernel shows it */
	uint64_t hwcap2;      /* AT_HWCAP2: of it FSGSBASE */
};

/* From the host's own vector. */
void arch_auxv_get(struct arch_auxv *ret);

/* Boot, by the platform: the vDSO's address in every stub, for AT_SYSINFO_EHDR; 0: none. */
void arch_auxv_set_vdso(uint64_t addr);
