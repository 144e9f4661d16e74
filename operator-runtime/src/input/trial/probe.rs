//! A deserializer that records what serde's derive asks for: the fields of structs and the variants of enums, which
//! include aliases.

use std::cell::RefCell;

use serde::de::value::{Error, MapDeserializer, SeqDeserializer};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, Expected, IntoDeserializer, Unexpected,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::Value;

/// What a type asked for at one place of a value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// The place, as a JSON pointer.
    pub(super) place: String,
    pub(super) what: What,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A struct with these fields.
    Struct(&'static [&'static str]),
    /// An enum with these variants.
    Enum(&'static [&'static str]),
    /// An enum whose variant is named by a field.
    Tagged,
}

/// What a type asks for while it decodes the value. The variants of tagged and untagged enums and
/// structs with a flattened field are decoded from a buffer, so their fields are not recorded.
pub(super) fn asked<T: DeserializeOwned>(value: &Value) -> Vec<Asked> {
    let asked = RefCell::default();
    let probe = Probe {
        value,
        place: String::new(),
        asked: &asked,
    };
    // The caller decodes the value again and looks at the error.
    drop(T::deserialize(probe));
    asked.into_inner()
}

/// A name as a part of a JSON pointer.
pub(super) fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The name that a part of a JSON pointer stands for.
pub(super) fn unescaped(part: &str) -> String {
    part.replace("~1", "/").replace("~0", "~")
}

#[derive(Clone)]
struct Probe<'de> {
    value: &'de Value,
    place: String,
    asked: &'de RefCell<Vec<Asked>>,
}

impl<'de> Probe<'de> {
    fn record(&self, what: What) {
        let place = self.place.clone();
        self.asked.borrow_mut().push(Asked { place, what });
    }

    fn inside(&self, name: &str, value: &'de Value) -> Self {
        Self {
            value,
            place: format!("{}/{}", self.place, escaped(name)),
            asked: self.asked,
        }
    }
}

impl<'de> IntoDeserializer<'de, Error> for Probe<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Probe<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if (&visitor as &dyn Expected)
            .to_string()
            .starts_with("internally tagged enum")
        {
            self.record(What::Tagged);
        }
        match self.value {
            Value::Object(fields) => {
                let entries = fields
                    .iter()
                    .map(|(name, value)| (name.as_str(), self.inside(name, value)));
                visitor.visit_map(MapDeserializer::new(entries))
            }
            Value::Array(items) => {
                let items = items.iter().enumerate();
                visitor.visit_seq(SeqDeserializer::new(
                    items.map(|(index, value)| self.inside(&index.to_string(), value)),
                ))
            }
            scalar => scalar.deserialize_any(visitor).map_err(Error::custom),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.value.is_null() {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.record(What::Struct(fields));
        self.deserialize_any(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.record(What::Enum(variants));
        let (name, content) = match self.value {
            Value::String(name) => (name, None),
            Value::Object(fields) if fields.len() == 1 => match fields.iter().next() {
                Some((name, value)) => (name, Some(self.inside(name, value))),
                None => return Err(Error::custom("an empty object")),
            },
            other => return other.deserialize_any(visitor).map_err(Error::custom),
        };
        visitor.visit_enum(Choice { name, content })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map identifier ignored_any
    }
}

struct Choice<'de> {
    name: &'de str,
    content: Option<Probe<'de>>,
}

impl<'de> EnumAccess<'de> for Choice<'de> {
    type Error = Error;
    type Variant = Content<'de>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Content<'de>), Error> {
        let name: serde::de::value::StrDeserializer<'_, Error> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, Content(self.content)))
    }
}

struct Content<'de>(Option<Probe<'de>>);

impl<'de> Content<'de> {
    fn present(self) -> Result<Probe<'de>, Error> {
        self.0
            .ok_or_else(|| Error::invalid_type(Unexpected::UnitVariant, &"a variant with content"))
    }
}

impl<'de> VariantAccess<'de> for Content<'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(self.present()?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.present()?.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        self.present()?.deserialize_struct("", fields, visitor)
    }
}
