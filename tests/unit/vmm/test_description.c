/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/description.h"

#include "lib/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "hypervisor/machine.h"
#include "wire/agent_codec.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static struct vmm_head head;
static struct buf network, create;

static int setup(void **state)
{
	static struct agent_network net = { .links_len = 1 };
	const struct agent_create c = { .id = "c1", .config = { "{}", 2 } };

	net.links[0] = (struct agent_link){ .name = "eth0", .mac = { 2 }, .mtu = 1500 };
	head = (struct vmm_head){ .magic = VMM_MSG_MAGIC,
				  .version = VMM_MSG_VERSION,
				  .qemu_pid = 2,
				  .files_pid = 3,
				  .accel = MACHINE_TCG,
				  .cpus = 1,
				  .memory = 256u << 20,
				  .memory_max = 512u << 20,
				  .cpus_max = 2,
				  .boot_ms = 1000 };
	assert_int_equal(agent_request_encode(AGENT_NETWORK, &net, &network, NULL), 0);
	assert_int_equal(agent_request_encode(AGENT_CREATE, &c, &create, NULL), 0);
	head.network_len = (uint32_t)network.len;
	head.create_len = (uint32_t)create.len;
	return 0;
}

static int teardown(void **state)
{
	buf_done(&network);
	buf_done(&create);
	return 0;
}

static int memfd(unsigned int seals, size_t more)
{
	const int fd = memfd_create("d", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(write(fd, &head, sizeof(head)), sizeof(head));
	assert_int_equal(write(fd, network.data, network.len), network.len);
	assert_int_equal(write(fd, create.data, create.len), create.len);
	assert_int_equal(ftruncate(fd, (off_t)(sizeof(head) + network.len + create.len + more)), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static int read_it(unsigned int seals, size_t more, const char *id, struct err *err)
{
	struct description *d = NULL;
	const int fd = memfd(seals, more);
	const int r = description_read(fd, id, &d, err);

	(void)close(fd);
	if (r == 0)
		assert_int_equal(d->create.config.len, 2);
	description_free(d);
	return r;
}

static void what_can_still_change_is_refused(void **state)
{
	struct err err = { 0 };

	assert_int_equal(read_it(0, 0, "c1", &err), -EBADMSG);
	assert_says(err, "not sealed");
	assert_int_equal(read_it(F_SEAL_SHRINK | F_SEAL_GROW, 0, "c1", &err), -EBADMSG);
}

static void bytes_that_belong_to_nothing_are_refused(void **state)
{
	struct err err = { 0 };

	assert_int_equal(read_it(SEALS, 1, "c1", &err), -EBADMSG);
	head.network_len = UINT32_MAX;
	assert_int_equal(read_it(SEALS, 0, "c1", &err), -EBADMSG);
	head.network_len = 0;
	head.create_len = (uint32_t)(network.len + create.len);
	assert_int_equal(read_it(SEALS, 0, "c1", &err), -EBADMSG);
}

static void each_number_of_the_head_has_its_limits(void **state)
{
	const struct vmm_head good = head;
	struct err err = { 0 };

#define REFUSED(field, value, words)                            \
	do {                                                    \
		head = good;                                    \
		head.field = (value);                           \
		assert_true(read_it(SEALS, 0, "c1", &err) < 0); \
		assert_says(err, words);                        \
	} while (0)
	REFUSED(magic, 1, "not one of a machine");
	REFUSED(version, 99, "version 99");
	REFUSED(qemu_pid, 0, "processes 0");
	REFUSED(qemu_pid, 3, "processes 3 and 3");
	REFUSED(files_pid, -1, "processes 2 and -1");
	REFUSED(accel, 7, "accelerator 7");
	REFUSED(cpus, 0, "0 CPUs");
	REFUSED(cpus, 100000, "100000 CPUs");
	REFUSED(memory, 1, "1 bytes of memory");
	REFUSED(cpus_max, 0, "at most 0 CPUs");
	REFUSED(cpus_max, 65, "at most 65 CPUs");
	REFUSED(memory_max, (256u << 20) - 4096, "at most 2 CPUs and");
	REFUSED(memory_max, (256u << 20) + 4096, "at most 2 CPUs and");
	REFUSED(memory_max, UINT64_MAX, "at most 2 CPUs and");
	REFUSED(reserved, 1, "at most 2 CPUs");
	REFUSED(boot_ms, 0, "0 ms to boot");
	REFUSED(flags, 1u << 31, "flags 0x80000000");
}

static void another_containers_is_refused(void **state)
{
	struct err err = { 0 };

	assert_int_equal(read_it(SEALS, 0, "c2", &err), -EBADMSG);
	assert_says(err, "of container c1");
}

static void a_good_one_is_taken(void **state)
{
	struct description *d = NULL;
	struct err err = { 0 };
	const int fd = memfd(SEALS, 0);

	assert_int_equal(description_read(fd, "c1", &d, &err), 0);
	assert_non_null(d->network);
	assert_string_equal(d->create.id, "c1");
	description_free(d);
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_can_still_change_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(bytes_that_belong_to_nothing_are_refused, setup,
						teardown),
		cmocka_unit_test_setup_teardown(each_number_of_the_head_has_its_limits, setup,
						teardown),
		cmocka_unit_test_setup_teardown(another_containers_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(a_good_one_is_taken, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
