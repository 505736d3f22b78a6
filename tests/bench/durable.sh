#!/bin/bash
# SPDX-License-Identifier: ISC
#
# What durable costs: the same calls over 32 connections with auditd as it is,
# and with one whose fdatasync does nothing, in turns.

. "$(dirname "$0")/../lib/harness.sh"

seconds=${BENCH_SECONDS:-5}
shim=$work/shim.so
cc -shared -fPIC -O2 -o "$shim" "$lib/fault_shim.c" -ldl || die 'the shim compiles' 'exit 0' 'an error'
mkdir -p "$work/bin/libexec"
for file in pontifexd pontifexctl libexec/listener libexec/authd libexec/handler libexec/fetcher; do
	cp "$build/$file" "$work/bin/$file"
done
cp "$build/libexec/auditd" "$work/bin/libexec/auditd.real"
printf '#!/bin/sh\nexec env LD_PRELOAD=%s FAULT_NOSYNC=1 %s\n' "$shim" "$work/bin/libexec/auditd.real" >"$work/bin/libexec/auditd"
chmod 755 "$work/bin" "$work/bin/libexec" "$work"/bin/libexec/* "$shim"
body='{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"order_lookup","arguments":{"order_id":1001}}}'
real=$build
measure() { # NAME BUILD: calls a second and p99 in ms
	build=$2
	shop "$work/$1"
	key=$(key_add -o alice -s shop:order:read -r 100000000)
	daemon_start || die "$1 starts" ready
	cat >"$work/post.lua" <<EOF
wrk.method = "POST"
wrk.body = '$body'
wrk.headers["Authorization"] = "Bearer $key"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Accept"] = "application/json, text/event-stream"
wrk.headers["MCP-Protocol-Version"] = "2025-11-25"
done = function(summary, latency)
	io.write(string.format("RESULT %d %.3f\n", summary.requests * 1e6 / summary.duration, latency:percentile(99) / 1000))
end
EOF
	wrk -t 1 -c 32 -d "${seconds}s" -s "$work/post.lua" "http://127.0.0.1:$port/mcp" | sed -n 's/^RESULT //p'
	daemon_stop >/dev/null
	build=$real
}
for n in 1 2 3; do
	measure "durable$n" "$real" >>"$work/durable"
	measure "loose$n" "$work/bin" >>"$work/loose"
done
median() { cut -d' ' -f"$2" "$work/$1" | sort -n | sed -n 2p; }
python3 - "$(median durable 1)" "$(median loose 1)" "$(median durable 2)" "$(median loose 2)" "$work" <<'EOF'
import os, sys, time
durable, loose, p99, p99_loose = map(float, sys.argv[1:5])
fd = os.open(sys.argv[5] + "/probe", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
took = []
for _ in range(500):
    os.write(fd, b"x" * 800)
    t = time.monotonic()
    os.fdatasync(fd)
    took.append(time.monotonic() - t)
disk = sorted(took)[494] * 1000
print("durable: %d calls a second, %d without fdatasync: %.2f kept (target 0.70); p99 %.2f ms, %.2f without: %.2f ms added, "
      "%.2f x the disk's own p99 of %.2f ms (target 2)" % (durable, loose, durable / loose, p99, p99_loose, p99 - p99_loose,
                                                          (p99 - p99_loose) / disk, disk))
EOF
[ "$failed" -eq 0 ]
