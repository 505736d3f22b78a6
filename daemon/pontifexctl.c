/* SPDX-License-Identifier: ISC */

/*
 * pontifexctl(8): keys and the audit trail on disk, without a daemon; status,
 * reload and log level of a running one, over its control socket.
 */

#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <stdio.h>

#include "../common/compat.h"
#include "../common/frame.h"
#include "../common/log.h"
#include "../common/message.h"
#include "config.h"
#include "ctl.h"

#define ANSWER_SECONDS	10
#define RELOAD_SECONDS	120	/* it waits for sources, and for its turn */

static const struct form {
	const char	*words;
	const char	*text;
} forms[] = {
	{ "status reload upgrade log", "[-s socket] status [-j | -v] | reload "
	    "| upgrade | log verbose|brief" },
	{ "diff", "[-s socket] diff [-j]" },
	{ "key", "key add [-j] [-F keyfile] -o owner -s scope[,...] [-l label]\n"
	    "                   [-r rate] [-e date] [-a name=value] [-i id] "
	    "[-E env]" },
	{ "key", "key list [-j] [-F keyfile]" },
	{ "key", "key revoke [-j] [-F keyfile] id" },
	{ "key", "key rotate [-j] [-F keyfile] [-g grace] [-e date|never]\n"
	    "                   [-E env] id" },
	{ "key", "key import [-jkn] [-F keyfile] file|-" },
	{ "audit", "audit tail|search|report|export|verify|hash|schema "
	    "[option ...]" },
	{ "token", "[-s socket] token explain < token" },
};

/* Of one command, or of all. */
static int
usage(const char *command)
{
	const char *label = "usage:";
	size_t i;

	for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (command != NULL && strstr(forms[i].words, command) == NULL)
			continue;
		fprintf(stderr, "%-6s pontifexctl %s\n", label, forms[i].text);
		label = "";
	}
	return CTL_USAGE;
}

static int
connect_to(const char *path, time_t seconds)
{
	const struct timeval patience = { seconds, 0 };
	struct sockaddr_un sun;
	int fd;

	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	if (strlcpy(sun.sun_path, path, sizeof(sun.sun_path)) >=
	    sizeof(sun.sun_path)) {
		fprintf(stderr, "pontifexctl: %s: path too long\n", path);
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1 ||
	    connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
	    sizeof(patience)) == -1) {
		fprintf(stderr, "pontifexctl: %s: %s (%s)\n", path,
		    strerror(errno), errno == EACCES ? "root may ask, and for "
		    "status the daemon's group" :
		    "is pontifexd running? -s names its control socket");
		if (fd != -1)
			close(fd);
		return -1;
	}
	return fd;
}

int
ctl_fetch(const char *path, uint16_t type, uint16_t wanted, struct buffer *answer)
{
	struct frame f;
	int fd, rc = -1;

	if ((fd = connect_to(path, ANSWER_SECONDS)) == -1)
		return -1;
	buffer_init(answer, FRAME_PAYLOAD_MAX);
	if (frame_transmit(fd, type, 1, NULL, 0, -1) == -1 ||
	    frame_receive(fd, &f, answer) != 1 || f.fd != -1)
		fprintf(stderr, "pontifexctl: no answer\n");
	else if (f.type == wanted)
		rc = 0;
	else if (f.type == MSG_CTL_REPLY && f.length > 1)
		fprintf(stderr, "pontifexctl: %.*s", (int)f.length - 1,
		    (const char *)f.payload + 1);
	else
		fprintf(stderr, "pontifexctl: no answer to that\n");
	if (rc == -1)
		buffer_free(answer);
	close(fd);
	return rc;
}

int
ctl_ask(const char *path, uint16_t type, const void *payload, size_t len)
{
	struct buffer answer;
	struct frame f;
	int fd, rc = CTL_FAILED;

	if ((fd = connect_to(path, type == MSG_CTL_RELOAD ||
	    type == MSG_CTL_UPGRADE ? RELOAD_SECONDS : ANSWER_SECONDS)) == -1)
		return CTL_FAILED;
	buffer_init(&answer, FRAME_PAYLOAD_MAX);
	if (frame_transmit(fd, type, 1, payload, len, -1) == -1 ||
	    frame_receive(fd, &f, &answer) != 1 || f.fd != -1 ||
	    f.type != MSG_CTL_REPLY || f.length < 1) {
		fprintf(stderr, "pontifexctl: no answer\n");
	} else {
		fwrite(f.payload + 1, 1, f.length - 1, f.payload[0] ==
		    CTL_REPLY_FAILED ? stderr : stdout);
		rc = f.payload[0] == CTL_REPLY_OK ? CTL_OK :
		    f.payload[0] == CTL_REPLY_DIFFERS ? CTL_DIFFERS :
		    CTL_FAILED;
	}
	buffer_free(&answer);
	close(fd);
	return rc;
}

/* As diff(1): 0 nothing differs, 1 something does, 2 trouble. */
static int
ctl_diff(const char *path, int argc, char **argv)
{
	uint8_t json = 0;
	int ch, rc;

	while ((ch = getopt(argc, argv, "j")) != -1) {
		if (ch != 'j')
			return usage("diff");
		json = 1;
	}
	if (optind != argc)
		return usage("diff");
	rc = ctl_ask(path, MSG_CTL_DIFF, &json, sizeof(json));
	return rc == CTL_DIFFERS ? 1 : rc == CTL_OK ? 0 : 2;
}

static int
set_log(const char *path, int argc, char **argv)
{
	uint8_t flag;

	if (argc == 2 && strcmp(argv[1], "verbose") == 0)
		flag = 1;
	else if (argc == 2 && strcmp(argv[1], "brief") == 0)
		flag = 0;
	else
		return usage("log");
	return ctl_ask(path, MSG_CTL_VERBOSE, &flag, sizeof(flag));
}

int
main(int argc, char **argv)
{
	const char *path = CONTROL_SOCKET;
	int ch, rc;

	log_init("pontifexctl", 1, 0);
	/* The words behind a command have options of their own. */
	while ((ch = getopt(argc, argv, "+s:")) != -1) {
		if (ch != 's')
			return usage(NULL);
		path = optarg;
	}
	argc -= optind;
	argv += optind;
	if (argc < 1)
		return usage(NULL);
	getopt_again();
	if (strcmp(argv[0], "key") == 0)
		return ctl_key(argc, argv);
	if (strcmp(argv[0], "audit") == 0)
		return ctl_audit(argc, argv);
	if (strcmp(argv[0], "token") == 0)
		return ctl_token(path, argc, argv);
	if (strcmp(argv[0], "status") == 0) {
		rc = ctl_status(path, argc, argv);
		return rc == CTL_USAGE ? usage("status") : rc;
	}
	if (strcmp(argv[0], "reload") == 0)
		return argc != 1 ? usage("reload") :
		    ctl_ask(path, MSG_CTL_RELOAD, NULL, 0);
	if (strcmp(argv[0], "upgrade") == 0)
		return argc != 1 ? usage("upgrade") :
		    ctl_ask(path, MSG_CTL_UPGRADE, NULL, 0);
	if (strcmp(argv[0], "diff") == 0)
		return ctl_diff(path, argc, argv);
	if (strcmp(argv[0], "log") == 0)
		return set_log(path, argc, argv);
	fprintf(stderr, "pontifexctl: %s: there is no such command\n", argv[0]);
	return usage(NULL);
}
