/* SPDX-License-Identifier: Apache-2.0 */
/*
 * containerd-shim-caisson-v2 - containerd's way to caisson (docs/SHIM.md).
 *
 *   [flags] start     leave a shim behind, print where it listens
 *   [flags] delete    clean up after a shim that is dead
 *   -v                print the version
 *   -info             the same as a message (containerd 2)
 *
 * Flags are Go's: one dash or two, the value behind "=" or in the next word.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "runtime/runtime.h"
#include "shim/program.h"
#include "shim/task.pb-c.h"

#define NAME	 "containerd-shim-caisson-v2"
#define INFO_MAX 256 /* bytes of the message */

struct flag {
	const char *name;
	const char **value; /* NULL: a switch */
	bool *on;
};

static int usage(struct err *err)
{
	return err_set(err, -EINVAL,
		       "usage: " NAME " -namespace NS -address SOCKET -publish-binary PATH -id ID "
		       "[-bundle DIR] [-debug] start|delete, or -v, or -info");
}

static const struct flag *find_flag(const struct flag *flags, const char *text, const char **ret)
{
	const char *name = text + 1 + (text[1] == '-');
	const size_t len = strcspn(name, "=");

	*ret = name[len] ? name + len + 1 : NULL;
	for (; flags->name; flags++) {
		if (strlen(flags->name) == len && strncmp(flags->name, name, len) == 0)
			return flags;
	}
	return NULL;
}

/* Returns the index of the first word that is no flag. */
static int read_flags(int argc, char **argv, const struct flag *flags, struct err *err)
{
	int i = 1;

	for (; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
		const char *value;
		const struct flag *flag = find_flag(flags, argv[i], &value);

		if (!flag)
			return err_set(err, -EINVAL, "flag provided but not defined: %.100s",
				       argv[i]);
		if (!flag->value) {
			*flag->on = !value || str_eq(value, "true") || str_eq(value, "1");
			continue;
		}
		if (!value && i + 1 < argc)
			value = argv[++i];
		if (!value)
			return err_set(err, -EINVAL, "flag needs an argument: -%s", flag->name);
		*flag->value = value;
	}
	return i;
}

static int check(const struct program_options *o, struct err *err)
{
	int r;

	if (!o->ns || !*o->ns || !o->id || !*o->id || !o->address)
		return usage(err);
	r = container_id_check(o->ns, err);
	return r < 0 ? err_prefix(err, r, "namespace") : container_id_check(o->id, err);
}

/* `ps` shall not show a shim as one that is about to start. */
static void hide_word(char *word)
{
	memset(word, 0, strlen(word));
}

static int run(const struct program_options *o, char *verb, struct err *err)
{
	struct program_sockets sockets = { -EBADF, -EBADF };
	bool serve = false;
	int r = check(o, err);

	if (r < 0)
		return r;
	if (str_eq(verb, "delete"))
		return program_delete(o, err);
	if (!str_eq(verb, "start"))
		return usage(err);
	r = program_start(o, &sockets, &serve, err);
	if (r < 0 || !serve)
		return r;
	hide_word(verb);
	return program_serve(o, &sockets, err);
}

/* Options on standard input make no difference. */
static int say_info(struct err *err)
{
	Caisson__Shim__RuntimeInfo info = CAISSON__SHIM__RUNTIME_INFO__INIT;
	Caisson__Shim__RuntimeVersion version = CAISSON__SHIM__RUNTIME_VERSION__INIT;
	uint8_t bytes[INFO_MAX];
	int r;

	version.version = (char[]){ CAISSON_VERSION };
	info.name = (char[]){ NAME };
	info.version = &version;
	if (caisson__shim__runtime_info__get_packed_size(&info) > sizeof(bytes))
		return err_set(err, -E2BIG, "info");
	r = fd_write_all(STDOUT_FILENO, bytes, caisson__shim__runtime_info__pack(&info, bytes));
	return r < 0 ? err_sys(err, r, "info") : 0;
}

int main(int argc, char **argv)
{
	struct program_options o = { .program = argc > 0 ? argv[0] : NAME };
	bool version = false, info = false;
	const struct flag flags[] = {
		{ "namespace", &o.ns, NULL },
		{ "address", &o.address, NULL },
		{ "publish-binary", &o.publish_binary, NULL },
		{ "id", &o.id, NULL },
		{ "bundle", &o.bundle, NULL },
		{ "socket", &(const char *){ NULL }, NULL },
		{ "debug", NULL, &o.debug },
		{ "v", NULL, &version },
		{ "version", NULL, &version },
		{ "info", NULL, &info },
		{ 0 },
	};
	struct err err = { 0 };
	int r;

	json_setup();
	r = read_flags(argc, argv, flags, &err);
	if (r >= 0 && version) {
		(void)printf(NAME ":\n  Version:  " CAISSON_VERSION "\n");
		return 0;
	}
	if (r >= 0 && info)
		r = say_info(&err);
	else if (r >= 0)
		r = r + 1 == argc ? run(&o, argv[r], &err) : usage(&err);
	if (r < 0)
		log_error("%s", err.msg);
	return r < 0 ? 1 : 0;
}
