//! Detects a write that failed because the store has no free space, and says how to make space.

use std::error::Error;

/// How to make space, if the error means that the store has no free space.
pub(super) fn remedy(error: &(dyn Error + 'static)) -> Option<&'static str> {
    #[cfg(feature = "sqlite")]
    if let Some(error) = error.downcast_ref::<rusqlite::Error>()
        && error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
    {
        return Some("delete other files from the disk that holds the database file");
    }
    #[cfg(feature = "postgres")]
    if let Some(error) = error.downcast_ref::<tokio_postgres::Error>() {
        use tokio_postgres::error::SqlState;
        return match error.code() {
            Some(&SqlState::DISK_FULL) => Some("delete other files from Postgres's disk"),
            Some(&SqlState::OUT_OF_MEMORY) => Some("give Postgres more memory"),
            _ => None,
        };
    }
    #[cfg(feature = "redis")]
    if let Some(error) = error.downcast_ref::<::redis::RedisError>()
        && error.code() == Some("OOM")
    {
        return Some("raise Redis's `maxmemory`, or keep records for a shorter time (`ttl`)");
    }
    let _ = error;
    None
}
