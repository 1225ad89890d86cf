/* SPDX-License-Identifier: Apache-2.0 */
/* oci/doc.c - paths, lines and refusals; reader.c makes the tree. */
#include "oci/doc.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define PATH_TEXT_MAX  256 /* bytes of a path in a message */
#define PATH_STEPS_MAX 32  /* the specification nests eight deep */

const char *oci_type_name(enum oci_type type)
{
	static const char *const names[] = {
		[OCI_NULL] = "null",	    [OCI_BOOLEAN] = "boolean", [OCI_INTEGER] = "integer",
		[OCI_REAL] = "real number", [OCI_TEXT] = "string",     [OCI_ARRAY] = "array",
		[OCI_MEMBERS] = "object",
	};

	return names[type];
}

/* The steps from the root down: steps[n - 1] is the first. */
static size_t unwind(const struct oci_path *at, const struct oci_path *steps[PATH_STEPS_MAX])
{
	size_t n = 0;

	for (; at && n < PATH_STEPS_MAX; at = at->up)
		steps[n++] = at;
	return n;
}

static const struct oci_value *find_child(const struct oci_value *v, const struct oci_path *step)
{
	const struct oci_value *child = NULL;
	size_t i = 0;

	if (v->type == (step->key ? OCI_MEMBERS : OCI_ARRAY))
		child = v->list.first;
	while (child && (step->key ? strcmp(child->key, step->key) != 0 : i++ != step->index))
		child = child->next;
	return child;
}

size_t oci_line_at(const struct oci_doc *doc, size_t at)
{
	size_t line = 1;

	for (size_t i = 0; i < at && i < doc->len; i++)
		line += doc->text[i] == '\n';
	return line;
}

size_t oci_doc_line(const struct oci_doc *doc, const struct oci_path *at)
{
	const struct oci_path *steps[PATH_STEPS_MAX];
	const struct oci_value *v = doc->root, *child = v;
	size_t n = unwind(at, steps);

	while (n > 0 && child) {
		v = child;
		child = find_child(v, steps[--n]);
	}
	return oci_line_at(doc, child ? child->at : v ? v->at : 0);
}

static bool plain_key(const char *key)
{
	const char *p = key;

	while (isalnum((unsigned char)*p) || *p == '_')
		p++;
	return p > key && *p == '\0';
}

/* "linux.devices[3].path", `annotations["a.b"]` */
static void path_text(const struct oci_path *at, char text[static PATH_TEXT_MAX])
{
	const struct oci_path *steps[PATH_STEPS_MAX];
	size_t n = unwind(at, steps), len = 0;

	text[0] = '\0';
	while (n > 0 && len < PATH_TEXT_MAX - 1) {
		const struct oci_path *step = steps[--n];
		char *to = text + len;
		const size_t room = PATH_TEXT_MAX - len;

		if (!step->key)
			(void)snprintf(to, room, "[%zu]", step->index);
		else if (plain_key(step->key))
			(void)snprintf(to, room, "%s%s", len ? "." : "", step->key);
		else
			(void)snprintf(to, room, "[\"%s\"]", step->key);
		len += strlen(to);
	}
	/* A key that was cut must not end within a UTF-8 sequence. */
	if (len >= PATH_TEXT_MAX - 1) {
		while (len > 0 && ((unsigned char)text[len - 1] & 0xc0) == 0x80)
			len--;
		text[len > 0 ? len - 1 : 0] = '\0';
	}
}

int oci_doc_refuse(const struct oci_doc *doc, const struct oci_path *at, struct err *err, int code,
		   const char *fmt, ...)
{
	char path[PATH_TEXT_MAX], text[ERR_MSG_MAX];
	va_list ap;

	if (!err)
		return code;
	path_text(at, path);
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(err, code, "%s:%zu: %s%s%s", doc->name, oci_doc_line(doc, at), path,
		       path[0] ? ": " : "", text);
}
