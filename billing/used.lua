-- How much of its windows each scope has used, at one moment. Reads only; the windows are those of windows.lua.
--
-- ARGV[1]: seconds that the day is ahead of UTC; the others: scopes.
-- Returns for each scope {requests of the last second, of the minute, of the day, tokens of the minute, slots}.

local SECOND, MINUTE = 1000000, 60000000
local BUCKETS = 61
local PREFIX = 'xrouter:rate:'
local LEASE = 45000000

local time = redis.call('TIME')
local second = tonumber(time[1])
local now = second * SECOND + tonumber(time[2])
local day = math.floor((second + tonumber(ARGV[1])) / 86400)

-- Of a list whose first is the youngest, how many are within `span`: found by halving.
local function within(list, span)
  local low, high = 0, redis.call('LLEN', list)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local age = now - tonumber(redis.call('LINDEX', list, middle))
    if age >= span or age < 0 then high = middle else low = middle + 1 end
  end
  return low
end

local function tokens(hash)
  local sum, flat = 0, redis.call('HGETALL', hash)
  for i = 1, #flat, 2 do
    local age = second - tonumber(flat[i])
    if age < BUCKETS and age >= 0 then sum = sum + tonumber(flat[i + 1]) end
  end
  return sum
end

local answers = {}
for i = 2, #ARGV do
  local scope = PREFIX .. ARGV[i] .. ':'
  answers[#answers + 1] = {
    within(scope .. 's', SECOND),
    within(scope .. 'm', MINUTE),
    tonumber(redis.call('GET', scope .. 'd:' .. day) or 0),
    tokens(scope .. 't'),
    redis.call('ZCOUNT', scope .. 'c', now, now + LEASE),
  }
end
return answers
