/* SPDX-License-Identifier: ISC */

/* Lengths of time on the command line: 90s, 30m, 24h, 7d, 2w. */

#include "../common/compat.h"
#include "ctl.h"

int64_t
span_seconds(const char *text, int64_t max)
{
	static const struct { char unit; long long seconds; } units[] = {
		{ 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 },
		{ 'w', 7 * 86400 },
	};
	size_t i, len = strlen(text);
	const char *error;
	char digits[16];
	long long n;

	if (len < 2 || len > sizeof(digits) || text[0] < '0' || text[0] > '9')
		return -1;
	(void)strlcpy(digits, text, len);
	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (text[len - 1] != units[i].unit)
			continue;
		n = strtonum(digits, 0, max / units[i].seconds, &error);
		return error == NULL ? n * units[i].seconds : -1;
	}
	return -1;
}
