-- Admits one request or says why not, in one atomic step on the server's clock: looks up the stored answer, claims the
-- idempotency key, charges every limit or none (the law of gcra.ts) and takes a parallel slot. All numbers are kept as
-- floats: the embedded store's integers are 32 bits wide.
--
-- KEYS  1 the tenant's arrival times, 2 its parallel slots, then the stored answer (left out where none may be read),
--       last the idempotency key (left out where the request has none)
-- ARGV  1 request id, 2 parallel slots, 3 lease of a slot in ms, 4 ms for which a stored answer is fresh,
--       5 '1' where only a stored answer will do, 6 digest of the request under an idempotency key or '',
--       then for each limit: name, cost in ms, burst in ms
-- Reply verdict, now, limit that refused, retry after ms, arrival times joined by ',', and of a fresh stored answer:
--       time stored, content type, backend, body; of a stale one the time alone
local ROUNDING_MS = 0.01
local PARALLEL_RETRY_MS = 1000.0
local FIRST_LIMIT = 7

local time = redis.call('TIME')
local now = time[1] * 1000.0 + time[2] / 1000.0
local lease = tonumber(ARGV[3]) * 1.0
local only_stored = ARGV[5] == '1'
local claim_key = ARGV[6] ~= '' and KEYS[#KEYS]
local entry_key = #KEYS > (claim_key and 3 or 2) and KEYS[3]

local stored_at, fresh, entry = '', false, { '', '', '' }
if entry_key then
  local at = tonumber(redis.call('HGET', entry_key, 'at'))
  if at then
    stored_at = string.format('%.3f', at)
    fresh = now - at < tonumber(ARGV[4])
    if fresh then
      entry = redis.call('HMGET', entry_key, 'type', 'by', 'body')
    end
  end
end

-- The same key with the same request: its answer once more, or a refusal while it is computed. With another: a refusal.
local clash = ''
if claim_key then
  local claim = redis.call('HMGET', claim_key, 'digest', 'until', 'at', 'type', 'by', 'body')
  if type(claim[1]) == 'string' then
    if claim[1] ~= ARGV[6] then
      clash = 'conflict'
    elseif claim[2] == 'done' then
      stored_at, fresh, entry = claim[3], true, { claim[4], claim[5], claim[6] }
    elseif tonumber(claim[2]) > now then
      clash = 'running'
    end
  end
end
local computes = not fresh and not only_stored

local names = {}
for i = FIRST_LIMIT, #ARGV, 3 do
  names[#names + 1] = ARGV[i]
end
local known = redis.call('HMGET', KEYS[1], unpack(names))

-- What is not computed costs a request and no tokens: the first limit alone.
local charged = computes and #names or 1
local before, after, refused_by, retry = {}, {}, '', 0.0
for i = 1, #names do
  local at = FIRST_LIMIT + (i - 1) * 3
  local cost = i <= charged and tonumber(ARGV[at + 1]) or 0
  before[i] = math.max(tonumber(known[i]) or 0, now)
  after[i] = before[i] + cost
  local wait = after[i] - tonumber(ARGV[at + 2]) - now
  if i <= charged and wait > ROUNDING_MS and wait > retry then
    refused_by, retry = names[i], wait
  end
end

if computes then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.3f', now))
  if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[2]) and retry < PARALLEL_RETRY_MS then
    refused_by, retry = 'parallel', PARALLEL_RETRY_MS
  end
end

local verdict = clash ~= '' and clash or 'limited'
local arrivals = before
if clash == '' and refused_by == '' then
  verdict = fresh and 'hit' or (only_stored and 'uncached' or 'admitted')
  arrivals = after
  local fields, last = {}, now
  for i = 1, #names do
    fields[#fields + 1] = names[i]
    fields[#fields + 1] = string.format('%.6f', after[i])
    last = math.max(last, after[i])
  end
  redis.call('HSET', KEYS[1], unpack(fields))
  -- Kept until everything is earned back and every request in progress is settled.
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', last - now + lease + 1))
  if computes then
    redis.call('ZADD', KEYS[2], string.format('%.3f', now + lease), ARGV[1])
    redis.call('PEXPIRE', KEYS[2], string.format('%.0f', lease + 1))
    if claim_key then
      redis.call('HSET', claim_key, 'digest', ARGV[6], 'until', string.format('%.3f', now + lease), 'id', ARGV[1])
      redis.call('PEXPIRE', claim_key, string.format('%.0f', lease + 1))
    end
  end
end

local joined = ''
for i = 1, #arrivals do
  joined = joined .. (i > 1 and ',' or '') .. string.format('%.6f', arrivals[i])
end
if verdict ~= 'hit' then
  entry = { '', '', '' }
end
return {
  verdict,
  string.format('%.6f', now),
  refused_by,
  string.format('%.3f', retry),
  joined,
  stored_at,
  entry[1],
  entry[2],
  entry[3],
}
