/* SPDX-License-Identifier: Apache-2.0 */
/* Making, entering, freezing, signalling and removing, against the hierarchies of the host. */
#include "cgrouptest.h"

#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "base/clock.h"

/* ---- failure first */

static void create_refuses_a_cgroup_in_use(void **state)
{
	struct box *b = NEED_BOX(state);
	struct err err = { 0 };
	const pid_t pid = spawn(b->cg, sleep_long, NULL);

	assert_int_equal(cgroup_check_free(b->cg, &err), -EBUSY);
	assert_non_null(strstr(err.msg, "not empty: 1 process"));
	assert_false(cgroup_abandon_taken(b->cg));
	assert_int_equal(cgroup_create(b->cg, &err), -EBUSY);
	assert_non_null(strstr(err.msg, "not empty: 1 process"));
	assert_true(cgroup_abandon_taken(b->cg));
	assert_true(cgroup_exists(b->cg));
	kill(pid, SIGKILL);
	wait_for(pid);
	assert_int_equal(cgroup_check_free(b->cg, &err), 0);
	assert_int_equal(cgroup_create(b->cg, &err), 0);
	assert_false(cgroup_abandon_taken(b->cg));
}

static void a_cgroup_that_is_not_there_is_free(void **state)
{
	struct box *b = NEED_BOX(state);
	struct err err = { 0 };

	assert_int_equal(cgroup_remove(b->cg, &err), 0);
	assert_int_equal(cgroup_check_free(b->cg, &err), 0);
	assert_false(cgroup_exists(b->cg));
}

static int sleep_as_nobody(void *arg)
{
	return setresuid(65534, 65534, 65534) < 0 ? 1 : sleep_long(arg);
}

/* Goal: one process that may not be signalled does not protect those after it in the list. */
static void a_refused_signal_is_told_and_the_others_get_it(void **state)
{
	struct box *b = NEED_BOX(state);
	struct err err = { 0 };
	const pid_t roots = spawn(b->cg, sleep_long, NULL);
	const pid_t nobodys = spawn(b->cg, sleep_as_nobody, NULL);
	pid_t caller;

	sleep_ms(50);
	caller = fork();
	if (caller == 0) {
		if (setresuid(65534, 65534, 65534) < 0)
			_exit(2);
		_exit(cgroup_signal_all(b->cg, SIGTERM, &err) == -EPERM ? 0 : 1);
	}
	assert_int_equal(wait_for(caller), 0);
	assert_int_equal(wait_for(nobodys), 1000 + SIGTERM);
	kill(roots, SIGKILL);
	wait_for(roots);
}

static void create_refuses_a_process_that_hides_below(void **state)
{
	struct box *b = NEED_BOX(state);
	struct cgroup *below = NULL;
	struct err err = { 0 };
	pid_t pid;

	assert_int_equal(cgroup_subdir(b->cg, NULL, "x/y", &below, NULL), 0);
	/* An unknown mount point does not make parents; the set of the box knows it. */
	assert_int_equal(cgroup_create(below, &err), 0);
	pid = spawn(below, sleep_long, NULL);
	assert_int_equal(cgroup_create(b->cg, &err), -EBUSY);
	kill(pid, SIGKILL);
	wait_for(pid);
	cgroup_free(below);
}

static void create_refuses_a_frozen_cgroup(void **state)
{
	struct box *b = NEED_BOX(state);
	struct err err = { 0 };

	assert_int_equal(cgroup_freeze(b->cg, true, &err), 0);
	assert_int_equal(cgroup_create(b->cg, &err), -EBUSY);
	assert_non_null(strstr(err.msg, "frozen"));
	assert_int_equal(cgroup_freeze(b->cg, false, &err), 0);
}

#define TRIES 5

static void remove_with_a_live_process_is_busy_in_bounded_time(void **state)
{
	struct box *b = NEED_BOX(state);
	struct err err = { 0 };
	const pid_t pid = spawn(b->cg, sleep_long, NULL);
	double best = 1e9;

	/* Others may have the processor for any time. */
	for (int i = 0; i < TRIES && best >= 2.0; i++) {
		const double start = seconds();

		assert_int_equal(cgroup_remove(b->cg, &err), -EBUSY);
		assert_true(seconds() - start > 0.9);
		best = seconds() - start < best ? seconds() - start : best;
	}
	assert_true(best < 2.0);
	assert_non_null(strstr(err.msg, "remove the cgroup"));
	kill(pid, SIGKILL);
	wait_for(pid);
	assert_int_equal(cgroup_remove(b->cg, &err), 0);
}

static int die_soon(void *arg)
{
	sleep_ms(100);
	return 0;
}

/* Goal: the wait ends with the process, not with a timer. */
static void remove_waits_for_a_process_that_exits(void **state)
{
	struct box *b = NEED_BOX(state);
	struct err err = { 0 };
	double best = 1e9;

	for (int i = 0; i < TRIES && best >= 0.5; i++) {
		const pid_t pid = spawn(b->cg, die_soon, NULL);
		const double start = seconds();

		assert_int_equal(cgroup_remove(b->cg, &err), 0);
		best = seconds() - start < best ? seconds() - start : best;
		wait_for(pid);
		assert_int_equal(cgroup_create(b->cg, &err), 0);
	}
	assert_true(best < 0.5);
}

static void a_cgroup_that_is_gone(void **state)
{
	struct box *b = NEED_BOX(state);
	struct err err = { 0 };
	pid_t *pids = (pid_t *)1;
	size_t len = 7;

	assert_int_equal(cgroup_remove(b->cg, &err), 0);
	assert_int_equal(cgroup_remove(b->cg, &err), 0);
	assert_int_equal(cgroup_pids(b->cg, true, &pids, &len, &err), 0);
	assert_int_equal(len, 0);
	free(pids);
	assert_int_equal(cgroup_signal_all(b->cg, SIGKILL, &err), 0);
	assert_int_equal(cgroup_enter_beside(b->cg, getpid(), getpid(), &err), -ENOENT);
	assert_non_null(strstr(err.msg, "cgroup.procs"));
	assert_true(cgroup_freeze(b->cg, true, &err) < 0);
	assert_true(cgroup_oom_fd(b->cg, &err) < 0);
}

static void entering_a_dead_pid_is_an_error(void **state)
{
	struct box *b = NEED_BOX(state);
	struct err err = { 0 };
	const pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	wait_for(pid);
	assert_int_equal(cgroup_enter_beside(b->cg, pid, getpid(), &err), -ESRCH);
}

static void an_unknown_parent_is_not_made(void **state)
{
	struct box *b = NEED_BOX(state);
	struct cgroup *again = NULL, *below = NULL;
	const struct cgroup_dir *dirs;
	const size_t len = cgroup_dirs(b->cg, &dirs);
	struct err err = { 0 };

	assert_int_equal(cgroup_from_paths(dirs, len, &again, NULL), 0);
	assert_int_equal(cgroup_subdir(again, NULL, "x/y", &below, NULL), 0);
	assert_int_equal(cgroup_create(below, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "parent"));
	cgroup_free(below);
	cgroup_free(again);
}

/* ---- hostile contents */

static int fork_bomb(void *arg)
{
	for (;;)
		(void)fork();
	return 0;
}

static void a_fork_bomb_under_a_limit_is_killed_whole(void **state)
{
	struct box *b = NEED_BOX(state);
	struct oci_resources res = { .pids_limit = { 40, true } };
	struct err err = { 0 };
	pid_t *pids = NULL, pid;
	size_t len = 0;

	NEED_CONTROLLER(b->cg, "pids");
	apply_ok(b->cg, &res, false);
	pid = spawn(b->cg, fork_bomb, NULL);
	for (int i = 0; i < 500 && len < 40; i++) {
		free(pids);
		pids = NULL;
		assert_int_equal(cgroup_pids(b->cg, true, &pids, &len, &err), 0);
		sleep_ms(2);
	}
	free(pids);
	assert_int_equal(len, 40);
	assert_int_equal(cgroup_signal_all(b->cg, SIGKILL, &err), 0);
	assert_int_equal(wait_for(pid), 1000 + SIGKILL);
	assert_int_equal(cgroup_remove(b->cg, &err), 0);
}

/* Goal: the same without cgroup.kill, where only the freezer outruns the bomb. */
static void a_fork_bomb_is_killed_on_v1_alone(void **state)
{
	struct box *b = NEED_BOX(state);
	struct oci_resources res = { .pids_limit = { 40, true } };
	struct cgroup_dir v1[2];
	struct cgroup *cg = NULL;
	struct err err = { 0 };
	pid_t pid;

	NEED_CONTROLLER(b->cg, "pids");
	NEED_CONTROLLER(b->cg, "freezer");
	v1[0] = (struct cgroup_dir){ "freezer", cgroup_path(b->cg, "freezer") };
	v1[1] = (struct cgroup_dir){ "pids", cgroup_path(b->cg, "pids") };
	assert_int_equal(cgroup_from_paths(v1, 2, &cg, NULL), 0);
	apply_ok(cg, &res, false);
	pid = spawn(cg, fork_bomb, NULL);
	sleep_ms(50);
	assert_int_equal(cgroup_signal_all(cg, SIGKILL, &err), 0);
	assert_int_equal(wait_for(pid), 1000 + SIGKILL);
	assert_int_equal(cgroup_remove(cg, &err), 0);
	cgroup_free(cg);
}

/* The descriptor tells what comes later, too. */
static char word_of(int fd)
{
	char word = 0;

	assert_int_equal(pread(fd, &word, 1, 0), 1);
	return word;
}

static void a_frozen_group_is_killed(void **state)
{
	struct box *b = NEED_BOX(state);
	struct err err = { 0 };
	const int freezer = cgroup_open_freezer(b->cg, &err);
	const pid_t one = spawn(b->cg, sleep_long, NULL), two = spawn(b->cg, sleep_long, NULL);

	assert_true(freezer >= 0);
	assert_int_equal(word_of(freezer), '0');
	assert_int_equal(cgroup_freeze(b->cg, true, &err), 0);
	assert_int_equal(cgroup_is_frozen(b->cg), 1);
	assert_int_equal(word_of(freezer), '1');
	assert_int_equal(cgroup_signal_all(b->cg, SIGKILL, &err), 0);
	assert_int_equal(wait_for(one), 1000 + SIGKILL);
	assert_int_equal(wait_for(two), 1000 + SIGKILL);
	assert_int_equal(cgroup_is_frozen(b->cg), 0);
	assert_int_equal(word_of(freezer), '0');
	(void)close(freezer);
}

/* Goal: what a frozen group above forbids is not waited for, and comes true with its thaw. */
static void a_group_below_a_frozen_one_is_frozen_and_thawed_at_once(void **state)
{
	struct box *b = NEED_BOX(state);
	struct cgroup_dir top = { "", cgroup_path(b->cg, "") };
	struct cgroup *cg = NULL, *below = NULL;
	struct err err = { 0 };
	int64_t begin;
	int freezer;
	pid_t pid;

	NEED_CONTROLLER(b->cg, "");
	assert_int_equal(cgroup_from_paths(&top, 1, &cg, NULL), 0);
	assert_int_equal(cgroup_subdir(cg, NULL, "a", &below, NULL), 0);
	assert_int_equal(cgroup_create(below, &err), 0);
	pid = spawn(below, sleep_long, NULL);
	assert_int_equal(cgroup_freeze(cg, true, &err), 0);
	/* Another one's pause is not its own. */
	freezer = cgroup_open_freezer(below, &err);
	assert_int_equal(word_of(freezer), '0');
	(void)close(freezer);
	begin = clock_ms();
	assert_int_equal(cgroup_freeze(below, true, &err), 0);
	assert_int_equal(cgroup_is_frozen(below), 1);
	assert_int_equal(cgroup_freeze(below, false, &err), 0);
	assert_true(clock_ms() - begin < 5000);
	assert_int_equal(cgroup_is_frozen(below), 0);
	assert_int_equal(cgroup_freeze(cg, false, &err), 0);
	assert_int_equal(cgroup_signal_all(below, SIGTERM, &err), 0);
	assert_int_equal(wait_for(pid), 1000 + SIGTERM);
	cgroup_free(below);
	cgroup_free(cg);
}

/* Goal: other signals leave a pause as it is, and arrive when it ends. (cgroup2 lets any deadly one
 * through.) */
static void a_signal_to_a_paused_group_waits(void **state)
{
	struct box *b = NEED_BOX(state);
	struct err err = { 0 };
	pid_t pid;

	NEED_CONTROLLER(b->cg, "freezer");
	pid = spawn(b->cg, sleep_long, NULL);
	assert_int_equal(cgroup_freeze(b->cg, true, &err), 0);
	assert_int_equal(cgroup_signal_all(b->cg, SIGTERM, &err), 0);
	assert_int_equal(cgroup_is_frozen(b->cg), 1);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
	assert_int_equal(cgroup_freeze(b->cg, false, &err), 0);
	assert_int_equal(wait_for(pid), 1000 + SIGTERM);
}

/* A call that waits for an answer which never comes, and that no freezer can interrupt. */
static int wait_unfreezably(void *told)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog prog = { ARRAY_LEN(filter), filter };
	struct seccomp_notif notif = { 0 };
	const int listener = (int)syscall(
		SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &prog);
	const pid_t pid = listener < 0 ? -1 : fork();

	if (pid < 0)
		return 1;
	if (pid == 0)
		_exit((int)syscall(SYS_getppid));
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notif) < 0 ||
	    write(*(int *)told, "w", 1) != 1)
		return 1;
	return sleep_long(NULL);
}

/* Goal: what a pause that was killed on its way leaves can be seen, and a resume ends it. */
static void a_group_that_stays_half_frozen_is_frozen(void **state)
{
	struct box *b = NEED_BOX(state);
	struct err err = { 0 };
	AUTO_CLOSE int dir = cgroup_open_dir(b->cg, "freezer");
	int told[2];
	char c;

	NEED_CONTROLLER(b->cg, "freezer");
	assert_int_equal(pipe2(told, O_CLOEXEC), 0);
	(void)spawn(b->cg, wait_unfreezably, &told[1]);
	(void)close(told[1]);
	assert_int_equal(read(told[0], &c, 1), 1);
	(void)close(told[0]);
	assert_int_equal(fd_write_file(dir, "freezer.state", "FROZEN"), 0);
	assert_string_equal(value_of(b->cg, "freezer", "freezer.state"), "FREEZING");
	assert_int_equal(cgroup_is_frozen(b->cg), 1);
	assert_int_equal(cgroup_freeze(b->cg, false, &err), 0);
	assert_int_equal(cgroup_is_frozen(b->cg), 0);
}

static void everybody_gets_the_signal(void **state)
{
	struct box *b = NEED_BOX(state);
	struct err err = { 0 };
	pid_t pid[5];

	for (size_t i = 0; i < ARRAY_LEN(pid); i++)
		pid[i] = spawn(b->cg, sleep_long, NULL);
	assert_int_equal(cgroup_signal_all(b->cg, SIGUSR1, &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(pid); i++)
		assert_int_equal(wait_for(pid[i]), 1000 + SIGUSR1);
	assert_int_equal(cgroup_is_frozen(b->cg), 0);
}

/* A container with a writable mount: `depth` directories inside each other and many beside. */
static void make_hostile_tree(const char *top, int depth, int width)
{
	int fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (int i = 0; i < width; i++) {
		char name[16];

		snprintf(name, sizeof(name), "w%d", i);
		assert_int_equal(mkdirat(fd, name, 0755), 0);
	}
	for (int i = 0; i < depth; i++) {
		int next;

		assert_int_equal(mkdirat(fd, "d", 0755), 0);
		next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		close(fd);
		fd = next;
	}
	close(fd);
}

static void a_hostile_tree_is_removed(void **state)
{
	struct box *b = NEED_BOX(state);
	const char *top = cgroup_path(b->cg, cgroup_path(b->cg, "freezer") ? "freezer" : "");
	struct err err = { 0 };
	struct stat st;

	/* Longer than PATH_MAX could name: 2,100 levels of "/d" below the top. */
	make_hostile_tree(top, 2100, 200);
	assert_int_equal(cgroup_remove(b->cg, &err), 0);
	assert_int_equal(stat(top, &st), -1);
}

static void pids_below_are_counted_when_asked(void **state)
{
	struct box *b = NEED_BOX(state);
	struct cgroup *below = NULL;
	struct err err = { 0 };
	pid_t *pids = NULL, pid;
	size_t len;

	assert_int_equal(cgroup_subdir(b->cg, NULL, "a", &below, NULL), 0);
	assert_int_equal(cgroup_create(below, &err), 0);
	pid = spawn(below, sleep_long, NULL);
	assert_int_equal(cgroup_pids(b->cg, false, &pids, &len, &err), 0);
	assert_int_equal(len, 0);
	free(pids);
	assert_int_equal(cgroup_pids(b->cg, true, &pids, &len, &err), 0);
	assert_int_equal(len, 1);
	assert_int_equal(pids[0], pid);
	free(pids);
	assert_int_equal(cgroup_signal_all(b->cg, SIGKILL, &err), 0);
	assert_int_equal(wait_for(pid), 1000 + SIGKILL);
	cgroup_free(below);
}

static int count_pid(pid_t pid, void *arg)
{
	*(int *)arg += pid;
	return 0;
}

static void texts_of_procs(void **state)
{
	static const char *const bad[] = { "a\n",   "1 2\n", "-1\n",  "\n",
					   "1\n\n", " 1\n",  "1\r\n", "2147483648\n" };
	int sum = 0;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (cgroup_parse_pids(bad[i], count_pid, &sum) >= 0)
			fail_msg("taken: %s", bad[i]);
	}
	sum = 0;
	assert_int_equal(cgroup_parse_pids("", count_pid, &sum), 0);
	assert_int_equal(cgroup_parse_pids("1\n0\n20\n300", count_pid, &sum), 0);
	assert_int_equal(sum, 321);
}

/* ---- the ordinary way */

static void freezing_an_empty_group_works(void **state)
{
	struct box *b = NEED_BOX(state);
	struct err err = { 0 };

	assert_int_equal(cgroup_is_frozen(b->cg), 0);
	assert_int_equal(cgroup_freeze(b->cg, true, &err), 0);
	assert_int_equal(cgroup_is_frozen(b->cg), 1);
	assert_int_equal(cgroup_freeze(b->cg, true, &err), 0);
	assert_int_equal(cgroup_freeze(b->cg, false, &err), 0);
	assert_int_equal(cgroup_is_frozen(b->cg), 0);
	assert_int_equal(cgroup_freeze(b->cg, false, &err), 0);
}

static int spin(void *arg)
{
	volatile unsigned long *counter = arg;

	for (;;)
		++*counter;
	return 0;
}

static void a_frozen_task_does_not_run(void **state)
{
	struct box *b = NEED_BOX(state);
	struct err err = { 0 };
	volatile unsigned long *counter =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned long before;

	(void)spawn(b->cg, spin, (void *)counter);
	sleep_ms(10);
	assert_int_equal(cgroup_freeze(b->cg, true, &err), 0);
	before = *counter;
	assert_true(before > 0);
	sleep_ms(30);
	assert_int_equal(*counter, before);
	assert_int_equal(cgroup_freeze(b->cg, false, &err), 0);
	sleep_ms(30);
	assert_true(*counter > before);
	munmap((void *)counter, 4096);
}

/* Goal: cgroup2's freezer and kill work by themselves; on the hybrid layout v1's hides them. */
static void the_v2_freezer_and_kill(void **state)
{
	struct box *b = NEED_BOX(state);
	struct cgroup_dir v2 = { "", cgroup_path(b->cg, "") };
	struct cgroup *cg = NULL;
	struct err err = { 0 };
	pid_t pid;

	if (!v2.path) {
		print_message("no cgroup2: CAVEATS.md#cgroup-layout\n");
		skip();
	}
	assert_int_equal(cgroup_from_paths(&v2, 1, &cg, NULL), 0);
	pid = spawn(cg, sleep_long, NULL);
	assert_int_equal(cgroup_freeze(cg, true, &err), 0);
	assert_int_equal(cgroup_is_frozen(cg), 1);
	assert_string_equal(value_of(cg, "", "cgroup.freeze"), "1");
	assert_int_equal(cgroup_freeze(cg, false, &err), 0);
	assert_int_equal(cgroup_is_frozen(cg), 0);
	assert_int_equal(cgroup_freeze(cg, true, &err), 0);
	assert_int_equal(cgroup_signal_all(cg, SIGKILL, &err), 0);
	assert_int_equal(wait_for(pid), 1000 + SIGKILL);
	assert_int_equal(cgroup_remove(cg, &err), 0);
	cgroup_free(cg);
}

/* Every line of /proc/PID/cgroup that has limits must be the box's. */
static void check_inside(pid_t pid)
{
	AUTO_BUF struct buf text = { 0 };
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	assert_int_equal(fd_read_file(AT_FDCWD, path, &text), 0);
	for (char *line = strtok(text.data, "\n"); line; line = strtok(NULL, "\n")) {
		const enum cgroup_layout layout = cgroup_layout();
		const bool v2 = str_after(line, "0::");

		if (layout == CGROUP_LAYOUT_V2 ? !v2 : layout == CGROUP_LAYOUT_V1 && v2)
			continue;
		if (!strstr(line, "caisson-unit-"))
			fail_msg("not in the container's cgroup: %s", line);
	}
}

/* A child in a new user namespace that enters by itself, then tells through the pipe how it went.
 */
static void join_as_container_init(const struct cgroup_join *join, int clone_fd)
{
	struct clone_args args = { .flags = CLONE_NEWUSER | CLONE_NEWPID, .exit_signal = SIGCHLD };
	int told[2], result = -1;
	pid_t pid;

	assert_int_equal(pipe2(told, O_CLOEXEC), 0);
	if (clone_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)clone_fd;
	}
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0) {
		result = cgroup_join(join, NULL);
		(void)!write(told[1], &result, sizeof(result));
		_exit(sleep_long(NULL));
	}
	close(told[1]);
	assert_true(pid > 0);
	assert_int_equal(read(told[0], &result, sizeof(result)), sizeof(result));
	close(told[0]);
	assert_int_equal(result, 0);
	check_inside(pid);
	kill(pid, SIGKILL);
	assert_int_equal(wait_for(pid), 1000 + SIGKILL);
}

static void a_child_is_born_in_cgroup2_and_joins_v1(void **state)
{
	struct box *b = NEED_BOX(state);
	struct cgroup_join join = { 0 };
	struct err err = { 0 };
	int fd;

	assert_int_equal(cgroup_remove(b->cg, &err), 0);
	fd = cgroup_clone_fd(b->cg, &err);
	if (fd == -ENOENT) {
		print_message("no cgroup2: CAVEATS.md#cgroup-layout\n");
		skip();
	}
	assert_true(fd >= 0);
	assert_int_equal(cgroup_create(b->cg, &err), 0);
	assert_int_equal(cgroup_join_open(b->cg, true, &join, &err), 0);
	join_as_container_init(&join, fd);
	cgroup_join_done(&join);
	close(fd);
}

static void a_child_joins_everything_by_itself(void **state)
{
	struct box *b = NEED_BOX(state);
	const struct cgroup_dir *dirs;
	struct cgroup_join join = { 0 };
	struct err err = { 0 };

	assert_int_equal(cgroup_join_open(b->cg, false, &join, &err), 0);
	assert_int_equal(join.len, cgroup_dirs(b->cg, &dirs));
	join_as_container_init(&join, -1);
	cgroup_join_done(&join);
	assert_int_equal(join.len, 0);
}

static void joining_what_is_gone_fails(void **state)
{
	struct box *b = NEED_BOX(state);
	struct cgroup_join join = { 0 };
	struct err err = { 0 };
	size_t at = 99;

	assert_int_equal(cgroup_join_open(b->cg, false, &join, &err), 0);
	assert_int_equal(cgroup_remove(b->cg, &err), 0);
	assert_int_equal(cgroup_join(&join, &at), -ENODEV);
	assert_int_equal(at, 0);
	cgroup_join_done(&join);
	assert_int_equal(cgroup_join_open(b->cg, false, &join, &err), -ENOENT);
	assert_int_equal(join.len, 0);
}

static void exec_joins_beside_a_process_of_the_container(void **state)
{
	struct box *b = NEED_BOX(state);
	struct cgroup_dir v2 = { "", cgroup_path(b->cg, "") };
	struct cgroup *cg = NULL, *leaf = NULL;
	struct err err = { 0 };
	pid_t init, joined, stranger;

	if (!v2.path) {
		print_message("no cgroup2: CAVEATS.md#cgroup-layout\n");
		skip();
	}
	assert_int_equal(cgroup_from_paths(&v2, 1, &cg, NULL), 0);
	assert_int_equal(cgroup_subdir(cg, NULL, "leaf", &leaf, NULL), 0);
	assert_int_equal(mkdir(cgroup_path(leaf, ""), 0755), 0);
	init = spawn(leaf, sleep_long, NULL);
	joined = fork();
	if (joined == 0)
		_exit(sleep_long(NULL));
	stranger = fork();
	if (stranger == 0)
		_exit(sleep_long(NULL));
	/* A threaded child cgroup makes the parent refuse processes of its own: EOPNOTSUPP or
	 * EBUSY. */
	assert_int_equal(cgroup_enter_beside(cg, joined, init, &err), 0);
	assert_int_equal(rmdir(cgroup_path(cg, "")), -1);
	/* Once the directory is missing, only the company of a process below it counts. */
	v2.path = "/sys/fs/cgroup/unified/caisson-unit-none";
	cgroup_free(cg);
	assert_int_equal(cgroup_from_paths(&v2, 1, &cg, NULL), 0);
	assert_int_equal(cgroup_enter_beside(cg, stranger, init, &err), -ENOENT);
	kill(init, SIGKILL);
	kill(joined, SIGKILL);
	kill(stranger, SIGKILL);
	wait_for(init);
	wait_for(joined);
	wait_for(stranger);
	cgroup_free(leaf);
	cgroup_free(cg);
}

static void parents_are_made_and_cpusets_filled(void **state)
{
	struct box *b = NEED_BOX(state);
	struct cgroup *deep = NULL;
	struct err err = { 0 };
	const char *cpus;
	pid_t pid;

	assert_int_equal(cgroup_subdir(b->cg, NULL, "p/q/r", &deep, NULL), 0);
	assert_int_equal(cgroup_create(deep, &err), 0);
	if (cgroup_path(b->cg, "cpuset")) {
		cpus = value_of(deep, "cpuset", "cpuset.cpus");
		assert_true(strlen(cpus) > 0);
		assert_string_equal(cpus, value_of(b->cg, "cpuset", "cpuset.cpus"));
		assert_true(strlen(value_of(deep, "cpuset", "cpuset.mems")) > 0);
	}
	pid = spawn(deep, sleep_long, NULL);
	kill(pid, SIGKILL);
	wait_for(pid);
	cgroup_free(deep);
}

#define LIVE(test) cmocka_unit_test_setup_teardown(test, box_setup, box_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LIVE(create_refuses_a_cgroup_in_use),
		LIVE(a_refused_signal_is_told_and_the_others_get_it),
		LIVE(a_cgroup_that_is_not_there_is_free),
		LIVE(create_refuses_a_process_that_hides_below),
		LIVE(create_refuses_a_frozen_cgroup),
		LIVE(remove_with_a_live_process_is_busy_in_bounded_time),
		LIVE(remove_waits_for_a_process_that_exits),
		LIVE(a_cgroup_that_is_gone),
		LIVE(entering_a_dead_pid_is_an_error),
		LIVE(an_unknown_parent_is_not_made),
		LIVE(a_fork_bomb_under_a_limit_is_killed_whole),
		LIVE(a_fork_bomb_is_killed_on_v1_alone),
		LIVE(a_frozen_group_is_killed),
		LIVE(a_group_below_a_frozen_one_is_frozen_and_thawed_at_once),
		LIVE(a_signal_to_a_paused_group_waits),
		LIVE(a_group_that_stays_half_frozen_is_frozen),
		LIVE(everybody_gets_the_signal),
		LIVE(a_hostile_tree_is_removed),
		LIVE(pids_below_are_counted_when_asked),
		cmocka_unit_test(texts_of_procs),
		LIVE(freezing_an_empty_group_works),
		LIVE(a_frozen_task_does_not_run),
		LIVE(the_v2_freezer_and_kill),
		LIVE(a_child_is_born_in_cgroup2_and_joins_v1),
		LIVE(a_child_joins_everything_by_itself),
		LIVE(joining_what_is_gone_fails),
		LIVE(exec_joins_beside_a_process_of_the_container),
		LIVE(parents_are_made_and_cpusets_filled),
	};

	return cmocka_run_group_tests_name("host/cgroup_tasks", tests, NULL, NULL);
}
