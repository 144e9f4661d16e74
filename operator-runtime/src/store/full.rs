//! Detects a write that failed because the store has no room, and says how to make room.

use std::error::Error;

/// How to make room, if the error means that there is no room.
pub(super) fn remedy(error: &(dyn Error + 'static)) -> Option<&'static str> {
    #[cfg(feature = "sqlite")]
    if let Some(error) = error.downcast_ref::<rusqlite::Error>()
        && error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
    {
        return Some("free space on the disk of the file");
    }
    #[cfg(feature = "postgres")]
    if let Some(error) = error.downcast_ref::<tokio_postgres::Error>() {
        use tokio_postgres::error::SqlState;
        return match error.code() {
            Some(&SqlState::DISK_FULL) => Some("free space on the server's disk"),
            Some(&SqlState::OUT_OF_MEMORY) => Some("give the server more memory"),
            _ => None,
        };
    }
    #[cfg(feature = "redis")]
    if let Some(error) = error.downcast_ref::<::redis::RedisError>()
        && error.code() == Some("OOM")
    {
        return Some("raise the server's `maxmemory`, or keep records for a shorter time (`ttl`)");
    }
    let _ = error;
    None
}
