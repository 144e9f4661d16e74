//! A Lua script, and how its server identifies it.

use std::borrow::Cow;

use ::redis::{Cmd, FromRedisValue as _, RedisError};

use super::connection::Connection;
use crate::store::StoreError;

pub(super) struct Script {
    pub(super) text: Cow<'static, str>,
    /// The SHA-1 of the text, by which every server identifies the script.
    pub(super) sha: String,
}

impl Script {
    /// Sends the script to the server, which keeps it and answers with its SHA-1.
    pub(super) async fn load(
        connection: &Connection,
        text: impl Into<Cow<'static, str>>,
        name: &str,
    ) -> Result<Self, StoreError> {
        let text = text.into();
        let mut load = Cmd::new();
        load.arg("SCRIPT").arg("LOAD").arg(&*text);
        let sha = connection
            .ask(&load)
            .await
            .map_err(RedisError::from)
            .and_then(|sha| Ok(String::from_redis_value(sha)?))
            .map_err(|source| StoreError::unavailable(name, "load its scripts", source))?;
        Ok(Self { text, sha })
    }
}
