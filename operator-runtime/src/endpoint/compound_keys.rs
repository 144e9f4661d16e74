//! Serializes maps whose keys JSON cannot have, such as tuples: the key is the JSON text of the value, `"[1,2]"`.
//!
//! The schema of such a map allows any key, because schemars describes neither the keys nor that they are tuples. So this
//! is not noticed at start-up, and the answer must be written all the same.

use std::fmt::Display;

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

/// A value whose maps may have any keys.
pub(super) struct AnyKeys<'v, T: ?Sized>(pub(super) &'v T);

impl<T: Serialize + ?Sized> Serialize for AnyKeys<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(Wrapped(serializer))
    }
}

/// A serializer, or a part of one, that is handed only values with [`AnyKeys`].
struct Wrapped<S>(S);

/// Methods that hand their value on as it is.
macro_rules! handed_on {
    ($($method:ident($($value:ident: $type:ty),*);)*) => {$(
        fn $method(self $(, $value: $type)*) -> Result<S::Ok, S::Error> {
            self.0.$method($($value),*)
        }
    )*};
}

/// Methods that begin a value with parts.
macro_rules! begun {
    ($($method:ident($($value:ident: $type:ty),*) -> $parts:ident;)*) => {$(
        fn $method(self $(, $value: $type)*) -> Result<Self::$parts, S::Error> {
            self.0.$method($($value),*).map(Wrapped)
        }
    )*};
}

impl<S: Serializer> Serializer for Wrapped<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Wrapped<S::SerializeSeq>;
    type SerializeTuple = Wrapped<S::SerializeTuple>;
    type SerializeTupleStruct = Wrapped<S::SerializeTupleStruct>;
    type SerializeTupleVariant = Wrapped<S::SerializeTupleVariant>;
    type SerializeMap = Wrapped<S::SerializeMap>;
    type SerializeStruct = Wrapped<S::SerializeStruct>;
    type SerializeStructVariant = Wrapped<S::SerializeStructVariant>;

    handed_on! {
        serialize_bool(value: bool);
        serialize_i8(value: i8);
        serialize_i16(value: i16);
        serialize_i32(value: i32);
        serialize_i64(value: i64);
        serialize_i128(value: i128);
        serialize_u8(value: u8);
        serialize_u16(value: u16);
        serialize_u32(value: u32);
        serialize_u64(value: u64);
        serialize_u128(value: u128);
        serialize_f32(value: f32);
        serialize_f64(value: f64);
        serialize_char(value: char);
        serialize_str(value: &str);
        serialize_bytes(value: &[u8]);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(name: &'static str);
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str);
    }

    begun! {
        serialize_seq(length: Option<usize>) -> SerializeSeq;
        serialize_tuple(length: usize) -> SerializeTuple;
        serialize_tuple_struct(name: &'static str, length: usize) -> SerializeTupleStruct;
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, length: usize) -> SerializeTupleVariant;
        serialize_map(length: Option<usize>) -> SerializeMap;
        serialize_struct(name: &'static str, length: usize) -> SerializeStruct;
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, length: usize) -> SerializeStructVariant;
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.0.serialize_some(&AnyKeys(value))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<S::Ok, S::Error> {
        self.0.serialize_newtype_struct(name, &AnyKeys(value))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.0.serialize_newtype_variant(name, index, variant, &AnyKeys(value))
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.0.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

/// Implements the traits whose parts are values, with or without a name.
macro_rules! with_parts {
    ($($trait:ident::$method:ident($($name:ident)?);)*) => {$(
        impl<P: $trait> $trait for Wrapped<P> {
            type Ok = P::Ok;
            type Error = P::Error;

            fn $method<T: Serialize + ?Sized>(&mut self $(, $name: &'static str)?, value: &T) -> Result<(), P::Error> {
                self.0.$method($($name,)? &AnyKeys(value))
            }

            fn end(self) -> Result<P::Ok, P::Error> {
                self.0.end()
            }
        }
    )*};
}

with_parts! {
    SerializeSeq::serialize_element();
    SerializeTuple::serialize_element();
    SerializeTupleStruct::serialize_field();
    SerializeTupleVariant::serialize_field();
    SerializeStruct::serialize_field(name);
    SerializeStructVariant::serialize_field(name);
}

impl<P: SerializeMap> SerializeMap for Wrapped<P> {
    type Ok = P::Ok;
    type Error = P::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), P::Error> {
        let text = serde_json::to_string(&AnyKeys(key)).map_err(serde::ser::Error::custom)?;
        if text.starts_with(['[', '{', 'n']) {
            self.0.serialize_key(&text)
        } else {
            self.0.serialize_key(key)
        }
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), P::Error> {
        self.0.serialize_value(&AnyKeys(value))
    }

    fn end(self) -> Result<P::Ok, P::Error> {
        self.0.end()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Serialize;
    use serde_json::json;
    use serde_json::value::RawValue;

    use super::AnyKeys;

    #[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
    struct Seat(char, u8);

    #[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
    struct Point {
        x: i128,
    }

    #[derive(Serialize)]
    #[serde(tag = "kind")]
    enum Tagged {
        Hall {
            seats: BTreeMap<Seat, Option<BTreeMap<Point, f32>>>,
        },
    }

    #[derive(Serialize)]
    enum Plain {
        Unit,
        One(BTreeMap<Option<u8>, bool>),
        Two((u8,), BTreeMap<(u8, u8), ()>),
        Named { one: BTreeMap<u64, &'static str> },
    }

    #[test]
    fn a_key_that_json_cannot_have_is_the_text_of_its_value() {
        let point = BTreeMap::from([(Point { x: i128::MAX }, 0.1)]);
        let hall = Tagged::Hall {
            seats: BTreeMap::from([(Seat('a', 1), None), (Seat('b', 2), Some(point))]),
        };
        assert!(serde_json::to_string(&hall).is_err());
        assert_eq!(
            serde_json::to_string(&AnyKeys(&hall)).unwrap(),
            r#"{"kind":"Hall","seats":{"[\"a\",1]":null,"[\"b\",2]":{"{\"x\":170141183460469231731687303715884105727}":0.1}}}"#
        );
        let plain = [
            Plain::Unit,
            Plain::One(BTreeMap::from([(None, true), (Some(3), false)])),
            Plain::Two((1,), BTreeMap::from([((1, 2), ())])),
            Plain::Named {
                one: BTreeMap::from([(7, "é")]),
            },
        ];
        assert_eq!(
            serde_json::to_string(&AnyKeys(&plain)).unwrap(),
            r#"["Unit",{"One":{"null":true,"3":false}},{"Two":[[1],{"[1,2]":null}]},{"Named":{"one":{"7":"é"}}}]"#
        );
    }

    #[test]
    fn every_other_value_is_written_as_always() {
        let raw = RawValue::from_string("{ \"a\":1.50 }".into()).unwrap();
        let value = (
            raw,
            json!({ "a": [1, -2, 1.5, null, true, "text"] }),
            'c',
            u128::MAX,
            (),
            Some(1_u8),
        );
        assert_eq!(
            serde_json::to_string(&AnyKeys(&value)).unwrap(),
            serde_json::to_string(&value).unwrap()
        );
    }
}
