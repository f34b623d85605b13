-- Reads what backends have in progress, and forgets on the way what crashed functions left there (the law of load.ts); and
-- what those with a room have let in and turned away.
--
-- KEYS  for each backend its load and its room
-- Reply for each backend tokens in progress, and sums of tokens let in and turned away, '' where it has no room
local reply = {}
for i = 1, #KEYS / 2 do
  reply[3 * i - 2] = string.format('%.0f', read_load(next_key(), '').total)
  local room = redis.call('HMGET', next_key(), 'tokens', 'let_in', 'turned_away')
  reply[3 * i - 1] = text(room[1]) and text(room[2], '0') or ''
  reply[3 * i] = text(room[1]) and text(room[3], '0') or ''
end
return reply
