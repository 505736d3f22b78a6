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
