/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/fuzz_config.c - everything that reads documents of engines: config.json, process.json
 * and resources. Beyond "no crash": a refusal has a message, and an accepted document keeps what
 * its reader promises and reads back from what is written of it.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "oci/encode.h"
#include "oci/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promise)
{
	if (!promise)
		abort();
}

static void check_refusal(int r, const struct err *err)
{
	require(r == -EINVAL || r == -E2BIG);
	require(err->code == r && strncmp(err->msg, "f:", 2) == 0);
	require(strlen(err->msg) < sizeof(err->msg) && !strchr(err->msg, '\n'));
}

static size_t check_strings(const struct oci_strs *list)
{
	size_t bytes = 0;

	for (size_t i = 0; i < list->len; i++)
		bytes += strlen(list->items[i]);
	require(!list->items || !list->items[list->len]);
	return bytes;
}

static size_t check_pairs(const struct oci_kvs *pairs)
{
	size_t bytes = 0;

	for (size_t i = 0; i < pairs->len; i++) {
		require(pairs->items[i].key[0] != '\0');
		bytes += strlen(pairs->items[i].value);
	}
	return bytes;
}

static void check_process(const struct oci_process *p)
{
	if (!p->set)
		return;
	require(p->cwd[0] == '/' && p->args.len > 0 && !p->args.items[p->args.len]);
	(void)check_strings(&p->args);
	(void)check_strings(&p->env);
	for (size_t i = 0; i < p->rlimits_len; i++)
		require(p->rlimits[i].name && p->rlimits[i].soft <= p->rlimits[i].hard);
}

static void check_spec(const struct oci_spec *spec)
{
	require(spec->version[0] == '1' && spec->root.path[0] != '\0');
	check_process(&spec->process);
	(void)check_pairs(&spec->annotations);
	(void)check_pairs(&spec->linux.sysctl);
	(void)check_strings(&spec->warnings);
	for (size_t i = 0; i < spec->mounts_len; i++) {
		require(spec->mounts[i].destination[0] != '\0');
		(void)check_strings(&spec->mounts[i].options);
	}
	for (size_t i = 0; i < spec->linux.masked_paths.len; i++)
		require(spec->linux.masked_paths.items[i][0] == '/');
	for (size_t i = 0; i < spec->linux.net_devices_len; i++)
		require(!strchr(spec->linux.net_devices[i].host_name, '/'));
	for (size_t i = 0; i < spec->linux.seccomp.rules_len; i++)
		require(spec->linux.seccomp.rules[i].names.len > 0);
	require(!spec->linux.uid_maps.len || spec->linux.ns[OCI_NS_USER].set);
	require(!spec->hostname || spec->linux.ns[OCI_NS_UTS].set);
}

/* Written, read and written again it is the same text. */
static void check_written(const struct oci_spec *spec)
{
	AUTO_BUF struct buf once = { 0 }, twice = { 0 };
	struct oci_spec *again = NULL;

	require(oci_spec_write(spec, &once, NULL) == 0);
	require(oci_spec_parse(once.data, once.len, "f", &again, NULL) == 0);
	check_spec(again);
	require(oci_spec_write(again, &twice, NULL) == 0);
	require(strcmp(once.data, twice.data) == 0);
	oci_spec_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct oci_spec *spec = NULL;
	struct err err = { 0 };
	int r;

	r = oci_spec_parse(text, size, "f", &spec, &err);
	if (r == 0) {
		check_spec(spec);
		check_written(spec);
	} else {
		check_refusal(r, &err);
	}
	oci_spec_free(spec);

	spec = NULL;
	r = oci_process_parse(text, size, "f", &spec, &err);
	if (r == 0)
		check_process(&spec->process);
	else
		check_refusal(r, &err);
	oci_spec_free(spec);

	spec = NULL;
	r = oci_resources_parse(text, size, "f", &spec, &err);
	if (r == 0)
		require(spec->linux.resources.set);
	else
		check_refusal(r, &err);
	oci_spec_free(spec);
	return 0;
}
