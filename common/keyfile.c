/* SPDX-License-Identifier: ISC */

/*
 * The key file's format; see keyfile.h.  The file is the operator's, but it
 * may have been edited by hand or by a machine: a line that is not exactly
 * right grants nothing.
 */

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "compat.h"
#include "crypt.h"
#include "keyfile.h"
#include "log.h"

#define FIELDS	8

static int
lower_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

const char *
scope_problem(struct slice s)
{
	size_t i, start = 0, segment = 0;
	int star = 0;

	if (s.len == 0)
		return "empty scope";
	if (s.len > SCOPE_MAX)
		return "scope too long";
	for (i = 0; i <= s.len; i++) {
		if (i < s.len && s.ptr[i] != ':') {
			if (s.ptr[i] == '*')
				star = 1;
			else if (!lower_or_digit(s.ptr[i]) &&
			    (s.ptr[i] == '\0' ||
			    strchr("_.-", s.ptr[i]) == NULL))
				return "a scope is made of a-z 0-9 _ . - and *";
			continue;
		}
		if (i == start)
			return "empty segment in scope";
		if (star && i - start != 1)
			return "* stands for a whole segment of a scope";
		if (star && segment == 0)
			return "* may not stand for the namespace of a scope";
		star = 0;
		start = i + 1;
		segment++;
	}
	return segment == 3 ? NULL :
	    "a scope has three segments: namespace:resource:action";
}

/* Days since 1970 of a civil date (proleptic Gregorian). */
static int64_t
days_from_civil(int64_t y, int64_t m, int64_t d)
{
	int64_t era, yoe, doy;

	y -= m <= 2;
	era = y / 400;
	yoe = y - era * 400;
	doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static int
two_digits(const char *s)
{
	if (s[0] < '0' || s[0] > '9' || s[1] < '0' || s[1] > '9')
		return -1;
	return (s[0] - '0') * 10 + s[1] - '0';
}

int64_t
key_date(const char *s)
{
	static const int month_days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30,
	    31, 30, 31 };
	int century, year, month, day, hour = 0, minute = 0, second = 0, last;
	size_t len = strlen(s);

	if ((len != 10 && len != 20) || s[4] != '-' || s[7] != '-')
		return -1;
	century = two_digits(s);
	year = two_digits(s + 2);
	month = two_digits(s + 5);
	day = two_digits(s + 8);
	if (century < 19 || year < 0 || month < 1 || month > 12)
		return -1;
	year += century * 100;
	last = month_days[month - 1];
	if (month == 2 && ((year % 4 == 0 && year % 100 != 0) ||
	    year % 400 == 0))
		last++;
	if (day < 1 || day > last)
		return -1;
	if (len == 20) {
		hour = two_digits(s + 11);
		minute = two_digits(s + 14);
		second = two_digits(s + 17);
		if (s[10] != 'T' || s[13] != ':' || s[16] != ':' ||
		    s[19] != 'Z' || hour < 0 || hour > 23 || minute < 0 ||
		    minute > 59 || second < 0 || second > 59)
			return -1;
	}
	return days_from_civil(year, month, day) * 86400 + hour * 3600 +
	    minute * 60 + second;
}

int
key_text_begins(struct slice text)
{
	return text.len >= 3 && memcmp(text.ptr, "sk_", 3) == 0;
}

struct slice
key_text_id(struct slice text)
{
	struct slice none = { "", 0 }, id;
	const char *end = text.ptr + text.len, *at;

	if (text.len < 4 || text.len > KEY_TEXT_MAX || !key_text_begins(text))
		return none;
	for (at = text.ptr + 3; at < end && lower_or_digit(*at); at++)
		;
	if (at == text.ptr + 3 || at == end || *at != '_')
		return none;
	id.ptr = ++at;
	while (at < end && lower_or_digit(*at))
		at++;
	id.len = (size_t)(at - id.ptr);
	if (id.len == 0 || id.len > KEY_ID_MAX || at == end || *at != '_' ||
	    at + 1 == end)
		return none;
	return id;
}

void
key_hash(const uint8_t pepper[KEY_LEN], struct slice text,
    uint8_t hash[DIGEST_LEN])
{
	hmac_sha256(pepper, text.ptr, text.len, hash);
}

/* The mark parts these from the hashes of texts under the same pepper. */
void
key_hash_wrap(const uint8_t pepper[KEY_LEN], const uint8_t sha[DIGEST_LEN],
    uint8_t hash[DIGEST_LEN])
{
	uint8_t marked[sizeof(KEY_LEGACY_MARK) - 1 + DIGEST_LEN];

	memcpy(marked, KEY_LEGACY_MARK, sizeof(KEY_LEGACY_MARK) - 1);
	memcpy(marked + sizeof(KEY_LEGACY_MARK) - 1, sha, DIGEST_LEN);
	hmac_sha256(pepper, marked, sizeof(marked), hash);
	explicit_bzero(marked, sizeof(marked));
}

void
key_hash_legacy(const uint8_t pepper[KEY_LEN], struct slice text,
    uint8_t hash[DIGEST_LEN])
{
	uint8_t sha[DIGEST_LEN];

	sha256(text.ptr, text.len, sha);
	key_hash_wrap(pepper, sha, hash);
	explicit_bzero(sha, sizeof(sha));
}

/* ---- one line ---------------------------------------------------------- */

int
keyfile_is_comment(struct slice line)
{
	size_t i;

	for (i = 0; i < line.len; i++)
		if (line.ptr[i] != ' ' && line.ptr[i] != '\t')
			return line.ptr[i] == '#';
	return 1;
}

/* Undoes %XX; refuses control bytes in any form. */
static int
unescape(struct slice in, char *out, size_t size)
{
	size_t i, n = 0;
	int hi, lo;
	char c;

	for (i = 0; i < in.len; i++) {
		c = in.ptr[i];
		if (c == '%') {
			if (in.len - i < 3 ||
			    (hi = hex_digit(in.ptr[i + 1])) == -1 ||
			    (lo = hex_digit(in.ptr[i + 2])) == -1)
				return -1;
			c = (char)(hi << 4 | lo);
			i += 2;
		}
		if ((unsigned char)c < 0x20 || c == 0x7f || n + 1 >= size)
			return -1;
		out[n++] = c;
	}
	out[n] = '\0';
	return 0;
}

/* The next piece before `by'; the rest stays in *rest. */
static struct slice
cut(struct slice *rest, char by)
{
	struct slice piece = *rest;
	const char *at = rest->len == 0 ? NULL :
	    memchr(rest->ptr, by, rest->len);

	if (at == NULL) {
		rest->ptr += rest->len;
		rest->len = 0;
		return piece;
	}
	piece.len = (size_t)(at - rest->ptr);
	rest->ptr = at + 1;
	rest->len -= piece.len + 1;
	return piece;
}

static const char *
parse_attributes(struct slice field, struct key_entry *e)
{
	struct slice piece, name;
	struct key_attribute *a;
	uint32_t i;

	while (field.len > 0) {
		piece = cut(&field, ',');
		if (e->nattributes == ATTRIBUTES_MAX)
			return "too many attributes";
		if (memchr(piece.ptr, '=', piece.len) == NULL)
			return "an attribute is name=value";
		a = &e->attribute[e->nattributes];
		name = cut(&piece, '=');
		if (name.len == 0 ||
		    unescape(name, a->name, sizeof(a->name)) == -1 ||
		    unescape(piece, a->value, sizeof(a->value)) == -1)
			return "bad attribute";
		for (i = 0; i < e->nattributes; i++)
			if (strcmp(e->attribute[i].name, a->name) == 0)
				return "attribute given twice";
		e->nattributes++;
	}
	return NULL;
}

static const char *
parse_scopes(struct slice field, struct key_entry *e)
{
	const char *problem;
	struct slice piece;

	if (field.len == 0)
		return "no scope";
	do {
		piece = cut(&field, ',');
		if ((problem = scope_problem(piece)) != NULL)
			return problem;
		if (e->nscopes == SCOPES_MAX)
			return "too many scopes";
		memcpy(e->scope[e->nscopes], piece.ptr, piece.len);
		e->scope[e->nscopes++][piece.len] = '\0';
	} while (field.len > 0);
	return NULL;
}

static const char *
parse_id(struct slice field, struct key_entry *e)
{
	size_t i;

	if (field.len == 0 || field.len > KEY_ID_MAX)
		return "bad id";
	for (i = 0; i < field.len; i++)
		if (!lower_or_digit(field.ptr[i]))
			return "an id is made of a-z and 0-9";
	memcpy(e->id, field.ptr, field.len);
	return NULL;
}

static const char *
parse_hash(struct slice field, struct key_entry *e)
{
	const size_t mark = sizeof(KEY_LEGACY_MARK) - 1;

	if (field.len > 0 && field.ptr[0] == '!') {
		e->revoked = 1;
		field.ptr++;
		field.len--;
	}
	if (field.len > mark && memcmp(field.ptr, KEY_LEGACY_MARK, mark) == 0) {
		e->legacy = 1;
		field.ptr += mark;
		field.len -= mark;
	}
	return hex_decode(e->hash, sizeof(e->hash), field.ptr, field.len) ==
	    -1 ? "bad hash" : NULL;
}

static const char *
parse_numbers(struct slice rate, struct slice expires, struct key_entry *e)
{
	char text[32] = "";

	if (rate.len > 0 && (unescape(rate, text, sizeof(text)) == -1 ||
	    rate_parse(&e->rate, text) == -1))
		return "bad rate";
	if (expires.len > 0) {
		if (unescape(expires, text, sizeof(text)) == -1 ||
		    (e->expires = key_date(text)) <= 0)
			return "bad date of expiry";
	}
	return NULL;
}

int
keyfile_owner_reserved(const char *owner)
{
	return strncasecmp(owner, "https://", strlen("https://")) == 0;
}

int
keyfile_parse(struct slice line, struct key_entry *e, const char **error)
{
	struct slice f[FIELDS] = { { NULL, 0 } };
	size_t i;

	memset(e, 0, sizeof(*e));
	*error = "fewer than eight fields";
	for (i = 0; i < FIELDS - 1; i++) {
		if (line.len == 0 || memchr(line.ptr, ':', line.len) == NULL)
			return -1;
		f[i] = cut(&line, ':');
	}
	f[FIELDS - 1] = line;
	/* The hash may be escaped nowhere, the date holds colons: %3A. */
	if ((*error = parse_id(f[0], e)) != NULL ||
	    (*error = parse_hash(f[1], e)) != NULL)
		return -1;
	*error = "bad owner or label";
	if (f[2].len == 0 ||
	    unescape(f[2], e->owner, sizeof(e->owner)) == -1 ||
	    unescape(f[3], e->label, sizeof(e->label)) == -1)
		return -1;
	*error = "an owner that begins with \"https://\" is a token's";
	if (keyfile_owner_reserved(e->owner))
		return -1;
	if ((*error = parse_numbers(f[4], f[5], e)) != NULL ||
	    (*error = parse_attributes(f[6], e)) != NULL ||
	    (*error = parse_scopes(f[7], e)) != NULL)
		return -1;
	return 0;
}

static void
add_escaped(struct buffer *b, const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f ||
		    strchr(":%,=", *s) != NULL)
			(void)buffer_printf(b, "%%%02X", (unsigned char)*s);
		else
			(void)buffer_add_char(b, *s);
}

void
key_date_text(int64_t when, char out[KEY_DATE_LEN + 1])
{
	time_t t = (time_t)when;
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL || strftime(out, KEY_DATE_LEN + 1,
	    "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		out[0] = '\0';
}

int
keyfile_format(struct buffer *b, const struct key_entry *e)
{
	char date[KEY_DATE_LEN + 1], rate[RATE_TEXT_MAX];
	uint32_t i;

	(void)buffer_add_cstr(b, e->id);
	(void)buffer_add_cstr(b, e->revoked ? ":!" : ":");
	if (e->legacy)
		(void)buffer_add_cstr(b, KEY_LEGACY_MARK);
	(void)buffer_add_hex(b, e->hash, sizeof(e->hash));
	(void)buffer_add_char(b, ':');
	add_escaped(b, e->owner);
	(void)buffer_add_char(b, ':');
	add_escaped(b, e->label);
	(void)buffer_add_char(b, ':');
	rate_text(rate, &e->rate);
	add_escaped(b, rate);
	(void)buffer_add_char(b, ':');
	if (e->expires > 0) {
		key_date_text(e->expires, date);
		add_escaped(b, date);
	}
	(void)buffer_add_char(b, ':');
	for (i = 0; i < e->nattributes; i++) {
		if (i > 0)
			(void)buffer_add_char(b, ',');
		add_escaped(b, e->attribute[i].name);
		(void)buffer_add_char(b, '=');
		add_escaped(b, e->attribute[i].value);
	}
	(void)buffer_add_char(b, ':');
	for (i = 0; i < e->nscopes; i++) {
		if (i > 0)
			(void)buffer_add_char(b, ',');
		(void)buffer_add_cstr(b, e->scope[i]);
	}
	return buffer_add_char(b, '\n');
}

/* ---- the pepper -------------------------------------------------------- */

/*
 * Whole before it has its name: daemon and pontifexctl may both come first,
 * and neither may read half of it or take the other's place.
 */
static int
pepper_make(const char *path)
{
	char temp[PATH_LEN_MAX + 32];
	uint8_t pepper[KEY_LEN];
	int fd, rc = -1;

	(void)snprintf(temp, sizeof(temp), "%s.XXXXXXXXXX", path);
	if ((fd = mkstemp(temp)) == -1)
		return -1;
	random_bytes(pepper, sizeof(pepper));
	if (fchmod(fd, 0600) == 0 &&
	    write(fd, pepper, sizeof(pepper)) == (ssize_t)sizeof(pepper) &&
	    fsync(fd) == 0 && (link(temp, path) == 0 || errno == EEXIST))
		rc = 0;
	explicit_bzero(pepper, sizeof(pepper));
	close(fd);
	(void)unlink(temp);
	return rc;
}

int
keyfile_pepper(const char *keyfile, int create, uint8_t pepper[KEY_LEN])
{
	/* A pipe in its place is not waited for. */
	static const int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC |
	    O_NONBLOCK;
	char path[PATH_LEN_MAX + 16];
	struct stat st;
	int fd, rc = -1;

	if ((size_t)snprintf(path, sizeof(path), "%s.pepper", keyfile) >=
	    sizeof(path)) {
		log_warn("pepper of %s: path too long", keyfile);
		return -1;
	}
	fd = open(path, flags);
	if (fd == -1 && errno == ENOENT && create && pepper_make(path) == 0)
		fd = open(path, flags);
	if (fd == -1) {
		log_errno("pepper %s", path);
		return -1;
	}
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) ||
	    (st.st_mode & 077) != 0 ||
	    (st.st_uid != geteuid() && st.st_uid != 0))
		log_warn("pepper %s: refused: must be the daemon's own and "
		    "mode 0600 (chmod 600 %s)", path, path);
	else if (read(fd, pepper, KEY_LEN) != KEY_LEN || st.st_size != KEY_LEN)
		log_warn("pepper %s: must be %d bytes", path, KEY_LEN);
	else
		rc = 0;
	close(fd);
	return rc;
}
