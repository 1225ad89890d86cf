/* SPDX-License-Identifier: Apache-2.0 */
/* shim/manage_state.c - what the shim knows of its containers, as JSON. */
#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "shim/manage.h"
#include "shim/shim.h"

static const char *status_of(const struct proc *p)
{
	switch (p->state) {
	case PROC_NEW:
		return "creating";
	case PROC_CREATED:
		return "created";
	case PROC_RUNNING:
		return p->task->paused ? "paused" : "running";
	default:
		return "stopped";
	}
}

/* NULL: out of memory. */
static json_t *describe_proc(const struct proc *p, const char *id)
{
	char when[CLOCK_TEXT_MAX];
	json_t *o = json_pack("{s:s, s:s, s:i, s:b}", "id", id, "status", status_of(p), "pid",
			      (int)p->pid, "terminal", (int)p->streams.terminal);

	if (o && p->state == PROC_STOPPED &&
	    (json_object_set_new(o, "exit_status", json_integer(p->exit_status)) < 0 ||
	     json_object_set_new(o, "exited_at",
				 json_string(clock_rfc3339(&p->exited_at, true, when))) < 0)) {
		json_decref(o);
		return NULL;
	}
	return o;
}

static json_t *describe_task(const struct task *t)
{
	const char *root = t->settings ? t->settings->rt.root : "";
	const char *class = t->isolation == ISOLATION_UNSET ? "" : isolation_name(t->isolation);
	json_t *execs = json_array();
	json_t *o = describe_proc(&t->init, t->id);
	const struct proc *p;
	int r = o && execs ? 0 : -ENOMEM;

	list_for_each(p, &t->execs, node)
	{
		if (r == 0)
			r = json_array_append_new(execs, describe_proc(p, p->exec_id));
	}
	if (r == 0)
		r = json_object_set_new(o, "class", json_string(class));
	if (r == 0)
		r = json_object_set_new(o, "bundle", json_string(t->bundle));
	if (r == 0)
		r = json_object_set_new(o, "root", json_string(root));
	if (r == 0)
		r = json_object_set(o, "execs", execs);
	json_decref(execs);
	if (r == 0)
		return o;
	json_decref(o);
	return NULL;
}

int manage_state(const struct shim *s, const char *rest, struct buf *out, struct err *err)
{
	AUTO_JSON json_t *containers = json_array();
	AUTO_JSON json_t *o = NULL;
	AUTO_FREE char *text = NULL;
	const struct task *t;

	(void)rest;
	list_for_each(t, &s->tasks, node)
	{
		if (json_array_append_new(containers, describe_task(t)) < 0)
			return err_sys(err, -ENOMEM, "state");
	}
	o = json_pack("{s:s, s:s, s:s, s:i, s:O}", "version", CAISSON_VERSION, "namespace", s->ns,
		      "group", s->group, "pid", (int)getppid(), "containers", containers);
	text = o ? json_text(o, JSON_COMPACT) : NULL;
	if (!text)
		return err_sys(err, -ENOMEM, "state");
	(void)buf_printf(out, "%s\n", text);
	return 0;
}
