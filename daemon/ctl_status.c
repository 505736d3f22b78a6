/* SPDX-License-Identifier: ISC */

/*
 * pontifexctl status: one screen for an operator in a hurry, the same as
 * JSON, or every figure and the processes' own words.  Exit codes: 0 all is
 * well, 1 the daemon can't be asked, 3 it runs and something is wrong.
 */

#include <stdio.h>
#include <time.h>

#include "../common/compat.h"
#include "../common/frame.h"
#include "../common/log.h"
#include "../common/message.h"
#include "ctl_status.h"

#define SERIES_MAX	65536
#define RATE_MS		1100	/* between two looks; the daemon's own are 900 */

static int
read_series(struct figures *f)
{
	static struct series s;
	struct series *grown;
	struct reader r;
	size_t max = 0;
	int rc;

	reader_init(&r, f->payload.data, f->payload.len);
	while ((rc = get_series(&r, &s)) == 1) {
		if (f->n == max) {
			max = max == 0 ? 256 : 2 * max;
			if (max > SERIES_MAX || (grown = reallocarray(
			    f->series, max, sizeof(*grown))) == NULL)
				return -1;
			f->series = grown;
		}
		f->series[f->n++] = s;
	}
	return rc;
}

int
figures_get(const char *socket, struct figures *f)
{
	memset(f, 0, sizeof(*f));
	if (ctl_fetch(socket, MSG_CTL_FIGURES, MSG_FIGURES, &f->payload) == -1)
		return -1;
	if (read_series(f) == -1) {
		fprintf(stderr, "pontifexctl: the answer makes no sense, or "
		    "too much: is the daemon of this version?\n");
		figures_free(f);
		return -1;
	}
	return 0;
}

void
figures_free(struct figures *f)
{
	free(f->series);
	f->series = NULL;
	f->n = 0;
	buffer_free(&f->payload);
}

const struct series *
figures_next(const struct figures *f, enum stat_id id,
    const struct series *after)
{
	const struct series *s = after == NULL ? f->series : after + 1;

	for (; s != NULL && s < f->series + f->n; s++)
		if (s->id == id)
			return s;
	return NULL;
}

uint64_t
figures_value(const struct figures *f, enum stat_id id, uint64_t absent)
{
	const struct series *s = figures_next(f, id, NULL);

	return s == NULL ? absent : s->point[0].value;
}

uint64_t
figures_of(const struct figures *f, enum stat_id id, struct slice label,
    uint64_t absent)
{
	const struct series *s = NULL;

	while ((s = figures_next(f, id, s)) != NULL)
		if (slice_equal(s->label[0], label))
			return s->point[0].value;
	return absent;
}

uint64_t
figures_sum(const struct figures *f, enum stat_id id)
{
	const struct series *s = NULL;
	uint64_t sum = 0;

	while ((s = figures_next(f, id, s)) != NULL)
		sum = stat_sum(sum, s->point[0].value);
	return sum;
}

/* Every figure, a line each: name, labels, value in the figure's own unit. */
static void
print_all(const struct figures *f)
{
	static struct stat_times t;
	const struct stat_row *row;
	const struct series *s;
	char label[2 * SERIES_LABEL_MAX];
	size_t i, l;

	for (i = 0; i < f->n; i++) {
		s = &f->series[i];
		row = stat_row(s->id);
		printf("%s", row->name);
		for (l = 0; l < 2; l++)
			if (row->label[l] != LABEL_NONE)
				printf(" %s", log_safe(label, sizeof(label),
				    s->label[l]));
		if (row->kind == STAT_HISTOGRAM) {
			series_times(s, &t);
			printf(" count %llu sum_us %llu\n",
			    (unsigned long long)stat_count(&t),
			    (unsigned long long)t.sum_us);
		} else {
			printf(" %llu\n", (unsigned long long)s->point[0].value);
		}
	}
}

static int
status_all(const char *socket)
{
	struct figures f;

	if (ctl_ask(socket, MSG_CTL_STATUS, NULL, 0) != CTL_OK ||
	    figures_get(socket, &f) == -1)
		return CTL_FAILED;
	print_all(&f);
	figures_free(&f);
	return CTL_OK;
}

static int
status_screen(const char *socket, int json)
{
	static const struct timespec pause = {
		RATE_MS / 1000, RATE_MS % 1000 * 1000000
	};
	static struct problem problem[PROBLEMS_MAX];
	struct figures before = { .n = 0 }, f;
	uint64_t now;
	size_t i, n;
	int rc = CTL_OK;

	/* Rates are of this moment, so it takes one. */
	if (!json && (figures_get(socket, &before) == -1 ||
	    nanosleep(&pause, NULL) == -1))
		return CTL_FAILED;
	if (figures_get(socket, &f) == -1) {
		figures_free(&before);
		return CTL_FAILED;
	}
	now = (uint64_t)time(NULL);
	n = judge(&f, now, problem);
	for (i = 0; i < n; i++)
		if (problem[i].degraded)
			rc = CTL_DEGRADED;
	if (!json)
		screen_print(&f, &before, now, problem, n);
	else if (status_json(&f, now, problem, n) == -1)
		rc = CTL_FAILED;
	figures_free(&before);
	figures_free(&f);
	return rc;
}

int
ctl_status(const char *socket, int argc, char **argv)
{
	int ch, json = 0, all = 0;

	while ((ch = getopt(argc, argv, "jv")) != -1) {
		if (ch == 'j')
			json = 1;
		else if (ch == 'v')
			all = 1;
		else
			return CTL_USAGE;
	}
	if (optind != argc || (json && all))
		return CTL_USAGE;
	return all ? status_all(socket) : status_screen(socket, json);
}
