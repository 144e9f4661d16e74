//! A schema split into rules, so that problems of a value can be explained for each place in the value.
//!
//! One validator of the whole schema decides whether a value is valid, in time that depends only on the size of the
//! value. The explanation visits each place of the value once, with all rules that apply there. Of the alternatives of
//! a `oneOf` or `anyOf`, called forms here, it follows only the form that the caller most likely meant. Following all
//! forms of a recursive type would multiply the work with each level.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use jsonschema::Validator;
use jsonschema::json::Node as _;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::bound::compile_own;
use super::buffered::{has_tagged_forms, is_collected, is_map, tries_forms};
use super::document::{Indexed, Node};
use super::sentence::in_words;
use super::shape::Shape;
use crate::schema::exact;

/// The index of a rule in the rules of a schema.
pub(super) type Id = usize;

/// All rules of a schema. The first rule is the schema itself.
pub(super) struct Rules {
    rules: Vec<Rule>,
}

/// The keywords of one schema object.
#[derive(Default)]
pub(super) struct Rule {
    /// The schema `false`, which no value matches.
    pub(super) never: bool,
    /// The keywords about the value itself, without its items and fields. Each of these keywords has a specific error
    /// message.
    pub(super) own: Option<Validator<Indexed>>,
    /// Keywords for which there is no specific error message, such as `not`, `if` and `contains`.
    pub(super) beyond: Option<Validator<Indexed>>,
    /// Further rules for the same value: `$ref` and `allOf`.
    pub(super) same: Vec<Id>,
    /// `oneOf` and `anyOf`.
    pub(super) forms: Vec<Forms>,
    /// Whether serde collects the fields that are not in `fields` in a buffer, because one of its fields is flattened.
    pub(super) is_collected: bool,
    pub(super) fields: BTreeMap<String, Id>,
    /// Rules of the fields whose names match a pattern.
    patterns: Vec<(Validator<Indexed>, Id)>,
    pub(super) others: Others,
    /// Whether a field is refused if no rule for the same value knows it (`unevaluatedProperties: false`).
    pub(super) knows_all: bool,
    /// The rule of the fields that neither this rule nor another one for the same value knows, if they have one.
    pub(super) unevaluated: Option<Id>,
    /// Rules of the first items.
    pub(super) first: Vec<Id>,
    /// The rule of the other items.
    pub(super) items: Option<Id>,
    shape: Shape,
}

/// How a rule treats fields that it does not name.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Others {
    #[default]
    Any,
    None,
    Each(Id),
}

/// The forms of a `oneOf` or `anyOf`. A value must match one of them.
pub(super) struct Forms {
    pub(super) forms: Vec<Form>,
    /// The values of all forms, if each form has fixed values.
    pub(super) choices: Option<Vec<String>>,
    /// Whether a value must match exactly one form: `oneOf`.
    pub(super) only_one: bool,
    /// Whether serde tries one form after the other.
    pub(super) are_tried_in_turn: bool,
    /// Whether serde keeps all fields in a buffer until it knows the tag.
    pub(super) are_tagged: bool,
    schemas: Value,
    definitions: Option<Arc<Value>>,
    any: OnceLock<Option<Validator<Indexed>>>,
    one: OnceLock<Option<Validator<Indexed>>>,
}

/// One of several forms.
pub(super) struct Form {
    pub(super) id: Id,
    pub(super) shape: Shape,
}

impl Rules {
    pub(super) fn of(schema: &Value) -> Self {
        let mut building = Building {
            root: schema,
            definitions: schema.get("$defs").cloned().map(Arc::new),
            rules: Vec::new(),
            references: BTreeMap::new(),
        };
        building.add(schema);
        let mut rules = Self { rules: building.rules };
        rules.fill_in_shapes();
        rules
    }

    pub(super) fn get(&self, id: Id) -> Option<&Rule> {
        self.rules.get(id)
    }

    /// The number of forms of the enum that has most of them.
    pub(super) fn most_forms(&self) -> usize {
        let forms = self.rules.iter().flat_map(|rule| &rule.forms);
        forms.map(|forms| forms.forms.len()).max().unwrap_or(0)
    }

    /// Sets the shapes of all forms. The shape of a form combines all rules that apply to the same value.
    fn fill_in_shapes(&mut self) {
        let shapes: Vec<Shape> = (0..self.rules.len()).map(|id| self.shape(id, 0)).collect();
        let choices: Vec<Vec<_>> = self
            .rules
            .iter()
            .map(|rule| rule.forms.iter().map(|forms| self.choices(forms, 0)).collect())
            .collect();
        for (rule, choices) in self.rules.iter_mut().zip(choices) {
            for (forms, choices) in rule.forms.iter_mut().zip(choices) {
                forms.choices = choices;
                for form in &mut forms.forms {
                    form.shape = shapes.get(form.id).cloned().unwrap_or_default();
                }
            }
        }
    }

    fn shape(&self, id: Id, depth: usize) -> Shape {
        /// How deep the rules for one value are followed. The limit ends cycles, which add no information.
        const DEEPEST: usize = 4;
        let Some(rule) = self.get(id).filter(|_| depth < DEEPEST) else {
            return Shape::default();
        };
        let mut shape = rule.shape.clone();
        for (name, field) in &rule.fields {
            if let Some([only]) = self.values(*field).map(Vec::as_slice) {
                shape.fixed.insert(name.clone(), only.clone());
            }
        }
        for same in &rule.same {
            shape.and(self.shape(*same, depth + 1));
        }
        for forms in &rule.forms {
            let types = forms.forms.iter().map(|form| self.shape(form.id, depth + 1).types);
            let types = types.collect::<Option<Vec<_>>>();
            shape.and_types(types.map(|types| types.into_iter().flatten().collect()));
        }
        shape
    }

    /// The allowed values of a field, if its rule lists them.
    fn values(&self, id: Id) -> Option<&Vec<Value>> {
        let rule = self.get(id)?;
        let referred = || rule.same.iter().find_map(|same| self.get(*same)?.shape.values.as_ref());
        rule.shape.values.as_ref().or_else(referred)
    }

    /// The values of all forms, if each form has fixed values. Null is skipped, because it only means that the value is
    /// left out.
    fn choices(&self, forms: &Forms, depth: usize) -> Option<Vec<String>> {
        const DEEPEST: usize = 4;
        let mut choices = Vec::new();
        for form in &forms.forms {
            let shape = self.shape(form.id, 0);
            match &shape.values {
                Some(values) => choices.extend(values.iter().filter(|value| !value.is_null()).map(in_words)),
                None if shape.is_null() => {}
                // In the schema of an optional enum, one of the forms is itself a list of forms.
                None if depth < DEEPEST => choices.extend(self.choices(self.only_forms(form.id)?, depth + 1)?),
                None => return None,
            }
        }
        (!choices.is_empty()).then_some(choices)
    }

    /// The forms of a rule that has no other keywords.
    fn only_forms(&self, id: Id) -> Option<&Forms> {
        let rule = self.get(id)?;
        match (rule.same.as_slice(), rule.forms.as_slice()) {
            ([], [only]) => Some(only),
            ([referred], []) => match self.get(*referred)?.forms.as_slice() {
                [only] => Some(only),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether the rule or one of its forms knows a field with that name. The forms are ignored if one of them is in
    /// `judged`, because that form is then checked by itself.
    pub(super) fn know(&self, rule: &Rule, name: &str, judged: &[Id]) -> bool {
        let is_open = |forms: &&Forms| !forms.forms.iter().any(|form| judged.contains(&form.id));
        let mut forms = rule.forms.iter().filter(is_open).flat_map(|forms| &forms.forms);
        rule.rules_of_field(name, &mut Vec::new())
            || forms.any(|form| {
                let form = self.get(form.id);
                let referred = form
                    .into_iter()
                    .flat_map(|form| &form.same)
                    .filter_map(|id| self.get(*id));
                form.into_iter()
                    .chain(referred)
                    .any(|rule| rule.rules_of_field(name, &mut Vec::new()))
            })
    }
}

impl Rule {
    /// Adds the rules for a field with that name to `rules`, and returns whether the name is known.
    pub(super) fn rules_of_field(&self, name: &str, rules: &mut Vec<Id>) -> bool {
        let before = rules.len();
        rules.extend(self.fields.get(name));
        for (pattern, id) in &self.patterns {
            if pattern.is_valid(Node::Text(name)) {
                rules.push(*id);
            }
        }
        let is_known = rules.len() > before;
        match self.others {
            Others::Each(id) if !is_known => {
                rules.push(id);
                true
            }
            Others::Any | Others::None | Others::Each(_) => is_known,
        }
    }

    /// Whether this rule refers to no other rules for the same value.
    pub(super) fn is_alone(&self) -> bool {
        self.same.is_empty() && self.forms.is_empty()
    }
}

impl Form {
    /// Whether all tag fields of the value have the values that the form requires.
    pub(super) fn has_its_tags(&self, value: Node<'_>) -> bool {
        self.shape.fixed.iter().all(|(field, fixed)| {
            let is_required = self.shape.required.contains(field);
            value
                .field(field)
                .is_none_or(|given| !is_required || given.equals_value(fixed))
        })
    }
}

impl Forms {
    /// Whether the value matches at least one form.
    pub(super) fn any_fits(&self, value: Node<'_>) -> bool {
        let any = self.any.get_or_init(|| self.compile("anyOf"));
        any.as_ref().is_none_or(|any| any.is_valid(value))
    }

    /// Whether the value matches more forms than allowed.
    pub(super) fn too_many_fit(&self, value: Node<'_>) -> bool {
        let one = self.one.get_or_init(|| self.compile("oneOf"));
        self.only_one && one.as_ref().is_some_and(|one| !one.is_valid(value))
    }

    fn compile(&self, keyword: &str) -> Option<Validator<Indexed>> {
        let mut schema = Map::from_iter([(keyword.to_owned(), self.schemas.clone())]);
        if let Some(definitions) = self.definitions.as_deref() {
            schema.insert("$defs".to_owned(), definitions.clone());
        }
        compile_own(&schema.into()).ok()
    }
}

/// Splits a schema into rules.
struct Building<'s> {
    root: &'s Value,
    /// The definitions of the schema, which all forms share.
    definitions: Option<Arc<Value>>,
    rules: Vec<Rule>,
    /// The rule already made for each `$ref`. Without this map, splitting a recursive schema into rules would never
    /// end.
    references: BTreeMap<String, Id>,
}

impl<'s> Building<'s> {
    fn add(&mut self, schema: &'s Value) -> Id {
        let id = self.rules.len();
        self.rules.push(Rule::default());
        let rule = match schema {
            Value::Object(schema) => self.rule(schema),
            other => Rule {
                never: other == &Value::Bool(false),
                ..Rule::default()
            },
        };
        if let Some(place) = self.rules.get_mut(id) {
            *place = rule;
        }
        id
    }

    fn rule(&mut self, schema: &'s Map<String, Value>) -> Rule {
        let mut rule = Rule {
            shape: Shape::of(schema),
            is_collected: is_collected(schema),
            ..Rule::default()
        };
        let (mut own, mut beyond) = (Map::new(), Map::new());
        for (keyword, value) in schema {
            match keyword.as_str() {
                "$ref" => match value.as_str().and_then(|reference| self.refer(reference)) {
                    Some(id) => rule.same.push(id),
                    None => drop(beyond.insert(keyword.clone(), value.clone())),
                },
                "allOf" => rule.same.extend(self.list(value)),
                "oneOf" | "anyOf" => rule.forms.push(self.forms(value, keyword == "oneOf", schema)),
                "properties" => {
                    let fields = value.as_object().into_iter().flatten();
                    rule.fields
                        .extend(fields.map(|(name, field)| (name.clone(), self.add(field))));
                }
                "patternProperties" => {
                    for (pattern, field) in value.as_object().into_iter().flatten() {
                        let names = compile_own(&json!({ "pattern": pattern })).ok();
                        rule.patterns.extend(names.map(|names| (names, self.add(field))));
                    }
                }
                "additionalProperties" if value == &Value::Bool(false) => rule.others = Others::None,
                "additionalProperties" => rule.others = Others::Each(self.add(value)),
                "unevaluatedProperties" if value == &Value::Bool(false) => rule.knows_all = true,
                "unevaluatedProperties" if value.is_object() => {
                    rule.unevaluated = Some(self.add(value));
                    beyond.insert(keyword.clone(), value.clone());
                }
                "prefixItems" => rule.first = self.list(value),
                "items" => rule.items = Some(self.add(value)),
                "$defs" => {}
                known if has_a_sentence(known) => drop(own.insert(keyword.clone(), value.clone())),
                _ => drop(beyond.insert(keyword.clone(), value.clone())),
            }
        }
        rule.own = (!own.is_empty()).then(|| compile_own(&own.into()).ok()).flatten();
        rule.beyond = self.beyond(beyond);
        rule
    }

    /// A validator of keywords that can refuse a value and have no specific error message.
    fn beyond(&self, mut keywords: Map<String, Value>) -> Option<Validator<Indexed>> {
        const JUDGED: [&str; 14] = [
            "$dynamicRef",
            "$ref",
            "contains",
            "dependentRequired",
            "dependentSchemas",
            "else",
            "if",
            "maxContains",
            "minContains",
            "not",
            "propertyNames",
            "then",
            "unevaluatedItems",
            "unevaluatedProperties",
        ];
        keywords.retain(|keyword, _| JUDGED.contains(&keyword.as_str()));
        if keywords.is_empty() {
            return None;
        }
        if let Some(definitions) = self.definitions.as_deref() {
            keywords.insert("$defs".to_owned(), definitions.clone());
        }
        compile_own(&keywords.into()).ok()
    }

    fn list(&mut self, schemas: &'s Value) -> Vec<Id> {
        let schemas = schemas.as_array().into_iter().flatten();
        schemas.map(|schema| self.add(schema)).collect()
    }

    fn forms(&mut self, schemas: &'s Value, only_one: bool, schema: &Map<String, Value>) -> Forms {
        let forms = self.list(schemas).into_iter();
        Forms {
            forms: forms
                .map(|id| Form {
                    id,
                    shape: Shape::default(),
                })
                .collect(),
            choices: None,
            only_one,
            are_tried_in_turn: !only_one && tries_forms(schema),
            are_tagged: only_one && has_tagged_forms(schema),
            schemas: schemas.clone(),
            definitions: self.definitions.clone(),
            any: OnceLock::new(),
            one: OnceLock::new(),
        }
    }

    /// The rule for a reference inside the schema, which is a JSON Pointer (RFC 6901 §6).
    fn refer(&mut self, reference: &str) -> Option<Id> {
        if let Some(id) = self.references.get(reference) {
            return Some(*id);
        }
        let pointer = percent_decode_str(reference.strip_prefix('#')?).decode_utf8().ok()?;
        let schema = self.root.pointer(&pointer)?;
        // The id is inserted before the schema is split into rules, because the schema may refer to itself.
        let id = self.rules.len();
        self.references.insert(reference.to_owned(), id);
        self.add(schema);
        if let Some(rule) = self.rules.get_mut(id) {
            rule.is_collected |= schema.as_object().is_some_and(is_map);
            // The `anyOf` of a definition is an untagged enum, even if only one of its forms is not null.
            for forms in &mut rule.forms {
                forms.are_tried_in_turn = !forms.only_one;
            }
        }
        Some(id)
    }
}

/// Whether a keyword is about the value itself and has a specific error message.
fn has_a_sentence(keyword: &str) -> bool {
    matches!(
        keyword,
        "type"
            | "enum"
            | "const"
            | "minimum"
            | "maximum"
            | "exclusiveMinimum"
            | "exclusiveMaximum"
            | "multipleOf"
            | "minLength"
            | "maxLength"
            | "pattern"
            | "format"
            | "minItems"
            | "maxItems"
            | "uniqueItems"
            | "required"
            | "minProperties"
            | "maxProperties"
            | exact::DIGITS
    )
}
