//! Checks every import of the runtime against the layers of ARCHITECTURE.md.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, Meta, UseTree};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The table in ARCHITECTURE.md: the layer of each module, and the imports of a higher layer that are allowed.
struct Plan {
    layers: BTreeMap<String, usize>,
    exceptions: BTreeSet<(String, String)>,
}

/// One import: the importing file and the imported module.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Import {
    file: String,
    from: String,
    to: String,
}

#[test]
fn no_import_runs_up_or_closes_a_cycle() {
    let plan = plan();
    let imports = imports();
    assert!(imports.len() > 200, "only {} imports were found", imports.len());
    let (up, wrong) = judge(&plan, &imports);
    assert_eq!(wrong, Vec::<String>::new());
    let stale: Vec<_> = plan.exceptions.difference(&up).collect();
    assert!(stale.is_empty(), "these exceptions are no longer needed: {stale:?}");
    assert!(
        plan.exceptions.len() <= 3,
        "at most three arrows may run up: {:?}",
        plan.exceptions
    );
}

#[test]
fn the_table_lists_exactly_the_rooms_that_exist() {
    let rooms: BTreeSet<String> = files().iter().map(|(file, _)| room(file)).collect();
    let planned: BTreeSet<String> = plan().layers.into_keys().collect();
    assert_eq!(rooms, planned);
}

#[test]
fn a_wrong_import_is_found() {
    let plan = Plan {
        layers: [("app", 1), ("one", 2), ("other", 2), ("store", 3)]
            .map(|(room, layer)| (room.to_owned(), layer))
            .into(),
        exceptions: BTreeSet::new(),
    };
    let wrong = |file: &str, source: &str| {
        let mut imports = imports_of(file, source);
        imports.extend(imports_of("other.rs", "use crate::one::Thing;"));
        judge(&plan, &imports).1
    };
    assert_eq!(wrong("app/mod.rs", "use crate::{one::A, store::B};"), [""; 0]);
    assert_eq!(
        wrong("store/mod.rs", "#[cfg(test)] mod tests { use crate::app::A; }"),
        [""; 0]
    );
    assert_eq!(
        wrong("store/open.rs", "use crate::{clock, app::{A, B}};"),
        ["store/open.rs imports `app`, which is above it"]
    );
    for source in [
        "fn f() { crate::app::f() }",
        "use super::super::app;",
        "type A = crate::app::A;",
        "fn f() { println!(\"{}\", crate::app::A) }",
    ] {
        assert_eq!(wrong("store/open.rs", source).len(), 1, "{source}");
    }
    // The cycle has two modules, and both are reported.
    assert_eq!(wrong("one.rs", "use crate::other::Thing;").len(), 2);
    assert_eq!(
        wrong("one.rs", "use crate::Thing;"),
        ["one.rs imports `Thing` through the crate's root: name its module"]
    );
}

/// Returns the imports of a higher layer, and a sentence for each import that the table forbids.
fn judge(plan: &Plan, imports: &[Import]) -> (BTreeSet<(String, String)>, Vec<String>) {
    let mut up = BTreeSet::new();
    let mut wrong = BTreeSet::new();
    let mut sideways: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for Import { file, from, to } in imports {
        if to.starts_with(char::is_uppercase) {
            wrong.insert(format!(
                "{file} imports `{to}` through the crate's root: name its module"
            ));
        }
        let (Some(own), Some(other)) = (plan.layers.get(from), plan.layers.get(to)) else {
            continue;
        };
        if other < own {
            up.insert((from.clone(), to.clone()));
            if !plan.exceptions.contains(&(from.clone(), to.clone())) {
                wrong.insert(format!("{file} imports `{to}`, which is above it"));
            }
        } else if other == own && from != to {
            sideways.entry(from).or_default().insert(to);
        }
    }
    for &room in sideways.keys() {
        if reaches(&sideways, room, room) {
            wrong.insert(format!("`{room}` is in a cycle of imports within its layer"));
        }
    }
    (up, wrong.into_iter().collect())
}

fn reaches(arrows: &BTreeMap<&str, BTreeSet<&str>>, from: &str, to: &str) -> bool {
    let mut seen = BTreeSet::new();
    let mut next = vec![from];
    while let Some(room) = next.pop() {
        for &other in arrows.get(room).into_iter().flatten() {
            if other == to {
                return true;
            }
            if seen.insert(other) {
                next.push(other);
            }
        }
    }
    false
}

fn plan() -> Plan {
    let text = fs::read_to_string(Path::new(ROOT).join("ARCHITECTURE.md")).unwrap();
    let section = text
        .split("\n## Layers\n")
        .nth(1)
        .unwrap()
        .split("\n## ")
        .next()
        .unwrap();
    let (layers, exceptions) = section.split_once("| from | to | why |").unwrap();
    let rows = |table: &str| -> Vec<Vec<String>> {
        let rows = table
            .lines()
            .filter(|line| line.starts_with("| ") && line.contains('`'));
        rows.map(|row| row.split('|').map(|cell| cell.trim().to_owned()).collect())
            .collect()
    };
    let quoted = |cell: &str| -> Vec<String> { cell.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    let mut plan = Plan {
        layers: BTreeMap::new(),
        exceptions: BTreeSet::new(),
    };
    for row in rows(layers) {
        for room in quoted(&row[2]) {
            assert_eq!(plan.layers.insert(room, row[1].parse().unwrap()), None);
        }
    }
    for row in rows(exceptions) {
        assert!(!row[3].is_empty(), "{row:?} has no reason");
        plan.exceptions
            .insert((quoted(&row[1]).remove(0), quoted(&row[2]).remove(0)));
    }
    plan
}

/// Every file of the runtime outside tests, except `lib.rs`. Each comes with its path below `src`.
fn files() -> Vec<(String, String)> {
    let all = super::sources();
    // A module that is declared only for tests is not checked, and neither are its submodules.
    let tests: Vec<String> = all
        .iter()
        .flat_map(|(file, source)| {
            let module = module_of(file);
            test_modules(source).into_iter().map(move |name| {
                let path: Vec<_> = module.iter().chain([&name]).map(String::as_str).collect();
                path.join("/")
            })
        })
        .collect();
    let is_test = |file: &str| {
        tests
            .iter()
            .any(|test| file == format!("{test}.rs") || file.starts_with(&format!("{test}/")))
    };
    all.into_iter()
        .filter(|(file, _)| file != "lib.rs" && !is_test(file))
        .collect()
}

fn test_modules(source: &str) -> Vec<String> {
    let file = syn::parse_file(source).unwrap();
    let modules = file.items.into_iter().filter_map(|item| match item {
        Item::Mod(module) if module.content.is_none() && is_for_tests(&module.attrs) => Some(module.ident.to_string()),
        _ => None,
    });
    modules.collect()
}

fn imports() -> Vec<Import> {
    files()
        .iter()
        .flat_map(|(file, source)| imports_of(file, source))
        .collect()
}

fn imports_of(file: &str, source: &str) -> Vec<Import> {
    let mut found = Found {
        module: module_of(file),
        rooms: BTreeSet::new(),
    };
    found.visit_file(&syn::parse_file(source).unwrap());
    let import = |to| Import {
        file: file.to_owned(),
        from: room(file),
        to,
    };
    found.rooms.into_iter().map(import).collect()
}

/// The top-level module of a file: `store` for `store/open.rs`, `meter` for `meter.rs`.
fn room(file: &str) -> String {
    module_of(file).remove(0)
}

/// The path of a file's module, without `crate`.
fn module_of(file: &str) -> Vec<String> {
    let path = file.trim_end_matches(".rs").trim_end_matches("/mod");
    path.split('/').map(str::to_owned).collect()
}

/// Whether a `cfg` is true only in tests: `test` alone, or as a part of `all(…)`.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    let asks = |tokens: &str| tokens == "test" || (tokens.starts_with("all (test") || tokens.contains(", test)"));
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .meta
                .require_list()
                .is_ok_and(|list| asks(&list.tokens.to_string()) && !list.tokens.to_string().starts_with("any"))
    })
}

/// The top-level modules that one file imports from.
struct Found {
    module: Vec<String>,
    rooms: BTreeSet<String>,
}

impl Found {
    /// Records a path that begins with `crate` or `super`. Ignores other paths.
    fn path(&mut self, segments: &[String]) {
        let absolute = match segments.first().map(String::as_str) {
            Some("crate") => segments[1..].to_vec(),
            Some("super") => {
                let ups = segments.iter().take_while(|segment| *segment == "super").count();
                let Some(left) = self.module.len().checked_sub(ups) else {
                    return;
                };
                [&self.module[..left], &segments[ups..]].concat()
            }
            _ => return,
        };
        self.rooms.extend(absolute.first().cloned());
    }

    fn tree(&mut self, tree: &UseTree, before: &mut Vec<String>) {
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.tree(&path.tree, before);
                before.pop();
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.tree(tree, before)),
            UseTree::Name(name) => self.leaf(before, &name.ident),
            UseTree::Rename(rename) => self.leaf(before, &rename.ident),
            UseTree::Glob(_) => self.path(before),
        }
    }

    fn leaf(&mut self, before: &[String], name: &syn::Ident) {
        let whole: Vec<String> = before.iter().cloned().chain([name.to_string()]).collect();
        self.path(&whole);
    }

    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => path.push(ident.to_string()),
                TokenTree::Punct(punct) if punct.as_char() == ':' => {}
                other => {
                    self.path(&std::mem::take(&mut path));
                    if let TokenTree::Group(group) = other {
                        self.tokens(group.stream());
                    }
                }
            }
            // A path begins at `crate`, so words before it are dropped, as in `as crate::…`.
            if path.last().is_some_and(|last| last == "crate") {
                path.drain(..path.len() - 1);
            }
        }
        self.path(&path);
    }
}

impl<'ast> Visit<'ast> for Found {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Mod(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Struct(item) => &item.attrs,
            Item::Const(item) => &item.attrs,
            _ => return visit::visit_item(self, item),
        };
        if !is_for_tests(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if !is_for_tests(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        self.module.push(module.ident.to_string());
        visit::visit_item_mod(self, module);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.tree(&item.tree, &mut Vec::new());
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.path(&segments);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        self.tokens(called.tokens.clone());
        visit::visit_macro(self, called);
    }

    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {
        // `pub(crate)` and `pub(super)` contain a path but are not imports.
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::List(list) = &attribute.meta {
            self.tokens(list.tokens.clone());
        }
    }
}
