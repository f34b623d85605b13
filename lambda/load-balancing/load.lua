-- What a backend has in progress, shared by all function instances: the law of load.ts. A hash of the tokens in total
-- and of each tenant, the summed weights of the tenants that have any, and each request with its lease, by which the
-- sums are made anew now and then, so that crashed functions are forgotten.
local RECOUNT_MS = 60000.0

local function recount_load(key)
  local known = redis.call('HGETALL', key)
  local total, weights, tenants, fields = 0.0, 0.0, {}, {}
  for i = 1, #known, 2 do
    local tokens, weight, expires_at, tenant = string.match(known[i + 1], '^([^:]+):([^:]+):([^:]+):(.+)$')
    if string.sub(known[i], 1, 2) == 'r:' and tonumber(expires_at) > now then
      total = total + tonumber(tokens)
      weights = weights + (tenants[tenant] and 0 or tonumber(weight))
      tenants[tenant] = (tenants[tenant] or 0.0) + tonumber(tokens)
      fields[#fields + 1] = known[i]
      fields[#fields + 1] = known[i + 1]
    end
  end
  redis.call('DEL', key)
  if #fields == 0 then
    return
  end
  for tenant, tokens in pairs(tenants) do
    fields[#fields + 1] = 't:' .. tenant
    fields[#fields + 1] = string.format('%.0f', tokens)
  end
  redis.call('HSET', key, 'total', string.format('%.0f', total), 'weights', string.format('%.0f', weights))
  redis.call('HSET', key, 'check', string.format('%.0f', now + RECOUNT_MS))
  for i = 1, #fields, 2 do
    redis.call('HSET', key, fields[i], fields[i + 1])
  end
end

local function read_load(key, tenant)
  local known = redis.call('HMGET', key, 'total', 'weights', 't:' .. tenant, 'check')
  if number(known[4], now + 1) <= now then
    recount_load(key)
    known = redis.call('HMGET', key, 'total', 'weights', 't:' .. tenant, 'check')
  end
  return {
    key = key,
    total = number(known[1], 0.0),
    weights = number(known[2], 0.0),
    own = number(known[3], 0.0),
    check = text(known[4]),
  }
end

-- Room for everyone, or a tenant's guaranteed share while there is none.
local function has_room(load, tokens, weight, capacity)
  if load.total == 0 or load.total + tokens <= capacity then
    return true
  end
  local weights = load.weights + (load.own == 0 and weight or 0)
  return load.own + tokens <= capacity * weight / weights
end

local function add_load(load, id, tenant, weight, tokens, lease)
  local weights = load.weights + (load.own == 0 and weight or 0)
  local request = string.format('%.0f:%.0f:%.0f:%s', tokens, weight, now + lease, tenant)
  redis.call(
    'HSET', load.key,
    'total', string.format('%.0f', load.total + tokens),
    'weights', string.format('%.0f', weights),
    't:' .. tenant, string.format('%.0f', load.own + tokens),
    'r:' .. id, request,
    'check', load.check or string.format('%.0f', now + RECOUNT_MS)
  )
  redis.call('PEXPIRE', load.key, string.format('%.0f', lease + RECOUNT_MS))
end

local function remove_load(key, id, tenant)
  local known = redis.call('HMGET', key, 'r:' .. id, 'total', 'weights', 't:' .. tenant)
  if not text(known[1]) then
    return
  end
  local tokens, weight = string.match(known[1], '^([^:]+):([^:]+):')
  local total, own = number(known[2], 0.0) - tokens, number(known[4], 0.0) - tokens
  if total <= 0 then
    redis.call('DEL', key)
  elseif own <= 0 then
    redis.call('HDEL', key, 'r:' .. id, 't:' .. tenant)
    redis.call('HSET', key, 'total', string.format('%.0f', total), 'weights', string.format('%.0f', number(known[3], 0.0) - weight))
  else
    redis.call('HDEL', key, 'r:' .. id)
    redis.call('HSET', key, 'total', string.format('%.0f', total), 't:' .. tenant, string.format('%.0f', own))
  end
end
