//! An issuer of access tokens that signs what a test asks for. `issuer.py` is its process.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::{Map, Value, json};
use tests::caller::{PUBLIC_URL, now};
use tests::process::installed;

/// The issuer. Its keys are called `rsa`, `p256`, `p384` and `ed25519`, and so are their ids. It does not publish the key
/// `foreign`.
pub(crate) struct Issuer {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
    pub(crate) url: String,
}

impl Issuer {
    pub(crate) fn start() -> Self {
        let mut child = Command::new(installed("python/bin/python"))
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/callers/issuer.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = String::new();
        let mut issuer = Self { child, said, url };
        issuer.url = issuer.next().as_str().unwrap().to_owned();
        issuer
    }

    fn next(&mut self) -> Value {
        let line = self.said.next().expect("the issuer has ended").unwrap();
        serde_json::from_str(&line).unwrap()
    }

    pub(crate) fn tell(&mut self, command: &Value) -> Value {
        writeln!(self.child.stdin.as_mut().unwrap(), "{command}").unwrap();
        self.next()
    }

    /// How the issuer answers: `up`, `down`, `hang`, or `large` with a JWKS of more than a megabyte.
    pub(crate) fn be(&mut self, mode: &str) {
        self.tell(&json!({ "mode": mode }));
    }

    /// How many requests have arrived.
    pub(crate) fn asked(&mut self) -> u64 {
        self.tell(&json!({ "asked": true })).as_u64().unwrap()
    }

    /// How often the keys were fetched.
    pub(crate) fn fetches(&mut self) -> u64 {
        self.tell(&json!({ "fetches": true })).as_u64().unwrap()
    }

    /// The setting of a server that accepts tokens of this issuer.
    pub(crate) fn setting(&self) -> (&'static str, &str) {
        ("OPERATOR_OAUTH_ISSUER", &self.url)
    }

    /// The claims of a good token, with some of them changed. Null removes a claim.
    pub(crate) fn claims(&self, changed: Value) -> Value {
        let good = json!({
            "iss": self.url,
            "aud": PUBLIC_URL,
            "sub": "somebody",
            "client_id": "agent",
            "iat": now(),
            "exp": now() + 300,
            "jti": "1",
            "scope": "operator:read operator:act",
        });
        with(good, changed)
    }

    /// A token with some claims changed, which is otherwise good.
    pub(crate) fn token(&mut self, changed: Value) -> String {
        let claims = self.claims(changed);
        self.sign("rsa", &header(json!({})), &claims, None)
    }

    /// A token with some members of its header changed, signed with this key, by the algorithm that the header names or
    /// by another one. The key is the name of one of the issuer's, a secret, or the hexadecimal digits of an Ed25519 key.
    pub(crate) fn with_header(&mut self, key: &str, changed: Value, by: Option<&str>) -> String {
        let claims = self.claims(json!({}));
        self.sign(key, &header(changed), &claims, by)
    }

    /// The signature of a text, in hexadecimal digits. The key is the name of one of the issuer's, or the hexadecimal
    /// digits of an Ed25519 key.
    pub(crate) fn sign_text(&mut self, key: &str, text: &str) -> String {
        let command = json!({ "key": key, "message": text });
        self.tell(&command).as_str().unwrap().to_owned()
    }

    fn sign(&mut self, key: &str, header: &Value, claims: &Value, by: Option<&str>) -> String {
        let mut command = json!({ "key": key, "header": header, "claims": claims });
        if let Some(by) = by {
            command["by"] = by.into();
        }
        self.tell(&command).as_str().unwrap().to_owned()
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        // An error means that the process has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The value of `Authorization` with a token.
pub(crate) fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn header(changed: Value) -> Value {
    with(json!({ "typ": "at+jwt", "alg": "RS256", "kid": "rsa" }), changed)
}

fn with(good: Value, changed: Value) -> Value {
    let members = |value| serde_json::from_value::<Map<String, Value>>(value).unwrap();
    let mut all = members(good);
    all.extend(members(changed));
    // In a header, null is also a wrong value.
    all.retain(|name, value| name == "crit" || !value.is_null());
    Value::Object(all)
}
