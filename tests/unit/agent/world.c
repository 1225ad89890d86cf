/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include "lib/unit.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "leftovers.h"
#include "slowfile.h"

struct host host;
pid_t agent;
int channel;
char root[64];
bool world_has_slow_file;
char cgroups[64];

/* ---- The agent and its world ---------------------------------------------------------------- */

__attribute__((noreturn)) static void become_agent(int fd)
{
	char number[16];

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)snprintf(number, sizeof(number), "%d", fd);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	    mount("proc", "/proc", "proc", 0, NULL) == 0 &&
	    mount("tmpfs", "/run", "tmpfs", 0, NULL) == 0 && fcntl(fd, F_SETFD, 0) == 0)
		(void)execl(AGENT, "caisson-agent", number, cgroups, NULL);
	perror("caisson-agent");
	_exit(127);
}

static pid_t start_agent(int fd)
{
	const pid_t pid = fork();
	int status;

	if (pid != 0)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare(CLONE_NEWNS | CLONE_NEWPID) < 0)
		_exit(126);
	/* Process 1 of its pid namespace: whatever it leaves ends with it. */
	if (fork() == 0)
		become_agent(fd);
	(void)close(fd);
	(void)wait(&status);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 125);
}

static void make_root(void)
{
	static const char *const directories[] = { "bin", "proc", "dev", "tmp", LEFTOVERS_SLOW };
	static const char *const words[] = { "sh",   "cat",  "echo", "sleep", "true", "kill",
					     "stty", "head", "ls",   "mkdir", "yes" };
	char command[512], name[128];

	/* Roots of user namespaces pass, too. */
	assert_int_equal(chmod(root, 0755), 0);
	for (size_t i = 0; i < ARRAY_LEN(directories); i++) {
		(void)snprintf(name, sizeof(name), "%s/%s", root, directories[i]);
		assert_int_equal(mkdir(name, 0755), 0);
	}
	(void)snprintf(command, sizeof(command),
		       "cp /bin/busybox %s/bin/busybox; cp " LOCK_MEMORY " %s/bin/lock-memory",
		       root, root);
	assert_int_equal(system(command), 0);
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		(void)snprintf(name, sizeof(name), "%s/bin/%s", root, words[i]);
		assert_int_equal(symlink("busybox", name), 0);
	}
}

static int begin(void **state)
{
	struct rlimit files;
	char slow[80];
	int pair[2];

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	files.rlim_cur = 1024;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
	assert_int_equal(unshare(CLONE_NEWNS), 0);
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	(void)snprintf(cgroups, sizeof(cgroups), "/caisson-agent-%d", (int)getpid());
	leftovers_watch(root, sizeof(root), cgroups);
	make_root();
	(void)snprintf(slow, sizeof(slow), "%s/" LEFTOVERS_SLOW, root);
	world_has_slow_file = slowfile_mount(slow);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	agent = start_agent(pair[1]);
	(void)close(pair[1]);
	channel = dup(pair[0]);
	host_open(&host, pair[0]);
	return 0;
}

static int end(void **state)
{
	int status = -1;

	(void)state;
	if (world_has_slow_file)
		slowfile_stop();
	host_must(&host, AGENT_SHUTDOWN, NULL, NULL);
	assert_int_equal(waitpid(agent, &status, 0), agent);
	assert_int_equal(status, 0);
	host_close(&host);
	(void)close(channel);
	leftovers_remove();
	return 0;
}

struct container_plan plan(const char *id, const char *command)
{
	return (struct container_plan){ .id = id, .root = root, .command = command };
}

void says(const char *words)
{
	if (!strstr(host.answer.data, words))
		fail_msg("\"%s\" does not say \"%s\"", host.answer.data, words);
}

static bool is_possible(void)
{
	if (geteuid() != 0 || access("/bin/busybox", X_OK) < 0 ||
	    access("/sys/fs/cgroup", W_OK) < 0)
		return false;
	return true;
}

pid_t agent_itself(void)
{
	char path[64];
	int pid = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)agent, (int)agent);
	f = fopen(path, "re");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%d", &pid), 1);
	(void)fclose(f);
	return pid;
}

unsigned int need_slow_file(void)
{
	if (!world_has_slow_file) {
		print_message("skipped: no FUSE here: CAVEATS.md#test-fuse\n");
		skip();
	}
	return slowfile_reads();
}

void await_reads(unsigned int before)
{
	const int64_t end = clock_ms() + HOST_WAIT_MS;

	while (slowfile_reads() == before) {
		if (clock_ms() > end)
			fail_msg("nobody reads the slow file");
		(void)usleep(10000);
	}
}

/* Name and state; ' ' without a process. */
char look_at(pid_t pid, char name[static 32])
{
	char path[64], state = ' ';
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	name[0] = '\0';
	if (f && fscanf(f, "%*d (%31[^)]) %c", name, &state) < 2)
		state = ' ';
	if (f)
		(void)fclose(f);
	return state;
}

int slowfile_let_go(void **state)
{
	(void)state;
	slowfile_release();
	return 0;
}

int world_run(const char *name, const struct CMUnitTest *tests, size_t len)
{
	if (!is_possible()) {
		print_message("skipped: containers need root: CAVEATS.md#unit-root\n");
		return 77;
	}
	return _cmocka_run_group_tests(name, tests, len, begin, end);
}
