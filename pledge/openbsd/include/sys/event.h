/* SPDX-License-Identifier: ISC */

/* For compiling only: see README.md.  What kqueue(2) shows. */

#ifndef OPENBSD_SYS_EVENT_H
#define OPENBSD_SYS_EVENT_H

#include <stdint.h>
#include <time.h>

#define EVFILT_VNODE	(-4)

#define EV_ADD		0x0001
#define EV_CLEAR	0x0020

#define NOTE_DELETE	0x0001
#define NOTE_WRITE	0x0002
#define NOTE_EXTEND	0x0004
#define NOTE_ATTRIB	0x0008
#define NOTE_RENAME	0x0020

struct kevent {
	uintptr_t	 ident;
	short		 filter;
	unsigned short	 flags;
	unsigned int	 fflags;
	int64_t		 data;
	void		*udata;
};

#define EV_SET(kevp, a, b, c, d, e, f) do {				\
	struct kevent *kev_ = (kevp);					\
									\
	kev_->ident = (uintptr_t)(a);					\
	kev_->filter = (b);						\
	kev_->flags = (c);						\
	kev_->fflags = (d);						\
	kev_->data = (e);						\
	kev_->udata = (f);						\
} while (0)

int	kqueue(void);
int	kevent(int kq, const struct kevent *changelist, int nchanges,
	    struct kevent *eventlist, int nevents,
	    const struct timespec *timeout);

#endif
