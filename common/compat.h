/* SPDX-License-Identifier: ISC */

/* What OpenBSD has in its libc and Linux in libbsd. */

#ifndef COMMON_COMPAT_H
#define COMMON_COMPAT_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __linux__
#include <bsd/stdlib.h>
#include <bsd/string.h>
#include <bsd/unistd.h>
#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#else
#include <sys/queue.h>
#include <sys/tree.h>
#endif

/*
 * A descriptor that becomes readable when the file at path, or its
 * directory's entry for it, may have changed; -1 with errno.  Drain it with
 * watch_drain().
 */
int	watch_open(const char *path);
void	watch_drain(int);
/* Closes every descriptor from lowest on. */
void	close_from(int lowest);
/* The effective user at the other end of a Unix socket; 0, or -1 with errno. */
int	peer_user(int fd, uid_t *uid);
/* Lets the kernel end this process when its parent ends (Linux; else nothing). */
void	die_with_parent(void);

/*
 * Memory of so many bytes that processes share by descriptor, for mmap(2);
 * -1 with errno.  Who has it cannot change its size (Linux: sealed; OpenBSD:
 * whoever maps it closes the descriptor).
 */
int	shared_memory(size_t bytes);

/* Bytes of a process that are in memory; 0, or -1 where that can't be told. */
int	process_memory(pid_t, uint64_t *bytes);

/* Lets getopt(3) begin again with another argv. */
void	getopt_again(void);

#endif
