/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/hash.h - FNV-1a: names and tables that spread by their bytes. It keeps no secret, and who
 * may choose the bytes may choose two with the same hash.
 *
 * Begin with HASH64_BEGIN (or HASH32_BEGIN), or with what came out of the bytes before.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define HASH64_BEGIN 0xcbf29ce484222325ull
#define HASH32_BEGIN 0x811c9dc5u

static inline uint64_t hash64(uint64_t hash, const void *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ ((const unsigned char *)bytes)[i]) * 0x100000001b3ull;
	return hash;
}

static inline uint32_t hash32(uint32_t hash, const void *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ ((const unsigned char *)bytes)[i]) * 0x01000193u;
	return hash;
}
