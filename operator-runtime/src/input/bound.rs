//! The inputs of an endpoint, prepared at start-up: their names, and validators for schemas with constraints beyond the
//! type.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, OnceLock};

use jsonschema::json::{Json, SerdeJson};
use jsonschema::{Draft, PatternOptions, Retrieve, ValidationOptions, Validator};
use serde_json::{Map, Value};

use super::buffered::Repetition;
use super::digits::Digits;
use super::document::{Indexed, Node};
use super::explain::explain;
use super::form::Form;
use super::found::Found;
use super::mistake::InputMistake;
use super::rules::Rules;
use super::{Input, TypeName, attempts, search_param, sentence, trial};
use crate::protocol::method::Method;
use crate::protocol::request::Content;
use crate::schema::keywords::lists_type;
use crate::schema::{definitions, exact};

/// How long it takes to decode the content of a request, as the length in bytes of a plain body that takes equally
/// long. This effort, and not the length of the content, decides whether the content is decoded in turn, and where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort(usize);

impl Effort {
    /// The effort to parse a message of this length, which has no inputs yet.
    #[cfg(feature = "mcp")]
    pub(crate) fn of_message(length: usize) -> Self {
        Self(length)
    }

    pub(crate) fn is_above(self, bytes: usize) -> bool {
        self.0 > bytes
    }
}

/// The inputs of one endpoint.
#[derive(Default)]
pub(crate) struct BoundInputs {
    pub(super) inputs: Vec<BoundInput>,
    /// The names under which a caller sends the inputs, by their lengths and then by their letters, so that a search
    /// rarely compares letters.
    places: Box<[String]>,
    /// Whether a short value may take long, because serde may decode its parts several times.
    may_try_again: bool,
}

/// One input.
pub(super) struct BoundInput {
    pub(super) name: &'static str,
    flattened: Option<TypeName>,
    pub(super) fields: Option<BTreeMap<String, Scalar>>,
    pub(super) scalar: Scalar,
    /// Whether the value is a UUID, which has several spellings.
    is_uuid: bool,
    /// Whether a caller must send the input. It is `false` for a flattened input, whose schema lists what it requires.
    pub(super) is_required: bool,
    /// Whether a value is checked before it is decoded.
    pub(super) is_checked_first: bool,
    /// What a value is checked against. It is present for almost every input of a POST, because validation reports all
    /// mistakes of a value, but decoding reports only the first one.
    pub(super) checked: Option<Checked>,
}

/// A schema and its validator.
pub(super) struct Checked {
    schema: Value,
    /// `None` if the type alone decides which values are accepted.
    validator: Option<Validator<Indexed>>,
    /// What serde may do with a part of a value.
    pub(super) repetition: Repetition,
    /// The rules are built when they are needed for the first time, because most inputs never refuse a value.
    rules: OnceLock<Rules>,
}

impl Checked {
    pub(super) fn new(schema: Value, is_lenient: bool) -> Result<Self, jsonschema::ValidationError<'static>> {
        Ok(Self {
            validator: if is_lenient { None } else { Some(compile_own(&schema)?) },
            repetition: Repetition::of(&schema),
            schema,
            rules: OnceLock::new(),
        })
    }

    /// Whether the value matches the schema.
    pub(super) fn accepts(&self, value: Node<'_>) -> bool {
        self.validator
            .as_ref()
            .is_none_or(|validator| validator.is_valid(value))
    }

    /// Whether the value matches the schema and can be decoded in few attempts. If not, all mistakes are added to
    /// `found`.
    pub(super) fn holds(&self, name: &str, value: Node<'_>, found: &mut Found) -> bool {
        let rules = || self.rules.get_or_init(|| Rules::of(&self.schema));
        if !self.accepts(value) {
            explain(name, rules(), value, found);
            return false;
        }
        let is_bounded = match self.repetition {
            Repetition::Once => true,
            Repetition::Kept if value.length_of_document() <= attempts::SHORT => true,
            Repetition::Kept | Repetition::Copied | Repetition::TriedAgain => attempts::are_few(rules(), value),
        };
        if !is_bounded {
            found.push(|| sentence::too_many_attempts(name));
            return false;
        }
        true
    }
}

/// The JSON type that the text of a search parameter is converted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scalar {
    Number,
    Boolean,
    Text,
}

impl BoundInputs {
    /// Prepares the inputs.
    ///
    /// # Errors
    /// Every mistake in the inputs.
    pub(crate) fn of(method: Method, inputs: &[Input]) -> Result<Self, Vec<InputMistake>> {
        let mut mistakes = Vec::new();
        let bound: Vec<BoundInput> = inputs
            .iter()
            .filter_map(|input| {
                BoundInput::new(method, input)
                    .map_err(|mistake| mistakes.push(mistake))
                    .ok()
            })
            .collect();
        refuse_one_name_for_two(&bound, &mut mistakes);
        if mistakes.is_empty() {
            let mut places: Vec<String> = bound.iter().flat_map(BoundInput::names).map(str::to_owned).collect();
            places.sort_unstable_by(|one, other| by_length(one, other));
            Ok(Self {
                places: places.into(),
                may_try_again: bound.iter().any(|input| input.repetition() == Repetition::TriedAgain),
                inputs: bound,
            })
        } else {
            Err(mistakes)
        }
    }

    /// The effort to decode this content. Where serde may try several forms of a value, a short body can take as long as
    /// a large one. Parameters take none, because the limit of a request's head keeps them short.
    pub(crate) fn effort(&self, content: &Content) -> Effort {
        const LARGE: usize = 64 * 1024;
        match content {
            Content::Body(body) if self.may_try_again => Effort(body.len().max(LARGE)),
            Content::Body(body) => Effort(body.len()),
            Content::Parameters(_) => Effort(0),
        }
    }

    /// The place of a name among the names of all inputs, if it is one of them.
    pub(super) fn place_of(&self, name: &str) -> Option<usize> {
        self.places.binary_search_by(|place| by_length(place, name)).ok()
    }

    /// Whether the input with this name is a UUID.
    pub(super) fn is_uuid(&self, name: &str) -> bool {
        self.inputs.iter().any(|input| input.is_uuid && input.name == name)
    }

    /// The number of names.
    pub(super) fn places(&self) -> usize {
        self.places.len()
    }

    /// The names of all inputs.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.inputs.iter().flat_map(BoundInput::names)
    }
}

/// The order of [`BoundInputs::places`].
fn by_length(one: &str, other: &str) -> Ordering {
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

/// Refuses two inputs of the same name: one value would be read into both, and the manifest would describe only one.
fn refuse_one_name_for_two(inputs: &[BoundInput], mistakes: &mut Vec<InputMistake>) {
    let mut owners: BTreeMap<&str, String> = BTreeMap::new();
    for input in inputs {
        for name in input.names() {
            let owner = input.owner_of(name);
            match owners.get(name) {
                Some(one) => mistakes.push(InputMistake::SharedName {
                    one: one.clone(),
                    other: owner,
                }),
                None => {
                    owners.insert(name, owner);
                }
            }
        }
    }
}

impl BoundInput {
    fn new(method: Method, input: &Input) -> Result<Self, InputMistake> {
        let schema = input.own_property();
        check_shown(input, &schema)?;
        let fields = if input.flatten.is_some() {
            Some(fields_of(method, &schema)?)
        } else {
            None
        };
        let is_checked_first = if input.lenient {
            Repetition::of(&schema) > Repetition::Once
        } else {
            promises_more_than_its_type(method, &schema)
        };
        let scalar = Scalar::of(&schema);
        let is_uuid = schema["format"] == "uuid" || input.form() == Some(Form::Uuid);
        let checked = if is_checked_first || (!input.lenient && method == Method::Post) {
            let checked =
                Checked::new(schema, input.lenient).map_err(|error| InputMistake::unchecked(input.name, error))?;
            if let Some(tried) = input.tried.filter(|_| !input.lenient)
                && let Some(what) = trial::disagreement(&checked.schema, &checked, tried)
            {
                return Err(InputMistake::Disagrees {
                    input: input.label(),
                    what,
                });
            }
            Some(checked)
        } else {
            None
        };
        Ok(Self {
            name: input.name,
            flattened: input.flatten,
            fields,
            scalar,
            is_uuid,
            is_required: input.flatten.is_none() && input.is_required(),
            is_checked_first,
            checked,
        })
    }

    /// The names under which a caller sends this input: its own name, or the names of its fields.
    fn names(&self) -> impl Iterator<Item = &str> {
        let own = self.fields.is_none().then_some(self.name);
        own.into_iter()
            .chain(self.fields.iter().flatten().map(|(name, _)| name.as_str()))
    }

    /// What serde may do with a part of the value.
    pub(super) fn repetition(&self) -> Repetition {
        self.checked
            .as_ref()
            .map_or(Repetition::Once, |checked| checked.repetition)
    }

    /// Describes the input or field with that name, for a message.
    fn owner_of(&self, name: &str) -> String {
        match self.flattened {
            Some(type_name) => format!("the field `{name}` of the flattened `{}`", type_name()),
            None => format!("the input `{name}`"),
        }
    }
}

/// Refuses a default or an example that is not a valid value of the input. The macro cannot check the value of an
/// expression.
fn check_shown(input: &Input, schema: &Value) -> Result<(), InputMistake> {
    for (what, make) in [("default", input.default), ("example", input.example)] {
        // Null means that an optional input is left out, so there is nothing to check.
        let Some(value) = make.map(|make| make()).filter(|value| !value.is_null()) else {
            continue;
        };
        let input = input.name;
        let validator = compile::<SerdeJson>(schema).map_err(|error| InputMistake::unchecked(input, error))?;
        validator.validate(&value).map_err(|error| {
            let source = Box::new(error.to_owned());
            InputMistake::RefusesItsOwn { what, input, source }
        })?;
    }
    Ok(())
}

impl Scalar {
    fn of(schema: &Value) -> Self {
        let is = |kind| lists_type(schema, kind);
        // A value that may be a text stays a text, because a number can lose some digits.
        if is("string") {
            Self::Text
        } else if is("integer") || is("number") {
            Self::Number
        } else if is("boolean") {
            Self::Boolean
        } else {
            Self::Text
        }
    }

    /// Whether the text is already JSON of this type. Any other text becomes a JSON string. If the input is a number or
    /// a boolean, decoding then refuses the string.
    pub(super) fn is_json(self, text: &str) -> bool {
        match self {
            Self::Number => search_param::number(text).is_some(),
            Self::Boolean => matches!(text, "true" | "false"),
            Self::Text => false,
        }
    }

    /// Converts the text to JSON.
    pub(super) fn to_json(self, text: &str) -> Cow<'_, str> {
        if self.is_json(text) {
            Cow::Borrowed(text)
        } else {
            Cow::Owned(Value::from(text).to_string())
        }
    }
}

fn fields_of(method: Method, schema: &Value) -> Result<BTreeMap<String, Scalar>, InputMistake> {
    let fields_vary = ["allOf", "anyOf", "oneOf", "patternProperties", "$ref"];
    let fields = schema["properties"]
        .as_object()
        .filter(|_| fields_vary.iter().all(|keyword| schema.get(keyword).is_none()));
    // schemars adds this keyword for a flattened map.
    let is_map = schema
        .get("additionalProperties")
        .is_some_and(|rest| *rest != Value::Bool(false));
    let Some(properties) = fields.filter(|_| !is_map) else {
        return Err(InputMistake::FieldsVary);
    };
    if let (Method::Get, Some((name, _))) = (method, properties.iter().find(|(_, field)| !is_scalar(field))) {
        return Err(InputMistake::NotOneText { field: name.clone() });
    }
    Ok(properties
        .iter()
        .map(|(name, field)| (name.clone(), Scalar::of(field)))
        .collect())
}

fn is_scalar(schema: &Value) -> bool {
    let scalar = |name: &Value| name != "object" && name != "array";
    match &schema["type"] {
        Value::Array(several) => several.iter().all(scalar),
        Value::Null => ["enum", "const", "oneOf", "anyOf"]
            .iter()
            .any(|keyword| schema.get(keyword).is_some()),
        only => scalar(only),
    }
}

/// Compiles a schema to a validator.
pub(crate) fn compile<F: Json>(schema: &Value) -> Result<Validator<F>, jsonschema::ValidationError<'static>> {
    options().build(schema)
}

/// Compiles the schema of an input, with the keywords that only this crate knows.
pub(super) fn compile_own(schema: &Value) -> Result<Validator<Indexed>, jsonschema::ValidationError<'static>> {
    options()
        .with_keyword(exact::DIGITS, |_, kind, _| Ok(Box::new(Digits::of(kind))))
        .build(schema)
}

fn options<F: Json>() -> ValidationOptions<'static, Arc<dyn Retrieve>, F> {
    jsonschema::options_for::<F>()
        .with_draft(Draft::Draft202012)
        .should_validate_formats(true)
        // This check replaces the check of the crate, which refuses valid addresses such as josé@example.com (RFC
        // 6531).
        .with_format("email", is_email)
        .with_format("regex", is_regex)
        // This regex engine takes linear time, so that no caller can keep the server busy with a slow match.
        .with_pattern_options(PatternOptions::regex())
}

pub(crate) fn is_email(text: &str) -> bool {
    email_address::EmailAddress::is_valid(text)
}

/// The crate's check, for a text of at most 16 KiB: the check takes up to ninety times the memory of its text.
fn is_regex(text: &str) -> bool {
    static CHECK: LazyLock<Option<Validator>> = LazyLock::new(|| {
        let options = jsonschema::options().with_draft(Draft::Draft202012);
        let options = options.should_validate_formats(true);
        options.build(&serde_json::json!({ "format": "regex" })).ok()
    });
    let is_valid = |check: &Validator| check.is_valid(&Value::from(text));
    text.len() <= 16 * 1024 && CHECK.as_ref().is_none_or(is_valid)
}

/// Whether a value must be validated against its schema before it is decoded. Plain texts, numbers, booleans and lists
/// of them need no validation. All other values need it, for two reasons. Serde accepts a list for a struct and a map
/// for a unit variant. And a decoded map, enum or object can take far more memory than its text, so a value that its
/// schema refuses must not be decoded.
fn promises_more_than_its_type(method: Method, schema: &Value) -> bool {
    let Some(schema) = schema.as_object() else {
        return schema != &Value::Bool(true);
    };
    let format = schema.get("format").and_then(Value::as_str).unwrap_or_default();
    schema.iter().any(|(keyword, value)| match keyword.as_str() {
        "type" => false,
        "minimum" => exact::bounds(format).is_none_or(|(least, _)| least != *value),
        "maximum" => exact::bounds(format).is_none_or(|(_, most)| most != *value),
        "minLength" | "maxLength" => !is_one_character(schema),
        "format" => !is_of_a_number(format),
        // Decoding knows the range of a whole number, and a decimal number has a pattern.
        exact::DIGITS => false,
        "items" => promises_more_than_its_type(method, value),
        // A search parameter is a single text, and decoding checks it against the known values.
        "enum" | "const" | "oneOf" => method == Method::Post,
        other => !definitions::is_annotation(other),
    })
}

fn is_of_a_number(format: &str) -> bool {
    exact::bounds(format).is_some() || matches!(format, "double" | "float" | "int128" | "uint128")
}

/// Whether this is the schema of a `char`: a text of length one.
fn is_one_character(schema: &Map<String, Value>) -> bool {
    let is_one = |keyword: &str| schema.get(keyword).and_then(Value::as_u64) == Some(1);
    is_one("minLength") && is_one("maxLength")
}
