/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Standard streams belong to the container's user, who can open them again, also in a user
 * namespace (agent/stdio.h).
 */
#include "lib/unit.h"

#include <signal.h>
#include <stdio.h>

#include "world.h"

#define NAMESPACES                                                  \
	"{\"type\":\"pid\"},{\"type\":\"ipc\"},{\"type\":\"uts\"}," \
	"{\"type\":\"user\"}"
#define MAPS(first, uid, gid)                                                            \
	",\"uidMappings\":[{\"containerID\":" #first ",\"hostID\":" #uid                 \
	",\"size\":1000}],\"gidMappings\":[{\"containerID\":" #first ",\"hostID\":" #gid \
	",\"size\":1000}]"

/* Needs no capability: it has none. */
#define OPENS                                                                         \
	"for i in 0 1 2; do [ -O /proc/self/fd/$i ] || exit 2$i; done; "              \
	"echo out >/dev/stdout; echo err >/dev/stderr; read x </dev/stdin; echo $x; " \
	"exit 7"

static struct container_plan in_namespace(const char *id, const char *command)
{
	struct container_plan p = plan(id, command);

	p.namespaces = NAMESPACES;
	p.maps = MAPS(0, 100000, 200000);
	return p;
}

static void expect_opened(const struct container_plan *p, int32_t pid)
{
	host_send(&host, p->in, "in\n");
	assert_int_equal(host_exited(&host, pid), 7);
	if (!p->terminal) {
		assert_string_equal(host_text(&host, p->out), "out\nin\n");
		assert_string_equal(host_text(&host, p->err), "err\n");
	}
}

static void expect_all_opened(struct container_plan p, unsigned int uid, unsigned int gid)
{
	struct container_plan e;
	int32_t pid;

	p.uid = uid;
	p.gid = gid;
	pid = container_make(&host, &p);
	assert_int_equal(container_begin(&host, &p), 0);
	expect_opened(&p, pid);
	container_end(&host, &p);

	p.command = "sleep 1000";
	(void)container_make(&host, &p);
	assert_int_equal(container_begin(&host, &p), 0);
	e = p;
	assert_int_equal(container_run(&host, &e, OPENS, &pid), 0);
	expect_opened(&e, pid);
	container_end(&host, &p);
}

/* Nothing of it is left: its name is free. */
static void a_user_that_is_not_mapped_is_named(void **state)
{
	struct container_plan p = in_namespace("stranger", OPENS);
	int32_t pid;

	(void)state;
	p.maps = MAPS(1000, 100000, 200000);
	assert_true(container_try(&host, &p, &pid) < 0);
	says("is mapped in linux.gidMappings");
	p.uid = 1001;
	p.gid = 1001;
	pid = container_make(&host, &p);
	assert_int_equal(container_begin(&host, &p), 0);
	expect_opened(&p, pid);
	container_end(&host, &p);
}

static void an_exec_of_a_user_that_is_not_mapped_fails(void **state)
{
	struct container_plan p = in_namespace("strange-exec", "sleep 1000"), e;
	int32_t pid;

	(void)state;
	(void)container_make(&host, &p);
	assert_int_equal(container_begin(&host, &p), 0);
	e = p;
	e.uid = 5000;
	assert_true(container_run(&host, &e, OPENS, &pid) < 0);
	says("setuid: Invalid argument");
	e.uid = 5;
	assert_int_equal(container_run(&host, &e, OPENS, &pid), 0);
	expect_opened(&e, pid);
	container_end(&host, &p);
}

static void pipes_can_be_opened_again(void **state)
{
	(void)state;
	expect_all_opened(plan("machine-root", OPENS), 0, 0);
	expect_all_opened(plan("machine-user", OPENS), 1000, 1001);
	expect_all_opened(in_namespace("own-root", OPENS), 0, 0);
	expect_all_opened(in_namespace("own-user", OPENS), 999, 998);
}

static void pipes_can_be_opened_again_without_id_0(void **state)
{
	struct container_plan p = in_namespace("no-root", OPENS);

	(void)state;
	p.maps = MAPS(1000, 100000, 200000);
	expect_all_opened(p, 1000, 1000);
	expect_all_opened(p, 1999, 1001);
}

static void terminals_can_be_opened_again(void **state)
{
	struct container_plan p = in_namespace("terminal", OPENS);

	(void)state;
	p.terminal = true;
	expect_all_opened(p, 0, 0);
	expect_all_opened(p, 999, 998);
}

static void in_the_user_namespace_of_another_container_too(void **state)
{
	struct container_plan first = in_namespace("first", "sleep 1000");
	struct container_plan p = plan("second", OPENS);

	(void)state;
	(void)container_make(&host, &first);
	assert_int_equal(container_begin(&host, &first), 0);
	p.namespaces = "{\"type\":\"pid\"},{\"type\":\"ipc\"},{\"type\":\"uts\"},"
		       "{\"type\":\"user\",\"path\":\"" AGENT_NAMESPACE_OF "first\"}";
	expect_all_opened(p, 0, 0);
	expect_all_opened(p, 999, 998);
	container_end(&host, &first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_user_that_is_not_mapped_is_named),
		cmocka_unit_test(an_exec_of_a_user_that_is_not_mapped_fails),
		cmocka_unit_test(pipes_can_be_opened_again),
		cmocka_unit_test(pipes_can_be_opened_again_without_id_0),
		cmocka_unit_test(terminals_can_be_opened_again),
		cmocka_unit_test(in_the_user_namespace_of_another_container_too),
	};

	return world_run("agent/streams", tests, ARRAY_LEN(tests));
}
