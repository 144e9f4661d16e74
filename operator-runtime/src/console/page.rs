//! The files of the console and of the admin page. They are embedded in the program, so there is no build step, and a
//! page loads nothing from other servers.

/// One file of the page.
pub(crate) struct Asset {
    /// The last part of the file's path; the path of the page stands before it.
    pub(crate) name: &'static str,
    pub(crate) content_type: &'static str,
    pub(crate) content: &'static str,
}

/// The path of the page.
pub(crate) const PATH: &str = "/console";

const STYLE: Asset = asset(
    "console.css",
    "text/css; charset=utf-8",
    include_str!("page/console.css"),
);
const ICON: Asset = asset("icon.svg", "image/svg+xml", include_str!("page/icon.svg"));
const FORM: Asset = script("form.js", include_str!("page/form.js"));
const SHOW: Asset = script("show.js", include_str!("page/show.js"));
const PAGE: Asset = script("page.js", include_str!("page/page.js"));

/// The files that the console loads.
pub(crate) const ASSETS: [Asset; 8] = [
    STYLE,
    ICON,
    FORM,
    SHOW,
    PAGE,
    script("console.js", include_str!("page/console.js")),
    script("endpoint.js", include_str!("page/endpoint.js")),
    script("check.js", include_str!("page/check.js")),
];

/// The files that the admin page loads.
pub(crate) const ADMIN_ASSETS: [Asset; 7] = [
    STYLE,
    ICON,
    FORM,
    SHOW,
    PAGE,
    script("admin.js", include_str!("page/admin.js")),
    script("settle.js", include_str!("page/settle.js")),
];

/// The admin page. It contains no secret.
pub(crate) const ADMIN: &str = include_str!("page/admin.html");

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

const fn asset(name: &'static str, content_type: &'static str, content: &'static str) -> Asset {
    Asset {
        name,
        content_type,
        content,
    }
}

const fn script(name: &'static str, content: &'static str) -> Asset {
    asset(name, "text/javascript; charset=utf-8", content)
}
