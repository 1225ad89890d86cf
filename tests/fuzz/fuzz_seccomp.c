/* SPDX-License-Identifier: Apache-2.0 */
/* linux.seccomp of a config.json to a program that the kernel would take. */
#include <assert.h>
#include <stdint.h>

#include "host/seccomp.h"
#include "host/seccomp_internal.h"
#include "oci/spec.h"

#define INPUT_MAX 4096 /* bytes: a larger profile only costs time */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seccomp_program program = { 0 };
	struct oci_spec *spec = NULL;
	struct err err = { 0 };
	int r;

	if (size > INPUT_MAX || oci_spec_parse((const char *)data, size, "input", &spec, &err) < 0)
		return 0;
	r = seccomp_compile(spec, &program, &err);
	if (r == 0 && program.insns)
		assert(seccomp_program_is_valid(program.insns, program.len));
	assert(r == 0 || (err.code == r && err.msg[0]));
	seccomp_program_done(&program);
	oci_spec_free(spec);
	return 0;
}
