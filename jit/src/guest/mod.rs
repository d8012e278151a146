//! The guest block translator: from a guest's instructions to machine code that does the same in the guest's place.
//!
//! ```text
//! bytes --block--> steps --translate--> code in the arena, its exits --tier--> links, the table of branch targets
//!                            |  flags, frame, page slots                 \--> invalidated, dropped
//! ```
//!
//! Guest and host have one instruction set, so an instruction is copied, with its registers renamed ([`frame`]) and its address checked
//! (`translate::memory`). A block is left at the exact instruction: registers are where they always are, the flags are in the frame or
//! come from a recipe ([`flags`]), and what is known of the exit (rip, how many instructions the budget was charged too much) lies in a table.
//! The interpreter does the rest, so nothing here raises an exception.
//!
//! *What is taken for granted, and what guards it.* The bytes of a block are unchanged: [`tier`] drops blocks whose lines were written. The
//! mode is the one translated for: it is part of the block's name, and of the keys in the table of branch targets. A page is in the TLB: page
//! slots and the TLB are asked at each access. The target of an indirect branch is known: the table is asked. Flags are not needed: they are
//! kept recoverable. SSE exceptions are masked: looked at when code is entered, since only the interpreter changes MXCSR's masks; those
//! of x87: when its state is loaded into the host's (`translate::x87`). No interrupt
//! is due: the budget reaches to the next event at most.
//!
//! *The budget* is looked at once in each block, at the first place where the flags are safe anyway or else at its end, for the whole block;
//! [`frame::SLACK`] is kept back so that no instruction is begun beyond it.

pub mod block;
mod blocks;
mod explain;
pub mod flags;
pub mod frame;
mod literal;
mod table;
pub mod tier;
pub mod trampoline;
pub mod translate;

pub use tier::{Counters, EXITS, Options, Translator};
