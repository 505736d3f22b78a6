/* SPDX-License-Identifier: ISC */

/*
 * What two parents say to each other at an upgrade, the one that serves and
 * the one that is to follow it; upgrade.c is the first, successor.c the other.
 * They may be of any two versions, so this must not change: a text in the
 * environment of the new one, of lines `name [value ...]' that say what it
 * inherits, and then words, a datagram each, over the socket that the line
 * `link' names.  A line or a word that one of them does not know it passes
 * over.
 *
 *   from the new one:  risen MESSAGES   its children are ready, sources checked
 *                      refused TEXT     it will not be; why, for people
 *                      audits           its auditd has the journal
 *                      deaf             … has ended
 *                      serving          its doors are open
 *                      stop             end at once
 *   from the old one:  journal          take it
 *                      serve            open the doors
 *                      main             the service manager knows of you
 *
 * Both are root's, or the one user's that all runs as; what they say is
 * checked for its length and form all the same.
 */

#include <sys/socket.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "../common/compat.h"
#include "../common/version.h"
#include "parent.h"

#define HANDOVER_TEXT_MIN 512	/* bytes that fit anywhere */

int
handover_same_messages(const char *theirs)
{
	return program_messages[0] != '\0' &&
	    strcmp(theirs, program_messages) == 0;
}

/* Few and short: the socket has room for all that are ever on their way. */
int
handover_say(int sock, const char *word, const char *text)
{
	char line[HANDOVER_WORD_MAX];
	ssize_t sent;
	int n;

	n = snprintf(line, sizeof(line), "%s%s%s", word, text == NULL ? "" :
	    " ", text == NULL ? "" : text);
	if (n < 0)
		return -1;
	if ((size_t)n >= sizeof(line))
		n = (int)sizeof(line) - 1;
	/* Where the socket has no room for a text it is told in part. */
	while ((sent = send(sock, line, (size_t)n, MSG_NOSIGNAL)) != n) {
		if (sent != -1 || errno != EMSGSIZE || n <= HANDOVER_TEXT_MIN)
			return -1;
		n /= 2;
	}
	return 0;
}

int
handover_hear(int sock, char word[HANDOVER_WORD_MAX], char **text)
{
	ssize_t n;

	do
		n = recv(sock, word, HANDOVER_WORD_MAX - 1, 0);
	while (n == -1 && errno == EINTR);
	if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	if (n <= 0)
		return -1;
	word[n] = '\0';
	if ((*text = strchr(word, ' ')) != NULL)
		*(*text)++ = '\0';
	else
		*text = word + n;
	return 1;
}
