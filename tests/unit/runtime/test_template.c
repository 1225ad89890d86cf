/* SPDX-License-Identifier: Apache-2.0 */
/* What a template is known by, and what is believed of whoever says that he holds one. */
#include "runtimetest.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/str.h"
#include "runtime/vm/holder.h"
#include "runtime/vm/template.h"

#define MEMORY (64ull << 20)

static struct template_plan plan; /* of three files below /tmp */

static int make_file(const char *bytes)
{
	char path[] = "/tmp/caisson-unit-file-XXXXXX";
	const int fd = mkostemp(path, O_CLOEXEC);

	assert_true(fd > 2);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(fd_write_all(fd, bytes, strlen(bytes)), 0);
	return fd;
}

static int open_plan(void **unused)
{
	(void)unused;
	plan = (struct template_plan){ .cpus = 1,
				       .memory = MEMORY,
				       .qemu = make_file("qemu"),
				       .kernel = make_file("kernel"),
				       .image = make_file("image") };
	return 0;
}

static int close_plan(void **unused)
{
	(void)unused;
	(void)close(plan.qemu);
	(void)close(plan.kernel);
	(void)close(plan.image);
	return 0;
}

static void key_of(const struct template_plan *p, struct template_key *ret)
{
	struct err err = { 0 };

	if (template_key(p, ret, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(strlen(ret->hash), TEMPLATE_HASH - 1);
	assert_true(strlen(ret->text) < TEMPLATE_TEXT_MAX);
}

/* ---- The key ---- */

static void one_plan_has_one_key(void **unused)
{
	AUTO_TEMPLATE_KEY struct template_key a = { 0 }, b = { 0 };
	struct template_plan other = plan;

	(void)unused;
	/* Descriptors of the same files, another measure of the clock, another user. */
	other.kernel = fcntl(plan.kernel, F_DUPFD_CLOEXEC, 100);
	other.tsc_khz = 2000000;
	other.uid = 7;
	key_of(&plan, &a);
	key_of(&other, &b);
	assert_string_equal(a.text, b.text);
	assert_string_equal(a.hash, b.hash);
	(void)close(other.kernel);
}

static void what_makes_another_machine_makes_another_key(void **unused)
{
	struct template_plan others[] = { plan, plan, plan, plan, plan, plan };
	AUTO_TEMPLATE_KEY struct template_key own = { 0 };

	(void)unused;
	others[0].cpus = 2;
	others[1].memory = 2 * MEMORY;
	others[2].accel = MACHINE_KVM;
	others[3].qemu = plan.kernel;
	others[4].kernel = plan.image;
	others[5].image = plan.kernel;
	key_of(&plan, &own);
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		AUTO_TEMPLATE_KEY struct template_key other = { 0 };

		key_of(&others[i], &other);
		assert_string_not_equal(own.text, other.text);
		assert_string_not_equal(own.hash, other.hash);
	}
}

static void a_file_that_changes_changes_the_key(void **unused)
{
	AUTO_TEMPLATE_KEY struct template_key before = { 0 }, grown = { 0 }, touched = { 0 };
	const struct timespec times[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };

	(void)unused;
	key_of(&plan, &before);
	assert_int_equal(fd_write_all(plan.image, "more", 4), 0);
	key_of(&plan, &grown);
	assert_string_not_equal(before.text, grown.text);
	assert_int_equal(futimens(plan.image, times), 0);
	key_of(&plan, &touched);
	assert_string_not_equal(grown.text, touched.text);
}

static void write_below(const struct test_root *root, const char *name, const char *text)
{
	char path[256];
	AUTO_CLOSE int fd = -EBADF;

	(void)snprintf(path, sizeof(path), "%s/%s", root->path, name);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0755);
	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
}

static void firmware_beside_the_program_is_of_the_key(void **unused)
{
	AUTO_TEMPLATE_KEY struct template_key before = { 0 }, same = { 0 }, after = { 0 };
	static const char *const dirs[] = { "bin", "share", "share/qemu" };
	struct template_plan own = plan;
	struct test_root root;
	char path[256];

	(void)unused;
	test_root_make(&root);
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", root.path, dirs[i]);
		assert_int_equal(mkdir(path, 0755), 0);
	}
	write_below(&root, "bin/qemu", "program");
	write_below(&root, "share/qemu/qboot.rom", "firmware");
	(void)snprintf(path, sizeof(path), "%s/bin/qemu", root.path);
	own.qemu = open(path, O_PATH | O_CLOEXEC);
	assert_true(own.qemu >= 0);
	key_of(&own, &before);
	key_of(&own, &same);
	assert_string_equal(before.text, same.text);
	write_below(&root, "share/qemu/qboot.rom", "of another version");
	key_of(&own, &after);
	assert_string_not_equal(before.text, after.text);
	(void)close(own.qemu);
	test_root_remove(&root);
}

static void a_plan_that_is_no_machine_has_no_key(void **unused)
{
	struct template_plan bad = plan;
	struct template_key key = { 0 };
	struct err err = { 0 };

	(void)unused;
	bad.cpus = 0;
	assert_int_equal(template_key(&bad, &key, &err), -EINVAL);
	assert_says(err, "CPUs");
	bad = plan;
	bad.kernel = -EBADF;
	assert_int_equal(template_key(&bad, &key, &err), -EBADF);
	assert_says(err, "kernel");
	assert_null(key.text);
}

/* ---- The answer ---- */

enum lie {
	TRUTH,
	NOTHING,
	SHORT,
	LONG,
	MAGIC,
	LENGTH,
	EMPTY_TEXT,
	NUL_IN_TEXT,
	NO_FILES,
	ONE_FILE,
	THREE_FILES,
	OPEN_MEMORY,
	OPEN_STATE,
	SMALL_MEMORY,
	NO_MEMORY,
	EMPTY_STATE,
	A_FILE,
	LIES,
};

static int sealed(uint64_t bytes, bool seal)
{
	int fd = -EBADF;

	assert_int_equal(machine_memory(bytes, &fd), 0);
	if (seal)
		assert_int_equal(machine_seal(fd), 0);
	return fd;
}

/* Into `sock` what a holder of `text` would say, but for the lie. */
static void answer(int sock, const char *text, enum lie lie)
{
	struct template_head head = { .magic = lie == MAGIC ? 1 : TEMPLATE_MAGIC,
				      .text_len = (uint32_t)strlen(text),
				      .memory = lie == NO_MEMORY ? 0 : MEMORY,
				      .created_ns = 5 };
	char bytes[sizeof(head) + TEMPLATE_TEXT_MAX + 100];
	int fds[3];
	const size_t nfds = lie == NO_FILES ? 0 : lie == ONE_FILE ? 1 : lie == THREE_FILES ? 3 : 2;
	size_t len = sizeof(head) + strlen(text);

	memset(bytes, 'x', sizeof(bytes));
	memcpy(bytes + sizeof(head), text, strlen(text));
	if (lie == LENGTH)
		head.text_len++;
	if (lie == EMPTY_TEXT) {
		head.text_len = 0;
		len = sizeof(head);
	}
	if (lie == NUL_IN_TEXT)
		bytes[sizeof(head) + 2] = '\0';
	if (lie == LONG) {
		len = sizeof(bytes);
		head.text_len = (uint32_t)(len - sizeof(head));
	}
	if (lie == SHORT)
		len = sizeof(head) - 1;
	memcpy(bytes, &head, sizeof(head));
	fds[0] = lie == A_FILE ? make_file("memory")
			       : sealed(lie == SMALL_MEMORY ? 4096 : MEMORY, lie != OPEN_MEMORY);
	fds[1] = sealed(lie == EMPTY_STATE ? 0 : 4096, lie != OPEN_STATE);
	fds[2] = sealed(4096, true);
	if (lie != NOTHING)
		assert_int_equal(fd_send(sock, bytes, len, fds, nfds), 0);
	for (size_t i = 0; i < 3; i++)
		(void)close(fds[i]);
}

static int count_descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void an_answer_is_believed_only_when_it_is_one(void **unused)
{
	(void)unused;
	for (enum lie lie = TRUTH; lie < LIES; lie++) {
		const int before = count_descriptors();
		AUTO_HOLDER struct holder h = HOLDER_INIT;
		struct err err = { 0 };
		int pair[2], r;

		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
		answer(pair[1], "the key", lie);
		(void)close(pair[1]);
		r = holder_receive(pair[0], TEMPLATE_TAKE_MS, &h, &err);
		(void)close(pair[0]);
		if (lie == TRUTH) {
			assert_int_equal(r, 0);
			assert_string_equal(h.text, "the key");
			assert_int_equal(h.memory, MEMORY);
			assert_int_equal(h.t.created_ns, 5);
			continue;
		}
		if (r != (lie == NOTHING ? -ECONNREFUSED : -EPROTO))
			fail_msg("lie %d: %d %s", (int)lie, r, err.msg);
		assert_null(h.text);
		assert_int_equal(count_descriptors(), before);
	}
}

static void silence_has_an_end(void **unused)
{
	AUTO_HOLDER struct holder h = HOLDER_INIT;
	struct err err = { 0 };
	int pair[2];

	(void)unused;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(holder_receive(pair[0], TEMPLATE_TAKE_MS, &h, &err), -ETIMEDOUT);
	assert_says(err, "does not answer");
	(void)close(pair[0]);
	(void)close(pair[1]);
}

/* ---- Taken ---- */

/* A process that listens as the holder of `key`; it answers `count` times, then only listens. */
static pid_t start_holder(const struct test_root *root, const struct template_key *key,
			  const char *text, enum lie lie, int count)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char path[128];
	int sock, ready[2];
	char byte;
	pid_t pid;

	(void)snprintf(path, sizeof(path), "%s/@templates", root->path);
	(void)mkdir(path, 0700);
	(void)snprintf(path, sizeof(path), "%s/@templates/%s", root->path, key->hash);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%.90s/socket", path);
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		sock = socket(AF_UNIX, SOCK_SEQPACKET, 0);
		if (bind(sock, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		    listen(sock, 8) < 0)
			_exit(1);
		(void)!write(ready[1], "r", 1);
		for (; count > 0; count--) {
			const int peer = accept(sock, NULL, NULL);

			answer(peer, text, lie);
			(void)close(peer);
		}
		for (;;)
			(void)pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	(void)close(ready[0]);
	(void)close(ready[1]);
	return pid;
}

static void end_holder(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void a_template_is_taken_from_who_has_it(void **unused)
{
	AUTO_TEMPLATE_KEY struct template_key key = { 0 };
	AUTO_TEMPLATE struct template t = TEMPLATE_INIT;
	struct err err = { 0 };
	struct test_root root;
	pid_t pid;

	(void)unused;
	test_root_make(&root);
	key_of(&plan, &key);
	assert_int_equal(template_take(&root.rt, &plan, &t, &err), -ENOENT);
	pid = start_holder(&root, &key, key.text, TRUTH, 1);
	if (template_take(&root.rt, &plan, &t, &err) < 0)
		fail_msg("%s", err.msg);
	assert_true(t.memory > 2 && t.state > 2);
	end_holder(pid);
	template_done(&t);
	/* Nobody listens there any more. */
	assert_int_equal(template_take(&root.rt, &plan, &t, &err), -ENOENT);
	test_root_remove(&root);
}

static void who_has_something_else_has_nothing(void **unused)
{
	static const struct {
		const char *text;
		enum lie lie;
		int count;
	} rows[] = { { "another key", TRUTH, 1 },
		     { NULL, OPEN_MEMORY, 1 },
		     { NULL, NOTHING, 1 },
		     { NULL, TRUTH, 0 } };

	(void)unused;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_TEMPLATE_KEY struct template_key key = { 0 };
		AUTO_TEMPLATE struct template t = TEMPLATE_INIT;
		struct err err = { 0 };
		struct test_root root;
		pid_t pid;

		test_root_make(&root);
		key_of(&plan, &key);
		pid = start_holder(&root, &key, rows[i].text ? rows[i].text : key.text, rows[i].lie,
				   rows[i].count);
		assert_int_equal(template_take(&root.rt, &plan, &t, &err), -ENOENT);
		assert_says(err, key.hash);
		assert_true(t.memory < 0 && t.state < 0);
		end_holder(pid);
		test_root_remove(&root);
	}
}

/* ---- The directory ---- */

static void a_directory_that_others_may_write_is_none(void **unused)
{
	struct err err = { 0 };
	struct test_root root;
	char path[128];

	(void)unused;
	test_root_make(&root);
	(void)snprintf(path, sizeof(path), "%s/@templates", root.path);
	assert_int_equal(holder_open_dir(&root.rt, false, &err), -ENOENT);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(chmod(path, 0770), 0);
	assert_int_equal(holder_open_dir(&root.rt, true, &err), -EPERM);
	assert_says(err, "nobody else may write");
	test_root_remove(&root);
}

static void what_has_no_holder_is_swept_and_the_rest_is_left(void **unused)
{
	static const char *const gone[] = { "0123456789abcdef", "fedcba9876543210.making" };
	static const char *const kept[] = { "note", "0123456789abcde", "0123456789abcdefg" };
	struct template_info *list;
	struct err err = { 0 };
	struct test_root root;
	char path[192];
	size_t len;

	(void)unused;
	test_root_make(&root);
	(void)snprintf(path, sizeof(path), "%s/@templates", root.path);
	assert_int_equal(mkdir(path, 0700), 0);
	for (size_t i = 0; i < ARRAY_LEN(gone); i++) {
		(void)snprintf(path, sizeof(path), "%s/@templates/%s", root.path, gone[i]);
		assert_int_equal(mkdir(path, 0700), 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		(void)snprintf(path, sizeof(path), "%s/@templates/%s", root.path, kept[i]);
		assert_int_equal(mkdir(path, 0700), 0);
	}
	assert_int_equal(template_list(&root.rt, &list, &len, &err), 0);
	assert_int_equal(len, 0);
	template_list_free(list, len);
	for (size_t i = 0; i < ARRAY_LEN(gone); i++) {
		(void)snprintf(path, sizeof(path), "%s/@templates/%s", root.path, gone[i]);
		assert_int_equal(access(path, F_OK), -1);
	}
	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		(void)snprintf(path, sizeof(path), "%s/@templates/%s", root.path, kept[i]);
		assert_int_equal(access(path, F_OK), 0);
	}
	test_root_remove(&root);
}

static void a_name_that_is_no_key_removes_nothing(void **unused)
{
	static const char *const names[] = { "", "..", "0123456789abcde/", "0123456789ABCDEF",
					     "0123456789abcdef.making" };
	struct err err = { 0 };
	struct test_root root;
	size_t removed;

	(void)unused;
	test_root_make(&root);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_int_equal(template_remove(&root.rt, names[i], &removed, &err), -EINVAL);
	assert_int_equal(template_remove(&root.rt, "0123456789abcdef", &removed, &err), -ENOENT);
	assert_int_equal(template_remove(&root.rt, NULL, &removed, &err), 0);
	assert_int_equal(removed, 0);
	test_root_remove(&root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_plan_has_one_key),
		cmocka_unit_test(what_makes_another_machine_makes_another_key),
		cmocka_unit_test(a_file_that_changes_changes_the_key),
		cmocka_unit_test(firmware_beside_the_program_is_of_the_key),
		cmocka_unit_test(a_plan_that_is_no_machine_has_no_key),
		cmocka_unit_test(an_answer_is_believed_only_when_it_is_one),
		cmocka_unit_test(silence_has_an_end),
		cmocka_unit_test(a_template_is_taken_from_who_has_it),
		cmocka_unit_test(who_has_something_else_has_nothing),
		cmocka_unit_test(a_directory_that_others_may_write_is_none),
		cmocka_unit_test(what_has_no_holder_is_swept_and_the_rest_is_left),
		cmocka_unit_test(a_name_that_is_no_key_removes_nothing),
	};

	return cmocka_run_group_tests_name("runtime/template", tests, open_plan, close_plan);
}
