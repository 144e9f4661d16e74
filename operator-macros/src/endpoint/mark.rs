//! Items that mark an endpoint's name and path. If two endpoints of a module have the same name or path, the items
//! clash and rustc reports both places.

use proc_macro2::{Ident, Span};

/// The name of the item that marks an endpoint's name.
pub(crate) fn of_name(name: &str, place: Span) -> Ident {
    Ident::new(&format!("endpoint_named_{name}"), place)
}

/// The name of the item that marks an endpoint's path.
pub(crate) fn of_path(path: &str, place: Span) -> Ident {
    escaped("endpoint_at", path, place)
}

/// The name of the item that marks the type of events that a function handles.
pub(crate) fn of_event(event_type: &str, place: Span) -> Ident {
    escaped("handler_of_", event_type, place)
}

/// An identifier. Letters and digits are kept, and each other character becomes an escape of two characters, so that
/// different texts give different names.
fn escaped(beginning: &str, text: &str, place: Span) -> Ident {
    let mut word = beginning.to_owned();
    for letter in text.chars() {
        match letter {
            '/' => word.push_str("__"),
            '_' => word.push_str("_u"),
            '-' => word.push_str("_d"),
            '.' => word.push_str("_p"),
            '~' => word.push_str("_t"),
            other => word.push(other),
        }
    }
    Ident::new(&word, place)
}

#[cfg(test)]
mod tests {
    use super::of_path;
    use proc_macro2::Span;

    #[test]
    fn different_paths_have_different_items() {
        let paths = [
            "/a/b", "/a_b", "/a-b", "/a.b", "/a~b", "/a_/b", "/a/_b", "/aub", "/a_ub", "/",
        ];
        let mut items: Vec<String> = paths
            .iter()
            .map(|path| of_path(path, Span::call_site()).to_string())
            .collect();
        items.sort();
        items.dedup();
        assert_eq!(items.len(), paths.len());
    }
}
