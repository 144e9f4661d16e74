//! The file of secrets that a setting names: who may read and write it, and its text.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;

use zeroize::Zeroizing;

use super::setting::{Given, SettingName};
use crate::app::start_error::StartProblem;

/// The most bytes of such a file; thousands of keys are shorter.
const LARGEST: u64 = 1024 * 1024;
/// The mode bits that let the file's group or everybody write it.
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// The mode bit that lets everybody read it. A group that may read is left alone: it is how a program that does not own
/// the file is let in.
const READABLE_BY_ALL: u32 = 0o004;

/// A file, and the setting that names it as `@FILE`.
pub(super) struct SecretFile<'s> {
    path: &'s str,
    setting: SettingName,
}

impl<'s> SecretFile<'s> {
    /// The file, where the setting's value names one.
    pub(super) fn of(given: &'s Given<String>) -> Option<Self> {
        let path = given.value.strip_prefix('@')?;
        let setting = given.setting;
        Some(Self { path, setting })
    }

    /// How sentences name it.
    pub(super) fn place(&self) -> String {
        format!("{} ({})", self.path, self.setting)
    }

    /// Its text. That everybody may read it is a warning in the log.
    pub(super) fn read(&self) -> Result<Zeroizing<String>, StartProblem> {
        self.bytes().and_then(|bytes| self.text(bytes))
    }

    pub(super) fn problem(&self, sentence: String) -> StartProblem {
        StartProblem::of(self.setting, sentence)
    }

    fn bytes(&self) -> Result<Zeroizing<Vec<u8>>, StartProblem> {
        let unreadable = |error: io::Error| {
            let sentence = format!("The file {} cannot be read: {error}.", self.place());
            self.problem(sentence).caused_by(error)
        };
        let file = File::open(self.path).map_err(unreadable)?;
        // Of what was opened: where the path is a symbolic link, the file that it leads to.
        let metadata = file.metadata().map_err(unreadable)?;
        self.check(&metadata)?;
        let mut bytes = Zeroizing::new(Vec::new());
        file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if u64::try_from(bytes.len()).is_ok_and(|length| length > LARGEST) {
            return Err(self.problem(format!(
                "The file {} is larger than 1 MiB, which no list of secrets is: name the file that holds the secrets.",
                self.place()
            )));
        }
        Ok(bytes)
    }

    fn check(&self, metadata: &Metadata) -> Result<(), StartProblem> {
        let (path, place) = (self.path, self.place());
        if metadata.is_dir() {
            return Err(self.problem(format!(
                "{place} is a directory: name the file in it that holds the secrets."
            )));
        }
        let mode = metadata.permissions().mode();
        if mode & WRITABLE_BY_OTHERS != 0 {
            return Err(self.problem(format!(
                "The file {place} can be written by others than its owner, who could add secrets of their own: run `chmod 600 {path}`."
            )));
        }
        if mode & READABLE_BY_ALL != 0 {
            tracing::warn!(
                "everybody on this machine may read the secrets in the file {place}: run `chmod 600 {path}`"
            );
        }
        Ok(())
    }

    fn text(&self, mut bytes: Zeroizing<Vec<u8>>) -> Result<Zeroizing<String>, StartProblem> {
        if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
            let sentence = format!("The file {} is in UTF-16: save it in UTF-8.", self.place());
            return Err(self.problem(sentence));
        }
        match String::from_utf8(std::mem::take(&mut bytes)) {
            Ok(text) => Ok(Zeroizing::new(text)),
            Err(error) => {
                let cause = error.utf8_error();
                let bytes = Zeroizing::new(error.into_bytes());
                let line = bytes
                    .iter()
                    .take(cause.valid_up_to())
                    .filter(|byte| **byte == b'\n')
                    .count()
                    + 1;
                let sentence = format!("Line {line} of {} is not UTF-8: save the file in UTF-8.", self.place());
                Err(self.problem(sentence).caused_by(cause))
            }
        }
    }
}
