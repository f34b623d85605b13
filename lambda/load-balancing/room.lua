-- A fleet's room (room.ts): a hash of the tokens that it lets in at one time, which the scaling signal renews, and sums of
-- the tokens that were let in and turned away, by which the signal sees work that the fleet has no room for.

local function read_room(key)
  local tokens = redis.call('HGET', key, 'tokens')
  return text(tokens) and { key = key, tokens = tonumber(tokens) } or nil
end

local function count_in_room(room, sum, tokens)
  redis.call('HINCRBY', room.key, sum, string.format('%.0f', tokens))
end
