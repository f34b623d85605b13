-- Admits one request or says why not, in one atomic step: looks up the stored answer, joins or begins the flight of
-- identical requests, claims the idempotency key, charges every limit or none (the laws of gcra.ts and money.ts), takes
-- a parallel slot, reads the breakers of the chain, puts the backends in order and counts the request at the first one
-- (the laws of load.ts and room.ts).
--
-- KEYS  the tenant's limits, its parallel slots, the stored answer where one is read or written, the idempotency key
--       where the request has one, then for each backend its breaker, its load where that is counted, and its room where it
--       may have one
-- ARGV  request id; parallel slots; lease in ms; flags: e a stored answer's key is given, i an idempotency key is given,
--       o only a stored answer will do, w may wait for an identical request, l others may wait for this one, p has waited
--       and so paid for its request and holds its slot, a asks again after a refusal; ms for which a stored answer is fresh; ms for which it may be
--       served while another is computed; digest of the request under its idempotency key or '';
--       number of limits, how many of them count requests and not tokens (these come first), for each limit its field,
--       cost in ms and burst in ms;
--       money: '' or cost, most, end of the month; tenant, weight of its plan, tokens; part of each
--       capacity that it may fill; number of backends, for each: share or 0, capacity in tokens or '', flags: c its load is
--       counted, r it may have a room; a random number
-- Reply verdict; now; limit that refused; retry after in ms; arrival times joined by ','; time at which the answer was
--       stored; of an answer that is given out its content type, backend and body; the backends in order of preference as
--       'index,passage,until;' each ('' where all are free and in their own order); index of the backend at which the
--       request is counted or ''
local ROUNDING_MS = 0.01
local PARALLEL_RETRY_MS = 1000.0
local CAPACITY_RETRY_MS = 1000.0

local limits_key, slots_key = next_key(), next_key()
local id, slots, lease, flags = next_arg(), next_number(), next_number(), next_arg()
local fresh_ms, soft_ms, digest = next_number(), next_number(), next_arg()
local entry_key = has(flags, 'e') and next_key()
local claim_key = has(flags, 'i') and next_key()
local only_stored, has_waited = has(flags, 'o'), has(flags, 'p')
-- Whoever waits holds its slot under a name of its own: a settlement that is sent for the request itself finds nothing.
local waiting_id = id .. '-waits'

local stored_at, fresh, soft, flying, entry = '', false, false, false, nil
if entry_key then
  local known = redis.call('HMGET', entry_key, 'at', 'flight', 'flight_until')
  local at = number(known[1])
  if at then
    stored_at = string.format('%.3f', at)
    fresh = now - at < fresh_ms
    soft = not fresh and now - at < soft_ms
  end
  flying = text(known[2], '') ~= '' and known[2] ~= id and number(known[3], 0) > now
end

-- The same key with the same request: its answer once more, or a refusal while it is computed. With another: a refusal.
local clash = ''
if claim_key then
  local claim = redis.call('HMGET', claim_key, 'digest', 'until', 'at', 'type', 'by', 'body')
  if text(claim[1]) then
    if claim[1] ~= digest then
      clash = 'conflict'
    elseif claim[2] == 'done' then
      stored_at, fresh, entry = claim[3], true, { claim[4], claim[5], claim[6] }
    elseif tonumber(claim[2]) > now then
      clash = 'running'
    end
  end
end

local verdict
if fresh or (soft and flying) then
  verdict = 'hit'
elseif only_stored then
  verdict = 'uncached'
elseif flying and has(flags, 'w') then
  verdict = 'wait'
else
  verdict = soft and 'revalidate' or 'admitted'
end

local fields, costs, bursts = {}, {}, {}
local limits, request_limits = next_number(), next_number()
for i = 1, limits do
  fields[i], costs[i], bursts[i] = next_arg(), next_number(), next_number()
end
fields[limits + 1] = 'kept'
local money_cost, money_most, month_end = next_arg(), nil, nil
if money_cost ~= '' then
  money_cost, money_most, month_end = money_cost * 1.0, next_number(), next_number()
  fields[limits + 2], fields[limits + 3] = 'money', 'month'
end
local known = redis.call('HMGET', limits_key, unpack(fields))
local kept_until = number(known[limits + 1], 0)
local money_spent = 0.0
if money_most then
  local stored_end = number(known[limits + 3], 0)
  if stored_end > now then
    money_spent, month_end = number(known[limits + 2], 0.0), stored_end
  end
end

local before = {}
for i = 1, limits do
  before[i] = math.max(number(known[i], 0), now)
end

-- The limit in the way of a request that pays the first so many limits, and for how long.
local function refusal(charged, takes_slot)
  local by, retry = '', 0.0
  for i = (has_waited and request_limits or 0) + 1, charged do
    local wait = before[i] + costs[i] - bursts[i] - now
    if wait > ROUNDING_MS and wait > retry then
      by, retry = fields[i], wait
    end
  end
  if money_most and charged == limits and money_spent + money_cost > money_most and month_end - now > retry then
    by, retry = 'money', month_end - now
  end
  if takes_slot and retry < PARALLEL_RETRY_MS and redis.call('ZCARD', slots_key) >= slots then
    redis.call('ZREMRANGEBYSCORE', slots_key, '-inf', string.format('%.3f', now))
    if redis.call('ZCARD', slots_key) >= slots and not (has_waited and text(redis.call('ZSCORE', slots_key, waiting_id))) then
      by, retry = 'parallel', PARALLEL_RETRY_MS
    end
  end
  return by, retry
end

local tenant, weight, tokens, part, backends = next_arg(), next_number(), next_number(), next_number(), next_number()
local order, loaded_at, chosen = '', '', nil

-- Puts the backends in order and finds the first that takes the request. False where only other tenants' work is in the way.
local function choose_backend()
  local links, is_natural, is_short, is_open = {}, true, false, false
  for i = 1, backends do
    local breaker_key = next_key()
    local link = { index = i, share = next_number() }
    local capacity, counting, random = next_arg(), next_arg(), next_number()
    local state = redis.call('HMGET', breaker_key, 'status', 'until', 'cooldown', 'forced', 'forced_until')
    link.passage = passage(state[1], state[2], state[3], state[4], state[5])
    link.until_ms = '0'
    if link.passage == 'blocked' then
      link.until_ms = text(state[4], '') ~= '' and text(state[5], '0') or text(state[2], '0')
    elseif link.passage == 'cooling' then
      link.until_ms = state[3]
    end
    link.load = has(counting, 'c') and read_load(next_key(), tenant)
    link.room = has(counting, 'r') and read_room(next_key())
    capacity = link.room and link.room.tokens or tonumber(capacity)
    local passes = link.passage == 'free' or link.passage == 'claim'
    if passes and capacity and not has_room(link.load, tokens, weight, capacity * part) then
      link.passage, is_short = 'short', true
    elseif passes then
      is_open = true
    end
    -- The least loaded for its share comes first; of equals, each as often as its share says.
    if link.share > 0 then
      link.rank, link.tie = link.load.total / link.share, -math.log(random) / link.share
    end
    is_natural = is_natural and link.share == 0 and link.passage == 'free'
    links[i] = link
  end
  if not is_natural then
    table.sort(links, function(a, b)
      if (a.share > 0) ~= (b.share > 0) then
        return a.share > 0
      elseif a.share == 0 then
        return a.index < b.index
      elseif a.rank ~= b.rank then
        return a.rank < b.rank
      end
      return a.tie < b.tie
    end)
  end
  for i = 1, #links do
    local link = links[i]
    if not is_natural then
      order = order .. string.format('%.0f,%s,%s;', link.index, link.passage, link.until_ms)
    end
    if not chosen and (link.passage == 'free' or link.passage == 'claim') then
      chosen = link
    end
  end
  -- What another of those that share the load takes is not missed. Nor is work that can wait, which has no weight.
  if weight > 0 and not has(flags, 'a') and not (chosen and chosen.share > 0) then
    for i = 1, #links do
      if links[i] == chosen then
        break
      elseif links[i].passage == 'short' and links[i].room then
        count_in_room(links[i].room, 'turned_away', tokens)
      end
    end
  end
  return is_open or not is_short
end

local refused_by, retry = '', 0.0
if clash == '' then
  local computes = verdict == 'admitted' or verdict == 'revalidate'
  if computes then
    refused_by, retry = refusal(limits, true)
    if refused_by == '' and not choose_backend() then
      refused_by, retry = 'capacity', CAPACITY_RETRY_MS
    end
    -- Whoever may be served an answer past its time needs no room to compute a new one.
    if refused_by ~= '' and soft then
      verdict, computes = 'hit', false
    end
  end
  if not computes then
    refused_by, retry = refusal(request_limits, verdict == 'wait')
  end
else
  verdict = clash
end
if refused_by ~= '' then
  verdict = 'limited'
end

local arrivals = before
if verdict == 'hit' or verdict == 'uncached' or verdict == 'wait' or verdict == 'admitted' or verdict == 'revalidate' then
  local computes = verdict == 'admitted' or verdict == 'revalidate'
  local charged = computes and limits or request_limits
  local changes, last = {}, now
  arrivals = {}
  for i = 1, limits do
    local cost = (i > charged or (has_waited and i <= request_limits)) and 0 or costs[i]
    arrivals[i] = before[i] + cost
    changes[#changes + 1] = fields[i]
    changes[#changes + 1] = string.format('%.6f', arrivals[i])
    last = math.max(last, arrivals[i])
  end
  if money_most then
    changes[#changes + 1] = 'money'
    changes[#changes + 1] = string.format('%.9f', money_spent + (computes and money_cost or 0))
    changes[#changes + 1] = 'month'
    changes[#changes + 1] = string.format('%.0f', month_end)
    last = math.max(last, month_end)
  end
  -- Kept until everything is earned back and every request in progress is settled.
  keep_limits(limits_key, changes, kept_until, last + lease)

  if has_waited then
    redis.call('ZREM', slots_key, waiting_id)
  end
  if computes or verdict == 'wait' then
    redis.call('ZADD', slots_key, string.format('%.3f', now + lease), computes and id or waiting_id)
    redis.call('PEXPIRE', slots_key, string.format('%.0f', lease + 1))
  end
  if computes then
    if claim_key then
      redis.call('HSET', claim_key, 'digest', digest, 'until', string.format('%.3f', now + lease), 'id', id)
      redis.call('PEXPIRE', claim_key, string.format('%.0f', lease + 1))
    end
    if has(flags, 'l') and not flying then
      redis.call('HSET', entry_key, 'flight', id, 'flight_until', string.format('%.3f', now + lease))
      if stored_at == '' then
        redis.call('PEXPIRE', entry_key, string.format('%.0f', lease + 1))
      end
    end
    if chosen and chosen.load then
      add_load(chosen.load, id, tenant, weight, tokens, lease)
      if chosen.room then
        count_in_room(chosen.room, 'let_in', tokens)
      end
      loaded_at = string.format('%.0f', chosen.index)
    end
  end
end

if verdict == 'hit' or verdict == 'revalidate' then
  entry = entry or redis.call('HMGET', entry_key, 'type', 'by', 'body')
else
  entry = { '', '', '' }
end
local joined = ''
for i = 1, limits do
  joined = joined .. (i > 1 and ',' or '') .. string.format('%.6f', arrivals[i])
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
  order,
  loaded_at,
}
