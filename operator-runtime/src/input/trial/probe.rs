//! A deserializer that records the fields of structs, which include aliases, and whose errors say what kind they are of.

use std::cell::RefCell;

use serde::de::value::{MapDeserializer, SeqDeserializer, StrDeserializer};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::Value;

use super::wrong::{self, Wrong};

/// A struct that a type decodes at one place of a value.
#[derive(Debug)]
pub(super) struct Struct {
    /// The place, as a JSON pointer.
    pub(super) place: String,
    pub(super) fields: &'static [&'static str],
}

/// Decodes the value, and lists the structs in it. The variants of tagged and untagged enums and structs with a flattened
/// field are decoded from a buffer, so their fields are not recorded.
pub(super) fn decode<T: DeserializeOwned>(value: &Value) -> (Result<(), Wrong>, Vec<Struct>) {
    let structs = RefCell::default();
    let probe = Probe {
        value,
        place: String::new(),
        structs: &structs,
    };
    let decoded = T::deserialize(probe).map(drop);
    (decoded, structs.into_inner())
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
    structs: &'de RefCell<Vec<Struct>>,
}

impl<'de> Probe<'de> {
    fn inside(&self, name: &str, value: &'de Value) -> Self {
        Self {
            value,
            place: format!("{}/{}", self.place, escaped(name)),
            structs: self.structs,
        }
    }
}

impl<'de> IntoDeserializer<'de, Wrong> for Probe<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Probe<'de> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        wrong::begin();
        match self.value {
            Value::Object(fields) => {
                let entries = fields.iter().map(|(name, value)| (Key(name), self.inside(name, value)));
                visitor.visit_map(MapDeserializer::new(entries))
            }
            Value::Array(items) => {
                let items = items.iter().enumerate();
                visitor.visit_seq(SeqDeserializer::new(
                    items.map(|(index, value)| self.inside(&index.to_string(), value)),
                ))
            }
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Null => visitor.visit_unit(),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(number), _, _) => visitor.visit_u64(number),
                (None, Some(number), _) => visitor.visit_i64(number),
                (None, None, Some(number)) => visitor.visit_f64(number),
                (None, None, None) => Err(Wrong::Value),
            },
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        if self.value.is_null() {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Wrong> {
        // Only serde_json decodes its own `RawValue`.
        if name.starts_with("$serde_json::") {
            return Err(Wrong::Value);
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.structs.borrow_mut().push(Struct {
            place: self.place.clone(),
            fields,
        });
        self.deserialize_any(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let (name, content) = match self.value {
            Value::String(name) => (name, None),
            Value::Object(fields) if fields.len() == 1 => match fields.iter().next() {
                Some((name, value)) => (name, Some(self.inside(name, value))),
                None => return Err(Wrong::Value),
            },
            _ => return self.deserialize_any(visitor),
        };
        visitor.visit_enum(Choice { name, content })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map identifier ignored_any
    }
}

/// The key of a map. Like serde_json, it reads numbers and booleans from their texts.
#[derive(Clone, Copy)]
struct Key<'de>(&'de str);

impl<'de> IntoDeserializer<'de, Wrong> for Key<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// Reads a key as a type that has a text form.
macro_rules! read_key {
    ($($method:ident $kind:ty => $visit:ident,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
            match self.0.parse::<$kind>() {
                Ok(value) => visitor.$visit(value),
                // Not an error of the probe's own, whose kind would not be known.
                Err(_) => visitor.visit_borrowed_str(self.0),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Key<'de> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_borrowed_str(self.0)
    }

    read_key! {
        deserialize_bool bool => visit_bool,
        deserialize_i8 i64 => visit_i64,
        deserialize_i16 i64 => visit_i64,
        deserialize_i32 i64 => visit_i64,
        deserialize_i64 i64 => visit_i64,
        deserialize_i128 i128 => visit_i128,
        deserialize_u8 u64 => visit_u64,
        deserialize_u16 u64 => visit_u64,
        deserialize_u32 u64 => visit_u64,
        deserialize_u64 u64 => visit_u64,
        deserialize_u128 u128 => visit_u128,
        deserialize_f32 f64 => visit_f64,
        deserialize_f64 f64 => visit_f64,
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        visitor.visit_enum(Choice {
            name: self.0,
            content: None,
        })
    }

    forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

struct Choice<'de> {
    name: &'de str,
    content: Option<Probe<'de>>,
}

impl<'de> EnumAccess<'de> for Choice<'de> {
    type Error = Wrong;
    type Variant = Content<'de>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Content<'de>), Wrong> {
        let name: StrDeserializer<'_, Wrong> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, Content(self.content)))
    }
}

struct Content<'de>(Option<Probe<'de>>);

impl<'de> Content<'de> {
    fn present(self) -> Result<Probe<'de>, Wrong> {
        self.0.ok_or(Wrong::Form)
    }
}

impl<'de> VariantAccess<'de> for Content<'de> {
    type Error = Wrong;

    fn unit_variant(self) -> Result<(), Wrong> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Wrong> {
        seed.deserialize(self.present()?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Wrong> {
        self.present()?.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Wrong> {
        self.present()?.deserialize_struct("", fields, visitor)
    }
}
