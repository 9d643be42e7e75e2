#!lua name=crawl_slots_1

-- Host slots: when a host may next be asked. The promise stands in slots.py, where each constant has its reason.
--
-- KEYS[1] is the host's key, crawl:host:{<host>}, a hash of milliseconds of this server's clock:
--   last     the delay counts from here              next     the first slot that nobody has reserved
--   row      where the row of those that come back later ends
--   quiet    no request before this             strikes, struck   push-backs in a row, and the last one's time
--   latency  smoothed, of its answers
-- Beside it, under the same hash tag: ...:line (zset ticket -> reserved slot), ...:row (zset ticket -> when to come
-- back; the latest only), ...:flight (zset ticket -> when it is given up).

local EARLY_MS = 5
local LINE_AT_MOST = 8
local ROW_REMEMBERED = 128
local STALE_ROW_MS = 60000
local ABANDONED_MS = 30000
local FLIGHT_MS = 15000
local POLL_AT_LEAST_MS, POLL_AT_MOST_MS = 50, 1000
local LONGEST_ADAPTED_MS = 30000
local FIRST_QUIET_MS, LONGEST_QUIET_MS = 60000, 86400000
local QUIET_JITTER = 0.1
local FORGIVEN_MS = 1800000
local LATENCY_WEIGHT = 0.25
local LATENCY_AHEAD = 0.5
local CLOCK_BACK_MS = 1000

local FIELDS = {'last', 'next', 'row', 'quiet', 'strikes', 'struck', 'latency'}

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- The clock ran backwards: what was promised is void, and the delay begins anew.
local function heal(host)
  redis.call('DEL', host.key .. ':line', host.key .. ':row')
  host.last, host.next, host.row = host.now, 0, 0
  host.struck = math.min(host.struck, host.now)
  host.quiet = math.min(host.quiet, host.now + LONGEST_QUIET_MS)
  for _, ticket in ipairs(redis.call('ZRANGE', host.key .. ':flight', 0, -1)) do
    redis.call('ZADD', host.key .. ':flight', 'LT', host.now + FLIGHT_MS, ticket)
  end
end

local function read(key)
  local host = {key = key, now = now_ms()}
  local values = redis.call('HMGET', key, unpack(FIELDS))
  for i, field in ipairs(FIELDS) do host[field] = tonumber(values[i] or 0) end
  if host.last > host.now + CLOCK_BACK_MS then heal(host) end
  return host
end

local function write(host)
  local fields = {}
  for _, field in ipairs(FIELDS) do
    fields[#fields + 1] = field
    fields[#fields + 1] = string.format('%.0f', host[field])
  end
  redis.call('HSET', host.key, unpack(fields))
  redis.call('PEXPIRE', host.key, math.max(host.quiet - host.now, 0) + FORGIVEN_MS)
end

local function remember(host, what, ticket, at)
  local key = host.key .. what
  redis.call('ZADD', key, at, ticket)
  redis.call('PEXPIRE', key, math.max(at - host.now, 0) + FORGIVEN_MS)
end

-- The delay between two requests, and the step between two promises: what the host can keep up with.
local function rhythm(host, pace)
  local delay = math.max(pace.delay, math.min(pace.factor * host.latency, LONGEST_ADAPTED_MS))
  local step = pace.places == 1 and delay + LATENCY_AHEAD * host.latency or math.max(delay, host.latency / pace.places)
  pace.delay, pace.step = math.ceil(delay), math.ceil(step)
end

local function park(host, ticket, pace)
  local place = math.max(host.row, host.next, host.last + pace.delay, host.quiet, host.now)
  host.row = place + pace.step
  remember(host, ':row', ticket, place)
  redis.call('ZREMRANGEBYRANK', host.key .. ':row', 0, -1 - ROW_REMEMBERED)
  return {'park', place - host.now}
end

local function has_row(host, delay)
  local idle_since = math.max(host.last, host.quiet)
  return host.row > host.now and idle_since >= host.now - math.max(STALE_ROW_MS, 10 * delay)
end

-- A slot in the line, or nil and the answer that there is none to be had.
local function line_up(host, ticket, pace, returned)
  local place = tonumber(redis.call('ZSCORE', host.key .. ':row', ticket) or nil)
  if place then
    if place > host.now + EARLY_MS then return nil, {'park', place - host.now} end
    redis.call('ZREM', host.key .. ':row', ticket)
    returned = true
  end
  if host.row > host.now and not has_row(host, pace.delay) then host.row = 0 end
  local slot = math.max(host.last + pace.delay, host.next)
  if slot - EARLY_MS <= host.now then slot = host.now end
  slot = math.max(slot, host.quiet)
  local near = math.min(pace.hold, LINE_AT_MOST * pace.delay)
  if slot - host.now > near or (not returned and host.row > host.now) then
    return nil, park(host, ticket, pace)
  end
  host.next = slot + pace.step
  return slot
end

local function hold(host, ticket, pace, slot, opens)
  local waited = host.now - slot
  if opens - host.now > pace.hold or waited > pace.hold then
    redis.call('ZREM', host.key .. ':line', ticket)
    return park(host, ticket, pace)
  end
  remember(host, ':line', ticket, slot)
  return {'hold', opens - host.now}
end

local function turn(host, ticket, pace, returned, look)
  rhythm(host, pace)
  local line, flight = host.key .. ':line', host.key .. ':flight'
  redis.call('ZREMRANGEBYSCORE', line, '-inf', host.now - ABANDONED_MS)
  redis.call('ZREMRANGEBYSCORE', flight, '-inf', host.now)
  local slot, answer = tonumber(redis.call('ZSCORE', line, ticket) or nil), nil
  if not slot then
    slot, answer = line_up(host, ticket, pace, returned)
    if not slot then return answer end
  end
  local opens = math.max(slot - EARLY_MS, host.last + pace.delay - EARLY_MS, host.quiet)
  if opens > host.now then return hold(host, ticket, pace, slot, opens) end
  if redis.call('ZCARD', flight) >= pace.places then
    local poll = math.min(math.max(math.floor(host.latency / 2), POLL_AT_LEAST_MS), POLL_AT_MOST_MS)
    return hold(host, ticket, pace, slot, host.now + poll)
  end
  if look then
    remember(host, ':line', ticket, slot)
    return {'go'}
  end
  redis.call('ZREM', line, ticket)
  remember(host, ':flight', ticket, host.now + FLIGHT_MS)
  host.last = math.max(host.now, math.min(host.last + pace.delay, host.now + EARLY_MS))
  host.next = math.max(host.next, host.last + pace.step)
  return {'go'}
end

-- args: ticket, delay_ms, latency factor, places in flight, hold_ms, 1 if it was parked and has returned, 1 if it
-- only looks
local function reserve(keys, args)
  local host, ticket = read(keys[1]), args[1]
  local pace = {
    delay = tonumber(args[2]), factor = tonumber(args[3]), places = tonumber(args[4]), hold = tonumber(args[5]),
  }
  if redis.call('ZSCORE', host.key .. ':flight', ticket) then
    remember(host, ':flight', ticket, host.now + FLIGHT_MS)
    return {'go'}
  end
  local answer = turn(host, ticket, pace, args[6] == '1', args[7] == '1')
  write(host)
  return answer
end

-- args: ticket. The last in the line or the row makes room; before the last, its time just passes.
local function give_back(keys, args)
  local host, ticket = read(keys[1]), args[1]
  local line, row = host.key .. ':line', host.key .. ':row'
  local last = redis.call('ZREVRANGE', line, 0, 0, 'WITHSCORES')
  if last[1] == ticket then host.next = math.min(host.next, tonumber(last[2])) end
  last = redis.call('ZREVRANGE', row, 0, 0, 'WITHSCORES')
  if last[1] == ticket then host.row = math.min(host.row, tonumber(last[2])) end
  local had = redis.call('ZREM', line, ticket) + redis.call('ZREM', row, ticket)
  had = had + redis.call('ZREM', host.key .. ':flight', ticket)
  if had > 0 then write(host) end
  return {'given back'}
end

local function learn(host, latency, clean)
  if host.latency == 0 then
    host.latency = latency
  elseif clean or latency > host.latency then
    host.latency = host.latency + LATENCY_WEIGHT * (latency - host.latency)
  end
end

-- A push-back during a quiet time belongs to the one that began it.
local function push_back(host, asked_ms, jitter)
  local for_ms = asked_ms
  if host.now >= host.quiet then
    if host.now - math.max(host.struck, host.quiet) > FORGIVEN_MS then host.strikes = 0 end
    if for_ms == 0 then
      for_ms = math.min(FIRST_QUIET_MS * 2 ^ host.strikes, LONGEST_QUIET_MS) * (1 + QUIET_JITTER * jitter)
    end
    host.strikes, host.struck = math.min(host.strikes + 1, 20), host.now
  end
  host.quiet = math.max(host.quiet, host.now + math.ceil(math.min(for_ms, LONGEST_QUIET_MS * (1 + QUIET_JITTER))))
end

-- args: ticket, since_answer_ms, latency_ms, 1 if clean, push-back ms (0: did not say; -1: none), jitter 0..1
local function settle(keys, args)
  local host, ticket = read(keys[1]), args[1]
  if redis.call('ZREM', host.key .. ':flight', ticket) == 0 then return {'settled before'} end
  host.last = math.max(host.last, host.now - tonumber(args[2]))
  learn(host, tonumber(args[3]), args[4] == '1')
  local pushback = tonumber(args[5])
  if pushback >= 0 then push_back(host, math.min(pushback, LONGEST_QUIET_MS), tonumber(args[6])) end
  write(host)
  return {'settled'}
end

-- args: for_ms
local function block(keys, args)
  local host = read(keys[1])
  host.quiet = math.max(host.quiet, host.now + math.min(tonumber(args[1]), LONGEST_QUIET_MS))
  write(host)
  return {'blocked'}
end

redis.register_function{function_name = 'slots1_reserve', callback = reserve}
redis.register_function{function_name = 'slots1_give_back', callback = give_back, flags = {'allow-oom'}}
redis.register_function{function_name = 'slots1_settle', callback = settle, flags = {'allow-oom'}}
redis.register_function{function_name = 'slots1_block', callback = block, flags = {'allow-oom'}}
