#!/bin/bash
# SPDX-License-Identifier: ISC
#
# On a kernel that lacks a part of the sandboxes: the log says which, and with
# `sandbox require' nothing starts.  What such a kernel answers is played by
# old_kernel.c; all else is the kernel that there is.

. "$(dirname "$0")/../lib/harness.sh"

old=$work/old_kernel
cc -O1 -o "$old" "$lib/old_kernel.c" -lseccomp || die 'old_kernel compiles' 'exit 0' 'an error'
shop "$work/shop"
key=$(key_add -o alice -s shop:order:read)
# With a source that connects, for which ports count; it need not be there.
cat >>"$conf" <<'EOF'
source far postgres {
	dsn from env "FAR_DSN"
}
tool far {
	description "d"
	scope "shop:order:read"
	source far
	sql "SELECT 1 AS one"
}
EOF
export FAR_DSN="hostaddr=127.0.0.1 port=$(free_port) user=x dbname=x"
cp "$conf" "$work/plain.conf"

# The daemon on a kernel with this ABI; `real' is the one that there is.
wrapped=$work/wrapped
mkdir -p "$wrapped"
start_on() { # ABI
	: >"$dir/log"
	daemon_log=$dir/log
	if [ "$1" = real ]; then
		"$build/pontifexd" -d -f "$conf" >>"$daemon_log" 2>&1 </dev/null &
	else
		"$old" "$1" "$build/pontifexd" -d -f "$conf" >>"$daemon_log" 2>&1 </dev/null &
	fi
	daemon=$!
	started+=("$daemon")
	until_true 30 daemon_ready_or_gone && daemon_ready
}
serves() { call "$key" order_lookup '{"order_id":1001}'; echo "$status"; }
log_text() { cat "$daemon_log"; }

real_abi=$(python3 -c 'import ctypes; print(ctypes.CDLL(None).syscall(444, 0, 0, 1))')
case $(uname -m) in x86_64 | aarch64) ;; *) real_abi=0 ;; esac
note "Landlock here: ABI $real_abi"

for abi in none 1 3; do
	cp "$work/plain.conf" "$conf"
	start_on $abi || die "ABI $abi: it starts without the word" ready
	is "ABI $abi: it serves" 200 "$(serves)"
	if [ $abi = none ]; then
		like 'no Landlock: the log says so' 'this kernel has no Landlock' "$(log_text)"
	else
		like "ABI $abi: the log says that ports are open" "Landlock \(ABI $abi\) knows no ports" "$(log_text)"
	fi
	daemon_stop
	echo 'sandbox require' >>"$conf"
	if start_on $abi; then not_ok "ABI $abi: with the word it does not start" 'no start' ready; daemon_stop
	else ok "ABI $abi: with the word it does not start"; daemon=; fi
	if [ $abi = none ]; then
		like 'and says what is missing' 'sandbox require: this kernel lacks Landlock$' "$(log_text)"
	else
		like 'and says what is missing' "sandbox require: this kernel lacks ports in Landlock \(its ABI is $abi, 4 has them\)" "$(log_text)"
	fi
	is 'nobody was started' '' "$(pgrep -f "^$build/libexec/.*$dir" || :)"
done
if [ "$real_abi" -ge 4 ]; then
	start_on real || die 'with the word, on this kernel: it starts' ready
	is 'with the word, on this kernel: it serves' 200 "$(serves)"
	daemon_stop
	start_on 4 || die 'with the word, with ABI 4: it starts' ready
	is 'with the word, with ABI 4: it serves' 200 "$(serves)"
	daemon_stop
else
	skip 'with the word it starts where all is there' "Landlock here has ABI $real_abi"
fi
done_testing
