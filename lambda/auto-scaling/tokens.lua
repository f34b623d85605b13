-- Reads what backends have in progress, and forgets on the way what crashed functions left there (the law of load.ts).
--
-- KEYS  the load of each backend
-- Reply tokens in progress, for each
local reply = {}
for i = 1, #KEYS do
  reply[i] = string.format('%.0f', read_load(next_key(), '').total)
end
return reply
