/* SPDX-License-Identifier: ISC */

/*
 * Runs a command on a kernel that looks older: what Landlock answers to the
 * question for its version is ours.  A seccomp filter hands that one call to
 * a process that stands aside; the command itself takes our place.
 *
 * usage: old_kernel ABI|none COMMAND [ARGUMENT ...]
 */

#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <seccomp.h>

static int
pass(int sock, int fd, int sending)
{
	char byte = 0, space[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { &byte, 1 };
	struct msghdr msg;
	struct cmsghdr *c;

	memset(&msg, 0, sizeof(msg));
	memset(space, 0, sizeof(space));
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	msg.msg_control = space;
	msg.msg_controllen = sizeof(space);
	if (sending) {
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
		return sendmsg(sock, &msg, 0) == 1 ? 0 : -1;
	}
	if (recvmsg(sock, &msg, 0) != 1 || (c = CMSG_FIRSTHDR(&msg)) == NULL)
		return -1;
	memcpy(&fd, CMSG_DATA(c), sizeof(int));
	return fd;
}

/* Answers until nobody is left who could ask. */
static void
answer(int fd, int abi)
{
	struct seccomp_notif *ask;
	struct seccomp_notif_resp *tell;
	struct pollfd p = { fd, POLLIN, 0 };

	if (seccomp_notify_alloc(&ask, &tell) != 0)
		_exit(1);
	while (poll(&p, 1, -1) == 1 && (p.revents & POLLIN) != 0) {
		/* The kernel wants it empty. */
		memset(ask, 0, sizeof(*ask));
		if (seccomp_notify_receive(fd, ask) != 0)
			continue;
		tell->id = ask->id;
		tell->flags = 0;
		tell->val = abi > 0 ? abi : 0;
		tell->error = abi > 0 ? 0 : -EOPNOTSUPP;
		(void)seccomp_notify_respond(fd, tell);
	}
	_exit(0);
}

int
main(int argc, char **argv)
{
	int pair[2], abi, fd;
	scmp_filter_ctx ctx;
	pid_t pid;

	if (argc < 3 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == -1)
		return 2;
	abi = (int)strtol(argv[1], NULL, 10);
	if ((pid = fork()) == 0) {
		if (fork() != 0)
			_exit(0);
		close(pair[1]);
		if ((fd = pass(pair[0], -1, 0)) == -1)
			_exit(1);
		answer(fd, abi);
	}
	if (pid == -1 || waitpid(pid, NULL, 0) == -1)
		return 2;
	close(pair[0]);
	/* Asked for the version alone (flags 1): rulesets are made as ever. */
	if ((ctx = seccomp_init(SCMP_ACT_ALLOW)) == NULL ||
	    seccomp_rule_add(ctx, SCMP_ACT_NOTIFY,
	    SCMP_SYS(landlock_create_ruleset), 1,
	    SCMP_A2(SCMP_CMP_EQ, 1)) != 0 || seccomp_load(ctx) != 0 ||
	    (fd = seccomp_notify_fd(ctx)) < 0 || pass(pair[1], fd, 1) == -1)
		return 2;
	close(fd);
	close(pair[1]);
	(void)execvp(argv[2], argv + 2);
	return 127;
}
