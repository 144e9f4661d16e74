//! What a verified token claims (RFC 9068 §2.2, §4). A pure function.

use serde_json::{Map, Value};

use super::Expected;
use crate::protocol::caller::Caller;
use crate::protocol::secret_text;
use crate::protocol::secrets::KeyName;

/// The difference between the clocks of issuer and server that is tolerated, in seconds.
const LEEWAY: f64 = 60.0;
/// The longest id of a caller, in bytes.
const LONGEST_ID: usize = 255;

/// The caller that the claims name. The error is a clause that follows "The access token".
pub(super) fn caller(claims: &Map<String, Value>, expected: &Expected, now: u64) -> Result<Caller, String> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("iss") != Some(&expected.issuer) {
        return Err(format!("is of another issuer: send a token of {}", expected.issuer));
    }
    let own = [&expected.audience, &expected.mcp_url].map(|own| without_slash(own));
    if !values(claims.get("aud")).any(|audience| own.contains(&without_slash(audience))) {
        return Err(format!(
            "is for another audience: ask the issuer for a token for the resource {}",
            expected.audience
        ));
    }
    #[allow(clippy::cast_precision_loss, reason = "seconds since 1970 fit")]
    let now = now as f64;
    let time = |name: &str| claims.get(name).map(|value| value.as_f64().unwrap_or(f64::NAN));
    let expires = time("exp").ok_or("has no `exp`, so it would never expire")?;
    // Each comparison is false for a claim that is not a number.
    let is_in_time = now < expires + LEEWAY;
    if !is_in_time {
        return Err("has expired: ask the issuer for a new one".to_owned());
    }
    let has_begun = |name: &str| time(name).is_none_or(|begins| begins <= now + LEEWAY);
    if !has_begun("nbf") || !has_begun("iat") {
        return Err("is not valid yet: check the clocks of the issuer and of the server".to_owned());
    }
    let id = text("client_id").or_else(|| text("sub")).unwrap_or_default();
    if !is_id(id) {
        return Err(format!(
            "names its client neither in `client_id` nor in `sub`: 1 to {LONGEST_ID} visible ASCII characters"
        ));
    }
    let tenant = match &expected.tenant_claim {
        None => "default",
        Some(claim) => text(claim)
            .filter(|tenant| secret_text::is_tenant(tenant))
            .ok_or_else(|| {
                format!("names no tenant in the claim `{claim}`: 1 to 64 letters, digits, `.`, `_` or `-`")
            })?,
    };
    let scopes = values(claims.get("scope").or_else(|| claims.get("scp")));
    let scopes: Vec<&str> = scopes.flat_map(|scope| scope.split(' ')).collect();
    Ok(Caller::of_token(KeyName::new(tenant, id), &scopes.join(" ")))
}

/// The text without a slash at its end. Clients that parse a URL without a path ask the issuer for the URL with a slash.
fn without_slash(audience: &str) -> &str {
    audience.strip_suffix('/').unwrap_or(audience)
}

/// Whether an id can be shown in a log (RFC 6749 §2.2 and OpenID Connect Core 1.0 §2 allow these characters).
fn is_id(id: &str) -> bool {
    let is_shown = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(is_shown)
}

/// The texts of a claim that is one text or a list of texts.
fn values(claim: Option<&Value>) -> impl Iterator<Item = &str> {
    let several = claim.and_then(Value::as_array).into_iter().flatten();
    let one = claim.into_iter().chain(several);
    one.filter_map(Value::as_str)
}
