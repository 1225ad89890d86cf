/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/sentry/vfs/world.h"

#include "sentry/core/hostwork.h"
#include "sentry/core/kloop.h"

struct world world;

int world_setup(void **state)
{
	static bool once;
	struct tmpfs_options options = { .mode = 0755 };
	struct superblock *sb;

	(void)state;
	if (!once) {
		tmpfs_register();
		assert_int_equal(kloop_init(), 0);
	}
	once = true;
	assert_int_equal(tmpfs_new(&options, &sb), 0);
	assert_int_equal(mount_ns_new(sb, MOUNT_RELATIME, "none", &world.ns), 0);
	superblock_unref(sb);
	world.root = (struct path){ .mnt = world.ns->root, .dentry = world.ns->root->root };
	(void)path_ref(&world.root);
	world.cwd = path_ref(&world.root);
	world.root_cred = cred_new_root();
	world.user_cred = cred_copy(world.root_cred);
	world.user_cred->uid = world.user_cred->euid = world.user_cred->fsuid = 1000;
	world.user_cred->gid = world.user_cred->egid = world.user_cred->fsgid = 1000;
	world.user_cred->cap_effective = world.user_cred->cap_permitted = 0;
	world.as_root = (struct vfs_ctx){ .cred = world.root_cred,
					  .root = &world.root,
					  .cwd = &world.cwd,
					  .umask = 022,
					  .fsize_limit = UINT64_MAX };
	world.as_user = world.as_root;
	world.as_user.cred = world.user_cred;
	return 0;
}

int world_teardown(void **state)
{
	(void)state;
	path_unref(&world.cwd);
	path_unref(&world.root);
	mount_ns_unref(world.ns);
	cred_unref(world.user_cred);
	cred_unref(world.root_cred);
	return 0;
}

struct job {
	void (*fn)(void *arg);
	void *arg;
};

static void run_job(void *arg)
{
	const struct job *job = arg;

	job->fn(job->arg);
	kloop_stop(0);
}

void in_fiber(void (*fn)(void *arg), void *arg)
{
	struct job job = { .fn = fn, .arg = arg };

	assert_int_equal(fiber_spawn("test", run_job, &job, NULL), 0);
	(void)kloop_run();
}

int w_mkdir(const char *name)
{
	return vfs_mkdir(&world.as_root, NULL, name, 0777);
}

int w_open(const char *name, uint32_t flags, struct file **ret)
{
	return vfs_open(&world.as_root, NULL, name, flags, 0666, 0, ret);
}

ssize_t f_read(struct file *f, void *dst, size_t len)
{
	struct iovec single;
	struct uio u;

	uio_init(&u, NULL, &single, (uintptr_t)dst, len);
	return file_read(f, &u, NULL);
}

ssize_t f_write(struct file *f, const void *src, size_t len)
{
	struct iovec single;
	struct uio u;

	uio_init(&u, NULL, &single, (uintptr_t)src, len);
	return file_write(f, &u, NULL, UINT64_MAX);
}

int w_write(const char *name, const char *text)
{
	struct file *f;
	int r = w_open(name, O_WRONLY | O_CREAT | O_TRUNC, &f);

	if (r < 0)
		return r;
	r = (int)f_write(f, text, strlen(text));
	file_unref(f);
	return r;
}

int w_unlink(const char *name)
{
	return vfs_unlink(&world.as_root, NULL, name, false);
}

int w_stat(const char *name, struct stat *ret)
{
	struct path p;
	int r = path_walk(&world.as_root, NULL, name, 0, &p);

	if (r < 0)
		return r;
	r = vfs_stat(&p, ret);
	path_unref(&p);
	return r;
}
