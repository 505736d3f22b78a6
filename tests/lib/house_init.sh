#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Process 1 of the namespaces that house.sh makes: puts the rest of a machine
# into the house and becomes systemd(1).  Nothing of it is seen outside.
set -eu
house=$1
mount --make-rprivate /
mount -t proc proc "$house/proc"
# A booting systemd would set limits of the kernel, which are the machine's.
mount --bind "$house/proc/sys" "$house/proc/sys"
mount -o remount,bind,ro "$house/proc/sys"
mount -t sysfs -o ro sysfs "$house/sys"
# One hierarchy, whatever this machine has: ours is the group that we are in.
mount -t cgroup2 cgroup2 "$house/sys/fs/cgroup"
mount -t tmpfs -o mode=755 run "$house/run"
mkdir -m 1777 "$house/dev/shm"
mkdir "$house/dev/pts"
cd "$house"
mkdir mnt/before
pivot_root . mnt/before
umount -l mnt/before
# As a booted machine has it: credentials are mounted in one place and seen in another.
mount --make-rshared /
exec env -i container=house PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --unit=house.target --log-target=console --show-status=0
