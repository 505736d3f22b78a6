/* SPDX-License-Identifier: ISC */

/*
 * Checkpoints: every so many records and after so much time auditd signs the
 * hash of the newest one.  It stands in the journal as an event, in the log
 * as a line, and in files that may lie on another machine: who cuts the end
 * off, or computes the chain anew, has the signed ones against him.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include <openssl/evp.h>

#include "../common/checkpoint.h"
#include "../common/compat.h"
#include "../common/crypt.h"
#include "../common/json.h"
#include "../common/log.h"
#include "../common/proc.h"
#include "../pledge/sandbox.h"
#include "auditd.h"

#define RECORDS_DEFAULT	1000
#define MS_DEFAULT	60000
#define KEY_FILE	"checkpoint.key"
#define PUBLIC_FILE	"checkpoint.pub"
#define SEED_LEN	32
#define SEED_TEXT_LEN	(2 * SEED_LEN)
#define DETAIL_MAX	2048
#define COMPLAIN_MS	60000

static struct {
	struct checkpoint_conf	 conf;
	EVP_PKEY		*key;
	struct buffer		 node;		/* as in JSON, no quotes */
	struct buffer		 text;		/* of the one in the group */
	int			 fd[CHECKPOINTS_MAX];
	int			 in_group;
	uint64_t		 group_seq;
	uint64_t		 seq;		/* of the last durable one */
	size_t			 uncovered;	/* records behind it */
	uint64_t		 since_ms;	/* the first of them */
	int			 forced;
	uint64_t		 complained_ms;
	char			 state[PATH_LEN_MAX + 64];
} c;

/* ---- the key ----------------------------------------------------------- */

static EVP_PKEY *
key_of(const uint8_t seed[SEED_LEN])
{
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL,
	    seed, SEED_LEN);

	if (key == NULL)
		log_warn("%s: not an Ed25519 key", KEY_FILE);
	return key;
}

static EVP_PKEY *
make_key(int dir)
{
	char text[SEED_TEXT_LEN + 2];
	uint8_t seed[SEED_LEN];
	EVP_PKEY *key = NULL;

	random_bytes(seed, sizeof(seed));
	hex_encode(text, seed, sizeof(seed));
	text[SEED_TEXT_LEN] = '\n';
	if (journal_file_write(dir, KEY_FILE, text, SEED_TEXT_LEN + 1, 1) == -1)
		log_errno("cannot write %s", KEY_FILE);
	else
		key = key_of(seed);
	explicit_bzero(text, sizeof(text));
	explicit_bzero(seed, sizeof(seed));
	return key;
}

static EVP_PKEY *
read_key(int dir)
{
	char text[SEED_TEXT_LEN + 16];
	uint8_t seed[SEED_LEN];
	EVP_PKEY *key = NULL;
	ssize_t n = journal_file_read(dir, KEY_FILE, text, sizeof(text));

	if (n == -1 && errno == ENOENT)
		return make_key(dir);
	if (n == -1)
		log_errno("cannot read %s", KEY_FILE);
	else if (((n == SEED_TEXT_LEN + 1 && text[SEED_TEXT_LEN] == '\n') ||
	    n == SEED_TEXT_LEN) &&
	    hex_decode(seed, sizeof(seed), text, SEED_TEXT_LEN) == 0)
		key = key_of(seed);
	else
		log_warn("%s: not a key of %d hex digits", KEY_FILE,
		    SEED_TEXT_LEN);
	explicit_bzero(text, sizeof(text));
	explicit_bzero(seed, sizeof(seed));
	return key;
}

/* For whoever verifies; a copy belongs out of reach of this machine. */
static int
write_public(int dir)
{
	char text[SEED_TEXT_LEN + 2], have[SEED_TEXT_LEN + 16];
	uint8_t raw[SEED_LEN];
	size_t len = sizeof(raw);
	ssize_t n;

	if (EVP_PKEY_get_raw_public_key(c.key, raw, &len) != 1)
		return -1;
	hex_encode(text, raw, sizeof(raw));
	text[SEED_TEXT_LEN] = '\n';
	n = journal_file_read(dir, PUBLIC_FILE, have, sizeof(have));
	if (n == SEED_TEXT_LEN + 1 &&
	    memcmp(have, text, SEED_TEXT_LEN + 1) == 0)
		return 0;
	if (n > 0)
		log_warn("audit journal has been tampered with: %s is not the "
		    "public half of %s: writing it anew", PUBLIC_FILE,
		    KEY_FILE);
	if (journal_file_write(dir, PUBLIC_FILE, text, SEED_TEXT_LEN + 1,
	    1) == -1) {
		log_errno("cannot write %s", PUBLIC_FILE);
		return -1;
	}
	return 0;
}

/* ---- files ------------------------------------------------------------- */

static void
file_failed(size_t i, const char *what)
{
	uint64_t now = now_ms();

	(void)snprintf(c.state, sizeof(c.state), "failed: %s",
	    c.conf.path[i]);
	if (c.complained_ms != 0 && now - c.complained_ms < COMPLAIN_MS)
		return;
	c.complained_ms = now;
	log_errno("checkpoint to %s: %s", c.conf.path[i], what);
}

static int
file_open(size_t i)
{
	c.fd[i] = open(c.conf.path[i], O_WRONLY | O_APPEND | O_CREAT |
	    O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0640);
	if (c.fd[i] == -1)
		file_failed(i, "open");
	return c.fd[i];
}

static int
file_write(size_t i)
{
	ssize_t n;

	if (c.fd[i] == -1 && file_open(i) == -1)
		return -1;
	n = write(c.fd[i], c.text.data, c.text.len);
	if (n != (ssize_t)c.text.len || fdatasync(c.fd[i]) == -1) {
		/* A pipe or a device has nothing to sync. */
		if (n == (ssize_t)c.text.len && errno == EINVAL)
			return 0;
		if (n != -1 && n != (ssize_t)c.text.len)
			errno = ENOSPC;
		file_failed(i, "write");
		close(c.fd[i]);
		c.fd[i] = -1;
		return -1;
	}
	return 0;
}

/* ---- life -------------------------------------------------------------- */

int
checkpoint_open(const struct checkpoint_conf *conf)
{
	size_t i;

	memset(&c, 0, sizeof(c));
	c.conf = *conf;
	if (c.conf.records == 0)
		c.conf.records = RECORDS_DEFAULT;
	if (c.conf.ms == 0)
		c.conf.ms = MS_DEFAULT;
	for (i = 0; i < CHECKPOINTS_MAX; i++)
		c.fd[i] = -1;
	(void)strlcpy(c.state, "ok", sizeof(c.state));
	buffer_init(&c.node, 8 * NODE_NAME_MAX);
	buffer_init(&c.text, DETAIL_MAX);
	/* Between the quotes. */
	if (json_write_cstr(&c.node, conf->node) == -1 || c.node.len < 3)
		return -1;
	c.node.len--;
	buffer_drain(&c.node, 1);
	if ((c.key = read_key(conf->dir)) == NULL ||
	    write_public(conf->dir) == -1)
		return -1;
	/* One that is out of reach is told, and tried again. */
	for (i = 0; i < conf->paths; i++)
		(void)file_open(i);
	return 0;
}

void
checkpoint_close(void)
{
	size_t i;

	EVP_PKEY_free(c.key);
	c.key = NULL;
	for (i = 0; i < c.conf.paths; i++)
		if (c.fd[i] != -1)
			close(c.fd[i]);
	buffer_free(&c.node);
	buffer_free(&c.text);
}

void
checkpoint_needs(struct sandbox_needs *needs)
{
	size_t i;

	for (i = 0; i < c.conf.paths; i++)
		if (c.fd[i] != -1)
			sandbox_path(needs, c.conf.path[i], SANDBOX_WRITE);
}

int
checkpoint_due(size_t records, uint64_t now)
{
	if (c.in_group || records + c.uncovered == 0)
		return 0;
	return c.forced || c.uncovered + records >= c.conf.records ||
	    (c.uncovered > 0 && now - c.since_ms >= c.conf.ms);
}

const char *
checkpoint_make(uint64_t seq, const uint8_t hash[DIGEST_LEN])
{
	struct checkpoint point = { .seq = seq, .time_us = wall_us() };

	point.node.ptr = (const char *)c.node.data;
	point.node.len = c.node.len;
	memcpy(point.hash, hash, DIGEST_LEN);
	buffer_clear(&c.text);
	if (checkpoint_write(&c.text, &point, c.key) == -1 ||
	    buffer_add_char(&c.text, '\0') == -1) {
		log_warn("a checkpoint cannot be signed");
		return NULL;
	}
	c.in_group = 1;
	c.group_seq = seq;
	return (const char *)c.text.data;
}

static void
publish(void)
{
	size_t i;
	int failed = 0;

	log_info("audit checkpoint %s", (const char *)c.text.data);
	c.text.data[c.text.len - 1] = '\n';
	for (i = 0; i < c.conf.paths; i++)
		failed |= file_write(i) == -1;
	if (!failed)
		(void)strlcpy(c.state, "ok", sizeof(c.state));
}

void
checkpoint_settled(int durable, size_t records, uint64_t now)
{
	if (!durable) {
		c.in_group = 0;
		return;
	}
	if (!c.in_group) {
		if (c.uncovered == 0 && records > 0)
			c.since_ms = now;
		c.uncovered += records;
		return;
	}
	c.in_group = c.forced = 0;
	c.uncovered = 0;
	c.seq = c.group_seq;
	publish();
}

uint64_t
checkpoint_at_ms(void)
{
	return c.uncovered == 0 ? 0 : c.since_ms + c.conf.ms;
}

void
checkpoint_force(void)
{
	c.forced = 1;
}

uint64_t
checkpoint_seq(void)
{
	return c.seq;
}

const char *
checkpoint_state(void)
{
	return c.state;
}
