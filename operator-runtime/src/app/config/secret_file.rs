//! The file of secrets that a setting names: who may read and write it, and its text.

use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use zeroize::Zeroizing;

use super::setting::{Given, SettingName};
use crate::app::start_error::StartProblem;

/// The largest size of such a file, in bytes. Thousands of keys fit into it.
const LARGEST: u64 = 1024 * 1024;
/// The mode bits that let the file's group or everybody write it.
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// The mode bit that lets everybody create, rename and remove files in a folder, and the bit that reserves this for the
/// files' owners, as in `/tmp`.
const OPEN_FOLDER: u32 = 0o002;
const STICKY: u32 = 0o1000;
/// The mode bit that lets everybody read the file. Read access for the group is allowed, because a program that does
/// not own the file needs it.
const READABLE_BY_ALL: u32 = 0o004;

/// A file, and the setting that names the file.
pub(super) struct SecretFile<'s> {
    path: &'s str,
    setting: SettingName,
    /// Whether everybody may read the file, because it contains no secret.
    is_public: bool,
}

/// What was read from a file.
pub(super) struct Contents {
    /// The text, if it can be read.
    pub(super) text: Option<Zeroizing<String>>,
    /// The problems of the file. If there are any, the text must not be used, but its problems can be reported too.
    pub(super) problems: Vec<StartProblem>,
}

impl Contents {
    /// The text, if the file has no problem.
    pub(super) fn checked(self) -> Result<Zeroizing<String>, Vec<StartProblem>> {
        let Self { text, problems } = self;
        text.filter(|_| problems.is_empty()).ok_or(problems)
    }
}

/// The text of a file, to find the files that the text names; empty if the file cannot be read. The file is checked when
/// it is read as secrets.
pub(super) fn peek(path: &str) -> String {
    let is_readable = |file: &Metadata| file.is_file() && file.len() <= LARGEST;
    let file = fs::metadata(path).ok().filter(is_readable);
    file.and_then(|_| fs::read_to_string(path).ok()).unwrap_or_default()
}

impl<'s> SecretFile<'s> {
    /// The file that the setting's value names, if it names one.
    pub(super) fn of(given: &'s Given<String>) -> Option<Self> {
        let path = given.value.strip_prefix('@')?;
        Some(Self::of_path(path, given.setting))
    }

    /// The same for a list without secrets.
    pub(super) fn of_public(given: &'s Given<String>) -> Option<Self> {
        let path = given.value.strip_prefix('@')?;
        Some(Self::of_public_path(path, given.setting))
    }

    /// The file of a secret at this path.
    pub(super) fn of_path(path: &'s str, setting: SettingName) -> Self {
        Self {
            path,
            setting,
            is_public: false,
        }
    }

    /// The file of a public key, or of another text without secrets. Others must not write it, but everybody may read it.
    pub(super) fn of_public_path(path: &'s str, setting: SettingName) -> Self {
        Self {
            path,
            setting,
            is_public: true,
        }
    }

    /// How messages name the file.
    pub(super) fn place(&self) -> String {
        format!("{} ({})", self.path, self.setting)
    }

    /// Reads the file, and finds who else may write it. If everybody may read the file, this logs a warning.
    pub(super) fn read(&self) -> Contents {
        let mut problems = Vec::new();
        let text = self
            .bytes(&mut problems)
            .and_then(|bytes| self.text(&bytes, &mut problems));
        let text = text.map_err(|problem| problems.push(problem)).ok();
        Contents { text, problems }
    }

    pub(super) fn problem(&self, sentence: String) -> StartProblem {
        StartProblem::of(self.setting, sentence)
    }

    fn bytes(&self, problems: &mut Vec<StartProblem>) -> Result<Zeroizing<Vec<u8>>, StartProblem> {
        let unreadable = |error: io::Error| {
            let sentence = format!("The file {} cannot be read: {error}.", self.place());
            self.problem(sentence).caused_by(error)
        };
        // The kind is checked before the file is opened, because opening a pipe waits for a writer.
        self.check_kind(&fs::metadata(self.path).map_err(unreadable)?)?;
        let file = File::open(self.path).map_err(unreadable)?;
        // The mode is that of the opened file, because the path may name another file by now.
        problems.extend(self.check_mode(&file.metadata().map_err(unreadable)?));
        problems.extend(self.check_folder());
        let mut bytes = Zeroizing::new(Vec::new());
        file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if u64::try_from(bytes.len()).is_ok_and(|length| length > LARGEST) {
            return Err(self.problem(format!(
                "The file {} is larger than 1 MiB, too large for this setting: name another file.",
                self.place()
            )));
        }
        Ok(bytes)
    }

    fn check_kind(&self, metadata: &Metadata) -> Result<(), StartProblem> {
        let place = self.place();
        if metadata.is_dir() {
            return Err(self.problem(format!("{place} is a directory: name a file in it.")));
        }
        if !metadata.is_file() {
            return Err(self.problem(format!("{place} is a pipe or a device: name a regular file.")));
        }
        Ok(())
    }

    /// Checks the folder of the path and, if the path is a symbolic link, the folder of the link's target.
    fn check_folder(&self) -> Option<StartProblem> {
        let path = Path::new(self.path);
        let target = fs::canonicalize(path).unwrap_or_default();
        for folder in [path, &target].into_iter().filter_map(Path::parent) {
            let folder = if folder.as_os_str().is_empty() {
                Path::new(".")
            } else {
                folder
            };
            let mode = fs::metadata(folder).map_or(0, |metadata| metadata.permissions().mode());
            if mode & (OPEN_FOLDER | STICKY) == OPEN_FOLDER {
                return Some(self.problem(format!(
                    "Everybody may replace the file {}, because everybody may write in its folder: run `chmod o-w {}`.",
                    self.place(),
                    folder.display()
                )));
            }
        }
        None
    }

    fn check_mode(&self, metadata: &Metadata) -> Option<StartProblem> {
        let (path, place) = (self.path, self.place());
        let mode = metadata.permissions().mode();
        if mode & WRITABLE_BY_OTHERS != 0 {
            return Some(self.problem(format!(
                "The file {place} can be written by others, who could replace what it contains: run `chmod go-w {path}`."
            )));
        }
        if mode & READABLE_BY_ALL != 0 && !self.is_public {
            tracing::warn!(
                "everybody on this machine may read the secrets in the file {place}: run `chmod 600 {path}`"
            );
        }
        None
    }

    /// The text of the file. Lines that are not UTF-8 are left out, so that the mistakes in the other lines are reported at the
    /// same time.
    fn text(&self, bytes: &[u8], problems: &mut Vec<StartProblem>) -> Result<Zeroizing<String>, StartProblem> {
        if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
            let sentence = format!("The file {} is in UTF-16: save it in UTF-8.", self.place());
            return Err(self.problem(sentence));
        }
        // The lines of a binary file say nothing: how many there are depends on the key.
        if bytes.contains(&0)
            && let Err(cause) = str::from_utf8(bytes)
        {
            let sentence = format!(
                "The file {} is binary, as a key in DER or a text in UTF-16 is: save it as text in UTF-8, and a key as PEM.",
                self.place()
            );
            return Err(self.problem(sentence).caused_by(cause));
        }
        let mut text = Zeroizing::new(String::with_capacity(bytes.len()));
        let mut wrong = Vec::new();
        for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            match str::from_utf8(line) {
                Ok(line) => text.push_str(line),
                Err(cause) => {
                    wrong.push((index + 1, cause));
                    text.push('\n');
                }
            }
        }
        let Some((first, cause)) = wrong.first() else {
            return Ok(text);
        };
        let lines = match wrong.len() - 1 {
            0 => format!("Line {first} of {} is", self.place()),
            1 => format!("Line {first} and another line of {} are", self.place()),
            more => format!("Line {first} and {more} other lines of {} are", self.place()),
        };
        let sentence = format!("{lines} not UTF-8: save the file in UTF-8.");
        let problem = self.problem(sentence).caused_by(*cause);
        // The other lines say nothing if they are blank or comments.
        let is_entry = |line: &str| !line.is_empty() && !line.starts_with('#');
        if !text.lines().map(str::trim).any(is_entry) {
            return Err(problem);
        }
        problems.push(problem);
        Ok(text)
    }
}
