/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/platform/systrap/systrap_internal.h - the sentry's half of the systrap platform.
 *
 * A space is a stub: pidfd, socket, the sentry's mapping of its STUB_PRW. Threads of it are either
 * the guest's (the host thread may post one request) or the kernel's (the host thread waits for a
 * reply). What a stub says is believed only as far as it concerns the stub itself: the sequence
 * number must be the one that is due, addresses of frames must lie in the thread's own slot, and
 * who a new process is comes from the kernel (birth.c). A stub that breaks the protocol is killed.
 */
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/ucontext.h>

#include "base/list.h"
#include "sentry/core/kloop.h"
#include "sentry/core/kmutex.h"
#include "sentry/core/ktimer.h"
#include "sentry/platform/platform.h"
#include "sentry/platform/systrap/abi.h"
#include "sentry/platform/systrap/patch.h"
#include "sentry/platform/systrap/policy.h"
#include "sentry/platform/systrap/systrap.h"

#define GOOD_PAGES 64

/* STUB_PRW of one process: its memfd and the sentry's mapping of it. */
struct systrap_prw {
	int fd;
	uint8_t *map;
};

struct platform_nursery {
	unsigned int refs;		  /* its owner's, its spaces', and of who makes one */
	struct platform_thread *template; /* NULL: it has ended */
	struct kmutex lock;		  /* while the template forks */
	struct platform_thread *spare;	  /* a child for the next space, or NULL */
	bool spare_wanted, started;	  /* one is under way; there was a space */
	struct ktimer first;		  /* when the first spare is made */
	unsigned int processes;		  /* of spaces, born and not gone */
	unsigned int births;		  /* clones that are under way in its spaces */
	struct waitq changed;		  /* one of the two is 0; it is not held any more */
	struct list_head spaces;
	bool held;     /* its processes may be stopped by the host: nobody asks them */
	bool unplaced; /* what it would fork now would be born in another's cgroup */
	void (*on_end)(void *arg);
	void *on_end_arg;
};

struct platform_space {
	unsigned int refs;
	struct platform_nursery *nursery; /* one reference */
	struct list_head nursery_node;
	bool dead;   /* nothing is expected from it any more */
	bool killed; /* it was sent SIGKILL */
	bool gone;   /* the host says so */
	pid_t tgid;
	int pidfd;
	struct systrap_prw prw;
	struct kloop_fd death;
	struct kmutex lock;		 /* clone, fork and donations: one at a time */
	struct kmutex flush_lock;	 /* held while a thread is flushing */
	struct platform_thread *pending; /* it has a batch */
	struct fiber *asker;		 /* holds flush_lock, waits until a thread has posted */
	unsigned int outs_pending;	 /* copies of all threads */
	uint64_t ended_guest_ticks;	 /* of tasks that have ended */
	uint64_t entries;		 /* how often a thread was let go */
	bool windows_used;		 /* there is a guest's data in the slots */
	/* Pages that were written lately and have not been mapped otherwise since. */
	uint64_t good_page[GOOD_PAGES];
	struct list_head threads; /* those of tasks */
	struct list_head idle;	  /* host threads without a task, for reuse */
	struct list_head dying;	  /* systrap.dying */
	unsigned int slots;	  /* slots below this number were given out */
	bool cloned_out;	  /* a child may still map these slots */
	struct code_map code;
	struct systrap_patches *patches;
};

/* What a process has done since a thread of it was kicked (deaf.c). */
struct systrap_deaf {
	uint64_t user_ns, cpu_ns; /* its CPU time at the last look: in user mode, and in all */
	uint64_t entries;	  /* likewise */
	uint64_t user, cpu;	  /* used since the kick */
	uint64_t own;		  /* of user, what nobody but the thread can have used */
	bool alone;		  /* no other thread was in guest code at the last look */
	unsigned int idle, noted; /* looks: no CPU was used; the stub had noted the kick */
};

/* One host call that a thread may make, once. A mask bit clear: any argument. */
struct systrap_grant {
	bool valid;
	long nr;
	uint64_t args[6];
	unsigned int mask;
	int fd;	    /* put at STUB_FD_DONATED first; -1: none */
	bool owned; /* the descriptor is ours to close */
};

#define SYSTRAP_GRANTS (STUB_BATCH_MAX + 2) /* of a batch, and of the action behind it */

struct platform_thread {
	struct platform_space *space; /* one reference */
	struct list_head node;	      /* space->threads or space->idle */
	struct list_head guest_node;  /* systrap.guests while it is the guest's, or .taken */
	struct list_head tid_node;    /* systrap.tids */
	struct stub_ctx *ctx;	      /* hostile */
	unsigned int slot;
	uint32_t index; /* in STUB_WRO */
	pid_t tid;	/* 0 until its birth */

	uint32_t seq; /* of the last request that was taken */
	bool guest;   /* it may post */
	bool early;   /* its READY is answered before it has come */
	bool posted;  /* a request was taken and nobody has looked at it yet */
	struct fiber *waiter;
	void (*on_end)(void *arg); /* platform_ops.thread_on_end */
	void *on_end_arg;
	struct {
		uint32_t kind;
		uint64_t nr, args[6];
	} req; /* private copy */

	/* Registers while it is the kernel's. */
	uint64_t uc;	    /* frame: a stub address inside the slot; 0: none */
	bool in_handler;    /* the stub waits in a handler of that frame */
	bool fast;	    /* it came by a patched site: registers are in the save area */
	bool frame_changed; /* go back by STUB_ACT_SIGRETURN */
	bool have_result;
	bool in_syscall; /* the last event was a system call */
	bool fs_known;	 /* or it is in the slot still */
	uint64_t result, syscall_nr, fs_base, gs_base;

	bool patch_wanted;
	struct patch_code patch;

	uint32_t cpu;	      /* its affinity; UINT32_MAX: any (policy.c) */
	bool masked;	      /* the guest has said where it may run: */
	cpu_set_t mask;	      /* there */
	bool counted;	      /* among the running (policy.c) */
	uint64_t left_at;     /* when it was let go last; ticks */
	uint64_t guest_ticks; /* in guest code */
	uint64_t cpu_shown;   /* what thread_cpu_ns() said */
	bool running;	      /* in thread_run() */
	bool interrupted;     /* thread_interrupt() asked and nothing was reported yet */
	bool told_parked;     /* it was told that this request takes long */
	bool kicked;	      /* SIGURG is under way; deaf fires if it is not answered */
	bool ending;	      /* thread_end() asked */
	bool told_alone;      /* STUB_IDS_ALONE */
	struct {
		uint64_t id; /* of a notification that is its request; 0: none */
		long nr;
		uint64_t args[6];
	} notified;
	struct ktimer deaf;
	struct systrap_deaf deaf_state;
	unsigned int batch_len;	  /* memory calls that wait for the next reply */
	uint64_t in_addr, in_len; /* what its request shows */
	struct fiber *fiber;	  /* that runs it */
	unsigned int outs;	  /* copies that wait for the next reply */
	uint32_t out_used;
	struct stub_out out[STUB_OUTS_MAX]; /* what was sent is not read back */
	bool flushing;			    /* a fiber that copies memory has them made */
	unsigned int expected;		    /* it is under way with grants */
	unsigned int grants_len;
	struct systrap_grant grants[SYSTRAP_GRANTS];
};

struct systrap_birth {
	struct list_head node;
	uint64_t nonce;
	struct platform_thread *parent;
	struct platform_thread *child; /* complete but for its identity */
	uint64_t flags;		       /* of clone(2) */
	pid_t since;		       /* systrap.last_born when the call passed */
	bool process;		       /* or a thread */
	bool born;
	bool passed;	/* the call was allowed */
	bool restarted; /* the call has asked a second time */
	struct fiber *waiter;
};

#define SYSTRAP_TID_BUCKETS 256
#define SYSTRAP_ACTION_NS   (60 * NSEC_PER_SEC) /* an action that takes longer is a broken stub */
#define SYSTRAP_GRACE_NS    (5 * NSEC_PER_SEC)	/* systrap_park() */

extern struct systrap {
	struct systrap_options options;
	struct stub_global *global;
	uint32_t *words; /* STUB_WRO */
	struct stub_ids *ids;
	uint64_t slide;	       /* of this sandbox's stubs (abi.h) */
	uint64_t entry;	       /* stub_enter() in the stub */
	unsigned int expected; /* threads that are under way with grants */
	uint8_t index_used[STUB_THREADS];
	uint32_t index_next;
	int doorbell;
	int listener;
	int zygote_sock;
	pid_t zygote_pid;    /* 0: adopted */
	bool stubs_dumpable; /* no user namespace and no root: see zygote.c */
	int gro_fd, wro_fd, ids_fd;
	struct platform_nursery nursery; /* of the sandbox; others are forked from its template */
	struct kloop_fd doorbell_source, listener_source, zygote_source;
	struct list_head guests; /* threads that may post */
	struct list_head taken;	 /* those that have and were not answered yet */
	struct list_head births;
	pid_t self;	 /* the sentry's own number: nobody may ask for it in the cage */
	pid_t last_born; /* number of the newest task: what comes has higher ones, or begins anew */
	struct list_head dying; /* spaces without references: their processes' ends are awaited */
	struct list_head tids[SYSTRAP_TID_BUCKETS];
	struct platform_counts counts;
} systrap;

/* Where an address of abi.h is in this sandbox's stubs. */
static inline uint64_t systrap_at(uint64_t address)
{
	return address + systrap.slide;
}

/*
 * Whether a clone that was allowed, and asked again or has no child that was born, has made a task
 * all the same: one with a number behind b->since that stays unknown. Waits for births under way.
 * 0: none; -ESRCH: it and its parent's process are killed, or the parent had gone before.
 */
int systrap_no_ghost(const struct systrap_birth *b);

/* zygote.c */
int systrap_zygote_start(int stub_fd);
/* One that was started for us: owned by our user, as another one, in a user namespace. */
int systrap_zygote_adopt(int sock);
/* Say what the template is; its greeting, which tells its pid. */
int systrap_zygote_setup(int prw_fd);
/* Before anything of abi.h is used: where stubs of this sandbox lie. 0, -EIO. */
int systrap_choose_base(void);
int systrap_zygote_hello(pid_t *ret);
void systrap_zygote_reap(int pidfd);

/* filter.c: at most ZYGOTE_FILTER_MAX instructions into `ret`; their number. */
unsigned int systrap_filter(enum systrap_profile profile, struct sock_filter *ret);

/* nursery.c */
void systrap_nursery_init(struct platform_nursery *n);
/* The reference of a space; its process, from its birth to its end. */
void systrap_nursery_join(struct platform_nursery *n, struct platform_space *s);
void systrap_nursery_leave(struct platform_space *s);
void systrap_nursery_born(struct platform_space *s);
void systrap_nursery_gone(const struct platform_space *s);
/* A clone in a space begins and ends. */
void systrap_nursery_clones(struct platform_nursery *n, int change);
/* platform_ops.space_new, nursery_new and the other nursery_*. */
int systrap_space_from(struct platform_nursery *from, struct platform_thread **ret);
int systrap_nursery_new(struct platform_nursery **ret, int ret_pidfds[2]);
void systrap_nursery_placed(struct platform_nursery *n);
void systrap_nursery_on_end(struct platform_nursery *n, void (*fn)(void *arg), void *arg);
void systrap_nursery_hold(struct platform_nursery *n, bool held);
void systrap_nursery_free(struct platform_nursery *n);

/* space.c */
/* Without a process yet; one reference. */
int systrap_space_new(struct platform_nursery *of, struct platform_space **ret);
/* Takes pidfd, also when it fails. */
int systrap_space_born(struct platform_space *s, int pidfd, pid_t tgid);
void systrap_space_ref(struct platform_space *s);
void systrap_space_unref(struct platform_space *s);
void systrap_space_kill(struct platform_space *s);
/* Without a host thread yet. */
int systrap_thread_new(struct platform_space *s, unsigned int slot, struct platform_thread **ret);
void systrap_thread_born(struct platform_thread *t, pid_t tid);
void systrap_answers(struct platform_thread *t, const struct platform_answers *a);
void systrap_thread_forget(struct platform_thread *t);
struct platform_thread *systrap_thread_by_tid(pid_t tid);

/* deaf.c */
void systrap_kick(struct platform_thread *t);
void systrap_kick_init(struct platform_thread *t);
/* CPU time that the space's process has used; 0: nobody knows. */
uint64_t systrap_cpu_ns(const struct platform_space *s);

/* talk.c: requests and replies. */
int systrap_talk_init(void);
void systrap_reply(struct platform_thread *t, enum stub_action action);
/*
 * fiber_park() until a stub has done what it must do before *deadline. Where that has passed once
 * (*late, which begins as false), the sandbox may have stood still with both of us, by a freezer:
 * there is SYSTRAP_GRACE_NS more. 0 or -ETIMEDOUT.
 */
int systrap_park(nsec_t *deadline, bool *late);
/*
 * Wait until the thread has posted. 0 or -ESRCH: too late, and it is killed. Time in which its
 * nursery is held does not count.
 */
int systrap_await(struct platform_thread *t, nsec_t deadline);
/* The thread waits for a reply: a new one has reported. 0 or -ESRCH. */
int systrap_settle(struct platform_thread *t);
/* A new thread that is under way: what is replied now is the answer to its READY. */
bool systrap_answer_early(struct platform_thread *t);
/* Reply with an action that was written to the context; the result of its DONE. */
int64_t systrap_action(struct platform_thread *t, enum stub_action action);
/* The thread may make this call once; bits of mask: the arguments that count. */
void systrap_grant(struct platform_thread *t, unsigned int which, long nr, const uint64_t args[6],
		   unsigned int mask);
/* A host call in the stub. */
int64_t systrap_call(struct platform_thread *t, long nr, const uint64_t args[6]);

/*
 * notify.c: a notification for which there is no grant: is it a request? Its answer is the reply,
 * which is true when there was one.
 */
bool systrap_notified(struct platform_thread *t, const struct seccomp_notif *n);
bool systrap_notified_reply(struct platform_thread *t, enum stub_action action);
/* Before the guest runs: may its stub make memory calls so? */
void systrap_tell_alone(struct platform_thread *t);
/* A request has come; its parts are in t->req. */
void systrap_taken(struct platform_thread *t);

/* batch.c: memory calls that go along with the next reply. */
bool systrap_is_alone(const struct platform_thread *t);
bool systrap_defer(struct platform_thread *t, long nr, const uint64_t args[6], int fd);
void systrap_batch_sent(struct platform_thread *t);
void systrap_batch_drop(struct platform_thread *t);
/* Before memory is looked at. May park. */
int systrap_flush(struct platform_space *s);
/* window.c: copies through the slot. */
bool systrap_window_read(struct platform_space *s, void *dst, uaddr_t src, size_t len);
bool systrap_window_write(struct platform_space *s, uaddr_t dst, const void *src, size_t len);
void systrap_window_written(struct platform_space *s, uaddr_t dst, size_t len);
/* Copies that are still to be made in this range are made now. */
int systrap_window_flush(struct platform_space *s, uaddr_t addr, size_t len);
void systrap_window_forget(struct platform_space *s); /* mappings have changed */
void systrap_window_sent(struct platform_thread *t);
void systrap_window_drop(struct platform_thread *t);
int systrap_sync(struct platform_thread *t);
/* The thread's own fiber waits until a foreign flush is over. */
void systrap_flush_wait(struct platform_thread *t);
/* Notifications that are to come: while there are any, the loop looks at descriptors. */
void systrap_grants_sent(struct platform_thread *t);
void systrap_grant_used(struct platform_thread *t);
/* It makes no more calls that need one; grants that were not sent yet stay. */
void systrap_grants_over(struct platform_thread *t);
void systrap_grants_end(struct platform_thread *t);

/* birth.c: notifications. */
int systrap_births_start(int listener);
int systrap_fork_stub(struct platform_thread *t, struct platform_thread **ret);
int systrap_clone_thread(struct platform_thread *t, struct platform_thread **ret);

/* frame.c: registers. */
bool systrap_frame_ok(const struct platform_thread *t, uint64_t uc);
void systrap_frame_reset(struct platform_thread *t);
void systrap_frame_copy(const struct platform_thread *from, struct platform_thread *to);
/* Have a frame: registers of a thread that came by a patched site move into one. May park. */
int systrap_frame_ensure(struct platform_thread *t);
/* The frame's rip, and put one in; translate it into trampolines (patch.h). */
uint64_t systrap_fs_base(const struct platform_thread *t);
void systrap_put_fs_base(struct platform_thread *t, uint64_t base);
uint64_t systrap_gs_register(const struct platform_thread *t);
void systrap_take_gs(struct platform_thread *t);
int systrap_frame_rip(const struct platform_thread *t, uint64_t *ret);
void systrap_frame_set_rip(struct platform_thread *t, uint64_t rip);
void systrap_frame_translate(struct platform_thread *t);
void systrap_frame_set_rax(struct platform_thread *t, uint64_t value);
int systrap_get_regs(struct platform_thread *t, struct arch_regs *ret);
int systrap_set_regs(struct platform_thread *t, const struct arch_regs *regs);
int systrap_get_fpu(struct platform_thread *t, void *ret, size_t len);
int systrap_set_fpu(struct platform_thread *t, const void *image, size_t len);

/* resident.c */
int systrap_resident(struct platform_space *s, uaddr_t addr, size_t pages, uint8_t *ret);
int systrap_usage(struct platform_space *s, struct platform_usage *ret);
int systrap_thread_usage(struct platform_thread *t, struct platform_usage *ret);

/* memory.c */
int systrap_map(struct platform_thread *t, const struct platform_map *map);
/* With exact flags; anywhere below the stub's own areas. */
int systrap_map_donated(struct platform_thread *t, const struct platform_map *map, int flags);
int systrap_unmap(struct platform_thread *t, uaddr_t addr, uint64_t len);
int systrap_protect(struct platform_thread *t, uaddr_t addr, uint64_t len, int prot);
int systrap_advise(struct platform_thread *t, uaddr_t addr, uint64_t len, int advice);
int systrap_move(struct platform_thread *t, uaddr_t old_addr, uint64_t old_len, uaddr_t new_addr,
		 uint64_t new_len);
ssize_t systrap_read(struct platform_space *s, void *dst, uaddr_t src, size_t len);
ssize_t systrap_write(struct platform_space *s, uaddr_t dst, const void *src, size_t len);
