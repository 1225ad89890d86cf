/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/spec.c - config.json from text to struct oci_spec: parse (doc.c), read the tables (decode.c,
 * schema_*.c), judge the whole (validate.c).
 */
#include "oci/spec.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "oci/encode.h"
#include "oci/schema.h"

static const struct oci_field mount_fields[] = {
	{ OCI_FIELD(struct oci_mount, destination, "destination", OCI_STRING), .required = true },
	{ OCI_FIELD(struct oci_mount, type, "type", OCI_STRING) },
	{ OCI_FIELD(struct oci_mount, source, "source", OCI_STRING) },
	{ OCI_FIELD(struct oci_mount, options, "options", OCI_STRINGS) },
	{ OCI_FIELD_ITEMS(struct oci_mount, uid_maps, "uidMappings", &oci_schema_id_map) },
	{ OCI_FIELD_ITEMS(struct oci_mount, gid_maps, "gidMappings", &oci_schema_id_map) },
};

static const struct oci_object mount_object = {
	.fields = mount_fields,
	.fields_len = ARRAY_LEN(mount_fields),
	.size = sizeof(struct oci_mount),
};

static const struct oci_field root_fields[] = {
	{ OCI_FIELD(struct oci_spec, root.path, "path", OCI_STRING), .required = true },
	{ OCI_FIELD(struct oci_spec, root.readonly, "readonly", OCI_BOOL) },
};

static const struct oci_object root_object = {
	.fields = root_fields,
	.fields_len = ARRAY_LEN(root_fields),
};

/* An object for another platform or class: that it is there is all that is known here. */
static int read_presence(struct oci_decoder *d, const struct oci_path *at,
			 const struct oci_value *value, void *to)
{
	if (value->type != OCI_MEMBERS)
		return oci_refuse_type(d, at, "object", value);
	*(bool *)to = true;
	return 0;
}

static int write_presence(struct oci_encoder *e, const char *key, const void *from)
{
	if (*(const bool *)from) {
		oci_write_begin(&e->json, key, '{');
		oci_write_end(&e->json, '}');
	}
	return 0;
}

static int read_linux(struct oci_decoder *d, const struct oci_path *at,
		      const struct oci_value *value, void *to)
{
	struct oci_spec *spec = to;

	spec->has_linux = true;
	return oci_decode_object(d, at, value, &oci_schema_linux, &spec->linux);
}

static int write_linux(struct oci_encoder *e, const char *key, const void *from)
{
	const struct oci_spec *spec = from;

	return spec->has_linux ? oci_encode_object(e, key, &oci_schema_linux, &spec->linux) : 0;
}

static const struct oci_field spec_fields[] = {
	{ OCI_FIELD(struct oci_spec, version, "ociVersion", OCI_STRING), .required = true },
	{ .key = "root", .kind = OCI_OBJECT, .object = &root_object, .required = true },
	{ OCI_FIELD_LIST(struct oci_spec, mounts, "mounts", &mount_object) },
	{ OCI_FIELD_OBJECT(struct oci_spec, process, "process", &oci_schema_process) },
	{ OCI_FIELD(struct oci_spec, hostname, "hostname", OCI_STRING) },
	{ OCI_FIELD(struct oci_spec, domainname, "domainname", OCI_STRING) },
	{ OCI_FIELD_OBJECT(struct oci_spec, hooks, "hooks", &oci_schema_hooks) },
	{ OCI_FIELD(struct oci_spec, annotations, "annotations", OCI_STRINGMAP) },
	{ OCI_FIELD_PARENT("linux", linux), .object = &oci_schema_linux },
	{ OCI_FIELD_CUSTOM(struct oci_spec, has_vm, "vm", presence) },
	{ OCI_FIELD_CUSTOM(struct oci_spec, has_windows, "windows", presence) },
	{ OCI_FIELD_CUSTOM(struct oci_spec, has_solaris, "solaris", presence) },
	{ OCI_FIELD_CUSTOM(struct oci_spec, has_zos, "zos", presence) },
};

const struct oci_object oci_schema_spec = {
	.fields = spec_fields,
	.fields_len = ARRAY_LEN(spec_fields),
	.size = sizeof(struct oci_spec),
};

/* Where the document's root object goes within struct oci_spec. */
struct document_kind {
	const struct oci_object *object;
	size_t offset;
	bool whole; /* a config.json, judged as a whole */
};

static const struct document_kind config_document = { &oci_schema_spec, 0, true };
static const struct document_kind process_document = { &oci_schema_process,
						       offsetof(struct oci_spec, process), false };
static const struct document_kind resources_document = { &oci_schema_resources,
							 offsetof(struct oci_spec, linux.resources),
							 false };

static int parse(struct oci_doc *doc, const struct document_kind *kind, struct oci_spec **ret,
		 struct err *err)
{
	AUTO(oci_arena_free_p) struct oci_arena *arena = oci_arena_new();
	struct oci_decoder d = { .doc = doc, .arena = arena, .err = err };
	struct oci_spec *spec = arena ? oci_arena_alloc(arena, 1, sizeof(*spec)) : NULL;
	int r;

	if (!spec)
		return oci_refuse_memory(&d);
	r = oci_doc_parse(doc, arena, err);
	if (r < 0)
		return r;
	r = oci_decode_object(&d, NULL, doc->root, kind->object, (char *)spec + kind->offset);
	if (r == 0 && kind->whole)
		r = oci_validate(&d, spec);
	if (r < 0)
		return r;
	spec->warnings = (struct oci_strs){ .items = d.warnings, .len = d.warnings_len };
	spec->arena = TAKE_PTR(arena);
	*ret = spec;
	return 0;
}

static int load(int dirfd, const char *path, const struct document_kind *kind,
		struct oci_spec **ret, struct err *err)
{
	AUTO_BUF struct buf text = { .max = OCI_CONFIG_MAX };
	struct oci_doc doc = { .name = path };
	int r = fd_read_file(dirfd, path, &text);

	if (r == -E2BIG)
		return err_set(err, r, "%s: larger than %u bytes", path, OCI_CONFIG_MAX);
	if (r < 0)
		return err_sys(err, r, "open %s", path);
	doc.text = text.data ? text.data : "";
	doc.len = text.len;
	return parse(&doc, kind, ret, err);
}

int oci_spec_load(int dirfd, const char *path, struct oci_spec **ret, struct err *err)
{
	return load(dirfd, path, &config_document, ret, err);
}

int oci_process_load(int dirfd, const char *path, struct oci_spec **ret, struct err *err)
{
	return load(dirfd, path, &process_document, ret, err);
}

int oci_spec_parse(const char *text, size_t len, const char *name, struct oci_spec **ret,
		   struct err *err)
{
	struct oci_doc doc = { .name = name, .text = text, .len = len };

	return parse(&doc, &config_document, ret, err);
}

int oci_process_parse(const char *text, size_t len, const char *name, struct oci_spec **ret,
		      struct err *err)
{
	struct oci_doc doc = { .name = name, .text = text, .len = len };

	return parse(&doc, &process_document, ret, err);
}

int oci_resources_parse(const char *text, size_t len, const char *name, struct oci_spec **ret,
			struct err *err)
{
	struct oci_doc doc = { .name = name, .text = text, .len = len };

	return parse(&doc, &resources_document, ret, err);
}

void oci_spec_free(struct oci_spec *spec)
{
	if (spec)
		oci_arena_free(spec->arena);
}

const char *oci_annotation(const struct oci_spec *spec, const char *key)
{
	for (size_t i = 0; i < spec->annotations.len; i++) {
		if (strcmp(spec->annotations.items[i].key, key) == 0)
			return spec->annotations.items[i].value;
	}
	return NULL;
}

bool oci_annotation_is_set(const struct oci_spec *spec, const char *key)
{
	const char *value = oci_annotation(spec, key);

	return value && !str_eq(value, "0") && !str_eq(value, "false");
}
