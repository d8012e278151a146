//! Errors: a message, the Lua value that was raised, and the traceback of where.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::fmt;

use super::Value;

/// The result of whatever may raise a Lua error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A Lua error, or an error of a native function on its way to Lua.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    message: Vec<u8>,
    value: Option<Value>,
    traceback: Option<Vec<u8>>,
    place: Option<usize>,
}

impl Error {
    /// An error with a message. Returned by a native function, it gets the position of the Lua code that called it.
    pub fn new(message: impl fmt::Display) -> Error {
        Error(Box::new(Inner { message: message.to_string().into_bytes(), value: None, traceback: None, place: None }))
    }

    /// An error that Lua code sees as this value, as raised by `error(value, 0)`.
    pub fn from_value(value: Value) -> Error {
        let message = match &value {
            Value::String(s) => s.to_bytes(),
            Value::Integer(i) => i.to_string().into_bytes(),
            other => format!("(error object is a {} value)", other.type_name()).into_bytes(),
        };
        Error(Box::new(Inner { message, value: Some(value), traceback: None, place: None }))
    }

    pub(crate) fn raised(message: Vec<u8>, value: Value, traceback: Option<Vec<u8>>) -> Error {
        Error(Box::new(Inner { message, value: Some(value), traceback, place: None }))
    }

    /// A syntax error's place in the text.
    pub(crate) fn at(mut self, place: Option<usize>) -> Error {
        self.0.place = place;
        self
    }

    /// The message: the error value as text, `__tostring` respected.
    pub fn message(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0.message)
    }

    /// The message as it is.
    pub fn message_bytes(&self) -> &[u8] {
        &self.0.message
    }

    /// The value that was raised; none if the error comes from Rust.
    pub fn value(&self) -> Option<&Value> {
        self.0.value.as_ref()
    }

    /// `stack traceback: ...`, if the error was raised while Lua code ran. An object that describes itself (by `__tostring`) has
    /// none.
    pub fn traceback(&self) -> Option<Cow<'_, str>> {
        self.0.traceback.as_deref().map(String::from_utf8_lossy)
    }

    /// Of a syntax error: where in the chunk's text, in bytes, the token is that the message is about, if it is about one.
    pub fn place(&self) -> Option<usize> {
        self.0.place
    }

    /// The message and, below it, the traceback: what the command line shows. An error that describes itself (by
    /// `__tostring`) stands for itself.
    pub fn report(&self) -> Vec<u8> {
        let mut text = self.0.message.clone();
        if let Some(traceback) = &self.0.traceback {
            text.push(b'\n');
            text.extend_from_slice(traceback);
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.report()))
    }
}

impl std::error::Error for Error {}

impl From<Mismatch> for Error {
    fn from(mismatch: Mismatch) -> Error {
        Error::new(format!("value #{}: {}", mismatch.index + 1, mismatch.message))
    }
}

/// A value that cannot become the wanted Rust type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mismatch {
    /// Which of several values it is, counted from 0.
    pub(crate) index: usize,
    pub(crate) message: String,
}

impl Mismatch {
    /// `expected` names the wanted type in Lua's words.
    pub fn new(expected: &str, got: &Value) -> Mismatch {
        Mismatch::because(format!("{expected} expected, got {}", got.type_name()))
    }

    /// A value of the right type that will not do.
    pub fn because(message: impl Into<String>) -> Mismatch {
        Mismatch { index: 0, message: message.into() }
    }
}
