-- wrk's side of a submit: the body from a file, one ready-made request for each participant, sent in turn; figures as JSON.
local requests, turn = {}, 0

function init(arguments)
  local file = io.open(arguments[1], 'rb')
  local body = file:read('*a')
  file:close()
  for i = 2, #arguments do
    local headers = { ['Authorization'] = 'Bearer ' .. arguments[i], ['Content-Type'] = 'application/json' }
    requests[#requests + 1] = wrk.format('POST', '/api/jobs', headers, body)
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency, ignored)
  local errors = summary.errors
  local bad = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format('{"count": %d, "seconds": %.6f, "p50": %.4f, "p99": %.4f, "bad": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000, bad))
end
