//! The names of definitions. While a schema is made, a definition is named by the path of its type, `shop::orders::Item`.
//! In a manifest, its name is short: `Item`, or `OrdersItem` if another type of the app has the same name.

use std::collections::{BTreeMap, BTreeSet};

use heck::ToUpperCamelCase as _;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::{definitions, walk};

/// Names the definitions of a generator, whose debug output is `generator`, by the paths of their types, and changes all
/// references accordingly. A path has only ASCII letters, digits, `.`, `_`, `-` and `:`.
pub(super) fn by_path(schema: &mut Value, definitions: Map<String, Value>, generator: &str) {
    if definitions.is_empty() {
        return;
    }
    let types = Types(generator);
    let mut paths = BTreeMap::new();
    let mut taken = BTreeSet::new();
    for name in definitions.keys() {
        let path = first_free([path(types.id(name), name)], |path| taken.contains(path));
        taken.insert(path.clone());
        paths.insert(name.clone(), path);
    }
    let definitions: Map<String, Value> = definitions
        .into_iter()
        .filter_map(|(name, definition)| Some((paths.get(&name)?.clone(), definition)))
        .collect();
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("$defs".into(), definitions.into());
    }
    walk::rewrite(schema, &mut |schema| {
        if let Some(path) = definitions::name_of(schema).and_then(|name| paths.get(&decoded(name))) {
            schema["$ref"] = definitions::reference(path).into();
        }
    });
}

/// A name in a reference, decoded from a URI fragment (RFC 3986 §2.1) and from a JSON Pointer (RFC 6901 §4).
fn decoded(name: &str) -> String {
    let pointer = percent_decode_str(name).decode_utf8_lossy();
    pointer.replace("~1", "/").replace("~0", "~")
}

/// The types of a generator's definitions. schemars numbers two types of one name (`Item2`) and has no function that
/// returns the type of a definition, but its debug output lists the types. If the output changes, definitions have no
/// modules, and names that collide are numbered.
struct Types<'g>(&'g str);

impl<'g> Types<'g> {
    fn id(&self, name: &str) -> &'g str {
        let (_, types) = self.0.split_once("schema_id_to_name: ").unwrap_or_default();
        let id = |contract| {
            let (before, _) = types.split_once(&format!("\", {contract}): {name:?}"))?;
            before.rsplit_once("SchemaUid(\"").map(|(_, id)| id)
        };
        id("Deserialize").or_else(|| id("Serialize")).unwrap_or_default()
    }
}

/// The modules in a type's id, the name, and the names of the type's arguments: `shop::orders::Page:Item`. Letters of the
/// name that a definition's name cannot have follow as its first argument: `shop::Gr_e:UF6_UDF`.
fn path(id: &str, name: &str) -> String {
    // In the id of a type that is renamed to a template, `Page<{T}>`, the words in braces are not types.
    let id: String = id
        .split('{')
        .map(|part| part.split_once('}').map_or(part, |(_, after)| after))
        .collect();
    // A list has the id `[T]`, without which `Page<Vec<Item>>` would have the name of `Page<Item>`.
    let id = id.replace('[', "List<");
    let is_part = |character: char| character.is_alphanumeric() || matches!(character, '_' | ':' | '#');
    let mut modules: Vec<&str> = Vec::new();
    let mut types = Vec::new();
    for path in id
        .split(|character| !is_part(character))
        .filter(|path| !path.is_empty())
    {
        let (within, own) = path.rsplit_once("::").unwrap_or(("", path));
        types.push(spelled(own));
        for module in within.split("::").filter(|module| !module.is_empty()) {
            if !modules.contains(&module) {
                modules.push(module);
            }
        }
    }
    let mut path: String = modules.iter().map(|module| format!("{}::", spelled(module))).collect();
    let name = without_number(&id, name);
    // A type without ASCII letters has a name that can be read, as long as no other type has it.
    let short = Some(plain(name)).filter(|name| !name.is_empty());
    path.push_str(short.as_deref().unwrap_or("Type"));
    let mut arguments = vec![codes(name)];
    if id.ends_with('>') {
        arguments.extend(types.into_iter().skip(1));
    }
    arguments.retain(|argument| !argument.is_empty());
    if !arguments.is_empty() {
        path.push(':');
        path.push_str(&arguments.join("_"));
    }
    path
}

/// The plain name, or the code points of a name without ASCII letters.
fn spelled(name: &str) -> String {
    Some(plain(name))
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| codes(name))
}

/// The name without the number that schemars appends to the second type of a name. If the number belongs to the name of
/// the type, the type's id contains it.
fn without_number<'n>(id: &str, name: &'n str) -> &'n str {
    let last_word = name.rsplit('_').next().unwrap_or(name);
    let is_own = id.is_empty() || id.split([':', '<', '>', ' ', ',', '_']).any(|word| word == last_word);
    let bare = name.trim_end_matches(|last: char| last.is_ascii_digit());
    if is_own || bare.is_empty() { name } else { bare }
}

/// The name with ASCII letters, digits, `.`, `_` and `-` only, as OpenAPI requires (3.1, Components Object).
fn plain(name: &str) -> String {
    let is_plain = |character: &char| character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-');
    let words = name
        .split(|character| !is_plain(&character))
        .filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("_")
}

/// The letters of a name that are not ASCII, by their code points: `U8BA2_U5355`.
pub(crate) fn codes(name: &str) -> String {
    let letters = name
        .chars()
        .filter(|letter| letter.is_alphanumeric() && !letter.is_ascii());
    let codes: Vec<String> = letters.map(|letter| format!("U{:X}", u32::from(letter))).collect();
    codes.join("_")
}

/// The first name that is free, or else the last name with the first number that makes it free.
pub(crate) fn first_free(names: impl IntoIterator<Item = String>, is_taken: impl Fn(&str) -> bool) -> String {
    let mut last = String::new();
    for name in names {
        if !is_taken(&name) {
            return name;
        }
        last = name;
    }
    let numbered = (2_u64..).map(|number| format!("{last}{number}"));
    numbered.into_iter().find(|name| !is_taken(name)).unwrap_or(last)
}

/// The short names of all types of an app, by path.
#[derive(Debug, Default)]
pub(crate) struct Names(BTreeMap<String, String>);

impl Names {
    /// Names the types with these paths. Types of the same name get the modules in which they differ before their
    /// names. No type gets a name in `reserved`.
    pub(crate) fn of<'p>(paths: impl IntoIterator<Item = &'p str>, reserved: &[&'p str]) -> Self {
        let paths: BTreeSet<&str> = paths.into_iter().collect();
        let mut by_name: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for path in reserved.iter().copied().chain(paths.iter().copied()) {
            by_name.entry(own_name(path)).or_default().push(path);
        }
        let mut taken: BTreeSet<String> = reserved.iter().map(|&name| name.to_owned()).collect();
        taken.extend(
            by_name
                .iter()
                .filter(|(_, same)| same.len() == 1)
                .map(|(name, _)| (*name).to_owned()),
        );
        let mut names = BTreeMap::new();
        for (name, same) in &by_name {
            for path in same.iter().filter(|path| !reserved.contains(path)) {
                let short = if same.len() == 1 {
                    (*name).to_owned()
                } else {
                    let free = first_free(distinct_names(path, same), |name| taken.contains(name));
                    taken.insert(free.clone());
                    free
                };
                names.insert((*path).to_owned(), short);
            }
        }
        Self(names)
    }

    /// The short name of the type with that path.
    pub(crate) fn get(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }
}

/// The name of the type itself.
fn own_name(path: &str) -> &str {
    let name = path.rsplit("::").next().unwrap_or(path);
    name.split(':').next().unwrap_or(name)
}

fn modules(path: &str) -> impl Iterator<Item = &str> {
    let modules = path.rsplit_once("::").map_or("", |(modules, _)| modules);
    modules.split("::").filter(|module| !module.is_empty())
}

/// Names that tell the type from the others of its name, the best one first. The name comes after as many modules as are
/// needed, in Pascal case: `OrdersItem`. If the modules are the same, the type's arguments follow: `Page_Item`. Other
/// types may have the first names, so the last ones have all modules.
fn distinct_names(path: &str, same: &[&str]) -> Vec<String> {
    let shared = |module: &&str| same.iter().all(|other| modules(other).any(|one| one == *module));
    let own = |path: &str, count: usize| named(path, count, |module| !shared(module));
    let all = |path: &str, count: usize| named(path, count, |_| true);
    let most = modules(path).count();
    let mut names = Vec::new();
    for count in 0..=most {
        names.extend(only_of(path, same, |path| own(path, count)));
    }
    for count in 1..=most {
        names.extend(only_of(path, same, |path| all(path, count)));
    }
    for name in [own(path, most), all(path, most)] {
        let own = path.rsplit_once("::").map_or(path, |(_, own)| own);
        names.extend(own.split_once(':').map(|(_, arguments)| format!("{name}_{arguments}")));
    }
    names.push(own(path, most));
    names
}

/// The name after the last of those modules, at most `count` of them.
fn named(path: &str, count: usize, counts: impl Fn(&&str) -> bool) -> String {
    let modules: Vec<&str> = modules(path).filter(counts).collect();
    let last = &modules[modules.len().saturating_sub(count)..];
    let last: String = last.iter().map(|module| module.to_upper_camel_case()).collect();
    last + own_name(path)
}

/// The type's name, if no other type of `same` has it.
fn only_of(path: &str, same: &[&str], name: impl Fn(&str) -> String) -> Option<String> {
    let own = name(path);
    (same.iter().filter(|other| name(other) == own).count() == 1).then_some(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_one_name_are_named_by_the_modules_in_which_they_differ() {
        let paths = [
            "shop::Item",
            "shop::order_lines::Item",
            "shop::Problem",
            "shop::a::b::Page_for_Item",
            "shop::a::Page_for_Item",
            "shop::OrderLinesItem",
            "shop::Only",
            "shop::List:Item",
            "shop::List:Only",
            "shop::a::b::Error",
            "shop::a::c::Error",
            "shop::b::c::Error",
            "shop::Type:U8BA2",
            "shop::Type:U5355",
            "shop::a::Type:U8BA2",
            "shop::a::Gr_e:UF6_UDF",
        ];
        let names = Names::of(paths, &["Problem"]);
        let short: Vec<_> = paths.iter().map(|path| names.get(path)).collect();
        let expected = [
            "Item",
            "ShopOrderLinesItem",
            "ShopProblem",
            "BPage_for_Item",
            "Page_for_Item",
            "OrderLinesItem",
            "Only",
            "List_Item",
            "List_Only",
            "BError",
            "ACError",
            "BCError",
            "Type_U8BA2",
            "Type_U5355",
            "AType",
            "Gr_e",
        ];
        assert_eq!(short, expected.map(Some));
    }

    #[test]
    fn a_path_has_only_characters_that_a_reference_and_openapi_allow() {
        assert_eq!(path("shop::Größe", "Größe"), "shop::Gr_e:UF6_UDF");
        assert_eq!(
            path("shop::a::Page<{T}><shop::b::Item>", "Page<Item>"),
            "shop::a::b::Page_Item:Item"
        );
        assert_eq!(path("订单::订单", "订单"), "U8BA2_U5355::Type:U8BA2_U5355");
        assert_eq!(path("shop::订单<shop::Item>", "订单"), "shop::Type:U8BA2_U5355_Item");
        assert_eq!(path("shop::Page<shop::订单>", "Page"), "shop::Page:U8BA2_U5355");
        assert_eq!(path("shop::a::Item", "Item2"), "shop::a::Item");
        assert_eq!(path("shop::a::Item2", "Item2"), "shop::a::Item2");
        assert_eq!(
            path("shop::Page<shop::a::Item>", "Page_for_Item2"),
            "shop::a::Page_for_Item:Item"
        );
        assert_eq!(
            path("shop::Page<[shop::a::Item]>", "Page_for_Array_of_Item"),
            "shop::a::Page_for_Array_of_Item:List_Item"
        );
        assert_eq!(path("", "a/b~c2"), "a_b_c2");
    }
}
