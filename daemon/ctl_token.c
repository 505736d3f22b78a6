/* SPDX-License-Identifier: ISC */

/*
 * `token explain': why a token is taken or refused.  It is read from standard
 * input, since arguments can be seen by others, and goes to authd unread.
 */

#include <stdio.h>

#include "../common/compat.h"
#include "../common/limits.h"
#include "../common/message.h"
#include "ctl.h"

int
ctl_token(const char *socket, int argc, char **argv)
{
	static char token[CREDENTIAL_MAX + 2];
	size_t len;
	int rc;

	if (argc != 2 || strcmp(argv[1], "explain") != 0) {
		fprintf(stderr, "usage: pontifexctl [-s socket] token explain "
		    "< token\n");
		return CTL_USAGE;
	}
	/* No copy of it in a buffer that is not ours to clear. */
	(void)setvbuf(stdin, NULL, _IONBF, 0);
	len = fread(token, 1, sizeof(token), stdin);
	while (len > 0 && (token[len - 1] == '\n' || token[len - 1] == '\r'))
		len--;
	if (ferror(stdin) || len == 0 || len > CREDENTIAL_MAX) {
		fprintf(stderr, "pontifexctl: token explain: standard input "
		    "must hold one token of up to %d bytes\n", CREDENTIAL_MAX);
		explicit_bzero(token, sizeof(token));
		return CTL_USAGE;
	}
	rc = ctl_ask(socket, MSG_CTL_EXPLAIN, token, len);
	explicit_bzero(token, sizeof(token));
	return rc;
}
