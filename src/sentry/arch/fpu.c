/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/arch/fpu.h"

#include <cpuid.h>
#include <errno.h>
#include <string.h>

#define LEAF_XSAVE	0xd
#define CPUID_1_OSXSAVE (1u << 27)
#define FEATURES_BASIC	0x3ull	     /* x87, SSE */
#define FEATURES_AMX	(3ull << 17) /* given only on request */
#define FEATURE_LAST	62

#define FCW_RESET    0x37fu
#define MXCSR_RESET  0x1f80u
#define MXCSR_OFFSET 24
#define MXCSR_MASK   28 /* offset, in images that FXSAVE wrote */

static struct {
	size_t size;
	uint64_t features;
	uint32_t mxcsr_mask;
} layout = { .size = FPU_SIZE_MIN, .features = FEATURES_BASIC, .mxcsr_mask = 0xffbf };

static uint64_t read_xcr0(void)
{
	uint32_t low, high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return (uint64_t)high << 32 | low;
}

static uint32_t read_mxcsr_mask(void)
{
	uint8_t image[FPU_LEGACY_SIZE] __attribute__((aligned(16))) = { 0 };
	uint32_t mask;

	__asm__ volatile("fxsave %0" : "=m"(image));
	memcpy(&mask, image + MXCSR_MASK, sizeof(mask));
	return mask ? mask : 0xffbf;
}

int fpu_init(void)
{
	uint32_t a, b, c, d;
	size_t size = FPU_SIZE_MIN;
	uint64_t all, features;

	/* Under a hypervisor each CPUID costs microseconds: who has XSAVE has its leaf. */
	__cpuid(1, a, b, c, d);
	if (!(c & CPUID_1_OSXSAVE))
		return -ENOTSUP;
	all = read_xcr0();
	features = all & ~FEATURES_AMX;
	if (features == all) {
		__cpuid_count(LEAF_XSAVE, 0, a, b, c, d);
		size = b > size ? b : size;
	}
	for (unsigned int i = 2; features != all && i <= FEATURE_LAST; i++) {
		if (!(features & 1ull << i))
			continue;
		__cpuid_count(LEAF_XSAVE, i, a, b, c, d);
		if ((size_t)b + a > size)
			size = (size_t)b + a;
	}
	if (size > FPU_SIZE_MAX)
		return -ENOTSUP;
	layout.size = size;
	layout.features = features;
	layout.mxcsr_mask = read_mxcsr_mask();
	return 0;
}

size_t fpu_size(void)
{
	return layout.size;
}

uint64_t fpu_features(void)
{
	return layout.features;
}

void fpu_image_reset(void *image)
{
	uint8_t *p = image;
	const uint16_t fcw = FCW_RESET;
	const uint32_t mxcsr = MXCSR_RESET;

	memset(p, 0, layout.size);
	memcpy(p, &fcw, sizeof(fcw));
	memcpy(p + MXCSR_OFFSET, &mxcsr, sizeof(mxcsr));
	memcpy(p + MXCSR_MASK, &layout.mxcsr_mask, sizeof(layout.mxcsr_mask));
}

void fpu_image_sanitize(void *image)
{
	uint8_t *p = image;
	uint64_t present;
	uint32_t mxcsr;

	memcpy(&mxcsr, p + MXCSR_OFFSET, sizeof(mxcsr));
	mxcsr &= layout.mxcsr_mask;
	memcpy(p + MXCSR_OFFSET, &mxcsr, sizeof(mxcsr));
	memcpy(&present, p + FPU_XSTATE_BV, sizeof(present));
	present &= layout.features;
	memset(p + FPU_XSTATE_BV, 0, FPU_HEADER_SIZE);
	memcpy(p + FPU_XSTATE_BV, &present, sizeof(present));
}
