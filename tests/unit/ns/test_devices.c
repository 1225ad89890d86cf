/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes and links of /dev. */
#include "rootfs_fixture.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>

#define DEV "\"mounts\":[{\"destination\":\"/dev\",\"type\":\"tmpfs\"}]"

static bool is_node(const char *path, mode_t mode, unsigned int major, unsigned int minor)
{
	struct stat st;

	return lstat(path, &st) == 0 && st.st_mode == mode && st.st_rdev == makedev(major, minor);
}

static bool leads_to(const char *link, const char *text)
{
	char got[64] = "";

	return readlink(link, got, sizeof(got) - 1) > 0 && strcmp(got, text) == 0;
}

static void expect_refused(struct fixture *fx, const char *members, int code, const char *words)
{
	given(fx, members);
	EXPECT_ERROR(fx, rootfs_prepare(&fx->rootfs, &fx->err), code, words);
	rootfs_done(&fx->rootfs);
}

static void errors_body(struct fixture *fx)
{
	make_dir(fx, "rootfs/x");
	make_file(fx, "rootfs/x/node", "");
	expect_refused(fx,
		       "\"linux\":{\"devices\":[{\"path\":\"/x/node\",\"type\":\"c\",\"major\":1,"
		       "\"minor\":3}]}",
		       -EEXIST, "device /x/node: File exists");
	expect_refused(fx,
		       "\"linux\":{\"devices\":[{\"path\":\"/x/..\",\"type\":\"c\",\"major\":1,"
		       "\"minor\":3}]}",
		       -EINVAL, "device /x/..");
	expect_refused(fx,
		       DEV ",\"linux\":{\"devices\":[{\"path\":\"/dev/..\",\"type\":\"c\","
			   "\"major\":1,\"minor\":3}]}",
		       -EINVAL, "device /dev/..");
	expect_refused(fx,
		       "\"linux\":{\"devices\":[{\"path\":\"/x/node/below\",\"type\":\"c\","
		       "\"major\":1,\"minor\":3}]}",
		       -ENOTDIR, "device /x/node/below");
}

static void errors_name_the_device(void **state)
{
	(void)state;
	in_child(errors_body);
}

static void default_body(struct fixture *fx)
{
	given(fx, DEV);
	enter(fx);
	EXPECT(is_node("/dev/null", S_IFCHR | 0666, 1, 3));
	EXPECT(is_node("/dev/zero", S_IFCHR | 0666, 1, 5));
	EXPECT(is_node("/dev/full", S_IFCHR | 0666, 1, 7));
	EXPECT(is_node("/dev/random", S_IFCHR | 0666, 1, 8));
	EXPECT(is_node("/dev/urandom", S_IFCHR | 0666, 1, 9));
	EXPECT(is_node("/dev/tty", S_IFCHR | 0666, 5, 0));
	EXPECT(leads_to("/dev/fd", "/proc/self/fd") && leads_to("/dev/stdin", "/proc/self/fd/0"));
	EXPECT(leads_to("/dev/stdout", "/proc/self/fd/1"));
	EXPECT(leads_to("/dev/stderr", "/proc/self/fd/2") && leads_to("/dev/ptmx", "pts/ptmx"));
}

static void the_default_devices_and_links_are_made(void **state)
{
	(void)state;
	in_child(default_body);
}

/* Goal: modes do not depend on the caller's mask, and the mask comes back. */
static void given_body(struct fixture *fx)
{
	struct stat st;

	(void)umask(077);
	given(fx, DEV
	      ",\"linux\":{\"devices\":["
	      "{\"path\":\"/dev/fuse\",\"type\":\"c\",\"major\":10,\"minor\":229,\"fileMode\":432,"
	      "\"uid\":7,\"gid\":8},"
	      "{\"path\":\"/dev/deep/er/loop\",\"type\":\"b\",\"major\":7,\"minor\":1},"
	      "{\"path\":\"/dev/pipe\",\"type\":\"p\",\"fileMode\":384},"
	      "{\"path\":\"/dev/null\",\"type\":\"c\",\"major\":1,\"minor\":3,\"fileMode\":438,"
	      "\"uid\":9},"
	      "{\"path\":\"/opt/node\",\"type\":\"u\",\"major\":1,\"minor\":5}]}");
	enter(fx);
	EXPECT(is_node("/dev/fuse", S_IFCHR | 0660, 10, 229));
	EXPECT(stat("/dev/fuse", &st) == 0 && st.st_uid == 7 && st.st_gid == 8);
	EXPECT(is_node("/dev/deep/er/loop", S_IFBLK | 0666, 7, 1));
	EXPECT(stat("/dev/deep", &st) == 0 && (st.st_mode & 07777) == 0755);
	EXPECT(lstat("/dev/pipe", &st) == 0 && st.st_mode == (S_IFIFO | 0600));
	EXPECT(stat("/dev/null", &st) == 0 && st.st_uid == 9);
	EXPECT(is_node("/opt/node", S_IFCHR | 0666, 1, 5));
	EXPECT(umask(0) == 077);
}

static void given_devices_have_their_modes_and_owners(void **state)
{
	(void)state;
	in_child(given_body);
}

static void existing_body(struct fixture *fx)
{
	char path[128];

	make_dir(fx, "rootfs/dev");
	(void)snprintf(path, sizeof(path), "%s/dev/null", fx->root);
	EXPECT(mknod(path, S_IFCHR | 0600, makedev(1, 3)) == 0);
	make_link(fx, "elsewhere", "rootfs/dev/fd");
	make_file(fx, "rootfs/dev/ptmx", "");
	given(fx, "");
	enter(fx);
	EXPECT(is_node("/dev/null", S_IFCHR | 0600, 1, 3) &&
	       is_node("/dev/zero", S_IFCHR | 0666, 1, 5));
	EXPECT(leads_to("/dev/fd", "elsewhere") && leads_to("/dev/ptmx", "pts/ptmx"));
}

static void the_right_node_and_old_links_may_be_there_already(void **state)
{
	(void)state;
	in_child(existing_body);
}

/* Goal: an image's link in the place of a node is not followed, neither in nor out of the image. */
static void link_body(struct fixture *fx)
{
	make_dir(fx, "rootfs/dev");
	make_link(fx, "/etc/shadow", "rootfs/dev/null");
	expect_refused(fx, "", -EEXIST, "device /dev/null: File exists");
	EXPECT(is_node("/dev/null", S_IFCHR | 0666, 1, 3)); /* the host's */
}

static void a_link_in_the_place_of_a_node_is_refused(void **state)
{
	(void)state;
	in_child(link_body);
}

static void bound_body(struct fixture *fx)
{
	make_dir(fx, "host/dev");
	given_mounts(fx,
		     "{\"destination\":\"/dev/\",\"source\":\"host/dev\",\"options\":[\"rbind\"]}");
	enter(fx);
	EXPECT(is_mount("/dev") && !exists("/dev/null") && !exists("/dev/fd"));
}

static void a_bound_dev_is_left_alone(void **state)
{
	(void)state;
	in_child(bound_body);
}

/* What a user namespace does: the host's nodes are bound, and only if they are what was asked for.
 */
static void userns_body(struct fixture *fx)
{
	char path[128];

	given(fx,
	      DEV ",\"linux\":{\"devices\":[{\"path\":\"/dev/sub/zero\",\"type\":\"c\",\"major\":1,"
		  "\"minor\":5}]}");
	fx->rootfs.new_userns = true;
	EXPECT_ERROR(fx, rootfs_prepare(&fx->rootfs, &fx->err), -ENOENT, "device /dev/sub/zero");
	rootfs_done(&fx->rootfs);
	given(fx, DEV ",\"linux\":{\"devices\":[{\"path\":\"/dev/zero\",\"type\":\"c\",\"major\":1,"
		      "\"minor\":3}]}");
	fx->rootfs.new_userns = true;
	EXPECT_ERROR(fx, rootfs_prepare(&fx->rootfs, &fx->err), -ENODEV, "device /dev/zero");
	rootfs_done(&fx->rootfs);
	given(fx, DEV);
	fx->rootfs.new_userns = true;
	EXPECT_OK(fx, rootfs_prepare(&fx->rootfs, &fx->err));
	(void)snprintf(path, sizeof(path), "%s/dev/null", fx->root);
	EXPECT(is_mount(path) && is_node(path, S_IFCHR | 0666, 1, 3));
	rootfs_done(&fx->rootfs);
}

static void a_user_namespace_gets_the_nodes_of_the_host(void **state)
{
	(void)state;
	in_child(userns_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_name_the_device),
		cmocka_unit_test(a_link_in_the_place_of_a_node_is_refused),
		cmocka_unit_test(the_default_devices_and_links_are_made),
		cmocka_unit_test(given_devices_have_their_modes_and_owners),
		cmocka_unit_test(the_right_node_and_old_links_may_be_there_already),
		cmocka_unit_test(a_bound_dev_is_left_alone),
		cmocka_unit_test(a_user_namespace_gets_the_nodes_of_the_host),
	};

	return cmocka_run_group_tests_name("ns/devices", tests, NULL, NULL);
}
