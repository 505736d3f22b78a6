#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Bounds for connections, in all and of one source: who has to make room, and
# that a caller with a good credential never has to for those without one.

. "$(dirname "$0")/../lib/harness.sh"

shop "$work/shop"
key=$(key_add -o alice -s shop:order:read -r 1000000)
daemon_start || die 'the daemon starts' ready
crowd() { out=$(timeout 100 python3 "$lib/crowd.py" "$port" "$key" "$1" "$build/pontifexctl" -s "$dir/run/control.sock" status -v); note "$1: $out"; }
field() { jq ".$1" <<<"$out"; }
served() { # CASE
	is "$1: the caller that was there is served over the same connection" '200 200' "$(field first) $(field kept)"
	is "$1: a new caller is served" 200 "$(field fresh)"
}
listener=$(child_pids listener)
# What it holds, beside what the libraries of the system are at the start.
rss() { awk '/^VmRSS/ { print int($2 / 1024) }' "/proc/$listener/status"; }
rss_first=$(rss)

crowd source
served source
is 'one source holds its 512 and no more' 512 "$(field left)"
is 'the oldest made room, the newest are there' '50 0' "$(field oldest_gone) $(field newest_gone)"
like 'the status counts them' 'displaced (8[89]|9[0-9])' "$(ctl status -v)"

crowd all
served all
number 'all sources together hold no more than 2048' "$(field left)" -le 2048
number 'and not many less' "$(field left)" -ge 2000
is 'the oldest made room' 50 "$(field oldest_gone)"

# Those that cannot go for a moment do not shield the rest of them.
crowd asking
is 'asking: the caller that was there keeps its connection' '200 200' "$(field first) $(field kept)"

# Questions of those who left are answered all the same, and soon: authd goes on reading.
crowd leavers
served leavers
unlike 'leavers: authd reads on' 'questions open: it is not read' "$(cat "$daemon_log")"

crowd idle
served idle
is 'callers of one source displace each other' 512 "$(field left)"
is 'the longest idle one first' '50 0' "$(field oldest_gone) $(field newest_gone)"

crowd bodies
served bodies
# Asked while they are there: the last to come may still be on its way.
number 'strangers hold a bounded number of bytes (KiB)' "$(field strangers)" -le 26000
number 'as many as they may' "$(field strangers)" -ge 8000
if [ -z "${ASAN_OPTIONS:-}" ]; then number 'the listener is small (MiB)' "$(($(rss) - rss_first))" -le 60; fi

crowd mixed
served mixed
number 'small beginnings do not shield large bodies (KiB)' "$(field strangers)" -le 26000
if [ -z "${ASAN_OPTIONS:-}" ]; then number 'nor for a while (MiB at most)' "$(($(awk '/^VmHWM/ { print int($2 / 1024) }' "/proc/$listener/status") - rss_first))" -le 60; fi

# The bound is the operator's, and a gateway has none.
daemon_stop
sed -i 's/^auth {/limit connections 3 per source\n&/' "$conf"
daemon_start || die 'the daemon starts with a bound of its own' ready
crowd source
is 'three per source' 3 "$(field left)"
daemon_stop
sed -i 's/^auth {/trust forwarded from "127.0.0.2"\n&/' "$conf"
daemon_start || die 'the daemon starts with a gateway' ready
crowd source
is 'a gateway that is trusted has no bound of its own' 600 "$(field left)"
is 'the listener is the one that began' 1 "$(child_pids listener | wc -l)"
daemon_stop
like 'audit verify: ok' ok "$(audit_verify | tail -n 1)"
done_testing
