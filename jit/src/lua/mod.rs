//! From a hot Lua loop to machine code and back.
//!
//! ```text
//! interpreter --hot--> tier --> record --IR--> opt --> engine (machine code, or eval)
//!      ^                                                  |
//!      +----------- deopt <-- values at the exit <--------+
//! ```
//!
//! | file | what |
//! | --- | --- |
//! | `tier` | what is recorded when; the traces; the way in and out |
//! | `options` | the parameters |
//! | `sites` | loops in bytecode: counters, and what leads to traces |
//! | `record` | from bytecode to IR |
//! | `ir`, `opt` | the IR and the passes over it |
//! | `snapshot`, `deopt` | what the interpreter's frames must look like at an exit, and making them so |
//! | `returns` | where compiled code goes on after a return |
//! | `trace`, `prototypes` | a finished trace; which traces a prototype has |
//! | `gain` | whether compiling pays |
//! | `allocate`, `emit` | registers, machine code |
//! | `machine`, `entry` | traces as machine code: links, exits, the way in and out |
//! | `places` | where the values of a trace are at each point of its code |
//! | `engine`, `eval` | running traces |
//! | `report`, `page` | what `-jv` and `-jdump` say; the page that `-jhtml` writes |
//! | `explain`, `announce` | what debuggers are told, and when |
//! | `lines` | interpreted code that a debugger sees line by line |
//! | `helpers` | the Rust functions that traces call |

pub mod allocate;
mod announce;
pub mod deopt;
pub mod emit;
pub mod engine;
pub mod entry;
pub mod eval;
mod explain;
pub mod gain;
pub mod helpers;
pub mod ir;
mod lines;
pub mod machine;
pub mod opt;
pub mod options;
mod page;
pub mod places;
pub mod prototypes;
pub mod record;
pub mod report;
pub mod returns;
mod sites;
pub mod snapshot;
pub mod tier;
pub mod trace;
