#!lua name=crawl_novelty_1

-- What hosts bring; the promise stands in novelty.py. Repeating a call changes nothing.
--
-- KEYS[1] is what every key of the crawl's ledger begins with (see redis_names.py). novel:<host> is one string: a head of
-- three numbers in decimal digits (pages counted, how many of those below were new, how many there may be), and behind it
-- a ring of entries, the latest pages: hash of the page, hash of its body, and + if that was new, else -.

local HEAD, NUMBER = 24, 8
local HASH, ENTRY = 4, 9

-- Whether some entry has these bytes at this offset; elsewhere they are parts of two others.
local function holds(ring, bytes, offset)
  local at = string.find(ring, bytes, 1, true)
  while at and (at - 1) % ENTRY ~= offset do at = string.find(ring, bytes, at + 1, true) end
  return at ~= nil
end

local function number(head, place)
  return tonumber(string.sub(head, (place - 1) * NUMBER + 1, place * NUMBER))
end

-- args: host, page, body, how many pages to look at, how many of them must be new, how long to remember (ms)
local function saw(keys, args)
  local traps, key = keys[1] .. 'traps', keys[1] .. 'novel:' .. args[1]
  if redis.call('SISMEMBER', traps, args[1]) == 1 then return {'trap'} end
  local page, body, most, least = args[2], args[3], tonumber(args[4]), tonumber(args[5])
  local kept = redis.call('GETRANGE', key, 0, -1)
  local seen, new, ring = 0, 0, ''
  if #kept >= HEAD and number(kept, 3) == most then
    seen, new, ring = number(kept, 1), number(kept, 2), string.sub(kept, HEAD + 1)
  else -- none yet, or the crawl's rules have changed
    redis.call('DEL', key)
  end
  if holds(ring, page, 0) then return {'fine'} end

  local at = seen % most * ENTRY
  local is_new = not holds(ring, body, HASH)
  if string.sub(ring, at + ENTRY, at + ENTRY) == '+' then new = new - 1 end
  if is_new then new = new + 1 end
  seen = seen + 1
  if seen >= most and new < least then
    redis.call('SADD', traps, args[1])
    redis.call('UNLINK', key)
    return {'trap'}
  end
  if seen >= 2 * most then seen = seen - most end -- the place in the ring is all that still matters of it
  redis.call('SETRANGE', key, 0, string.format('%08d%08d%08d', seen, new, most))
  redis.call('SETRANGE', key, HEAD + at, page .. body .. (is_new and '+' or '-'))
  redis.call('PEXPIRE', key, args[6])
  return {'fine'}
end

redis.register_function{function_name = 'novelty1_saw', callback = saw}
