/* SPDX-License-Identifier: ISC */

/* What metrics.c and metrics_text.c offer the listener. */

#ifndef LISTENER_METRICS_H
#define LISTENER_METRICS_H

#include <stdio.h>

#include "../../common/buffer.h"

/* The socket to serve them on; takes ownership of fd.  0, or -1. */
int	metrics_start(int fd, int is_local);
/* MSG_METRICS. */
void	metrics_come(const void *payload, size_t len);
void	metrics_stop(void);

/* metrics_text.c: appends the text of series; -1: malformed or too much. */
int	metrics_text(struct buffer *, const void *payload, size_t len);

#endif
