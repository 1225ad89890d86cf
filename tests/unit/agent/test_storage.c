/* SPDX-License-Identifier: Apache-2.0 */
/* Storages that several containers have, in a mount namespace with a /run of its own. */
#include "ns/rootfs_fixture.h"

#include <sys/mount.h>

#include "agent/storage.h"

#define TREE "/run/caisson/share/v1"

static const struct agent_storage shared = { .source = "files",
					     .target = TREE,
					     .type = AGENT_STORAGE_TREE,
					     .options = "",
					     .flags = AGENT_STORAGE_SHARED };

/* As the share's: a tree, and what is mounted in it. */
static void make_tree(void)
{
	EXPECT(mount("tmpfs", "/run", "tmpfs", 0, NULL) == 0);
	EXPECT(mkdir("/run/caisson", 0755) == 0 && mkdir("/run/caisson/share", 0755) == 0);
	EXPECT(mkdir(TREE, 0755) == 0 && mount("tmpfs", TREE, "tmpfs", 0, NULL) == 0);
	EXPECT(mkdir(TREE "/files", 0755) == 0);
	EXPECT(mount("tmpfs", TREE "/files", "tmpfs", 0, NULL) == 0);
}

static void shared_body(struct fixture *fx)
{
	struct storage_list first = { .number = 1 }, second = { .number = 2 };
	/* What DELETE has of a CREATE that came to nothing. */
	struct storage_list never = { .number = 3 };

	make_tree();
	EXPECT(storage_is_listed(&shared) && storage_remember(&never, &shared) == 0);
	EXPECT_OK(fx, storage_mount_all(&shared, 1, &first, &fx->err));
	EXPECT_OK(fx, storage_mount_all(&shared, 1, &second, &fx->err));
	EXPECT_OK(fx, storage_unmount_all(&first, &fx->err));
	EXPECT_OK(fx, storage_unmount_all(&never, &fx->err));
	EXPECT(is_mount(TREE) && is_mount(TREE "/files"));
	EXPECT_OK(fx, storage_unmount_all(&second, &fx->err));
	EXPECT(!is_mount(TREE) && !exists("/run/caisson/volumes/share/v1"));
	EXPECT(storage_remember(&never, &shared) == 0);
	EXPECT_OK(fx, storage_unmount_all(&never, &fx->err));
}

static void a_shared_tree_goes_with_its_last_container(void **state)
{
	(void)state;
	in_child(shared_body);
}

static void failed_body(struct fixture *fx)
{
	struct storage_list list = { .number = 1 };

	make_tree();
	EXPECT(umount(TREE "/files") == 0);
	EXPECT_ERROR(fx, storage_mount_all(&shared, 1, &list, &fx->err), -ENOTDIR,
		     TREE ": nothing is mounted there");
	/* The reference is there, and goes. */
	EXPECT(list.len == 1 && exists("/run/caisson/volumes/share/v1/1"));
	EXPECT_OK(fx, storage_unmount_all(&list, &fx->err));
	EXPECT(!is_mount(TREE) && !exists("/run/caisson/volumes/share/v1"));
}

static void one_that_is_not_there_is_named_and_nothing_stays(void **state)
{
	(void)state;
	in_child(failed_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_shared_tree_goes_with_its_last_container),
		cmocka_unit_test(one_that_is_not_there_is_named_and_nothing_stays),
	};

	return cmocka_run_group_tests_name("agent/storage", tests, NULL, NULL);
}
