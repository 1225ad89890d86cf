/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fibers that change the same few names at once, over a tmpfs whose every operation parks first, as
 * those of the gofer do. What counts is what is left: link counts, listings and look-ups agree.
 */
#include <stdio.h>
#include <sys/mount.h>

#include "unit/sentry/vfs/world.h"

#include "sentry/core/kloop.h"
#include "sentry/fs/tmpfs/node.h"
#include "sentry/vfs/mount.h"

#define FIBERS 6
#define STEPS  1500

static struct inode_ops slow_dir, slow_file, slow_link, slow_special;
static unsigned int running;
static uint64_t seed;

static unsigned int rnd(unsigned int n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned int)(seed >> 33) % n;
}

static void park(void)
{
	for (unsigned int n = rnd(3); n > 0; n--)
		fiber_yield();
}

static void slow_down(struct inode *inode)
{
	inode->ops = S_ISDIR(inode->mode)   ? &slow_dir
		     : S_ISREG(inode->mode) ? &slow_file
		     : S_ISLNK(inode->mode) ? &slow_link
					    : &slow_special;
}

static int lookup(struct inode *dir, const struct vfs_name *name, struct inode **ret)
{
	int r;

	park();
	r = tmpfs_dir_ops.lookup(dir, name, ret);
	park();
	return r;
}

static int made(int r, struct inode **ret)
{
	if (r == 0)
		slow_down(*ret);
	park();
	return r;
}

static int do_mknod(struct inode *dir, const struct vfs_name *name, uint32_t mode, uint64_t rdev,
		    const struct cred *cred, struct inode **ret)
{
	park();
	return made(tmpfs_dir_ops.mknod(dir, name, mode, rdev, cred, ret), ret);
}

static int do_mkdir(struct inode *dir, const struct vfs_name *name, uint32_t mode,
		    const struct cred *cred, struct inode **ret)
{
	park();
	return made(tmpfs_dir_ops.mkdir(dir, name, mode, cred, ret), ret);
}

static int do_symlink(struct inode *dir, const struct vfs_name *name, const char *target,
		      const struct cred *cred, struct inode **ret)
{
	park();
	return made(tmpfs_dir_ops.symlink(dir, name, target, cred, ret), ret);
}

static int do_link(struct inode *dir, const struct vfs_name *name, struct inode *target)
{
	park();
	return tmpfs_dir_ops.link(dir, name, target);
}

static int do_unlink(struct inode *dir, const struct vfs_name *name, struct inode *victim)
{
	park();
	return tmpfs_dir_ops.unlink(dir, name, victim);
}

static int do_rmdir(struct inode *dir, const struct vfs_name *name, struct inode *victim)
{
	park();
	return tmpfs_dir_ops.rmdir(dir, name, victim);
}

static int do_rename(struct inode *old_dir, const struct vfs_name *old_name, struct inode *moved,
		     struct inode *new_dir, const struct vfs_name *new_name, struct inode *replaced,
		     uint32_t flags)
{
	park();
	return tmpfs_dir_ops.rename(old_dir, old_name, moved, new_dir, new_name, replaced, flags);
}

static int do_getattr(struct inode *inode)
{
	park();
	return tmpfs_getattr(inode);
}

static void do_evict(struct inode *inode)
{
	if (fiber_self())
		park();
	tmpfs_evict(inode);
}

static void common(struct inode_ops *ops, const struct inode_ops *from)
{
	*ops = *from;
	ops->getattr = do_getattr;
	ops->evict = do_evict;
}

static void make_slow(void)
{
	common(&slow_dir, &tmpfs_dir_ops);
	common(&slow_file, &tmpfs_file_inode_ops);
	common(&slow_link, &tmpfs_symlink_ops);
	common(&slow_special, &tmpfs_special_ops);
	slow_dir.lookup = lookup;
	slow_dir.mknod = do_mknod;
	slow_dir.mkdir = do_mkdir;
	slow_dir.symlink = do_symlink;
	slow_dir.link = do_link;
	slow_dir.unlink = do_unlink;
	slow_dir.rmdir = do_rmdir;
	slow_dir.rename = do_rename;
	slow_down(world.root.dentry->inode);
}

static void random_path(char *buf, size_t len)
{
	size_t n = 0;

	for (unsigned int depth = 1 + rnd(3); depth > 0; depth--)
		n += (size_t)snprintf(buf + n, len - n, "/%c", 'a' + (char)rnd(3));
}

static void use_file(const char *name)
{
	struct file *f;
	char buf[16];

	if (vfs_open(&world.as_root, NULL, name, rnd(2) ? O_RDWR | O_CREAT : O_RDWR, 0644, 0, &f) <
	    0)
		return;
	park();
	(void)f_write(f, name, strlen(name));
	(void)file_seek(f, 0, SEEK_SET);
	(void)f_read(f, buf, sizeof(buf));
	file_unref(f);
}

static void one_step(void)
{
	const struct vfs_ctx *ctx = &world.as_root;
	char a[32], b[32];
	struct path p;

	random_path(a, sizeof(a));
	random_path(b, sizeof(b));
	switch (rnd(9)) {
	case 0:
		(void)vfs_mkdir(ctx, NULL, a, 0755);
		break;
	case 1:
		(void)vfs_unlink(ctx, NULL, a, true);
		break;
	case 2:
		(void)vfs_unlink(ctx, NULL, a, false);
		break;
	case 3:
	case 4:
		(void)vfs_rename(ctx, NULL, a, NULL, b, rnd(4) == 0 ? 2 /* EXCHANGE */ : 0);
		break;
	case 5:
		if (path_walk(ctx, NULL, a, 0, &p) == 0) {
			park();
			(void)vfs_link(ctx, &p, NULL, b);
			path_unref(&p);
		}
		break;
	case 6:
		(void)vfs_symlink(ctx, NULL, a, b);
		break;
	case 7:
		if (path_walk(ctx, NULL, a, WALK_FOLLOW, &p) == 0) {
			struct stat st;

			(void)vfs_stat(&p, &st);
			path_unref(&p);
		}
		break;
	default:
		use_file(a);
		break;
	}
}

static void racer(void *arg)
{
	for (int i = 0; i < STEPS; i++) {
		one_step();
		fiber_yield();
	}
	if (--running == 0)
		kloop_stop(0);
}

/* Names that lead to an inode, below dir. */
static unsigned int count_names(const struct tmpfs_inode *dir, const struct inode *inode)
{
	unsigned int n = 0;

	for (struct rb_node *i = rb_first(&dir->names); i; i = rb_next(i)) {
		const struct tmpfs_entry *e = rb_entry(i, struct tmpfs_entry, by_name);

		n += e->inode == inode;
		if (S_ISDIR(e->inode->mode))
			n += count_names(tmpfs_inode(e->inode), inode);
	}
	return n;
}

static void check_directory(struct tmpfs_inode *dir, const struct path *at)
{
	unsigned int subdirs = 0;

	for (struct rb_node *i = rb_first(&dir->names); i; i = rb_next(i)) {
		struct tmpfs_entry *e = rb_entry(i, struct tmpfs_entry, by_name);
		char name[VFS_NAME_MAX + 1] = { 0 };
		struct path p;

		memcpy(name, e->name, e->len);
		assert_int_equal(path_walk(&world.as_root, at, name, 0, &p), 0);
		assert_ptr_equal(p.dentry->inode, e->inode);
		assert_false(p.dentry->unhashed);
		if (S_ISDIR(e->inode->mode)) {
			subdirs++;
			check_directory(tmpfs_inode(e->inode), &p);
		} else {
			assert_int_equal(
				e->inode->nlink,
				count_names(tmpfs_inode(world.root.dentry->inode), e->inode));
		}
		path_unref(&p);
	}
	assert_int_equal(dir->inode.nlink, 2 + subdirs);
}

static void names_and_inodes_agree_after_a_race(void **state)
{
	make_slow();
	for (uint64_t round = 1; round <= 12; round++) {
		seed = round;
		running = FIBERS;
		for (int i = 0; i < FIBERS; i++)
			assert_int_equal(fiber_spawn("racer", racer, NULL, NULL), 0);
		(void)kloop_run();
	}
	check_directory(tmpfs_inode(world.root.dentry->inode), &world.root);
}

static int bound, left;

static void bind_there(void *arg)
{
	bound = vfs_mount(&world.as_root, world.ns, "/source", "/place", NULL, MS_BIND, NULL);
	if (--running == 0)
		kloop_stop(0);
}

static void leave(void *arg)
{
	fiber_yield();
	left = vfs_umount(&world.as_root, world.ns, "/place", MNT_DETACH);
	if (--running == 0)
		kloop_stop(0);
}

static void bind_while_the_place_leaves(void)
{
	assert_int_equal(vfs_mount(&world.as_root, world.ns, "none", "/place", "tmpfs", 0, NULL),
			 0);
	/* The source is looked up afresh, which takes its time. */
	(void)dentry_prune(world.root.dentry->sb, 100);
	running = 2;
	assert_int_equal(fiber_spawn("bind", bind_there, NULL, NULL), 0);
	assert_int_equal(fiber_spawn("leave", leave, NULL, NULL), 0);
	(void)kloop_run();
	assert_int_equal(left, 0);
	if (bound < 0)
		assert_int_equal(bound, -EINVAL);
	else
		assert_int_equal(vfs_umount(&world.as_root, world.ns, "/place", 0), 0);
	assert_int_equal(world.ns->count, 1);
}

static void binds(void *arg)
{
	assert_int_equal(w_mkdir("source"), 0);
	assert_int_equal(w_mkdir("place"), 0);
}

static void nothing_is_mounted_on_a_mount_that_left(void **state)
{
	seed = 1;
	make_slow();
	in_fiber(binds, NULL);
	for (int i = 0; i < 20; i++)
		bind_while_the_place_leaves();
}

static struct superblock_ops asks;

/* As shared trees: what is missing is asked for each time. */
static int still_right(struct dentry *d)
{
	return d->inode != NULL;
}

static void make_new(void *arg)
{
	struct file *f;

	assert_int_equal(w_open("/new", O_CREAT | O_RDWR, &f), 0);
	assert_false(f->path.dentry->unhashed);
	file_unref(f);
	if (--running == 0)
		kloop_stop(0);
}

static void look_for_it(void *arg)
{
	struct path p;

	fiber_yield();
	if (path_walk(&world.as_root, NULL, "/new", 0, &p) == 0)
		path_unref(&p);
	if (--running == 0)
		kloop_stop(0);
}

static void remove_it(void *arg)
{
	assert_int_equal(w_unlink("/new"), 0);
}

static void a_new_file_has_its_name_whoever_looks_for_it(void **state)
{
	struct superblock *sb = world.root.dentry->sb;
	const struct superblock_ops *before = sb->ops;

	seed = 1;
	make_slow();
	asks = *before;
	asks.revalidate = still_right;
	sb->ops = &asks;
	for (int i = 0; i < 20; i++) {
		running = 2;
		assert_int_equal(fiber_spawn("make", make_new, NULL, NULL), 0);
		assert_int_equal(fiber_spawn("look", look_for_it, NULL, NULL), 0);
		(void)kloop_run();
		in_fiber(remove_it, NULL);
	}
	sb->ops = before;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_new_file_has_its_name_whoever_looks_for_it,
						world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(nothing_is_mounted_on_a_mount_that_left,
						world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(names_and_inodes_agree_after_a_race, world_setup,
						world_teardown),
	};

	return cmocka_run_group_tests_name("sentry/vfs/races", tests, NULL, NULL);
}
