/* SPDX-License-Identifier: Apache-2.0 */
#include "hypervisor/qmp.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"

#define COMMAND_MAX 64u		/* bytes of a command's name, with the NUL */
#define READ_CHUNK  (64u << 10) /* bytes */
#define PUMP_READS  32u		/* of one qmp_pump(): who floods us keeps nobody */

struct question {
	uint64_t id;
	char command[COMMAND_MAX];
};

struct qmp {
	int fd; /* owned */
	qmp_event_fn *on_event;
	void *arg;
	uint64_t next_id;
	struct question pending[QMP_PENDING_MAX]; /* the oldest first */
	unsigned int pending_len;
	unsigned int answered;		  /* of pending, from the first: their answers are kept */
	json_t *answers[QMP_PENDING_MAX]; /* owned */
	struct buf input;		  /* less than a line, between calls */
	size_t scanned;			  /* bytes of it without a newline */
	struct err broken;		  /* code 0: in order */
};

int qmp_new(int fd, qmp_event_fn *on_event, void *arg, struct qmp **ret)
{
	struct qmp *qmp = calloc(1, sizeof(*qmp));
	const int flags = fcntl(fd, F_GETFL);

	if (!qmp || flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
		const int r = qmp ? -errno : -ENOMEM;

		free(qmp);
		(void)close(fd);
		return r;
	}
	*qmp = (struct qmp){ .fd = fd, .on_event = on_event, .arg = arg, .next_id = 1 };
	qmp->input.max = QMP_LINE_MAX + READ_CHUNK;
	*ret = qmp;
	return 0;
}

void qmp_free(struct qmp *qmp)
{
	if (!qmp)
		return;
	for (unsigned int i = 0; i < qmp->answered; i++)
		json_decref(qmp->answers[i]);
	buf_done(&qmp->input);
	(void)close(qmp->fd);
	free(qmp);
}

int qmp_fd(const struct qmp *qmp)
{
	return qmp->fd;
}

/* The client is of no more use; err has the sentence, which is kept. */
static int broken(struct qmp *qmp, const struct err *why, struct err *err)
{
	qmp->broken = *why;
	if (err)
		*err = *why;
	return why->code;
}

static int is_broken(const struct qmp *qmp, struct err *err)
{
	if (qmp->broken.code && err)
		*err = qmp->broken;
	return qmp->broken.code;
}

/* ---- What QEMU says ---- */

static int take_answer(struct qmp *qmp, json_t *message, struct err *err)
{
	const json_t *id = json_object_get(message, "id");
	const struct question *q = &qmp->pending[qmp->answered];

	if (qmp->answered == qmp->pending_len)
		return err_set(err, -EPROTO, "QMP: an answer that nobody asked for");
	if (!json_is_integer(id) || json_integer_value(id) != (json_int_t)q->id)
		return err_set(err, -EPROTO, "QMP %s: the answer is to another question",
			       q->command);
	qmp->answers[qmp->answered++] = json_incref(message);
	return 0;
}

static int take_message(struct qmp *qmp, json_t *message, struct err *err)
{
	const json_t *event;

	if (!json_is_object(message))
		return err_set(err, -EPROTO, "QMP: a line that is no object");
	if (json_object_get(message, "QMP"))
		return 0; /* the greeting */
	event = json_object_get(message, "event");
	if (event) {
		const json_t *data = json_object_get(message, "data");

		if (!json_is_string(event) || (data && !json_is_object(data)))
			return err_set(err, -EPROTO, "QMP: an event without name or data");
		if (qmp->on_event)
			qmp->on_event(qmp->arg, json_string_value(event), data);
		return 0;
	}
	if (json_object_get(message, "return") || json_object_get(message, "error"))
		return take_answer(qmp, message, err);
	return err_set(err, -EPROTO, "QMP: a message that is neither answer nor event");
}

/* All whole lines of the input. */
static int take_lines(struct qmp *qmp, struct err *err)
{
	size_t begin = 0;
	int r = 0;

	while (r == 0) {
		AUTO_JSON json_t *message = NULL;
		const size_t from = begin > qmp->scanned ? begin : qmp->scanned;
		const char *end = qmp->input.len > from ? memchr(qmp->input.data + from, '\n',
								 qmp->input.len - from)
							: NULL;

		if (!end)
			break;
		r = json_parse(qmp->input.data + begin, (size_t)(end - qmp->input.data) - begin,
			       "QMP", &message, err);
		if (r < 0)
			r = err_prefix(err, -EPROTO, "from QEMU");
		else
			r = take_message(qmp, message, err);
		begin = (size_t)(end - qmp->input.data) + 1;
	}
	if (begin > 0) {
		qmp->input.len -= begin;
		memmove(qmp->input.data, qmp->input.data + begin, qmp->input.len + 1);
	}
	qmp->scanned = qmp->input.len;
	return r;
}

/* Read once without waiting. 1: something came; 0: nothing is there. */
static int read_some(struct qmp *qmp, struct err *err)
{
	struct err why = { 0 };
	ssize_t n = 0;
	int r = buf_reserve(&qmp->input, READ_CHUNK);

	if (r == 0) {
		do
			n = recv(qmp->fd, qmp->input.data + qmp->input.len, READ_CHUNK, 0);
		while (n < 0 && errno == EINTR);
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return 0;
		r = n < 0 ? -errno : 0;
		/* Reset: it had not read all that we said. */
		if (n == 0 || r == -ECONNRESET) {
			(void)err_set(&why, -EPIPE, "QMP: QEMU has closed the connection");
			return broken(qmp, &why, err);
		}
	}
	if (r < 0) {
		(void)err_sys(&why, r, "QMP: read");
		return broken(qmp, &why, err);
	}
	qmp->input.len += (size_t)n;
	qmp->input.data[qmp->input.len] = '\0';
	r = take_lines(qmp, &why);
	if (r == 0 && qmp->input.len > QMP_LINE_MAX)
		r = err_set(&why, -EPROTO, "QMP: a line of more than %u bytes", QMP_LINE_MAX);
	return r < 0 ? broken(qmp, &why, err) : 1;
}

int qmp_pump(struct qmp *qmp, struct err *err)
{
	int r = is_broken(qmp, err);

	for (unsigned int i = 0; r == 0 && i < PUMP_READS; i++) {
		const int came = read_some(qmp, err);

		if (came == 0)
			break;
		r = came < 0 ? came : 0;
	}
	return r;
}

/* ---- What we say ---- */

/* Until the socket is ready for `events`; -ETIMEDOUT without a sentence. */
static int await(const struct qmp *qmp, short events, int64_t deadline)
{
	struct pollfd p = { .fd = qmp->fd, .events = events };

	for (;;) {
		const int64_t left = deadline - clock_ms();
		const int n = poll(&p, 1, left > 0 ? (int)left : 0);

		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0 && left <= 0)
			return -ETIMEDOUT;
	}
}

/* `fd` (or -1) goes with the first of the bytes. */
static ssize_t send_part(int sock, const char *bytes, size_t len, int fd)
{
	struct iovec iov = { .iov_base = (char *)bytes, .iov_len = len };
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *head;

	if (fd >= 0) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = sizeof(control.bytes);
		head = CMSG_FIRSTHDR(&msg);
		*head = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
					  .cmsg_type = SCM_RIGHTS,
					  .cmsg_len = CMSG_LEN(sizeof(int)) };
		memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	}
	return sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* A command that went half-way cannot be taken back. */
static int send_line(struct qmp *qmp, const char *command, const char *line, int fd,
		     int64_t deadline, struct err *err)
{
	const size_t len = strlen(line);
	size_t sent = 0;
	struct err why = { 0 };
	int r = 0;

	while (sent < len && r == 0) {
		const ssize_t n = send_part(qmp->fd, line + sent, len - sent, sent ? -1 : fd);

		if (n >= 0)
			sent += (size_t)n;
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			r = await(qmp, POLLOUT, deadline);
		else if (errno != EINTR)
			r = -errno;
	}
	if (r == 0)
		return 0;
	(void)err_sys(&why, r, "QMP %s: send", command);
	return broken(qmp, &why, err);
}

static int line_of(uint64_t id, const char *command, json_t *arguments, char **ret)
{
	AUTO_JSON json_t *message =
		json_pack("{s:s, s:I}", "execute", command, "id", (json_int_t)id);
	AUTO_FREE char *text = NULL;
	AUTO_BUF struct buf line = { 0 };

	if (!message || (arguments && json_object_set(message, "arguments", arguments) < 0))
		return -ENOMEM;
	text = json_text(message, JSON_COMPACT);
	if (!text)
		return -ENOMEM;
	(void)buf_puts(&line, text);
	(void)buf_puts(&line, "\n");
	if (buf_error(&line))
		return buf_error(&line);
	*ret = line.data;
	line.data = NULL;
	return 0;
}

static int ask(struct qmp *qmp, const char *command, json_t *arguments, int fd, int timeout_ms,
	       struct err *err)
{
	struct question *q = &qmp->pending[qmp->pending_len];
	AUTO_FREE char *line = NULL;
	int r = is_broken(qmp, err);

	if (r < 0)
		return r;
	if (qmp->pending_len == QMP_PENDING_MAX)
		return err_set(err, -EBUSY, "QMP %s: %u commands wait for an answer", command,
			       QMP_PENDING_MAX);
	if (strlen(command) >= COMMAND_MAX)
		return err_set(err, -EINVAL, "QMP %s: no such command", command);
	r = line_of(qmp->next_id, command, arguments, &line);
	if (r < 0)
		return err_sys(err, r, "QMP %s", command);
	r = send_line(qmp, command, line, fd, clock_ms() + timeout_ms, err);
	if (r < 0)
		return r;
	*q = (struct question){ .id = qmp->next_id++ };
	memcpy(q->command, command, strlen(command));
	qmp->pending_len++;
	return 0;
}

int qmp_ask(struct qmp *qmp, const char *command, json_t *arguments, int timeout_ms,
	    struct err *err)
{
	return qmp_ask_with(qmp, command, arguments, -1, timeout_ms, err);
}

int qmp_ask_with(struct qmp *qmp, const char *command, json_t *arguments, int fd, int timeout_ms,
		 struct err *err)
{
	const int r = ask(qmp, command, arguments, fd, timeout_ms, err);

	json_decref(arguments);
	return r;
}

/* What an answer says: its value in *ret, or QEMU's sentence. */
static int read_answer(const char *command, const json_t *answer, json_t **ret, struct err *err)
{
	const json_t *refusal = json_object_get(answer, "error");
	json_t *value = json_object_get(answer, "return");

	if (refusal) {
		const char *class = json_string_value(json_object_get(refusal, "class"));
		const char *text = json_string_value(json_object_get(refusal, "desc"));

		return err_set(err, -EREMOTEIO, "QMP %s: %s: %s", command, class ? class : "?",
			       text ? text : "no reason is given");
	}
	if (ret)
		*ret = json_incref(value);
	return 0;
}

/* Until the oldest question has its answer; events without end are none. */
static int await_answer(struct qmp *qmp, const char *command, int timeout_ms, struct err *err)
{
	const int64_t deadline = clock_ms() + timeout_ms;
	struct err why = { 0 };

	while (qmp->answered == 0) {
		int r = is_broken(qmp, err);

		if (r == 0)
			r = read_some(qmp, err);
		if (r < 0)
			return err_prefix(err, r, "%s", command);
		if (r > 0 && (qmp->answered > 0 || clock_ms() < deadline))
			continue;
		r = r > 0 ? -ETIMEDOUT : await(qmp, POLLIN, deadline);
		if (r < 0) {
			(void)err_set(&why, r, "QMP %s: no answer within %d ms", command,
				      timeout_ms);
			return broken(qmp, &why, err);
		}
	}
	return 0;
}

bool qmp_has_answer(const struct qmp *qmp)
{
	return qmp->answered > 0;
}

int qmp_answer(struct qmp *qmp, int timeout_ms, json_t **ret, struct err *err)
{
	AUTO_JSON json_t *answer = NULL;
	struct question q;
	int r;

	if (qmp->pending_len == 0)
		return err_set(err, -ENOENT, "QMP: nothing was asked");
	q = qmp->pending[0];
	r = await_answer(qmp, q.command, timeout_ms, err);
	if (r < 0)
		return r;
	answer = qmp->answers[0];
	qmp->answered--;
	qmp->pending_len--;
	memmove(&qmp->answers[0], &qmp->answers[1], qmp->answered * sizeof(qmp->answers[0]));
	memmove(&qmp->pending[0], &qmp->pending[1], qmp->pending_len * sizeof(qmp->pending[0]));
	return read_answer(q.command, answer, ret, err);
}

int qmp_call(struct qmp *qmp, const char *command, json_t *arguments, int timeout_ms, json_t **ret,
	     struct err *err)
{
	int r;

	if (qmp->pending_len > 0) {
		json_decref(arguments);
		return err_set(err, -EBUSY, "QMP %s: another command waits for its answer",
			       command);
	}
	r = qmp_ask(qmp, command, arguments, timeout_ms, err);
	return r < 0 ? r : qmp_answer(qmp, timeout_ms, ret, err);
}
