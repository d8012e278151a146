//! Exceptions: vectors, names, error codes, and how two of them combine (APM volume 2, chapter 8).

/// How an exception combines with one that is raised while it is delivered (APM volume 2, table 8-4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// Does not combine: the second one is delivered by itself.
    Benign,
    /// Two of these make a double fault.
    Contributory,
    /// A page fault: one of these while another page fault or a contributory exception is delivered makes a double fault.
    Page,
    /// A contributory exception or page fault during a double fault shuts the processor down.
    Double,
}

macro_rules! exceptions {
    ($($(#[doc = $doc:literal])* $name:ident = $vector:literal, $short:literal, $class:ident, $code:literal;)*) => {
        /// Vectors of exceptions.
        pub mod vector {
            $($(#[doc = $doc])* pub const $name: u8 = $vector;)*
        }

        /// The mnemonic of an exception (`#PF`), or `None` for a vector that is none.
        pub fn mnemonic(vector: u8) -> Option<&'static str> {
            match vector { $($vector => Some($short),)* _ => None }
        }

        /// The class of an exception.
        pub fn class(vector: u8) -> Class {
            match vector { $($vector => Class::$class,)* _ => Class::Benign }
        }

        /// Whether the exception pushes an error code in protected and long mode.
        pub fn has_error_code(vector: u8) -> bool {
            match vector { $($vector => $code,)* _ => false }
        }
    };
}

exceptions! {
    /// Division by zero, or a quotient that does not fit.
    DIVIDE = 0, "#DE", Contributory, false;
    /// Debug: single step, breakpoint registers.
    DEBUG = 1, "#DB", Benign, false;
    /// Non-maskable interrupt.
    NMI = 2, "NMI", Benign, false;
    /// INT3.
    BREAKPOINT = 3, "#BP", Benign, false;
    /// INTO with OF set.
    OVERFLOW = 4, "#OF", Benign, false;
    /// BOUND.
    BOUND = 5, "#BR", Benign, false;
    /// An instruction that does not exist, or not in this mode.
    INVALID_OPCODE = 6, "#UD", Benign, false;
    /// x87 or SSE while CR0 says that they are not available.
    DEVICE = 7, "#NM", Benign, false;
    /// An exception while another one was delivered.
    DOUBLE_FAULT = 8, "#DF", Double, true;
    /// A task state segment that cannot be used.
    INVALID_TSS = 10, "#TS", Contributory, true;
    /// A segment that is not present.
    NOT_PRESENT = 11, "#NP", Contributory, true;
    /// The stack segment: limit, not present, an address that is not canonical.
    STACK = 12, "#SS", Contributory, true;
    /// General protection.
    PROTECTION = 13, "#GP", Contributory, true;
    /// Page fault; CR2 has the address.
    PAGE = 14, "#PF", Page, true;
    /// A pending x87 exception.
    FLOATING_POINT = 16, "#MF", Benign, false;
    /// Alignment check.
    ALIGNMENT = 17, "#AC", Benign, true;
    /// An SSE floating-point exception.
    SIMD = 19, "#XM", Benign, false;
}

/// An exception that an instruction raised, before it is delivered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exception {
    /// The vector.
    pub vector: u8,
    /// The error code; 0 where none is pushed ([`has_error_code`]).
    pub code: u32,
}

impl Exception {
    /// An exception without an error code.
    pub const fn plain(vector: u8) -> Exception {
        Exception { vector, code: 0 }
    }

    /// An exception with an error code.
    pub const fn with_code(vector: u8, code: u32) -> Exception {
        Exception { vector, code }
    }

    /// General protection with error code 0.
    pub const PROTECTION: Exception = Exception::plain(vector::PROTECTION);
    /// Invalid opcode.
    pub const INVALID_OPCODE: Exception = Exception::plain(vector::INVALID_OPCODE);
}

/// What is to become of an exception `second` that was raised while `first` was being delivered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Combined {
    /// Deliver the second one.
    Serial,
    /// Deliver a double fault.
    DoubleFault,
    /// Shut down.
    TripleFault,
}

/// Combines two exceptions by their classes (APM volume 2, table 8-4).
pub fn combine(first: u8, second: u8) -> Combined {
    match (class(first), class(second)) {
        (Class::Double, Class::Contributory | Class::Page) => Combined::TripleFault,
        (Class::Contributory, Class::Contributory) | (Class::Page, Class::Contributory | Class::Page) => {
            Combined::DoubleFault
        }
        _ => Combined::Serial,
    }
}

/// Bits of the error code of a page fault (APM volume 2, section 8.4.2).
pub mod page_fault {
    /// The translation is there, and forbids the access.
    pub const PRESENT: u32 = 1;
    /// The access was a write.
    pub const WRITE: u32 = 2;
    /// The access came from CPL 3.
    pub const USER: u32 = 4;
    /// A reserved bit is set in an entry.
    pub const RESERVED: u32 = 8;
    /// The access was an instruction fetch, and NX or SMEP are enabled.
    pub const FETCH: u32 = 16;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_combine_as_in_the_manual() {
        assert_eq!(combine(vector::PROTECTION, vector::NOT_PRESENT), Combined::DoubleFault);
        assert_eq!(combine(vector::PROTECTION, vector::PAGE), Combined::Serial);
        assert_eq!(combine(vector::PAGE, vector::PAGE), Combined::DoubleFault);
        assert_eq!(combine(vector::PAGE, vector::PROTECTION), Combined::DoubleFault);
        assert_eq!(combine(vector::DOUBLE_FAULT, vector::PAGE), Combined::TripleFault);
        assert_eq!(combine(vector::DEBUG, vector::PROTECTION), Combined::Serial);
    }
}
