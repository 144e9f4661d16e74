//! A lower bound of the cost of a call with any design.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::convert::Infallible;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex};

use axum::body::Body;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use operator_runtime::store::{Fingerprint, OperationId};
use sha2::Sha256;
use tower::{Service, service_fn};

use super::requests::{SECRET, URL};
use super::{Order, RECORDED};

/// A service that does only what every design must do: it computes the hashes that the protocol and the records need,
/// calls the bare handler, and uses a map. It refuses no signature, and logs, counts and limits nothing.
struct Floor {
    /// The HMAC state after the key and the endpoint's URL.
    signing: Hmac<Sha256>,
    answers: Mutex<HashMap<OperationId, (Fingerprint, Bytes), BuildHasherDefault<LastBytes>>>,
}

impl Floor {
    fn new() -> Self {
        let mut signing = Hmac::new_from_slice(SECRET.as_bytes()).unwrap();
        signing.update(format!("{URL}{RECORDED}:").as_bytes());
        Self {
            signing,
            answers: Mutex::default(),
        }
    }

    /// A first call uses the map twice, before and after the handler. A replay uses the map once and runs no handler.
    fn answer(&self, headers: &HeaderMap, body: &Bytes) -> Response<Full<Bytes>> {
        let header = |name: &str| headers[name].to_str().unwrap();
        let idempotency_key = header("x-idempotency-key");
        let mut mac = self.signing.clone();
        mac.update(idempotency_key.as_bytes());
        mac.update(b":");
        mac.update(header("x-timestamp").as_bytes());
        mac.update(b":");
        mac.update(body);
        std::hint::black_box(mac.finalize().into_bytes());
        let fingerprint = Fingerprint::new("POST", RECORDED, header("content-type"), body);
        let id = OperationId::new("default", idempotency_key);
        let answer = match self.answers.lock().unwrap().entry(id) {
            Entry::Occupied(occupied) if occupied.get().0 == fingerprint => Some(occupied.get().1.clone()),
            Entry::Occupied(_) => {
                let mut mismatch = Response::default();
                *mismatch.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
                return mismatch;
            }
            Entry::Vacant(vacant) => {
                vacant.insert((fingerprint, Bytes::new()));
                None
            }
        };
        let answer = answer.unwrap_or_else(|| {
            let order: Order = serde_json::from_slice(body).unwrap();
            let answer = Bytes::from(serde_json::to_vec(&order).unwrap());
            self.answers.lock().unwrap().get_mut(&id).unwrap().1 = answer.clone();
            answer
        });
        let mut response = Response::new(Full::new(answer));
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        response
    }
}

/// A hasher that uses the last bytes of an operation's id, because the id is already a hash.
#[derive(Default)]
struct LastBytes(u64);

impl Hasher for LastBytes {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.last_chunk().map_or(0, |last| u64::from_ne_bytes(*last));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The service, without a router.
pub(crate) fn floor()
-> impl Service<Request<Body>, Response = Response<Full<Bytes>>, Error = Infallible, Future: Send> + Clone {
    let floor = Arc::new(Floor::new());
    service_fn(move |request: Request<Body>| {
        let floor = Arc::clone(&floor);
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            Ok(floor.answer(&parts.headers, &body))
        }
    })
}
