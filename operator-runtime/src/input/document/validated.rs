//! The document as the validators of inputs read it.

use std::borrow::Cow;

use jsonschema::JsonType;
use jsonschema::json::{Array, Json, Node as JsonNode, NodeIdentity, Object};
use serde_json::{Number, Value};

use super::index::unescapes_to;
use super::{Hash, Items, Kind, Members, Node};

/// The JSON representation that the validators of inputs read.
pub(crate) struct Indexed;

impl Json for Indexed {
    type Node<'a> = Node<'a>;
    type PreparedKey = String;
    type StringBuffer = String;

    // A lookup reads every field, so one pass over the fields is never slower than several lookups.
    const KEYS_PER_LOOKUP: usize = usize::MAX >> 16;
    const ACYCLIC: bool = true;

    fn prepare_key(key: &str) -> String {
        key.to_owned()
    }

    fn with_string_node<T>(buffer: &mut String, string: &str, f: impl FnOnce(Node<'_>) -> T) -> T {
        buffer.clear();
        buffer.push_str(string);
        f(Node::Text(buffer))
    }
}

impl<'a> JsonNode<'a, Indexed> for Node<'a> {
    type Object = Self;
    type Array = Self;
    type Number = Number;

    fn as_object(&self) -> Option<Self> {
        self.is_object().then_some(*self)
    }

    fn as_array(&self) -> Option<Self> {
        (self.kind() == Kind::List).then_some(*self)
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        match *self {
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::At(document, index) => {
                let entry = document.entry(index);
                matches!(entry.kind, Kind::Plain | Kind::Escaped).then(|| document.string(entry))
            }
        }
    }

    fn as_number(&self) -> Option<Number> {
        self.number()
    }

    fn is_number(&self) -> bool {
        self.kind() == Kind::Number
    }

    fn as_boolean(&self) -> Option<bool> {
        match *self {
            Self::At(document, index) => {
                let entry = document.entry(index);
                (entry.kind == Kind::Boolean).then(|| document.slice(entry) == "true")
            }
            Self::Text(_) => None,
        }
    }

    fn is_null(&self) -> bool {
        self.kind() == Kind::Null
    }

    fn json_type(&self) -> JsonType {
        match self.kind() {
            Kind::Null => JsonType::Null,
            Kind::Boolean => JsonType::Boolean,
            Kind::Number => JsonType::Number,
            Kind::Plain | Kind::Escaped => JsonType::String,
            Kind::List => JsonType::Array,
            Kind::Object => JsonType::Object,
        }
    }

    fn equals_value(&self, expected: &Value) -> bool {
        match expected {
            Value::Null => self.is_null(),
            Value::Bool(expected) => self.as_boolean() == Some(*expected),
            // The text is not copied, because an enum compares one long text with each of its values.
            Value::String(expected) => match (*self, self.kind()) {
                (Self::At(document, index), Kind::Escaped) => {
                    unescapes_to(document.slice(document.entry(index)), expected)
                }
                (_, Kind::Plain) => self.as_string().is_some_and(|text| text == *expected),
                _ => false,
            },
            Value::Number(_) => {
                let number = self.number().map(Value::Number);
                number.is_some_and(|number| jsonschema::json::cmp::equal(&number, expected))
            }
            Value::Array(expected) => {
                let same_length = self.as_array().is_some() && self.length() == expected.len();
                same_length
                    && self
                        .items()
                        .zip(expected)
                        .all(|(item, expected)| item.equals_value(expected))
            }
            Value::Object(expected) => {
                let same_length = self.is_object() && self.length() == expected.len();
                let equals = |(name, expected): (&String, &Value)| {
                    self.field(name).is_some_and(|value| value.equals_value(expected))
                };
                same_length && expected.iter().all(equals)
            }
        }
    }

    /// This method is not used: error messages take the value from the document.
    fn to_value(&self) -> Cow<'a, Value> {
        Cow::Owned(Value::Null)
    }

    fn identity(&self) -> Option<NodeIdentity> {
        match *self {
            Self::At(document, index) => Some(NodeIdentity::tagged(std::ptr::from_ref(document).addr(), index)),
            Self::Text(text) => Some(NodeIdentity::new(text.as_ptr().addr())),
        }
    }
}

impl<'a> Object<'a, Indexed> for Node<'a> {
    type Node = Self;
    type MemberName = Cow<'a, str>;
    type MembersIter = Members<'a>;

    fn len(&self) -> usize {
        self.length()
    }

    fn get(&self, key: &String) -> Option<Self> {
        self.field(key)
    }

    fn members(&self) -> Members<'a> {
        Node::members(*self)
    }
}

impl<'a> Array<'a, Indexed> for Node<'a> {
    type Node = Self;
    type ElementsIter = Items<'a>;

    fn len(&self) -> usize {
        self.length()
    }

    fn elements(&self) -> Items<'a> {
        self.items()
    }

    /// Compares hashes of 128 bits, because comparing all pairs takes quadratic time. The hash keys are random, so that
    /// no caller can produce collisions.
    fn is_unique(&self) -> bool {
        let Self::At(document, _) = self else { return true };
        let known = document.hashes();
        let mut items = self.within(Kind::List);
        let mut hashes: Vec<Hash> = Vec::with_capacity(self.length());
        while let Some((_, item)) = items.next() {
            hashes.extend(known.get(item as usize));
        }
        hashes.sort_unstable();
        hashes.windows(2).all(|pair| pair[0] != pair[1])
    }
}
