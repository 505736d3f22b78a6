/* SPDX-License-Identifier: ISC */

/*
 * jws_verify JWKS-FILE: reads compact JWS from standard input, one a line,
 * and prints `valid' or `invalid' a line, judged by authd's own code: for
 * public test vectors.  The payload may be anything; claims are not looked at.
 */

#include <stdio.h>

#include "../authd/jose.h"
#include "../common/compat.h"
#include "../common/crypt.h"

static struct jwks *
read_keys(const char *path)
{
	static char text[FETCH_MAX + 1];
	const char *error = "cannot be read";
	struct jwks *keys = NULL;
	size_t len;
	FILE *f;

	if ((f = fopen(path, "r")) != NULL) {
		len = fread(text, 1, sizeof(text), f);
		if (len == sizeof(text))
			error = "too large";
		else if (!ferror(f))
			keys = jwks_parse(text, len, &error);
		(void)fclose(f);
	}
	if (keys == NULL)
		fprintf(stderr, "jws_verify: %s: %s\n", path, error);
	else if (keys->ignored > 0)
		fprintf(stderr, "jws_verify: %s: %u keys ignored\n", path,
		    keys->ignored);
	return keys;
}

static int
is_valid(struct jwks *keys, struct slice token)
{
	static struct jws jws;
	struct jwk *key;
	enum reason reason;

	return jws_read(&jws, token) == REASON_NONE &&
	    (key = jws_key(&jws, keys, &reason)) != NULL &&
	    jws_verify(&jws, key) == REASON_NONE;
}

/* The next line without its end.  Of one that is too long a byte too many is kept. */
static int
read_line(struct slice *line)
{
	static char text[JWT_MAX + 1];
	int c;

	line->ptr = text;
	line->len = 0;
	while ((c = getchar()) != EOF && c != '\n')
		if (line->len < sizeof(text))
			text[line->len++] = (char)c;
	return c != EOF || line->len > 0;
}

int
main(int argc, char **argv)
{
	struct slice token;
	struct jwks *keys;

	if (argc != 2) {
		fprintf(stderr, "usage: jws_verify JWKS-FILE < tokens\n");
		return 2;
	}
	crypt_init();
	if (jose_init() == -1 || (keys = read_keys(argv[1])) == NULL)
		return 2;
	while (read_line(&token)) {
		puts(is_valid(keys, token) ? "valid" : "invalid");
		(void)fflush(stdout);
	}
	jwks_free(keys);
	return 0;
}
