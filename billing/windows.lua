-- Judges a batch of requests against their limits at one moment, in one call; see billing/windows.py.
--
-- ARGV[1], in MessagePack: {lease in microseconds, seconds that the day is ahead of UTC,
--   leaves       {{id, scope...}...}                        slots of concurrency given back
--   corrections  {{scope, second of the entry, tokens}...}  real less estimated tokens
--   renewals     {{id, scope...}...}                        leases to be prolonged, or to be made again
--   entries      {{id, tokens, {scope, {s, m, d, t, c}}...}...}   limits per window, nil for none}
-- Returns, in MessagePack: {the second, {wait, scope, window, requests..., tokens...}...}, see `judge`.
--
-- Times are Redis's own, in microseconds: below 2^53, so Lua's numbers hold them exactly. Names of keys are
-- made here, so this is for one Redis, not for a cluster.

local SECOND, MINUTE = 1000000, 60000000
-- A bucket holds one second, and its first token may be as old as the bucket: 60 whole seconds back and this one.
local BUCKETS = 61
-- When a slot will be free cannot be known: worth another try after this.
local SLOT = SECOND
local PREFIX = 'xrouter:rate:'

local lease, ahead, leaves, corrections, renewals, entries = unpack(cmsgpack.unpack(ARGV[1]))
local time = redis.call('TIME')
local second = tonumber(time[1])
local now = second * SECOND + tonumber(time[2])
local day = math.floor((second + ahead) / 86400)
local midnight = (day + 1) * 86400 - ahead

local function key(scope, window)
  return PREFIX .. scope .. ':' .. window
end

-- Whether `moment` has left the window. One in the future is of a clock that was set back.
local function is_gone(moment, span)
  return now - moment >= span or now < moment
end

local function moment_at(list, index)
  return tonumber(redis.call('LINDEX', list, index))
end

-- Drop from the list, the oldest is last, what has left the window; return how many are within, and the oldest.
-- Most often it is none or one; a burst is found by steps that double, then halve.
local function within(list, span)
  local count = redis.call('LLEN', list)
  if count == 0 then return 0 end
  local oldest = moment_at(list, -1)
  if not is_gone(oldest, span) then return count, oldest end
  local gone, next = 1, 2
  while next <= count and is_gone(moment_at(list, -next), span) do
    gone, next = next, next * 2
  end
  next = math.min(next, count + 1)
  while next - gone > 1 do
    local middle = math.floor((gone + next) / 2)
    if is_gone(moment_at(list, -middle), span) then gone = middle else next = middle end
  end
  redis.call('LTRIM', list, 0, -gone - 1)
  return count - gone, gone < count and moment_at(list, -1) or nil
end

-- Each kind of window answers {limit, left, frees = until it frees something, retry = until it lets this one
-- in, nil for now, take = what letting it in writes}.

local function sliding(list, span, limit)
  local used, oldest = within(list, span)
  -- More than `limit` are within when the limit was lowered: then the limit-th youngest has to go.
  local first = used > limit and moment_at(list, limit - 1) or oldest or now
  local frees = first + span - now
  local retry = used >= limit and frees or nil
  return {limit = limit, left = limit - used, frees = frees, retry = retry, take = function()
    redis.call('LPUSH', list, now)
    redis.call('PEXPIRE', list, span / 1000 + 1)
  end}
end

local function daily(scope, limit)
  local counter = key(scope, 'd:' .. day)
  local used = tonumber(redis.call('GET', counter) or 0)
  local frees = midnight * SECOND - now
  return {limit = limit, left = limit - used, frees = frees, retry = used >= limit and frees or nil, take = function()
    if redis.call('INCR', counter) == 1 then
      redis.call('EXPIREAT', counter, midnight)
    end
  end}
end

-- The buckets within the last minute as {second, tokens}, the oldest first, and their sum. Others are dropped.
local function buckets(hash)
  local found, sum, flat = {}, 0, redis.call('HGETALL', hash)
  for i = 1, #flat, 2 do
    local age = second - tonumber(flat[i])
    if age < BUCKETS and age >= 0 then
      local tokens = tonumber(flat[i + 1])
      sum = sum + tokens
      found[#found + 1] = {tonumber(flat[i]), tokens}
    else
      redis.call('HDEL', hash, flat[i])
    end
  end
  table.sort(found, function(a, b) return a[1] < b[1] end)
  return found, sum
end

local function tokenwise(scope, limit, tokens)
  local hash = key(scope, 't')
  local found, sum = buckets(hash)
  -- More than the whole limit is let in by an empty window: it could never pass otherwise.
  local excess, retry = sum + math.min(tokens, limit) - limit, nil
  for _, bucket in ipairs(found) do
    if excess <= 0 then break end
    excess = excess - bucket[2]
    retry = (bucket[1] + BUCKETS) * SECOND - now
  end
  local oldest = found[1] and found[1][1] or second
  local frees = retry or (oldest + BUCKETS) * SECOND - now
  return {limit = limit, left = limit - sum, frees = frees, retry = retry, take = function()
    redis.call('HINCRBY', hash, second, tokens)
    redis.call('EXPIRE', hash, BUCKETS)
  end}
end

local function concurrent(scope, limit, id)
  local leased = key(scope, 'c')
  redis.call('ZREMRANGEBYSCORE', leased, '-inf', now)
  -- Not ZCARD: a lease beyond what can be given now is of a clock that was set back.
  local used = redis.call('ZCOUNT', leased, now, now + lease)
  return {limit = limit, left = limit - used, retry = used >= limit and SLOT or nil, take = function()
    redis.call('ZADD', leased, now + lease, id)
    redis.call('PEXPIRE', leased, math.ceil(lease / 1000))
  end}
end

local function windows_of(id, tokens, scope, limits)
  local s, m, d, t, c = limits[1], limits[2], limits[3], limits[4], limits[5]
  return {
    s and sliding(key(scope, 's'), SECOND, s) or false,
    m and sliding(key(scope, 'm'), MINUTE, m) or false,
    d and daily(scope, d) or false,
    t and tokenwise(scope, t, tokens) or false,
    c and concurrent(scope, c, id) or false,
  }
end

local function tighter(a, b)
  return (not a or b and b.left < a.left) and b or a
end

-- Appends limit, what is left, microseconds until something is free: zeros for no window. `cost` was taken.
local function report(answer, window, cost)
  local limit, left, frees = 0, 0, 0
  if window then
    limit, left = window.limit, math.max(window.left - cost, 0)
    frees = left < limit and window.frees or 0
  end
  answer[#answer + 1] = limit
  answer[#answer + 1] = left
  answer[#answer + 1] = frees
end

-- Answers {microseconds to wait, 0 for let in; which scope, from 0; which window, from 1; requests; tokens}.
-- All limits are looked at before anything is taken. Of several that refuse, the one to wait longest for is told.
local function judge(entry)
  local id, tokens = entry[1], entry[2]
  local per_second, requests, spent = nil, nil, nil
  local worst, scope_number, window_number = 0, 0, 0
  local all = {}
  for i = 3, #entry do
    local windows = windows_of(id, tokens, entry[i][1], entry[i][2])
    for number, window in ipairs(windows) do
      if window then
        all[#all + 1] = window
        if window.retry and window.retry > worst then
          worst, scope_number, window_number = window.retry, i - 3, number
        end
      end
    end
    per_second = tighter(per_second, windows[1])
    requests = tighter(tighter(requests, windows[2]), windows[3])
    spent = tighter(spent, windows[4])
  end
  local is_let_in = worst == 0
  if is_let_in then
    for _, window in ipairs(all) do window.take() end
  end
  local answer = {worst, scope_number, window_number}
  report(answer, requests or per_second, is_let_in and 1 or 0)
  report(answer, spent, is_let_in and tokens or 0)
  return answer
end

for _, leave in ipairs(leaves) do
  for i = 2, #leave do
    redis.call('ZREM', key(leave[i], 'c'), leave[1])
  end
end

for _, correction in ipairs(corrections) do
  local hash, entered, tokens = key(correction[1], 't'), correction[2], correction[3]
  -- Too many are given back to the second that took them, if it is still there; too few are of now.
  if tokens > 0 then
    redis.call('HINCRBY', hash, second, tokens)
    redis.call('EXPIRE', hash, BUCKETS)
  elseif redis.call('HEXISTS', hash, entered) == 1 and redis.call('HINCRBY', hash, entered, tokens) <= 0 then
    redis.call('HDEL', hash, entered)
  end
end

for _, renewal in ipairs(renewals) do
  for i = 2, #renewal do
    redis.call('ZADD', key(renewal[i], 'c'), now + lease, renewal[1])
    redis.call('PEXPIRE', key(renewal[i], 'c'), math.ceil(lease / 1000))
  end
end

-- This is a try, and has to write: a Redis that can only be read is away, too.
if #entries == 0 then
  redis.call('SET', PREFIX .. 'try', second, 'EX', 60)
end

local answers = {second}
for i, entry in ipairs(entries) do
  answers[i + 1] = judge(entry)
end
return cmsgpack.pack(answers)
