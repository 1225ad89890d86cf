/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tmpfs that keeps its data in nameless files of a directory of the host, as --overlay=root:self
 * has them.
 */
#include "unit/sentry/vfs/world.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sentry/mem/memfile.h"
#include "sentry/vfs/mount.h"

struct disk {
	struct tmpfs_store store;
	unsigned int files;
	int error; /* of the next file */
	int last;  /* a second descriptor of the youngest file */
};

static struct disk disk;

static int disk_file(struct tmpfs_store *store, int *ret_fd)
{
	struct disk *d = container_of(store, struct disk, store);

	if (d->error)
		return d->error;
	*ret_fd = memfd_create("disk", MFD_CLOEXEC);
	assert_true(*ret_fd >= 0);
	if (d->last >= 0)
		(void)close(d->last);
	d->last = dup(*ret_fd);
	d->files++;
	return 0;
}

static int disk_statfs(struct tmpfs_store *store, struct statfs *ret)
{
	(void)store;
	ret->f_blocks = 4711;
	return 0;
}

static void attach(void *arg)
{
	const struct tmpfs_options options = { .store = &disk.store };
	struct superblock *sb;
	struct path at;

	(void)arg;
	assert_int_equal(w_mkdir("d"), 0);
	assert_int_equal(tmpfs_new(&options, &sb), 0);
	assert_int_equal(path_walk(&world.as_root, NULL, "d", 0, &at), 0);
	assert_int_equal(vfs_attach(world.ns, sb, &at, 0, "none"), 0);
	path_unref(&at);
	superblock_unref(sb);
}

static int setup(void **state)
{
	disk = (struct disk){ .store = { .file = disk_file, .statfs = disk_statfs }, .last = -1 };
	if (world_setup(state) < 0)
		return -1;
	in_fiber(attach, NULL);
	return 0;
}

static int teardown(void **state)
{
	if (disk.last >= 0)
		(void)close(disk.last);
	return world_teardown(state);
}

static void do_refused(void *arg)
{
	static char bytes[TMPFS_STORED_MIN + 1];
	static char many[TMPFS_SMALL_MAX + 1];
	struct stat st;
	struct file *f;

	(void)arg;
	assert_int_equal(w_open("d/f", O_RDWR | O_CREAT, &f), 0);
	disk.error = -EIO;
	assert_int_equal(f_write(f, bytes, sizeof(bytes)), -EIO);
	disk.error = -ENOSPC;
	assert_int_equal(f_write(f, bytes, sizeof(bytes)), -ENOSPC);
	/* Without descriptors what is not large stays in memory. */
	disk.error = -ENFILE;
	assert_int_equal(f_write(f, bytes, sizeof(bytes)), sizeof(bytes));
	assert_int_equal(f_write(f, many, sizeof(many)), -ENFILE);
	assert_int_equal(w_stat("d/f", &st), 0);
	assert_int_equal(st.st_size, sizeof(bytes));
	disk.error = 0;
	assert_int_equal(f_write(f, "x", 1), 1);
	assert_int_equal(disk.files, 1);
	file_unref(f);
}

static void a_disk_that_refuses_is_an_error_of_the_write(void **state)
{
	(void)state;
	in_fiber(do_refused, NULL);
}

static void do_data(void *arg)
{
	static char big[300000], back[sizeof(big)];
	struct file *f;
	struct stat st;

	(void)arg;
	assert_int_equal(w_write("d/small", "text"), 4);
	assert_int_equal(disk.files, 0);
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 13);
	assert_int_equal(w_open("d/big", O_RDWR | O_CREAT, &f), 0);
	assert_int_equal(f_write(f, big, sizeof(big)), sizeof(big));
	assert_int_equal(disk.files, 1);
	assert_int_equal(fstat(disk.last, &st), 0);
	assert_int_equal(st.st_size, sizeof(big));
	assert_int_equal(st.st_nlink, 0);
	assert_int_equal(file_seek(f, 0, SEEK_SET), 0);
	assert_int_equal(f_read(f, back, sizeof(back)), sizeof(back));
	assert_memory_equal(big, back, sizeof(big));
	assert_int_equal(f_read(f, back, 1), 0);
	file_unref(f);
	assert_int_equal(w_unlink("d/big"), 0);
}

static void data_beyond_a_page_lies_in_nameless_files(void **state)
{
	(void)state;
	in_fiber(do_data, NULL);
}

static void half_of_the_descriptors_may_be_files_of_a_disk(void **state)
{
	struct memfile *files[40];
	struct rlimit limit;
	size_t len = 0;
	int r = 0;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	while (r == 0 && len < 40) {
		r = memfile_adopt(memfd_create("disk", MFD_CLOEXEC), 10, &files[len]);
		len += r == 0;
	}
	assert_int_equal(r, limit.rlim_cur / 2 < 40 ? -ENFILE : 0);
	assert_true(len == 40 || len == limit.rlim_cur / 2);
	while (len > 0)
		memfile_unref(files[--len]);
}

int main(void)
{
	const struct rlimit few = { 64, 64 };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(half_of_the_descriptors_may_be_files_of_a_disk),
		cmocka_unit_test_setup_teardown(a_disk_that_refuses_is_an_error_of_the_write, setup,
						teardown),
		cmocka_unit_test_setup_teardown(data_beyond_a_page_lies_in_nameless_files, setup,
						teardown),
	};

	(void)setrlimit(RLIMIT_NOFILE, &few);
	memfile_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
