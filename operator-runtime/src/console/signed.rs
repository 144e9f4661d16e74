//! Signs a call that the console makes, and shows the page what is signed and sent, part by part.

use bytes::Bytes;
use http::Request;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::protocol::method::Method;
use crate::protocol::outgoing::Outgoing;
use crate::protocol::public_url::PublicUrl;
use crate::protocol::signature::Keys;

/// The call that the page asks for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// The endpoint's name.
    pub(crate) endpoint: String,
    pub(crate) idempotency_key: String,
    /// For a POST, the body byte for byte; for a GET, a JSON object of the search parameters.
    pub(crate) inputs: String,
}

/// A signed request, as the page shows it.
#[derive(Debug, Serialize)]
pub(crate) struct Signed {
    method: &'static str,
    /// The URL with its query.
    url: String,
    payload: Payload,
    /// The id of the key that signed the request.
    key_id: String,
    headers: Vec<(&'static str, String)>,
    body: String,
    /// Path and query on this server.
    #[serde(skip)]
    target: String,
}

/// The parts that are joined by colons and signed.
#[derive(Debug, Serialize)]
struct Payload {
    url: String,
    idempotency_key: String,
    timestamp: u64,
    content: String,
}

impl Wanted {
    /// Signs the call to the endpoint with this method and path, with a timestamp in seconds since 1970-01-01 UTC. An
    /// error is a message for the person at the form.
    pub(crate) fn sign(
        &self,
        (method, path): (Method, &str),
        public_url: &PublicUrl,
        keys: &Keys,
        timestamp: u64,
    ) -> Result<Signed, String> {
        let url = public_url.published(path);
        let call = match method {
            Method::Get => Outgoing::get(url, &parameters(&self.inputs)?),
            Method::Post => Outgoing::post(url, self.inputs.clone()),
        };
        let signature = call.sign(keys, &self.idempotency_key, timestamp);
        let mut headers = vec![
            ("X-Idempotency-Key", self.idempotency_key.clone()),
            ("X-Timestamp", timestamp.to_string()),
            ("X-Signature", signature),
        ];
        if call.method == Method::Post {
            headers.insert(0, ("Content-Type", "application/json".to_owned()));
        }
        Ok(Signed {
            method: call.method.as_str(),
            url: call.target(&call.url),
            target: call.target(path),
            payload: Payload {
                url: call.url,
                idempotency_key: self.idempotency_key.clone(),
                timestamp,
                content: call.content,
            },
            key_id: keys.signing().map(|name| name.id().to_owned()).unwrap_or_default(),
            headers,
            body: call.body,
        })
    }
}

/// The inputs of a GET as search parameters. Strings are used as they are, and other values as JSON.
fn parameters(inputs: &str) -> Result<Vec<(String, String)>, String> {
    let object: Map<String, Value> = serde_json::from_str(inputs)
        .map_err(|error| format!("The search parameters must be one JSON object: {error}."))?;
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    Ok(object.into_iter().map(|(name, value)| (name, text(value))).collect())
}

impl Signed {
    /// The request that is sent to this server. An error is a message for the person at the form.
    pub(crate) fn to_request(&self) -> Result<Request<Bytes>, String> {
        let mut request = Request::builder().method(self.method).uri(&self.target);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        request.body(Bytes::from(self.body.clone())).map_err(|_| {
            "The idempotency key cannot be sent in a header: use 1 to 255 visible ASCII characters without a colon."
                .to_owned()
        })
    }
}
