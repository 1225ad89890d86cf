/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/oci/document.h - a JSON text whose values can be named, replaced and located. Written
 * apart from src/oci and without jansson, so that it can judge their paths and lines.
 */
#pragma once

#include <stddef.h>

struct node {
	char path[256];	   /* as messages write it: "linux.devices[0].path" */
	size_t start, end; /* bytes of the value within the text */
	size_t line;	   /* of the first byte, from 1 */
	char kind;	   /* '{' '[' '"' '0' (number) 't' (boolean) 'n' (null) */
};

struct document {
	char *text; /* owned, NUL-terminated */
	size_t len;
	struct node *nodes; /* every value, parents before children */
	size_t nodes_len;
};

/* Reads data/NAME of this directory. Fails the test if it cannot. */
struct document *document_load(const char *name);
struct document *document_from(const char *text);
void document_free(struct document *doc);

const struct node *document_find(const struct document *doc, const char *path);

/* A copy of the text with one value replaced; the caller frees it. */
char *document_replace(const struct document *doc, const struct node *node, const char *value);
