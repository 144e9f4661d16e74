//! Makes source code that tests include:
//! - for the test `costs`, the quickstart example;
//! - for the test `hygiene`, the sample of the macros beside items with every name in its expansions;
//! - for the test `many`, endpoints with many inputs;
//! - for the benchmark `sockets`, a thousand endpoints.

use std::collections::BTreeSet;
use std::path::Path;
use std::{env, fs};

use proc_macro2::{TokenStream, TokenTree};

fn main() {
    let quickstart = read("../examples/quickstart/src/main.rs");
    // `include!` accepts no `//!`.
    let code: String = quickstart
        .split_inclusive('\n')
        .filter(|line| !line.starts_with("//!"))
        .collect();
    write("quickstart.rs", &code);
    let sample = read("../operator-macros/src/tests/sample.rs");
    let expansions = read("../operator-macros/src/snapshots/operator_macros__tests__the_sample_expands.snap");
    // The snapshot begins with a header between two lines of dashes.
    let expansions = expansions.splitn(3, "---\n").last().unwrap_or_default();
    write("shadowed.rs", &shadowed(&sample, expansions));
    let many = [
        ("GET", "many_searched", 256),
        ("POST", "many_posted", 256),
        ("GET", "nine", 9),
    ];
    write("many.rs", &many.map(endpoint_of).concat());
    write("thousand.rs", &endpoints_of(1_000));
}

/// Endpoints without inputs, and a function that lists them.
fn endpoints_of(count: u32) -> String {
    let endpoint =
        |index| format!("/// Does nothing.\n#[operator_api(GET, \"/more/{index}\")]\nasync fn more_{index}() {{}}\n");
    let endpoints: String = (0..count).map(endpoint).collect();
    let names: String = (0..count).map(|index| format!("more_{index},")).collect();
    format!("{endpoints}\npub(crate) fn all() -> Endpoints {{ endpoints![{names}] }}\n")
}

fn read(path: &str) -> String {
    println!("cargo::rerun-if-changed={path}");
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn write(name: &str, code: &str) {
    let folder = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    fs::write(Path::new(&folder).join(name), code).expect("the file can be written");
}

/// The sample in several modules. Each of them has, for every name in the expansions that is not in the sample itself,
/// a type and a value of that name (a unit struct), a macro, and a trait that gives every type a method or a constant
/// of that name.
fn shadowed(sample: &str, expansions: &str) -> String {
    let (own, mut names) = (names(sample), names(expansions));
    names.retain(|name| !own.contains(name) && !is_reserved(name));
    let mut code = String::new();
    for (module, before, after) in [
        ("methods_by_value", "fn ", "(self) where Self: Sized {}"),
        ("methods_by_reference", "fn ", "(&self) {}"),
        ("methods_by_mutable_reference", "fn ", "(&mut self) {}"),
        ("constants", "const ", ": () = ();"),
    ] {
        code += &format!("mod {module} {{ {IMPORTS}\n");
        for name in &names {
            code += &format!(
                "struct r#{name};
                 macro_rules! r#{name} {{ () => {{ compile_error!(\"the macro `{name}` of the user\") }} }}
                 trait Trait_{name} {{ {before} r#{name} {after} }}
                 impl<T: ?Sized> Trait_{name} for T {{}}\n"
            );
        }
        code += &format!("{sample}\n}}\n");
    }
    code
}

/// What the sample uses.
const IMPORTS: &str = "use super::given;
    use ::operator_runtime::{OperatorError, SearchParam, SearchParams, operator_api, operator_event};";

/// Whether the macros reserve the name: the names of their own items, and the words that cannot be raw identifiers.
fn is_reserved(name: &str) -> bool {
    let reserved = ["__operator", "endpoint_named_", "endpoint_at_", "handler_of_"];
    let lower = name.to_ascii_lowercase();
    reserved.iter().any(|begin| lower.starts_with(begin)) || ["self", "Self", "crate", "super", "_"].contains(&name)
}

/// An endpoint that returns its inputs in the order of its arguments.
fn endpoint_of((method, name, inputs): (&str, &str, usize)) -> String {
    let each = |write: fn(usize) -> String| (0..inputs).map(write).collect::<String>();
    let arguments = each(|index| format!("/// The number with the index {index}.\ninput_{index}: u32,\n"));
    let values = each(|index| format!("input_{index},"));
    format!(
        "/// Returns {inputs} numbers. Use it to see their order.
         #[operator_api({method}, \"/{name}\")]
         async fn {name}({arguments}) -> Vec<u32> {{ vec![{values}] }}\n"
    )
}

/// The names in the code, except the options in `#[operator(…)]` and in the attributes of functions, which rustc does not
/// look up.
fn names(code: &str) -> BTreeSet<String> {
    const MACROS: [&str; 3] = ["operator", "operator_api", "operator_event"];
    fn collect(tokens: TokenStream, names: &mut BTreeSet<String>) {
        let mut trees = tokens.into_iter();
        while let Some(tree) = trees.next() {
            match tree {
                TokenTree::Ident(name) if MACROS.iter().any(|own| name == own) => drop(trees.next()),
                TokenTree::Ident(name) => drop(names.insert(name.to_string())),
                TokenTree::Group(group) => collect(group.stream(), names),
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }
    let mut names = BTreeSet::new();
    collect(code.parse().expect("the code consists of tokens"), &mut names);
    names
}
