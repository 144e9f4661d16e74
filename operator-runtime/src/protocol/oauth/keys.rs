//! The keys that an issuer publishes as a JWKS (RFC 7517).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use serde::Deserialize;
use serde_json::Value;

/// The most keys of an issuer. Real issuers publish a few.
const MOST_KEYS: usize = 100;

/// The usable keys of an issuer.
#[derive(Clone, Debug)]
pub(crate) struct IssuerKeys(Vec<IssuerKey>);

/// One key.
#[derive(Clone, Debug)]
pub(super) struct IssuerKey {
    id: Option<String>,
    /// The only algorithm that the key is for, if the issuer says so.
    algorithm: Option<String>,
    material: Material,
}

#[derive(Clone, Debug)]
enum Material {
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    /// An uncompressed point, or a key of Ed25519, and the name of its curve.
    Curve {
        curve: &'static str,
        point: Vec<u8>,
    },
}

/// A key as it is written (RFC 7517 §4, RFC 7518 §6).
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<Value>,
}

impl IssuerKeys {
    /// Reads a JWKS. Keys of other kinds and for other uses are left out. The error is a sentence.
    pub(crate) fn parse(document: &[u8]) -> Result<Self, String> {
        let jwks: Jwks =
            serde_json::from_slice(document).map_err(|error| format!("Its keys are not a JWKS: {error}."))?;
        if jwks.keys.len() > MOST_KEYS {
            return Err(format!(
                "It publishes {} keys, more than the {MOST_KEYS} that are read.",
                jwks.keys.len()
            ));
        }
        let keys: Vec<IssuerKey> = jwks.keys.into_iter().filter_map(IssuerKey::read).collect();
        if keys.is_empty() {
            return Err("It publishes no key that can verify a signature (RSA, P-256, P-384 or Ed25519).".to_owned());
        }
        Ok(Self(keys))
    }

    /// The key with this id. A token without an id can only be signed by the issuer's only key.
    pub(super) fn find(&self, id: Option<&str>) -> Option<&IssuerKey> {
        match (id, self.0.as_slice()) {
            (None, [only]) => Some(only),
            (None, _) => None,
            (Some(id), keys) => keys.iter().find(|key| key.id.as_deref() == Some(id)),
        }
    }
}

impl IssuerKey {
    fn read(value: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        if jwk.usage.is_some_and(|usage| usage != "sig") {
            return None;
        }
        let decoded = |part: &Option<String>| URL_SAFE_NO_PAD.decode(part.as_deref()?).ok();
        let point = |curve, length: usize| {
            let (x, y) = (decoded(&jwk.x)?, decoded(&jwk.y)?);
            let point = [&[4][..], &x, &y].concat();
            (x.len() == length && y.len() == length).then_some(Material::Curve { curve, point })
        };
        let material = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => Material::Rsa {
                modulus: decoded(&jwk.n)?,
                exponent: decoded(&jwk.e)?,
            },
            ("EC", Some("P-256")) => point("P-256", 32)?,
            ("EC", Some("P-384")) => point("P-384", 48)?,
            ("OKP", Some("Ed25519")) => Material::Curve {
                curve: "Ed25519",
                point: decoded(&jwk.x)?,
            },
            _ => return None,
        };
        Some(Self {
            id: jwk.kid,
            algorithm: jwk.alg,
            material,
        })
    }

    /// Verifies a signature of the message by the algorithm that a token names (RFC 7518 §3.1). The error is a clause.
    pub(super) fn verify(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> Result<(), String> {
        let fits = self.algorithm.as_deref().is_none_or(|own| own == algorithm);
        let verified = match (&self.material, algorithm) {
            (Material::Rsa { modulus, exponent }, _) if fits => rsa(algorithm).map(|parameters| {
                let key = RsaPublicKeyComponents {
                    n: modulus,
                    e: exponent,
                };
                key.verify(parameters, message, signature).is_ok()
            }),
            (Material::Curve { curve, point }, _) if fits => on_curve(curve, algorithm).map(|algorithm| {
                UnparsedPublicKey::new(algorithm, point)
                    .verify(message, signature)
                    .is_ok()
            }),
            _ => None,
        };
        match verified {
            Some(true) => Ok(()),
            Some(false) => Err("has a signature that does not match the issuer's key".to_owned()),
            None => Err(format!(
                "names the algorithm `{}`, which does not fit the issuer's key",
                algorithm.escape_debug()
            )),
        }
    }
}

fn rsa(algorithm: &str) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        "RS256" => &RSA_PKCS1_2048_8192_SHA256,
        "RS384" => &RSA_PKCS1_2048_8192_SHA384,
        "RS512" => &RSA_PKCS1_2048_8192_SHA512,
        "PS256" => &RSA_PSS_2048_8192_SHA256,
        "PS384" => &RSA_PSS_2048_8192_SHA384,
        "PS512" => &RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

fn on_curve(curve: &str, algorithm: &str) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match (curve, algorithm) {
        ("P-256", "ES256") => &ECDSA_P256_SHA256_FIXED,
        ("P-384", "ES384") => &ECDSA_P384_SHA384_FIXED,
        ("Ed25519", "EdDSA" | "Ed25519") => &ED25519,
        _ => return None,
    })
}
