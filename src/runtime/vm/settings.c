/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/vm/settings.h"

#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "base/str.h"
#include "runtime/config.h"
#include "runtime/isolation.h"
#include "runtime/vm/files.h"
#include "runtime/vm/share.h"

struct source {
	const struct runtime *rt;
	const json_t *annotations;
};

/* The annotation's text, or else the configuration's; borrowed. */
static int text(const struct source *s, const char *key, const char *otherwise, const char **ret,
		struct err *err)
{
	char name[64];
	const json_t *value;

	(void)snprintf(name, sizeof(name), VM_ANNOTATION "%s", key);
	value = s->annotations ? json_object_get(s->annotations, name) : NULL;
	*ret = value ? json_string_value(value) : otherwise;
	if (!*ret)
		*ret = "";
	if (value && !isolation_annotation_allowed(s->rt, name))
		return err_set(err, -EPERM, "annotation %s: allowed_annotations does not list it",
			       name);
	return 0;
}

static int bad(const char *key, const char *value, const char *wanted, struct err *err)
{
	return err_set(err, -EINVAL, "vm.%s: \"%.64s\" is not %s", key, value, wanted);
}

/* The index in `words`, which end with NULL. */
static int word(const struct source *s, const char *key, const char *otherwise,
		const char *const *words, const char *wanted, unsigned int *ret, struct err *err)
{
	const char *value;
	const int r = text(s, key, otherwise, &value, err);

	if (r < 0)
		return r;
	for (unsigned int i = 0; words[i]; i++) {
		if (str_eq(value, words[i])) {
			*ret = i;
			return 0;
		}
	}
	return bad(key, value, wanted, err);
}

static int number(const struct source *s, const char *key, const char *otherwise, uint64_t max,
		  uint32_t *ret, struct err *err)
{
	const char *value;
	uint64_t n;
	const int r = text(s, key, otherwise, &value, err);

	if (r < 0)
		return r;
	if (str_to_u64(value, max, &n) < 0 || n == 0) {
		char wanted[64];

		(void)snprintf(wanted, sizeof(wanted), "a number from 1 to %llu",
			       (unsigned long long)max);
		return bad(key, value, wanted, err);
	}
	*ret = (uint32_t)n;
	return 0;
}

static int size(const struct source *s, const char *key, const char *otherwise, uint64_t min,
		uint64_t *ret, struct err *err)
{
	const char *value;
	const int r = text(s, key, otherwise, &value, err);

	if (r < 0)
		return r;
	if (str_to_size(value, ret) < 0 || *ret < min || *ret > MACHINE_MEMORY_MAX) {
		char wanted[64];

		(void)snprintf(wanted, sizeof(wanted), "a size from %lluM to %lluM",
			       (unsigned long long)min >> 20, MACHINE_MEMORY_MAX >> 20);
		return bad(key, value, wanted, err);
	}
	return 0;
}

static int path(const struct source *s, const char *key, const char *otherwise, const char **ret,
		struct err *err)
{
	const int r = text(s, key, otherwise, ret, err);

	return r == 0 && **ret && **ret != '/' ? bad(key, *ret, "an absolute path", err) : r;
}

/* A file of the guest, which lies in libexec when nobody says where. */
static int guest_file(const struct source *s, const char *key, const char *otherwise,
		      const char *name, char ret[static PATH_MAX], struct err *err)
{
	const char *value;
	const int r = path(s, key, otherwise, &value, err);
	int n;

	if (r < 0)
		return r;
	n = *value ? snprintf(ret, PATH_MAX, "%s", value)
		   : snprintf(ret, PATH_MAX, "%s/guest/%s", s->rt->libexec ? s->rt->libexec : "",
			      name);
	return n < PATH_MAX ? 0 : bad(key, value, "a path that short", err);
}

static int take_kind(const struct source *s, struct vm_config *c, struct err *err)
{
	static const char *const accels[] = { "auto", "kvm", "tcg", NULL };
	static const char *const types[] = { [MACHINE_MICROVM] = "microvm",
					     [MACHINE_MICROVM_PCI] = "microvm-pci",
					     [MACHINE_Q35] = "q35",
					     NULL };
	static const char *const yes[] = { "false", "true", NULL };
	static const char *const on[] = { "off", "on", NULL };
	static const char *const caches[] = { [FILES_CACHE_AUTO] = "auto",
					      [FILES_CACHE_ALWAYS] = "always",
					      [FILES_CACHE_NONE] = "none",
					      NULL };
	const struct vm_settings *o = &s->rt->vm;
	unsigned int accel = 0, type = 0, console = 0, templates = 0, nested = 0;
	int r = word(s, "accel", o->accel, accels, "auto, kvm or tcg", &accel, err);

	if (r == 0)
		r = word(s, "machine", o->machine, types, "microvm, microvm-pci or q35", &type,
			 err);
	if (r == 0)
		r = word(s, "debug_console", o->debug_console, yes, "true or false", &console, err);
	if (r == 0)
		r = word(s, "templates", o->templates, on, "off or on", &templates, err);
	if (r == 0)
		r = word(s, "nested", o->nested, yes, "true or false", &nested, err);
	if (r == 0)
		r = word(s, "cache", o->cache, caches, "auto, always or none", &c->cache, err);
	c->try_kvm = accel != 2;
	c->only_kvm = accel == 1;
	c->type = (enum machine_type)type;
	c->debug_console = console == 1;
	c->templates = templates == 1;
	c->nested = nested == 1;
	return r;
}

/* What nobody bounds is bounded by the host. */
static int take_bounds(const struct source *s, struct vm_config *c, struct err *err)
{
	const struct vm_settings *o = &s->rt->vm;
	const int cpus = get_nprocs();
	const char *value;
	struct sysinfo info;
	int r;

	c->max_cpus = cpus > 0 && (unsigned int)cpus < MACHINE_CPUS_MAX ? (uint32_t)cpus
									: MACHINE_CPUS_MAX;
	c->host_memory =
		sysinfo(&info) < 0 ? MACHINE_MEMORY_MAX : (uint64_t)info.totalram * info.mem_unit;
	c->max_memory = c->host_memory < MACHINE_MEMORY_MAX ? c->host_memory : MACHINE_MEMORY_MAX;
	r = text(s, "max_memory", o->max_memory, &value, err);
	if (r == 0 && *value) {
		uint64_t bytes = 0;

		r = size(s, "max_memory", o->max_memory, MACHINE_MEMORY_MIN, &bytes, err);
		c->max_memory = bytes < c->max_memory ? bytes : c->max_memory;
	} else {
		c->pod_memory = c->host_memory / 2;
	}
	if (r == 0)
		r = text(s, "max_cpus", o->max_cpus, &value, err);
	if (r == 0 && *value) {
		uint32_t n = 0;

		r = number(s, "max_cpus", o->max_cpus, MACHINE_CPUS_MAX, &n, err);
		c->max_cpus = n < c->max_cpus ? n : c->max_cpus;
	}
	return r;
}

int vm_settings_get(const struct runtime *rt, const json_t *annotations, struct vm_config *ret,
		    struct err *err)
{
	const struct source s = { rt, annotations };
	const struct vm_settings *o = &rt->vm;
	struct vm_config c = { 0 };
	uint32_t seconds = 0;
	int r = take_kind(&s, &c, err);

	if (r == 0)
		r = guest_file(&s, "kernel", o->kernel, "vmlinux", c.kernel, err);
	if (r == 0)
		r = guest_file(&s, "image", o->image, "image", c.image, err);
	if (r == 0)
		r = path(&s, "qemu", o->qemu, &c.qemu, err);
	if (r == 0)
		r = path(&s, "virtiofsd", o->virtiofsd, &c.virtiofsd, err);
	if (r == 0)
		r = size(&s, "memory", o->memory, MACHINE_MEMORY_MIN, &c.memory, err);
	if (r == 0)
		r = size(&s, "overhead", o->overhead, 0, &c.overhead, err);
	if (r == 0)
		r = number(&s, "cpus", o->cpus, MACHINE_CPUS_MAX, &c.cpus, err);
	if (r == 0)
		r = take_bounds(&s, &c, err);
	if (r == 0)
		r = number(&s, "boot_timeout", o->boot_timeout, VM_BOOT_MAX_S, &seconds, err);
	if (r < 0)
		return r;
	c.boot_ms = seconds * 1000;
	*ret = c;
	return 0;
}

/* Annotations that have no key of the configuration; and a key that has no annotation. */
static bool is_known(const char *name)
{
	char key[64];

	if (str_eq(name, SHARE_ROOTFS) || str_eq(name, SHARE_WATCH))
		return true;
	(void)snprintf(key, sizeof(key), "vm.%s", str_after(name, VM_ANNOTATION));
	for (int i = 0; i < CONFIG_KEYS; i++) {
		if (i != CONFIG_VM_TEMPLATE_DIR && str_eq(config_key_name((enum config_key)i), key))
			return true;
	}
	return false;
}

const char *vm_settings_unknown(const json_t *annotations, const char *after)
{
	const char *name;
	json_t *value;
	bool behind = !after;

	json_object_foreach ((json_t *)annotations, name, value) {
		if (behind && str_after(name, VM_ANNOTATION) && !is_known(name))
			return name;
		behind = behind || str_eq(name, after);
	}
	return NULL;
}
