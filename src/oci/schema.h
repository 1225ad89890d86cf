/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/schema.h - the tables of config.json, one per object, and the judgement of the whole. Private
 * to this room: the room's users see oci/spec.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "oci/decode.h"
#include "oci/spec.h"

extern const struct oci_object oci_schema_spec;	     /* struct oci_spec */
extern const struct oci_object oci_schema_process;   /* struct oci_process */
extern const struct oci_object oci_schema_hooks;     /* struct oci_hooks */
extern const struct oci_object oci_schema_linux;     /* struct oci_linux */
extern const struct oci_object oci_schema_resources; /* struct oci_resources */
extern const struct oci_object oci_schema_seccomp;   /* struct oci_seccomp */
extern const struct oci_object oci_schema_id_map;    /* struct oci_id_map */

/*
 * What no single object can tell: fields of config.json that need each other. The rules are runc's,
 * so that an engine meets the same refusals (libcontainer/configs/validate).
 */
int oci_validate(struct oci_decoder *d, const struct oci_spec *spec);

/* A list of numbers and ranges, "0-3,7": cpuset(7), "List format". Not empty. */
bool oci_is_cpulist(const char *text);

/* A network device name as the kernel takes it (dev_valid_name() in net/core/dev.c). */
bool oci_is_net_device_name(const char *name);

#define OCI_FIELD(type, member, name, k) \
	.key = (name), .kind = (k), .offset = offsetof(type, member)
#define OCI_FIELD_LIST(type, member, name, of)                             \
	.key = (name), .kind = OCI_LIST, .offset = offsetof(type, member), \
	.len_offset = offsetof(type, member##_len), .object = (of)
/* A struct with the members `items` and `len`. */
#define OCI_FIELD_ITEMS(type, member, name, of)                                  \
	.key = (name), .kind = OCI_LIST, .offset = offsetof(type, member.items), \
	.len_offset = offsetof(type, member.len), .object = (of)
#define OCI_FIELD_OBJECT(type, member, name, of) \
	.key = (name), .kind = OCI_OBJECT, .offset = offsetof(type, member), .object = (of)
#define OCI_FIELD_CUSTOM(type, member, name, how)                                                \
	.key = (name), .kind = OCI_CUSTOM, .offset = offsetof(type, member), .read = read_##how, \
	.write = write_##how
/* The functions see the parent's struct. */
#define OCI_FIELD_PARENT(name, how) \
	.key = (name), .kind = OCI_CUSTOM, .read = read_##how, .write = write_##how
#define OCI_FIELD_WORD(type, member, name, table) \
	.key = (name), .kind = OCI_WORD, .offset = offsetof(type, member), .words = (table)
