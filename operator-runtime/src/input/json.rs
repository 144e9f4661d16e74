//! POST inputs: each is one field of the JSON object in the body.

use std::borrow::Cow;
use std::fmt;

use schemars::JsonSchema;
use serde::de::value::Error as ValueError;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::de::Read;
use serde_json::value::RawValue;

use super::{BoundInputs, Decoder, Input, trial};
use crate::schema;

/// A type that can be an input of a POST: `DeserializeOwned + JsonSchema`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an input of a POST",
    label = "must be `DeserializeOwned + JsonSchema`",
    note = "derive both for the type, `#[derive(serde::Deserialize, schemars::JsonSchema)]`, with schemars 1; borrow app state as `&T`, and a transaction as `&mut Tx<Sqlite>`",
    note = "a type of bytes, chrono, jiff, rust_decimal, url or uuid needs the feature of that name of `operator-runtime`; a type of time needs the feature `time` and a format, `#[schemars(with = \"operator_runtime::formats::DateTime\")]`",
    note = "an axum extractor such as `State<T>`, `Query<T>` or `Json<T>` is not an input: borrow app state as `&T`, take each field as an argument or the struct as `#[operator(flatten)]`, and write `#[operator(extract)]` for another extractor"
)]
pub trait JsonInput: Sized {
    /// The description of the input, without its name.
    #[doc(hidden)]
    const INPUT: Input;

    /// Decodes the input with that index. If the input is wrong, returns `None`, and the decoder remembers the problem.
    #[doc(hidden)]
    fn decode(decoder: &mut Decoder<'_>, index: usize) -> Option<Self>;

    /// Like `decode`, but returns the default if the input is not given.
    #[doc(hidden)]
    fn decode_or(decoder: &mut Decoder<'_>, index: usize, default: fn() -> Self) -> Option<Self>;
}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned + JsonSchema> JsonInput for T {
    const INPUT: Input = Input::new(None, schema::of_input::<T>, accepts_absence::<T>).tried(trial::of::<T>);

    fn decode(decoder: &mut Decoder<'_>, index: usize) -> Option<Self> {
        decoder.json(index)
    }

    fn decode_or(decoder: &mut Decoder<'_>, index: usize, default: fn() -> Self) -> Option<Self> {
        decoder.json_or(index, default)
    }
}

/// A type that `#[operator(flatten)]` accepts: a struct whose fields are inputs, with `DeserializeOwned + JsonSchema`.
#[diagnostic::on_unimplemented(
    message = "the fields of `{Self}` cannot be inputs",
    label = "must be `DeserializeOwned + JsonSchema`",
    note = "`flatten` needs a struct with named fields that derives both, `#[derive(serde::Deserialize, schemars::JsonSchema)]`"
)]
pub trait FlattenInput: Sized {
    /// The description of the inputs.
    #[doc(hidden)]
    const INPUT: Input;

    /// Decodes the struct. If a field is wrong, returns `None`, and the decoder remembers the problem.
    #[doc(hidden)]
    fn decode(decoder: &mut Decoder<'_>, index: usize) -> Option<Self>;
}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned + JsonSchema> FlattenInput for T {
    const INPUT: Input =
        Input::new(Some(T::schema_name), schema::of_input::<T>, accepts_absence::<T>).tried(trial::of::<T>);

    fn decode(decoder: &mut Decoder<'_>, index: usize) -> Option<Self> {
        decoder.flatten(index)
    }
}

/// The fields of the body, split but not yet decoded.
///
/// Each name in the body is looked up once, so that reading many names takes no longer for many inputs than for one.
#[derive(Clone)]
pub(super) struct Fields<'b> {
    /// The value of each name in [`BoundInputs::place_of`], if it is given.
    values: Vec<Option<&'b RawValue>>,
    /// The other names in the body: those of no input, and each repetition of a name.
    pub(super) rest: Vec<Cow<'b, str>>,
}

impl<'b> Fields<'b> {
    /// Reads one JSON object.
    pub(super) fn read<R: Read<'b>>(
        inputs: &BoundInputs,
        mut json: serde_json::Deserializer<R>,
    ) -> serde_json::Result<Self> {
        let fields = Object(inputs).deserialize(&mut json)?;
        json.end()?;
        Ok(fields)
    }

    /// Removes and returns the value at that place.
    pub(super) fn take(&mut self, place: usize) -> Option<&'b RawValue> {
        self.values.get_mut(place)?.take()
    }
}

struct Object<'i>(&'i BoundInputs);

impl<'b> DeserializeSeed<'b> for Object<'_> {
    type Value = Fields<'b>;

    fn deserialize<D: Deserializer<'b>>(self, deserializer: D) -> Result<Fields<'b>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'b> Visitor<'b> for Object<'_> {
    type Value = Fields<'b>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("one JSON object")
    }

    fn visit_map<A: MapAccess<'b>>(self, mut map: A) -> Result<Fields<'b>, A::Error> {
        let mut fields = Fields {
            values: vec![None; self.0.places()],
            rest: Vec::new(),
        };
        while let Some((Name(name), value)) = map.next_entry::<Name<'b>, &'b RawValue>()? {
            let place = self.0.place_of(&name).and_then(|place| fields.values.get_mut(place));
            match place {
                Some(empty @ None) => *empty = Some(value),
                _ => fields.rest.push(name),
            }
        }
        Ok(fields)
    }
}

/// A field's name, borrowed if it has no escapes.
struct Name<'b>(Cow<'b, str>);

impl<'b> serde::Deserialize<'b> for Name<'b> {
    fn deserialize<D: Deserializer<'b>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'b> Visitor<'b> for Text {
            type Value = Name<'b>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a field's name")
            }

            fn visit_borrowed_str<E>(self, text: &'b str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// The value that serde uses for a missing field of this type: `None` for an `Option`. Other types have no such value.
pub(super) fn absent<T: DeserializeOwned>() -> Option<T> {
    struct Absent;
    impl<'de> Deserializer<'de> for Absent {
        type Error = ValueError;

        fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, ValueError> {
            Err(serde::de::Error::custom("absent"))
        }

        fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
            visitor.visit_none()
        }

        forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
            newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
        }
    }
    T::deserialize(Absent).ok()
}

fn accepts_absence<T: DeserializeOwned>() -> bool {
    absent::<T>().is_some()
}
