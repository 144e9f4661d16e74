//! The key file of `dev`: the key is generated once and kept in a file that only its owner can read.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::protocol::secrets::without_line_end;
use crate::protocol::signature::{Keys, generate_secret};

/// The path of the key file: in the current folder, like the default database.
pub(super) fn path() -> PathBuf {
    PathBuf::from("operator-dev.key")
}

/// The name of the file in messages about its secret.
pub(super) fn place(path: &Path) -> String {
    format!("The key file {}", path.display())
}

/// Reads the key. If there is no file, creates a file with a new key.
pub(super) fn read_or_make(path: &Path) -> Result<String, String> {
    match read(path)? {
        Some(secret) => Ok(secret),
        None => make(path),
    }
}

/// Reads the key, if there is a file.
pub(super) fn read(path: &Path) -> Result<Option<String>, String> {
    let shown = path.display();
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("The key file {shown} cannot be read: {error}.")),
    };
    // Reading a pipe would wait for a writer.
    if !metadata.is_file() {
        return Err(format!(
            "The key file {shown} is not a regular file: remove it to get a new key."
        ));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(format!(
            "Other users can read the key file {shown}: run `chmod 600 {shown}`, or remove the file to get a new key."
        ));
    }
    let secret = fs::read_to_string(path).map_err(|error| format!("The key file {shown} cannot be read: {error}."))?;
    // The key is checked here, so that the message names the file.
    let checked = Keys::single(&place(path), &secret);
    checked.map_err(|error| format!("{error} Or remove the file to get a new key."))?;
    Ok(Some(without_line_end(&secret).to_owned()))
}

fn make(path: &Path) -> Result<String, String> {
    let secret = generate_secret().map_err(|error| error.to_string())?;
    let shown = path.display();
    // `create_new` fails if the file exists, because an existing file would keep its permissions.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(format!("{secret}\n").as_bytes()))
        .map_err(|error| format!("The key file {shown} cannot be written: {error}."))?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::{read, read_or_make};

    #[test]
    fn a_key_file_is_made_once_and_only_its_owner_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        assert_eq!(read(&path), Ok(None));
        let secret = read_or_make(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read_or_make(&path).as_ref(), Ok(&secret));
        fs::write(&path, format!("\u{feff}{secret}\n")).unwrap();
        let refused = read_or_make(&path).unwrap_err();
        assert!(
            refused.contains("a byte-order mark before it") && !refused.contains(&secret),
            "{refused}"
        );
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert!(read_or_make(&path).unwrap_err().contains("chmod 600"));
    }
}
