//! Rewrites a schema without the forms that a reader refuses. Where a reader cannot express a rule, the schema allows
//! other values, or fewer: the server still checks every call, and its refusal explains the rule to the agent.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::cut::{cut, length};
use super::unite::{Lost, absorb, joined, shared_type, take_only_form};
use super::{Form, Reader};
use crate::schema::choices::Choices;
use crate::schema::definitions;

/// A part of a schema that a reader does not accept.
pub(super) struct Found {
    /// The path of the part, from the inputs' names on; empty for the whole schema.
    pub(super) path: String,
    pub(super) what: String,
    pub(super) better: &'static str,
    pub(super) instead: &'static str,
}

/// Rewrites the schema and everything inside it, and returns what a person may want to change.
pub(super) fn fit(reader: &Reader, schema: &mut Value) -> Vec<Found> {
    let mut fitting = Fitting {
        reader,
        found: Vec::new(),
    };
    fitting.visit("", schema);
    schema.sort_all_objects();
    // Several variants may have the same field; one report about the field is enough.
    let mut seen = BTreeSet::new();
    fitting
        .found
        .retain(|found| seen.insert((found.path.clone(), found.what.clone())));
    fitting.found
}

const SPLIT: &str = "Give each form an endpoint of its own, or take the fields of the forms as optional inputs.";

const SAY: &str = "Say the rule in the description of the input.";

struct Fitting<'r> {
    reader: &'r Reader,
    found: Vec<Found>,
}

impl Fitting<'_> {
    fn report(&mut self, path: &str, what: &str, better: &'static str, instead: &'static str) {
        self.found.push(Found {
            path: path.to_owned(),
            what: format!("{what}, which {} does not accept", self.reader.title),
            better,
            instead,
        });
    }

    fn visit(&mut self, path: &str, schema: &mut Value) {
        let Some(object) = schema.as_object_mut() else {
            return;
        };
        self.unite(path, object);
        self.type_list(path, object);
        self.values(object);
        self.tuple(path, object);
        self.keywords(path, object);
        self.description(path, object);
        self.children(path, object);
    }

    /// Rewrites the choices and combinations of schemas that the reader refuses.
    fn unite(&mut self, path: &str, object: &mut Map<String, Value>) {
        self.nulls(path, object);
        // A form that takes the place of a choice may itself be a choice.
        while self.one_of(path, object) || self.any_of(path, object) || self.all_of(path, object) {
            self.nulls(path, object);
        }
    }

    fn children(&mut self, path: &str, object: &mut Map<String, Value>) {
        for (name, field) in named(object, "properties") {
            match path {
                "" => self.visit(name, field),
                _ => self.visit(&format!("{path}.{name}"), field),
            }
        }
        for keyword in ["items", "additionalProperties"] {
            if let Some(inner @ Value::Object(_)) = object.get_mut(keyword) {
                self.visit(&format!("{path}[]"), inner);
            }
        }
        for (_, inner) in named(object, "patternProperties") {
            self.visit(&format!("{path}[]"), inner);
        }
        for keyword in ["oneOf", "anyOf", "allOf", "prefixItems"] {
            for form in object
                .get_mut(keyword)
                .and_then(Value::as_array_mut)
                .into_iter()
                .flatten()
            {
                self.visit(path, form);
            }
        }
        for (name, definition) in named(object, "$defs") {
            self.visit(&format!("(type {name})"), definition);
        }
    }

    /// Removes null. An agent that leaves an optional input out says the same.
    fn nulls(&mut self, path: &str, object: &mut Map<String, Value>) {
        if !self.reader.refuses(Form::TypeList) && !self.reader.refuses(Form::AnyOf) {
            return;
        }
        // The only form that is left may itself be a choice between null and one form.
        while let Some(lost) = ["anyOf", "oneOf"]
            .iter()
            .find_map(|keyword| take_only_form(object, keyword))
        {
            self.lost(path, lost);
        }
        if let Some(types) = object.get_mut("type").and_then(Value::as_array_mut) {
            types.retain(|one| one != "null");
            if let [only] = types.as_slice() {
                let only = only.clone();
                object.insert("type".into(), only);
            }
        }
        if let Some(values) = object.get_mut("enum").and_then(Value::as_array_mut)
            && !values.iter().all(Value::is_null)
        {
            values.retain(|value| !value.is_null());
        }
        if object.get("default") == Some(&Value::Null) {
            object.remove("default");
        }
    }

    /// Writes a choice of exactly one form as a choice of any form.
    fn one_of(&mut self, path: &str, object: &mut Map<String, Value>) -> bool {
        if !self.reader.refuses(Form::OneOf) {
            return false;
        }
        let Some(Value::Array(forms)) = object.remove("oneOf") else {
            return false;
        };
        if let Some(choices) = Choices::of(&forms) {
            choices.write_to(object);
        } else if object.contains_key("anyOf") {
            let instead = "the document does not list the forms of one of them";
            self.report(path, "The value has two lists of forms", SPLIT, instead);
        } else {
            if !self.reader.refuses(Form::AnyOf) {
                let instead = "the document has `anyOf`";
                self.report(path, "The value has one of several forms (`oneOf`)", SPLIT, instead);
            }
            object.insert("anyOf".into(), forms.into());
        }
        true
    }

    /// Writes a choice of forms as one form.
    fn any_of(&mut self, path: &str, object: &mut Map<String, Value>) -> bool {
        if !self.reader.refuses(Form::AnyOf) {
            return false;
        }
        let Some(Value::Array(mut forms)) = object.remove("anyOf") else {
            return false;
        };
        for form in forms.iter_mut().filter_map(Value::as_object_mut) {
            self.unite(path, form);
        }
        if let Some(choices) = Choices::of(&forms) {
            choices.write_to(object);
        } else if forms.iter().all(|form| form["properties"].is_object()) {
            let instead = "the document has one object with the fields of all forms";
            self.report(path, "The value has one of several forms", SPLIT, instead);
            self.combine(path, object, joined(&forms));
        } else if let Some(only) = shared_type(&forms) {
            let instead = "the document has the type of the forms, without their rules";
            self.report(path, "The value has one of several forms", SPLIT, instead);
            if let Some(only) = only {
                object.insert("type".into(), only);
            }
        } else if !forms.is_empty() {
            let instead = "the document has only the first form";
            self.report(path, "The value has one of several forms", SPLIT, instead);
            self.combine(path, object, forms.swap_remove(0));
        }
        true
    }

    /// Combines schemas into one.
    fn all_of(&mut self, path: &str, object: &mut Map<String, Value>) -> bool {
        if !self.reader.refuses(Form::AllOf) {
            return false;
        }
        let Some(Value::Array(parts)) = object.remove("allOf") else {
            return false;
        };
        for part in parts {
            self.combine(path, object, part);
        }
        true
    }

    /// Adds the keywords of another schema for the same value.
    fn combine(&mut self, path: &str, object: &mut Map<String, Value>, part: Value) {
        let lost = absorb(object, part);
        self.lost(path, lost);
    }

    fn lost(&mut self, path: &str, lost: Lost) {
        for keyword in lost {
            let what = format!("Two rules of one kind (`{keyword}`) apply to the value");
            self.report(path, &what, SAY, "the document has the first one");
        }
    }

    /// Splits a value of several types into one form for each type.
    fn type_list(&mut self, path: &str, object: &mut Map<String, Value>) {
        if !self.reader.refuses(Form::TypeList) {
            return;
        }
        let Some(Value::Array(types)) = object.get("type").cloned() else {
            return;
        };
        object.remove("type");
        if types.is_empty() {
            return;
        }
        let better = "Take a value of one type.";
        if self.reader.refuses(Form::AnyOf) || object.contains_key("anyOf") {
            let instead = "the document has only the first type";
            self.report(path, "The value has one of several types", better, instead);
            object.insert("type".into(), types.into_iter().next().unwrap_or_default());
            return;
        }
        let instead = "the document has `anyOf`";
        self.report(
            path,
            "The value has one of several types (a list in `type`)",
            better,
            instead,
        );
        let all = std::mem::take(object).into_iter();
        let (words, rules): (Map<_, _>, Map<_, _>) = all.partition(|(keyword, _)| definitions::is_annotation(keyword));
        *object = words;
        let forms = types.into_iter().map(|one| {
            let own = rules.iter().filter(|(keyword, _)| applies(keyword, &one));
            let mut form: Map<_, _> = own.map(|(keyword, rule)| (keyword.clone(), rule.clone())).collect();
            form.insert("type".into(), one);
            Value::from(form)
        });
        let forms: Vec<Value> = forms.collect();
        object.insert("anyOf".into(), forms.into());
    }

    /// Writes constants as a list of values, and values that are not strings into the description.
    fn values(&self, object: &mut Map<String, Value>) {
        if self.reader.refuses(Form::Const)
            && let Some(value) = object.remove("const")
        {
            if value.is_string() {
                object.entry("type").or_insert("string".into());
            }
            object.insert("enum".into(), json!([value]));
        }
        if self.reader.refuses(Form::NumberEnum)
            && let Some(values) = object.get("enum").and_then(Value::as_array)
            && !values.iter().all(Value::is_string)
        {
            let shown: Vec<String> = values.iter().map(Value::to_string).collect();
            note(object, &format!("One of {}.", shown.join(", ")));
            object.remove("enum");
        }
    }

    fn tuple(&mut self, path: &str, object: &mut Map<String, Value>) {
        if !self.reader.refuses(Form::Tuple) {
            return;
        }
        if let Some(Value::Array(mut forms)) = object.remove("prefixItems") {
            let better = "Take a struct with named fields.";
            let instead = "the document has a list whose items have any of the tuple's forms";
            self.report(path, "The value is a tuple (`prefixItems`)", better, instead);
            forms.extend(
                object
                    .remove("items")
                    .filter(|rest| rest.is_object() && *rest != json!({ "not": {} })),
            );
            let mut different: Vec<Value> = Vec::new();
            for form in forms {
                if !different.contains(&form) {
                    different.push(form);
                }
            }
            let items = match different.as_slice() {
                [only] => only.clone(),
                _ => json!({ "anyOf": different }),
            };
            object.insert("items".into(), items);
        }
        let is_list = object.get("type").is_some_and(|one| one == "array");
        if is_list && !object.get("items").is_some_and(Value::is_object) {
            object.insert("items".into(), json!({}));
        }
    }

    /// Removes the keywords and formats that the reader does not know, and says in the description what they said.
    fn keywords(&mut self, path: &str, object: &mut Map<String, Value>) {
        if let Some(known) = self.reader.text_formats
            && let Some(format) = object.get("format").and_then(Value::as_str).map(str::to_owned)
            && !known.contains(&format.as_str())
        {
            object.remove("format");
            if object.get("type").is_none_or(|one| one == "string") {
                note(object, &format!("Format: {format}."));
            }
        }
        let Some(known) = self.reader.keywords else {
            return;
        };
        let is_map = ["additionalProperties", "patternProperties"]
            .iter()
            .any(|keyword| object.get(*keyword).is_some_and(Value::is_object));
        if is_map && !path.is_empty() {
            let better = "Take a list of structs, each with a key and a value.";
            let instead = "the document has an object without fields";
            self.report(
                path,
                "The value is a map, an object whose keys are not fixed",
                better,
                instead,
            );
        }
        let unknown: Vec<String> = object
            .keys()
            .filter(|keyword| !known.contains(&keyword.as_str()))
            .cloned()
            .collect();
        for keyword in unknown {
            let Some(value) = object.remove(&keyword) else { continue };
            if let Some(words) = in_words(&keyword, &value) {
                note(object, &words);
            } else if is_rule(&keyword, &value) {
                let what = format!("The value has a rule (`{keyword}`)");
                self.report(path, &what, SAY, "the document does not have the rule");
            }
        }
    }

    fn description(&mut self, path: &str, object: &mut Map<String, Value>) {
        let (Some(most), Some(text)) = (
            self.reader.longest_input,
            object.get("description").and_then(Value::as_str),
        ) else {
            return;
        };
        if length(text) > most {
            let what = format!(
                "The description has {} characters, but {} accepts at most {most}",
                length(text),
                self.reader.title
            );
            let short = cut(text, most);
            object.insert("description".into(), short.into());
            self.found.push(Found {
                path: path.to_owned(),
                what,
                better: "Say first which value is meant, and in which unit or format it is; leave out the rest.",
                instead: "the document has its beginning",
            });
        }
    }
}

/// The schemas in a keyword, with their names.
fn named<'o>(object: &'o mut Map<String, Value>, keyword: &str) -> impl Iterator<Item = (&'o String, &'o mut Value)> {
    let schemas = object.get_mut(keyword).and_then(Value::as_object_mut);
    schemas.into_iter().flatten()
}

/// Whether a keyword is about values of this type.
fn applies(keyword: &str, of: &Value) -> bool {
    let types: &[&str] = match keyword {
        "minLength" | "maxLength" | "pattern" => &["string"],
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" => &["number", "integer"],
        "items" | "prefixItems" | "minItems" | "maxItems" | "uniqueItems" => &["array"],
        "properties"
        | "required"
        | "additionalProperties"
        | "patternProperties"
        | "minProperties"
        | "maxProperties" => &["object"],
        // A format of schemars is either about numbers (`int32`) or about strings.
        "format" | "enum" => &["string", "number", "integer"],
        _ => return true,
    };
    types.iter().any(|one| of == one)
}

/// What a keyword says, as a sentence for the description.
fn in_words(keyword: &str, value: &Value) -> Option<String> {
    let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Some(match keyword {
        "contentEncoding" => format!("Encoding: {shown}."),
        "contentMediaType" => format!("Media type: {shown}."),
        "default" => format!("If it is left out, it is {shown}."),
        "deprecated" if *value == true => "Deprecated.".to_owned(),
        "examples" => format!("Such as {}.", value.as_array()?.first()?),
        "exclusiveMaximum" => format!("Less than {shown}."),
        "exclusiveMinimum" => format!("Greater than {shown}."),
        "multipleOf" => format!("A multiple of {shown}."),
        "not" => not_in_words(value)?,
        "uniqueItems" if *value == true => "No item may occur twice.".to_owned(),
        _ => return None,
    })
}

fn not_in_words(refused: &Value) -> Option<String> {
    let keywords = refused.as_object()?;
    let rules = keywords
        .iter()
        .filter(|(keyword, _)| !definitions::is_annotation(keyword));
    // A type beside the values says nothing more.
    let rules: Vec<_> = rules.filter(|(keyword, _)| *keyword != "type").collect();
    match rules.as_slice() {
        [(keyword, value)] if *keyword == "const" => Some(format!("Not {value}.")),
        [(keyword, Value::Array(values))] if *keyword == "enum" => {
            let shown: Vec<String> = values.iter().map(Value::to_string).collect();
            Some(format!("None of {}.", shown.join(", ")))
        }
        _ => None,
    }
}

/// Whether a keyword without words is a rule that a caller may break.
fn is_rule(keyword: &str, value: &Value) -> bool {
    match keyword {
        "$defs" | "$id" | "$schema" | "discriminator" => false,
        // `keywords` has reported a map. A caller sends only the fields that it is shown, so it need not know that there
        // are no others.
        "additionalProperties" | "patternProperties" => false,
        "unevaluatedItems" | "unevaluatedProperties" => value.is_object() && *value != json!({}),
        "uniqueItems" => *value == true,
        _ => !definitions::is_annotation(keyword),
    }
}

/// Adds a sentence to a description.
fn note(object: &mut Map<String, Value>, sentence: &str) {
    let description = object.get("description").and_then(Value::as_str).unwrap_or_default();
    let noted = format!("{description} {sentence}");
    object.insert("description".into(), noted.trim_start().into());
}
