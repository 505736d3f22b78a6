/* SPDX-License-Identifier: ISC */

/* What the audit block says of the journal and its checkpoints. */

#include "../common/compat.h"
#include "configure.h"

#define KEEP_MAX	(100LL * 366 * 24 * 3600 * 1000)	/* ms */
#define CHECKPOINT_MS_MAX	(24 * 3600 * 1000)
#define CHECKPOINT_MS_MIN	100

void
set_keep(struct config *c, int64_t ms)
{
	if (ms < 1000 || ms > KEEP_MAX)
		config_error("keep must be 1s to 36600d");
	else if (c->audit.keep_s != 0)
		config_error("keep is given twice");
	else
		c->audit.keep_s = (uint64_t)ms / 1000;
}

void
set_segment(struct config *c, int64_t bytes)
{
	if (bytes < AUDIT_SEGMENT_MIN)
		config_error("segment must be at least %d bytes",
		    AUDIT_SEGMENT_MIN);
	else if (c->audit.segment != 0)
		config_error("segment is given twice");
	else
		c->audit.segment = (uint64_t)bytes;
}

void
checkpoint_every_records(struct config *c, int64_t records)
{
	if (records < 1 || records > 1000000000)
		config_error("checkpoint every must be 1 to 1000000000 records");
	else if (c->audit.checkpoint_records != 0)
		config_error("checkpoint every … records is given twice");
	else
		c->audit.checkpoint_records = (uint32_t)records;
}

void
checkpoint_every_time(struct config *c, int64_t ms)
{
	if (ms < CHECKPOINT_MS_MIN || ms > CHECKPOINT_MS_MAX)
		config_error("checkpoint every must be 100ms to 1d");
	else if (c->audit.checkpoint_ms != 0)
		config_error("checkpoint every … is given twice");
	else
		c->audit.checkpoint_ms = (uint32_t)ms;
}

void
checkpoint_to(struct config *c, char *path)
{
	const struct text_item *item;
	char *absolute = NULL;
	uint32_t n = 0;

	set_path(&absolute, path, "checkpoint to");
	if (absolute == NULL)
		return;
	TAILQ_FOREACH(item, &c->audit.checkpoints, entry) {
		n++;
		if (strcmp(item->text, absolute) == 0)
			config_error("checkpoint to \"%s\" is given twice",
			    absolute);
	}
	if (n == CHECKPOINTS_MAX)
		config_error("more than %d lines checkpoint to",
		    CHECKPOINTS_MAX);
	add_text(&c->audit.checkpoints, absolute);
}

/* ---- sinks ------------------------------------------------------------- */

static const char *const kinds[SINK_KIND_MAX] = {
	[SINK_SYSLOG] = "syslog", [SINK_FILE] = "file", [SINK_PIPE] = "pipe",
};

static int
begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* host:port, where the host may stand in brackets. */
static int
is_address(const char *text)
{
	const char *colon = strrchr(text, ':'), *error = "no port";

	if (colon != NULL && colon > text)
		(void)strtonum(colon + 1, 1, 65535, &error);
	return error == NULL;
}

static void
check_target(enum sink_kind kind, const char *t)
{
	if (kind == SINK_SYSLOG && !begins(t, "unix:/") &&
	    !((begins(t, "tcp://") || begins(t, "tls://")) && is_address(t + 6)))
		config_error("sink syslog \"%s\": \"tcp://HOST:PORT\", "
		    "\"tls://HOST:PORT\" or \"unix:/PATH\"", t);
	if (kind == SINK_PIPE && !begins(t, "unix:/") && t[0] != '/')
		config_error("sink pipe \"%s\": a program by its whole path, "
		    "or \"unix:/PATH\"", t);
	if (strlen(t) >= PATH_LEN_MAX)
		config_error("sink %s: longer than %d bytes", kinds[kind],
		    PATH_LEN_MAX - 1);
}

void
add_sink(struct config *c, enum sink_kind kind, char *target, char *ca)
{
	struct sink_conf *s = &c->audit.sink[c->audit.nsinks];
	uint32_t i, n = 1;

	if (c->audit.nsinks == SINKS_MAX) {
		config_error("more than %d sinks", SINKS_MAX);
		free(target);
		free(ca);
		return;
	}
	c->audit.nsinks++;
	s->kind = kind;
	if (target == NULL)
		s->target = need(strdup("unix:/dev/log"));
	else if (kind == SINK_FILE)
		set_path(&s->target, target, "sink file");
	else
		s->target = target;
	if (ca != NULL)
		set_path(&s->ca, ca, "ca");
	if (s->target == NULL)
		return;
	for (i = 0; i + 1 < c->audit.nsinks; i++) {
		n += c->audit.sink[i].kind == kind;
		if (c->audit.sink[i].target != NULL &&
		    strcmp(c->audit.sink[i].target, s->target) == 0)
			config_error("sink \"%s\" is given twice", s->target);
	}
	s->name = need_print("%s-%u", kinds[kind], n);
	check_target(kind, s->target);
	if (s->ca != NULL && !begins(s->target, "tls://"))
		config_error("sink \"%s\": ca is for tls://", s->target);
}
