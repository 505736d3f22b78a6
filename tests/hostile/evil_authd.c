/* SPDX-License-Identifier: ISC */

/*
 * An authd under an attacker's full control, as far as the parent is
 * concerned: it decides nothing, and lies about what it has counted.
 */

#include "../../common/compat.h"
#include "evil_figures.h"

static int
control(const struct frame *f)
{
	if (f->fd != -1)
		close(f->fd);
	figures_control(f);
	/* Once: who is cut off again and again never lets the daemon start. */
	if (f->type == MSG_TICKET_KEY && evil_first) {
		evil_first = 0;
		(void)figures_begin();
	}
	return 0;
}

static void
peer(const struct msg_peer *m, int fd)
{
	(void)m;
	(void)fd;	/* held open, and never read */
}

static int
configure(const struct frame *f)
{
	(void)f;
	return 0;
}

static int
confine(void)
{
	return 0;
}

int
main(void)
{
	static const struct child_ops ops = {
		.configure = configure, .confine = confine, .peer = peer,
		.control = control, .stats = figures_lie
	};

	return child_main(ROLE_AUTHD, &ops);
}
