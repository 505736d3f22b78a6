# SPDX-License-Identifier: ISC
"""Measures servers side by side: interleaved rounds of wrk (or pgbench), the
CPU each process spent meanwhile, the memory of each family of processes, and
the ratios within a round.  What to measure comes as JSON on standard input:

{"seconds": 4, "rounds": 4, "connections": 32, "lua": "post.lua",
 "pgbench": ["pgbench", ...], "postmaster": 123,
 "targets": [{"name": "pontifexd", "pid": 12, "port": 1, "era": "modern",
              "key": "...", "tool": "item_lookup", "main": true}]}

A target with "of" is judged against the target of that name, by "least".  One
with "tokens", a file of more tokens than authd remembers, sends each in turn,
and with "verify" its authd is judged by so many verifications a second.
"""
import glob
import json
import os
import re
import statistics
import subprocess
import sys
import time


def parent_of(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return int(f.read().rsplit(")", 1)[1].split()[1])
    except OSError:
        return None


def family(root):
    """The process and all that come from it."""
    parents = {}
    for path in glob.glob("/proc/[0-9]*"):
        pid = int(path[6:])
        parents[pid] = parent_of(pid)
    members, grown = {root}, True
    while grown:
        grown = False
        for pid, parent in parents.items():
            if parent in members and pid not in members:
                members.add(pid)
                grown = True
    return members


def label(pid):
    try:
        with open(f"/proc/{pid}/comm") as f:
            name = f.read().strip()
        if name == "postgres":
            with open(f"/proc/{pid}/cmdline") as f:
                title = f.read().replace("\0", " ").strip()
            words = title.split()
            # "postgres: bench bench [local] idle", "postgres: walwriter"
            name = " ".join(words[:2]).rstrip(":") if words[:1] == ["postgres:"] else "postgres: main"
        return name
    except OSError:
        return None


def cpu_ns(pid):
    total = 0
    for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        try:
            with open(path) as f:
                total += int(f.read().split()[0])
        except OSError:
            pass
    return total


def cpu_snapshot(roots):
    return {pid: (label(pid), cpu_ns(pid)) for root in roots for pid in family(root)}


def cpu_used(before, after):
    used = {}
    for pid, (name, ns) in after.items():
        if name is not None:
            used[name] = used.get(name, 0) + ns - before.get(pid, (name, 0))[1]
    return used


def memory_kb(root):
    pss = rss = 0
    for pid in family(root):
        try:
            with open(f"/proc/{pid}/smaps_rollup") as f:
                text = f.read()
            pss += int(re.search(r"^Pss: *(\d+)", text, re.M).group(1))
            rss += int(re.search(r"^Rss: *(\d+)", text, re.M).group(1))
        except (OSError, AttributeError):
            pass
    return pss, rss


def settle(plan):
    """Until the targets and Postgres rest: what one still drains is not to
    slow the next.  At most 20 s."""
    roots = [t["pid"] for t in plan["targets"]] + [plan["postmaster"]]
    end = time.monotonic() + 20
    while time.monotonic() < end:
        before = cpu_snapshot(roots)
        time.sleep(0.3)
        if sum(cpu_used(before, cpu_snapshot(roots)).values()) < 0.02 * 0.3e9:
            return


def run_wrk(plan, target, seconds, seed):
    env = dict(os.environ, ERA=target["era"], KEY=target.get("key", ""), TOOL=target["tool"],
               SEED=str(seed), LEGACY_VERSION=target.get("version", "2025-11-25"))
    if target.get("tokens"):
        env["TOKENS"] = target["tokens"]
    roots = [target["pid"], plan["postmaster"]]
    before = cpu_snapshot(roots)
    proc = subprocess.Popen(["wrk", "-t1", f"-c{plan['connections']}", f"-d{seconds}s", "--timeout", "10s",
                             "-s", plan["lua"], f"http://127.0.0.1:{target['port']}"],
                            stdout=subprocess.PIPE, env=env, text=True)
    out = proc.stdout.read()
    _, status, usage = os.wait4(proc.pid, 0)
    # What a request leaves to be done later is part of its cost.
    settle(plan)
    used = cpu_used(before, cpu_snapshot(roots))
    used["wrk"] = int((usage.ru_utime + usage.ru_stime) * 1e9)
    found = re.search(r"^RESULT (.*)$", out, re.M)
    if status != 0 or not found:
        sys.exit(f"wrk failed on {target['name']}:\n{out}")
    result = json.loads(found.group(1))
    result["rate"] = result["requests"] / (result["duration_us"] / 1e6)
    result["cpu"] = {name: ns / 1000 / max(result["requests"], 1) for name, ns in used.items()}
    return result


def judge_tokens(targets, results, ratios):
    """Rows of (what, median, min, max, at least).  What a second of authd's
    CPU decides, with all that it does beside verifying, is compared with what
    a second of `openssl speed' verifies."""
    rows = []
    for t in targets:
        if "of" not in t:
            continue
        name = t["name"]
        rows.append((f"{name}: requests/s, of an API key",
                     *ratios(name, "rate", [r["rate"] for r in results[t["of"]]]), t.get("least")))
        if "verify" in t:
            per_core = [1e6 / r["cpu"]["authd"] / t["verify"] for r in results[name]]
            rows.append((f"{name}: a core of authd, of openssl's {t['verify']:.0f}/s",
                         statistics.median(per_core), min(per_core), max(per_core), 0.6))
    return rows


def run_pgbench(plan, seconds):
    out = subprocess.run(plan["pgbench"] + ["-T", str(seconds)], capture_output=True, text=True, check=True).stdout
    return float(re.search(r"^tps = ([0-9.]+)", out, re.M).group(1))


def main():
    plan = json.load(sys.stdin)
    targets = plan["targets"]
    seconds, rounds = plan["seconds"], plan["rounds"]
    results = {t["name"]: [] for t in targets}
    pgbench = []
    for t in targets:       # warm: connections, plans, caches, the JIT of node
        run_wrk(plan, t, seconds if t.get("tokens") else 2, 0)
    for n in range(1, rounds + 1):
        for t in targets:
            results[t["name"]].append(run_wrk(plan, t, seconds, n))
        pgbench.append(run_pgbench(plan, seconds))
        print(f"round {n}: " + ", ".join(f"{t['name']} {results[t['name']][-1]['rate']:.0f}/s" for t in targets) +
              f", pgbench {pgbench[-1]:.0f}/s", file=sys.stderr)

    def median(name, what):
        return statistics.median(r[what] for r in results[name])

    memory = {t["name"]: memory_kb(t["pid"]) for t in targets}
    print(f"\n{plan['connections']} connections, {rounds} interleaved rounds of {seconds} s, "
          f"{os.cpu_count()} cores shared with Postgres and wrk; medians\n")
    print(f"{'':34} {'req/s':>8} {'p50 ms':>8} {'p99 ms':>8} {'RSS MiB':>8} {'PSS MiB':>8} {'not 2xx':>8} {'lost':>5}")
    for t in targets:
        name = t["name"]
        pss, rss = memory[name]
        print(f"{name:34} {median(name, 'rate'):8.0f} {median(name, 'p50_us') / 1000:8.2f} "
              f"{median(name, 'p99_us') / 1000:8.2f} {rss / 1024:8.1f} {pss / 1024:8.1f} "
              f"{sum(r['bad'] for r in results[name]):8d} {sum(r['lost'] for r in results[name]):5d}")
    print(f"{'pgbench -M prepared -c 16 -j 2':34} {statistics.median(pgbench):8.0f}")

    def ratios(ours, what, theirs):
        pairs = [(r[what], t) for r, t in zip(results[ours], theirs)]
        every = [a / b for a, b in pairs]
        return statistics.median(every), min(every), max(every)

    missed = checked = 0
    for ours in [t["name"] for t in targets if t.get("main")]:
        rows = []
        for t in targets:
            if t.get("ratio"):
                rows.append((f"requests/s, of {t['name']}", *ratios(ours, "rate", [r["rate"] for r in results[t["name"]]]),
                             ">=", t["ratio"]))
        rows.append(("requests/s, of pgbench", *ratios(ours, "rate", pgbench), ">=", 0.28))
        for t in targets:
            if t.get("p99"):
                rows.append((f"p99, of {t['name']}", *ratios(ours, "p99_us", [r["p99_us"] for r in results[t["name"]]]),
                             "<=", 1.0))
        rows.append(("PSS of the family, MiB", memory[ours][0] / 1024, None, None, "<=", 24.0))
        print(f"\n{ours + ', within a round':54} {'median':>7}  {'[min .. max]':18} target")
        for name, value, low, high, sign, target in rows:
            met = value >= target if sign == ">=" else value <= target
            checked += 1
            missed += not met
            spread = f"[{low:.2f} .. {high:.2f}]" if low is not None else ""
            print(f"  {name:52} {value:7.2f}  {spread:18} {sign} {target:<5} {'met' if met else 'MISSED'}")

    rows = judge_tokens(targets, results, ratios)
    if rows:
        print(f"\n{'tokens, within a round':64} {'median':>7}  {'[min .. max]':18} target")
    for name, value, low, high, least in rows:
        missed += least is not None and value < least
        checked += least is not None
        verdict = "" if least is None else f">= {least:<5} {'met' if value >= least else 'MISSED'}"
        print(f"  {name:62} {value:7.2f}  {f'[{low:.2f} .. {high:.2f}]':18} {verdict}")
    for t in targets:
        # What was not pushed out by this much was remembered at the next turn.
        if t.get("tokens") and min(r["requests"] for r in results[t["name"]]) < t["remembered"]:
            print(f"  {t['name']}: a round had fewer requests than authd remembers tokens: partly cached; "
                  "let it take longer (BENCH_SECONDS)")

    print("\ncost of a request, microseconds of CPU by process (medians; idle ones left out)")
    for t in targets:
        name = t["name"]
        stages = {}
        for r in results[name]:
            for stage, us in r["cpu"].items():
                stages.setdefault(stage, []).append(us)
        cost = sorted(((statistics.median(v), k) for k, v in stages.items()), reverse=True)
        total = sum(us for us, k in cost if k != "wrk")
        print(f"  {name}: {total:.1f} in all, wrk apart")
        for us, stage in cost:
            if us >= 0.05:
                print(f"    {stage:32} {us:8.1f}")
    if missed:
        print(f"\n{missed} of {checked} targets missed: the stages that take the time stand above")
    else:
        print(f"\nall {checked} targets met")


main()
