-- What the debug library tells of functions, frames and variables, and what it changes.
local function show(t) local k={} for n in pairs(t) do k[#k+1]=n end table.sort(k) for _,n in ipairs(k) do local v=t[n] io.write(n,"=",type(v)=="table" and "{...}" or type(v)=="function" and "F" or tostring(v)," ") end print() end
local function f(a,b,...) local c=3; show(debug.getinfo(1)); show(debug.getinfo(2)) return c end
f(1,2)
f(1,2,3,4)
show(debug.getinfo(print)) show(debug.getinfo(f,"SL")) show(debug.getinfo(1,"nSlutr"))
print(debug.getinfo(50), pcall(debug.getinfo,1,"X"), pcall(debug.getinfo,1,">S"), pcall(debug.getinfo,"x"), pcall(debug.getinfo))
local t={} for l in pairs(debug.getinfo(show,"L").activelines) do t[#t+1]=l end table.sort(t) print(table.concat(t," "))
local t={} for l in pairs(debug.getinfo(function(a)
 local x = a

 return x
end,"L").activelines) do t[#t+1]=l end table.sort(t) print(table.concat(t," "))
local function g(x,y,...)
  local z = x+y
  do local hidden = 1 end
  local up = function() return z end
  local i=1 while true do local n,v=debug.getlocal(1,i) if not n then break end print(i,n,type(v)=="function" and "F" or v) i=i+1 if n:sub(1,1)=="(" then break end end
  print(debug.getlocal(1,-1)) print(debug.getlocal(1,-2)) print(debug.getlocal(1,-3))
  print(debug.setlocal(1,1,"new"), x) print(debug.setlocal(1,3,"zz"), up()) print(debug.setlocal(1,-1,"va"), ...) print(debug.setlocal(1,100,1))
  return
end
g(1,2,"e1","e2")
print(debug.getlocal(g,1), debug.getlocal(g,2), debug.getlocal(g,3), debug.getlocal(print,1))
print(pcall(debug.getlocal,100,1)) print(pcall(debug.setlocal,100,1,1)) print(pcall(debug.getlocal,1))
local u1,u2=10,20
local function h() return u1,u2 end local function k() return u2 end
print(debug.getupvalue(h,1)) print(debug.getupvalue(h,2)) print(debug.getupvalue(h,3)) print(debug.getupvalue(h,0)) print(select('#',debug.getupvalue(h,3)))
print(debug.setupvalue(h,1,"U1"),u1,h()) print(debug.setupvalue(h,5,1)) print(pcall(debug.setupvalue,h,1))
print(debug.upvalueid(h,2)==debug.upvalueid(k,1), debug.upvalueid(h,1)==debug.upvalueid(h,2), type(debug.upvalueid(h,1)), debug.upvalueid(h,9))
debug.upvaluejoin(h,1,k,1) print(h()) print(pcall(debug.upvaluejoin,h,9,k,1)) print(pcall(debug.upvaluejoin,print,1,k,1)) print(pcall(debug.upvaluejoin,h,1,print,1))
local mt={__index=function(s,k) return k end, __name="NN"} debug.setmetatable(10,mt) print((5).foo, debug.getmetatable(1)==mt) debug.setmetatable(10,nil) print(pcall(function() return (5).foo end))
print(pcall(debug.setmetatable,1,2), pcall(debug.setmetatable,1)) print(debug.setmetatable({},nil)~=nil, debug.getmetatable("").__index==string)
print(debug.getregistry()[2]==_G, type(debug.getregistry()._LOADED), debug.getregistry()["FILE*"]==getmetatable(io.stdout))
print(debug.getuservalue(1), debug.getuservalue(io.stdout,1), debug.getuservalue(io.stdout,0)) print(pcall(debug.setuservalue,1,1)) print(debug.setuservalue(io.stdout,1))
print(debug.traceback("msg")) print(debug.traceback("msg",2)) print(debug.traceback({})~=nil, debug.traceback(nil)) print(debug.traceback(12,1))
local co=coroutine.create(function(a) local loc=a; coroutine.yield(1) error("x") end)
coroutine.resume(co,"arg") print(debug.traceback(co)) print(debug.traceback(co,"m",1)) print(debug.getlocal(co,1,1)) print(debug.getlocal(co,1,2)) print(debug.getinfo(co,1,"l").currentline, debug.getinfo(co,0,"S").what) print(debug.getinfo(co,2))
print(debug.setlocal(co,1,2,"changed"), debug.getlocal(co,1,2)) coroutine.resume(co) print(debug.traceback(co))
print(pcall(debug.traceback,co,"x","y")) print(debug.gethook()) print(debug.setcstacklimit(100)) 
local function tail() return debug.getinfo(1,"nt") end local function caller() return tail() end show(caller())
local mt=setmetatable({},{__add=function() show(debug.getinfo(1,"n")) return 1 end,__index=function() show(debug.getinfo(1,"n")) end, __close=function() show(debug.getinfo(1,"n")) end}) local _=mt+1 _=mt.x do local x<close> =mt end
for _ in (function() show(debug.getinfo(1,"n")) end) do end
local obj={m=function() show(debug.getinfo(1,"n")) end} obj:m() obj.m() glob=obj.m glob() pcall(glob) 
string.gsub("x","x",function() show(debug.getinfo(1,"n")) show(debug.getinfo(2,"nS")) end)
print(pcall(debug.upvalueid,1,1)) print(pcall(debug.getupvalue,{},1))
