/* SPDX-License-Identifier: ISC */

/* What the files of the parent offer each other, beside config.h. */

#ifndef DAEMON_PARENT_H
#define DAEMON_PARENT_H

#include <sys/types.h>

#include "../common/frame.h"
#include "../common/message.h"
#include "../common/proc.h"
#include "../common/stats.h"
#include "config.h"

#define CREWS_MAX	4	/* that serve, rise or leave at one time */
#define LISTENS_MAX	16		/* listen lines */
#define SHUTDOWN_MS	10000		/* what is in flight may take so long */
#define STATUS_MS	1000		/* a child that is silent is said to be so */
#define STATUS_MAX	(256 * 1024)	/* bytes of a whole status answer */
#define STATUS_CHILD_MAX 1024		/* … of one child's part */

enum child_state {
	CHILD_GONE,		/* no process; a timer may start it again */
	CHILD_STARTING,
	CHILD_READY,
	CHILD_STOPPING
};

#define RENEW_MS	1000	/* a child has a secret read again so often */

struct crew;

struct child_proc {
	TAILQ_ENTRY(child_proc) entry;
	struct crew	*crew;		/* NULL: auditd, which serves all */
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
	int		 leaving;	/* a listener: to end when all is answered;
					 * auditd: to let the journal go */
	int		 has_left;	/* … it accepts nothing more */
	int		 dismissed;	/* it was killed, having served nobody */
	int		 ended;		/* … or not, and its last words are read */
	int		 checked;	/* a handler: it has said what it found */
	int		 answered;	/* the status question that is open */
	uint64_t	 restarts;	/* in its life as a child of ours */
	uint64_t	 violations;	/* calls that its sandbox refused */
	unsigned int	 violations_now; /* … of this process */
	unsigned int	 partings;	/* its words on peers, not judged yet */
	int		 stats_due;	/* it was asked and has not answered */
	struct stat_set	 stats;		/* what it said last */
	uint64_t	 renewed_ms[CREDENTIALS_MAX];	/* its secrets */
	char		 name[24];	/* "handler 1" */
};

enum crew_state {
	CREW_RISING,		/* beside the one that serves; not in force */
	CREW_SERVING,
	CREW_LEAVING,		/* finishes what is in flight */
	CREW_RESTING,		/* … too, and may have to serve again */
	CREW_RESTED,		/* … and has no process any more */
	CREW_DROPPED		/* never came into force; ends */
};

struct crew {
	TAILQ_ENTRY(crew) entry;
	uint32_t	 number;	/* from 1 */
	enum crew_state	 state;
	struct config	*config;	/* owned */
	int		 ending;	/* its listeners have ended */
	enum check_mode	 check;		/* what its handlers are to say */
	/* While it rises: all handlers have said it; or a child has ended. */
	void		(*risen)(struct crew *, const struct child_proc *);
	struct buffer	 found;		/* what they said, for people */
	struct buffer	 described;	/* … of statements that are good */
	int		 refused;	/* … and that it cannot be in force */
	struct event	*stay;		/* timer: how long it may leave */
};

struct parent {
	struct config		*config;	/* that is in force */
	const struct config	*audited;	/* that auditd has */
	struct event_base	*base;
	const char		*libexec;	/* folder of the executables */
	char			*chroot_dir;	/* as root; else NULL */
	int			 foreground;
	int			 verbose;
	int			 drop;		/* started as root */
	uid_t			 uid[ROLE_MAX];
	gid_t			 gid[ROLE_MAX];
	uint64_t		 boot_id;
	uint64_t		 started_ms;
	volatile int		 stop;
	int			 exit_code;
	int			 stopping;
	TAILQ_HEAD(, child_proc) children;	/* of all crews; auditd first */
	struct child_proc	*auditd;
	TAILQ_HEAD(, crew)	 crews;		/* oldest first */
	struct crew		*serving;
};

extern struct parent parent;

/* Appends what another parent is to have, by name; value may be "". */
typedef void (*inherit_fn)(struct buffer *, const char *name, int fd,
	    const char *value);

/* users.c: whom each role runs as, and the folders that must exist.
 * Each returns 0, or -1 after a line that names the command that mends it. */
int	users_resolve(void);
int	folders_prepare(void);
/* Says which folders of the configuration a role will not reach. */
void	folders_warn(void);
void	folders_release(void);

/*
 * bind.c: the listening sockets.  Binds what a configuration needs beside what
 * is there: 0, or -1 after a log line.
 */
int	doors_prepare(const struct config *);
void	doors_inherit(struct buffer *, inherit_fn);
/* Another parent has them, and says which of them stay. */
void	doors_release(void);
/* Closes what was bound for a configuration that did not come into force. */
void	doors_forget(void);
/* The crew is in force: its listeners get theirs, what it has not is closed. */
void	doors_open(struct crew *);
/* For a listener that was started anew. */
void	doors_send(struct child_proc *);
/* One of them; what begins the line in the log.  A descriptor or -1. */
int	bind_tcp(const char *what, const char *address, uint16_t port,
	    int shared);

/* local.c: a listening Unix socket; a descriptor, or -1 after a log line. */
int	local_bind(const char *what, const char *path, int backlog);
/* Whether nobody can connect there. */
int	local_is_dead(const char *path);

/* generations.c: before the sandbox; 0, or -1 after a log line. */
int	generations_open(void);
int	generations_page(void);
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
/* Whether there is room for what somebody may cause who may do nothing. */
int	events_have_room(void);
/* What the daemon before saw. */
void	event_adopt(const struct msg_audit_event *);
/* The first line of a text, or what of it goes into the trail. */
struct slice event_reason(const struct buffer *);
/* What was asked for and changed nothing; by: a JSON member that says who. */
void	event_refused(const char *name, const char *by, struct slice why);
/* A new auditd. */
void	events_resend(void);
/* Its MSG_AUDIT_ACK or _NACK; -1: malformed. */
int	events_acked(const struct frame *);

/*
 * notify.c: the service manager, where there is one; none of these waits or
 * fails.  Opened once the event loop is there and before the sandbox.
 * inherited: -1, or the socket as notify_inherit() handed it on, with its
 * value; this process then says nothing before notify_main().
 */
void	notify_open(int inherited, const char *watchdog);
void	notify_close(void);
/* The doors are open; also: a reload is over, well or not. */
void	notify_ready(void);
/* Before a reload; notify_ready() must follow. */
void	notify_reloading(void);
void	notify_stopping(void);
/* Another process is the daemon from now on; this one says nothing more. */
void	notify_follow(pid_t);
void	notify_inherit(struct buffer *, inherit_fn);
/* This process is the one, and ready. */
void	notify_main(void);
/* One line for people, without an end of line. */
void	notify_status(const char *fmt, ...)
	    __attribute__((__format__(printf, 1, 2)));

/* pipes.c: the programs of `sink pipe'. */
void	pipes_start(void);
void	pipes_auditd_ready(void);
/* Whether pid was one of them. */
int	pipes_ended(pid_t pid, int status);
void	pipes_stop(void);
/* Auditd is gone and none follows. */
void	pipes_forget(void);
/* Another auditd is about to start: its programs in the place of these. */
void	pipes_change(void);

/* slices.c: queues what the child must know, MSG_START to MSG_CONFIG_END. */
int	slice_send(struct child_proc *);
/* What the records of a crew name, for auditd; 0 or -1. */
int	catalogue_send(struct channel *, const struct crew *);
/*
 * Reads a secret again and hands it to the child; number: as in
 * MSG_CREDENTIALS.  -1: it has no such secret.
 */
int	slice_dsn(struct child_proc *, uint32_t number);
/* Reads the key file and hands it to authd; 0, or -1 after a log line. */
int	keys_send(struct child_proc *);

/* lastuse.c: authd's MSG_KEYS_USED; -1: malformed. */
int	lastuse_told(const struct frame *);
/* Writes what is not written yet. */
void	lastuse_flush(void);

/* child.c: the life of a process. */
/* A number that no process has yet; the next ones come behind one. */
uint32_t child_instance(void);
void	child_number_from(uint32_t);
/* Without a process yet; NULL: no memory. */
struct child_proc *child_new(struct crew *, enum role, uint32_t index);
void	child_free(struct child_proc *);
void	child_spawn(struct child_proc *);
/* Starts it again, after the pause that it has earned. */
void	child_restart(struct child_proc *);
/* Sends a message without payload; 0 or -1. */
int	child_send(const struct child_proc *, enum message_type);
/* Tells it to finish and end. */
void	child_stop(struct child_proc *);
void	child_kill(const struct child_proc *);
/* The same without a word in the log: nothing of its can be lost. */
void	child_dismiss(struct child_proc *);
/*
 * Tells auditd to let the journal go and end, or to say that it cannot; 0:
 * there is none.
 */
int	child_hand_over(struct child_proc *);
void	children_watch(void);

/* wiring.c: who talks to whom. */
int	roles_talk(enum role, enum role);
/* It is ready: it meets those of its crew that are, and auditd. */
void	wiring_ready(struct child_proc *);
/* The crew is in force: it meets auditd. */
void	wiring_auditd(struct crew *);

/* crew.c: the children that serve one configuration. */
/* Takes the configuration; NULL: no memory, it is still the caller's. */
struct crew *crew_new(struct config *);
/* Starts its children; 0, or -1: no memory. */
int	crew_start(struct crew *);
void	crew_free(struct crew *);
size_t	crew_count(void);
struct child_proc *crew_find(const struct crew *, enum role, uint32_t index);
/* Whether it cannot do without this child. */
int	crew_needs(const struct child_proc *);
int	crew_is_ready(const struct crew *);
int	crew_is_checked(const struct crew *);
/* Another is in force: it finishes, ends and is freed, at once or later. */
void	crew_leave(struct crew *);
/* The same, and it is kept, to be woken. */
void	crew_rest(struct crew *);
/* One that has come to rest serves again. */
void	crew_wake(struct crew *);
uint32_t crew_number(void);	/* the newest one's */
void	crew_number_from(uint32_t);
/* Whether one of its listeners may still accept. */
int	crew_accepts(const struct crew *);
/* It is not put in force: it ends and is freed, at once or later. */
void	crew_drop(struct crew *);
/* The same, as the daemon ends: it is kept. */
void	crew_dismiss(struct crew *);
/* Whether the end of this child was dealt with; it may be freed then. */
int	crew_child_ended(struct child_proc *);

/* reload.c: from one configuration to the next. */
/*
 * Loads the file anew and puts it in force, or changes nothing.  done gets the
 * text for whoever asked, once.  by: a JSON member that says who that was.
 */
void	reload_ask(const char *by, void (*done)(int failed, const char *,
	    size_t, void *), void *);
/* Who asked is gone: nobody is answered. */
void	reload_forget(const void *arg);
int	reload_is_under_way(void);
void	reload_give_up(void);		/* the daemon ends */
void	reload_child_ready(struct child_proc *);
int	reload_auditd_ended(void);	/* 1: it was dealt with */
int	reload_auditd_stays(void);	/* … it cannot let the journal go */
void	reload_crew_gone(void);		/* there is a place again */
void	reload_has_left(void);		/* a listener accepts nothing more */

/* attempts.c: what became of the last reload, the last upgrade. */
#define ATTEMPT_WHY_MAX	256	/* bytes of a reason, for trail and status */
enum attempt { ATTEMPT_RELOAD, ATTEMPT_UPGRADE, ATTEMPT_MAX };
void	attempt_in_force(void);		/* a reload */
void	attempt_refused(enum attempt, struct slice why);
/* Empty where the last was not refused. */
const char *attempt_why(unsigned int attempt);
void	attempts_figures(struct buffer *, uint64_t started_s);

/*
 * handover.c: what the parent that serves and the one that is to follow it say
 * to each other.
 */
#define HANDOVER_ENV		"PONTIFEXD_UPGRADE"
#define HANDOVER_WORD_MAX	16384	/* bytes of a word with its text */
/* Whether children of the other's version understand those of ours. */
int	handover_same_messages(const char *);
/* text may be NULL; it is cut where it is too long.  0 or -1. */
int	handover_say(int sock, const char *word, const char *text);
/* 1, and the text behind it (or ""); 0: nothing yet; -1: the other is gone. */
int	handover_hear(int sock, char word[HANDOVER_WORD_MAX], char **text);

/* bequeath.c: the new parent's start, with what it inherits. */
/*
 * argv of main(), before the folder is changed; relative: whether it names the
 * configuration by a path that is no good from another.
 */
void	bequeath_prepare(int argc, char **argv, int relative);
/* The executable; NULL: it is not known. */
const char *bequeath_path(void);
/*
 * Starts it, by way of a process that ends at once; by: for the trail.  Gives
 * our ends of the link and the relay, and the pid of that process, or -1 with
 * errno.
 */
pid_t	bequeath(const char *by, int *link_fd, int *relay_fd);

/* upgrade.c: another executable takes over (SIGUSR2). */
/* As reload_ask(). */
void	upgrade_ask(const char *by, void (*done)(int failed, const char *,
	    size_t, void *), void *);
void	upgrade_forget(const void *arg);
int	upgrade_is_under_way(void);
/* A stop is asked for: 1, it comes when there is one daemon again. */
int	upgrade_defers_stop(void);
void	upgrade_give_up(void);		/* the daemon ends */
/* Each: whether it was dealt with. */
int	upgrade_ended(pid_t);			/* who started the new parent */
int	upgrade_auditd_ended(void);
int	upgrade_auditd_stays(void);
void	upgrade_look(void);		/* a child is ready, or a crew has gone */

/* successor.c: the one that takes over. */
/* Takes what is inherited out of the environment; 0, or -1 after a line. */
int	successor_open(void);
/* Whether this process is one that has not taken over yet. */
int	successor_waits(void);
/*
 * What was inherited by this name, for whoever closes it; -1: nothing.  An
 * optional value that was handed over with it.
 */
int	successor_take(const char *name, const char **value);
/* Whether the daemon before had this very configuration. */
int	successor_same_config(const struct config *);
int	successor_same_messages(void);
/* What differs from the daemon before and cannot: after a line in the log. */
int	successor_may_follow(const struct config *);
void	successor_start(void);		/* in place of supervise_start() */
void	successor_child_ready(const struct child_proc *);
void	successor_auditd_ended(void);
/* The doors may be opened. */
int	successor_may_open(void);
void	successor_opened(void);
/* Whether the one before still finishes its calls. */
int	successor_other_is_there(void);
/* The daemon ends: whether the one before still leans on our auditd. */
int	successor_ends_other(void);

/* checked.c: what the handlers of a crew that rises found at their sources. */
int	checked_frame(struct child_proc *, const struct frame *);

/* probe.c: `-nn'; returns the exit status. */
int	probe_run(void);

/* supervise.c */
void	supervise_start(void);
/* Orderly end: listeners first, auditd last. */
void	supervise_stop(void);
/* A child's message, its end; for child.c. */
int	supervise_frame(struct channel *, const struct frame *, void *);
void	supervise_ended(struct child_proc *, int status);
/* Auditd, or a child of the crew that serves; NULL: there is none. */
struct child_proc *supervise_find(enum role, uint32_t index);
/* Opens the doors where all are ready and that was all it waited for. */
void	supervise_look(void);
/* The daemon before, that leant on our auditd, has ended. */
void	supervise_other_gone(void);
/* Whether the doors were opened. */
int	supervise_is_ready(void);
/* The key file may have changed. */
void	supervise_keys(void);
void	supervise_verbose(int);

/*
 * figures.c: what is measured.  done gets everybody's figures, within half a
 * second, at once where they are fresh; NULL: there are none.
 */
typedef void (*figures_done)(const struct stat_set *, void *);
void	figures_collect(figures_done, void *);
/* Who asked is gone: done is not called. */
void	figures_forget(const void *arg);
/*
 * Appends them as series (common/series.h).  reasons: the reader may know why
 * a reload was refused.
 */
void	figures_encode(struct buffer *, const struct stat_set *, int reasons);
/* What was collected a moment ago is told no more. */
void	figures_stale(void);
/* A child's MSG_STATS; -1: malformed, or nobody asked. */
int	figures_take(struct child_proc *, const struct frame *);
/* It is dead: its counters stay. */
void	figures_ended(struct child_proc *);
/* Another configuration is in force: what is kept is counted by its numbers. */
void	figures_reloaded(const struct config *from, const struct config *to);

/* metrics.c: the socket that metrics are read from; 0, or -1 after a line. */
int	metrics_bind(void);
/* A listener is ready: the first one serves them. */
void	metrics_hand(struct child_proc *);
/* Its MSG_METRICS_ASK; -1: malformed, or not its to ask. */
int	metrics_asked(struct child_proc *, const struct frame *);
void	metrics_inherit(struct buffer *, inherit_fn);
void	metrics_release(void);		/* as control_release() */
void	metrics_close(void);

/* status.c: asks every child; done gets the text, once, within STATUS_MS. */
void	status_ask(void (*done)(const char *, size_t, void *), void *);
/* A child's MSG_STATUS; -1: malformed. */
int	status_answer(struct child_proc *, const struct frame *);
/* Who asked is gone: done is not called. */
void	status_forget(const void *arg);
/* It is about to be freed. */
void	status_child_gone(struct child_proc *);

/*
 * explain.c: asks authd what it would decide of a token; done gets the text,
 * once, within STATUS_MS, or NULL where there is no answer.
 */
void	explain_ask(const void *token, size_t len,
	    void (*done)(const char *, size_t, void *), void *);
/* Authd's MSG_EXPLAINED; -1: malformed. */
int	explain_answer(const struct frame *);
/* Who asked is gone: done is called with NULL in its place. */
void	explain_forget(const void *arg);

/* diff.c: two configurations, side by side. */
/* Tells what differs, for people or as JSON; returns whether anything does. */
int	diff_tell(struct buffer *, const struct config *old,
	    const struct config *new, int json);
/* What differs and can not be reloaded; NULL: nothing. */
const char *diff_restart(const struct config *, const struct config *);
/*
 * The fields that cannot be reloaded, a line each, for another version; and
 * the name of the one that a line speaks of and that differs here, or NULL.
 */
void	diff_put_fixed(struct buffer *, const struct config *);
const char *diff_fixed(const struct config *, const char *line);
int	audit_same(const struct config *, const struct config *);
int	keys_same(const struct config *, const struct config *);
int	source_same(const struct source_conf *, const struct source_conf *);

/* pontifexd.c */
/* `sandbox require': whether the kernel has it all; else after a log line. */
int	sandbox_suffices(const struct config *);
/* Watches the key file of the configuration in force. */
void	keys_watch(void);

/* control.c: the socket of pontifexctl. */
int	control_open(void);
int	control_accept(void);		/* for one that waited to serve */
void	control_inherit(struct buffer *, inherit_fn);
/* Closes it here; another parent has it. */
void	control_release(void);
void	control_close(void);

#endif
