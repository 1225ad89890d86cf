/* SPDX-License-Identifier: Apache-2.0 */
/* proc, sysfs, cgroup, devtmpfs, devpts and donated descriptors through the VFS, without a task. */
#include <dirent.h>
#include <stdio.h>

#include "unit/sentry/vfs/world.h"

#include "sentry/fs/cgroup/cgroup.h"
#include "sentry/fs/devpts/devpts.h"
#include "sentry/fs/devtmpfs/devtmpfs.h"
#include "sentry/fs/devtmpfs/host_file.h"
#include "sentry/fs/proc/proc.h"
#include "sentry/fs/proc/sysinfo.h"
#include "sentry/fs/sysfs/sysfs.h"
#include "sentry/task/pid.h"

static const struct sandbox_info machine = {
	.memory_limit = 256ull << 20,
	.cpus = 3,
	.cpuinfo = "vendor_id\t: Test\nfpu\t\t: yes\n",
	.cpu_quota_us = 150000,
	.cpu_period_us = 100000,
};

static void attach(struct superblock *sb, const char *name)
{
	struct path at;

	assert_int_equal(w_mkdir(name), 0);
	assert_int_equal(path_walk(&world.as_root, NULL, name, 0, &at), 0);
	assert_int_equal(vfs_attach(world.ns, sb, &at, 0, name), 0);
	path_unref(&at);
	superblock_unref(sb);
}

static int make(const char *type_name, const char *data, struct superblock **ret)
{
	const struct filesystem_type *type = filesystem_find(type_name);

	assert_non_null(type);
	return type->mount(type, type_name, data, world.root_cred, ret);
}

static void mount_type(const char *type, const char *at, const char *data)
{
	struct superblock *sb;

	assert_int_equal(make(type, data, &sb), 0);
	attach(sb, at);
}

static void mount_proc(void)
{
	struct superblock *sb;
	struct pid_ns *ns;

	assert_int_equal(pid_ns_new(NULL, &ns), 0);
	assert_int_equal(proc_mount_ns(ns, NULL, &sb), 0);
	attach(sb, "proc");
	pid_ns_unref(ns);
}

static int setup(void **state)
{
	static bool once;

	(void)world_setup(state);
	if (!once) {
		devtmpfs_register();
		devpts_register();
		sysfs_register();
		cgroup_register();
		proc_register();
	}
	once = true;
	sysinfo_set(&machine);
	return 0;
}

static const char *text_of(const char *path)
{
	static char text[65536];
	struct file *f;
	ssize_t n, done = 0;
	const int r = w_open(path, O_RDONLY, &f);

	if (r < 0)
		fail_msg("open %s: %d", path, r);
	while ((n = f_read(f, text + done, 7)) > 0)
		done += n;
	assert_true(n == 0);
	text[done] = '\0';
	file_unref(f);
	return text;
}

static void assert_has(const char *path, const char *words)
{
	const char *text = text_of(path);

	if (!strstr(text, words))
		fail_msg("%s has no \"%s\":\n%s", path, words, text);
}

static void the_machine_is_the_sandbox(void **state)
{
	mount_proc();
	assert_has("proc/meminfo", "MemTotal:         262144 kB\n");
	assert_has("proc/cpuinfo", "processor\t: 2\nvendor_id\t: Test\nphysical id\t: 0\n");
	assert_has("proc/stat", "cpu2 ");
	mount_type("sysfs", "sys", NULL);
	assert_string_equal(text_of("sys/devices/system/cpu/online"), "0-2\n");
	assert_string_equal(text_of("sys/devices/system/cpu/cpu1/topology/core_cpus"), "2\n");
	assert_string_equal(text_of("sys/class/net/lo/mtu"), "65536\n");
	mount_type("cgroup2", "cg", NULL);
	assert_string_equal(text_of("cg/memory.max"), "268435456\n");
	assert_string_equal(text_of("cg/cpu.max"), "150000 100000\n");
	mount_type("cgroup", "v1", "memory");
	assert_string_equal(text_of("v1/memory.limit_in_bytes"), "268435456\n");
}

static void names_that_are_not_there_are_enoent(void **state)
{
	struct file *f;

	mount_proc();
	mount_type("sysfs", "sys", NULL);
	mount_type("cgroup", "v1", "memory");
	assert_int_equal(w_open("proc/1", O_RDONLY, &f), -ENOENT);
	assert_int_equal(w_open("proc/01", O_RDONLY, &f), -ENOENT);
	assert_int_equal(w_open("proc/self", O_RDONLY, &f), -ENOENT);
	assert_int_equal(w_open("sys/devices/system/cpu/cpu3", O_RDONLY, &f), -ENOENT);
	assert_int_equal(w_open("sys/devices/system/cpu/cpu", O_RDONLY, &f), -ENOENT);
	assert_int_equal(w_open("v1/cpu.shares", O_RDONLY, &f), -ENOENT);
	assert_int_equal(w_open("proc/new", O_RDWR | O_CREAT, &f), -EACCES);
	assert_int_equal(w_unlink("proc/meminfo"), -EPERM);
	assert_int_equal(w_mkdir("proc/dir"), -EPERM);
}

static void numbers_are_judged_when_written(void **state)
{
	struct file *f;

	mount_proc();
	assert_int_equal(w_open("proc/sys/vm/swappiness", O_RDWR | O_TRUNC, &f), 0);
	assert_int_equal(f_write(f, "201\n", 4), -EINVAL);
	assert_int_equal(f_write(f, "x", 1), -EINVAL);
	assert_int_equal(f_write(f, "", 0), 0);
	assert_int_equal(f_write(f, " 10 \n", 5), 5);
	file_unref(f);
	assert_string_equal(text_of("proc/sys/vm/swappiness"), "10\n");
	assert_int_equal(
		vfs_open(&world.as_user, NULL, "proc/sys/vm/swappiness", O_WRONLY, 0, 0, &f),
		-EACCES);
}

struct names {
	struct dir_sink sink;
	unsigned int count, room;
	char last[64];
};

static bool collect(struct dir_sink *sink, const char *name, size_t len, uint64_t ino,
		    unsigned int type, uint64_t next_pos)
{
	struct names *n = container_of(sink, struct names, sink);

	if (n->room == 0)
		return false;
	n->room--;
	n->count++;
	(void)snprintf(n->last, sizeof(n->last), "%.*s", (int)len, name);
	return true;
}

static void a_directory_is_read_in_pieces(void **state)
{
	struct names all = { .sink.emit = collect, .room = 100 };
	struct names one = { .sink.emit = collect };
	struct file *f;

	mount_type("sysfs", "sys", NULL);
	assert_int_equal(w_open("sys/devices/system/cpu", O_RDONLY | O_DIRECTORY, &f), 0);
	assert_int_equal(file_iterate(f, &all.sink), 0);
	assert_int_equal(all.count, 2 + 6 + 3);
	assert_string_equal(all.last, "cpu2");
	assert_int_equal(file_seek(f, 0, SEEK_SET), 0);
	for (unsigned int i = 0; i < all.count + 1; i++) {
		one.room = 1;
		assert_int_equal(file_iterate(f, &one.sink), 0);
	}
	assert_int_equal(one.count, all.count);
	file_unref(f);
}

static void default_devices_work(void **state)
{
	char bytes[16];
	struct file *f;

	mount_type("devtmpfs", "dev", NULL);
	assert_int_equal(w_open("dev/null", O_RDWR, &f), 0);
	assert_int_equal(f_write(f, "gone", 4), 4);
	assert_int_equal(f_read(f, bytes, sizeof(bytes)), 0);
	file_unref(f);
	assert_int_equal(w_open("dev/full", O_RDWR, &f), 0);
	assert_int_equal(f_write(f, "x", 1), -ENOSPC);
	memset(bytes, 'x', sizeof(bytes));
	assert_int_equal(f_read(f, bytes, sizeof(bytes)), sizeof(bytes));
	assert_int_equal(bytes[15], 0);
	file_unref(f);
	assert_int_equal(w_open("dev/tty", O_RDWR, &f), -ENXIO);
	assert_int_equal(vfs_mknod(&world.as_root, NULL, "dev/sda", S_IFCHR | 0600, 0x800), 0);
	assert_int_equal(w_open("dev/sda", O_RDWR, &f), -ENXIO);
}

static void a_pair_of_terminals_talks_and_hangs_up(void **state)
{
	char bytes[32], name[32];
	struct file *master, *slave, *late;
	struct path at;
	unsigned int index;

	mount_type("devpts", "pts", "ptmxmode=666,mode=620,gid=5");
	assert_int_equal(path_walk(&world.as_root, NULL, "pts", 0, &at), 0);
	assert_int_equal(devpts_new_pair(at.dentry->sb, 7, 8, &master, &index), 0);
	path_unref(&at);
	(void)snprintf(name, sizeof(name), "pts/%u", index);
	assert_int_equal(w_open(name, O_RDWR | O_NOCTTY | O_NONBLOCK, &slave), 0);
	assert_int_equal(slave->inode->uid, 7);
	assert_int_equal(slave->inode->gid, 5);
	assert_int_equal(f_read(slave, bytes, sizeof(bytes)), -EAGAIN);
	assert_int_equal(f_read(master, bytes, sizeof(bytes)), -EAGAIN);
	assert_int_equal(f_write(master, "hi\n", 3), 3);
	assert_int_equal(f_read(slave, bytes, sizeof(bytes)), 3);
	assert_memory_equal(bytes, "hi\n", 3);
	assert_int_equal(f_read(master, bytes, sizeof(bytes)), 3);
	assert_memory_equal(bytes, "hi\n", 3);
	assert_int_equal(f_write(slave, "out\n", 4), 4);
	file_unref(slave);
	assert_int_equal(f_read(master, bytes, sizeof(bytes)), 4);
	assert_int_equal(f_read(master, bytes, sizeof(bytes)), -EIO);
	assert_int_equal(w_open(name, O_RDWR | O_NOCTTY | O_NONBLOCK, &slave), 0);
	assert_int_equal(f_read(master, bytes, sizeof(bytes)), -EAGAIN);
	file_unref(master);
	assert_int_equal(f_read(slave, bytes, sizeof(bytes)), 0);
	assert_int_equal(f_write(slave, "x", 1), -EIO);
	assert_true(file_poll(slave) & POLLHUP);
	assert_int_equal(w_open(name, O_RDWR, &late), -ENOENT);
	file_unref(slave);
}

static void options_of_devpts_are_judged(void **state)
{
	static const char *const bad[] = { "mode=9", "gid=x", "max=99999999", "nonsense", "uid" };

	struct superblock *sb;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(make("devpts", bad[i], &sb), -EINVAL);
}

static void donated(void *arg)
{
	int *ends = arg;
	struct file *f, *again;
	char bytes[8];

	assert_int_equal(host_file_new(ends[0], 0, 0, &f), 0);
	assert_int_equal(write(ends[1], "abcd", 4), 4);
	assert_int_equal(f_read(f, bytes, 2), 2);
	assert_int_equal(vfs_open_path(&world.as_root, &f->path, O_RDONLY, &again), 0);
	assert_int_equal(f_read(again, bytes, 8), 2);
	assert_memory_equal(bytes, "cd", 2);
	assert_int_equal(vfs_open_path(&world.as_root, &f->path, O_WRONLY, &again), -EACCES);
	file_unref(again);
	(void)close(ends[1]);
	assert_int_equal(f_read(f, bytes, 8), 0);
	file_unref(f);
}

static void a_donated_pipe_is_opened_again_by_its_path(void **state)
{
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	in_fiber(donated, ends);
}

static void appended(void *arg)
{
	const int *fd = arg;
	struct file *f;
	char bytes[8];

	assert_int_equal(host_file_new(fd[0], 0, 0, &f), 0);
	assert_int_equal(f_write(f, "bc", 2), 2);
	assert_int_equal(f->pos, 3);
	/* Who gave us the description sees its position move, and may append meanwhile. */
	assert_int_equal(lseek(fd[1], 0, SEEK_CUR), 3);
	assert_int_equal(write(fd[1], "d", 1), 1);
	assert_int_equal(f_write(f, "e", 1), 1);
	assert_int_equal(f->pos, 5);
	file_unref(f);
	assert_int_equal(pread(fd[1], bytes, sizeof(bytes), 0), 5);
	assert_memory_equal(bytes, "abcde", 5);
	(void)close(fd[1]);
}

static void a_donated_file_shares_its_position(void **state)
{
	char name[] = "/tmp/donatedXXXXXX";
	int fd[2] = { mkostemp(name, O_APPEND | O_CLOEXEC) };

	assert_true(fd[0] >= 0);
	(void)unlink(name);
	fd[1] = dup(fd[0]);
	assert_int_equal(write(fd[1], "a", 1), 1);
	in_fiber(appended, fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, world_teardown)
		CASE(the_machine_is_the_sandbox),
		CASE(names_that_are_not_there_are_enoent),
		CASE(numbers_are_judged_when_written),
		CASE(a_directory_is_read_in_pieces),
		CASE(default_devices_work),
		CASE(a_pair_of_terminals_talks_and_hangs_up),
		CASE(options_of_devpts_are_judged),
		CASE(a_donated_pipe_is_opened_again_by_its_path),
		CASE(a_donated_file_shares_its_position),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
