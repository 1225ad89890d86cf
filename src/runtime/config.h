/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/config.h - the effective settings of one invocation and where each came from.
 *
 * Sources, the strongest first: a flag, the name the program was called by (isolation only), the
 * last configuration file that has the key, the built-in default. Files are CONFIG_FILE and then
 * every
 * *.json of CONFIG_FILE.d (that is, caisson.json.d) in the order of their names. CAISSON_CONFIG in
 * the environment names another file instead of CONFIG_FILE; it is ignored in a set-user-ID or
 * otherwise privileged run (secure_getenv(3)).
 *
 * A file is a JSON object. An unknown key, a wrong type or an unknown word is an error that names
 * file and line; so is a file that everybody may write. A missing file or directory is no error.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "base/json.h"

#define CONFIG_FILE	 "/etc/caisson/caisson.json"
#define CONFIG_FILE_MAX	 (64u << 10) /* bytes */
#define CONFIG_FILES_MAX 64	     /* files in the directory */

enum config_key {
	CONFIG_ISOLATION,
	CONFIG_ROOT,
	CONFIG_CGROUP_MANAGER,
	CONFIG_ROOTLESS,
	CONFIG_LOG,
	CONFIG_LOG_FORMAT,
	CONFIG_LOG_LEVEL,
	CONFIG_LIBEXEC,
	CONFIG_ALLOWED_ANNOTATIONS,
	CONFIG_PLATFORM,
	CONFIG_STUB_PROFILE,
	CONFIG_CPU_ISOLATION,
	CONFIG_NETWORK,
	CONFIG_OVERLAY,
	CONFIG_FILE_ACCESS,
	CONFIG_FILE_ACCESS_MOUNTS,
	CONFIG_HOST_UDS,
	CONFIG_STRACE,
	CONFIG_DEBUG,
	CONFIG_EVENTS,
	CONFIG_EVENT_SINK,
	CONFIG_SANDBOX_IDS,
	CONFIG_VM_KERNEL,
	CONFIG_VM_IMAGE,
	CONFIG_VM_QEMU,
	CONFIG_VM_VIRTIOFSD,
	CONFIG_VM_ACCEL,
	CONFIG_VM_MACHINE,
	CONFIG_VM_MEMORY,
	CONFIG_VM_CPUS,
	CONFIG_VM_MAX_MEMORY,
	CONFIG_VM_MAX_CPUS,
	CONFIG_VM_OVERHEAD,
	CONFIG_VM_BOOT_TIMEOUT,
	CONFIG_VM_DEBUG_CONSOLE,
	CONFIG_VM_TEMPLATES,
	CONFIG_VM_CACHE,
	CONFIG_VM_TEMPLATE_DIR,
	CONFIG_VM_NESTED,
	CONFIG_KEYS,
};

enum config_source {
	CONFIG_FROM_DEFAULT,
	CONFIG_FROM_FILE,
	CONFIG_FROM_ARGV0,
	CONFIG_FROM_FLAG,
};

struct config_value {
	char *text;  /* owned; NULL: no value. Lists: NULL, see list */
	char **list; /* owned; allowed_annotations only */
	enum config_source source;
	char *file; /* owned; for CONFIG_FROM_FILE */
	unsigned int line;
};

struct config {
	struct config_value values[CONFIG_KEYS];
};

/* "isolation", "root", ... */
const char *config_key_name(enum config_key key);

/* "flag", "default", "the program's name", "/etc/caisson/caisson.json:3"; in a caller's buffer. */
#define CONFIG_SOURCE_MAX 512
const char *config_source_text(const struct config_value *value,
			       char text[static CONFIG_SOURCE_MAX]);

/* A flag's value is one of the key's words, for keys that only flags and files can set. -EINVAL. */
int config_check(enum config_key key, const char *text, struct err *err);

/* Set a value from a stronger or equal source; text is copied. -ENOMEM. */
int config_set(struct config *config, enum config_key key, const char *text,
	       enum config_source source, struct err *err);

/* Merge one document. `name` is the file in messages. */
int config_merge(struct config *config, const char *text, size_t len, const char *name,
		 struct err *err);

/* Read `file` and the *.json of `file`.d. */
int config_read_files(struct config *config, const char *file, struct err *err);

/* Where config_read_files() shall look: CAISSON_CONFIG or CONFIG_FILE. Borrowed. */
const char *config_path(void);

static inline const char *config_text(const struct config *config, enum config_key key)
{
	return config->values[key].text;
}

void config_done(struct config *config);
