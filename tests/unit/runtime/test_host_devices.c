/* SPDX-License-Identifier: Apache-2.0 */
/* What the host's cgroup of a virtual machine lets be opened, by config.json. */
#include "ns/rootfs_fixture.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/str.h"
#include "runtime/vm/host_devices.h"

#define MAJOR 4000 /* nobody has it: nothing here is opened */

static void make_block(const struct fixture *fx, const char *name, unsigned int minor_number)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", fx->dir, name);
	EXPECT(mknod(path, S_IFBLK | 0600, makedev(MAJOR, minor_number)) == 0);
}

/* The access that is allowed of one device; "" without a rule. */
static const char *access_of(const struct vm_devices *d, unsigned int minor_number)
{
	for (size_t i = VM_HOST_DEVICES; i < d->len; i++) {
		if (d->rules[i].type == 'b' && d->rules[i].major == MAJOR &&
		    d->rules[i].minor == minor_number)
			return d->rules[i].access;
	}
	return "";
}

static void find(struct fixture *fx, const char *members, struct vm_devices *ret)
{
	char rootfs[128];

	(void)snprintf(rootfs, sizeof(rootfs), "%s/image", fx->dir);
	for (unsigned int i = 1; i <= 4; i++)
		make_block(fx, (const char[]){ 'd', (char)('0' + i), '\0' }, i);
	make_block(fx, "image", 9);
	given(fx, members);
	vm_devices_find(fx->spec, fx->dir, rootfs, ret);
}

static void what_is_mounted_read_only_is_not_written_body(struct fixture *fx)
{
	struct vm_devices d;

	find(fx,
	     "\"mounts\":["
	     "{\"destination\":\"/1\",\"source\":\"d1\",\"options\":[\"bind\",\"ro\"]},"
	     "{\"destination\":\"/2\",\"source\":\"d2\",\"options\":[\"bind\"]},"
	     "{\"destination\":\"/3\",\"source\":\"d3\",\"type\":\"erofs\"},"
	     "{\"destination\":\"/4\",\"source\":\"d4\",\"type\":\"ext4\",\"options\":[\"ro\"]},"
	     "{\"destination\":\"/5\",\"source\":\"missing\",\"options\":[\"bind\"]}]",
	     &d);
	EXPECT(str_eq(access_of(&d, 1), "r"));
	EXPECT(str_eq(access_of(&d, 2), "rw"));
	EXPECT(str_eq(access_of(&d, 3), "r"));
	EXPECT(str_eq(access_of(&d, 4), "r"));
	EXPECT(str_eq(access_of(&d, 9), "r"));
	EXPECT(d.len == VM_HOST_DEVICES + 5);
}

static void what_is_mounted_read_only_is_not_written(void **state)
{
	(void)state;
	in_child(what_is_mounted_read_only_is_not_written_body);
}

static void one_device_has_what_all_its_uses_need_body(struct fixture *fx)
{
	struct vm_devices d;

	find(fx,
	     "\"mounts\":["
	     "{\"destination\":\"/1\",\"source\":\"d1\",\"options\":[\"bind\",\"ro\"]},"
	     "{\"destination\":\"/2\",\"source\":\"d1\",\"options\":[\"bind\"]},"
	     "{\"destination\":\"/3\",\"source\":\"d2\",\"options\":[\"bind\",\"ro\"]}],"
	     "\"linux\":{\"devices\":["
	     "{\"type\":\"b\",\"path\":\"/dev/a\",\"major\":4000,\"minor\":2},"
	     "{\"type\":\"c\",\"path\":\"/dev/b\",\"major\":4000,\"minor\":3}]}",
	     &d);
	EXPECT(str_eq(access_of(&d, 1), "rw"));
	EXPECT(str_eq(access_of(&d, 2), "rwm"));
	EXPECT(str_eq(access_of(&d, 3), ""));
}

static void one_device_has_what_all_its_uses_need(void **state)
{
	(void)state;
	in_child(one_device_has_what_all_its_uses_need_body);
}

static void what_the_containers_rules_forbid_is_not_allowed_body(struct fixture *fx)
{
	struct vm_devices d;

	find(fx,
	     "\"mounts\":["
	     "{\"destination\":\"/1\",\"source\":\"d1\",\"options\":[\"bind\"]},"
	     "{\"destination\":\"/4\",\"source\":\"d4\",\"options\":[\"bind\",\"ro\"]}],"
	     "\"linux\":{\"devices\":["
	     "{\"type\":\"b\",\"path\":\"/dev/a\",\"major\":4000,\"minor\":2},"
	     "{\"type\":\"b\",\"path\":\"/dev/b\",\"major\":4000,\"minor\":3}],"
	     "\"resources\":{\"devices\":[{\"allow\":false,\"access\":\"rwm\"},"
	     "{\"allow\":true,\"type\":\"b\",\"major\":4000,\"minor\":1,\"access\":\"r\"},"
	     "{\"allow\":true,\"type\":\"b\",\"major\":4000,\"minor\":2,\"access\":\"r\"},"
	     "{\"allow\":true,\"type\":\"b\",\"major\":4000,\"minor\":4,\"access\":\"r\"}]}}",
	     &d);
	/* To be written, which is not allowed: its mount is refused. */
	EXPECT(str_eq(access_of(&d, 1), ""));
	EXPECT(str_eq(access_of(&d, 2), "rm"));
	EXPECT(str_eq(access_of(&d, 3), ""));
	EXPECT(str_eq(access_of(&d, 4), "r"));
	EXPECT(str_eq(access_of(&d, 9), ""));
}

static void what_the_containers_rules_forbid_is_not_allowed(void **state)
{
	(void)state;
	in_child(what_the_containers_rules_forbid_is_not_allowed_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_mounted_read_only_is_not_written),
		cmocka_unit_test(one_device_has_what_all_its_uses_need),
		cmocka_unit_test(what_the_containers_rules_forbid_is_not_allowed),
	};

	return cmocka_run_group_tests_name("runtime/host_devices", tests, NULL, NULL);
}
