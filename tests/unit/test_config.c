/* SPDX-License-Identifier: ISC */
/* link: daemon/parse.y daemon/input.c daemon/config.c daemon/declare.c daemon/issuer.c daemon/check.c daemon/check_param.c daemon/check_cache.c daemon/audit.c daemon/sqlscan.c daemon/toolspec.c daemon/secret.c */

/*
 * pontifex.conf(5): what the contract's files become; a table of mistakes,
 * each with all that is said of it, so that one mistake is one message; what
 * parses and is not in force; secrets; and files cut or bent anywhere.
 */

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "../../common/log.h"
#include "../../daemon/configure.h"

static char dir[PATH_MAX];
static char said[64 * 1024];	/* by the last load, without the folder */

/* ---- helpers ----------------------------------------------------------- */

/* Good for the next three calls too. */
static const char *
in_dir(const char *name)
{
	static char paths[4][2 * PATH_MAX];
	static unsigned int next;
	char *path = paths[next++ % 4];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

static void
write_bytes(const char *name, const char *text, size_t len)
{
	int fd = open(in_dir(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd != -1);
	assert_int_equal(write(fd, text, len), len);
	assert_int_equal(close(fd), 0);
}

static void
write_text(const char *name, const char *text)
{
	write_bytes(name, text, strlen(text));
}

/* Takes the folder out of each message. */
static void
shorten(const char *from)
{
	size_t len = strlen(dir) + 1, n = 0;

	while (*from != '\0' && n < sizeof(said) - 1) {
		if (strncmp(from, dir, len - 1) == 0 && from[len - 1] == '/')
			from += len;
		else
			said[n++] = *from++;
	}
	said[n] = '\0';
}

/* What goes to standard error meanwhile is kept. */
static int
redirect_begin(void)
{
	int saved = dup(STDERR_FILENO), fd;

	assert_true(saved != -1);
	fd = open(in_dir("stderr"), O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_true(fd != -1);
	(void)fflush(stderr);
	assert_true(dup2(fd, STDERR_FILENO) != -1);
	close(fd);
	return saved;
}

static void
redirect_end(int saved)
{
	static char text[sizeof(said)];
	ssize_t n;

	(void)fflush(stderr);
	assert_int_equal(lseek(STDERR_FILENO, 0, SEEK_SET), 0);
	n = read(STDERR_FILENO, text, sizeof(text) - 1);
	assert_true(dup2(saved, STDERR_FILENO) != -1);
	close(saved);
	text[n > 0 ? n : 0] = '\0';
	shorten(text);
}

static struct config *
load(const char *path)
{
	int saved = redirect_begin();
	struct config *c = config_load(path);

	redirect_end(saved);
	return c;
}

static struct config *
load_text(const char *text)
{
	write_text("c", text);
	return load(in_dir("c"));
}

static struct config *
load_good(const char *text)
{
	struct config *c = load_text(text);

	if (c == NULL)
		fail_msg("not taken: %s", said);
	assert_string_equal(said, "");
	return c;
}

static int
make_dir(void **state)
{
	char template[] = "/tmp/test_config.XXXXXX", real[PATH_MAX];

	(void)state;
	if (mkdtemp(template) == NULL || realpath(template, real) == NULL)
		return -1;
	(void)strlcpy(dir, real, sizeof(dir));
	return 0;
}

static int
remove_dir(void **state)
{
	static const char *const names[] = {
		"c", "d", "secret", "stderr", "sub/c", "sub/d"
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)unlink(in_dir(names[i]));
	(void)rmdir(in_dir("sub"));
	return rmdir(dir);
}

/* A house of five lines, and a tool whose own lines begin at the tenth. */
#define HOUSE	"namespace \"shop\"\nlisten on 127.0.0.1 port 8080\n" \
		"auth { keys \"keys\" }\naudit { journal \"audit\" }\n" \
		"source shop sqlite \"shop.db\"\n"
#define NAMED(n) "tool " n " {\ndescription \"d\"\nscope \"shop:a:read\"\n" \
		"source shop\n"
#define TOOL	NAMED("t")
#define ONE	"sql \"SELECT 1\"\n}\n"
#define GOOD	HOUSE TOOL ONE		/* eleven lines */
#define X	"sql \"SELECT :x\"\n}\n"
#define PG	"namespace \"shop\"\nlisten on 127.0.0.1 port 8080\n" \
		"auth { keys \"keys\" }\naudit { journal \"audit\" }\n"
#define ON_SHOP "tool t {\ndescription \"d\"\nscope \"shop:a:read\"\n" \
		"source shop\n" ONE

/* ---- mistakes ---------------------------------------------------------- */

static const struct {
	const char	*text;
	const char	*wanted;	/* all that is said */
} mistakes[] = {
	/* what nothing starts without */
	{ "", "c:1: no namespace is given\nc:1: no listen line is given\n"
	    "c:1: no auth block is given: nothing would be authenticated\n"
	    "c:1: no audit journal is given: nothing would be recorded\n"
	    "c:1: no tool is declared\n" },
	{ "namespace \"a\"\nlisten on 127.0.0.1 port 1\nauth { }\naudit { }\n"
	    "source shop sqlite \"s\"\n" ON_SHOP,
	    "c:1: auth has neither keys nor an issuer\n"
	    "c:1: no audit journal is given: nothing would be recorded\n" },
	{ HOUSE "tool t {\n}\n", "c:6: tool \"t\" has no description\n"
	    "c:6: tool \"t\" has no scope\nc:6: tool \"t\" has no source\n"
	    "c:6: tool \"t\" has no sql\n" },
	/* words */
	{ GOOD "nonsense here\n", "c:12: unknown word \"nonsense\"\n" },
	{ GOOD "one\ntwo\n", "c:12: unknown word \"one\"\n"
	    "c:13: unknown word \"two\"\n" },
	{ GOOD "thing x {\nscope \"a\"\nparam y integer { minimum 1 }\n}\n",
	    "c:12: unknown word \"thing\"\n" },
	{ GOOD "sql \"a\nb\"\nallow host \"a\" }\n",
	    "c:12: syntax error at sql\n"
	    "c:14: syntax error: } closes nothing\n" },
	{ HOUSE TOOL "colour \"a\nb\"\n" ONE, "c:10: unknown word \"colour\"\n" },
	{ HOUSE TOOL "sql SELECT\n}\n",
	    "c:10: syntax error at SELECT: wanted a text in quotes\n" },
	{ HOUSE TOOL "title\n" ONE,
	    "c:10: syntax error: the line ends too early: wanted a text in quotes\n" },
	{ HOUSE TOOL "param x integer {\nminimum\n}\n" X,
	    "c:12: syntax error at }: wanted true, false, a text in quotes or a number\n" },
	{ HOUSE TOOL "param x integer {\nminimun 3\nmaximum 4 }\n" X,
	    "c:11: syntax error at minimun: wanted description, maximum, minimum, omit, pattern, redact, a text in quotes or }\n" },
	{ HOUSE TOOL "param x money required { minimum 1 }\n" X,
	    "c:10: syntax error at money: wanted boolean, date, enum, integer, number, string, timestamp or uuid\n" },
	{ GOOD "}\n", "c:12: syntax error: } closes nothing\n" },
	{ GOOD "allow host \"a\" \"b\"\n", "c:12: syntax error at \"b\": wanted the end of the line\n" },
	{ GOOD "\001\n", "c:12: syntax error at byte 0x01\n" },
	{ GOOD "gr\303\266\303\237e\n", "c:12: unknown word \"gr\"\n" },
	/* braces that are not there */
	{ HOUSE "tool a {\ntitle \"a\"\n" TOOL ONE, "c:8: } is missing before "
	    "tool: the block of line 6 is still open\n" },
	{ HOUSE "tool a {\ntitle \"a\"", "c:7: the file ends, and the block "
	    "of line 6 is still open\n" },
	{ HOUSE TOOL "param x integer {\nminimum 1", "c:11: the file ends, "
	    "and the block of line 6 is still open\n" },
	/* strings, numbers, macros */
	{ GOOD "allow host \"a\n\n", "c:12: string without an end\n" },
	{ GOOD "allow host \"\377\"\nfoo\n", "c:12: a string is UTF-8\n"
	    "c:13: unknown word \"foo\"\n" },
	{ GOOD "allow host \"\355\240\200\"\n", "c:12: a string is UTF-8\n" },
	{ GOOD "allow host $a\n", "c:12: macro $a is not defined\n" },
	{ "a-b = \"x\"\n" GOOD, "c:1: macro \"a-b\": a name is made of "
	    "letters, digits and _ and begins with no digit\n" },
	{ "a = 5s\n" GOOD, "c:1: syntax error at 5s: wanted a text in quotes or a number\n" },
	{ GOOD "listen on 127.0.0.1 port 99999999999999999999\n",
	    "c:12: number out of range: 99999999999999999999\n" },
	{ HOUSE TOOL "timeout 9223372036854775807d\n" ONE,
	    "c:10: number out of range: 9223372036854775807d\n" },
	{ "p = \"8081\"\n" GOOD "listen on 127.0.0.1 port $p\n",
	    "c:13: syntax error at $p: wanted a number\n" },
	{ GOOD "include \"nosuch\"\n",
	    "c:12: include \"nosuch\": No such file or directory\n" },
	{ GOOD "include \".\"\n", "c:12: include \".\": Is a directory\n" },
	{ GOOD "include \"/dev/null\"\n",
	    "c:12: include \"/dev/null\": Invalid argument\n" },
	{ GOOD "include \"c\"\n", "c:12: include \"c\": it includes itself\n" },
	/* the wire */
	{ GOOD "listen on 0.0.0.0 port 1\n", "c:12: listen on 0.0.0.0: this is "
	    "not loopback, and TLS is not built: end it at a gateway in front "
	    "and say so with the word plaintext\n" },
	{ GOOD "listen on \"::\" port 1\n", "c:12: listen on ::: this is "
	    "not loopback, and TLS is not built: end it at a gateway in front "
	    "and say so with the word plaintext\n" },
	{ GOOD "listen on \"::ffff:127.0.0.1\" port 1\n", "c:12: listen on "
	    "::ffff:127.0.0.1: this is not loopback, and TLS is not built: "
	    "end it at a gateway in front and say so with the word "
	    "plaintext\n" },
	{ GOOD "listen on localhost port 1\n",
	    "c:12: listen on \"localhost\": must be a numeric address\n" },
	{ GOOD "listen on 127.evil port 1\n",
	    "c:12: listen on \"127.evil\": must be a numeric address\n" },
	{ GOOD "listen on 127.0.0.1 port 0\n", "c:12: port must be 1 to 65535\n" },
	{ GOOD "listen on 127.0.0.1 port 65536\n",
	    "c:12: port must be 1 to 65535\n" },
	{ GOOD "listen on 127.0.0.1 port 8080\n",
	    "c:12: listen on 127.0.0.1 port 8080 is given twice\n" },
	{ GOOD "path \"mcp\"\n", "c:12: path \"mcp\": must begin with / and "
	    "hold no blank, quote, ? # or %\n" },
	{ GOOD "path \"/health/live\"\n",
	    "c:12: path \"/health/live\": something else is served there\n" },
	{ GOOD "public url \"mcp.example.com\"\n", "c:12: public url "
	    "\"mcp.example.com\": must be https://host[:port]/path\n" },
	{ GOOD "public url \"https://u:p@h/\"\n", "c:12: public url "
	    "\"https://u:p@h/\": must be https://host[:port]/path\n" },
	{ GOOD "public url \"https://h/\\\"x\"\n", "c:12: public url "
	    "\"https://h/\"x\": must be https://host[:port]/path\n" },
	{ GOOD "allow host \"https://a\"\n", "c:12: allow host \"https://a\": "
	    "must be a host name or address, without scheme and port\n" },
	{ GOOD "allow host \"a:1\"\n", "c:12: allow host \"a:1\": "
	    "must be a host name or address, without scheme and port\n" },
	{ GOOD "allow origin \"https://a/\"\n", "c:12: allow origin "
	    "\"https://a/\": must be scheme://host, and nothing behind it\n" },
	{ GOOD "allow origin \"*\"\n", "c:12: allow origin \"*\": must be "
	    "scheme://host, and nothing behind it\n" },
	{ GOOD "trust forwarded from \"gateway.example\"\n", "c:12: trust "
	    "forwarded from \"gateway.example\": must be a numeric address, or ADDRESS/BITS with "
	    "no bit set behind the first BITS, of which there is one at least\n" },
	{ GOOD "trust forwarded from \"10.0.0.0/0\"\n", "c:12: trust "
	    "forwarded from \"10.0.0.0/0\": must be a numeric address, or ADDRESS/BITS with "
	    "no bit set behind the first BITS, of which there is one at least\n" },
	{ GOOD "trust forwarded from \"10.0.0.0/33\"\n", "c:12: trust "
	    "forwarded from \"10.0.0.0/33\": must be a numeric address, or ADDRESS/BITS with "
	    "no bit set behind the first BITS, of which there is one at least\n" },
	{ GOOD "trust forwarded from \"10.0.0.1/8\"\n", "c:12: trust "
	    "forwarded from \"10.0.0.1/8\": must be a numeric address, or ADDRESS/BITS with "
	    "no bit set behind the first BITS, of which there is one at least\n" },
	{ GOOD "trust forwarded from \"::/0\"\n", "c:12: trust "
	    "forwarded from \"::/0\": must be a numeric address, or ADDRESS/BITS with "
	    "no bit set behind the first BITS, of which there is one at least\n" },
	{ GOOD "trust forwarded from \"::1/129\"\n", "c:12: trust "
	    "forwarded from \"::1/129\": must be a numeric address, or ADDRESS/BITS with "
	    "no bit set behind the first BITS, of which there is one at least\n" },
	{ GOOD "trust forwarded from \"10.0.0.0/\"\n", "c:12: trust "
	    "forwarded from \"10.0.0.0/\": must be a numeric address, or ADDRESS/BITS with "
	    "no bit set behind the first BITS, of which there is one at least\n" },
	{ GOOD "trust forwarded from \"10.0.0.0/+8\"\n", "c:12: trust "
	    "forwarded from \"10.0.0.0/+8\": must be a numeric address, or ADDRESS/BITS with "
	    "no bit set behind the first BITS, of which there is one at least\n" },
	{ GOOD "trust forwarded from \"10.0.0.0/8/8\"\n", "c:12: trust "
	    "forwarded from \"10.0.0.0/8/8\": must be a numeric address, or ADDRESS/BITS with "
	    "no bit set behind the first BITS, of which there is one at least\n" },
	{ GOOD "trust forwarded from \"\"\n", "c:12: trust "
	    "forwarded from \"\": must be a numeric address, or ADDRESS/BITS with "
	    "no bit set behind the first BITS, of which there is one at least\n" },
	{ GOOD "trust forwarded from \"fe80::1%eth0\"\n", "c:12: trust "
	    "forwarded from \"fe80::1%eth0\": must be a numeric address, or ADDRESS/BITS with "
	    "no bit set behind the first BITS, of which there is one at least\n" },
	{ GOOD "trust forwarded from \"2001:db8::1/32\"\n", "c:12: trust "
	    "forwarded from \"2001:db8::1/32\": must be a numeric address, or ADDRESS/BITS with "
	    "no bit set behind the first BITS, of which there is one at least\n" },
	{ GOOD "trust forwarded from \"0.0.0.0/0x8\"\n", "c:12: trust "
	    "forwarded from \"0.0.0.0/0x8\": must be a numeric address, or ADDRESS/BITS with "
	    "no bit set behind the first BITS, of which there is one at least\n" },
	{ GOOD "trust forwarded from \"::1\"\ntrust forwarded from \"::2\"\n",
	    "c:13: trust is given twice\n" },
	{ GOOD "prefork listeners 0\n", "c:12: listeners must be 1 to 32\n" },
	{ GOOD "prefork handlers 33\n", "c:12: handlers must be 1 to 32\n" },
	/* twice */
	{ GOOD "namespace \"b\"\n", "c:12: namespace is given twice\n" },
	{ GOOD "auth { keys \"k\" }\n", "c:12: auth is given twice\n" },
	{ GOOD "audit { }\n", "c:12: audit is given twice\n" },
	{ GOOD "prefork listeners 1 listeners 2\n",
	    "c:12: listeners is given twice\n" },
	{ GOOD "redis from env \"R\"\nredis from env \"S\"\n",
	    "c:13: redis is given twice\n" },
	{ GOOD "redis from env \"R\"\nredis key from env \"S\"\n"
	    "redis key from env \"S\"\n",
	    "c:14: redis key is given twice\n" },
	{ GOOD "redis key from file \"k\"\n",
	    "c:12: redis key is given, but no redis\n" },
	{ GOOD "redis from env \"R\" ca \"\"\n", "c:12: ca is empty\n" },
	{ GOOD "redis \"redis://h\"\n", "c:12: syntax error at \"redis://h\": wanted from or key\n" },
	{ GOOD "source shop sqlite \"o\"\n",
	    "c:12: source \"shop\" is declared twice\n" },
	{ GOOD TOOL ONE, "c:12: tool \"t\" is declared twice\n" },
	{ HOUSE TOOL "scope \"shop:a:b\"\n" ONE, "c:10: scope is given twice\n" },
	{ HOUSE TOOL "writes\nwrites\n" ONE, "c:11: writes is given twice\n" },
	{ HOUSE TOOL "cache 1s\ncache shared 1s\n" ONE,
	    "c:11: cache is given twice\n" },
	{ HOUSE TOOL "param x integer\nparam x integer\n" X,
	    "c:11: param \"x\" is declared twice\n" },
	{ HOUSE TOOL "param x integer required\nrequired\n" X,
	    "c:11: syntax error at required\n" },
	{ HOUSE TOOL "param x integer required required\n" X,
	    "c:10: required is given twice\n" },
	{ HOUSE TOOL "param x string { redact omit }\n" X,
	    "c:10: param \"x\": redact or omit, once\n" },
	{ HOUSE TOOL "param x integer {\nminimum 1\nminimum 2\n}\n" X,
	    "c:12: minimum is given twice\n" },
	/* names */
	{ "namespace \"a b\"\n", "c:1: namespace \"a b\": a name is a letter "
	    "and up to 63 of A-Z a-z 0-9 _ . -\n" },
	{ GOOD "source 1a sqlite \"a\"\n", "c:12: source \"1a\": a name is a "
	    "letter and up to 63 of A-Z a-z 0-9 _ . -\n" },
	{ HOUSE TOOL "param a-b integer\n" ONE, "c:10: param \"a-b\": a name "
	    "is a letter or _ and up to 63 of A-Z a-z 0-9 _\n" },
	{ HOUSE TOOL "param caller integer\n" ONE, "c:10: param \"caller\": "
	    "the name belongs to the verified identity\n" },
	{ GOOD "user \"a:b\"\n", "c:12: user \"a:b\" is no name of a user\n" },
	/* auth and audit */
	{ GOOD "audit {\nlimit 1\n}\n", "c:12: audit is given twice\n"
	    "c:13: syntax error at limit: wanted arguments, checkpoint, journal, node, on, postgres, sink, the end of the line or }\n" },
	{ "auth {\nkeys \"k\"\nrate 0 per minute\n}\n",
	    "c:3: rate and burst must be 1 to 1000000000\n" },
	{ "auth {\nrate 5 per minute burst 0\n}\n",
	    "c:2: rate and burst must be 1 to 1000000000\n" },
	{ "auth {\ncalls in flight 0\n}\n",
	    "c:2: calls in flight must be 1 to 8192\n" },
	{ "auth {\ncalls in flight 8193\n}\n",
	    "c:2: calls in flight must be 1 to 8192\n" },
	{ "auth {\ncalls in flight 1\ncalls in flight 1\n}\n",
	    "c:3: calls in flight is given twice\n" },
	{ "tool t {\nrate 1 per minute\nrate 2 per hour\n}\n",
	    "c:3: rate is given twice\n" },
	{ "auth {\nrate 1 per minute\nrate 2 per hour\n}\n",
	    "c:3: rate is given twice\n" },
	{ "auth {\nissuer \"https://i/\" {\nscopes from \"s\"\n}\n}\n",
	    "c:4: the issuer has no audience: tokens for anybody would do\n" },
	{ "auth {\nissuer \"http://i/\" {\naudience \"a\"\n}\n}\n",
	    "c:2: issuer \"http://i/\": must be https://host[:port]/path, "
	    "without query and fragment, up to 255 bytes\n" },
	{ "auth {\nissuer \"https://i/#x\" {\naudience \"a\"\n}\n}\n",
	    "c:2: issuer \"https://i/#x\": must be https://host[:port]/path, "
	    "without query and fragment, up to 255 bytes\n" },
	{ "auth {\nissuer \"https://u@i/\" {\naudience \"a\"\n}\n}\n",
	    "c:2: issuer \"https://u@i/\": must be https://host[:port]/path, "
	    "without query and fragment, up to 255 bytes\n" },
	{ "auth {\nissuer \"https://i/\" {\naudience \"a\"\n"
	    "jwks \"file:///k\"\n}\n}\n",
	    "c:4: jwks \"file:///k\": must be https://host[:port]/path, "
	    "without query and fragment, up to 1024 bytes\n" },
	{ "auth {\nissuer \"https://i/\" {\naudience \"a\"\n"
	    "leeway 121s\n}\n}\n",
	    "c:4: leeway: whole seconds, at most 120 s\n" },
	{ "auth {\nissuer \"https://i/\" {\naudience \"a\"\n"
	    "leeway 1500ms\n}\n}\n",
	    "c:4: leeway: whole seconds, at most 120 s\n" },
	{ "auth {\nissuer \"https://i/\" {\naudience \"a\"\n"
	    "lifetime 721h\n}\n}\n",
	    "c:4: lifetime: whole seconds, 1 s to 30 days\n" },
	{ "auth {\nissuer \"https://i/\" {\naudience \"a\"\n}\n"
	    "issuer \"https://i/\" {\naudience \"a\"\n}\n}\n",
	    "c:5: issuer \"https://i/\" is given twice\n" },
	{ "auth {\nissuer \"https://i/\" {\naudience \"a\"\n"
	    "role \"x\" grants \"a:b:c\"\nrole \"x\" grants \"a:b:d\"\n}\n}\n",
	    "c:5: role \"x\" is given twice\n" },
	{ "namespace \"a\"\nlisten on 127.0.0.1 port 1\nauth {\n"
	    "issuer \"https://i/\" {\naudience \"a\"\n}\n}\n"
	    "audit { journal \"j\" }\nsource shop sqlite \"s\"\n" ON_SHOP,
	    "c:4: an issuer needs a public url: clients find it by that\n" },
	{ "auth {\nissuer \"https://i/\" {\naudience \"\"\n}\n}\n",
	    "c:3: audiences: each has 1 to 1024 bytes\n" },
	{ "auth {\nissuer \"https://i/\" {\naudience \"a\"\n"
	    "scopes from \"\"\n}\n}\n",
	    "c:4: scopes from \"\": must name a claim\n" },
	{ "auth {\nissuer \"https://i/\" {\naudience \"a\"\n"
	    "ca \"a\"\nca \"b\"\n}\n}\n", "c:5: ca is given twice\n" },
	{ "auth {\nissuer \"https://i/\" {\naudience \"a\"\n"
	    "lifetime 0s\n}\n}\n",
	    "c:4: lifetime: whole seconds, 1 s to 30 days\n" },
	{ "auth {\nissuer \"https://i/\" {\naudience \"a\"\n"
	    "claims \"a b\"\n}\n}\n",
	    "c:4: claim \"a b\": a name is a letter and then A-Z a-z 0-9 "
	    "_ . -\n" },
	{ "auth {\nissuer \"https://i/\" {\naudience \"a\"\n"
	    "role \"r\" grants \"shop:x\", \"*:a:b\"\n}\n}\n",
	    "c:4: scope \"shop:x\": a scope has three segments: "
	    "namespace:resource:action\n" },
	{ "auth {\nissuer \"https://i/\" {\nfoo\naudience \"a\"\nbar\n}\n}\n",
	    "c:3: unknown word \"foo\"\nc:5: unknown word \"bar\"\n" },
	{ "audit {\njournal \"a\" limit -5\n}\n",
	    "c:2: limit must be at least 1 byte\n" },
	{ "audit {\non failure stop\non failure refuse\n}\n",
	    "c:3: failure is given twice\n" },
	{ "audit {\npostgres from env \"A\"\npostgres from env \"B\"\n}\n",
	    "c:3: postgres is given twice\n" },
	{ "audit {\npostgres \"host=x password=y\"\n}\n",
	    "c:2: syntax error at \"host=x password=y\": wanted from\n" },
	{ "audit {\npostgres from credential \"../x\"\n}\n",
	    "c:2: secret: \"../x\" is no name of one\n" },
	{ "audit {\nnode \"a b\"\n}\n", "c:2: node: up to 256 printable "
	    "characters without blanks and quotes\n" },
	/* sources */
	{ PG "source shop postgres\n" ON_SHOP, "c:5: source \"shop\" has no dsn\n" },
	{ GOOD "source b sqlite \"b\" {\ndsn from env \"X\"\n}\n",
	    "c:13: dsn is for a postgres source\n" },
	{ GOOD "source b sqlite \"b\" {\nsession \"a.b\" caller.id\n}\n",
	    "c:13: session is for a postgres source\n" },
	{ GOOD "source b postgres {\nsession \"search_path\" caller.id\n}\n",
	    "c:13: session \"search_path\": must be a setting of your own, "
	    "with a dot in its name\n" },
	{ GOOD "source b postgres {\nsession \"a.b\" caller.claim\n}\n",
	    "c:13: session \"a.b\": must be caller.id, caller.owner or "
	    "caller.claim.NAME, not caller.claim\n" },
	{ GOOD "source b postgres {\nsession \"a.b\" caller.id\n"
	    "session \"A.b\" caller.owner\n}\n",
	    "c:14: session \"A.b\" is given twice\n" },
	{ GOOD "source b sqlite \"b\" {\nfallback c\n}\n",
	    "c:12: source \"b\": fallback \"c\" is not declared\n" },
	{ GOOD "source b sqlite \"b\" {\nfallback b\n}\n",
	    "c:12: source \"b\" is its own fallback\n" },
	{ GOOD "source a sqlite \"a\" {\nfallback b\n}\n"
	    "source b sqlite \"b\" {\nfallback a\n}\n",
	    "c:12: source \"a\" is its own fallback\n"
	    "c:15: source \"b\" is its own fallback\n" },
	{ GOOD "source b sqlite \"b\" {\nfallback p\n}\n"
	    "source p postgres {\ndsn from env \"X\"\n}\n",
	    "c:12: source \"b\": fallback \"p\" is of another kind\n" },
	{ GOOD "source a postgres {\ndsn from env \"X\"\nfallback b\n"
	    "session \"a.t\" caller.id\n}\nsource b postgres {\n"
	    "dsn from env \"X\"\nsession \"a.t\" caller.owner\n}\n",
	    "c:17: source \"b\" stands in for \"a\" and inherits its session "
	    "lines: it may have no others\n" },
	{ GOOD "source a postgres {\ndsn from env \"X\"\nfallback b\n}\n"
	    "source b postgres {\n"
	    "dsn from env \"X\"\nsession \"a.t\" caller.owner\n}\n",
	    "c:16: source \"b\" stands in for \"a\", which has no session "
	    "lines: it may have none either\n" },
	{ GOOD "source b sqlite \"b\" {\ntimeout 31s\n}\n",
	    "c:13: timeout must be 1ms to 30s\n" },
	{ GOOD "source b sqlite \"b\" {\nconnections 65\n}\n",
	    "c:13: connections must be 1 to 64\n" },
	/* tools */
	{ HOUSE NAMED("t") "approve\n" ONE, "c:10: approve is not in force "
	    "yet: the tool would run unapproved\n" },
	{ PG "source other sqlite \"o\"\n" ON_SHOP,
	    "c:6: tool \"t\": source \"shop\" is not declared\n" },
	{ HOUSE "tool t {\ndescription \"d\"\nscope \"shop:*:read\"\n"
	    "source shop\n" ONE, "c:6: tool \"t\": scope \"shop:*:read\": a "
	    "tool's scope has no *\n" },
	{ HOUSE "tool t {\ndescription \"d\"\nscope \"*:a:read\"\n"
	    "source shop\n" ONE, "c:6: tool \"t\": scope \"*:a:read\": * may "
	    "not stand for the namespace of a scope\n" },
	{ HOUSE "tool t {\ndescription \"d\"\nscope \"shop::read\"\n"
	    "source shop\n" ONE, "c:6: tool \"t\": scope \"shop::read\": "
	    "empty segment in scope\n" },
	{ HOUSE TOOL "limit rows 0\n" ONE,
	    "c:10: limit rows must be 1 to 1000000\n" },
	{ HOUSE TOOL "limit bytes 2M\n" ONE,
	    "c:10: limit bytes must be 1 to 1048576\n" },
	{ HOUSE TOOL "title \"\"\n" ONE, "c:10: title is empty\n" },
	/* statements */
	{ HOUSE TOOL "sql \"SELECT\n  1,\n  :x\"\n}\n",
	    "c:12: tool \"t\": :x is not declared as a param\n" },
	{ HOUSE TOOL "sql\\\n\"SELECT :y,\n  :x\"\nparam y date\n}\n",
	    "c:12: tool \"t\": :x is not declared as a param\n" },
	{ HOUSE TOOL "param x integer\nparam y integer\n" X, "c:11: param "
	    "\"y\" is declared but not in the sql of tool \"t\"\n" },
	{ HOUSE TOOL "sql \"SELECT 1;\n DELETE FROM a\"\n}\n",
	    "c:11: tool \"t\": sql: more than one statement\n" },
	{ HOUSE TOOL "sql \"SELECT 1, '\n\"\n}\n",
	    "c:10: tool \"t\": sql: quote without an end\n" },
	{ HOUSE TOOL "sql \"SELECT ?\"\n}\n",
	    "c:10: tool \"t\": sql: a parameter is written :name\n" },
	{ HOUSE TOOL "sql \"SELECT\n :caller.name\"\n}\n", "c:11: tool \"t\": "
	    ":caller.name: there are caller.id, caller.owner and "
	    "caller.claim.NAME\n" },
	{ HOUSE TOOL "sql \"SELECT :caller\"\n}\n", "c:10: tool \"t\": "
	    ":caller: there are caller.id, caller.owner and "
	    "caller.claim.NAME\n" },
	/* params */
	{ HOUSE TOOL "param x enum\n" X, "c:10: param \"x\": an enum needs "
	    "its values: { \"a\", \"b\" }\n" },
	{ HOUSE TOOL "param x string { \"a\" }\n" X,
	    "c:10: param \"x\": only an enum has values\n" },
	{ HOUSE TOOL "param x enum { \"a\", \"b\",\n\"a\" }\n" X,
	    "c:11: param \"x\": value \"a\" is given twice\n" },
	{ HOUSE TOOL "param x enum { \"a\" } default \"b\"\n" X,
	    "c:10: param \"x\": default is no enum value of its own\n" },
	{ HOUSE TOOL "param x integer required default 1\n" X,
	    "c:10: param \"x\": required and default exclude each other\n" },
	{ HOUSE TOOL "param x integer default 1.5\n" X,
	    "c:10: param \"x\": default is no integer\n" },
	{ HOUSE TOOL "param x integer default \"1\"\n" X,
	    "c:10: param \"x\": default is no integer\n" },
	{ HOUSE TOOL "param x string default 1\n" X,
	    "c:10: param \"x\": default is no string\n" },
	{ HOUSE TOOL "param x boolean default \"true\"\n" X,
	    "c:10: param \"x\": default is no boolean\n" },
	{ HOUSE TOOL "param x date default \"2026-02-29\"\n" X,
	    "c:10: param \"x\": default is no date\n" },
	{ HOUSE TOOL "param x timestamp default \"2026-02-28 10:00:00\"\n" X,
	    "c:10: param \"x\": default is no timestamp\n" },
	{ HOUSE TOOL "param x uuid default \"1234\"\n" X,
	    "c:10: param \"x\": default is no uuid\n" },
	{ HOUSE TOOL "param x integer {\nminimum 5\nmaximum 4 }\n" X,
	    "c:10: param \"x\": minimum is greater than maximum\n" },
	{ HOUSE TOOL "param x integer { minimum 9007199254740993 "
	    "maximum 9007199254740992 }\n" X,
	    "c:10: param \"x\": minimum is greater than maximum\n" },
	{ HOUSE TOOL "param x integer default 3 { minimum 5 }\n" X,
	    "c:10: param \"x\": default is outside minimum and maximum\n" },
	{ HOUSE TOOL "param x number default 1.5 { maximum 1.25 }\n" X,
	    "c:10: param \"x\": default is outside minimum and maximum\n" },
	{ HOUSE TOOL "param x string { minimum 1 }\n" X,
	    "c:10: param \"x\": minimum is for integer and number\n" },
	{ HOUSE TOOL "param x integer { maximum 1.5 }\n" X,
	    "c:10: param \"x\": maximum must be of type integer\n" },
	{ HOUSE TOOL "param x integer { maximum length 5 }\n" X,
	    "c:10: param \"x\": maximum length is for string\n" },
	{ HOUSE TOOL "param x string default \"äöü\" { maximum length 2 }\n" X,
	    "c:10: param \"x\": default is longer than maximum length\n" },
	{ HOUSE TOOL "param x date { pattern \"a\" }\n" X,
	    "c:10: param \"x\": pattern is for string\n" },
	{ HOUSE TOOL "param x string default \"b\" { pattern \"a+\" }\n" X,
	    "c:10: param \"x\": default does not match the pattern\n" },
	{ HOUSE TOOL "param x string { pattern \"[z-a]\" }\n" X,
	    "c:10: param \"x\": pattern: Invalid range end\n" },
};

static void
each_mistake_is_said_once_with_its_line(void **state)
{
	struct config *c;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		c = load_text(mistakes[i].text);
		if (c != NULL)
			fail_msg("row %zu is taken; wanted %s", i,
			    mistakes[i].wanted);
		if (strcmp(said, mistakes[i].wanted) != 0)
			fail_msg("row %zu: wanted\n%sgot\n%s", i,
			    mistakes[i].wanted, said);
	}
}

/* What ECMA-262 and POSIX do not read alike. */
static void
a_pattern_that_means_two_things_is_refused(void **state)
{
	static const char *const bad[] = {
		"\\\\d+", "[[:alpha:]]", "[]a]", "[\\\\]]", "(", "a**", "*a",
		"a{", "a{,3}", "a]", "a}", "(?:a)", "(?=a)", "a+?", "^*",
		"[ä]", "(a)\\\\1", "\\\\ba", "a|*", "[a", "[[a]", "a\\\\",
	};
	static const char *const good[] = {
		"[A-Z]{2}[0-9]+", "a|b|cd", "(ab)+c?", "a{2}", "a{2,}",
		"a{2,4}", "a\\\\.b", "[^/]+", "\\\\(x\\\\)", "[+*?.(){}|-]", "^a$",
		"", "x \\\\{1\\\\}",
	};
	char text[1024];
	struct config *c;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		(void)snprintf(text, sizeof(text), HOUSE TOOL
		    "param x string { pattern \"%s\" }\n" X, bad[i]);
		if ((c = load_text(text)) != NULL)
			fail_msg("%s is taken", bad[i]);
		if (strncmp(said, "c:10: param \"x\": pattern: ", 26) != 0)
			fail_msg("%s: %s", bad[i], said);
	}
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		if (good[i][0] == '\0')
			continue;
		(void)snprintf(text, sizeof(text), HOUSE TOOL
		    "param x string { pattern \"%s\" }\n" X, good[i]);
		if ((c = load_text(text)) == NULL)
			fail_msg("%s: %s", good[i], said);
		config_free(c);
	}
}

static void
repeat(struct buffer *b, const char *fmt, int n)
{
	int i;

	for (i = 0; i < n; i++)
		assert_int_equal(buffer_printf(b, fmt, i), 0);
}

/* One more than there may be is said at the first one too many. */
static void
there_is_a_limit_to_everything(void **state)
{
	static const struct {
		const char	*head;
		const char	*fmt;
		int		 max;
		const char	*wanted;
		const char	*tail;
	} rows[] = {
		{ GOOD, "source s%d sqlite \"s\"\n", SOURCES_MAX - 1,
		    "more than 64 sources", NULL },
		{ GOOD "trust forwarded from \"::1\"", ", \"::%d\"",
		    FORWARDERS_MAX - 1, "more than 32 addresses to trust",
		    "\n" },
		{ GOOD, "tool t%d { }\n", TOOLS_MAX - 1,
		    "more than 1024 tools", NULL },
		{ HOUSE TOOL, "param p%d integer\n", PARAMS_MAX,
		    "more than 64 params", NULL },
		{ HOUSE TOOL "param e enum {\n\"x\"", ",\n\"%d\"",
		    ENUM_MAX - 1, "more than 256 values", "}\n}\n" },
		{ GOOD "source b postgres {\n", "session \"a.b%d\" caller.id\n",
		    SESSIONS_MAX, "more than 16 session lines", NULL },
		{ GOOD, "allow host \"h%d\"\n", 200,
		    "more than 200 allow host lines", NULL },
		{ GOOD, "listen on 127.0.0.1 port 1%d\n", 15,
		    "more than 16 listen lines", NULL },
	};
	struct buffer b;
	size_t i;
	char *at;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		buffer_init(&b, 1 << 20);
		(void)buffer_add_cstr(&b, rows[i].head);
		repeat(&b, rows[i].fmt, rows[i].max + 3);
		if (rows[i].tail != NULL)
			(void)buffer_add_cstr(&b, rows[i].tail);
		(void)buffer_add(&b, "", 1);
		assert_null(load_text((const char *)b.data));
		if ((at = strstr(said, rows[i].wanted)) == NULL)
			fail_msg("wanted %s, got %s", rows[i].wanted, said);
		assert_null(strstr(at + 1, rows[i].wanted));
		buffer_free(&b);
	}
}

static void
a_string_may_be_64_kib_long(void **state)
{
	struct buffer b;
	struct config *c;
	int more;

	(void)state;
	for (more = 0; more < 2; more++) {
		buffer_init(&b, 1 << 20);
		(void)buffer_add_cstr(&b, HOUSE TOOL "title \"");
		repeat(&b, "x", TEXT_MAX_ + more);
		(void)buffer_add_cstr(&b, "\"\n" ONE);
		(void)buffer_add(&b, "", 1);
		c = load_text((const char *)b.data);
		if (more == 0)
			assert_non_null(c);
		else
			assert_string_equal(said,
			    "c:10: string longer than 64 KiB\n");
		config_free(c);
		buffer_free(&b);
	}
}

static void
no_flood_of_errors(void **state)
{
	struct buffer b;
	size_t lines = 0, i;

	(void)state;
	buffer_init(&b, 1 << 20);
	repeat(&b, "foo%d\n", 1000);
	(void)buffer_add(&b, "", 1);
	assert_null(load_text((const char *)b.data));
	for (i = 0; said[i] != '\0'; i++)
		lines += said[i] == '\n';
	assert_int_equal(lines, 51);
	buffer_free(&b);
}

/* ---- what is taken ----------------------------------------------------- */

static void
copy_contract(const char *name)
{
	static const char *const folders[] = {
		"tests/contract", "../contract", "../../tests/contract",
		"../../../tests/contract"
	};
	char path[PATH_MAX], text[16384];
	size_t i, n;
	FILE *f = NULL;

	for (i = 0; f == NULL && i < sizeof(folders) / sizeof(folders[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", folders[i], name);
		f = fopen(path, "r");
	}
	if (f == NULL)
		fail_msg("run from the top of the tree: no %s", name);
	n = fread(text, 1, sizeof(text) - 1, f);
	(void)fclose(f);
	write_bytes("c", text, n);
}

static struct tool_conf *
tool_named(struct config *c, const char *name)
{
	struct tool_conf *t;

	TAILQ_FOREACH(t, &c->tools, entry)
		if (strcmp(t->name, name) == 0)
			return t;
	fail_msg("no tool %s", name);
	return NULL;
}

static void
the_embedded_configuration_loads(void **state)
{
	struct config *c;
	struct tool_conf *t;
	struct param_conf *p;

	(void)state;
	copy_contract("embedded.conf");
	c = load(in_dir("c"));
	assert_string_equal(said, "");
	assert_non_null(c);
	assert_string_equal(c->path, in_dir("c"));
	assert_string_equal(c->namespace, "shop");
	assert_string_equal(c->http_path, "/mcp");
	assert_string_equal(c->control, in_dir("run/control.sock"));
	assert_string_equal(c->auth.keys, in_dir("keys"));
	assert_string_equal(c->audit.journal, in_dir("audit"));
	assert_int_equal(c->audit.on_failure, FAILURE_REFUSE);
	assert_int_equal(c->auth.rate.count, 600);
	assert_int_equal(c->auth.rate.burst, 600);
	assert_int_equal(c->auth.rate.period_ms, 60000);
	assert_int_equal(c->auth.in_flight, 256);
	assert_true(TAILQ_EMPTY(&c->not_in_force));
	assert_int_equal(c->ntools, 3);
	assert_int_equal(TAILQ_FIRST(&c->listens)->port, 8080);
	assert_true(TAILQ_FIRST(&c->listens)->loopback);
	assert_string_equal(config_source(c, "shop")->path, in_dir("shop.db"));
	assert_true(config_source(c, "shop")->writes);

	t = tool_named(c, "orders_search");
	assert_false(t->writes);
	assert_int_equal(t->limit_rows, 100);
	assert_int_equal(t->nbinds, 2);
	assert_string_equal(t->bind[0], "p:status");
	assert_string_equal(t->bind[1], "p:count");
	assert_non_null(strstr(t->bound_sql, "?1 IS NULL OR status = ?1"));
	p = TAILQ_FIRST(&t->params);
	assert_int_equal(p->type, PARAM_ENUM);
	assert_int_equal(p->nvalues, 3);
	assert_false(p->required);
	p = TAILQ_NEXT(p, entry);
	assert_string_equal(p->default_json, "20");
	assert_string_equal(p->maximum, "100");

	t = tool_named(c, "order_cancel");
	assert_true(t->writes);
	p = TAILQ_NEXT(TAILQ_FIRST(&t->params), entry);
	assert_int_equal(p->privacy, PRIVACY_REDACT);
	assert_int_equal(p->maximum_length, 200);
	config_free(c);
}

static void
the_production_configuration_loads(void **state)
{
	struct config *c;
	struct source_conf *s;
	struct tool_conf *t;

	(void)state;
	copy_contract("production.conf");
	c = load(in_dir("c"));
	assert_string_equal(said, "");
	assert_non_null(c);
	assert_string_equal(c->public_host, "mcp.example.com");
	assert_string_equal(TAILQ_FIRST(&c->hosts)->text, "mcp.example.com");
	assert_string_equal(TAILQ_FIRST(&c->origins)->text,
	    "https://console.example.com");
	assert_int_equal(c->listeners, 2);
	assert_int_equal(c->handlers, 4);
	assert_int_equal(c->auth.nissuers, 1);
	assert_string_equal(c->audit.node, "edge-1");
	assert_true(c->audit.limit == (uint64_t)4 << 30);
	assert_int_equal(c->audit.postgres.origin, SECRET_ENV);
	assert_string_equal(c->audit.postgres.name, "AUDIT_DSN");
	assert_int_equal(c->audit.postgres.line, 33);

	s = config_source(c, "orders-ro");
	assert_int_equal(s->timeout_ms, 2000);
	assert_int_equal(s->nsessions, 2);
	assert_string_equal(TAILQ_FIRST(&s->sessions)->value, "claim.tenant");
	/* Who stands in shows the same caller to the database. */
	s = config_source(c, s->fallback);
	assert_string_equal(s->name, "orders-replica");
	assert_int_equal(s->connections, 2);
	assert_int_equal(s->nsessions, 2);
	assert_string_equal(TAILQ_FIRST(&s->sessions)->name, "app.tenant");

	t = tool_named(c, "my_orders");
	assert_non_null(strstr(t->bound_sql, "c.tenant = $1\n"));
	assert_string_equal(t->bind[0], "c:claim.tenant");
	assert_int_equal(t->nclaims, 1);
	assert_string_equal(t->claim[0], "tenant");
	/* The source's session lines ask for it, where no statement does. */
	t = tool_named(c, "order_lookup");
	assert_int_equal(t->nclaims, 1);
	assert_non_null(strstr(t->bound_sql, "total_cents::bigint"));
	assert_int_equal(t->timeout_ms, 1000);

	assert_int_equal(c->redis.url.origin, SECRET_ENV);
	assert_string_equal(c->redis.url.name, "REDIS_URL");
	assert_int_equal(c->redis.url.line, 13);
	assert_int_equal(c->redis.key.origin, SECRET_UNSET);
	assert_null(c->redis.ca);
	assert_true(TAILQ_EMPTY(&c->not_in_force));
	config_free(c);
}

/* Every word of the grammar that the contract names and its files do not use. */
static void
every_word_of_the_grammar_parses(void **state)
{
	static const char text[] =
	    "namespace shop\n"
	    "listen on 192.0.2.1 port 80 plaintext\n"
	    "listen on \"::1\" port 80\n"
	    "path \"/tools\"\n"
	    "user \"_gateway\"\n"
	    "public url \"https://h/mcp\"\n"
	    "trust forwarded from \"127.0.0.1\", \"10.0.0.0/8\",\n"
	    "\t\"2001:db8::/32\", \"::1\"\n"
	    "auth {\n\trate 5 per second burst 50\n\tcalls in flight 8192\n"
	    "\tissuer \"https://i/\" {\n\t\taudience \"a\",\n\t\t\t\"b\"\n"
	    "\t\tallow private\n\t\tleeway 30s\n\t\tlifetime 48h\n"
	    "\t\tjwks \"https://keys.example:8443/jwks\"\n"
	    "\t\tscopes from \"realm_access.roles\"\n"
	    "\t\trole \"r\" grants \"shop:*:read\", \"shop:a:*\"\n"
	    "\t\tca \"ca.pem\"\n\t\ttyp \"at+jwt\"\n"
	    "\t\tclaims \"a\"\n\t\t\t, \"b\"\n"
	    "\t\trate 5 per hour burst 6\n\t\tcalls in flight 32\n\t}\n}\n"
	    "audit {\n\tjournal \"/j\" limit 1048576 keep 30d segment 1M\n\ton failure stop\n"
	    "\targuments redact\n\tsink file \"f\"\n\tsink pipe \"/p q\"\n"
	    "\tsink syslog\n\tsink syslog \"tls://[::1]:6514\" ca \"ca\"\n"
	    "\tcheckpoint to \"/c\"\n\tcheckpoint to \"c\"\n"
	    "\tcheckpoint every 50 records\n\tcheckpoint every 5s\n\tpostgres from credential \"dsn\"\n}\n"
	    "source file postgres {\n\tdsn from file \"dsn\"\n"
	    "\tpool wait 1s\n\tconnect timeout 250ms\n"
	    "\tstatement timeout 2s\n\tconnections 64\n}\n"
	    "tool tool {\n\tdescription \"a \\\"b\\\" \\\\ \\n\"\n"
	    "\tscope \"shop:a:read\"\n\tsource file\n"
	    "\tcache shared 1d\n"
	    "\tpage by id\n\texamples \"one\",\n\t\t# and\n\t\t\"two\"\n"
	    "\tlimit bytes 64K\n\ttimeout 1500ms\n"
	    "\tparam limit integer default -5 { minimum -10 maximum +10 }\n"
	    "\tparam string string { pattern \"[a-z]+\" omit }\n"
	    "\tparam enum enum { \"a\", \"b\" } {\n\t\tdescription \"x\"\n\t}\n"
	    "\tparam e2 enum {\n\t\t\"a\",\n\t\t\"b\"\n\t} required { redact }\n"
	    "\tparam b boolean default false\n"
	    "\tparam d date default \"2028-02-29\"\n"
	    "\tparam ts timestamp default \"2026-01-01T00:00:00.5+01:00\"\n"
	    "\tparam u uuid default \"01234567-89ab-cdef-0123-456789ABCDEF\"\n"
	    "\tparam n number default 007.50 { minimum 0 }\n"
	    "\tsql \"SELECT :limit, :string, :enum, :e2, :b, :d, :ts, :u, :n\"\n"
	    "}\n"
	    "tool kept {\n\tdescription \"d\"\n\tscope \"shop:a:read\"\n"
	    "\tsource file\n\trate 10 per second burst 20\n"
	    "\tcache 1s\n\tsql \"SELECT 1\"\n}\n"
	    "tool writer {\n\tdescription \"d\"\n\tscope \"shop:a:write\"\n"
	    "\tsource file\n\twrites\n\tinvalidates \"tool\", kept\n"
	    "\tsql \"SELECT 1\"\n}\n";
	struct config *c;
	struct tool_conf *t;
	struct param_conf *p;
	int pending = 0;
	const struct text_item *item;

	(void)state;
	c = load_good(text);
	t = TAILQ_FIRST(&c->tools);
	assert_string_equal(t->name, "tool");
	assert_string_equal(t->description, "a \"b\" \\ \\n");
	assert_string_equal(t->source, "file");
	assert_int_equal(t->limit_bytes, 65536);
	assert_int_equal(t->timeout_ms, 1500);
	p = TAILQ_FIRST(&t->params);
	assert_string_equal(p->name, "limit");
	assert_string_equal(p->default_json, "-5");
	assert_string_equal(p->maximum, "10");
	/* `arguments redact' hides what has no word of its own. */
	assert_int_equal(p->privacy, PRIVACY_REDACT);
	p = TAILQ_NEXT(p, entry);
	assert_int_equal(p->privacy, PRIVACY_OMIT);
	while (TAILQ_NEXT(p, entry) != NULL)
		p = TAILQ_NEXT(p, entry);
	assert_string_equal(p->default_json, "7.50");
	assert_string_equal(c->http_path, "/tools");
	assert_string_equal(c->user, "_gateway");
	assert_int_equal(c->auth.rate.burst, 50);
	assert_int_equal(c->auth.in_flight, 8192);
	assert_int_equal(TAILQ_FIRST(&c->auth.issuers)->in_flight, 32);
	assert_int_equal(c->audit.on_failure, FAILURE_STOP);
	assert_int_equal(c->audit.limit, 1048576);
	assert_string_equal(c->audit.journal, "/j");
	assert_false(TAILQ_FIRST(&c->listens)->loopback);
	assert_true(TAILQ_NEXT(TAILQ_FIRST(&c->listens), entry)->loopback);
	assert_string_equal(config_source(c, "file")->dsn.name, in_dir("dsn"));
	TAILQ_FOREACH(item, &c->not_in_force, entry)
		pending++;
	assert_int_equal(pending, 2);
	assert_int_equal(c->audit.nsinks, 4);
	assert_string_equal(c->audit.sink[1].target, "/p q");
	assert_string_equal(c->audit.sink[2].target, "unix:/dev/log");
	assert_string_equal(c->audit.sink[3].name, "syslog-2");
	assert_int_equal(c->audit.keep_s, 30 * 86400);
	assert_int_equal(c->audit.segment, 1048576);
	assert_int_equal(c->audit.checkpoint_records, 50);
	assert_int_equal(c->audit.checkpoint_ms, 5000);
	assert_string_equal(TAILQ_FIRST(&c->audit.checkpoints)->text, "/c");
	assert_int_equal(TAILQ_FIRST(&c->sources)->statement_timeout_ms, 2000);
	assert_int_equal(TAILQ_FIRST(&c->sources)->pool_wait_ms, 1000);
	assert_int_equal(t->cache_ms, 86400000);
	assert_true(t->cache_shared);
	assert_int_equal(t->rate.count, 0);
	t = TAILQ_NEXT(t, entry);
	assert_int_equal(t->rate.count, 10);
	assert_int_equal(t->rate.period_ms, 1000);
	assert_int_equal(t->rate.burst, 20);
	assert_string_equal(TAILQ_FIRST(&TAILQ_NEXT(t,
	    entry)->invalidates)->text, "tool");
	config_free(c);
}

static void
an_issuer_is_kept_as_it_is_written(void **state)
{
	static const char text[] = GOOD
	    "public url \"https://h/mcp\"\n";
	static const char issuers[] =
	    "namespace \"shop\"\nlisten on 127.0.0.1 port 8080\n"
	    "public url \"https://h/mcp\"\n"
	    "auth {\nissuer \"https://i/\" {\naudience \"a\", \"b\"\n"
	    "jwks \"https://keys.example:8443/jwks\"\n"
	    "scopes from \"realm_access.roles\"\nca \"ca.pem\"\n"
	    "role \"r\" grants \"shop:*:read\", \"shop:a:*\"\n"
	    "claims \"tenant\", \"region\"\nallow private\nleeway 2m\n"
	    "lifetime 30d\ntyp \"at+jwt\"\nrate 5 per hour burst 6\n}\n"
	    "issuer \"https://i\" {\naudience \"a\"\n}\n}\n"
	    "audit { journal \"audit\" }\nsource shop sqlite \"shop.db\"\n"
	    TOOL ONE;
	const struct issuer_conf *i;
	struct config *c;

	(void)state;
	c = load_good(text);
	assert_int_equal(c->auth.nissuers, 0);
	config_free(c);
	c = load_good(issuers);
	assert_int_equal(c->auth.nissuers, 2);
	i = TAILQ_FIRST(&c->auth.issuers);
	assert_string_equal(i->url, "https://i/");
	assert_int_equal(i->naudiences, 2);
	assert_string_equal(TAILQ_FIRST(&i->audiences)->text, "a");
	assert_string_equal(i->jwks, "https://keys.example:8443/jwks");
	assert_string_equal(i->scopes_from, "realm_access.roles");
	assert_string_equal(i->ca, in_dir("ca.pem"));
	assert_int_equal(i->ngrants, 1);
	assert_string_equal(TAILQ_FIRST(&i->grants)->role, "r");
	assert_int_equal(TAILQ_FIRST(&i->grants)->nscopes, 2);
	assert_int_equal(i->nclaims, 2);
	assert_true(i->allow_private);
	assert_int_equal(i->leeway_ms, 120000);
	assert_true(i->lifetime_ms == UINT64_C(30) * 86400000);
	assert_string_equal(i->typ, "at+jwt");
	assert_int_equal(i->rate.burst, 6);
	/* What is not said: an issuer differs by one slash. */
	i = TAILQ_NEXT(i, entry);
	assert_string_equal(i->url, "https://i");
	assert_null(i->jwks);
	assert_null(i->ca);
	assert_null(i->typ);
	assert_string_equal(i->scopes_from, "scope");
	assert_false(i->allow_private);
	assert_int_equal(i->leeway_ms, 30000);
	assert_true(i->lifetime_ms == 86400000);
	assert_int_equal(i->rate.count, 0);
	assert_true(TAILQ_EMPTY(&c->not_in_force));
	config_free(c);
}

static void
networks_that_are_trusted_are_kept_as_bytes(void **state)
{
	static const uint8_t ten[16] = { [10] = 0xff, 0xff, 10 };
	static const uint8_t six[16] = { 0x20, 0x01, 0x0d, 0xb8 };
	struct config *c;

	(void)state;
	c = load_good(GOOD "trust forwarded from \"127.0.0.1\", \"10.0.0.0/8\","
	    "\n\"2001:db8::/32\", \"::ffff:10.0.0.0/104\"\n");
	assert_int_equal(c->nforwarders, 4);
	assert_int_equal(c->forwarder[0].bits, 128);
	assert_int_equal(c->forwarder[0].address[12], 127);
	assert_memory_equal(c->forwarder[1].address, ten, 16);
	assert_int_equal(c->forwarder[1].bits, 104);
	assert_memory_equal(c->forwarder[2].address, six, 16);
	assert_int_equal(c->forwarder[2].bits, 32);
	/* The same network in the other spelling. */
	assert_memory_equal(&c->forwarder[3], &c->forwarder[1],
	    sizeof(c->forwarder[3]));
	config_free(c);
}

static void
macros_expand_outside_of_strings(void **state)
{
	struct config *c;

	(void)state;
	assert_int_equal(config_define("given=from the line"), 0);
	assert_int_equal(config_define("novalue"), -1);
	assert_int_equal(config_define("=x"), -1);
	assert_int_equal(config_define("a-b=x"), -1);
	c = load_good("db = shop # a comment\nname = \"t\"\nagain = $name\n"
	    "given = \"of the file\"\n" PG "source $db sqlite \"$db\"\n"
	    "tool $again {\ntitle $given\ndescription \"# none $db\"\n"
	    "scope \"shop:a:read\"\nsource $db\n" ONE);
	assert_string_equal(TAILQ_FIRST(&c->tools)->name, "t");
	assert_string_equal(TAILQ_FIRST(&c->tools)->title, "from the line");
	assert_string_equal(TAILQ_FIRST(&c->tools)->description, "# none $db");
	assert_string_equal(config_source(c, "shop")->path, in_dir("$db"));
	config_free(c);
	/* Those of a file end with it. */
	assert_null(load_text(GOOD "allow host $name\n"));
	assert_string_equal(said, "c:12: macro $name is not defined\n");
}

static void
an_included_file_is_read_in_its_own_folder(void **state)
{
	static char many[300 * 12 + 1];
	struct config *c, *other;
	size_t i;

	(void)state;
	assert_int_equal(mkdir(in_dir("sub"), 0700), 0);
	/* A last line without a newline is a line. */
	write_text("sub/c", "include \"d\"\nsource s sqlite \"s.db\"");
	write_text("sub/d", "# nothing\nallow host \"h\"");
	c = load_good(GOOD "include \"sub/c\"\nallow host \"i\"\n");
	assert_string_equal(config_source(c, "s")->path, in_dir("sub/s.db"));
	assert_string_equal(TAILQ_FIRST(&c->hosts)->text, "h");
	assert_string_equal(TAILQ_LAST(&c->hosts, text_list)->text, "i");
	/* The digest is of every file read. */
	write_text("sub/d", "# changed\nallow host \"h\"");
	other = load_good(GOOD "include \"sub/c\"\nallow host \"i\"\n");
	assert_string_not_equal(c->digest, other->digest);
	config_free(c);
	config_free(other);
	/* Errors name the file they are in, also those found at the end. */
	write_text("sub/d", "\n\ntool a { }\nsource p postgres {\n}\nbad \n");
	assert_null(load_text(GOOD "include \"sub/c\"\n\nworse"));
	assert_string_equal(said, "sub/d:6: unknown word \"bad\"\n"
	    "c:14: unknown word \"worse\"\n");
	write_text("sub/d", "\n\ntool a {\ndescription \"d\"\nsource s\n"
	    "scope \"shop:a:b\"\nparam x integer { maximum 1.5 }\n"
	    "sql \"SELECT :x,\n:y\"\n}\nsource p postgres {\n}\n");
	assert_null(load_text(GOOD "include \"sub/c\"\n"));
	assert_string_equal(said, "sub/d:11: source \"p\" has no dsn\n"
	    "sub/d:7: param \"x\": maximum must be of type integer\n"
	    "sub/d:9: tool \"a\": :y is not declared as a param\n");
	/* A block ends in the file it began in. */
	write_text("sub/d", "tool a {\ntitle \"x\"");
	assert_null(load_text(GOOD "include \"sub/c\"\n}\n"));
	assert_string_equal(said, "sub/d:2: the file ends, and the block of "
	    "line 1 is still open\nc:13: syntax error: } closes nothing\n");
	/* It ends, whatever includes what: by its depth, by its breadth. */
	write_text("sub/d", "include \"./../sub/d\"\n");
	write_text("sub/c", "include \"./d\"\n");
	assert_null(load_text("include \"sub/c\"\n"));
	assert_non_null(strstr(said, "nested too deep"));
	write_text("sub/d", "");
	for (i = 0; i < sizeof(many) - 1; i += 12)
		memcpy(many + i, "include \"d\"\n", 12);
	write_text("sub/c", many);
	assert_null(load_text("include \"sub/c\"\n"));
	/* Two files stand before the 255th of them. */
	assert_non_null(strstr(said, "sub/c:255: include \"d\": too many "
	    "files\n"));
	assert_null(strstr(said, "sub/c:254:"));
}

/* What is fixed in a tool shows in its digest; what is told of it does too. */
static void
a_tools_digest_tells_what_it_does(void **state)
{
	static const char *const texts[] = {
		HOUSE TOOL "param a date\nparam b date\nsql \"SELECT :a, :b\"\n}\n",
		HOUSE TOOL "param a date\nparam b date\nsql \"SELECT :b, :a\"\n}\n",
		HOUSE TOOL "writes\nparam a date\nparam b date\n"
		    "sql \"SELECT :a, :b\"\n}\n",
		HOUSE TOOL "limit rows 5\nparam a date\nparam b date\n"
		    "sql \"SELECT :a, :b\"\n}\n",
		HOUSE TOOL "param a date required\nparam b date\n"
		    "sql \"SELECT :a, :b\"\n}\n",
	};
	char digest[5][2 * DIGEST_LEN + 1];
	struct config *c;
	size_t i, j;

	(void)state;
	for (i = 0; i < 5; i++) {
		c = load_good(texts[i]);
		(void)strlcpy(digest[i], TAILQ_FIRST(&c->tools)->digest,
		    sizeof(digest[i]));
		assert_int_equal(strlen(digest[i]), 2 * DIGEST_LEN);
		for (j = 0; j < i; j++)
			assert_string_not_equal(digest[i], digest[j]);
		config_free(c);
	}
	c = load_good(texts[0]);
	assert_string_equal(TAILQ_FIRST(&c->tools)->digest, digest[0]);
	config_free(c);
}

static void
a_session_line_asks_for_its_claim(void **state)
{
	struct config *c;

	(void)state;
	c = load_good(PG "source shop postgres {\ndsn from env \"X\"\n"
	    "session \"a.x\" caller.claim.one\nsession \"a.y\" caller.owner\n}\n"
	    "tool t {\ndescription \"d\"\nscope \"shop:a:read\"\nsource shop\n"
	    "sql \"SELECT :caller.claim.two, :caller.claim.one, :caller.id\"\n}\n");
	assert_int_equal(TAILQ_FIRST(&c->tools)->nclaims, 2);
	assert_string_equal(TAILQ_FIRST(&c->tools)->claim[0], "two");
	assert_string_equal(TAILQ_FIRST(&c->tools)->claim[1], "one");
	assert_string_equal(TAILQ_FIRST(&c->tools)->bind[2], "c:id");
	config_free(c);
}

/* ---- secrets ----------------------------------------------------------- */

static char *
read_secret(enum secret_origin origin, const char *name, size_t *len)
{
	struct secret_ref ref = { .origin = origin, .file = "c", .line = 7 };
	int saved = redirect_begin();
	char *value;

	ref.name = strdup(name);
	value = secret_read(&ref, len);
	free(ref.name);
	redirect_end(saved);
	return value;
}

static void
a_secret_comes_from_where_it_is_said(void **state)
{
	size_t len;
	char *value;

	(void)state;
	log_init("test", 1, 0);
	assert_int_equal(setenv("TEST_CONFIG_SECRET", "s3", 1), 0);
	value = read_secret(SECRET_ENV, "TEST_CONFIG_SECRET", &len);
	assert_string_equal(value, "s3");
	assert_int_equal(len, 2);
	freezero(value, len);
	assert_null(read_secret(SECRET_ENV, "TEST_CONFIG_UNSET", &len));
	assert_non_null(strstr(said, "c:7: "));
	assert_non_null(strstr(said, "TEST_CONFIG_UNSET"));

	write_text("secret", "one\n\n");
	value = read_secret(SECRET_FILE, in_dir("secret"), &len);
	assert_string_equal(value, "one\n");
	assert_int_equal(len, 4);
	freezero(value, len);
	assert_int_equal(setenv("CREDENTIALS_DIRECTORY", dir, 1), 0);
	value = read_secret(SECRET_CREDENTIAL, "secret", &len);
	assert_string_equal(value, "one\n");
	freezero(value, len);
	assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
	assert_null(read_secret(SECRET_CREDENTIAL, "secret", &len));
}

static void
a_secret_that_others_may_read_is_refused(void **state)
{
	static const mode_t modes[] = { 0640, 0604, 0620, 0602 };
	size_t len, i;

	(void)state;
	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		write_text("secret", "topsecret");
		assert_int_equal(chmod(in_dir("secret"), modes[i]), 0);
		assert_null(read_secret(SECRET_FILE, in_dir("secret"), &len));
		assert_non_null(strstr(said, "c:7: "));
		assert_non_null(strstr(said, "chmod 600"));
		assert_null(strstr(said, "topsecret"));
		assert_int_equal(chmod(in_dir("secret"), 0600), 0);
	}
	write_text("secret", "\n");
	assert_null(read_secret(SECRET_FILE, in_dir("secret"), &len));
	write_bytes("secret", "a\0b", 3);
	assert_null(read_secret(SECRET_FILE, in_dir("secret"), &len));
	assert_null(read_secret(SECRET_FILE, dir, &len));
	assert_null(read_secret(SECRET_FILE, in_dir("nosuch"), &len));
}

/* ---- files that are broken --------------------------------------------- */

static void
a_file_cut_anywhere_does_no_harm(void **state)
{
	static const char *const names[] = { "embedded.conf", "production.conf" };
	char text[16384];
	size_t n, len, i, taken;
	int fd;

	(void)state;
	for (i = 0; i < 2; i++) {
		copy_contract(names[i]);
		fd = open(in_dir("c"), O_RDONLY);
		assert_true(fd != -1);
		len = (size_t)read(fd, text, sizeof(text));
		close(fd);
		taken = 0;
		for (n = 0; n < len; n++) {
			struct config *c;

			write_bytes("c", text, n);
			if ((c = load(in_dir("c"))) != NULL)
				taken++;
			else
				assert_string_not_equal(said, "");
			config_free(c);
		}
		/* A cut behind a whole tool leaves a whole file: few do. */
		assert_true(taken > 0 && taken < 20);
	}
}

/* One byte after the other becomes each of those that mean something. */
static void
a_file_bent_anywhere_does_no_harm(void **state)
{
	static const char bytes[] = "{}\"\\\n$#,=a9:";
	char text[16384], old;
	size_t n, len;
	struct config *c;
	int fd;

	(void)state;
	copy_contract("production.conf");
	fd = open(in_dir("c"), O_RDONLY);
	assert_true(fd != -1);
	len = (size_t)read(fd, text, sizeof(text));
	close(fd);
	for (n = 0; n < len; n++) {
		old = text[n];
		/* With its NUL at the end. */
		text[n] = bytes[n % sizeof(bytes)];
		write_bytes("c", text, len);
		if ((c = load(in_dir("c"))) == NULL)
			assert_string_not_equal(said, "");
		config_free(c);
		text[n] = old;
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_mistake_is_said_once_with_its_line),
		cmocka_unit_test(a_pattern_that_means_two_things_is_refused),
		cmocka_unit_test(there_is_a_limit_to_everything),
		cmocka_unit_test(a_string_may_be_64_kib_long),
		cmocka_unit_test(no_flood_of_errors),
		cmocka_unit_test(the_embedded_configuration_loads),
		cmocka_unit_test(the_production_configuration_loads),
		cmocka_unit_test(every_word_of_the_grammar_parses),
		cmocka_unit_test(an_issuer_is_kept_as_it_is_written),
		cmocka_unit_test(networks_that_are_trusted_are_kept_as_bytes),
		cmocka_unit_test(macros_expand_outside_of_strings),
		cmocka_unit_test(an_included_file_is_read_in_its_own_folder),
		cmocka_unit_test(a_tools_digest_tells_what_it_does),
		cmocka_unit_test(a_session_line_asks_for_its_claim),
		cmocka_unit_test(a_secret_comes_from_where_it_is_said),
		cmocka_unit_test(a_secret_that_others_may_read_is_refused),
		cmocka_unit_test(a_file_cut_anywhere_does_no_harm),
		cmocka_unit_test(a_file_bent_anywhere_does_no_harm),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
