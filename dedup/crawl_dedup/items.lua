#!lua name=crawl_items_1

-- Items at the end of a list. The name of a group is remembered in the step that appends it, so that a call which is
-- made again for want of an answer appends nothing.

-- Values of one RPUSH: Lua refuses to unpack more than 8000.
local VALUES_AT_ONCE = 1000

-- keys: the list, what is remembered of its writer; args: the group's name, how long to remember it (s), item …
local function push(keys, args)
  if redis.call('GET', keys[2]) == args[1] then return {'known'} end
  for first = 3, #args, VALUES_AT_ONCE do
    redis.call('RPUSH', keys[1], unpack(args, first, math.min(first + VALUES_AT_ONCE - 1, #args)))
  end
  redis.call('SET', keys[2], args[1], 'EX', args[2])
  return {'pushed'}
end

redis.register_function{function_name = 'items1_push', callback = push}
