//! The files of the console's page. They are embedded in the program, so there is no build step, and the page loads
//! nothing from other servers.

/// One file of the page.
pub(crate) struct Asset {
    pub(crate) path: &'static str,
    pub(crate) content_type: &'static str,
    pub(crate) content: &'static str,
}

/// The path of the page.
pub(crate) const PATH: &str = "/console";

/// The files that the page loads.
pub(crate) const ASSETS: [Asset; 8] = [
    asset(
        "/console/console.css",
        "text/css; charset=utf-8",
        include_str!("page/console.css"),
    ),
    asset("/console/icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
    script("/console/console.js", include_str!("page/console.js")),
    script("/console/endpoint.js", include_str!("page/endpoint.js")),
    script("/console/form.js", include_str!("page/form.js")),
    script("/console/show.js", include_str!("page/show.js")),
    script("/console/check.js", include_str!("page/check.js")),
    script("/console/page.js", include_str!("page/page.js")),
];

/// Security headers of every answer. With them, the browser runs only these scripts, connects only to this server, and
/// does not show the page in a frame.
pub(crate) const HEADERS: [(&str, &str); 7] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    ),
    ("cache-control", "no-store"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
];

/// The page with this run's token. The token is hexadecimal, so it needs no escaping.
pub(crate) fn html(token: &str) -> String {
    include_str!("page/console.html").replace("{{token}}", token)
}

const fn asset(path: &'static str, content_type: &'static str, content: &'static str) -> Asset {
    Asset {
        path,
        content_type,
        content,
    }
}

const fn script(path: &'static str, content: &'static str) -> Asset {
    asset(path, "text/javascript; charset=utf-8", content)
}
