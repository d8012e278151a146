//! Runs the cases with a collection at every safepoint and with stacks that move at every call: an object that nothing
//! keeps, and a pointer to where a stack was, show as a difference from the blessed output.

use std::path::Path;

use perilune_interpreter::lua::api::{self, Mode};
use perilune_interpreter::lua::lib;
use perilune_runtime::lua::state::State;
use perilune_runtime::lua::value::Value;

/// Output goes to a table: what is printed is part of the case.
const PRELUDE: &str = r##"
local tostring, concat, select = tostring, table.concat, select
local out = {}
output = out
function os.exit() error("the case ends the program") end
function print(...)
  local line = { ... }
  for i = 1, select("#", ...) do line[i] = tostring((select(i, ...))) end
  out[#out + 1] = concat(line, "\t") .. "\n"
end
local stdout = { write = function(self, ...) for i = 1, select("#", ...) do out[#out + 1] = (select(i, ...)) end return self end }
io = setmetatable({ write = function(...) return stdout:write(...) end, stdout = stdout }, { __index = io })
"##;

/// Cases that take too long this way, count what is collected, or need the program's own files, streams and arguments.
const LEFT_OUT: &[&str] = &[
    "fail_",
    "io_",
    "gc",
    "collect",
    "stack_overflow",
    "weak",
    "memory",
    "traceback",
    "exit",
    "syntax_limits",
    "hello",
    "string_find",
    "string_tostring",
    "jit_library_calls",
    "lang_numbers",
    // They look into `print`, which the prelude has replaced.
    "debug_library",
    "binary_chunks",
];

fn run(text: &[u8], name: &str) -> Vec<u8> {
    let mut st = State::new();
    lib::open_libraries(&mut st).expect("the library opens");
    let env = Value::from(st.globals);
    st.heap.stress = true;
    st.heap.debt = 1;
    st.move_stacks = true;
    for (text, name) in [(PRELUDE.as_bytes(), "=prelude"), (text, name)] {
        let chunk = api::load(&mut st, text, name.as_bytes(), Mode::Text, env).expect("the case is a chunk");
        st.push(Value::from(chunk)).expect("there is room");
        if let Err(error) = api::call_protected(&mut st, 0, 0).expect("there is room") {
            return api::error_text(&mut st, error);
        }
    }
    let output = api::get_field(&mut st, env, "output").expect("the prelude sets it").as_table().expect("a table");
    (1..=output.length()).filter_map(|i| api::to_bytes(output.get_int(i))).flatten().collect()
}

#[test]
fn cases_survive_collections_and_moving_stacks() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cases");
    let mut names: Vec<_> = std::fs::read_dir(&folder).expect("the cases are there").flatten().collect();
    names.sort_by_key(std::fs::DirEntry::file_name);
    let only = std::env::var("PERILUNE_CASE").unwrap_or_default();
    let (mut count, mut failures) = (0, Vec::new());
    for entry in names {
        let path = entry.path();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let skip = path.extension().is_none_or(|e| e != "lua") || LEFT_OUT.iter().any(|part| stem.contains(part));
        if skip || !stem.contains(&only) {
            continue;
        }
        let text = std::fs::read(&path).expect("the case can be read");
        let expected = std::fs::read(path.with_extension("out")).expect("the case is blessed");
        let found = run(&text, &format!("@{stem}.lua"));
        count += 1;
        if found != expected {
            let lines = String::from_utf8_lossy(&found);
            let wanted = String::from_utf8_lossy(&expected);
            let differ = lines.lines().zip(wanted.lines()).find(|(a, b)| a != b);
            failures.push(format!("{stem}: {differ:?}"));
        }
    }
    assert!(count > 0 && failures.is_empty(), "{} of {count} cases differ:\n{}", failures.len(), failures.join("\n"));
}
