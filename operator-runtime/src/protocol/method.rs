//! The two HTTP methods of the protocol.

use std::fmt;

/// An HTTP method of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// The inputs are URL search parameters.
    Get,
    /// The inputs are the fields of one JSON object, which is the body.
    Post,
}

impl Method {
    /// The method as written in a request line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
