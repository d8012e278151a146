//! How a prologue and an epilogue change the frame, as data: one step for each instruction that matters to an unwinder.
//!
//! The terms are those of DWARF 5, section 6.4. The *CFA* is the value of rsp before the call that made the frame; the
//! return address lies at CFA-8. A step takes effect *after* its instruction, at the offset where the next one starts.
#![forbid(unsafe_code)]

pub use gimli::{Register, X86_64};

/// One change of the rules by which the caller's registers are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The CFA is now this register plus this offset.
    Cfa(Register, i32),
    /// The caller's value of the register now lies at CFA plus the offset.
    Saved(Register, i32),
    /// The register holds the caller's value again.
    Restored(Register),
    /// Remember all rules.
    Remember,
    /// Go back to the rules remembered last.
    Recall,
}

/// A change and the code offset from which on it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Offset from the start of the described code, in bytes.
    pub offset: u32,
    /// What changes there.
    pub change: Change,
}

/// The frame of a stretch of code: the steps, in order, of its leading trampoline. The rules after the last step hold
/// to the end of the stretch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    steps: Vec<Step>,
}

impl Frame {
    /// A frame as it is at a function's entry: CFA is rsp+8, nothing is saved.
    pub fn new() -> Self {
        Frame::default()
    }

    /// From `offset` on, `change` holds. Offsets must not decrease.
    pub fn step(&mut self, offset: usize, change: Change) {
        let offset = u32::try_from(offset).expect("a trampoline is far below 4 GB");
        assert!(self.steps.last().is_none_or(|last| last.offset <= offset), "steps are in code order");
        self.steps.push(Step { offset, change });
    }

    /// The changes that hold behind the last step: without what was done between a [`Change::Remember`] and its [`Change::Recall`].
    pub fn settled(&self) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut remembered = Vec::new();
        for step in &self.steps {
            match step.change {
                Change::Remember => remembered.push(changes.len()),
                Change::Recall => changes.truncate(remembered.pop().unwrap_or_default()),
                change => changes.push(change),
            }
        }
        changes
    }

    /// All steps, by offset.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
}
