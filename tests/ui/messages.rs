//! Reads the messages of the macros and of the runtime's traits from their source code.

use std::fs;
use std::path::Path;

use proc_macro2::{Group, TokenStream, TokenTree};

/// A string literal in the source code, and the parts of it that do not depend on placeholders.
pub(crate) struct Message {
    pub(crate) text: String,
    parts: Vec<String>,
}

impl Message {
    fn new(text: String) -> Self {
        let parts = parts(&text);
        Self { text, parts }
    }

    /// Whether the message is in `said`, which rustc printed.
    pub(crate) fn is_in(&self, said: &str) -> bool {
        let unescaped = |part: &String| part.replace("{{", "{").replace("}}", "}");
        self.parts
            .iter()
            .all(|part| said.contains(part) || said.contains(&unescaped(part)))
    }
}

/// Every sentence in the code of the macros, except in their tests.
pub(crate) fn of_the_macros(sources: &Path) -> Vec<Message> {
    let mut found = Vec::new();
    for tokens in files(sources) {
        sentences(tokens, &mut found);
    }
    found
}

/// Every sentence in the runtime's `on_unimplemented` attributes.
pub(crate) fn of_the_traits(sources: &Path) -> Vec<Message> {
    let mut found = Vec::new();
    for tokens in files(sources) {
        unimplemented(tokens, &mut found);
    }
    found
}

fn files(folder: &Path) -> Vec<TokenStream> {
    let mut read = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            read.push(fs::read_to_string(path).unwrap().parse().unwrap());
        }
    }
    read
}

fn sentences(tokens: TokenStream, found: &mut Vec<Message>) {
    let mut trees = tokens.into_iter().peekable();
    while let Some(tree) = trees.next() {
        match tree {
            // Skips attributes, including doc comments. After `cfg(test)`, skips the item too.
            TokenTree::Punct(hash) if hash.as_char() == '#' => {
                let _inner = trees.next_if(|next| next.to_string() == "!");
                if let Some(TokenTree::Group(attribute)) = trees.next_if(|next| matches!(next, TokenTree::Group(_)))
                    && attribute.stream().to_string().replace(' ', "") == "cfg(test)"
                {
                    let ends = |tree: &TokenTree| matches!(tree, TokenTree::Group(_)) || tree.to_string() == ";";
                    let _ = trees.by_ref().find(ends);
                }
            }
            TokenTree::Group(group) => sentences(group.stream(), found),
            TokenTree::Literal(literal) => {
                let text = syn::parse_str(&literal.to_string()).map(|text: syn::LitStr| text.value());
                found.extend(text.ok().filter(|text| is_a_sentence(text)).map(Message::new));
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) => {}
        }
    }
}

fn unimplemented(tokens: TokenStream, found: &mut Vec<Message>) {
    for tree in tokens {
        let TokenTree::Group(group) = tree else { continue };
        if is_unimplemented(&group) {
            sentences(group.stream(), found);
        } else {
            unimplemented(group.stream(), found);
        }
    }
}

fn is_unimplemented(attribute: &Group) -> bool {
    let text = attribute.stream().to_string().replace(' ', "");
    text.starts_with("diagnostic::on_unimplemented")
}

fn is_a_sentence(text: &str) -> bool {
    text.contains(' ') && text.contains(char::is_alphabetic)
}

/// The parts of a format string between its placeholders.
fn parts(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let braces = rest.split_once('}').filter(|(inside, _)| is_a_place(inside));
        if let Some((_, behind)) = braces {
            parts.push(String::new());
            rest = behind;
        } else {
            let escaped = rest.starts_with("{{") || rest.starts_with("}}");
            let (one, behind) = rest.split_at(if escaped { 2 } else { letter.len_utf8() });
            parts.last_mut().unwrap().push_str(one);
            rest = behind;
        }
    }
    parts
}

/// Whether this is a placeholder without its `}`: `{name`, `{name:?` or `{`.
fn is_a_place(inside: &str) -> bool {
    let word = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':' || letter == '?';
    inside.strip_prefix('{').is_some_and(|name| name.chars().all(word))
}
