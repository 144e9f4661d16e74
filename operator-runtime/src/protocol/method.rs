//! The two methods of the protocol.

use std::fmt;

/// The two methods a caller of this protocol uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Inputs are URL search parameters.
    Get,
    /// Inputs are the fields of one JSON object, the body.
    Post,
}

impl Method {
    /// The method as it stands in a request line.
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
