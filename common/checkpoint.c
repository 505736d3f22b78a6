/* SPDX-License-Identifier: ISC */

/* The text of checkpoints, byte by byte, and their signatures. */

#include <stdio.h>
#include <time.h>

#include "checkpoint.h"
#include "compat.h"
#include "crypt.h"
#include "record.h"

#define SIGNED_MAX	(8 * NODE_NAME_MAX + 512)

static int
add_text(struct buffer *b, const struct checkpoint *c)
{
	char when[TIME_TEXT_LEN + 1];

	record_time(when, c->time_us);
	(void)buffer_add_cstr(b, "{\"checkpoint\":1,\"node\":\"");
	(void)buffer_add_slice(b, c->node);
	(void)buffer_printf(b, "\",\"seq\":%llu,\"hash\":\"",
	    (unsigned long long)c->seq);
	(void)buffer_add_hex(b, c->hash, sizeof(c->hash));
	(void)buffer_printf(b, "\",\"time\":\"%s\",\"key\":\"", when);
	(void)buffer_add_hex(b, c->key, sizeof(c->key));
	return buffer_add_cstr(b, "\"}");
}

int
checkpoint_write(struct buffer *b, struct checkpoint *c, EVP_PKEY *key)
{
	size_t start = b->len, len = sizeof(c->signature);
	size_t key_len = sizeof(c->key);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	int rc = -1;

	if (context != NULL &&
	    EVP_PKEY_get_raw_public_key(key, c->key, &key_len) == 1 &&
	    add_text(b, c) == 0 &&
	    EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1 &&
	    EVP_DigestSign(context, c->signature, &len, b->data + start,
	    b->len - start) == 1) {
		b->len--;
		(void)buffer_add_cstr(b, ",\"signature\":\"");
		(void)buffer_add_hex(b, c->signature, sizeof(c->signature));
		rc = buffer_add_cstr(b, "\"}");
	}
	EVP_MD_CTX_free(context);
	return rc;
}

/* Steps over a word that must stand there. */
static int
word(struct slice *at, const char *text)
{
	size_t len = strlen(text);

	if (at->len < len || memcmp(at->ptr, text, len) != 0)
		return -1;
	at->ptr += len;
	at->len -= len;
	return 0;
}

static int
hex(struct slice *at, uint8_t *to, size_t len)
{
	if (at->len < 2 * len || hex_decode(to, len, at->ptr, 2 * len) == -1)
		return -1;
	at->ptr += 2 * len;
	at->len -= 2 * len;
	return 0;
}

static int
number(struct slice *at, uint64_t *n)
{
	struct slice digits = *at;

	digits.len = 0;
	while (digits.len < at->len && at->ptr[digits.len] >= '0' &&
	    at->ptr[digits.len] <= '9')
		digits.len++;
	at->ptr += digits.len;
	at->len -= digits.len;
	return view_u64(digits, n);
}

static int
node(struct slice *at, struct slice *to)
{
	*to = *at;
	to->len = 0;
	while (to->len < at->len && at->ptr[to->len] != '"')
		to->len += at->ptr[to->len] == '\\' ? 2 : 1;
	if (to->len > at->len || to->len > 6 * NODE_NAME_MAX)
		return -1;
	at->ptr += to->len;
	at->len -= to->len;
	return 0;
}

static int
when(struct slice *at, uint64_t *us)
{
	char text[TIME_TEXT_LEN + 1], again[TIME_TEXT_LEN + 1];
	struct tm tm;
	time_t t;

	if (at->len < TIME_TEXT_LEN)
		return -1;
	memcpy(text, at->ptr, TIME_TEXT_LEN);
	text[TIME_TEXT_LEN] = '\0';
	memset(&tm, 0, sizeof(tm));
	if (strptime(text, "%Y-%m-%dT%H:%M:%S.", &tm) == NULL ||
	    (t = timegm(&tm)) < 0)
		return -1;
	*us = (uint64_t)t * 1000000 + strtoull(text + 20, NULL, 10);
	record_time(again, *us);
	at->ptr += TIME_TEXT_LEN;
	at->len -= TIME_TEXT_LEN;
	return strcmp(text, again) == 0 ? 0 : -1;
}

int
checkpoint_read(const char *text, size_t len, struct checkpoint *c)
{
	struct slice at = { text, len };

	memset(c, 0, sizeof(*c));
	if (word(&at, "{\"checkpoint\":1,\"node\":\"") == -1 ||
	    node(&at, &c->node) == -1 || word(&at, "\",\"seq\":") == -1 ||
	    number(&at, &c->seq) == -1 || word(&at, ",\"hash\":\"") == -1 ||
	    hex(&at, c->hash, sizeof(c->hash)) == -1 ||
	    word(&at, "\",\"time\":\"") == -1 || when(&at, &c->time_us) == -1 ||
	    word(&at, "\",\"key\":\"") == -1 ||
	    hex(&at, c->key, sizeof(c->key)) == -1 ||
	    word(&at, "\",\"signature\":\"") == -1 ||
	    hex(&at, c->signature, sizeof(c->signature)) == -1 ||
	    word(&at, "\"}") == -1 || at.len != 0)
		return -1;
	return 0;
}

int
checkpoint_verify(const struct checkpoint *c)
{
	EVP_PKEY *key;
	EVP_MD_CTX *context;
	struct buffer b;
	int rc = -1;

	buffer_init(&b, SIGNED_MAX);
	key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, c->key,
	    sizeof(c->key));
	context = EVP_MD_CTX_new();
	if (key != NULL && context != NULL && add_text(&b, c) == 0 &&
	    EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1 &&
	    EVP_DigestVerify(context, c->signature, sizeof(c->signature),
	    b.data, b.len) == 1)
		rc = 0;
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(key);
	buffer_free(&b);
	return rc;
}
