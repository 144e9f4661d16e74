//! Whether a store refused a write because it has no room, and how to make room.

use std::error::Error;

/// How to make room, where that is why it was refused.
pub(super) fn remedy(error: &(dyn Error + 'static)) -> Option<&'static str> {
    #[cfg(feature = "sqlite")]
    if let Some(error) = error.downcast_ref::<rusqlite::Error>()
        && error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
    {
        return Some("make room on the disk of its file");
    }
    #[cfg(feature = "postgres")]
    if let Some(error) = error.downcast_ref::<tokio_postgres::Error>() {
        use tokio_postgres::error::SqlState;
        return match error.code() {
            Some(&SqlState::DISK_FULL) => Some("make room on the server's disk"),
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
