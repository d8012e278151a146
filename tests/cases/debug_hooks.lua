-- Hooks at lines, calls, returns and counts.
local function f(a,...)
  local x = a
  for i=1,2 do
    x = x + i
  end
  return x
end
local function g(n) if n == 0 then
  return f(1) end
  return g(n-1)
end
local log={}
local function note(...) log[#log+1]=table.concat({...}," ") end
local function flush() debug.sethook() for _,l in ipairs(log) do print(l) end log={} print"--" end
debug.sethook(function(e,l) note(e,tostring(l)) end,"l")
f(1)
g(2)
for i=1,3 do local y = i end
while true do break end
flush()
debug.sethook(function(e,l) local i=debug.getinfo(2,"nSlt") note(e,tostring(l),tostring(i.name),i.what,i.currentline,tostring(i.istailcall),debug.getinfo(1,"n").namewhat) end,"cr")
f(1)
math.abs(1)
g(1)
table.sort({3,1,2},function(a,b) return a<b end)
flush()
local n=0
debug.sethook(function(e) n=n+1 end,"",100)
for i=1,10000 do local x=i*2 end
debug.sethook()
print(n>150)
print(debug.gethook())
debug.sethook(type,"lcr",5)
local a,b,c=debug.gethook()
debug.sethook()
print(a==type,b,c)
-- limits
local function limited(f,n) local co=coroutine.create(f) debug.sethook(co,function() error("too long") end,"",n) return coroutine.resume(co) end
print(limited(function() while true do end end,1000))
print(limited(function() return 5 end,1000))
print(pcall(function() debug.sethook(function() error("hook!") end,"",1000) while true do end end)) debug.sethook()
-- hook sees locals
debug.sethook(function(e,l) if l==46 then print(debug.getlocal(2,1)) debug.setlocal(2,1,"set") end end,"l")
local function h(p)
  local q = p
  return q
end
print(h("val")) debug.sethook()
-- inherited by coroutines
local cnt=0 debug.sethook(function() cnt=cnt+1 end,"l") local co=coroutine.wrap(function() local a=1
 local b=2
 coroutine.yield()
 local c=3 end) co() co() debug.sethook() print(cnt)
local c=0 debug.sethook(function() c=c+1 end,"c") for i=1,10 do pcall(f,1) end debug.sethook() print(c)
