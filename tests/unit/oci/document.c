/* SPDX-License-Identifier: Apache-2.0 */
#include "document.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fatal(const char *what, const char *name)
{
	fprintf(stderr, "document: %s: %s\n", what, name);
	abort();
}

static size_t blank(const struct document *doc, size_t at)
{
	while (at < doc->len && isspace((unsigned char)doc->text[at]))
		at++;
	return at;
}

static size_t string_end(const struct document *doc, size_t at)
{
	for (at++; doc->text[at] != '"'; at++)
		at += doc->text[at] == '\\';
	return at + 1;
}

static struct node *add_node(struct document *doc, const char *path, size_t start)
{
	struct node *node;

	doc->nodes = reallocarray(doc->nodes, doc->nodes_len + 1, sizeof(*doc->nodes));
	if (!doc->nodes)
		fatal("memory", path);
	node = &doc->nodes[doc->nodes_len++];
	*node = (struct node){ .start = start, .line = 1, .kind = doc->text[start] };
	(void)snprintf(node->path, sizeof(node->path), "%s", path);
	for (size_t i = 0; i < start; i++)
		node->line += doc->text[i] == '\n';
	if (strchr("-0123456789", node->kind))
		node->kind = '0';
	if (node->kind == 'f')
		node->kind = 't';
	return node;
}

static void key_path(char *to, size_t room, const char *parent, const char *key, size_t len)
{
	size_t plain = 0;

	while (plain < len && (isalnum((unsigned char)key[plain]) || key[plain] == '_'))
		plain++;
	if (plain == len)
		(void)snprintf(to, room, "%s%s%.*s", parent, *parent ? "." : "", (int)len, key);
	else
		(void)snprintf(to, room, "%s[\"%.*s\"]", parent, (int)len, key);
}

/* Adds the value at `at` and those below it; returns the byte after it. */
static size_t walk(struct document *doc, size_t at, const char *path)
{
	const size_t mine = doc->nodes_len;
	const char kind = add_node(doc, path, at)->kind;
	char child[512];

	if (kind == '"') {
		at = string_end(doc, at);
	} else if (kind != '{' && kind != '[') {
		while (at < doc->len &&
		       (isalnum((unsigned char)doc->text[at]) || strchr("+-.", doc->text[at])))
			at++;
	} else {
		at = blank(doc, at + 1);
		for (size_t i = 0; doc->text[at] != '}' && doc->text[at] != ']'; i++) {
			if (kind == '{') {
				const size_t end = string_end(doc, at);

				key_path(child, sizeof(child), path, doc->text + at + 1,
					 end - at - 2);
				at = blank(doc, blank(doc, end) + 1);
			} else {
				(void)snprintf(child, sizeof(child), "%s[%zu]", path, i);
			}
			at = blank(doc, walk(doc, at, child));
			if (doc->text[at] == ',')
				at = blank(doc, at + 1);
		}
		at++;
	}
	doc->nodes[mine].end = at;
	return at;
}

struct document *document_from(const char *text)
{
	struct document *doc = calloc(1, sizeof(*doc));

	if (!doc)
		fatal("memory", "document");
	doc->text = strdup(text);
	if (!doc->text)
		fatal("memory", "document");
	doc->len = strlen(text);
	(void)walk(doc, blank(doc, 0), "");
	return doc;
}

struct document *document_load(const char *name)
{
	static char text[1 << 20];
	struct document *doc;
	char path[512];
	size_t len;
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/data/%s", TEST_SOURCE_DIR, name);
	f = fopen(path, "re");
	if (!f)
		fatal("cannot open", path);
	len = fread(text, 1, sizeof(text) - 1, f);
	text[len] = '\0';
	(void)fclose(f);
	doc = document_from(text);
	return doc;
}

void document_free(struct document *doc)
{
	if (!doc)
		return;
	free(doc->text);
	free(doc->nodes);
	free(doc);
}

const struct node *document_find(const struct document *doc, const char *path)
{
	for (size_t i = 0; i < doc->nodes_len; i++) {
		if (strcmp(doc->nodes[i].path, path) == 0)
			return &doc->nodes[i];
	}
	fatal("no such path", path);
	return NULL;
}

char *document_replace(const struct document *doc, const struct node *node, const char *value)
{
	char *text = NULL;

	if (asprintf(&text, "%.*s%s%s", (int)node->start, doc->text, value, doc->text + node->end) <
	    0)
		fatal("memory", node->path);
	return text;
}
