/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sentry/settings.h"

#include "base/str.h"
#include "runtime/sandbox/sandbox.h"
#include "wire/sentry_msg.h"

/* The index of the text in `words`, which end with NULL. */
static int word(const struct runtime *rt, const struct oci_spec *spec, const char *key,
		const char *otherwise, const char *const *words, uint32_t *ret, struct err *err)
{
	const char *text;
	const int r = sandbox_setting(rt, spec, key, otherwise, &text, err);

	if (r < 0)
		return r;
	for (uint32_t i = 0; words[i]; i++) {
		if (str_eq(text, words[i])) {
			*ret = i;
			return 0;
		}
	}
	return err_set(err, -EINVAL, "%s: \"%.64s\" is not known", key, text);
}

int sentry_setting_profile(const struct runtime *rt, const struct oci_spec *spec, uint32_t *ret,
			   struct err *err)
{
	static const char *const words[] = {
		[SENTRY_PROFILE_CHECKED] = "checked", [SENTRY_PROFILE_DIRECT] = "direct", NULL
	};

	return word(rt, spec, STUB_PROFILE_ANNOTATION, rt->sentry.stub_profile, words, ret, err);
}
