//! Start-up refuses lists of secrets that cannot be used. It reports every problem at once, each in one sentence with
//! file and line, and without any secret.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use operator_runtime::{App, Config, endpoints, operator_api};
use tests::process::{self, Server};

/// Does nothing. Use it only in this test.
#[operator_api(GET, "/nothing")]
async fn nothing() -> u8 {
    0
}

/// The problems that start-up reports if the key file contains these bytes.
fn refused(path: &Path, bytes: &[u8]) -> Vec<String> {
    write(path, bytes);
    problems(Config::new().signing_keys(format!("@{}", path.display())))
}

fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

fn problems(config: Config) -> Vec<String> {
    let config = config.store("memory:").public_url("http://127.0.0.1:1");
    let checked = App::new().only(endpoints![nothing]).config(config).check();
    let problems = checked.map_or_else(
        |error| error.problems().map(ToString::to_string).collect(),
        |()| Vec::new(),
    );
    for problem in &problems {
        assert!(!problem.contains("hush"), "{problem}");
        assert_eq!(problem.lines().count(), 1, "{problem}");
    }
    problems
}

#[test]
fn each_wrong_line_is_named_with_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let list = "\u{feff}shop/old=hush1hush1hush1hu\n# ours\n\nshop /new=hush2hush2hush2hu\na = hush3hush3hush3hu\nb=\"hush4hush4hush4hu\"\nc\n";
    let expected = [
        (1, "the tenant has a byte-order mark"),
        (4, "the tenant has a space"),
        (5, "the id has a space"),
        (5, "the secret has a space before it"),
        (6, "the secret has a double quote before it"),
        (7, "has no `=`"),
    ];
    let told = refused(&path, list.as_bytes());
    assert_eq!(told.len(), expected.len(), "{told:?}");
    for (told, (line, found)) in told.iter().zip(expected) {
        let place = format!("Line {line} of {} (`Config::signing_keys`)", path.display());
        assert!(told.starts_with(&place) && told.contains(found), "{told}");
    }
    let right = "# ours\r\n\r\nshop/new=hush 2 hush\r\nshop/old=hush\"1\"hush x\r\n";
    assert_eq!(refused(&path, right.as_bytes()), Vec::<String>::new());
}

#[test]
fn a_file_that_is_not_a_list_of_keys_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let utf_16: Vec<u8> = "\u{feff}a=hush".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let unmarked: Vec<u8> = "a=hush".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (bytes, found) in [
        (utf_16.as_slice(), "is in UTF-16: save it in UTF-8"),
        (&unmarked, "a NUL (a file in UTF-16 has them)"),
        (b"# ours\na=hush\xff\n", "Line 2 of "),
        (b"a=hush\xff\n# \xfe\n\n\xff", "Line 1 and 2 other lines of "),
        // As keys in DER are. Some have bytes that look like line breaks, and some do not.
        (b"0\x2e\x02\x01\0\xee\xff", "is binary, as a key in DER"),
        (b"0\x2e\x02\x01\0\xee\n\n\xff\na=hush\n", "is binary, as a key in DER"),
        (b"", "There is no secret in "),
        (&vec![b'#'; 1024 * 1024 + 1], "is larger than 1 MiB"),
    ] {
        let told = refused(&path, bytes);
        assert!(
            told[0].contains(found) && told[0].contains(path.to_str().unwrap()),
            "{told:?}"
        );
        assert!(told.len() == 1 || !found.contains("binary"), "{told:?}");
    }
    let file = |path: &Path| problems(Config::new().signing_keys(format!("@{}", path.display())));
    assert!(
        file(folder.path())[0].contains("is a directory"),
        "{:?}",
        file(folder.path())
    );
    assert!(file(&folder.path().join("missing"))[0].contains("cannot be read"));
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for unusual in [&*pipe, Path::new("/dev/null")] {
        assert!(file(unusual)[0].contains("is a pipe or a device: name a regular file"));
    }
    let told = refused(
        &path,
        b"shop/a b=hush1hush1hush1hu\nshop/c=hush\xff\nshop /d=hush1hush1hush1hu\n",
    );
    assert_eq!(told.len(), 3, "{told:?}");
    for line in ["Line 1 of ", "Line 2 of ", "Line 3 of "] {
        assert!(told.iter().any(|told| told.starts_with(line)), "{line}: {told:?}");
    }
    let told = refused(&path, "\u{feff}# ours\na=hush1hush1hush1hu\n".as_bytes());
    assert!(
        told.len() == 1 && told[0].starts_with("Line 1 of ") && told[0].contains("begins with a byte-order mark"),
        "{told:?}"
    );
}

#[test]
fn a_file_can_hold_a_single_secret() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    for (text, found) in [
        ("hush1hush1hush1hu\n", None),
        ("hush1hush1hush1hu", None),
        ("hush1hush1\nhush1hu\n", Some("a line break")),
        ("\u{feff}hush1hush1hush1hu\n", Some("byte-order mark")),
        ("\n", Some("is empty")),
    ] {
        write(&path, text.as_bytes());
        let told = problems(Config::new().signing_key(format!("@{}", path.display())));
        let place = format!("{} (`Config::signing_key`)", path.display());
        match found {
            None => assert_eq!(told, Vec::<String>::new()),
            Some(found) => assert!(told[0].contains(found) && told[0].contains(&place), "{told:?}"),
        }
    }
}

/// What start-up logs before the server listens, with this many keys.
fn logged_with_keys(count: usize) -> String {
    let folder = tempfile::tempdir().unwrap();
    let keys: Vec<String> = (0..count)
        .map(|id| format!("k{id}=hush{id}hush{id}hush{id}hush{id}"))
        .collect();
    let mut command = Command::new(process::build("support-desk", "dev"));
    let keys = keys.join(",");
    let settings = [("OPERATOR_SIGNING_KEYS", keys.as_str())];
    let mut child = Server::serving(command.arg("serve"), folder.path(), &settings)
        .env_remove("OPERATOR_SIGNING_KEY")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut logged = String::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        logged += &line.unwrap();
        if logged.contains("listening") {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    logged
}

#[test]
fn start_up_warns_of_keys_that_make_each_request_expensive() {
    let warning = "a request is verified with each of the 300 signing keys";
    let logged = logged_with_keys(300);
    assert!(logged.contains(warning), "{logged}");
    assert!(!logged_with_keys(200).contains("is verified with each"));
}

#[test]
fn the_permissions_and_the_lines_of_a_file_are_reported_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    write(&path, b"a=hush1hush1hush1hu\nno secret\n b=hush2hush2hush2hu\n");
    fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
    let told = problems(Config::new().signing_keys(format!("@{}", path.display())));
    let found = [
        "can be written by others",
        "may write in its folder",
        "Line 2 of ",
        "Line 3 of ",
    ];
    assert_eq!(told.len(), found.len(), "{told:?}");
    for (told, found) in told.iter().zip(found) {
        assert!(told.contains(found), "{told}");
    }
}

#[test]
fn a_file_in_a_folder_in_which_everybody_may_write_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (open, link) = (folder.path().join("open"), folder.path().join("link"));
    fs::create_dir(&open).unwrap();
    let path = open.join("keys");
    symlink(&path, &link).unwrap();
    for (mode, is_refused) in [(0o755, false), (0o775, false), (0o1777, false), (0o777, true)] {
        fs::set_permissions(&open, Permissions::from_mode(mode)).unwrap();
        for named in [&path, &link] {
            let told = refused(named, b"a=hush1hush1hush1hu\n");
            let found = format!("run `chmod o-w {}`", open.display());
            assert_eq!(
                told.first().is_some_and(|told| told.contains(&found)),
                is_refused,
                "{mode:o}: {told:?}"
            );
            assert_eq!(told.len(), usize::from(is_refused), "{mode:o}: {told:?}");
        }
    }
}

#[test]
fn settings_in_code_and_tokens_follow_the_same_rules() {
    for (config, place) in [
        (Config::new().signing_key("\"hush\""), "`Config::signing_key`: "),
        (Config::new().signing_key("hush \n"), "`Config::signing_key`: "),
        (
            Config::new().signing_keys("a=hush1, b= hush2"),
            "Entry 2 of `Config::signing_keys`: ",
        ),
        (
            Config::new().signing_key("k").api_keys("a=hush1,b =hush2"),
            "Entry 2 of `Config::api_keys`: ",
        ),
    ] {
        let told = problems(config);
        assert!(told.len() == 1 && told[0].starts_with(place), "{told:?}");
    }
    assert_eq!(problems(Config::new().signing_key("hush\r\n")), Vec::<String>::new());
}

/// Public keys and API keys have rules of their own, beside those of every list.
#[test]
fn each_problem_of_every_list_is_told_at_once_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("list");
    let told = |setting: fn(Config, String) -> Config, list: &str| {
        write(&path, list.as_bytes());
        let config = Config::new().signing_key("op_sk_of_the_test");
        problems(setting(config, format!("@{}", path.display())))
    };
    let verifying_keys: fn(Config, String) -> Config = Config::verifying_keys;
    let api_keys: fn(Config, String) -> Config = Config::api_keys;
    let right = "dqrmB5wnsxMjSDcvwfUPHMjAZ8RESJDqpfnLrU2RhKI=";
    for (setting, name, list, expected) in [
        (
            verifying_keys,
            "`Config::verifying_keys`",
            format!("shop/a=hush!\n# ours\nb= {right}\nc=MCowBQYDK2VwAyEA\nd\n"),
            [
                "Line 1 of {}: the verifying key shop/a is not base64: write the public key",
                "Line 3 of {}: the key has a space before it; write only the key,",
                "Line 4 of {}: the verifying key default/c has 12 bytes and is not an Ed25519 key",
                "Line 5 of {} has no `=`: write `[tenant/]id=KEY`.",
            ],
        ),
        (
            api_keys,
            "`Config::api_keys`",
            "shop/a=hush.hush.hush\nb=op_sk_of_the_test\nc=h\u{fc}sh\nd =hush\n".to_owned(),
            [
                "Line 1 of {}: the API key shop/a has the form of a JWT",
                "Line 2 of {}: the API key default/b equals the signing key default/default",
                "Line 3 of {}: the API key default/c has characters that a header cannot carry",
                "Line 4 of {}: the id has a space",
            ],
        ),
    ] {
        let told = told(setting, &list);
        assert_eq!(told.len(), expected.len(), "{told:?}");
        let place = format!("{} ({name})", path.display());
        for (told, expected) in told.iter().zip(expected) {
            assert!(told.starts_with(&expected.replace("{}", &place)), "{told}");
        }
    }
    let many: String = (0..30).map(|id| format!("k{id}=hush!\n")).collect();
    let told = told(verifying_keys, &many);
    assert_eq!(told.len(), 21, "{told:?}");
    assert!(told[20].starts_with("There may be more problems in "), "{}", told[20]);
}

/// What `serve` reports at start-up about a file of a setting. The signing key is valid. The program's address is invalid, so
/// it cannot listen and ends by itself.
fn said(program: &Path, folder: &Path, (setting, file): (&str, &Path)) -> String {
    let output = Command::new(program)
        .arg("serve")
        .env("OPERATOR_SIGNING_KEY", "hush1hush1hush1hush1\n")
        .env(setting, format!("@{}", file.display()))
        .env("OPERATOR_PUBLIC_URL", "http://127.0.0.1:1")
        .env("OPERATOR_LISTEN", "nowhere")
        .env("OPERATOR_STORE", "memory:")
        .current_dir(folder)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("`nowhere`") && !said.contains("hush"), "{said}");
    said
}

#[test]
fn a_file_that_others_may_write_is_refused_and_one_that_all_may_read_causes_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let program = process::build("support-desk", "dev");
    let (path, link) = (folder.path().join("tokens"), folder.path().join("link"));
    fs::write(&path, "a=hush2hush2hush2hush2\n").unwrap();
    symlink(&path, &link).unwrap();
    for (mode, is_refused, is_warned_of) in [
        (0o600, false, false),
        (0o640, false, false),
        (0o444, false, true),
        (0o644, false, true),
        (0o602, true, false),
        (0o660, true, false),
        (0o666, true, false),
    ] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        for named in [&path, &link] {
            let said = said(&program, folder.path(), ("OPERATOR_API_KEYS", named));
            assert_eq!(
                said.contains("can be written by others"),
                is_refused,
                "{mode:o}: {said}"
            );
            assert_eq!(said.contains("may read the secrets"), is_warned_of, "{mode:o}: {said}");
            assert!(
                !(is_refused || is_warned_of) || said.contains(&format!("{} (OPERATOR_API_KEYS)", named.display()))
            );
        }
    }
}

#[test]
fn everybody_may_read_a_list_of_public_keys_but_others_may_not_write_it() {
    let folder = tempfile::tempdir().unwrap();
    let program = process::build("support-desk", "dev");
    let path = folder.path().join("keys");
    // The public key of RFC 8032 §7.1, test 1.
    fs::write(&path, "a=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n").unwrap();
    for (mode, is_refused) in [(0o600, false), (0o644, false), (0o622, true), (0o666, true)] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let said = said(&program, folder.path(), ("OPERATOR_VERIFYING_KEYS", &path));
        assert_eq!(
            said.contains("can be written by others"),
            is_refused,
            "{mode:o}: {said}"
        );
        assert!(!said.contains("may read the secrets"), "{mode:o}: {said}");
    }
}
