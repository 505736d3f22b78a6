/* SPDX-License-Identifier: ISC */

/*
 * The files of the configuration while they are read: the main one and those
 * it includes, macros, the place of the token at hand, and errors.  The files
 * are the operator's and may be wrong in any way: their size, number and depth
 * are bounded, and a file that cannot be read whole is not read at all.
 */

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>

#include "../common/compat.h"
#include "../common/crypt.h"
#include "../common/log.h"
#include "configure.h"

#define INCLUDE_DEPTH	8
#define FILES_MAX	256		/* read in one run, each time counted */
#define FILE_SIZE_MAX	(4 << 20)	/* bytes of one file */
#define ERRORS_MAX	50		/* shown; the rest is not worth reading */

struct input {
	struct input	*below;
	const char	*name;
	char		*data;
	size_t		 len;
	size_t		 at;
	int		 line;
};

struct macro {
	TAILQ_ENTRY(macro) entry;
	char		*name;
	char		*value;
	int		 fixed;		/* given by -D */
};

static struct input	*input;
static int		 depth, files;
static uint8_t		 digest[DIGEST_LEN];

/*
 * Names stay for as long as the process does: messages and secrets refer to
 * them.  There are as many as there are files, however often they are read.
 */
static struct text_list	 names = TAILQ_HEAD_INITIALIZER(names);
static TAILQ_HEAD(, macro) macros = TAILQ_HEAD_INITIALIZER(macros);

static struct buffer	*to;		/* for errors; NULL: stderr */
static const char	*place_file, *blamed_file;
static int		 place_line, blamed_line, errors;

/* ---- files ------------------------------------------------------------- */

static const char *
name_keep(const char *path)
{
	struct text_item *item;

	TAILQ_FOREACH(item, &names, entry)
		if (strcmp(item->text, path) == 0)
			return item->text;
	item = need(calloc(1, sizeof(*item)));
	item->text = need(strdup(path));
	TAILQ_INSERT_TAIL(&names, item, entry);
	return item->text;
}

/* Returns the whole file, or NULL with errno. */
static char *
slurp(const char *path, size_t *len)
{
	struct stat st;
	char *data = NULL;
	ssize_t n = 0;
	int fd, saved;

	*len = 0;
	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) == -1)
		return NULL;
	if (fstat(fd, &st) == -1)
		goto done;
	if (!S_ISREG(st.st_mode) || st.st_size > FILE_SIZE_MAX) {
		errno = S_ISREG(st.st_mode) ? EFBIG :
		    S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
		goto done;
	}
	/* What it says is done as root. */
	if (st.st_mode & S_IWOTH) {
		errno = EPERM;
		goto done;
	}
	data = need(malloc((size_t)st.st_size + 1));
	while (*len < (size_t)st.st_size && (n = read(fd, data + *len,
	    (size_t)st.st_size - *len)) > 0)
		*len += (size_t)n;
	if (n == -1) {
		free(data);
		data = NULL;
	}
done:
	saved = errno;
	close(fd);
	errno = saved;
	return data;
}

void
input_reset(void)
{
	while (input_pop())
		;
	memset(digest, 0, sizeof(digest));
	depth = files = errors = blamed_line = 0;
	place_file = blamed_file = NULL;
	place_line = 1;
}

static int
is_open(const char *path)
{
	const struct input *in;

	for (in = input; in != NULL; in = in->below)
		if (strcmp(in->name, path) == 0)
			return 1;
	return 0;
}

const char *
input_why(int error)
{
	return error == EPERM ? "everybody may write to it: chmod o-w" :
	    strerror(error);
}

int
input_push(const char *path)
{
	uint8_t joined[2 * DIGEST_LEN];
	struct input *in;
	char *data;
	size_t len;

	if (depth == INCLUDE_DEPTH || files == FILES_MAX) {
		errno = depth == INCLUDE_DEPTH ? ELOOP : EMFILE;
		return -1;
	}
	if ((data = slurp(path, &len)) == NULL)
		return -1;
	in = need(calloc(1, sizeof(*in)));
	in->name = name_keep(path);
	in->data = data;
	in->len = len;
	in->line = 1;
	in->below = input;
	input = in;
	memcpy(joined, digest, DIGEST_LEN);
	sha256(data, len, joined + DIGEST_LEN);
	sha256(joined, sizeof(joined), digest);
	depth++;
	files++;
	return 0;
}

int
input_pop(void)
{
	struct input *done = input;

	if (done == NULL)
		return 0;
	input = done->below;
	depth--;
	free(done->data);
	free(done);
	return input != NULL;
}

int
input_look(size_t ahead)
{
	return input != NULL && input->at + ahead < input->len ?
	    (unsigned char)input->data[input->at + ahead] : EOF;
}

void
input_advance(void)
{
	if (input_look(0) == EOF)
		return;
	if (input->data[input->at++] == '\n')
		input->line++;
}

int
input_line(void)
{
	return input == NULL ? 0 : input->line;
}

void
input_digest(char hex[2 * DIGEST_LEN + 1])
{
	hex_encode(hex, digest, sizeof(digest));
}

void
include_file(const char *name)
{
	char *path = config_absolute(config_file(), name);

	if (path == NULL) {
		config_error("include \"%s\": the path is too long", name);
		return;
	}
	if (is_open(path))
		config_error("include \"%s\": it includes itself", name);
	else if (input_push(path) == -1)
		config_error("include \"%s\": %s", name,
		    errno == ELOOP ? "nested too deep" :
		    errno == EMFILE ? "too many files" : input_why(errno));
	free(path);
}

/* ---- text -------------------------------------------------------------- */

void
input_skip_comment(void)
{
	while (input_look(0) != '\n' && input_look(0) != EOF)
		input_advance();
}

void
input_skip_string(void)
{
	do {
		if (input_look(0) == '\\')
			input_advance();
		input_advance();
	} while (input_look(0) != '"' && input_look(0) != EOF);
	input_advance();
}

/* Length of the UTF-8 sequence at hand, or 0. */
static size_t
utf8_ahead(void)
{
	int c = input_look(0), next = input_look(1);
	size_t n = c < 0x80 ? 1 : c >= 0xc2 && c <= 0xdf ? 2 :
	    (c & 0xf0) == 0xe0 ? 3 : c >= 0xf0 && c <= 0xf4 ? 4 : 0;
	size_t i;

	for (i = 1; i < n; i++)
		if (input_look(i) == EOF || (input_look(i) & 0xc0) != 0x80)
			return 0;
	/* Overlong forms, surrogates, beyond U+10FFFF. */
	if ((c == 0xe0 && next < 0xa0) || (c == 0xed && next > 0x9f) ||
	    (c == 0xf0 && next < 0x90) || (c == 0xf4 && next > 0x8f))
		return 0;
	return n;
}

/* Reads on to the closing quote even where something is wrong before it. */
char *
input_string(const char **problem)
{
	struct buffer b;
	size_t n;

	*problem = NULL;
	buffer_init(&b, TEXT_MAX_ + 1);
	input_advance();
	while (input_look(0) != '"' && input_look(0) != EOF) {
		if (input_look(0) == '\\' && (input_look(1) == '"' ||
		    input_look(1) == '\\'))
			input_advance();
		if (input_look(0) == '\0')
			*problem = "a string holds no NUL";
		if ((n = utf8_ahead()) == 0)
			*problem = "a string is UTF-8";
		for (n = n == 0 ? 1 : n; n > 0; n--) {
			(void)buffer_add_char(&b, (char)input_look(0));
			input_advance();
		}
	}
	if (input_look(0) == EOF)
		*problem = "string without an end";
	input_advance();
	(void)buffer_add_char(&b, '\0');
	if (*problem == NULL && b.bad)
		*problem = "string longer than 64 KiB";
	if (*problem == NULL)
		return (char *)b.data;
	buffer_free(&b);
	return NULL;
}

/* ---- where we are, and errors ------------------------------------------ */

void
place_here(void)
{
	if (input == NULL)
		return;
	place_file = input->name;
	place_line = input->line;
}

const char *
config_file(void)
{
	return place_file == NULL ? "?" : place_file;
}

int
config_line(void)
{
	return place_line;
}

int
config_errors(void)
{
	return errors;
}

void
config_errors_to(struct buffer *b)
{
	to = b;
}

void
config_say(const char *fmt, ...)
{
	va_list ap;
	char *text = NULL;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) == -1)
		fatal("out of memory");
	va_end(ap);
	if (to != NULL)
		(void)buffer_printf(to, "%s\n", text);
	else
		fprintf(stderr, "%s\n", text);
	free(text);
}

static void
print_error(const char *file, int line, const char *fmt, va_list ap)
{
	char *text = NULL;

	errors++;
	if (errors > ERRORS_MAX)
		return;
	if (vasprintf(&text, fmt, ap) == -1)
		fatal("out of memory");
	config_say("%s:%d: %s", file, line, text);
	free(text);
	if (errors == ERRORS_MAX)
		config_say("%s:%d: too many errors: no more are shown", file,
		    line);
}

void
config_error_at(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print_error(file, line, fmt, ap);
	va_end(ap);
}

void
config_error(const char *fmt, ...)
{
	va_list ap;

	/* One thing wrong in a line is enough to say. */
	if (blamed_file == place_file && blamed_line == place_line) {
		errors++;
		return;
	}
	blamed_file = place_file;
	blamed_line = place_line;
	va_start(ap, fmt);
	print_error(config_file(), place_line, fmt, ap);
	va_end(ap);
}

/* ---- macros ------------------------------------------------------------ */

static struct macro *
macro_find(const char *name)
{
	struct macro *m;

	TAILQ_FOREACH(m, &macros, entry)
		if (strcmp(m->name, name) == 0)
			return m;
	return NULL;
}

const char *
macro_value(const char *name)
{
	const struct macro *m = macro_find(name);

	return m == NULL ? NULL : m->value;
}

/* What $ finds: letters, digits and _, no digit first. */
static int
macro_name_ok(const char *s, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (!macro_char((unsigned char)s[i]))
			return 0;
	return len > 0 && len <= NAME_LEN_MAX && (s[0] < '0' || s[0] > '9');
}

/* One that -D gave stands above the file's. */
static void
macro_put(char *name, char *value, int fixed)
{
	struct macro *m = macro_find(name);

	if (m != NULL && m->fixed && !fixed) {
		free(name);
		free(value);
		return;
	}
	if (m == NULL) {
		m = need(calloc(1, sizeof(*m)));
		m->name = name;
		TAILQ_INSERT_TAIL(&macros, m, entry);
	} else {
		free(name);
		free(m->value);
	}
	m->value = value;
	m->fixed = fixed;
}

void
macro_set(char *name, char *value)
{
	if (macro_name_ok(name, strlen(name))) {
		macro_put(name, value, 0);
		return;
	}
	config_error("macro \"%s\": a name is made of letters, digits and _ "
	    "and begins with no digit", name);
	free(name);
	free(value);
}

void
macros_forget(void)
{
	struct macro *m, *next;

	TAILQ_FOREACH_SAFE(m, &macros, entry, next) {
		if (m->fixed)
			continue;
		TAILQ_REMOVE(&macros, m, entry);
		free(m->name);
		free(m->value);
		free(m);
	}
}

int
config_define(const char *text)
{
	const char *eq = strchr(text, '=');

	if (eq == NULL || !macro_name_ok(text, (size_t)(eq - text)) ||
	    strlen(eq + 1) > TEXT_MAX_)
		return -1;
	macro_put(need(strndup(text, (size_t)(eq - text))),
	    need(strdup(eq + 1)), 1);
	return 0;
}
