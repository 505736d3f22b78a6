/* SPDX-License-Identifier: ISC */

/*
 * Each sink reads the journal by itself, a batch at a time, and goes on when
 * what it handed over has been taken; none waits for another, nor a call for
 * any.  What a socket took may still be lost with its connection, so the
 * place from which it is sent again lies some hundred kilobytes behind: a
 * consumer gets every record at least once, in order, and tells repeats by
 * (node, seq).  A file ends with a record that says how far it is.
 */

#include <errno.h>
#include <stdio.h>

#include <event2/event.h>

#include "../common/compat.h"
#include "../common/crypt.h"
#include "../common/log.h"
#include "../common/stats.h"
#include "../common/proc.h"
#include "sink.h"

#define BATCH_ROWS	256
#define DEADLINE_MS	10000	/* without a byte taken */
#define LINGER_MS	20	/* for more records to come */
#define BACKOFF_MIN_MS	100
#define BACKOFF_MAX_MS	5000
#define BEHIND_MAX	(256ULL << 20)	/* bytes, where no limit is given */
#define MARKS		16
#define MARK_BYTES	(64 * 1024)	/* between two places to go back to */
#define SAFE_BYTES	(4 * SINK_SENDBUF)	/* what the way may hold */
#define NAME_MAX_	32

enum sink_state {
	SINK_WAITING,		/* to connect again, or for its program */
	SINK_CONNECTING,
	SINK_IDLE,
	SINK_SENDING
};

/* A place in the journal, and how many bytes were sent before it. */
struct mark {
	struct position	 at;
	uint64_t	 sent;
};

struct sink {
	char		 name[NAME_MAX_];
	char		 cursor[NAME_MAX_ + 16];	/* its file */
	enum sink_kind	 kind;
	enum sink_form	 form;
	enum sink_state	 state;
	struct sink_conn conn;
	struct event	*io, *timer, *hangup;
	struct position	 done;		/* handed over so far */
	struct position	 batch;		/* where what is in out ends */
	struct buffer	 out;
	size_t		 out_at;
	uint64_t	 sent;		/* bytes, ever */
	struct mark	 mark[MARKS];	/* the oldest first */
	size_t		 marks;
	uint64_t	 behind;	/* bytes of the journal */
	uint64_t	 gap_from, gap_to;	/* seqs that are missing; 0: none */
	uint32_t	 backoff_ms;
	int		 was_well;
	char		 complaint[192];
};

static struct sink *sinks[SINKS_MAX];
static size_t nsinks;
static struct sinks_conf conf;

static void	send_some(struct sink *);
static void	connected(struct sink *);
static void	wait_for(struct sink *);

/* ---- small things ------------------------------------------------------ */

static void
set_timer(struct sink *s, uint32_t ms)
{
	struct timeval tv = { (time_t)(ms / 1000),
	    (suseconds_t)(ms % 1000 * 1000) };

	(void)event_add(s->timer, &tv);
}

static void
complain(struct sink *s, const char *why)
{
	char safe[160];

	(void)log_safe(safe, sizeof(safe), slice_of(why));
	if (!s->was_well && strcmp(s->complaint, safe) == 0)
		return;
	log_warn("sink %s: failed: %s (tried again; the journal has it all)",
	    s->name, safe);
	(void)strlcpy(s->complaint, safe, sizeof(s->complaint));
	s->was_well = 0;
}

static void
drop_events(struct sink *s)
{
	if (s->io != NULL)
		event_free(s->io);
	if (s->hangup != NULL)
		event_free(s->hangup);
	s->io = s->hangup = NULL;
}

/* ---- how far it is ----------------------------------------------------- */

static void
cursor_write(struct sink *s)
{
	const struct position *p = s->marks > 0 ? &s->mark[0].at : &s->done;
	char text[32];
	int n = snprintf(text, sizeof(text), "%llu\n",
	    (unsigned long long)p->seq);

	if (n < 0 || journal_file_write(conf.dir, s->cursor, text, (size_t)n,
	    0) == -1)
		log_errno("audit journal: %s", s->cursor);
}

/* 0 where there is none yet: from the beginning. */
static uint64_t
cursor_read(const struct sink *s)
{
	struct slice number;
	uint64_t seq = 0;
	char text[32];
	ssize_t n = journal_file_read(conf.dir, s->cursor, text, sizeof(text));

	if (n <= 0)
		return 0;
	number.ptr = text;
	number.len = strcspn(text, "\n");
	if (view_u64(number, &seq) == -1) {
		log_warn("audit journal: %s cannot be read: all is sent again",
		    s->cursor);
		return 0;
	}
	return seq > conf.durable() ? conf.durable() : seq;
}

/* The place to go back to if what the way holds is lost. */
static void
take_mark(struct sink *s)
{
	size_t n;

	if (s->conn.way == WAY_FILE || s->conn.way == WAY_DATAGRAM)
		return;
	if (s->marks > 0 &&
	    s->sent - s->mark[s->marks - 1].sent < MARK_BYTES)
		return;
	/* What is old enough has arrived; the newest of those is the one. */
	for (n = 0; n + 1 < s->marks &&
	    s->sent - s->mark[n + 1].sent >= SAFE_BYTES; n++)
		;
	if (n > 0) {
		memmove(s->mark, s->mark + n, (s->marks - n) *
		    sizeof(s->mark[0]));
		s->marks -= n;
	}
	if (s->marks == MARKS) {
		memmove(s->mark + 1, s->mark + 2, (MARKS - 2) *
		    sizeof(s->mark[0]));
		s->marks--;
	}
	s->mark[s->marks].at = s->done;
	s->mark[s->marks++].sent = s->sent;
}

static void
seek(struct sink *s, uint64_t seq)
{
	(void)position_seek(&s->done, conf.dir, seq, &s->behind);
	s->marks = 0;
}

/* ---- gaps -------------------------------------------------------------- */

static void
tell_gap(const struct sink *s, uint64_t first, uint64_t last)
{
	char detail[128];

	log_warn("sink %s: records %llu to %llu do not reach it: it was too "
	    "far behind", s->name, (unsigned long long)first,
	    (unsigned long long)last);
	(void)snprintf(detail, sizeof(detail),
	    "{\"sink\":\"%s\",\"first\":%llu,\"last\":%llu}", s->name,
	    (unsigned long long)first, (unsigned long long)last);
	conf.gap(detail);
}

static void
skip_if_too_far(struct sink *s)
{
	uint64_t most = conf.limit != 0 ? conf.limit : BEHIND_MAX;
	uint64_t first = s->done.seq + 1, last = conf.durable();

	if (s->behind <= most || last < first)
		return;
	seek(s, last);
	cursor_write(s);
	tell_gap(s, first, last);
}

/* ---- sending ----------------------------------------------------------- */

static void
back_off(struct sink *s, const char *why)
{
	complain(s, why);
	drop_events(s);
	conn_close(&s->conn);
	/* What may have been lost on the way is sent again. */
	if (s->marks > 0)
		seek(s, s->mark[0].at.seq);
	buffer_clear(&s->out);
	s->out_at = 0;
	s->state = SINK_WAITING;
	if (s->conn.way == WAY_PIPE)
		return;		/* the parent starts it anew */
	set_timer(s, s->backoff_ms);
	s->backoff_ms = s->backoff_ms > BACKOFF_MAX_MS / 2 ? BACKOFF_MAX_MS :
	    2 * s->backoff_ms;
}

static void
on_hangup(evutil_socket_t fd, short what, void *arg)
{
	struct sink *s = arg;

	(void)fd;
	(void)what;
	if (conn_listen(&s->conn) == -1)
		back_off(s, s->conn.why);
}

static void
on_io(evutil_socket_t fd, short what, void *arg)
{
	struct sink *s = arg;
	int rc;

	(void)fd;
	(void)what;
	if (s->state == SINK_SENDING) {
		send_some(s);
		return;
	}
	if ((rc = conn_continue(&s->conn)) == -1)
		back_off(s, s->conn.why);
	else if (rc == 0)
		wait_for(s);
	else
		connected(s);
}

static void
wait_for(struct sink *s)
{
	if (s->io != NULL)
		event_free(s->io);
	s->io = event_new(conf.base, s->conn.fd, s->conn.want, on_io, s);
	if (s->io == NULL || event_add(s->io, NULL) == -1)
		back_off(s, "no memory");
}

static int
take_line(struct slice line, void *arg)
{
	struct sink *s = arg;
	uint64_t seq;

	if (record_seq(line.ptr, line.len, &seq) == -1)
		return -1;
	if (s->batch.seq != 0 && seq > s->batch.seq + 1 && s->gap_from == 0) {
		s->gap_from = s->batch.seq + 1;
		s->gap_to = seq - 1;
	}
	return sink_format(&s->out, s->form, line, conf.node);
}

/* Fills out; 0 where there is nothing to send. */
static int
next_batch(struct sink *s)
{
	unsigned int rows = s->conn.way == WAY_DATAGRAM ? 1 : BATCH_ROWS;
	int n;

	buffer_clear(&s->out);
	s->out_at = 0;
	s->gap_from = 0;
	s->batch = s->done;
	n = position_read(&s->batch, conf.durable(), rows, SINK_BATCH,
	    take_line, s);
	if (s->out.bad) {
		buffer_free(&s->out);
		return 0;
	}
	return n > 0 && s->out.len > 0;
}

static void
batch_done(struct sink *s)
{
	uint64_t bytes = s->out.len;

	take_mark(s);
	s->sent += bytes;
	if (s->gap_from != 0)
		tell_gap(s, s->gap_from, s->gap_to);
	s->done = s->batch;
	s->behind -= bytes < s->behind ? bytes : s->behind;
	if (s->done.seq >= conf.durable())
		s->behind = 0;
	s->backoff_ms = BACKOFF_MIN_MS;
	if (!s->was_well && s->complaint[0] != '\0') {
		log_info("sink %s: records reach it again", s->name);
		s->complaint[0] = '\0';
	}
	s->was_well = 1;
	buffer_clear(&s->out);
	s->out_at = 0;
	cursor_write(s);
}

/* As much as it takes now; its deadline begins anew with each byte. */
static void
send_some(struct sink *s)
{
	unsigned int turns = 0;
	ssize_t n;

	s->state = SINK_SENDING;
	for (;;) {
		if (s->out_at == s->out.len) {
			if (s->out.len > 0)
				batch_done(s);
			/* Others want their turn of the loop, calls first. */
			if (turns++ >= 1 && s->done.seq < conf.durable()) {
				s->state = SINK_IDLE;
				set_timer(s, 1);
				return;
			}
			if (!next_batch(s)) {
				s->state = SINK_IDLE;
				(void)event_del(s->timer);
				return;
			}
		}
		n = conn_write(&s->conn, s->out.data + s->out_at,
		    s->out.len - s->out_at);
		if (n == -1) {
			if (errno == EMSGSIZE && s->conn.way == WAY_DATAGRAM) {
				tell_gap(s, s->batch.seq, s->batch.seq);
				s->done = s->batch;
			}
			back_off(s, s->conn.why);
			return;
		}
		if (n == 0)
			break;
		s->out_at += (size_t)n;
		set_timer(s, DEADLINE_MS);
	}
	if (!event_pending(s->timer, EV_TIMEOUT, NULL))
		set_timer(s, DEADLINE_MS);
	wait_for(s);
}

static void
connected(struct sink *s)
{
	uint64_t seq;

	/* A file says itself how far it is. */
	seq = conn_last(&s->conn, conf.node);
	if (seq != 0 && seq != s->done.seq && seq <= conf.durable())
		seek(s, seq);
	if (s->conn.way != WAY_FILE && s->conn.way != WAY_DATAGRAM) {
		s->hangup = event_new(conf.base, s->conn.fd, EV_READ |
		    EV_PERSIST, on_hangup, s);
		if (s->hangup != NULL && s->conn.way != WAY_TLS)
			(void)event_add(s->hangup, NULL);
	}
	send_some(s);
}

static void
connect_start(struct sink *s)
{
	int rc = conn_open(&s->conn);

	if (rc == -1) {
		back_off(s, s->conn.why);
		return;
	}
	s->state = SINK_CONNECTING;
	set_timer(s, DEADLINE_MS);
	if (rc == 0)
		wait_for(s);
	else
		connected(s);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct sink *s = arg;

	(void)fd;
	(void)what;
	switch (s->state) {
	case SINK_WAITING:
		connect_start(s);
		break;
	case SINK_IDLE:
		send_some(s);
		break;
	case SINK_CONNECTING:
	case SINK_SENDING:
		back_off(s, "nothing was taken for 10 seconds");
		break;
	}
}

/* ---- for auditd.c ------------------------------------------------------ */

int
sink_add(const struct msg_conf_sink *m)
{
	char target[PATH_LEN_MAX + 1], ca[PATH_LEN_MAX + 1];
	uint8_t digest[DIGEST_LEN];
	char text[17];
	struct sink *s;

	if (nsinks == SINKS_MAX || m->name.len >= NAME_MAX_ ||
	    (s = calloc(1, sizeof(*s))) == NULL)
		return -1;
	sinks[nsinks++] = s;
	memcpy(s->name, m->name.ptr, m->name.len);
	memcpy(target, m->target.ptr, m->target.len);
	target[m->target.len] = '\0';
	memcpy(ca, m->ca.ptr, m->ca.len);
	ca[m->ca.len] = '\0';
	s->kind = (enum sink_kind)m->kind;
	/* By where it goes to: a line that moves keeps its place. */
	sha256(target, m->target.len, digest);
	hex_encode(text, digest, 8);
	(void)snprintf(s->cursor, sizeof(s->cursor), "sink.%s.cursor", text);
	if (conn_prepare(&s->conn, s->kind, target, ca) == -1) {
		log_warn("sink %s: cannot be used", s->name);
		return -1;
	}
	s->form = s->kind != SINK_SYSLOG ? FORM_LINES :
	    s->conn.way == WAY_DATAGRAM ? FORM_SYSLOG : FORM_SYSLOG_COUNTED;
	buffer_init(&s->out, SINK_BATCH + 4 * RECORD_MAX);
	s->backoff_ms = BACKOFF_MIN_MS;
	s->was_well = 1;
	return 0;
}

int
sinks_open(const struct sinks_conf *c)
{
	size_t i;

	conf = *c;
	for (i = 0; i < nsinks; i++) {
		sinks[i]->timer = evtimer_new(conf.base, on_timer, sinks[i]);
		if (sinks[i]->timer == NULL)
			return -1;
		seek(sinks[i], cursor_read(sinks[i]));
		if (sinks[i]->conn.way != WAY_PIPE)
			set_timer(sinks[i], 1);
	}
	return 0;
}

void
sinks_close(void)
{
	struct sink *s;

	while (nsinks > 0) {
		s = sinks[--nsinks];
		drop_events(s);
		if (s->timer != NULL)
			event_free(s->timer);
		conn_free(&s->conn);
		buffer_free(&s->out);
		free(s);
	}
}

void
sinks_needs(struct sandbox_needs *needs)
{
	size_t i;

	for (i = 0; i < nsinks; i++)
		conn_needs(&sinks[i]->conn, needs);
}

void
sinks_kick(size_t bytes)
{
	struct sink *s;
	size_t i;

	for (i = 0; i < nsinks; i++) {
		s = sinks[i];
		s->behind += bytes;
		if (s->state != SINK_SENDING)
			skip_if_too_far(s);
		if (s->state == SINK_IDLE &&
		    !event_pending(s->timer, EV_TIMEOUT, NULL))
			set_timer(s, LINGER_MS);
	}
}

int
sink_pipe(uint32_t index, int fd)
{
	struct sink *s = index < nsinks ? sinks[index] : NULL;

	if (s == NULL || s->conn.way != WAY_PIPE || fd == -1) {
		if (fd != -1)
			close(fd);
		return -1;
	}
	if (s->state != SINK_WAITING)
		back_off(s, "its program was started anew");
	conn_close(&s->conn);
	(void)evutil_make_socket_nonblocking(fd);
	s->conn.fd = fd;
	connect_start(s);
	return 0;
}

int
sinks_drained(void)
{
	size_t i;

	for (i = 0; i < nsinks; i++)
		if (sinks[i]->state != SINK_WAITING &&
		    sinks[i]->done.seq < conf.durable())
			return 0;
	return 1;
}

void
sinks_status(struct buffer *b)
{
	const struct sink *s;
	size_t i;

	for (i = 0; i < nsinks; i++) {
		s = sinks[i];
		(void)buffer_printf(b, "sink %s %s, record %llu, %llu bytes "
		    "behind\n", s->name, !s->was_well ? "failed" :
		    s->state == SINK_WAITING ? "waiting" :
		    s->state == SINK_CONNECTING ? "connecting" : "ok",
		    (unsigned long long)s->done.seq,
		    (unsigned long long)s->behind);
	}
}

void
sinks_stats(struct buffer *b)
{
	uint32_t i;

	for (i = 0; i < nsinks; i++) {
		put_stat_of(b, STAT_SINK_UP, i, sinks[i]->was_well &&
		    sinks[i]->state != SINK_CONNECTING);
		put_stat_of(b, STAT_SINK_LAG_BYTES, i, sinks[i]->behind);
	}
}
