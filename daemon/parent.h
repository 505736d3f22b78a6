/* SPDX-License-Identifier: ISC */

/* What the files of the parent offer each other, beside config.h. */

#ifndef DAEMON_PARENT_H
#define DAEMON_PARENT_H

#include <sys/types.h>

#include "../common/frame.h"
#include "../common/proc.h"
#include "../common/stats.h"
#include "config.h"

#define CHILDREN_MAX	(LISTENERS_MAX + HANDLERS_MAX + 3)
#define LISTENS_MAX	16		/* listen lines */
#define SHUTDOWN_MS	10000		/* what is in flight may take so long */
#define STATUS_MS	1000		/* a child that is silent is said to be so */
#define STATUS_MAX	(64 * 1024)	/* bytes of a whole status answer */

enum child_state {
	CHILD_GONE,		/* no process; a timer may start it again */
	CHILD_STARTING,
	CHILD_READY,
	CHILD_STOPPING
};

struct child_proc {
	enum role	 role;
	uint32_t	 index;
	uint32_t	 instance;
	enum child_state state;
	pid_t		 pid;
	struct channel	*control;
	struct event	*restart;	/* timer */
	unsigned int	 failures;	/* deaths in a row, each soon after a start */
	uint64_t	 started_ms;
	int		 was_ready;	/* ever */
	int		 answered;	/* the status question that is open */
	int		 stats_due;	/* it was asked and has not answered */
	struct stat_set	 stats;		/* what it said last */
	char		 name[24];	/* "handler 1" */
};

struct parent {
	struct config		*config;
	struct event_base	*base;
	const char		*libexec;	/* folder of the executables */
	char			*chroot_dir;	/* as root; else NULL */
	int			 foreground;
	int			 verbose;
	int			 drop;		/* started as root */
	uid_t			 uid[ROLE_MAX];
	gid_t			 gid[ROLE_MAX];
	uint64_t		 boot_id;
	volatile int		 stop;
	int			 exit_code;
	int			 stopping;
	struct child_proc	 children[CHILDREN_MAX];
	size_t			 nchildren;
	/* Listening sockets: one a listener and a listen line. */
	int			 sockets[LISTENERS_MAX][LISTENS_MAX];
	size_t			 nsockets;	/* listen lines */
};

extern struct parent parent;

/* users.c: whom each role runs as, and the folders that must exist.
 * Each returns 0, or -1 after a line that names the command that mends it. */
int	users_resolve(void);
int	folders_prepare(void);
void	folders_release(void);

/* bind.c: the listening sockets; 0, or -1 after a log line. */
int	sockets_bind(void);

/* generations.c: before the sandbox; 0, or -1 after a log line. */
int	generations_open(void);
/* A copy of the page's descriptor, for a handler; -1 after a log line. */
int	generations_fd(void);
/* A handler died: nobody knows what it wrote last. */
void	generations_advance(void);

/*
 * events.c: what happened, for the trail: name is static, the format makes a
 * JSON object of less than 512 bytes.
 */
void	event_tell(const char *name, const char *fmt, ...)
	    __attribute__((__format__(printf, 2, 3)));
/* A new auditd. */
void	events_resend(void);
/* Its MSG_AUDIT_ACK or _NACK; -1: malformed. */
int	events_acked(const struct frame *);

/*
 * notify.c: the service manager, where there is one; none of these waits or
 * fails.  Opened once the event loop is there and before the sandbox.
 */
void	notify_open(void);
void	notify_close(void);
/* The doors are open; also: a reload is over, well or not. */
void	notify_ready(void);
/* Before a reload; notify_ready() must follow. */
void	notify_reloading(void);
void	notify_stopping(void);
/* One line for people, without an end of line. */
void	notify_status(const char *fmt, ...)
	    __attribute__((__format__(printf, 1, 2)));

/* pipes.c: the programs of `sink pipe'. */
void	pipes_start(void);
void	pipes_auditd_ready(void);
/* Whether pid was one of them. */
int	pipes_ended(pid_t pid, int status);
void	pipes_stop(void);

/* slices.c: queues what the child must know, MSG_START to MSG_CONFIG_END. */
int	slice_send(struct child_proc *);
/* Reads the key file and hands it to authd; 0, or -1 after a log line. */
int	keys_send(struct child_proc *);

/* lastuse.c: authd's MSG_KEYS_USED; -1: malformed. */
int	lastuse_told(const struct frame *);
/* Writes what is not written yet. */
void	lastuse_flush(void);

/* supervise.c */
void	supervise_start(void);
/* Orderly end: listeners first, auditd last. */
void	supervise_stop(void);
struct child_proc *supervise_find(enum role, uint32_t index);
/* The key file may have changed. */
void	supervise_keys(void);
void	supervise_verbose(int);

/*
 * figures.c: what the children measure.  Asks each that has answered the
 * question before.
 */
void	figures_ask(void);
/* A child's MSG_STATS; -1: malformed, or nobody asked. */
int	figures_take(struct child_proc *, const struct frame *);
/* It is dead: its counters stay. */
void	figures_ended(struct child_proc *);
/* Everybody's, merged; the caller frees it.  -1: out of memory. */
int	figures_total(struct stat_set *);
/* The text of a label; "" where the row has none. */
const char *figures_label(const struct stat_cell *, unsigned int which);

/* status.c: asks every child; done gets the text, once, within STATUS_MS. */
void	status_ask(void (*done)(const char *, size_t, void *), void *);
/* A child's MSG_STATUS; -1: malformed. */
int	status_answer(struct child_proc *, const struct frame *);
/* Who asked is gone: done is called with NULL in its place. */
void	status_forget(const void *arg);

/*
 * explain.c: asks authd what it would decide of a token; done gets the text,
 * once, within STATUS_MS, or NULL where there is no answer.
 */
void	explain_ask(const void *token, size_t len,
	    void (*done)(const char *, size_t, void *), void *);
/* Authd's MSG_EXPLAINED; -1: malformed. */
int	explain_answer(const struct frame *);
/* As status_forget(). */
void	explain_forget(const void *arg);

/* control.c: the socket of pontifexctl. */
int	control_open(void);
void	control_close(void);

#endif
