-- An uncaught error value with __tostring prints as that, without a traceback.
error(setmetatable({}, { __tostring = function() return "custom object" end }))
