//! Tests of parsing secrets: what is accepted, and what each error says and hides.

use super::{KeyName, SECRETS, Secret, SecretsError, single};

fn parse(place: &str, list: &str) -> Result<Vec<Secret>, SecretsError> {
    super::parse(SECRETS, place, list, |secret, _| Ok(secret))
}

fn parse_lines(place: &str, lines: &str) -> Result<Vec<Secret>, SecretsError> {
    super::parse_lines(SECRETS, place, lines, |secret, _| Ok(secret))
}

const HUSH: &str = "op_sk_hush";

/// The problems of a list, none of which shows the secret or a part of it.
fn problems(read: Result<Vec<Secret>, SecretsError>) -> Vec<String> {
    let problems = read.unwrap_err().into_problems();
    for problem in &problems {
        assert!(!problem.contains("op_sk") && !problem.contains("hush"), "{problem}");
        assert_eq!(problem.lines().count(), 1, "{problem:?}");
    }
    problems
}

fn named(read: Result<Vec<Secret>, SecretsError>) -> Vec<(String, String)> {
    let secrets = read.unwrap();
    let shown = |secret: &Secret| (format!("{:?}", secret.name), secret.text.to_string());
    secrets.iter().map(shown).collect()
}

/// For a single secret, a list, and lines.
#[test]
fn quotes_spaces_and_invisible_characters_of_a_secret_are_named() {
    for (secret, found) in [
        (" op_sk_hush", "a space before it"),
        ("op_sk_hush ", "a space after it"),
        (
            "\"op_sk_hush\"",
            "a double quote before it and has a double quote after it",
        ),
        ("'op_sk_hush'", "a single quote before it"),
        ("`op_sk_hush`", "a backtick before it"),
        ("\u{201c}op_sk_hush\u{201d}", "a typographic quote (U+201C) before it"),
        ("op_sk_hush'", "a single quote after it"),
        (
            " \"op_sk_hush\"",
            "a space before it, has a double quote before it and has a double quote after it",
        ),
        ("\u{feff}op_sk_hush", "a byte-order mark before it"),
        ("op_sk_\u{feff}hush", "a byte-order mark in it"),
        ("op_sk_\0hush", "a NUL (a file in UTF-16 has them) in it"),
        ("op_sk\thush", "a tab in it"),
        ("op_sk_hush\t", "a tab after it"),
        ("op_sk_hush\u{a0}", "a no-break space after it"),
        ("op_sk_\u{2003}hush", "the character U+2003 in it"),
        ("op_sk_\u{200b}hush", "a zero-width space in it"),
        ("op_sk_\u{202e}hush", "the character U+202E in it"),
        ("op_sk_hush\u{7f}", "the character U+007F after it"),
        ("op_sk_\rhush", "a carriage return in it"),
        ("", "is empty"),
        (" ", "is empty"),
        ("==", "is empty"),
    ] {
        let alone = problems(single("KEY", secret).map(|one| vec![one]));
        let listed = problems(parse("KEYS", &format!("b={HUSH}2,a={secret}")));
        let lined = problems(parse_lines(
            "/keys (KEYS)",
            &format!("# ours\n\nb={HUSH}2\na={secret}\n"),
        ));
        for (place, found_here) in [
            ("KEY: ", alone),
            ("Entry 2 of KEYS: ", listed),
            ("Line 4 of /keys (KEYS): ", lined),
        ] {
            let [problem] = found_here.as_slice() else {
                panic!("{secret:?}: {found_here:?}");
            };
            assert!(
                problem.starts_with(place) && problem.contains(found),
                "{secret:?}: {problem}"
            );
        }
    }
}

#[test]
fn a_secret_is_taken_literally_except_for_one_line_end() {
    let text = |written: &str| single("KEY", written).unwrap().text.to_string();
    for literal in ["a b", "it's \"so\" x", "a=b,c:d/e#f", "pässword", "x==", r"\n"] {
        assert_eq!(text(literal), literal);
        assert_eq!(text(&format!("{literal}\n")), literal);
        assert_eq!(text(&format!("{literal}\r\n")), literal);
        let problem = single("KEY", &format!("{literal}\n\n")).unwrap_err().to_string();
        assert!(problem.contains("a line break after it"), "{problem}");
    }
    let lines = "# a comment\r\n  # another\r\n\r\n  \t\r\nshop/new=a, b #c\r\nold=d\r\n";
    let expected = [("shop/new", "a, b #c"), ("default/old", "d")].map(|(name, text)| (name.into(), text.into()));
    assert_eq!(named(parse_lines("/keys", lines)), expected);
    let expected = [("shop/new", "a"), ("default/old", "d=e")].map(|(name, text)| (name.into(), text.into()));
    assert_eq!(named(parse("KEYS", "shop/new=a,  old=d=e,\n")), expected);
}

#[test]
fn ids_and_tenants_allow_few_characters() {
    let longest = "aZ09._-".repeat(10)[..64].to_owned();
    let right = parse("KEYS", &format!("{longest}/{longest}={HUSH}")).unwrap();
    assert!(right[0].name == KeyName::new(&longest, &longest));
    let longer = format!("{longest}a/b={HUSH}");
    for (entry, found) in [
        ("\u{feff}shop/a=op_sk_hush", "the tenant has a byte-order mark;"),
        ("sh\u{feff}op/a=op_sk_hush", "the tenant has a byte-order mark;"),
        ("\u{feff}a=op_sk_hush", "the id has a byte-order mark;"),
        ("shop /new=op_sk_hush", "the tenant has a space;"),
        ("shop/ new=op_sk_hush", "the id has a space;"),
        ("shop/a/b=op_sk_hush", "the id has `/`;"),
        ("shöp/a=op_sk_hush", "the tenant has the character U+00F6;"),
        ("'a'=op_sk_hush", "the id has a single quote;"),
        ("a\u{a0}=op_sk_hush", "the id has a no-break space;"),
        ("=op_sk_hush", "the id is empty;"),
        ("/a=op_sk_hush", "the tenant is empty;"),
        ("a/=op_sk_hush", "the id is empty;"),
        (&longer, "the tenant has 65 characters;"),
    ] {
        let [problem] = &problems(parse_lines("/keys", entry))[..] else {
            panic!("{entry:?}");
        };
        assert!(
            problem.starts_with("Line 1 of /keys: ") && problem.contains(found),
            "{entry:?}: {problem}"
        );
        assert!(problem.contains("write 1 to 64 characters"), "{problem}");
    }
}

#[test]
fn all_problems_are_reported_at_once_up_to_a_limit() {
    let list = "a = op_sk_hush,op_sk_hush, shop/b=op_sk_hush1,shop/b=op_sk_hush2,c=op_sk_hush1,\n";
    let expected = [
        "Entry 1 of KEYS: the id has a space",
        "Entry 1 of KEYS: the secret has a space before it",
        "Entry 2 of KEYS has no `=`: write `[tenant/]id=secret`.",
        "Entry 4 of KEYS has the same tenant and id as Entry 3 of KEYS, shop/b:",
        "Entry 5 of KEYS: default/c has the same secret as shop/b",
    ];
    let told = problems(parse("KEYS", list));
    assert_eq!(told.len(), expected.len(), "{told:?}");
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.starts_with(expected), "{told}");
    }
    let binary = problems(parse_lines("/bin", &"\0\u{1}\n".repeat(100_000)));
    assert_eq!(
        (binary.len(), binary[20].as_str()),
        (
            21,
            "There may be more problems in /bin: the rest of it was not read. Correct these 20 first."
        )
    );
    let marked = problems(parse_lines("/keys", "\u{feff}# ours\na=op_sk_hush\n"));
    assert_eq!(
        marked,
        [
            "Line 1 of /keys begins with a byte-order mark: remove it, for example by saving the file in UTF-8 without it."
        ]
    );
    for nothing in ["", "\n", ",", " , ", "# nobody\n"] {
        let read = [problems(parse("KEYS", nothing)), problems(parse_lines("KEYS", nothing))];
        assert!(read.iter().all(|told| told.len() == 1), "{nothing:?}: {read:?}");
    }
}
