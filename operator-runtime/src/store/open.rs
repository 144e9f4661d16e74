//! Opens the store that an address such as `sqlite:operator.db` names.

#[cfg(not(all(feature = "sqlite", feature = "redis", feature = "postgres")))]
use std::future::{Ready, ready};
use std::path::Path;
use std::sync::Arc;

#[cfg(feature = "sqlite")]
use super::{Durability, SqliteStore};
use super::{MemoryStore, Store, StoreError};
use crate::protocol::public_url::is_scheme;
use crate::protocol::secret_text::wrong_beginning;

/// The addresses that this build accepts, in words.
pub(crate) fn addresses() -> String {
    let known = [
        (cfg!(feature = "sqlite"), "`sqlite:PATH` (such as `sqlite:operator.db`)"),
        (cfg!(feature = "postgres"), "`postgres://…`"),
        (cfg!(feature = "redis"), "`redis://…`, `redis+sentinel://…`"),
    ];
    let lasting: Vec<&str> = known
        .into_iter()
        .filter(|(is_in, _)| *is_in)
        .map(|(_, words)| words)
        .collect();
    match lasting.as_slice() {
        [] => "`memory:`".to_owned(),
        lasting => format!("{} or `memory:`", lasting.join(", ")),
    }
}

/// The message for a store that cannot be opened at start-up: why, and what to do. `setting` names the address.
pub(crate) fn not_opened(setting: &str, address: &str, error: &StoreError) -> String {
    let what_to_do = match error {
        StoreError::Unavailable { .. } => advice(setting, address),
        // The other errors already say what to do.
        _ => String::new(),
    };
    format!("The store cannot be opened ({setting}): {error}.{what_to_do}")
}

fn advice(setting: &str, address: &str) -> String {
    let Some(rest) = address.strip_prefix("sqlite:") else {
        return format!(
            " Check that the server runs at this address and accepts this program, or set {setting} to another address."
        );
    };
    let file = Path::new(rest.split('?').next().unwrap_or(rest));
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => format!(
            " Create the folder {}, or set {setting} to another file.",
            folder.display()
        ),
        _ => format!(
            " Check that this program may read and write the file and its folder, or set {setting} to another file."
        ),
    }
}

/// The store that `address` names, as in `OPERATOR_STORE`: `memory:`, `sqlite:PATH[?durability=process]`,
/// `postgres://…`, `redis://…[?wait=REPLICAS]` or `redis+sentinel://host,host,host/primary[?wait=REPLICAS]`.
///
/// # Errors
/// If the address is wrong, names a store that this program was built without, or the store cannot be opened or reached.
pub async fn open(address: &str) -> Result<Arc<dyn Store>, StoreError> {
    match address.split_once(':') {
        Some(("memory", "")) => Ok(Arc::new(MemoryStore::new())),
        Some(("memory", _)) => Err(refused("`memory:` takes nothing after the colon")),
        Some(("sqlite", rest)) => open_sqlite(rest).await,
        Some(("postgres" | "postgresql", _)) => open_postgres(address).await,
        Some(("redis" | "rediss" | "redis+sentinel" | "rediss+sentinel", _)) => open_redis(address).await,
        _ => Err(unknown(address)),
    }
}

/// The scheme of an address, for messages: they repeat no other part, because it may be a password. In `user:password@host`
/// and in libpq's other form, `host=db password=…`, what precedes the first colon is not a scheme.
pub(crate) fn scheme(address: &str) -> Option<&str> {
    let (scheme, rest) = address.split_once(':')?;
    let is_url = rest.starts_with("//") && is_scheme(scheme);
    (is_url || matches!(scheme, "memory" | "sqlite")).then_some(scheme)
}

fn unknown(address: &str) -> StoreError {
    if let Some(scheme) = scheme(address) {
        return refused(&format!("there is no `{scheme}` store"));
    }
    match wrong_beginning(address) {
        Some(beginning) => refused(&format!("the store's address begins with {beginning}: remove it")),
        None => refused("the store's address has no scheme"),
    }
}

#[cfg(feature = "sqlite")]
async fn open_sqlite(rest: &str) -> Result<Arc<dyn Store>, StoreError> {
    let (path, durability) = read_sqlite(rest)?;
    let path = path.to_owned();
    // Blocking, because opening waits for the disk and for other processes that lock the file.
    let opening = tokio::task::spawn_blocking(move || {
        SqliteStore::open_with(path, durability, Arc::new(crate::clock::SystemClock::new()))
    });
    match opening.await {
        Ok(store) => Ok(Arc::new(store?)),
        Err(error) => Err(StoreError::unavailable("SQLite", "be opened", error)),
    }
}

/// The path of the file, and the durability of its records.
#[cfg(feature = "sqlite")]
fn read_sqlite(rest: &str) -> Result<(&str, Durability), StoreError> {
    let (path, durability) = match rest.split_once('?') {
        None => (rest, Durability::PowerLoss),
        Some((path, "durability=process")) => (path, Durability::ProcessCrash),
        Some((path, "durability=power")) => (path, Durability::PowerLoss),
        Some((_, option)) => {
            return Err(refused(&format!(
                "a `sqlite:` address has no option `{option}`: its options are `durability=process` and `durability=power`"
            )));
        }
    };
    if path.is_empty() {
        return Err(refused("a `sqlite:` address needs the path of a file"));
    }
    if path.contains(":memory:") {
        return Err(StoreError::Address(format!(
            "`sqlite:{path}` would create a file with that name; use `memory:` to keep operations in memory, or name a file, such as `sqlite:operator.db`"
        )));
    }
    Ok((path, durability))
}

/// The SQL that creates or upgrades the tables of the store that `address` names; `None` if a store of this kind needs no
/// SQL from outside.
#[cfg(feature = "cli")]
pub(crate) fn migration(address: &str, setup: Option<&str>) -> Result<Option<String>, StoreError> {
    #[cfg(feature = "postgres")]
    if let Some(("postgres" | "postgresql", _)) = address.split_once(':') {
        return super::postgres::migration(address, setup).map(Some);
    }
    let _ = (address, setup);
    Ok(None)
}

/// Parses an address as [`open`] does, and opens nothing.
#[cfg(all(fuzzing, feature = "sqlite", feature = "redis", feature = "postgres"))]
pub(crate) fn read_address(address: &str) -> Result<(), StoreError> {
    match address.split_once(':') {
        Some(("sqlite", rest)) => read_sqlite(rest).map(drop),
        Some(("redis" | "rediss" | "redis+sentinel" | "rediss+sentinel", _)) => super::redis::read_address(address),
        _ => super::postgres::read_address(address),
    }
}

#[cfg(feature = "redis")]
async fn open_redis(address: &str) -> Result<Arc<dyn Store>, StoreError> {
    Ok(Arc::new(super::RedisStore::connect(address).await?))
}

#[cfg(feature = "postgres")]
async fn open_postgres(address: &str) -> Result<Arc<dyn Store>, StoreError> {
    Ok(Arc::new(super::PostgresStore::connect(address).await?))
}

#[cfg(not(feature = "sqlite"))]
fn open_sqlite(_rest: &str) -> Ready<Result<Arc<dyn Store>, StoreError>> {
    ready(Err(built_without("sqlite")))
}

#[cfg(not(feature = "redis"))]
fn open_redis(_address: &str) -> Ready<Result<Arc<dyn Store>, StoreError>> {
    ready(Err(built_without("redis")))
}

#[cfg(not(feature = "postgres"))]
fn open_postgres(_address: &str) -> Ready<Result<Arc<dyn Store>, StoreError>> {
    ready(Err(built_without("postgres")))
}

#[cfg(not(all(feature = "sqlite", feature = "redis", feature = "postgres")))]
fn built_without(feature: &str) -> StoreError {
    StoreError::Address(format!(
        "this program was built without the `{feature}` store: turn it on with `operator-runtime = {{ features = [\"{feature}\"] }}` \
         in its Cargo.toml, or use {}",
        addresses()
    ))
}

fn refused(what: &str) -> StoreError {
    StoreError::Address(format!("{what}; use {}", addresses()))
}

#[cfg(test)]
mod tests {
    #[cfg(feature = "postgres")]
    use std::error::Error as _;

    use super::*;

    #[tokio::test]
    async fn the_error_for_a_wrong_address_says_what_to_write_and_hides_secrets() {
        for address in [
            "",
            "operator.db",
            "memory:x",
            "sqlite:",
            "sqlite:a.db?mode=ro",
            "sqlite::memory:",
            "sqlite:file::memory:",
            "ftp:hunter2",
            "hunter2",
            "hunter2:x@db/shop",
            "host=db user=app password=hunter2:er dbname=shop",
            "host=db password=hunter2://x",
            "\u{feff}postgres://app:hunter2@db/shop",
        ] {
            let error = open(address).await.expect_err(address).to_string();
            assert!(
                error.contains("`memory:`") && !error.contains("hunter2"),
                "{address}: {error}"
            );
        }
    }

    #[tokio::test]
    async fn a_store_that_does_not_exist_and_a_beginning_that_is_wrong_are_named() {
        for (address, said) in [
            ("ftp://h", "there is no `ftp` store"),
            ("host=db dbname=shop", "the store's address has no scheme"),
            ("\u{feff}memory:", "begins with a byte-order mark: remove it"),
            ("\"memory:\"", "begins with a double quote: remove it"),
            (" memory:", "begins with a space: remove it"),
        ] {
            let error = open(address).await.expect_err(address).to_string();
            assert!(error.contains(said), "{address}: {error}");
        }
    }

    #[tokio::test]
    async fn the_error_for_an_unusable_address_hides_secrets_and_names_the_missing_feature() {
        for (address, feature, on) in [
            (
                "postgres://u:hunter2@127.0.0.1:1/db",
                "postgres",
                cfg!(feature = "postgres"),
            ),
            ("postgres://u:hunter2@[/db", "postgres", cfg!(feature = "postgres")),
            ("redis://:hunter2@127.0.0.1:1", "redis", cfg!(feature = "redis")),
            ("redis://:hunter2@[", "redis", cfg!(feature = "redis")),
            (
                "redis+sentinel://:hunter2@127.0.0.1:1/x",
                "redis",
                cfg!(feature = "redis"),
            ),
        ] {
            let error = open(address).await.expect_err(address).to_string();
            assert!(!error.contains("hunter2"), "{address}: {error}");
            assert_eq!(error.contains(&format!("features = [\"{feature}\"]")), !on, "{error}");
        }
    }

    #[cfg(feature = "postgres")]
    #[tokio::test]
    async fn an_error_has_its_cause_as_source_and_shows_more_to_who_debugs() {
        let error = open("postgres://u@127.0.0.1:1/db")
            .await
            .expect_err("nobody listens there");
        let cause = error.source().expect("a cause");
        assert!(error.to_string().contains(&cause.to_string()), "{error}");
        assert_ne!(format!("{error:?}"), error.to_string());
        let damaged = StoreError::Unreadable {
            store: "a map".to_owned(),
            source: crate::store::DecodeError::Damaged,
        };
        assert!(
            damaged
                .source()
                .is_some_and(<dyn std::error::Error>::is::<crate::store::DecodeError>)
        );
    }

    #[tokio::test]
    async fn the_memory_store_warns_that_a_restart_loses_records() {
        let store = open("memory:").await.expect("no set-up needed");
        assert!(store.warning().expect("not durable").contains("restart"));
    }

    #[cfg(feature = "sqlite")]
    #[tokio::test]
    async fn a_missing_file_is_created() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("operator.db");
        open(&format!("sqlite:{}?durability=process", path.display()))
            .await
            .expect("opens");
        assert!(path.exists());
    }
}
