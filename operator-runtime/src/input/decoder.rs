//! Decodes a verified body or verified parameters into arguments, and reports all mistakes at once.

use serde::de::{DeserializeOwned, IgnoredAny};
use serde_path_to_error::Segment;

use super::bound::{BoundInput, BoundInputs, Scalar};
use super::buffered::Repetition;
use super::deep::on_a_large_stack;
use super::document::{Document, Node, Unreadable};
use super::found::{Found, shortened};
use super::given::{Given, Text};
use super::json;
use super::search_param::SearchParam;
use super::sentence;
use crate::problem::{Error, InputProblem};
use crate::protocol::request::Content;

/// A longer body, in bytes, is checked completely before any of its inputs is decoded: a decoded input can take far more
/// memory than its text, in vain if another input is refused.
const LARGE: usize = 16 * 1024;

/// Decodes the inputs of one call. Each method returns `None` for a wrong input, and the decoder remembers the problem.
#[derive(Debug)]
pub struct Decoder<'c> {
    inputs: &'c BoundInputs,
    given: Given<'c>,
    problems: Found,
    /// Whether all inputs are known to match their schemas, so that decoding need not check them again.
    is_checked: bool,
}

/// The problems of inputs that were checked but not decoded.
#[derive(Clone, Debug)]
pub(crate) struct Verdict(Found);

impl Verdict {
    /// Checks that all inputs are known, match their schemas, and are given if they are required. Returns `None` if the
    /// content cannot be split into inputs.
    pub(crate) fn of(inputs: &BoundInputs, content: &Content) -> Option<Self> {
        let given = Given::of(inputs, content).ok();
        given.map(|given| Self::given(inputs, given))
    }

    fn given(inputs: &BoundInputs, given: Given<'_>) -> Self {
        let mut decoder = Decoder {
            inputs,
            given,
            problems: Found::default(),
            is_checked: false,
        };
        for index in 0..inputs.inputs.len() {
            decoder.check(index);
        }
        decoder.given.refuse_rest(inputs, &mut decoder.problems);
        Self(decoder.problems)
    }
}

/// The decoded inputs: one `Option`, or a pair of decoded inputs. They are complete if no input is `None`.
pub trait Arguments {
    /// The values without the options.
    type Values;

    /// The values of all inputs, or `None` if an input is missing.
    fn complete(self) -> Option<Self::Values>;
}

impl Arguments for () {
    type Values = ();

    fn complete(self) -> Option<()> {
        Some(())
    }
}

impl<T> Arguments for Option<T> {
    type Values = T;

    fn complete(self) -> Self {
        self
    }
}

impl<First: Arguments, Rest: Arguments> Arguments for (First, Rest) {
    type Values = (First::Values, Rest::Values);

    fn complete(self) -> Option<Self::Values> {
        Some((self.0.complete()?, self.1.complete()?))
    }
}

impl<'c> Decoder<'c> {
    /// Begins to decode. All inputs of a large body are checked first.
    pub(crate) fn open(inputs: &'c BoundInputs, content: &'c Content) -> Result<Self, Error> {
        let given = Given::of(inputs, content)?;
        let is_checked = matches!(content, Content::Body(body) if body.len() > LARGE);
        if is_checked {
            Verdict::given(inputs, given.clone()).0.into_result()?;
        }
        Ok(Self {
            inputs,
            given,
            problems: Found::default(),
            is_checked,
        })
    }

    /// Begins to decode inputs that are already checked.
    pub(crate) fn open_checked(
        inputs: &'c BoundInputs,
        content: &'c Content,
        verdict: &Verdict,
    ) -> Result<Self, Error> {
        verdict.0.clone().into_result()?;
        Ok(Self {
            inputs,
            given: Given::of(inputs, content)?,
            problems: Found::default(),
            is_checked: true,
        })
    }

    fn check(&mut self, index: usize) {
        let Some(input) = self.inputs.inputs.get(index) else {
            return;
        };
        if input.fields.is_some() {
            self.flatten::<IgnoredAny>(index);
            return;
        }
        match self.given.take_field(input.name) {
            Some(raw) => {
                if let Some(document) = self.readable(input.name, raw.get()) {
                    self.holds(input, input.name, document.root());
                }
            }
            None if input.is_required => drop(self.missing::<()>(index)),
            None => {}
        }
    }

    /// Decodes an input of a GET.
    pub fn search_param<T: SearchParam>(&mut self, index: usize) -> Option<T> {
        let value = self.present_param(index, T::from_text);
        value.unwrap_or_else(|| T::absent().or_else(|| self.missing(index)))
    }

    /// Decodes an input of a GET with a default.
    pub fn search_param_or<T: SearchParam>(&mut self, index: usize, default: fn() -> T) -> Option<T> {
        self.present_param(index, T::from_text)
            .unwrap_or_else(|| Some(default()))
    }

    /// Decodes an input of a POST.
    pub fn json<T: DeserializeOwned>(&mut self, index: usize) -> Option<T> {
        let value = self.present_json(index);
        value.unwrap_or_else(|| json::absent().or_else(|| self.missing(index)))
    }

    /// Decodes an input of a POST with a default.
    pub fn json_or<T: DeserializeOwned>(&mut self, index: usize, default: fn() -> T) -> Option<T> {
        self.present_json(index).unwrap_or_else(|| Some(default()))
    }

    /// Decodes a flattened struct, whose fields are inputs.
    pub fn flatten<T: DeserializeOwned>(&mut self, index: usize) -> Option<T> {
        let input = self.inputs.inputs.get(index)?;
        let object = self.object_of(input)?;
        let document = self.readable("", &object)?;
        let holds = self.holds(input, "", document.root());
        holds
            .then(|| self.decode("", &object, &document, input.repetition()))
            .flatten()
    }

    /// Finishes decoding: adds the unknown inputs, and returns all problems.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        self.given.refuse_rest(self.inputs, &mut self.problems);
        self.problems.into_result()
    }

    /// Returns `None` if the input is not given, and `Some(None)` if it is given but wrong.
    fn present_param<T, E: std::fmt::Display>(
        &mut self,
        index: usize,
        decode: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<Option<T>> {
        let input = self.inputs.inputs.get(index)?;
        let text = match self.given.text(input.name, input.scalar)? {
            Text::Fits(text) => text,
            Text::Misfit(json) => {
                let expected = decode(json).err().map(|expected| expected.to_string());
                self.misfit(input.name, json, expected.as_deref());
                return Some(None);
            }
        };
        let text = &*text;
        match decode(text) {
            Ok(decoded) => Some(self.text_holds(input, text).then_some(decoded)),
            Err(expected) => {
                let given = shortened(text);
                self.push(
                    input.name,
                    format!("`{}` must be {expected}, and {given:?} was given.", input.name),
                );
                Some(None)
            }
        }
    }

    fn present_json<T: DeserializeOwned>(&mut self, index: usize) -> Option<Option<T>> {
        let input = self.inputs.inputs.get(index)?;
        let raw = self.given.take_field(input.name)?;
        let text = raw.get();
        if !input.is_checked_first
            && let Ok(decoded) = on_a_large_stack(text.as_bytes(), || serde_json::from_str(text))
        {
            return Some(Some(decoded));
        }
        let Some(document) = self.readable(input.name, text) else {
            return Some(None);
        };
        if !self.holds(input, input.name, document.root()) {
            return Some(None);
        }
        Some(self.decode(input.name, text, &document, input.repetition()))
    }

    /// Decodes a value that matches its schema. JSON Schema accepts 5.0 as a whole number (core §4.2.3), so this
    /// function accepts it too: if serde may decode a part several times or copy it, with the first attempt, because an
    /// attempt that fails can take very long.
    fn decode<T: DeserializeOwned>(
        &mut self,
        name: &str,
        text: &str,
        document: &Document<'_>,
        repetition: Repetition,
    ) -> Option<T> {
        let whole = (repetition > Repetition::Kept)
            .then(|| document.with_whole_numbers())
            .flatten();
        let first = whole.as_deref().unwrap_or(text);
        if let Ok(decoded) = on_a_large_stack(first.as_bytes(), || serde_json::from_str(first)) {
            return Some(decoded);
        }
        let whole = whole.or_else(|| document.with_whole_numbers());
        let text = whole.as_deref().unwrap_or(text);
        let mut reader = serde_json::Deserializer::from_str(text);
        on_a_large_stack(text.as_bytes(), || serde_path_to_error::deserialize(&mut reader))
            .map_err(|error| {
                let path = match error.path().to_string().as_str() {
                    "." => name.to_owned(),
                    index if index.starts_with('[') || name.is_empty() => format!("{name}{index}"),
                    field => format!("{name}.{field}"),
                };
                // If the map's type refuses a map key, the path ends with an unknown segment, `?`, or with the number
                // that was read from the key.
                let refused_key = match error.path().iter().next_back() {
                    Some(Segment::Unknown) => Some("?"),
                    Some(Segment::Map { key }) if sentence::refuses_key(key, error.inner()) => Some(key.as_str()),
                    _ => None,
                };
                self.problems.push(|| match refused_key {
                    Some(key) => {
                        let map = path.strip_suffix(key).map_or("", |map| map.trim_end_matches('.'));
                        let known = (key != "?").then_some(key);
                        sentence::undecodable_key(&shortened(map), known, error.inner())
                    }
                    None => sentence::undecodable(&shortened(&path), error.inner()),
                });
            })
            .ok()
    }

    /// Whether the value matches its schema. If not, all its problems are added.
    fn holds(&mut self, input: &BoundInput, name: &str, value: Node<'_>) -> bool {
        let checked = input.checked.as_ref();
        self.is_checked || checked.is_none_or(|checked| checked.holds(name, value, &mut self.problems))
    }

    /// Like [`holds`](Self::holds), for an input that is a single text.
    fn text_holds(&mut self, input: &BoundInput, text: &str) -> bool {
        if input.checked.is_none() || !input.scalar.is_json(text) {
            return self.holds(input, input.name, Node::Text(text));
        }
        let document = self.readable(input.name, text);
        document.is_some_and(|document| self.holds(input, input.name, document.root()))
    }

    fn missing<T>(&mut self, index: usize) -> Option<T> {
        let name = self.inputs.inputs.get(index)?.name;
        self.problems.push(|| sentence::missing(name));
        None
    }

    /// Adds a problem: the JSON value does not have the input's type. `expected` is `None` for a type that accepts any
    /// text.
    fn misfit(&mut self, name: &str, json: &str, expected: Option<&str>) {
        let expected = expected.unwrap_or("text");
        self.push(
            name,
            format!("`{name}` must be {expected}, and {} was given.", shortened(json)),
        );
    }

    fn push(&mut self, input: &str, detail: String) {
        self.problems.push(|| InputProblem {
            input: input.to_owned(),
            detail,
        });
    }

    /// Returns the given fields of a flattened input as one JSON object, or `None` if a field cannot be read.
    fn object_of(&mut self, input: &BoundInput) -> Option<String> {
        let mut object = String::from("{");
        let before = self.problems.count();
        for (name, scalar) in input.fields.iter().flatten() {
            let value = match &self.given {
                Given::Search { .. } => self.given.parameter(name).map(|text| scalar.to_json(text)),
                Given::Json { .. } => self.given.take_field(name).map(|raw| raw.get().into()),
            };
            let Some(value) = value else { continue };
            if let Err(why) = Document::nested_in(1, &value) {
                self.problems.push(|| sentence::unreadable(name, &why));
                continue;
            }
            if object.len() > 1 {
                object.push(',');
            }
            object.push_str(&Scalar::Text.to_json(name));
            object.push(':');
            object.push_str(&value);
        }
        object.push('}');
        (self.problems.count() == before).then_some(object)
    }

    /// Indexes a value for validation. This can fail although decoding succeeds, because decoding skips unknown fields,
    /// which may contain values that cannot be read.
    fn readable<'t>(&mut self, name: &str, text: &'t str) -> Option<Document<'t>> {
        Document::of(text)
            .map_err(|why| self.problems.push(|| sentence::unreadable(name, &why)))
            .ok()
    }
}

/// Refuses a long JSON text that no [`Document`] can index, before it is decoded. Otherwise a value that cannot be read
/// might be found only at the end, when all values before it are in memory. The text may be nested to any depth, because
/// the decoder skips what its type does not know.
pub(crate) fn refuse_unreadable(name: &str, text: &str) -> Result<(), InputProblem> {
    if text.len() <= LARGE {
        return Ok(());
    }
    match Document::of(text) {
        Ok(_) | Err(Unreadable::Depth) => Ok(()),
        Err(why) => Err(sentence::unreadable(name, &why)),
    }
}

impl std::fmt::Debug for BoundInputs {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.names()).finish()
    }
}
