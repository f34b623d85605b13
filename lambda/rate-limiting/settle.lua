-- Settles one request after its last byte: corrects the token limits to the true usage (the law of gcra.ts: a debt is
-- carried), frees the parallel slot, stores the answer, and keeps it under the idempotency key or frees that.
--
-- KEYS  1 the tenant's arrival times, 2 its parallel slots, then the stored answer (left out where none is written),
--       last the idempotency key (left out where the request has none)
-- ARGV  1 request id, 2 lease of a slot in ms, 3 ms for which the answer is stored or '', 4 its content type,
--       5 its backend, 6 its body, 7 '1' to do so only for a request that still holds its slot: one that may have been
--       settled, or never admitted; 8 ms for which the answer is kept under the idempotency key, '0' to free the key,
--       '' without one; then for each limit: name, difference in ms
local FIRST_LIMIT = 9

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

local at = string.format('%.3f', now)
if ARGV[3] ~= '' then
  redis.call('HSET', KEYS[3], 'at', at, 'type', ARGV[4], 'by', ARGV[5], 'body', ARGV[6])
  redis.call('PEXPIRE', KEYS[3], ARGV[3])
end

-- Whoever has outlived its lease may find the key claimed by another.
local claim_key = ARGV[8] ~= '' and KEYS[#KEYS]
if claim_key and redis.call('HGET', claim_key, 'id') == ARGV[1] then
  if ARGV[8] == '0' then
    redis.call('DEL', claim_key)
  else
    redis.call('HSET', claim_key, 'until', 'done', 'at', at, 'type', ARGV[4], 'by', ARGV[5], 'body', ARGV[6])
    redis.call('PEXPIRE', claim_key, ARGV[8])
  end
end
return 'settled'
