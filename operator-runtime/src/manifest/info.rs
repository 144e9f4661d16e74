//! What an OpenAPI document says about the program: title, version, licence, contact and servers.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::openapi::Dialect;
use crate::input::is_email;
use crate::protocol::public_url::PublicUrl;

/// What the OpenAPI document says about the program, for [`App::info`](crate::App::info).
///
/// [`info!`](crate::info) takes the values from the `Cargo.toml` of the program. Each method replaces one of them.
///
/// ```
/// use operator_runtime::{App, info};
///
/// let info = info!()
///     .title("The shop's support desk")
///     .contact_email("support@shop.example")
///     .server("https://sandbox.shop.example", "For trials: nothing is paid or sent.");
/// let app = App::new().info(info);
/// ```
#[derive(Clone, Debug)]
pub struct Info {
    title: String,
    version: String,
    description: Option<String>,
    license: Option<License>,
    contact_name: Option<String>,
    contact_email: Option<String>,
    contact_url: Option<String>,
    servers: Vec<Server>,
}

#[derive(Clone, Debug)]
struct License {
    /// An SPDX expression, or the title of a text.
    name: String,
    is_spdx: bool,
    url: Option<String>,
}

#[derive(Clone, Debug)]
struct Server {
    url: String,
    description: String,
}

impl Info {
    /// A title and the version of the description.
    #[must_use]
    pub fn new(title: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            version: version.into(),
            description: None,
            license: None,
            contact_name: None,
            contact_email: None,
            contact_url: None,
            servers: Vec::new(),
        }
    }

    /// Used by [`info!`](crate::info). Cargo accepts values that OpenAPI does not: such a value is left out.
    #[doc(hidden)]
    #[must_use]
    pub fn of_package(
        name: Option<&str>,
        version: Option<&str>,
        description: Option<&str>,
        license: Option<&str>,
        authors: Option<&str>,
        homepage: Option<&str>,
    ) -> Self {
        let given = |value: Option<&str>| {
            value
                .map(str::trim)
                .filter(|value| !value.is_empty())
                .map(str::to_owned)
        };
        let unnamed = Self::unnamed();
        let author = given(authors.and_then(|authors| authors.split(':').next()));
        let (author, email) = match author.as_deref().and_then(|author| author.split_once('<')) {
            Some((name, email)) => (given(Some(name)), given(Some(email.trim_end_matches('>')))),
            None => (author, None),
        };
        Self {
            description: given(description),
            license: given(license).map(License::of_package),
            contact_name: author,
            contact_email: email.filter(|email| is_email(email)),
            contact_url: given(homepage).filter(|url| is_web_url(url)),
            ..Self::new(
                given(name).unwrap_or(unnamed.title),
                given(version).unwrap_or(unnamed.version),
            )
        }
    }

    /// The information about a program that gives none.
    pub(crate) fn unnamed() -> Self {
        Self::new("Endpoints for an AI support agent", "0.0.0")
    }

    /// Sets the title.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// Sets the version of the description, which readers compare with the one that they have.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// Sets the description, in Markdown.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Sets the licence, as an SPDX expression: `MIT OR Apache-2.0`.
    #[must_use]
    pub fn license(mut self, expression: impl Into<String>) -> Self {
        self.license = Some(License {
            name: expression.into(),
            is_spdx: true,
            url: None,
        });
        self
    }

    /// Sets the licence or the terms of use, as a title and the URL of the text.
    #[must_use]
    pub fn license_at(mut self, title: impl Into<String>, url: impl Into<String>) -> Self {
        self.license = Some(License {
            name: title.into(),
            is_spdx: false,
            url: Some(url.into()),
        });
        self
    }

    /// Sets the name of the person or team to ask about the endpoints.
    #[must_use]
    pub fn contact_name(mut self, name: impl Into<String>) -> Self {
        self.contact_name = Some(name.into());
        self
    }

    /// Sets the e-mail address of the person or team to ask about the endpoints.
    #[must_use]
    pub fn contact_email(mut self, email: impl Into<String>) -> Self {
        self.contact_email = Some(email.into());
        self
    }

    /// Sets the URL of a page about the endpoints.
    #[must_use]
    pub fn contact_url(mut self, url: impl Into<String>) -> Self {
        self.contact_url = Some(url.into());
        self
    }

    /// Adds a server that has the same endpoints: its public URL, and what the server is for. The document always lists
    /// the public URL of this program first; give the same URL here to describe it.
    #[must_use]
    pub fn server(mut self, url: impl Into<String>, description: impl Into<String>) -> Self {
        self.servers.push(Server {
            url: url.into().trim_end_matches('/').to_owned(),
            description: description.into(),
        });
        self
    }

    /// What OpenAPI does not allow: each as the end of the sentence "the information … ", with what to write instead.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.title.trim().is_empty() {
            problems.push("has an empty title: write the name of the program".to_owned());
        }
        if self.version.trim().is_empty() {
            problems.push("has an empty version: write one like `1.0.0`".to_owned());
        }
        if let Some(License { name, is_spdx, url }) = &self.license {
            if *is_spdx && !is_spdx_expression(name) {
                problems.push(format!("has the licence `{name}`, which is not an SPDX expression: write one like `MIT OR Apache-2.0`, or use `license_at` with the title and the URL of the licence"));
            }
            problems.extend(url.as_deref().and_then(|url| wrong_url("licence", url)));
        }
        problems.extend(self.contact_url.as_deref().and_then(|url| wrong_url("contact", url)));
        if let Some(email) = self.contact_email.as_ref().filter(|email| !is_email(email)) {
            problems.push(format!(
                "has the contact `{email}`, which is not an e-mail address: write one like `support@shop.example`"
            ));
        }
        for (index, Server { url, .. }) in self.servers.iter().enumerate() {
            if let Err(why) = PublicUrl::parse(url) {
                problems.push(format!(
                    "has the server `{url}`, which {why}: write one like `https://api.shop.example`"
                ));
            }
            let others = &self.servers[..index];
            if others.iter().any(|other| published(&other.url) == published(url)) {
                problems.push(format!("has the server `{url}` twice: remove one"));
            }
        }
        problems
    }

    /// The title and the version, for MCP clients.
    #[cfg(feature = "mcp")]
    pub(crate) fn name_and_version(&self) -> (String, String) {
        (self.title.clone(), self.version.clone())
    }

    /// The `info` of a document.
    pub(super) fn to_value(&self, dialect: Dialect) -> Value {
        let description = self.description.as_deref().unwrap_or(
            "What an AI support agent can look up and do here. Every caller shows who it is, and a retry with the same idempotency key is no second operation.",
        );
        let mut info = json!({ "title": self.title, "description": description, "version": self.version });
        if let Some(License { name, is_spdx, url }) = &self.license {
            info["license"] = json!({ "name": name });
            if let Some(url) = url {
                info["license"]["url"] = url.as_str().into();
            }
            // 3.0 has no `identifier`.
            if *is_spdx && dialect == Dialect::V3_1 {
                info["license"]["identifier"] = name.as_str().into();
            }
        }
        for (keyword, value) in [
            ("name", &self.contact_name),
            ("email", &self.contact_email),
            ("url", &self.contact_url),
        ] {
            if let Some(value) = value {
                info["contact"][keyword] = value.as_str().into();
            }
        }
        info
    }

    /// The `servers` of a document, the public URL first.
    pub(super) fn servers(&self, public_url: &PublicUrl) -> Value {
        let of_program = json!({ "url": public_url.as_str() });
        let mut servers = vec![of_program];
        for Server { url, description } in &self.servers {
            let url = published(url);
            let server = json!({ "url": url, "description": description });
            if url == public_url.as_str() {
                servers[0] = server;
            } else {
                servers.push(server);
            }
        }
        servers.into()
    }
}

/// The URL of a server as callers sign it.
fn published(url: &str) -> Cow<'_, str> {
    PublicUrl::parse(url).map_or(Cow::Borrowed(url), |url| Cow::Owned(url.to_string()))
}

impl License {
    fn of_package(name: String) -> Self {
        // Cargo also accepts `MIT/Apache-2.0`.
        let expression = name.replace('/', " OR ");
        let is_spdx = is_spdx_expression(&expression);
        Self {
            name: if is_spdx { expression } else { name },
            is_spdx,
            url: None,
        }
    }
}

/// Whether a text has the form of an SPDX licence expression: identifiers with `AND`, `OR` or `WITH` between them.
fn is_spdx_expression(text: &str) -> bool {
    let words: Vec<&str> = text.split([' ', '(', ')']).filter(|word| !word.is_empty()).collect();
    let is_identifier = |word: &str| {
        let is_allowed = |letter: char| letter.is_ascii_alphanumeric() || ".-+:".contains(letter);
        word.chars().all(is_allowed)
    };
    words.len() % 2 == 1
        && words.iter().enumerate().all(|(index, word)| match index % 2 {
            0 => is_identifier(word),
            _ => ["AND", "OR", "WITH"].contains(word),
        })
}

fn is_web_url(text: &str) -> bool {
    let parsed = text.parse::<http::Uri>().ok();
    parsed.is_some_and(|url| matches!(url.scheme_str(), Some("http" | "https")) && url.authority().is_some())
}

fn wrong_url(of: &str, url: &str) -> Option<String> {
    (!is_web_url(url)).then(|| {
        format!("has the {of} URL `{url}`, which is not a web address: write one like `https://shop.example/api`")
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

    use super::*;

    fn of(license: &str, authors: &str, homepage: &str) -> Info {
        Info::of_package(
            Some("shop"),
            Some("1.2.3"),
            Some(""),
            Some(license),
            Some(authors),
            Some(homepage),
        )
    }

    #[test]
    fn a_package_gives_only_what_openapi_allows() {
        let info = of(
            "MIT/Apache-2.0",
            "Ana Ruiz <ana@shop.example>:Ben",
            "https://shop.example",
        );
        assert_eq!(
            info.to_value(Dialect::V3_1)["license"],
            json!({ "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" })
        );
        assert_eq!(
            info.to_value(Dialect::V3_0)["license"],
            json!({ "name": "MIT OR Apache-2.0" })
        );
        assert_eq!(
            info.to_value(Dialect::V3_1)["contact"],
            json!({ "name": "Ana Ruiz", "email": "ana@shop.example", "url": "https://shop.example" })
        );
        let odd = of("All rights reserved", "Ana Ruiz <ana at shop>", "tba");
        assert_eq!(odd.problems(), Vec::<String>::new());
        assert_eq!(
            odd.to_value(Dialect::V3_1)["license"],
            json!({ "name": "All rights reserved" })
        );
        assert_eq!(odd.to_value(Dialect::V3_1)["contact"], json!({ "name": "Ana Ruiz" }));
        let none = Info::of_package(None, None, None, None, None, None);
        assert_eq!(none.to_value(Dialect::V3_1), Info::unnamed().to_value(Dialect::V3_1));
        let bare = of("", "", "").to_value(Dialect::V3_1);
        let keys: Vec<&String> = bare.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["description", "title", "version"]);
    }

    #[test]
    fn the_public_url_comes_first_and_can_be_described() {
        let here = PublicUrl::parse("https://api.shop.example").unwrap();
        let info = Info::new("Shop", "1").server("https://sandbox.shop.example/", "For trials.");
        assert_eq!(
            info.servers(&here),
            json!([
                { "url": "https://api.shop.example" },
                { "url": "https://sandbox.shop.example", "description": "For trials." },
            ])
        );
        let info = info.server("HTTPS://Api.Shop.Example:443", "For customers.");
        assert_eq!(info.servers(&here)[0]["description"], "For customers.");
        assert_eq!(info.servers(&here).as_array().unwrap().len(), 2);
    }

    #[test]
    fn every_wrong_value_is_reported_with_what_to_write() {
        let info = Info::new(" ", "")
            .license("My own licence")
            .contact_email("ana")
            .contact_url("shop.example")
            .server("http://api.shop.example", "")
            .server("https://a.example", "")
            .server("https://A.example:443/", "");
        let problems = info.problems();
        let begins = [
            "has an empty title: write",
            "has an empty version: write",
            "has the licence `My own licence`, which is not an SPDX expression: write",
            "has the contact URL `shop.example`, which is not a web address: write",
            "has the contact `ana`, which is not an e-mail address: write",
            "has the server `http://api.shop.example`, which is not https",
            "has the server `https://A.example:443` twice: remove one",
        ];
        assert_eq!(problems.len(), begins.len(), "{problems:#?}");
        for (problem, begin) in problems.iter().zip(begins) {
            assert!(problem.starts_with(begin), "{problem:?}");
        }
        for wrong in ["file:///terms", "terms"] {
            assert_eq!(
                Info::new("a", "1").license_at("Terms", wrong).problems().len(),
                1,
                "{wrong}"
            );
        }
        for right in [
            "MIT",
            "(MIT OR Apache-2.0) AND BSD-3-Clause",
            "GPL-2.0+ WITH Classpath-exception-2.0",
        ] {
            assert_eq!(
                Info::new("a", "1").license(right).problems(),
                Vec::<String>::new(),
                "{right}"
            );
        }
    }
}
