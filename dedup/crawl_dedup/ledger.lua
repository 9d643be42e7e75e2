#!lua name=crawl_ledger_1

-- The ledger's steps. Each is atomic, and repeating it changes nothing, so a client may always try again.
--
-- KEYS[1] is what every key of one ledger begins with, crawl:{<crawl>/<group>}: (see redis_names.py).
-- A fingerprint is <bucket>.<member>. Members are 64-bit integers and stay strings here: a Lua number is a
-- double and would round them. A seed batch's parent begins with s. and is neither counted, admitted nor done.
-- Every answer is an array whose first element is a word.

-- An outbox younger than this is nobody's business but its committer's: after a consumer has left, the broker
-- redelivers the parent, and whoever gets it publishes the outbox. The sweep comes second, not at the same time.
local ORPHAN_AFTER_MS = 10000
-- A lease holds this long after its consumer has taken it, or said with a heartbeat that it still works on the URL.
-- One that nobody renews is of a sweeper that has not heard the answer, or came back with a Redis that had lost its end.
local LEASE_HOLDS_MS = 30000
-- The trace of a lease that holds no more tells for this long that its consumer did not come to an end with the URL.
local LEASE_TRACE_MS = 600000
-- Outboxes that one sweep looks at, oldest first: bounds the time that Redis spends on it (about 2 us each).
local SWEEP_AT_MOST = 1000
-- Messages after which a sweep hands out no further outbox: its answer is held by Redis and by the sweeper as a whole,
-- and one outbox may take 8 MiB already.
local SWEEP_MESSAGES = 2000
-- Never tell anyone to come back sooner than this.
local BUSY_AT_LEAST_MS = 250
-- Fields of one HSET: Lua refuses to unpack more than 8000 values.
local FIELDS_AT_ONCE = 2000

local function is_url(fingerprint)
  return string.sub(fingerprint, 1, 2) ~= 's.'
end

local function place(fingerprint)
  local bucket, member = string.match(fingerprint, '^(%x+)%.(-?%d+)$')
  if not bucket then error({err = 'ERR not the fingerprint of a URL: ' .. fingerprint}) end
  return bucket, member
end

local function is_done(books, bucket, member)
  return redis.call('SISMEMBER', books .. 'don:' .. bucket, member) == 1
end

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function count(books, what, by)
  if by ~= 0 then redis.call('HINCRBY', books .. 'counts', what, by) end
end

-- The living consumer that holds the lease on this URL, and for how many milliseconds it lives at least.
local function living_holder(books, url)
  local lease = books .. 'lease:' .. url
  local holder = redis.call('GET', lease)
  if not holder then return nil end
  local alive_ms = redis.call('PTTL', books .. 'alive:' .. holder)
  if alive_ms == -2 then return nil end
  if redis.call('PTTL', lease) <= LEASE_TRACE_MS - LEASE_HOLDS_MS then return nil end
  return holder, alive_ms
end

local function take_lease(books, url, consumer)
  redis.call('SET', books .. 'lease:' .. url, consumer, 'PX', LEASE_TRACE_MS)
end

-- How often this URL was tried alone since a consumer died with it in hand, which its lease shows; nil if none did.
local function trials_of(books, url, consumer, suspect_ms)
  local trials = redis.call('GET', books .. 'suspect:' .. url)
  if trials then return tonumber(trials) end
  local holder = redis.call('GET', books .. 'lease:' .. url)
  if not holder or holder == consumer then return nil end
  redis.call('SET', books .. 'suspect:' .. url, 0, 'PX', suspect_ms)
  return 0
end

-- Admit a URL that came without having been committed: somebody published it by hand, or Redis lost the commit.
local function adopt(books, bucket, member)
  if redis.call('SADD', books .. 'adm:' .. bucket, member) == 0 then return false end
  count(books, 'admitted', 1)
  count(books, 'open', 1)
  count(books, 'adopted', 1)
  return true
end

-- Whether RabbitMQ has confirmed the message of a later attempt, so that this copy is not the last one.
local function superseded(books, url, attempt)
  local next = redis.call('HGET', books .. 'tries', url)
  return next and tonumber(next) > tonumber(attempt)
end

-- Whoever has the lease has it no more: what he says later is of an attempt from before, whose message may be gone. That
-- it was left tells of a consumer's death as before.
local function disown(books, url)
  redis.call('SET', books .. 'lease:' .. url, '', 'XX', 'KEEPTTL')
end

local function end_url(books, url, outcome)
  local bucket, member = place(url)
  redis.call('HDEL', books .. 'tries', url)
  redis.call('SREM', books .. 'adm:' .. bucket, member)
  redis.call('SADD', books .. 'don:' .. bucket, member)
  count(books, 'open', -1)
  count(books, 'outcome:' .. outcome, 1)
end

-- The rooms of hosts: how many more URLs each may get, read when it is first asked for.
local function rooms(books, max_per_host)
  return setmetatable({}, {__index = function(room, host)
    local left = max_per_host - tonumber(redis.call('HGET', books .. 'hosts', host) or 0)
    rawset(room, host, left)
    return left
  end})
end

-- Admit what is new among args[first], args[first + stride], …, each followed by its message and, with max_per_host, by
-- its host. Returns the indices of the new ones (from 0), the fields for the outbox, and how many were turned away
-- because of either limit.
local function admit(books, args, first, stride, max_admitted, max_per_host)
  local room = math.huge
  if max_admitted > 0 then
    room = max_admitted - tonumber(redis.call('HGET', books .. 'counts', 'admitted') or 0)
  end
  local new, fields, over, over_host = {}, {}, 0, 0
  local of_host, gained = max_per_host > 0 and rooms(books, max_per_host), {}
  for i = first, #args, stride do
    local bucket, member = place(args[i])
    if not is_done(books, bucket, member) then
      local admitted = books .. 'adm:' .. bucket
      if #new >= room then
        over = over + 1 - redis.call('SISMEMBER', admitted, member)
      elseif of_host and of_host[args[i + 2]] <= 0 then
        over_host = over_host + 1 - redis.call('SISMEMBER', admitted, member)
      elseif redis.call('SADD', admitted, member) == 1 then
        new[#new + 1] = (i - first) / stride
        fields[#fields + 1] = args[i]
        fields[#fields + 1] = args[i + 1]
        if of_host then
          local host = args[i + 2]
          of_host[host], gained[host] = of_host[host] - 1, (gained[host] or 0) + 1
        end
      end
    end
  end
  for host, by in pairs(gained) do redis.call('HINCRBY', books .. 'hosts', host, by) end
  return new, fields, over, over_host
end

local function keep(books, parent, outcome, fields, consumer)
  local outbox = books .. 'out:' .. parent
  redis.call('HSET', outbox, '_', outcome)
  for i = 1, #fields, FIELDS_AT_ONCE do
    redis.call('HSET', outbox, unpack(fields, i, math.min(i + FIELDS_AT_ONCE - 1, #fields)))
  end
  redis.call('ZADD', books .. 'outs', now_ms(), parent)
  take_lease(books, parent, consumer)
end

-- args: url, consumer, suspect_ms, attempt
local function begin(keys, args)
  local books, url, consumer = keys[1], args[1], args[2]
  local bucket, member = place(url)
  if is_done(books, bucket, member) then return {'done'} end
  local holder, alive_ms = living_holder(books, url)
  if holder and holder ~= consumer then return {'busy', math.max(alive_ms, BUSY_AT_LEAST_MS)} end
  if superseded(books, url, args[4]) and redis.call('EXISTS', books .. 'out:' .. url) == 0 then return {'done'} end
  local trials = trials_of(books, url, consumer, args[3])
  take_lease(books, url, consumer)
  local outbox = redis.call('HGETALL', books .. 'out:' .. url)
  if #outbox > 0 then return {'publish', outbox} end
  adopt(books, bucket, member)
  return {'go', trials}
end

-- args: url, number, suspect_ms. The number comes from the caller, so that a repeated call counts once.
local function trial(keys, args)
  redis.call('SET', keys[1] .. 'suspect:' .. args[1], args[2], 'PX', args[3])
  return {'noted'}
end

-- args: url
local function cleared(keys, args)
  redis.call('DEL', keys[1] .. 'suspect:' .. args[1])
  return {'cleared'}
end

-- args: parent, consumer, outcome, max_admitted, born, max_per_host, how many counts, (name, by) …, (child, message) …
-- With max_per_host it is (child, message, host) …
local function commit(keys, args)
  local books, parent, consumer, outcome, born = keys[1], args[1], args[2], args[3], args[5]
  local max_per_host, first_child = tonumber(args[6]), 8 + 2 * tonumber(args[7])
  local stride = max_per_host > 0 and 3 or 2
  -- Links were left out because they are known; to the memory that they are known to?
  if born ~= '' and redis.call('HGET', books .. 'meta', 'born') ~= born then return {'forgot'} end
  if is_url(parent) then
    local bucket, member = place(parent)
    if is_done(books, bucket, member) then return {'done'} end
    adopt(books, bucket, member)
  end
  local outbox = redis.call('HGETALL', books .. 'out:' .. parent)
  if #outbox > 0 then return {'kept', outbox} end

  local new, fields, over, over_host = admit(books, args, first_child, stride, tonumber(args[4]), max_per_host)
  local children = (#args - first_child + 1) / stride
  local duplicate = children - #new - over - over_host
  local discovered = children
  for i = 8, first_child - 1, 2 do
    count(books, args[i], tonumber(args[i + 1]))
    if string.sub(args[i], 1, 9) == 'filtered:' then discovered = discovered + tonumber(args[i + 1]) end
  end
  count(books, 'discovered', discovered)
  count(books, 'duplicate', duplicate)
  count(books, 'filtered:max_pages', over)
  count(books, 'filtered:max_pages_per_host', over_host)
  count(books, 'admitted', #new)
  count(books, 'open', #new)

  if #new > 0 then
    keep(books, parent, outcome, fields, consumer)
    return {'new', duplicate, over, over_host, new}
  end
  if is_url(parent) then
    end_url(books, parent, outcome)
    redis.call('DEL', books .. 'lease:' .. parent)
  end
  return {'finished', duplicate, over, over_host}
end

-- args: parent. Nobody else's lease can matter once the parent is done, so whosever it is goes.
local function finish(keys, args)
  local books, parent = keys[1], args[1]
  local outbox = books .. 'out:' .. parent
  local outcome = redis.call('HGET', outbox, '_')
  if not outcome then
    if is_url(parent) and not is_done(books, place(parent)) then return {'lost'} end
    return {'finished'}
  end
  redis.call('UNLINK', outbox)
  redis.call('ZREM', books .. 'outs', parent)
  redis.call('DEL', books .. 'lease:' .. parent)
  if is_url(parent) then end_url(books, parent, outcome) end
  return {'finished'}
end

-- args: parent, child … The outbox stays, even empty, until finish.
local function confirmed(keys, args)
  for i = 2, #args do redis.call('HDEL', keys[1] .. 'out:' .. args[1], args[i]) end
  return {'confirmed'}
end

-- args: url, consumer, the attempt whose message is confirmed in place of this one (0: it is the same attempt's)
local function release(keys, args)
  local books, url, next = keys[1], args[1], tonumber(args[3])
  local lease = books .. 'lease:' .. url
  -- Who lost it was frozen: the URL may have ended since, and been opened again, without that attempt's message.
  if redis.call('GET', lease) ~= args[2] then return {'released'} end
  redis.call('DEL', lease)
  if next > 0 and not superseded(books, url, next - 1) then redis.call('HSET', books .. 'tries', url, next) end
  return {'released'}
end

-- args: url …
local function restart(keys, args)
  for _, url in ipairs(args) do
    redis.call('HDEL', keys[1] .. 'tries', url)
    disown(keys[1], url)
  end
  return {'restarted'}
end

-- args: url, outcome, letter, how long to remember it (ms)
local function reopen(keys, args)
  local books, url, outcome, letter = keys[1], args[1], args[2], args[3]
  local bucket, member = place(url)
  local again = books .. 'again:' .. url
  redis.call('HDEL', books .. 'tries', url)
  -- One that lives may have got the message of another letter of this page, and need not be disturbed.
  if not living_holder(books, url) then disown(books, url) end
  if not is_done(books, bucket, member) then
    if adopt(books, bucket, member) then redis.call('SET', again, letter, 'PX', args[4]) end
    return {'open'}
  end
  if outcome == '' or redis.call('GET', again) == letter then return {'ended'} end
  redis.call('SET', again, letter, 'PX', args[4])
  redis.call('DEL', books .. 'suspect:' .. url)
  redis.call('SREM', books .. 'don:' .. bucket, member)
  redis.call('SADD', books .. 'adm:' .. bucket, member)
  count(books, 'open', 1)
  count(books, 'outcome:' .. outcome, -1)
  return {'open'}
end

-- args: url, outcome, letter. A lease, an outbox or another letter means that somebody else will end it.
local function give_up(keys, args)
  local books, url, letter = keys[1], args[1], args[3]
  if letter ~= '' and redis.call('GET', books .. 'again:' .. url) ~= letter then return {'left'} end
  local bucket, member = place(url)
  if redis.call('SISMEMBER', books .. 'adm:' .. bucket, member) == 0 or living_holder(books, url)
    or redis.call('EXISTS', books .. 'out:' .. url) == 1 then return {'left'} end
  redis.call('DEL', books .. 'lease:' .. url)
  end_url(books, url, args[2])
  return {'ended'}
end

-- args: consumer, how many at most
local function orphans(keys, args)
  local books, consumer, limit = keys[1], args[1], tonumber(args[2])
  local old = redis.call('ZRANGEBYSCORE', books .. 'outs', '-inf', now_ms() - ORPHAN_AFTER_MS,
                         'LIMIT', 0, SWEEP_AT_MOST)
  local found, room = {'orphans'}, SWEEP_MESSAGES
  for _, parent in ipairs(old) do
    if #found > limit or room <= 0 then break end
    if not living_holder(books, parent) then
      local outbox = redis.call('HGETALL', books .. 'out:' .. parent)
      if #outbox > 0 then
        take_lease(books, parent, consumer)
        found[#found + 1] = {parent, outbox}
        room = room - #outbox / 2
      else -- a forgetting that was killed half-way has left the entry behind
        redis.call('ZREM', books .. 'outs', parent)
      end
    end
  end
  return found
end

-- args: url … For each one a word.
local function standing(keys, args)
  local books, found = keys[1], {}
  for i, url in ipairs(args) do
    local bucket, member = place(url)
    if is_done(books, bucket, member) then
      found[i] = 'done'
    elseif redis.call('SISMEMBER', books .. 'adm:' .. bucket, member) == 0 then
      found[i] = 'unknown'
    elseif living_holder(books, url) or redis.call('EXISTS', books .. 'out:' .. url) == 1 then
      found[i] = 'held'
    else
      found[i] = 'free'
    end
  end
  return found
end

-- Outboxes, the age of the oldest in ms, and the messages in all of them (of the oldest SWEEP_AT_MOST only).
local function debts(keys)
  local books, messages = keys[1], 0
  local oldest = redis.call('ZRANGE', books .. 'outs', 0, SWEEP_AT_MOST - 1, 'WITHSCORES')
  for i = 1, #oldest, 2 do
    messages = messages + math.max(0, redis.call('HLEN', books .. 'out:' .. oldest[i]) - 1)
  end
  local age_ms = #oldest > 0 and now_ms() - tonumber(oldest[2]) or 0
  return {'debts', redis.call('ZCARD', books .. 'outs'), math.floor(age_ms), messages}
end

-- args: what, consumer
local function claim_finale(keys, args)
  local books, consumer = keys[1], args[2]
  local admitted, open = unpack(redis.call('HMGET', books .. 'counts', 'admitted', 'open'))
  if tonumber(admitted or 0) == 0 or tonumber(open or 0) ~= 0 or redis.call('ZCARD', books .. 'outs') ~= 0 then
    return {'open'}
  end
  local finale = books .. 'finale:' .. args[1]
  local holder, told = unpack(redis.call('HMGET', finale, 'holder', 'told'))
  if told == admitted then return {'over'} end
  if holder and holder ~= consumer and redis.call('EXISTS', books .. 'alive:' .. holder) == 1 then
    return {'theirs'}
  end
  redis.call('HSET', finale, 'holder', consumer)
  return {'mine', admitted}
end

-- args: what, how many URLs the crawl had that has ended
local function finale_over(keys, args)
  local finale = keys[1] .. 'finale:' .. args[1]
  redis.call('HSET', finale, 'told', args[2])
  redis.call('HDEL', finale, 'holder')
  return {'over'}
end

local function progress(keys)
  local books = keys[1]
  if redis.call('EXISTS', books .. 'meta', books .. 'counts') == 0 then return {'unknown'} end
  return {'progress', redis.call('ZCARD', books .. 'outs'), redis.call('HGETALL', books .. 'counts')}
end

-- args: canonicaliser, bucket bits, hash key (hex), mark of birth. The first to come pins them; the answer is what is pinned.
local function pin(keys, args)
  local meta = keys[1] .. 'meta'
  if redis.call('EXISTS', meta) == 0 then
    redis.call('HSET', meta, 'canonicaliser', args[1], 'bucket_bits', args[2], 'hash_key', args[3], 'born', args[4])
  end
  return redis.call('HMGET', meta, 'canonicaliser', 'bucket_bits', 'hash_key', 'born')
end

-- args: as pin, then consumer, alive_ms, and each URL that it works on. Pins again what a Redis that came back empty has lost: a consumer that
-- joins later would otherwise begin under a new key, and crawl everything twice.
local function heartbeat(keys, args)
  redis.call('SET', keys[1] .. 'alive:' .. args[5], 1, 'PX', args[6])
  for i = 7, #args do
    local lease = keys[1] .. 'lease:' .. args[i]
    if redis.call('GET', lease) == args[5] then redis.call('PEXPIRE', lease, LEASE_TRACE_MS) end
  end
  return pin(keys, args)
end

-- With allow-oom a full Redis still lets work end, which frees memory.
redis.register_function{function_name = 'ledger1_begin', callback = begin}
redis.register_function{function_name = 'ledger1_commit', callback = commit}
redis.register_function{function_name = 'ledger1_finish', callback = finish, flags = {'allow-oom'}}
redis.register_function{function_name = 'ledger1_confirmed', callback = confirmed, flags = {'allow-oom'}}
redis.register_function{function_name = 'ledger1_release', callback = release, flags = {'allow-oom'}}
redis.register_function{function_name = 'ledger1_restart', callback = restart, flags = {'allow-oom'}}
redis.register_function{function_name = 'ledger1_trial', callback = trial}
redis.register_function{function_name = 'ledger1_cleared', callback = cleared, flags = {'allow-oom'}}
redis.register_function{function_name = 'ledger1_reopen', callback = reopen}
redis.register_function{function_name = 'ledger1_give_up', callback = give_up, flags = {'allow-oom'}}
redis.register_function{function_name = 'ledger1_orphans', callback = orphans}
redis.register_function{function_name = 'ledger1_claim_finale', callback = claim_finale}
redis.register_function{function_name = 'ledger1_finale_over', callback = finale_over, flags = {'allow-oom'}}
redis.register_function{function_name = 'ledger1_progress', callback = progress, flags = {'no-writes'}}
redis.register_function{function_name = 'ledger1_standing', callback = standing, flags = {'no-writes'}}
redis.register_function{function_name = 'ledger1_debts', callback = debts, flags = {'no-writes'}}
redis.register_function{function_name = 'ledger1_pin', callback = pin}
redis.register_function{function_name = 'ledger1_heartbeat', callback = heartbeat}
