-- Modules: searchers, paths, errors.
local base = os.tmpname()
local files = { base }
local write_line = print
local print = function(...)
  local t = table.pack(...)
  for i = 1, t.n do t[i] = tostring(t[i]):gsub(base, "BASE", nil, true) end
  write_line(table.concat(t, "\t"))
end
_G.print = print
package.path=base.."?.lua;"..base.."?/init.lua"
package.cpath=base.."?.so"
local function w(n,t) local f=assert(io.open(base..n,"w")) f:write(t) f:close() files[#files+1]=base..n end
w("m1.lua","print(...) return {x=1}") w("m2.lua","print('m2',...)") w("m3.lua","return = 1") w("m4.lua","error('boom')") w("m5.lua","return false")
print(require"m1".x) print(select('#',require"m1"), select(2,require"m1")) print(require"m2") print(require"m2")
print(pcall(require,"m3")) print(pcall(require,"m4")) print(require"m5") print(package.loaded.m5) 
print(pcall(require,"none")) print(pcall(require,"a.b"))
package.preload.pre=function(...) print("pre",...) return "P" end print(require"pre")
print(package.searchpath("m1",package.path)) print(package.searchpath("a.b","./?.x;?.y")) print(package.searchpath("a-b","./?.x","-","+")) print(package.searchpath("a.b","./?.x",""))
print(#package.searchers, package.config, package.loaded._G==_G, package.loaded.string==string)
package.path=nil print(pcall(require,"zz")) package.path="?" package.searchers=nil print(pcall(require,"zz"))
print(pcall(require)) print(package.loaded["package"]==package)
for _, f in ipairs(files) do os.remove(f) end
