//! Conversions that let `?` turn other errors into [`Error`]. The text of a [`Refusal`] is sent to the caller; the text
//! of every other error is only logged.

use super::{Error, Kind};
use crate::protocol::request::Refusal;

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::new(Kind::Refused(refusal.kind()), refusal.to_string())
    }
}

impl From<std::io::Error> for Error {
    fn from(source: std::io::Error) -> Self {
        Self::internal(source)
    }
}

impl From<serde_json::Error> for Error {
    fn from(source: serde_json::Error) -> Self {
        Self::internal(source)
    }
}

#[cfg(feature = "postgres")]
impl From<tokio_postgres::Error> for Error {
    fn from(source: tokio_postgres::Error) -> Self {
        Self::internal(source)
    }
}

impl From<crate::store::StoreError> for Error {
    fn from(source: crate::store::StoreError) -> Self {
        Self::internal(source)
    }
}

#[cfg(feature = "sqlite")]
impl From<rusqlite::Error> for Error {
    fn from(source: rusqlite::Error) -> Self {
        Self::internal(source)
    }
}

#[cfg(feature = "sqlite")]
impl From<crate::store::ReadError> for Error {
    fn from(source: crate::store::ReadError) -> Self {
        Self::internal(source)
    }
}
