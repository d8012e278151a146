//! Allocation of hand-written traces: places of operands, spills, moves at exits.
