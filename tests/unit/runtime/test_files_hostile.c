/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtiofsd in the cage of runtime/vm/files.h, asked by a guest whose driver is no Linux: names
 * that lead elsewhere, nodes and handles that it was never given, messages that contradict
 * themselves, rings that lead nowhere. It may refuse, end or stay away; no answer has anything of
 * what lies beside the share, and nothing there changes.
 */
#include "ns/rootfs_fixture.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <linux/virtio_ring.h>
#include <sched.h>
#include <signal.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "fuse_client.h"
#include "runtime/vm/files.h"

#define VIRTIOFSD  "/usr/lib/qemu/virtiofsd"
#define ANSWER_MS  3000
#define SILENT_MAX 40 /* requests without an answer, as of who locks a file twice */
#define SECRET	   "s3cret-of-the-host"
#define HIDDEN	   "hidden-name"
#define AGE	   0x1234567 /* seconds: when all that lies outside was changed, and nothing inside */

/* The bytes of it in struct fuse_attr. */
static const uint64_t age = AGE;

struct world {
	struct fixture *fx;
	struct fuse_client client;
	int sock;
	pid_t pid;
	uint64_t nodes[32], handles[32]; /* some that are good, or were */
	size_t nodes_len, handles_len;
	unsigned int answered, ended, silent;
};

/* ---- Who serves ----------------------------------------------------------------------------- */

static void start_server(struct world *w)
{
	struct files_plan plan = { .dir = w->fx->root, .userns = -EBADF };
	struct fixture *fx = w->fx;

	EXPECT_OK(fx, files_find(VIRTIOFSD, &plan.program, &fx->err));
	EXPECT_OK(fx, files_socketpair(&plan.listener, &w->sock, &fx->err));
	plan.words = open("/dev/null", O_WRONLY | O_CLOEXEC);
	w->pid = fork();
	if (w->pid == 0) {
		EXPECT(unshare(CLONE_NEWNS) == 0);
		(void)files_become(&plan, &fx->err);
		(void)fprintf(stderr, "%s\n", fx->err.msg);
		_exit(99);
	}
	(void)close(plan.listener);
	(void)close(plan.words);
	EXPECT(w->pid > 0);
	EXPECT(fuse_client_open(&w->client, w->sock) == 0);
}

static void stop_server(struct world *w)
{
	(void)kill(w->pid, SIGKILL);
	EXPECT(waitpid(w->pid, NULL, 0) == w->pid);
	fuse_client_close(&w->client);
	(void)close(w->sock);
}

static bool is_told(const struct world *w, size_t len)
{
	const uint8_t *in = w->client.in;

	return memmem(in, len, SECRET, strlen(SECRET)) || memmem(in, len, HIDDEN, strlen(HIDDEN)) ||
	       memmem(in, len, &age, sizeof(age));
}

/* What lies in the guest's memory is looked at whole, whatever length is told. */
static ssize_t judge(struct world *w, ssize_t n)
{
	if (is_told(w, FUSE_CLIENT_BUFFER)) {
		(void)fprintf(stderr, "opcode %u, node %#llx: the answer has what is outside\n",
			      ((struct fuse_in_header *)w->client.out)->opcode,
			      (unsigned long long)((struct fuse_in_header *)w->client.out)->nodeid);
		_exit(1);
	}
	w->answered += n >= (ssize_t)sizeof(struct fuse_out_header);
	return n;
}

/* ---- Requests ------------------------------------------------------------------------------- */

/* A header that says `said` bytes before a body. */
static ssize_t put(struct world *w, uint32_t opcode, uint64_t node, const void *body, size_t len,
		   size_t said)
{
	struct fuse_in_header *header = (void *)w->client.out;

	*header = (struct fuse_in_header){ .len = (uint32_t)said,
					   .opcode = opcode,
					   .unique = ++w->client.unique,
					   .nodeid = node };
	memcpy(header + 1, body, len);
	return fuse_client_send(&w->client, sizeof(*header) + len, FUSE_CLIENT_BUFFER, ANSWER_MS);
}

static void remember(uint64_t *list, size_t *len, uint64_t number)
{
	list[*len < 32 ? (*len)++ : number % 32] = number;
}

static ssize_t ask(struct world *w, uint32_t opcode, uint64_t node, const void *body, size_t len);

static void greet(struct world *w)
{
	const struct fuse_open_in open_in = { .flags = O_RDONLY };
	const struct fuse_init_in init = { .major = FUSE_KERNEL_VERSION,
					   .minor = 36,
					   .max_readahead = 4096,
					   .flags = FUSE_DO_READDIRPLUS | FUSE_POSIX_ACL |
						    FUSE_DONT_MASK | FUSE_SETXATTR_EXT |
						    FUSE_SUBMOUNTS };
	const struct fuse_out_header *answer = (void *)w->client.in;

	w->nodes_len = 0;
	w->handles_len = 0;
	w->nodes[w->nodes_len++] = FUSE_ROOT_ID;
	EXPECT(put(w, FUSE_INIT, 0, &init, sizeof(init),
		   sizeof(struct fuse_in_header) + sizeof(init)) > (ssize_t)sizeof(*answer));
	EXPECT(answer->error == 0);
	if (ask(w, FUSE_OPENDIR, FUSE_ROOT_ID, &open_in, sizeof(open_in)) > 0)
		remember(w->handles, &w->handles_len, *(const uint64_t *)(answer + 1));
}

static void restart(struct world *w)
{
	stop_server(w);
	start_server(w);
	greet(w);
}

/* The error, or the length of what follows; after silence or an end somebody new serves. */
static ssize_t settle(struct world *w, ssize_t n)
{
	const struct fuse_out_header *answer = (void *)w->client.in;

	(void)judge(w, n);
	if (n < 0) {
		w->ended += n == -EPIPE;
		w->silent += n == -ETIMEDOUT;
		EXPECT(w->silent < SILENT_MAX);
		restart(w);
		return n;
	}
	if (n < (ssize_t)sizeof(*answer))
		return 0;
	return answer->error ? answer->error : n - (ssize_t)sizeof(*answer);
}

static ssize_t ask(struct world *w, uint32_t opcode, uint64_t node, const void *body, size_t len)
{
	return settle(w, put(w, opcode, node, body, len, sizeof(struct fuse_in_header) + len));
}

/* A struct and up to two names behind it; each as long as it is, with its end. */
static ssize_t ask_named(struct world *w, uint32_t opcode, uint64_t node, const void *head,
			 size_t len, const char *first, const char *second)
{
	uint8_t body[16384];
	const size_t first_len = first ? strlen(first) + 1 : 0;
	const size_t second_len = second ? strlen(second) + 1 : 0;

	EXPECT(len + first_len + second_len <= sizeof(body));
	memcpy(body, head, len);
	memcpy(body + len, first ? first : "", first_len);
	memcpy(body + len + first_len, second ? second : "", second_len);
	return ask(w, opcode, node, body, len + first_len + second_len);
}

static uint64_t look_up(struct world *w, uint64_t node, const char *name)
{
	const struct fuse_entry_out *entry =
		(void *)(w->client.in + sizeof(struct fuse_out_header));

	if (ask_named(w, FUSE_LOOKUP, node, "", 0, name, NULL) < (ssize_t)sizeof(*entry))
		return 0;
	remember(w->nodes, &w->nodes_len, entry->nodeid);
	return entry->nodeid;
}

/* ---- What lies beside ----------------------------------------------------------------------- */

static void make_world(struct world *w)
{
	const struct timespec times[] = { { .tv_sec = AGE }, { .tv_sec = AGE } };
	static const char *const outside[] = { "host/" HIDDEN, "host/deeper", "host/f", "host",
					       "" };
	struct fixture *fx = w->fx;
	char path[128];

	make_dir(fx, "host/deeper");
	make_file(fx, "host/" HIDDEN, SECRET);
	make_file(fx, "host/f", SECRET);
	make_dir(fx, "rootfs/inner");
	make_dir(fx, "rootfs/inner/deep");
	make_file(fx, "rootfs/file", "shared");
	make_file(fx, "rootfs/inner/file", "shared");
	make_link(fx, "../host", "rootfs/link");
	make_link(fx, "../host/f", "rootfs/link-file");
	make_link(fx, "/", "rootfs/inner/top");
	for (size_t i = 0; i < ARRAY_LEN(outside); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", fx->dir, outside[i]);
		EXPECT(utimensat(AT_FDCWD, path, times, 0) == 0);
	}
}

/* Everything beside the share that a guest could have changed. */
static void list_outside(const struct world *w, struct buf *ret)
{
	char command[512], text[4096];
	size_t n;
	FILE *f;

	(void)snprintf(
		command, sizeof(command),
		"cd %s && find . -path ./rootfs -prune -o -printf '%%p %%y %%m %%U %%G %%n %%s "
		"%%T@ %%C@\\n' | sort; cat %s/host/*f %s/host/" HIDDEN,
		w->fx->dir, w->fx->dir, w->fx->dir);
	f = popen(command, "re");
	EXPECT(f);
	while ((n = fread(text, 1, sizeof(text), f)) > 0)
		EXPECT(buf_append(ret, text, n) == 0);
	EXPECT(pclose(f) == 0);
}

/* ---- Acts ----------------------------------------------------------------------------------- */

static char long_name[5000];

static const char *const names[] = {
	"..",	     ".",
	"",	     "/",
	"/etc",	     "../host",
	"../host/f", "inner/../..",
	"link/f",    "link/..",
	"link",	     "link-file",
	"host",	     "inner/top/host",
	"inner",     "file",
	"new/../..", "../../..",
	long_name,   "/proc/self/root",
};

/* As root of the guest, with ids of anybody. */
static void names_that_lead_elsewhere(struct world *w, uint64_t node, const char *name)
{
	const uint32_t modes[] = { S_IFREG | 04777, S_IFCHR | 0666, S_IFBLK | 0666,
				   S_IFSOCK | 0666 };
	struct fuse_create_in create = { .flags = O_RDWR | O_CREAT, .mode = S_IFREG | 0666 };
	const struct fuse_mkdir_in mkdir_in = { .mode = 0777 };
	struct fuse_link_in link_in = { .oldnodeid = node };

	(void)look_up(w, node, name);
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		const struct fuse_mknod_in mknod_in = { .mode = modes[i],
							.rdev = (uint32_t)makedev(1, 1) };

		(void)ask_named(w, FUSE_MKNOD, node, &mknod_in, sizeof(mknod_in), name, NULL);
	}
	(void)ask_named(w, FUSE_CREATE, node, &create, sizeof(create), name, NULL);
	create.flags |= O_TRUNC;
	(void)ask_named(w, FUSE_CREATE, node, &create, sizeof(create), name, NULL);
	(void)ask_named(w, FUSE_MKDIR, node, &mkdir_in, sizeof(mkdir_in), name, NULL);
	(void)ask_named(w, FUSE_SYMLINK, node, "", 0, name, "../host");
	(void)ask_named(w, FUSE_LINK, node, &link_in, sizeof(link_in), name, NULL);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct fuse_rename_in rename_in = { .newdir = FUSE_ROOT_ID };
		struct fuse_rename2_in exchange = { .newdir = node, .flags = 2 };

		(void)ask_named(w, FUSE_RENAME, node, &rename_in, sizeof(rename_in), name,
				names[i]);
		(void)ask_named(w, FUSE_RENAME2, node, &exchange, sizeof(exchange), name, names[i]);
	}
	(void)ask_named(w, FUSE_UNLINK, node, "", 0, name, NULL);
	(void)ask_named(w, FUSE_RMDIR, node, "", 0, name, NULL);
	(void)ask_named(w, FUSE_REMOVEXATTR, node, "", 0, name, NULL);
}

/* A link of the share is opened, read, listed, written and changed as if it were what it names. */
static void links_as_what_they_name(struct world *w, uint64_t node)
{
	static const uint32_t flags[] = { O_RDONLY,   O_RDWR,	   O_RDWR | O_CREAT | O_TRUNC,
					  O_PATH,     O_DIRECTORY, O_RDWR | O_TMPFILE,
					  O_NOFOLLOW, ~0u };
	const struct fuse_open_out *opened =
		(void *)(w->client.in + sizeof(struct fuse_out_header));
	struct fuse_setattr_in attributes = {
		.valid = ~0u & ~(uint32_t)FATTR_FH, .mode = 0777, .uid = 7, .gid = 7, .mtime = 1
	};

	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		for (uint32_t opcode = FUSE_OPEN; opcode <= FUSE_OPENDIR;
		     opcode += FUSE_OPENDIR - FUSE_OPEN) {
			const struct fuse_open_in open_in = { .flags = flags[i] };
			struct fuse_read_in read_in = { .size = 65536 };

			if (ask(w, opcode, node, &open_in, sizeof(open_in)) <
			    (ssize_t)sizeof(*opened))
				continue;
			read_in.fh = opened->fh;
			remember(w->handles, &w->handles_len, opened->fh);
			(void)ask(w, FUSE_READ, node, &read_in, sizeof(read_in));
			(void)ask(w, FUSE_READDIR, node, &read_in, sizeof(read_in));
			(void)ask(w, FUSE_READDIRPLUS, node, &read_in, sizeof(read_in));
		}
	}
	(void)ask(w, FUSE_SETATTR, node, &attributes, sizeof(attributes));
	(void)ask(w, FUSE_READLINK, node, "", 0);
	(void)ask(w, FUSE_STATFS, node, "", 0);
}

static void directed_body(struct fixture *fx)
{
	AUTO_BUF struct buf before = { 0 }, after = { 0 };
	struct world w = { .fx = fx };
	uint64_t nodes[9] = { 0, 77, UINT64_C(1) << 63, ~UINT64_C(0), FUSE_ROOT_ID };

	memset(long_name, 'n', sizeof(long_name) - 1);
	make_world(&w);
	list_outside(&w, &before);
	start_server(&w);
	greet(&w);
	for (size_t i = 0; i < ARRAY_LEN(nodes); i++) {
		for (size_t j = 0; j < ARRAY_LEN(names); j++) {
			/* Whoever serves by now knows them by other numbers; some may be gone. */
			nodes[5] = look_up(&w, FUSE_ROOT_ID, "inner");
			nodes[6] = look_up(&w, FUSE_ROOT_ID, "link");
			nodes[7] = look_up(&w, FUSE_ROOT_ID, "link-file");
			nodes[8] = look_up(&w, nodes[5], "top");
			names_that_lead_elsewhere(&w, nodes[i], names[j]);
		}
		links_as_what_they_name(&w, nodes[i]);
	}
	stop_server(&w);
	list_outside(&w, &after);
	EXPECT(w.answered > 1000);
	EXPECT(before.len > 0 && str_eq(before.data, after.data));
}

static void need_virtiofsd(void)
{
	if (access(VIRTIOFSD, X_OK) < 0) {
		print_message("skipped: " VIRTIOFSD " is not there: CAVEATS.md#vm-guest\n");
		skip();
	}
}

static void no_name_and_no_link_leads_out_of_the_share(void **state)
{
	(void)state;
	need_virtiofsd();
	in_child(directed_body);
}

/* ---- What contradicts itself ---------------------------------------------------------------- */

static uint64_t random_word(const struct world *w)
{
	static const uint64_t words[] = { 0,	   1,	       2,	  4095,	       4096,
					  1 << 20, UINT32_MAX, INT64_MAX, ~UINT64_C(0) };
	const long choice = random() % 4;

	if (choice == 0 && w->nodes_len)
		return w->nodes[(size_t)random() % w->nodes_len];
	if (choice == 1 && w->handles_len)
		return w->handles[(size_t)random() % w->handles_len];
	return choice == 2 ? (uint64_t)random() : words[(size_t)random() % ARRAY_LEN(words)];
}

/* Of requests that say something: how many words come before names. */
static const struct {
	uint32_t opcode;
	size_t words;
} shapes[] = {
	{ FUSE_LOOKUP, 0 },	  { FUSE_GETATTR, 2 },	   { FUSE_SETATTR, 11 },
	{ FUSE_READLINK, 0 },	  { FUSE_SYMLINK, 0 },	   { FUSE_MKNOD, 2 },
	{ FUSE_MKDIR, 1 },	  { FUSE_UNLINK, 0 },	   { FUSE_RMDIR, 0 },
	{ FUSE_RENAME, 1 },	  { FUSE_LINK, 1 },	   { FUSE_OPEN, 1 },
	{ FUSE_READ, 5 },	  { FUSE_WRITE, 5 },	   { FUSE_RELEASE, 3 },
	{ FUSE_SETXATTR, 2 },	  { FUSE_GETXATTR, 1 },	   { FUSE_LISTXATTR, 1 },
	{ FUSE_REMOVEXATTR, 0 },  { FUSE_FLUSH, 3 },	   { FUSE_OPENDIR, 1 },
	{ FUSE_READDIR, 5 },	  { FUSE_READDIRPLUS, 5 }, { FUSE_RELEASEDIR, 3 },
	{ FUSE_CREATE, 2 },	  { FUSE_RENAME2, 2 },	   { FUSE_COPY_FILE_RANGE, 7 },
	{ FUSE_LSEEK, 3 },	  { FUSE_FALLOCATE, 4 },   { FUSE_FORGET, 1 },
	{ FUSE_BATCH_FORGET, 1 }, { FUSE_SYNCFS, 1 },	   { FUSE_SETUPMAPPING, 5 },
	{ FUSE_STATFS, 0 },
};

static size_t random_body(const struct world *w, size_t words, uint8_t *body)
{
	const size_t count = (size_t)random() % 3;
	size_t len = 0;

	for (size_t i = 0; i < words; i++, len += 8) {
		const uint64_t word = random_word(w);

		memcpy(body + len, &word, 8);
	}
	for (size_t i = 0; i < count; i++) {
		const char *name = names[(size_t)random() % ARRAY_LEN(names)];
		const size_t name_len = strlen(name) + (size_t)(random() % 8 != 0);

		memcpy(body + len, name, name_len);
		len += name_len;
	}
	return len;
}

static void random_request(struct world *w)
{
	const size_t shape = (size_t)random() % ARRAY_LEN(shapes);
	const uint32_t opcode = random() % 8 ? shapes[shape].opcode : (uint32_t)random() % 54;
	const size_t words = random() % 8 ? shapes[shape].words : (size_t)random() % 12;
	const struct fuse_out_header *answer = (void *)w->client.in;
	uint64_t first;
	uint8_t body[16384];
	const size_t len = random_body(w, words, body);
	const size_t honest = sizeof(struct fuse_in_header) + len;
	const size_t said = random() % 8 ? honest : (size_t)random() % 70000;
	const ssize_t n = settle(w, put(w, opcode, random_word(w), body, len, said));

	if (n < 8)
		return;
	memcpy(&first, answer + 1, sizeof(first));
	if (opcode == FUSE_OPEN || opcode == FUSE_OPENDIR)
		remember(w->handles, &w->handles_len, first);
	else if (opcode == FUSE_LOOKUP || opcode == FUSE_MKDIR || opcode == FUSE_SYMLINK ||
		 opcode == FUSE_CREATE)
		remember(w->nodes, &w->nodes_len, first);
}

/* Descriptors that lead out of the guest's memory, into each other or to no end. */
static void random_ring(struct world *w)
{
	struct vring_desc descriptors[8];
	ssize_t n;

	for (size_t i = 0; i < ARRAY_LEN(descriptors); i++) {
		const uint64_t at = random() % 4 ? fuse_client_address(&w->client, w->client.out) +
							   (uint64_t)random() % (2 << 20)
						 : random_word(w);

		descriptors[i] = (struct vring_desc){ .addr = at,
						      .len = (uint32_t)random_word(w),
						      .flags = (uint16_t)(random() % 8),
						      .next = (uint16_t)(random() % 10) };
	}
	n = fuse_client_offer(&w->client, descriptors, ARRAY_LEN(descriptors), 200);
	(void)judge(w, n);
	w->ended += n == -EPIPE;
	/* A ring that was broken is not looked at again. */
	restart(w);
}

static void random_body_of_all(struct fixture *fx)
{
	const bool soak = getenv("CAISSON_SOAK") && str_eq(getenv("CAISSON_SOAK"), "1");
	const unsigned int seed = soak ? (unsigned int)time(NULL) : 1;
	const unsigned int requests = soak ? 100000 : 3000;
	AUTO_BUF struct buf before = { 0 }, after = { 0 };
	struct world w = { .fx = fx };

	(void)fprintf(stderr, "seed %u\n", seed);
	srandom(seed);
	memset(long_name, 'n', sizeof(long_name) - 1);
	make_world(&w);
	list_outside(&w, &before);
	start_server(&w);
	greet(&w);
	for (unsigned int i = 0; i < requests; i++) {
		if (i % 500 == 499)
			random_ring(&w);
		else
			random_request(&w);
	}
	stop_server(&w);
	list_outside(&w, &after);
	(void)fprintf(stderr, "%u answers, %u ends, %u times silent\n", w.answered, w.ended,
		      w.silent);
	EXPECT(w.answered > requests / 4);
	EXPECT(before.len > 0 && str_eq(before.data, after.data));
}

static void no_message_and_no_ring_reaches_out_of_the_share(void **state)
{
	(void)state;
	need_virtiofsd();
	in_child(random_body_of_all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_name_and_no_link_leads_out_of_the_share),
		cmocka_unit_test(no_message_and_no_ring_reaches_out_of_the_share),
	};

	return cmocka_run_group_tests_name("runtime/files_hostile", tests, NULL, NULL);
}
