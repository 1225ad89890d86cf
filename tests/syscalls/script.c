/* SPDX-License-Identifier: Apache-2.0 */
/* execve(2) of scripts: the "#!" line. */
#include "harness.h"

extern char **environ;

/* As an interpreter: argv is [program, "--subject", script, arguments...], or with more in the
 * line. */
int test_subject(int argc, char **argv)
{
	FILE *out = fopen("seen", "w");

	for (int i = 0; i < argc; i++)
		fprintf(out, "[%s]", i ? argv[i] : "0");
	fclose(out);
	return 42;
}

static void script(const char *path, const char *format, const char *arg)
{
	char text[1000];

	snprintf(text, sizeof(text), format, arg);
	write_file(path, text);
	OK(chmod(path, 0755));
}

static void run(const char *path, const char *want)
{
	char buf[2000];
	pid_t pid;

	unlink("seen");
	CHILD (pid) {
		execl(path, "name-that-goes", "arg 1", "arg2", NULL);
		FAIL("execl: %s", test_errno_name(errno));
	}
	wait_exit(pid, 42);
	read_file("seen", buf, sizeof(buf));
	CHECK_STR(buf, want);
}

TEST(interpreter_with_one_argument)
{
	script("s", "#!%s --subject\n", test_self());
	run("./s", "[0][--subject][./s][arg 1][arg2]");
}

TEST(blanks_around)
{
	script("s", "#! \t %s \t --subject  \t\nmore", test_self());
	run("./s", "[0][--subject][./s][arg 1][arg2]");
}

TEST(rest_of_the_line_is_one_argument)
{
	copy_self("subject");
	/* The subject is known by its name here: argv[0] is the interpreter as written. */
	script("s", "#!%s --subject\n", "./subject");
	run("./s", "[0][--subject][./s][arg 1][arg2]");
}

TEST(no_newline_at_the_end)
{
	script("s", "#!%s --subject", test_self());
	run("./s", "[0][--subject][./s][arg 1][arg2]");
}

TEST(script_as_interpreter)
{
	char line[300];

	script("inner", "#!%s --subject\n", test_self());
	snprintf(line, sizeof(line), "#!%s word\n", "./inner");
	write_file("outer", line);
	OK(chmod("outer", 0755));
	run("./outer", "[0][--subject][./inner][word][./outer][arg 1][arg2]");
}

TEST(too_deep)
{
	char name[16], line[64];
	char *const argv[] = { "x", NULL };

	script("s0", "#!%s --subject\n", test_self());
	for (int i = 1; i <= 6; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		snprintf(line, sizeof(line), "#!./s%d\n", i - 1);
		write_file(name, line);
		OK(chmod(name, 0755));
	}
	CHECK_ERRNO(execve("./s6", argv, environ), ELOOP);
	script("self", "#!%s\n", "./self");
	CHECK_ERRNO(execve("./self", argv, environ), ELOOP);
}

TEST(errors)
{
	char *const argv[] = { "x", NULL };

	script("gone", "#!%s\n", "/no/such/interpreter");
	CHECK_ERRNO(execve("./gone", argv, environ), ENOENT);
	script("nothing", "#!%s\n", "");
	CHECK_ERRNO(execve("./nothing", argv, environ), ENOEXEC);
	script("blank", "#!%s\n", "   ");
	CHECK_ERRNO(execve("./blank", argv, environ), ENOEXEC);
	write_file("plain", "");
	script("noexec", "#!%s\n", "./plain");
	CHECK_ERRNO(execve("./noexec", argv, environ), EACCES);
	script("dir", "#!%s\n", "/");
	CHECK_ERRNO(execve("./dir", argv, environ), EACCES);
	script("s", "#!%s --subject\n", test_self());
	OK(chmod("s", 0644));
	CHECK_ERRNO(execve("./s", argv, environ), EACCES);
}

TEST(by_descriptor)
{
	char *const argv[] = { "x", "a", NULL };
	char buf[200], want[200];
	int fd;
	pid_t pid;

	script("s", "#!%s --subject\n", test_self());
	fd = OK(open("s", O_RDONLY));
	CHILD (pid)
		syscall(SYS_execveat, fd, "", argv, environ, AT_EMPTY_PATH);
	wait_exit(pid, 42);
	read_file("seen", buf, sizeof(buf));
	snprintf(want, sizeof(want), "[0][--subject][/dev/fd/%d][a]", fd);
	CHECK_STR(buf, want);
	/* The interpreter could not open a descriptor that closes. */
	OK(fcntl(fd, F_SETFD, FD_CLOEXEC));
	CHECK_ERRNO(syscall(SYS_execveat, fd, "", argv, environ, AT_EMPTY_PATH), ENOENT);
}

TEST(comm_is_the_scripts)
{
	char *const argv[] = { "x", NULL };
	char text[64] = "";
	pid_t pid;

	if (access("/bin/sh", X_OK))
		SKIP("no /bin/sh");
	write_file("a-script", "#!/bin/sh\ncat /proc/$$/comm > seen\n");
	OK(chmod("a-script", 0755));
	CHILD (pid)
		execve("./a-script", argv, environ);
	wait_ok(pid);
	read_file("seen", text, sizeof(text));
	CHECK_STR(text, "a-script\n");
}
