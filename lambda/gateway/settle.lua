-- Settles one request after its last byte: records the outcomes of its calls (the law of breaker.ts), corrects limits
-- and money to the true usage (a debt is carried), frees its slot and its share of a backend, stores the answer or lets
-- those go that wait for it, and keeps it under the idempotency key or frees that.
--
-- KEYS  the tenant's limits, its parallel slots, the stored answer where flag e is given, the idempotency key where flag
--       i is, the loads that may count the request, then the breaker of each outcome
-- ARGV  request id; lease of a slot in ms; flags: e, i as above, h only for a request that still holds its slot: one that
--       may have been settled, or never admitted; o nothing but the outcomes; s the answer is stored, k it is kept under the idempotency key;
--       ms for which it is stored, its content type, backend and body, ms for which it is kept under the key;
--       number of limits, for each its field and difference in ms; difference in money or '';
--       tenant, number of loads;
--       number of outcomes, for each: letter (s success, f failure, l slow, b slow failure, i ignored), ms of cool-down,
--       and the breaker's rules
-- Reply for each outcome 'before,after,until;': the statuses of its breaker, and when it lets probes through if it is open
local limits_key, slots_key = next_key(), next_key()
local id, lease, flags = next_arg(), next_number(), next_arg()
local entry_key = has(flags, 'e') and next_key()
local claim_key = has(flags, 'i') and next_key()
local store_ms, content_type, served_by, body, keep_ms = next_arg(), next_arg(), next_arg(), next_arg(), next_arg()

local fields, differences = {}, {}
local limits = next_number()
for i = 1, limits do
  fields[i], differences[i] = next_arg(), next_number()
end
local money = next_arg()
if limits > 0 or money ~= '' then
  fields[limits + 1] = 'kept'
end
if money ~= '' then
  fields[limits + 2], fields[limits + 3] = 'money', 'month'
end
local tenant, loads, load_keys = next_arg(), next_number(), {}
for i = 1, loads do
  load_keys[i] = next_key()
end

local statuses = ''
for _ = 1, next_number() do
  local letter, cooldown_ms = next_arg(), next_number()
  local before, after, opens_until = record_outcome(next_key(), id, letter, cooldown_ms, {
    kind = next_arg(),
    size = next_number(),
    minimum_calls = next_number(),
    failure_rate = next_number(),
    slow_rate = next_number(),
    open_ms = next_number(),
    max_open_ms = next_number(),
    probes = next_number(),
    life = next_number(),
  })
  statuses = statuses .. before .. ',' .. after .. ',' .. opens_until .. ';'
end

if has(flags, 'o') or (redis.call('ZREM', slots_key, id) == 0 and has(flags, 'h')) then
  return statuses
end

if #fields > 0 then
  local known = redis.call('HMGET', limits_key, unpack(fields))
  local changes, last = {}, now
  for i = 1, limits do
    local arrival = number(known[i], now) + differences[i]
    changes[#changes + 1] = fields[i]
    changes[#changes + 1] = string.format('%.6f', arrival)
    last = math.max(last, arrival)
  end
  -- What a month has begun is not settled in the next.
  if money ~= '' and number(known[limits + 3], 0) > now then
    changes[#changes + 1] = 'money'
    changes[#changes + 1] = string.format('%.9f', number(known[limits + 2], 0) + money)
  end
  -- A debt may reach past the time for which admission kept the limits.
  keep_limits(limits_key, changes, number(known[limits + 1], 0), last + lease)
end

for i = 1, loads do
  remove_load(load_keys[i], id, tenant)
end

local at = string.format('%.3f', now)
if entry_key and has(flags, 's') then
  redis.call('HSET', entry_key, 'at', at, 'type', content_type, 'by', served_by, 'body', body, 'flight', '')
  redis.call('PEXPIRE', entry_key, store_ms)
elseif entry_key and redis.call('HGET', entry_key, 'flight') == id then
  redis.call('HDEL', entry_key, 'flight', 'flight_until')
end

-- Whoever has outlived its lease may find the key claimed by another.
if claim_key and redis.call('HGET', claim_key, 'id') == id then
  if has(flags, 'k') then
    redis.call('HSET', claim_key, 'until', 'done', 'at', at, 'type', content_type, 'by', served_by, 'body', body)
    redis.call('PEXPIRE', claim_key, keep_ms)
  else
    redis.call('DEL', claim_key)
  end
end
return statuses
