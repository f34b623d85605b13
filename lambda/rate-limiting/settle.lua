-- Settles one request after its last byte: corrects the token limits to the true usage (the law of gcra.ts: a debt is
-- carried), frees the parallel slot and stores the answer.
--
-- KEYS  1 the tenant's arrival times, 2 its parallel slots, 3 the stored answer (left out where none is written)
-- ARGV  1 request id, 2 lease of a slot in ms, 3 ms for which the answer is kept, 4 its content type, 5 its backend,
--       6 its body, 7 '1' to do so only for a request that still holds its slot: one that may have been settled, or
--       never admitted; then for each limit: name, difference in ms
local FIRST_LIMIT = 8

local time = redis.call('TIME')
local now = time[1] * 1000.0 + time[2] / 1000.0

if redis.call('ZREM', KEYS[2], ARGV[1]) == 0 and ARGV[7] == '1' then
  return 'not held'
end

if #ARGV >= FIRST_LIMIT then
  local names = {}
  for i = FIRST_LIMIT, #ARGV, 2 do
    names[#names + 1] = ARGV[i]
  end
  local known = redis.call('HMGET', KEYS[1], unpack(names))
  local fields, last = {}, now
  for i = 1, #names do
    local arrival = (tonumber(known[i]) or now) + tonumber(ARGV[FIRST_LIMIT + (i - 1) * 2 + 1])
    fields[#fields + 1] = names[i]
    fields[#fields + 1] = string.format('%.6f', arrival)
    last = math.max(last, arrival)
  end
  redis.call('HSET', KEYS[1], unpack(fields))
  -- A debt may reach past the time for which admission kept the limits; a shorter life never replaces a longer one.
  local life = last - now + tonumber(ARGV[2]) + 1
  if redis.call('PTTL', KEYS[1]) < life then
    redis.call('PEXPIRE', KEYS[1], string.format('%.0f', life))
  end
end

if KEYS[3] then
  redis.call('HSET', KEYS[3], 'at', string.format('%.3f', now), 'type', ARGV[4], 'by', ARGV[5], 'body', ARGV[6])
  redis.call('PEXPIRE', KEYS[3], ARGV[3])
end
return 'settled'
