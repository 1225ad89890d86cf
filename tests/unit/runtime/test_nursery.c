/* SPDX-License-Identifier: Apache-2.0 */
/* What a sandbox may have put into a container's cgroup: a process of its own, and no other. */
#include "runtimetest.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "host/cgroup.h"
#include "host/pidfd.h"
#include "ns/stage.h"
#include "runtime/sentry/nursery.h"

#define SCORE 777

/* Pid 1 of a pid namespace, with a child there; both live until the sandbox is killed. */
struct fake {
	pid_t sandbox;
	int child; /* pidfd */
	struct container of, c;
	struct creation cr;
	struct launch l;
};

static void be_a_sandbox(int sock)
{
	const pid_t pid = fork();
	int pidfd;

	if (pid == 0)
		pause();
	pidfd = pidfd_get(pid);
	if (pid > 0 && pidfd >= 0 && fd_send(sock, "", 1, &pidfd, 1) == 0)
		pause();
	_exit(1);
}

static void begin(struct fake *f)
{
	static char sandbox_id[] = "pod", id[] = "a";
	struct err err = { 0 };
	size_t nfds = 1;
	int pair[2];
	char byte;

	assert_int_equal(stage_socketpair(pair, &err), 0);
	f->sandbox = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);
	if (f->sandbox == 0)
		be_a_sandbox(pair[1]);
	assert_true(f->sandbox > 0);
	close(pair[1]);
	assert_int_equal(fd_recv(pair[0], &byte, 1, &f->child, &nfds), 1);
	assert_int_equal(nfds, 1);
	close(pair[0]);
	f->of = (struct container){ .id = sandbox_id, .pid = f->sandbox };
	f->c = (struct container){ .id = id };
	assert_int_equal(cgroup_from_paths(NULL, 0, &f->c.cgroup, &err), 0);
	f->cr = (struct creation){ .c = &f->c, .sandbox = &f->of };
	f->cr.spec.process.oom_score_adj = (struct oci_opt_i64){ .set = true, .v = SCORE };
	f->l = (struct launch)LAUNCH_INIT;
	f->l.box.cr = &f->cr;
	f->l.nursery_placed = eventfd(0, EFD_CLOEXEC);
}

static void end(struct fake *f)
{
	assert_int_equal(kill(f->sandbox, SIGKILL), 0);
	assert_int_equal(waitpid(f->sandbox, NULL, 0), f->sandbox);
	close(f->child);
	cgroup_free(f->c.cgroup);
	close(f->l.nursery_placed);
}

static int place(struct fake *f, int nursery)
{
	struct err err = { 0 };
	int r;

	f->l.nursery[0] = nursery;
	f->l.nursery[1] = f->child;
	r = nursery_place(&f->l, &err);
	if (r < 0)
		assert_non_null(strstr(err.msg, "sandbox pod"));
	return r;
}

static void what_is_no_process_is_refused(void **state)
{
	const int file = memfd_create("\nPid:\t1\n", MFD_CLOEXEC);
	struct fake f;

	begin(&f);
	assert_int_equal(place(&f, file), -EBADMSG);
	close(file);
	end(&f);
}

static void a_process_of_the_host_is_refused(void **state)
{
	const int own = pidfd_get(getpid());
	struct fake f;

	begin(&f);
	assert_int_equal(place(&f, own), -EPROTO);
	close(own);
	end(&f);
}

static void a_sandbox_does_not_leave_its_own_cgroup(void **state)
{
	struct fake f;
	int pidfd;

	begin(&f);
	pidfd = pidfd_get(f.sandbox);
	assert_int_equal(place(&f, pidfd), -EPROTO);
	close(pidfd);
	end(&f);
}

static void a_process_of_another_sandbox_is_refused(void **state)
{
	struct fake f, other;

	begin(&f);
	begin(&other);
	assert_int_equal(place(&f, other.child), -EPROTO);
	end(&other);
	end(&f);
}

static void one_that_has_ended_is_refused(void **state)
{
	const pid_t pid = fork();
	struct fake f;
	int pidfd;

	if (pid == 0)
		_exit(0);
	pidfd = pidfd_get(pid);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	begin(&f);
	assert_int_equal(place(&f, pidfd), -ESRCH);
	close(pidfd);
	end(&f);
}

static void one_of_the_sandbox_is_taken_with_the_score_of_the_container(void **state)
{
	AUTO_CLOSE int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char path[64], text[16] = "";
	eventfd_t placed;
	struct fake f;
	FILE *file;

	begin(&f);
	assert_int_equal(place(&f, f.child), 0);
	assert_int_equal(eventfd_read(f.l.nursery_placed, &placed), 0);
	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pidfd_number(proc, f.child));
	file = fopen(path, "re");
	assert_non_null(file);
	assert_non_null(fgets(text, sizeof(text), file));
	fclose(file);
	assert_int_equal(atoi(text), SCORE);
	end(&f);
}

/*
 * What is written is what the sandbox's pid namespace calls it: a number of the host's may be
 * another's by then. The directory stands for one of cgroups.
 */
static void it_is_moved_by_its_number_inside(void **state)
{
	char dir[] = "/tmp/nurseryXXXXXX", procs[64], text[16] = "";
	const struct cgroup_dir dirs[] = { { "memory", dir } };
	struct err err = { 0 };
	struct fake f;
	FILE *file;

	assert_non_null(mkdtemp(dir));
	snprintf(procs, sizeof(procs), "%s/cgroup.procs", dir);
	file = fopen(procs, "we");
	assert_non_null(file);
	fclose(file);
	begin(&f);
	cgroup_free(f.c.cgroup);
	assert_int_equal(cgroup_from_paths(dirs, 1, &f.c.cgroup, &err), 0);
	assert_int_equal(place(&f, f.child), 0);
	file = fopen(procs, "re");
	assert_non_null(file);
	assert_non_null(fgets(text, sizeof(text), file));
	fclose(file);
	assert_string_equal(text, "2");
	assert_int_equal(unlink(procs), 0);
	assert_int_equal(rmdir(dir), 0);
	end(&f);
}

static void a_move_that_fails_is_told(void **state)
{
	const struct cgroup_dir dirs[] = { { "memory", "/no/such/cgroup" } };
	struct err err = { 0 };
	struct fake f;

	begin(&f);
	cgroup_free(f.c.cgroup);
	assert_int_equal(cgroup_from_paths(dirs, 1, &f.c.cgroup, &err), 0);
	f.l.nursery[0] = f.l.nursery[1] = f.child;
	assert_int_equal(nursery_place(&f.l, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "/no/such/cgroup"));
	end(&f);
}

/* The first process is judged as the nursery is, and nobody is told that all is well. */
static void a_first_process_of_the_host_is_refused(void **state)
{
	const int own = pidfd_get(getpid());
	struct err err = { 0 };
	struct pollfd p = { .events = POLLIN };
	struct fake f;

	begin(&f);
	f.l.nursery[0] = f.child;
	f.l.nursery[1] = own;
	assert_int_equal(nursery_place(&f.l, &err), -EPROTO);
	p.fd = f.l.nursery_placed;
	assert_int_equal(poll(&p, 1, 0), 0);
	close(own);
	end(&f);
}

/* A container that is made is not ready before. */
static void the_sentry_is_told_when_all_are_in_their_place(void **state)
{
	const struct sentry_reply reply = { .type = SENTRY_PLACED };
	struct sentry_request request = { 0 };
	struct container sandbox = { 0 };
	struct creation cr = { .sandbox = &sandbox };
	struct launch l = LAUNCH_INIT;
	struct err err = { 0 };
	size_t nfds = 0;
	int pair[2];

	l.box.cr = &cr;
	l.nursery_placed = eventfd(1, EFD_CLOEXEC);
	assert_int_equal(stage_socketpair(pair, &err), 0);
	assert_int_equal(stage_socketpair(l.box.stage, &err), 0);
	l.sandbox = pair[0];
	assert_int_equal(fd_send(pair[1], &reply, sizeof(reply), NULL, 0), 0);
	assert_int_equal(nursery_settle(&l, &err), 0);
	assert_int_equal(fd_recv(pair[1], &request, sizeof(request), NULL, &nfds), sizeof(request));
	assert_int_equal(request.type, SENTRY_PLACED);
	close(pair[1]);
	launch_done(&l);
}

/* Its gofer was killed, say, for a limit of memory that is too low. */
static void a_container_that_ends_before_is_named(void **state)
{
	const struct sentry_reply ended = { .type = SENTRY_EXITED, .value = 137 };
	static char id[] = "a";
	struct container c = { .id = id };
	struct creation cr = { .c = &c };
	struct launch l = LAUNCH_INIT;
	struct err err = { 0 };
	int pair[2];

	l.box.cr = &cr;
	l.nursery_placed = eventfd(1, EFD_CLOEXEC);
	assert_int_equal(stage_socketpair(pair, &err), 0);
	assert_int_equal(stage_socketpair(l.box.stage, &err), 0);
	l.sandbox = pair[0];
	assert_int_equal(fd_send(pair[1], &ended, sizeof(ended), NULL, 0), 0);
	assert_int_equal(nursery_settle(&l, &err), -ESRCH);
	assert_string_equal(err.msg, "container a: it has ended");
	close(pair[1]);
	launch_done(&l);
}

static void who_waits_for_it_learns_that_its_maker_is_gone(void **state)
{
	AUTO_CLOSE int placed = eventfd(0, EFD_CLOEXEC);
	struct container sandbox = { 0 };
	struct creation cr = { .sandbox = &sandbox };
	struct launch l = LAUNCH_INIT;
	struct err err = { 0 };

	l.box.cr = &cr;
	l.nursery_placed = placed;
	assert_int_equal(stage_socketpair(l.box.stage, &err), 0);
	assert_int_equal(close(l.box.stage[0]), 0);
	assert_int_equal(nursery_settle(&l, &err), -EPIPE);
	close(l.box.stage[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_process_is_refused),
		cmocka_unit_test(a_process_of_the_host_is_refused),
		cmocka_unit_test(a_sandbox_does_not_leave_its_own_cgroup),
		cmocka_unit_test(a_process_of_another_sandbox_is_refused),
		cmocka_unit_test(one_that_has_ended_is_refused),
		cmocka_unit_test(one_of_the_sandbox_is_taken_with_the_score_of_the_container),
		cmocka_unit_test(it_is_moved_by_its_number_inside),
		cmocka_unit_test(a_move_that_fails_is_told),
		cmocka_unit_test(a_first_process_of_the_host_is_refused),
		cmocka_unit_test(the_sentry_is_told_when_all_are_in_their_place),
		cmocka_unit_test(a_container_that_ends_before_is_named),
		cmocka_unit_test(who_waits_for_it_learns_that_its_maker_is_gone),
	};

	return cmocka_run_group_tests_name("runtime/nursery", tests, NULL, NULL);
}
