-- SPDX-License-Identifier: ISC
-- 512 tools/call requests with random ids, built beforehand, sent in turn.
-- Environment: ERA (modern or legacy), KEY (may be empty), TOOL, SEED, TOKENS
-- (a file with a credential a line, instead of KEY: a request for each).
local era, key, tool = os.getenv("ERA"), os.getenv("KEY"), os.getenv("TOOL")
local requests, turn, count = {}, 0, 512

function init()
	local tokens = {}
	math.randomseed(tonumber(os.getenv("SEED") or "1"))
	if os.getenv("TOKENS") then
		for line in io.lines(os.getenv("TOKENS")) do tokens[#tokens + 1] = line end
		count = #tokens
	end
	for i = 1, count do
		local id = math.random(1, 100000)
		local headers = { ["Content-Type"] = "application/json",
			["Accept"] = "application/json, text/event-stream" }
		local meta = ""
		key = tokens[i] or key
		if key and key ~= "" then headers["Authorization"] = "Bearer " .. key end
		if era == "modern" then
			headers["MCP-Protocol-Version"] = "2026-07-28"
			headers["Mcp-Method"] = "tools/call"
			headers["Mcp-Name"] = tool
			meta = ',"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",' ..
			    '"io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1"},' ..
			    '"io.modelcontextprotocol/clientCapabilities":{}}'
		else
			headers["MCP-Protocol-Version"] = os.getenv("LEGACY_VERSION") or "2025-11-25"
		end
		local body = string.format('{"jsonrpc":"2.0","id":%d,"method":"tools/call",' ..
		    '"params":{"name":"%s","arguments":{"item_id":%d}%s}}', i, tool, id, meta)
		requests[i] = wrk.format("POST", "/mcp", headers, body)
	end
end

function request()
	turn = turn % count + 1
	return requests[turn]
end

function done(summary, latency)
	io.write(string.format('RESULT {"requests":%d,"duration_us":%d,"bad":%d,"lost":%d,"p50_us":%d,"p99_us":%d}\n',
	    summary.requests, summary.duration, summary.errors.status,
	    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
	    latency:percentile(50), latency:percentile(99)))
end
