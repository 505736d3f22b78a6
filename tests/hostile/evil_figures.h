/* SPDX-License-Identifier: ISC */

/*
 * What an attacker says to the parent about figures (common/stats.h): numbers
 * that cannot be, that fall, of labels and roles that are not its own, torn,
 * twice, more than there are, and without being asked.
 */

#ifndef TESTS_HOSTILE_EVIL_FIGURES_H
#define TESTS_HOSTILE_EVIL_FIGURES_H

#include "../../common/message.h"
#include "../../common/outcome.h"
#include "../../common/proc.h"
#include "../../common/stats.h"
#include "evil.h"

#define MANY_CELLS	200000	/* 2.8 MB: they fit into a frame */
#define FLOOD_ASKED	20000	/* messages */

static unsigned int figures_asked;

/* A counter and a histogram of the role. */
static void
figures_say(struct buffer *b, uint64_t value)
{
	uint32_t i;

	if (child.role == ROLE_HANDLER) {
		put_stat_of2(b, STAT_CALLS, 0, OUTCOME_OK, value);
		put_stat_of2(b, STAT_CALLS, 0, OUTCOME_TIMEOUT, value);
		for (i = 0; i <= STAT_SUM; i++)
			put_stat_of2(b, STAT_CALL_TIME, 0, i, value);
	} else if (child.role == ROLE_AUTHD) {
		put_stat(b, STAT_DECISIONS, value);
	} else {
		put_stat(b, STAT_REQUESTS, value);
		for (i = 0; i <= STAT_SUM; i++)
			put_stat_of2(b, STAT_REQUEST_TIME, 0, i, value);
	}
}

/* As the `stats' of a role. */
static void
figures_lie(struct buffer *b)
{
	enum stat_id one = child.role == ROLE_HANDLER ? STAT_TICKETS_REFUSED :
	    child.role == ROLE_AUTHD ? STAT_DECISIONS : STAT_REQUESTS;
	const char *how = strchr(evil_attack, '-');
	uint32_t i;

	if (strncmp(evil_attack, "stats-", 6) != 0)
		return;
	how++;
	figures_asked++;
	if (strcmp(how, "huge") == 0) {
		figures_say(b, UINT64_MAX);
	} else if (strcmp(how, "falling") == 0) {
		/* What it said first it says no more, at the end nothing. */
		if (figures_asked <= 2)
			figures_say(b, figures_asked == 1 ? 1000 : 5);
	} else if (strcmp(how, "index") == 0) {
		put_stat_of2(b, one, 60000, 0, 1);
	} else if (strcmp(how, "id") == 0) {
		put_stat(b, (enum stat_id)STAT_MAX, 1);
	} else if (strcmp(how, "role") == 0) {
		put_stat(b, STAT_AUDIT_STATE, 2);
	} else if (strcmp(how, "torn") == 0) {
		figures_say(b, 1);
		put_u8(b, 0);
	} else if (strcmp(how, "twice") == 0) {
		figures_say(b, 1);
		figures_say(b, 2);
	} else if (strcmp(how, "many") == 0) {
		for (i = 0; i < MANY_CELLS; i++)
			put_stat(b, one, i);
	}
	SAY("asked for figures %u\n", figures_asked);
}

/* Nobody has to wait for its part of the status. */
static void
figures_control(const struct frame *f)
{
	if (f->type == MSG_STATUS_ASK)
		(void)channel_send(child.control, MSG_STATUS, f->id, "-\n", 2);
}

static void
flood_parent(uint16_t type, const void *payload, size_t len)
{
	unsigned int i, sent = 0;

	for (i = 0; i < FLOOD_ASKED; i++) {
		sent += channel_send(child.control, type, 0, payload, len) == 0;
		channels_flush();
	}
	SAY("flooded the parent with %u\n", sent);
}

/* What an attacker begins by itself; 1 where the attack was one of these. */
static int
figures_begin(void)
{
	static const unsigned char nothing[4];
	uint32_t number = 1;	/* of the source that has a secret */
	unsigned char source = 1;

	if (strcmp(evil_attack, "stats-unasked") == 0)
		(void)channel_send(child.control, MSG_STATS, 1, NULL, 0);
	else if (strcmp(evil_attack, "metrics") == 0)
		(void)channel_send(child.control, MSG_METRICS_ASK, 0, NULL, 0);
	else if (strcmp(evil_attack, "metrics-long") == 0)
		(void)channel_send(child.control, MSG_METRICS_ASK, 0, nothing,
		    sizeof(nothing));
	else if (strcmp(evil_attack, "metrics-flood") == 0)
		flood_parent(MSG_METRICS_ASK, NULL, 0);
	else if (strcmp(evil_attack, "credentials-flood") == 0)
		flood_parent(MSG_CREDENTIALS, &number, sizeof(number));
	else if (strcmp(evil_attack, "violations") == 0)
		flood_parent(MSG_VIOLATION, &number, sizeof(number));
	else if (strcmp(evil_attack, "checked") == 0)
		(void)channel_send(child.control, MSG_CHECKED, 0, NULL, 0);
	else if (strcmp(evil_attack, "checked-tool") == 0)
		(void)channel_send(child.control, MSG_CHECKED_TOOL, 0, nothing,
		    sizeof(nothing));
	else if (strcmp(evil_attack, "checked-source") == 0)
		(void)channel_send(child.control, MSG_CHECKED_SOURCE, 0,
		    &source, sizeof(source));
	else
		return 0;
	SAY("told the parent\n");
	return 1;
}

#endif
