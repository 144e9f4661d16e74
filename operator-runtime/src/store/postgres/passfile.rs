//! The password from the environment, as libpq finds it: `PGPASSWORD`, or a line of the file that `PGPASSFILE` names.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// The permission bits of users other than the file's owner.
const OTHERS: u32 = 0o077;
/// The largest number of bytes to read from the file.
const LARGEST: u64 = 1024 * 1024;

/// Sets the password of each host that has none.
pub(super) fn set(hosts: &mut [Config]) {
    if hosts.iter().all(|host| host.get_password().is_some()) {
        return;
    }
    let password = std::env::var("PGPASSWORD").ok().filter(|password| !password.is_empty());
    let lines = match password {
        Some(_) => String::new(),
        None => read().unwrap_or_default(),
    };
    for host in hosts.iter_mut().filter(|host| host.get_password().is_none()) {
        if let Some(password) = password.clone().or_else(|| find(&lines, host)) {
            host.password(password);
        }
    }
}

/// The text of the file; `None` if there is no file, or a file that is not safe to use.
fn read() -> Option<String> {
    let named = std::env::var_os("PGPASSFILE")
        .filter(|path| !path.is_empty())
        .map(PathBuf::from);
    let path = named.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".pgpass")))?;
    // Checked before the file is opened, because opening a pipe waits for a writer.
    if !std::fs::metadata(&path).ok()?.is_file() {
        return None;
    }
    let file = File::open(&path).ok()?;
    let metadata = file.metadata().ok()?;
    if metadata.permissions().mode() & OTHERS != 0 {
        let path = path.display();
        tracing::warn!(
            "the password file {path} is ignored, because other users can access it: run `chmod 600 {path}`"
        );
        return None;
    }
    let mut text = String::new();
    file.take(LARGEST).read_to_string(&mut text).ok()?;
    Some(text)
}

/// The password of the first line that matches. A line is `host:port:database:user:password`; `*` matches any value.
fn find(lines: &str, host: &Config) -> Option<String> {
    let name = match host.get_hosts().first() {
        Some(Host::Tcp(name)) => name.clone(),
        #[cfg(unix)]
        Some(Host::Unix(path)) => path.display().to_string(),
        None => host.get_hostaddrs().first()?.to_string(),
    };
    let port = host.get_ports().first().copied().unwrap_or(5432).to_string();
    let user = host.get_user().unwrap_or_default();
    let database = host.get_dbname().unwrap_or(user);
    let wanted = [name.as_str(), &port, database, user];
    lines.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let fields = fields(line);
        let (password, place) = fields.split_last()?;
        let fits = place.len() == wanted.len()
            && place
                .iter()
                .zip(wanted)
                .all(|(field, wanted)| field == "*" || field == wanted);
        fits.then(|| password.clone())
    })
}

/// The first four fields of a line, and the rest as the password. A backslash makes the next character part of a field.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        let count = fields.len();
        let Some(field) = fields.last_mut() else { break };
        match character {
            '\\' => field.extend(characters.next()),
            ':' if count < 5 => fields.push(String::new()),
            other => field.push(other),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_fits_has_the_password() {
        let lines = "# comment\ndb1:5432:shop:app:one\n*:5432:shop:app:t:wo\n*:*:*:a\\:b:th\\\\ree\n";
        let password = |address: &str| find(lines, &address.parse().expect("an address"));
        assert_eq!(password("postgres://app@db1/shop").as_deref(), Some("one"));
        assert_eq!(password("postgres://app@db2/shop").as_deref(), Some("t:wo"));
        assert_eq!(password("postgres://a%3Ab@db2:7/x").as_deref(), Some("th\\ree"));
        assert_eq!(password("postgres://app@db1:7/shop"), None);
    }
}
