# SPDX-License-Identifier: ISC
# shellcheck shell=bash
#
# How a target is run, whoever runs it: its seeds, its words, its bounds.

# What the target itself writes (the log's lines) is not what is looked for.
fuzz_options() { # TARGET
	echo -max_len=16384 -rss_limit_mb=4096 -timeout=20 -close_fd_mask=2
	echo "-dict=tests/fuzz/dict/${1#fuzz_}"
}
