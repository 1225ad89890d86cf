/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/lib/sanitizer_options.c - part of `caisson` and `caisson-vm` in sanitizer builds only: they
 * run with an environment of their own, so that their options cannot come from there. A report goes
 * to a file (standard error may be the container's) and ends the process with status 99, which is
 * nobody else's.
 */
#define COMMON "exitcode=99:log_path=" REPORTS "/report:handle_abort=0:"

__attribute__((visibility("default"))) const char *__asan_default_options(void);
__attribute__((visibility("default"))) const char *__ubsan_default_options(void);

const char *__asan_default_options(void)
{
	return COMMON "detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1";
}

const char *__ubsan_default_options(void)
{
	return COMMON "print_stacktrace=1:halt_on_error=1";
}
