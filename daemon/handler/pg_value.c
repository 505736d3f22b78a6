/* SPDX-License-Identifier: ISC */

/*
 * One value of a Postgres result as JSON that is true to its type.  The
 * server is not believed: what it says is a number is written as one only
 * where it is a number of JSON, and its json is parsed before it is passed on.
 */

#include "pg.h"

#define OID_BOOL	16
#define OID_BYTEA	17
#define OID_INT8	20
#define OID_INT2	21
#define OID_INT4	23
#define OID_OID		26
#define OID_JSON	114
#define OID_FLOAT4	700
#define OID_FLOAT8	701
#define OID_TIMESTAMPTZ	1184
#define OID_JSONB	3802

#define INTEGER_MAX	20	/* bytes of an int8, with its sign */
#define REAL_MAX	32	/* bytes of a float8 */
#define STAMP_MAX	40	/* bytes of a timestamptz */

static size_t
digits(const char *s)
{
	return strspn(s, "0123456789");
}

/* Bytes of the JSON integer at s; 0: there is none. */
static size_t
integer_length(const char *s)
{
	size_t sign = s[0] == '-', n = digits(s + sign);

	/* A leading zero stands alone. */
	if (n == 0 || (n > 1 && s[sign] == '0'))
		return 0;
	return sign + n;
}

static int
is_real(const char *s, size_t len)
{
	size_t at = integer_length(s), n;

	if (at == 0 || len > REAL_MAX)
		return 0;
	if (s[at] == '.') {
		if ((n = digits(s + at + 1)) == 0)
			return 0;
		at += 1 + n;
	}
	if (s[at] == 'e' || s[at] == 'E') {
		at++;
		if (s[at] == '+' || s[at] == '-')
			at++;
		if ((n = digits(s + at)) == 0)
			return 0;
		at += n;
	}
	return at == len;
}

static void
add_integer(struct buffer *b, const char *text, size_t len)
{
	/* Up to 15 digits are exact in a double, whatever they are. */
	if (len == 0 || integer_length(text) != len || len > INTEGER_MAX)
		(void)json_write_string(b, text, len);
	else if (len <= 15)
		(void)buffer_add(b, text, len);
	else
		render_integer(b, strtoll(text, NULL, 10));
}

static void
add_real(struct buffer *b, const char *text, size_t len)
{
	if (is_real(text, len))
		(void)buffer_add(b, text, len);
	else
		(void)json_write_string(b, text, len);	/* NaN, Infinity */
}

/*
 * "2026-02-28 12:34:56.789+00" as RFC 3339 has it.  What that cannot say
 * (infinity, years of five digits, offsets with seconds) stays as it is.
 */
static void
add_timestamp(struct buffer *b, const char *text, size_t len)
{
	static const char minutes[3] = { ':', '0', '0' };
	char out[STAMP_MAX + sizeof(minutes)];
	size_t at;

	at = strcspn(text + (len > 19 ? 19 : len), "+-") + 19;
	if (len < 22 || len > STAMP_MAX || text[4] != '-' || text[10] != ' ' ||
	    (len != at + 3 && (len != at + 6 || text[at + 3] != ':'))) {
		(void)json_write_string(b, text, len);
		return;
	}
	memcpy(out, text, len);
	out[10] = 'T';
	/* An offset of whole hours comes without its minutes. */
	if (len == at + 3) {
		memcpy(out + len, minutes, sizeof(minutes));
		len += sizeof(minutes);
	}
	(void)json_write_string(b, out, len);
}

static void
add_bytea(struct buffer *b, const char *text)
{
	unsigned char *raw;
	size_t len;

	raw = PQunescapeBytea((const unsigned char *)text, &len);
	if (raw == NULL) {
		b->bad = 1;
		return;
	}
	render_base64(b, raw, len);
	PQfreemem(raw);
}

static void
add_json(struct buffer *b, const char *text, size_t len)
{
	static struct json check;

	if (json_parse(&check, text, len) == 0)
		(void)buffer_add(b, text, len);
	else
		(void)json_write_string(b, text, len);
}

void
pg_add_value(struct buffer *b, const PGresult *res, int row, int column)
{
	const char *text;
	size_t len;

	if (PQgetisnull(res, row, column)) {
		(void)buffer_add_cstr(b, "null");
		return;
	}
	text = PQgetvalue(res, row, column);
	len = (size_t)PQgetlength(res, row, column);
	switch (PQftype(res, column)) {
	case OID_BOOL:
		(void)buffer_add_cstr(b, text[0] == 't' ? "true" : "false");
		break;
	case OID_INT2:
	case OID_INT4:
	case OID_INT8:
	case OID_OID:
		add_integer(b, text, len);
		break;
	case OID_FLOAT4:
	case OID_FLOAT8:
		add_real(b, text, len);
		break;
	case OID_TIMESTAMPTZ:
		add_timestamp(b, text, len);
		break;
	case OID_BYTEA:
		add_bytea(b, text);
		break;
	case OID_JSON:
	case OID_JSONB:
		add_json(b, text, len);
		break;
	default:
		(void)json_write_string(b, text, len);
		break;
	}
}
