-- Sends the reviews of a file, one a line, in turn, and prints the result as one line of JSON.
-- The second argument: for so many milliseconds nothing is sent, and all connections are made.
local ffi = require('ffi')
ffi.cdef('typedef struct { long seconds, microseconds; } wall_clock; int gettimeofday(wall_clock *, void *);')

local bodies = {}
local next_body = 0
local sender
connected = 0

local function milliseconds()
  local clock = ffi.new('wall_clock')
  ffi.C.gettimeofday(clock, nil)
  return tonumber(clock.seconds) * 1000 + tonumber(clock.microseconds) / 1000
end

function setup(thread) sender = thread end

function init(args)
  for line in io.lines(args[1]) do bodies[#bodies + 1] = line end
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  if tonumber(args[2]) == 0 then return end
  local start = milliseconds() + tonumber(args[2])
  -- wrk asks it before each request of each connection.
  function delay()
    local left = start - milliseconds()
    if left <= 0 then return 0 end
    connected = connected + 1
    return math.ceil(left)
  end
end

function request()
  next_body = next_body % #bodies + 1
  return wrk.format(nil, nil, nil, bodies[next_body])
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "microseconds": %d, "errors": %d, "p50": %d, "p99": %d, "max": %d, "connected": %d}\n',
    summary.requests, summary.duration, errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50), latency:percentile(99), latency.max, sender:get('connected')))
end
