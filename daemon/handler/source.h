/* SPDX-License-Identifier: ISC */

/* What every kind of data source offers; one file a kind. */

#ifndef HANDLER_SOURCE_H
#define HANDLER_SOURCE_H

#include "handler.h"

struct source_ops {
	/* Before the sandbox: open what it will close, say what it needs. */
	int	(*prepare)(struct source *, struct sandbox_needs *);
	/* In the loop. */
	int	(*start)(struct source *);
	/* Runs a call; it ends by call_done() or call_fail(), now or later. */
	void	(*run)(struct source *, struct call *);
	/* Once a loop turn; may be NULL. */
	void	(*turn)(struct source *);
	/* Every SWEEP_MS while calls are open; may be NULL. */
	void	(*sweep)(struct source *, uint64_t now);
	/* Appends a status line without its newline; no secret. */
	void	(*status)(struct source *, struct buffer *);
};

struct session {
	char	*name;
	char	*value;		/* "claim.tenant" */
};

struct source {
	char			*name;
	enum source_kind	 kind;
	char			*target;	/* path or DSN; DSN is cleared */
	uint32_t		 connections;
	uint32_t		 timeout_ms;
	uint32_t		 connect_timeout_ms;
	int			 writes;
	uint32_t		 nsessions;
	struct session		 session[SESSIONS_MAX];
	uint32_t		 ntools;
	struct tool		*tools[TOOLS_MAX];	/* by slot */
	const struct source_ops	*ops;
	void			*state;
};

extern const struct source_ops source_sqlite_ops;
extern const struct source_ops source_postgres_ops;

#endif
