//! Explains what is wrong with a value that its schema refuses, for each place in the value.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use jsonschema::JsonType;
use jsonschema::error::ValidationErrorKind as Broken;
use jsonschema::json::Node as _;
use serde_json::Value;

use super::document::{Member, Node};
use super::found::{Found, shortened};
use super::rules::{Form, Forms, Id, Others, Rule, Rules};
use super::sentence::{self, one_of, shown, types_in_words, unexpected_in_words};
use crate::problem::InputProblem;

/// Adds all problems of a refused value. If the schema allows several forms, these are the problems of the form that
/// was probably meant.
pub(super) fn explain(input: &str, rules: &Rules, value: Node<'_>, found: &mut Found) {
    let before = found.count();
    let root = Place::Input(input);
    let mut explaining = Explaining {
        rules,
        found,
        allowance: WHOLE_VALUES * value.size(),
    };
    explaining.visit(value, &[0], &root);
    if found.count() == before {
        found.push(|| root.problem("does not match its schema."));
    }
}

/// The place of a value in an input. The path is written only when there is a problem.
enum Place<'p> {
    Input(&'p str),
    Field(&'p Self, &'p str),
    Item(&'p Self, usize),
}

impl Place<'_> {
    /// The path, such as `filter.tags[2]`. Paths in a flattened input begin with the field.
    fn path(&self) -> String {
        let mut path = String::new();
        self.write(&mut path);
        shortened(path.trim_start_matches('.')).into_owned()
    }

    fn write(&self, path: &mut String) {
        match self {
            Self::Input(name) => path.push_str(name),
            Self::Field(within, name) => {
                within.write(path);
                path.push('.');
                path.push_str(&shortened(name));
            }
            Self::Item(within, index) => {
                within.write(path);
                path.push_str(&format!("[{index}]"));
            }
        }
    }

    /// A problem whose message is the path and then `rest`.
    fn problem(&self, rest: &str) -> InputProblem {
        let path = self.path();
        let detail = if path.is_empty() {
            format!("The object with the inputs {rest}")
        } else {
            format!("`{path}` {rest}")
        };
        InputProblem { detail, input: path }
    }

    fn lacks(&self, field: &str) -> InputProblem {
        if self.path().is_empty() {
            sentence::missing(field)
        } else {
            self.problem(&format!("lacks `{field}`."))
        }
    }
}

/// If a schema has at most this many forms, finding the meant form is cheap, so it is never skipped, however many
/// problems were found before.
const FEW_FORMS: usize = 4;

/// How often the whole input may be validated again, by keywords without a specific error message, such as `if`, or to
/// see whether it matches one of several forms. A schema that refers to itself has such keywords at each level of a
/// value.
const WHOLE_VALUES: usize = 4;

struct Explaining<'e> {
    rules: &'e Rules,
    found: &'e mut Found,
    /// How many values may still be validated again.
    allowance: usize,
}

impl<'e> Explaining<'e> {
    /// Adds the problems of the value with these rules. Each place of an input is visited once.
    fn visit(&mut self, value: Node<'_>, rules: &[Id], place: &Place<'_>) {
        let rules = self.all_rules(value, rules, place);
        match value.json_type() {
            JsonType::Array => self.visit_items(value, &rules, place),
            JsonType::Object => self.visit_fields(value, &rules, place),
            _ => {}
        }
    }

    /// The given rules, and the further rules that they apply to the same value. Problems of the value itself are
    /// added.
    fn all_rules<'r>(&mut self, value: Node<'_>, rules: &'r [Id], place: &Place<'_>) -> Cow<'r, [Id]> {
        let mut all = Cow::Borrowed(rules);
        let mut next = 0;
        while let Some(rule) = all.get(next).and_then(|id| self.rules.get(*id)) {
            next += 1;
            let is_its_type = self.check_own(value, rule, place);
            if rule.is_alone() || !is_its_type {
                continue;
            }
            // With many forms, this step is skipped once there are many problems: it compares the value with each form,
            // and the forms with each other.
            if rule.forms.iter().any(|forms| forms.forms.len() > FEW_FORMS) && self.found.leaves_out() {
                continue;
            }
            let meant = rule.forms.iter().filter_map(|forms| self.meant(value, forms, place));
            let more: Vec<Id> = meant.chain(rule.same.iter().copied()).collect();
            for id in more {
                if !all.contains(&id) {
                    all.to_mut().push(id);
                }
            }
        }
        all
    }

    /// Adds the problems of the value itself with one rule, and returns whether the value is of the rule's type.
    fn check_own(&mut self, value: Node<'_>, rule: &Rule, place: &Place<'_>) -> bool {
        if rule.never {
            self.found.push(|| place.problem("is not allowed: leave it out."));
        }
        if let Some(beyond) = &rule.beyond
            && self.may_validate(value)
            && !beyond.is_valid(value)
        {
            self.found.push(|| place.problem("does not match its schema."));
        }
        let Some(own) = rule.own.as_ref().filter(|own| !own.is_valid(value)) else {
            return true;
        };
        if self.found.is_full() {
            // This problem is only counted, so no message is needed.
            self.found.push(|| place.problem(""));
            return true;
        }
        let broken: Vec<_> = own.iter_errors(value).collect();
        // An enum or a constant already implies the type.
        let lists_values = broken
            .iter()
            .any(|error| matches!(error.kind(), Broken::Enum { .. } | Broken::Constant { .. }));
        let is_type = |kind: &Broken| matches!(kind, Broken::Type { .. });
        for error in broken.iter().filter(|error| !(lists_values && is_type(error.kind()))) {
            self.found.push(|| match error.kind() {
                Broken::Required { property } => place.lacks(property.as_str().unwrap_or_default()),
                kind => place.problem(&format!("{}.", sentence::rule(kind, value))),
            });
        }
        !broken.iter().any(|error| is_type(error.kind()))
    }

    /// Whether the allowance is enough to validate the value once more. If so, this uses that part of the allowance.
    fn may_validate(&mut self, value: Node<'_>) -> bool {
        let left = self.allowance.checked_sub(value.size());
        self.allowance = left.unwrap_or(self.allowance);
        left.is_some()
    }

    fn visit_items(&mut self, list: Node<'_>, rules: &[Id], place: &Place<'_>) {
        let rules: Vec<&'e Rule> = rules.iter().filter_map(|id| self.rules.get(*id)).collect();
        let rest: Vec<Id> = rules.iter().filter_map(|rule| rule.items).collect();
        let longest = rules.iter().map(|rule| rule.first.len()).max().unwrap_or_default();
        for (index, item) in list.items().enumerate() {
            let place = Place::Item(place, index);
            if index < longest {
                let of_item = rules
                    .iter()
                    .filter_map(|rule| rule.first.get(index).copied().or(rule.items));
                let of_item: Vec<Id> = of_item.collect();
                self.visit(item, &of_item, &place);
            } else if rest.is_empty() {
                break;
            } else {
                self.visit(item, &rest, &place);
            }
        }
    }

    fn visit_fields(&mut self, object: Node<'_>, ids: &[Id], place: &Place<'_>) {
        let rules: Vec<&'e Rule> = ids.iter().filter_map(|id| self.rules.get(*id)).collect();
        // The fields are sorted by name, so that the order of the messages does not depend on the caller's order of
        // fields.
        let mut members: Vec<Member<'_>> = object.members().collect();
        members.sort_by(|(one, _), (other, _)| one.cmp(other));
        self.check_unexpected(&members, ids, &rules, place);
        let mut of_field = Vec::new();
        for (name, value) in &members {
            of_field.clear();
            for rule in &rules {
                rule.rules_of_field(name, &mut of_field);
            }
            if !of_field.is_empty() {
                of_field.dedup();
                self.visit(*value, &of_field, &Place::Field(place, name));
            }
        }
    }

    /// Adds the problem of fields that the rules do not know.
    fn check_unexpected(&mut self, members: &[Member<'_>], ids: &[Id], rules: &[&Rule], place: &Place<'_>) {
        for rule in rules
            .iter()
            .filter(|rule| rule.others == Others::None || rule.knows_all)
        {
            let knowing: &[&Rule] = if rule.knows_all { rules } else { &[rule] };
            let is_known = |name: &str| match rule.others {
                Others::None => rule.rules_of_field(name, &mut Vec::new()),
                Others::Any | Others::Each(_) => rules.iter().any(|rule| self.rules.know(rule, name, ids)),
            };
            let names = members.iter().map(|(name, _)| &**name);
            let mut unexpected = names.filter(|name| !is_known(name)).peekable();
            if unexpected.peek().is_some() {
                self.found.push(|| {
                    let known = knowing.iter().flat_map(|rule| rule.fields.keys().map(String::as_str));
                    let known: BTreeSet<&str> = known.collect();
                    place.problem(&unexpected_in_words(unexpected, &Vec::from_iter(known)))
                });
            }
        }
    }

    /// The form that was probably meant, whose rules are then applied. If that is not clear and the value matches no
    /// form, this adds a problem.
    fn meant(&mut self, value: Node<'_>, forms: &Forms, place: &Place<'_>) -> Option<Id> {
        if let Some(choices) = &forms.choices {
            if !forms.any_fits(value) {
                self.found.push(|| {
                    let choices = one_of(choices.iter().map(String::as_str));
                    place.problem(&format!("must be {choices}, and {} was given.", shown(value)))
                });
            }
            return None;
        }
        if let Some(variants) = Variants::of(forms) {
            let meant = variants.meant(value);
            if meant.is_none() && self.may_validate(value) && !forms.any_fits(value) {
                self.found
                    .push(|| place.problem(&format!("must be {variants}, and {} was given.", shown(value))));
            }
            return meant;
        }
        let of_its_type: Vec<&Form> = forms
            .forms
            .iter()
            .filter(|form| form.shape.takes(value.json_type()))
            .collect();
        if of_its_type.is_empty() {
            self.found.push(|| {
                let types = forms.forms.iter().flat_map(|form| form.shape.types.iter().flatten());
                let types = types_in_words(types.copied());
                place.problem(&format!("must be {types}, and {} was given.", shown(value)))
            });
            return None;
        }
        match Meant::among(&of_its_type, value) {
            Meant::Form(id) => return Some(id),
            Meant::NoTag(field) => self.found.push(|| {
                if place.path().is_empty() {
                    sentence::missing(field)
                } else {
                    place.problem(&format!("lacks `{field}`, which selects the form of the object."))
                }
            }),
            Meant::WrongTag(field, given, choices) => self.found.push(|| {
                let choices = one_of(choices.iter().map(String::as_str));
                Place::Field(place, field).problem(&format!("must be {choices}, and {} was given.", shown(given)))
            }),
            Meant::Unclear if !self.may_validate(value) => {}
            Meant::Unclear if !forms.any_fits(value) => self.found.push(|| {
                let count = forms.forms.iter().filter(|form| !form.shape.is_null()).count();
                place.problem(&format!("matches none of the {count} forms in its schema."))
            }),
            Meant::Unclear if forms.too_many_fit(value) => self
                .found
                .push(|| place.problem("matches several forms in its schema, and must match exactly one.")),
            Meant::Unclear => {}
        }
        None
    }
}

/// The form that was meant, among several forms of one type.
enum Meant<'f, 'v> {
    Form(Id),
    /// The tag field, which selects the form, is missing.
    NoTag(&'f str),
    /// The tag field has a value that selects no form.
    WrongTag(&'f str, Node<'v>, Vec<String>),
    Unclear,
}

impl<'f, 'v> Meant<'f, 'v> {
    fn among(forms: &[&'f Form], value: Node<'v>) -> Self {
        if let [only] = forms {
            return Self::Form(only.id);
        }
        let tagged = retain(forms, |form| form.has_its_tags(value));
        match tagged.as_slice() {
            [only] => return Self::Form(only.id),
            [] => return wrong_tag(forms, value).unwrap_or(Self::Unclear),
            _ => {}
        }
        if let Some(tag) = tag_of_all(&tagged).filter(|tag| value.field(tag).is_none()) {
            return Self::NoTag(tag);
        }
        let complete = retain(&tagged, |form| {
            form.shape.required.iter().all(|field| value.field(field).is_some())
        });
        if let [only] = complete.as_slice() {
            return Self::Form(only.id);
        }
        let closed = retain(&complete, |form| {
            let only = form.shape.only.as_ref();
            only.is_none_or(|only| value.members().all(|(name, _)| only.contains(&*name)))
        });
        match closed.as_slice() {
            [only] => Self::Form(only.id),
            _ => Self::Unclear,
        }
    }
}

fn retain<'f>(forms: &[&'f Form], keep: impl Fn(&Form) -> bool) -> Vec<&'f Form> {
    forms.iter().copied().filter(|form| keep(form)).collect()
}

/// The field that every form requires, with a different fixed value in each form.
fn tag_of_all<'f>(forms: &[&'f Form]) -> Option<&'f str> {
    let (first, rest) = forms.split_first()?;
    let fixed = |form: &'f Form, field: &String| {
        form.shape
            .fixed
            .get(field)
            .filter(|_| form.shape.required.contains(field))
    };
    let is_tag = |field: &&'f String| {
        let values: Vec<_> = forms.iter().filter_map(|form| fixed(form, field)).collect();
        let differ = |index: usize| !values[..index].contains(&values[index]);
        values.len() == rest.len() + 1 && (1..values.len()).all(differ)
    };
    first.shape.fixed.keys().find(is_tag).map(String::as_str)
}

fn wrong_tag<'f, 'v>(forms: &[&'f Form], value: Node<'v>) -> Option<Meant<'f, 'v>> {
    let tag = tag_of_all(forms)?;
    let given = value.field(tag)?;
    let values: Vec<&Value> = forms.iter().filter_map(|form| form.shape.fixed.get(tag)).collect();
    // If the tag has a known value, another field is wrong.
    let is_known = values.iter().any(|fixed| given.equals_value(fixed));
    let choices = values.into_iter().map(sentence::in_words).collect();
    (!is_known).then_some(Meant::WrongTag(tag, given, choices))
}

/// The variants of an enum in serde's default representation: a text, or an object with one field.
struct Variants<'f> {
    texts: Vec<String>,
    fields: Vec<(&'f str, Id)>,
}

impl<'f> Variants<'f> {
    fn of(forms: &'f Forms) -> Option<Self> {
        let mut variants = Self {
            texts: Vec::new(),
            fields: Vec::new(),
        };
        for form in forms.forms.iter().filter(|form| !form.shape.is_null()) {
            if let Some(values) = &form.shape.values {
                variants
                    .texts
                    .extend(values.iter().filter(|value| !value.is_null()).map(sentence::in_words));
                continue;
            }
            let mut required = form.shape.required.iter();
            let only = required.next().filter(|_| required.next().is_none())?;
            let is_all = form.shape.only.as_ref().is_some_and(|fields| fields.len() == 1);
            // A field with a fixed value is a tag, so this is another representation.
            (is_all && !form.shape.fixed.contains_key(only)).then_some(())?;
            variants.fields.push((only, form.id));
        }
        (!variants.fields.is_empty()).then_some(variants)
    }

    /// The variant that the object's only field names.
    fn meant(&self, value: Node<'_>) -> Option<Id> {
        let mut members = value.members();
        let (name, _) = members.next().filter(|_| members.next().is_none())?;
        self.fields.iter().find(|(field, _)| *field == name).map(|(_, id)| *id)
    }
}

impl fmt::Display for Variants<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.texts.is_empty() {
            write!(formatter, "{}, or ", one_of(self.texts.iter().map(String::as_str)))?;
        }
        let fields = one_of(self.fields.iter().map(|(field, _)| *field));
        write!(formatter, "an object whose only field is {fields}")
    }
}
