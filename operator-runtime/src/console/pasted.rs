//! Parses a signed request that was pasted as text: a curl command, or the request as it was sent. No I/O.

/// The request that the text describes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pasted {
    pub(super) method: Option<String>,
    /// A URL or a path, with the query if there is one.
    pub(super) target: Option<String>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Pasted {
    /// Reads the text. An error is a message that says what cannot be read.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let text = text.trim_start();
        let command = text.strip_prefix("$ ").unwrap_or(text);
        if command.starts_with("curl ") {
            return of_curl(words(command)?);
        }
        of_http(text)
    }
}

/// Reads the request line (`METHOD target HTTP/1.1`, which may be missing), headers, an empty line, and the body.
fn of_http(text: &str) -> Result<Pasted, String> {
    let mut pasted = Pasted::default();
    let mut rest = text;
    while !rest.is_empty() {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        rest = after;
        let line = line.trim_end_matches('\r');
        if line.is_empty() {
            rest.clone_into(&mut pasted.body);
            break;
        }
        let words: Vec<&str> = line.split(' ').collect();
        match (line.split_once(':'), words.as_slice()) {
            (_, [method @ ("GET" | "POST"), target] | [method @ ("GET" | "POST"), target, _]) => {
                pasted.method = Some((*method).to_owned());
                pasted.target = Some((*target).to_owned());
            }
            (Some((name, value)), _) if is_header_name(name) => {
                pasted.headers.push((name.to_owned(), value.trim().to_owned()));
            }
            _ => {
                return Err(format!(
                    "`{line}` is neither a request line nor a header: paste a curl command, or the request as it was sent with an empty line before the body."
                ));
            }
        }
    }
    Ok(pasted)
}

fn is_header_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '-')
}

/// The parts of a curl command that have been read so far.
#[derive(Default)]
struct Curl {
    pasted: Pasted,
    data: Vec<String>,
    data_in_query: bool,
}

fn of_curl(words: Vec<String>) -> Result<Pasted, String> {
    let mut curl = Curl::default();
    let mut words = words.into_iter().skip(1);
    while let Some(word) = words.next() {
        let (option, attached) = split_option(&word);
        if is_silent_option(option) {
            continue;
        }
        match option {
            "-G" | "--get" => curl.data_in_query = true,
            _ if option.starts_with('-') => {
                let value = attached.map(str::to_owned).or_else(|| words.next());
                curl.take(option, value.as_deref())?;
            }
            _ => curl.pasted.target = Some(word),
        }
    }
    Ok(curl.finish())
}

impl Curl {
    /// Adds an option with its value.
    fn take(&mut self, option: &str, value: Option<&str>) -> Result<(), String> {
        let value = || value.ok_or_else(|| format!("The option `{option}` of the curl command has no value: add one."));
        match option {
            "-X" | "--request" => self.pasted.method = Some(value()?.to_owned()),
            "--url" => self.pasted.target = Some(value()?.to_owned()),
            "-H" | "--header" => {
                let header = value()?;
                let (name, value) = header
                    .split_once(':')
                    .ok_or_else(|| format!("`{header}` in the curl command is not a header: write `Name: value`."))?;
                let pair = (name.trim().to_owned(), value.trim().to_owned());
                self.pasted.headers.push(pair);
            }
            "-d" | "--data" | "--data-raw" | "--data-binary" | "--data-ascii" | "--json" => {
                let text = value()?;
                if text.starts_with('@') && option != "--data-raw" {
                    return Err(format!(
                        "The body is in a file (`{text}`), and the console does not read files: paste the file's content instead."
                    ));
                }
                self.data.push(text.to_owned());
            }
            _ => {
                return Err(format!(
                    "The console does not know the option `{option}` of the curl command: leave it out."
                ));
            }
        }
        Ok(())
    }

    fn finish(self) -> Pasted {
        let mut pasted = self.pasted;
        let default = if self.data.is_empty() || self.data_in_query {
            "GET"
        } else {
            "POST"
        };
        pasted.method.get_or_insert_with(|| default.to_owned());
        let joined = self.data.join("&");
        if self.data_in_query {
            let target = pasted.target.get_or_insert_default();
            target.push(if target.contains('?') { '&' } else { '?' });
            target.push_str(&joined);
        } else {
            pasted.body = joined;
        }
        pasted
    }
}

/// Splits an option from a value in the same word, as in `-XPOST` and `--request=POST`.
fn split_option(word: &str) -> (&str, Option<&str>) {
    match word.as_bytes() {
        [b'-', b'X' | b'H' | b'd', _, ..] => (&word[..2], Some(&word[2..])),
        [b'-', b'-', ..] => match word.split_once('=') {
            Some((option, value)) => (option, Some(value)),
            None => (word, None),
        },
        _ => (word, None),
    }
}

/// Whether this is an option without a value that does not affect what is signed.
fn is_silent_option(option: &str) -> bool {
    let long = [
        "--silent",
        "--show-error",
        "--include",
        "--verbose",
        "--insecure",
        "--location",
        "--fail",
        "--fail-with-body",
        "--no-progress-meter",
        "--http1.1",
    ];
    let short = option
        .strip_prefix('-')
        .is_some_and(|letters| !letters.is_empty() && letters.chars().all(|letter| "sSivkLfN".contains(letter)));
    short || long.contains(&option)
}

/// Splits a command into words as a POSIX shell does (POSIX.1-2024 §2.2), including `$'…'`. Variables are not expanded.
fn words(command: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = command.chars().peekable();
    while let Some(letter) = letters.next() {
        let closed = match letter {
            '\\' => {
                if let Some(other) = letters.next().filter(|other| *other != '\n') {
                    word.get_or_insert_default().push(other);
                }
                Some(())
            }
            '\'' => literal_text(&mut letters, word.get_or_insert_default()),
            '"' => quoted_text(&mut letters, word.get_or_insert_default()),
            '$' if letters.peek() == Some(&'\'') => {
                letters.next();
                escaped_text(&mut letters, word.get_or_insert_default())
            }
            space if space.is_whitespace() => {
                words.extend(word.take());
                Some(())
            }
            other => {
                word.get_or_insert_default().push(other);
                Some(())
            }
        };
        closed.ok_or("A quote in the curl command is not closed: paste the whole command.")?;
    }
    words.extend(word);
    Ok(words)
}

/// Reads the content of `'…'`, up to the closing quote.
fn literal_text(letters: &mut impl Iterator<Item = char>, word: &mut String) -> Option<()> {
    loop {
        match letters.next()? {
            '\'' => return Some(()),
            other => word.push(other),
        }
    }
}

/// Reads the content of `"…"`, up to the closing quote.
fn quoted_text(letters: &mut impl Iterator<Item = char>, word: &mut String) -> Option<()> {
    loop {
        match letters.next()? {
            '"' => return Some(()),
            '\\' => match letters.next()? {
                '\n' => {}
                escaped @ ('"' | '\\' | '$' | '`') => word.push(escaped),
                other => word.extend(['\\', other]),
            },
            other => word.push(other),
        }
    }
}

/// Reads the content of `$'…'`, up to the closing quote.
fn escaped_text(letters: &mut impl Iterator<Item = char>, word: &mut String) -> Option<()> {
    loop {
        match letters.next()? {
            '\'' => return Some(()),
            '\\' => match letters.next()? {
                'n' => word.push('\n'),
                't' => word.push('\t'),
                'r' => word.push('\r'),
                'u' => {
                    let digits: String = (0..4).map_while(|_| letters.next()).collect();
                    word.push(u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32)?);
                }
                other => word.push(other),
            },
            other => word.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pasted;

    fn header(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn a_curl_command_is_read_as_a_shell_reads_it() {
        let text = "$ curl -sS -X POST \"https://a.example/refunds\" \\\n  -H 'X-Timestamp: 17' -H\"X-Signature: ab\" \\\n  --data-raw '{\"reason\":\"it'\\''s \\u00e9\"}'";
        let pasted = Pasted::read(text).unwrap();
        assert_eq!(pasted.method.as_deref(), Some("POST"));
        assert_eq!(pasted.target.as_deref(), Some("https://a.example/refunds"));
        assert_eq!(
            pasted.headers,
            [header("X-Timestamp", "17"), header("X-Signature", "ab")]
        );
        assert_eq!(pasted.body, r#"{"reason":"it's \u00e9"}"#);
        let get = Pasted::read("curl -G https://a.example/orders -d email=a%40b -d limit=5").unwrap();
        assert_eq!(get.method.as_deref(), Some("GET"));
        assert_eq!(
            get.target.as_deref(),
            Some("https://a.example/orders?email=a%40b&limit=5")
        );
        let escaped = Pasted::read(r"curl https://a.example --data $'one\ntwo\'s'").unwrap();
        assert_eq!(
            (escaped.method.as_deref(), escaped.body.as_str()),
            (Some("POST"), "one\ntwo's")
        );
    }

    #[test]
    fn a_request_is_read_as_it_was_sent() {
        let pasted = Pasted::read("POST /refunds HTTP/1.1\r\nHost: a\r\nX-Timestamp: 17\r\n\r\n{\n}\n").unwrap();
        assert_eq!(pasted.method.as_deref(), Some("POST"));
        assert_eq!(pasted.target.as_deref(), Some("/refunds"));
        assert_eq!(pasted.headers, [header("Host", "a"), header("X-Timestamp", "17")]);
        assert_eq!(pasted.body, "{\n}\n");
        let headers_alone = Pasted::read("X-Timestamp: 17").unwrap();
        assert_eq!(
            (headers_alone.method, headers_alone.headers),
            (None, vec![header("X-Timestamp", "17")])
        );
    }

    #[test]
    fn an_error_names_the_text_that_cannot_be_read() {
        for (text, word) in [
            ("curl https://a.example -d @body.json", "body.json"),
            ("curl --cert x https://a.example", "--cert"),
            ("curl 'https://a.example", "not closed"),
            ("curl https://a.example -H", "-H"),
            ("hello", "hello"),
        ] {
            let error = Pasted::read(text).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
