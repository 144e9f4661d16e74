//! Splits the address of a server, such as `user:password@host/path?options`, so that messages can leave out the secrets.

/// The parts of an address after its scheme, still percent-encoded.
pub(super) struct Parts<'a> {
    /// User and password.
    pub(super) userinfo: Option<&'a str>,
    /// One host or several, separated by commas.
    pub(super) hosts: &'a str,
    pub(super) path: &'a str,
    pub(super) options: &'a str,
}

impl<'a> Parts<'a> {
    /// Splits an address whose hosts end before one of these characters. Returns `None` if an `@` follows: it may belong
    /// to a password with such a character. Then the parts would be wrong, and messages would print some of the password.
    pub(super) fn of(rest: &'a str, ends: &[char]) -> Option<Self> {
        let (authority, tail) = rest.split_at(rest.find(ends).unwrap_or(rest.len()));
        if tail.contains('@') {
            return None;
        }
        let (userinfo, hosts) = match authority.rsplit_once('@') {
            Some((userinfo, hosts)) => (Some(userinfo), hosts),
            None => (None, authority),
        };
        let (path, options) = tail.split_once('?').unwrap_or((tail, ""));
        Some(Self {
            userinfo,
            hosts,
            path: path.strip_prefix('/').unwrap_or(path),
            options,
        })
    }
}
