//! The detail of an error, such as `There is no order {order_id}.`: which fields it mentions, and its text for
//! `format!`.

use proc_macro2::TokenStream;
use syn::ext::IdentExt as _;
use syn::{Fields, Index, Member};

use crate::error::{Errors, suggestion};

/// A field that the problem's `detail` text contains as `{field}`.
pub(super) struct Shown {
    pub(super) field: String,
    /// Whether every mention is plain: `{field}`, without a format such as `:?`.
    pub(super) plain: bool,
}

/// The fields that the detail mentions, each once. Reports a name that is not a field at `place`.
pub(super) fn shown(detail: &str, fields: &Fields, place: &TokenStream, errors: &mut Errors) -> Vec<Shown> {
    let shown = placeholders(detail, place, errors);
    let known: Vec<String> = fields.members().map(|member| member_name(&member)).collect();
    for Shown { field, .. } in shown.iter().filter(|shown| !known.contains(&shown.field)) {
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let write = if known.is_empty() {
            "write `{{` and `}}` for braces".to_owned()
        } else {
            suggestion(field, &known)
        };
        let wrong = format!("the detail shows `{field}`, which is not a field");
        errors.at(place, wrong, write);
    }
    shown
}

fn placeholders(detail: &str, place: &TokenStream, errors: &mut Errors) -> Vec<Shown> {
    let mut shown: Vec<Shown> = Vec::new();
    let mut rest = detail.replace("{{", "").replace("}}", "");
    while let Some(open) = rest.find('{') {
        let after = rest.split_off(open + 1);
        let Some((inside, behind)) = after.split_once('}') else {
            errors.at(place, "a `{` is not closed", "write `{field}`, or `{{` for a brace");
            break;
        };
        let (field, format) = inside.split_once(':').unwrap_or((inside, ""));
        match shown.iter_mut().find(|shown| shown.field == field) {
            Some(again) => again.plain &= format.is_empty(),
            None => shown.push(Shown {
                field: field.to_owned(),
                plain: format.is_empty(),
            }),
        }
        rest = behind.to_owned();
    }
    shown
}

/// The name of a field as it is written in a detail: `order_id`, or `0`.
pub(super) fn member_name(member: &Member) -> String {
    match member {
        Member::Named(name) => name.unraw().to_string(),
        Member::Unnamed(index) => index.index.to_string(),
    }
}

/// The detail with `{__operator_field_0}` in place of `{0}`, because `format!` gives `{0}` another meaning. Escaped braces,
/// `{{0}}`, are not changed.
pub(super) fn with_named_fields(detail: &str, fields: &Fields) -> String {
    let name_fields = |part: &str| {
        fields.members().fold(part.to_owned(), |text, member| match member {
            Member::Unnamed(Index { index, .. }) => text
                .replace(&format!("{{{index}}}"), &format!("{{__operator_field_{index}}}"))
                .replace(&format!("{{{index}:"), &format!("{{__operator_field_{index}:")),
            Member::Named(_) => text,
        })
    };
    detail.split("{{").map(name_fields).collect::<Vec<_>>().join("{{")
}

#[cfg(test)]
mod tests {
    use super::with_named_fields;
    use quote::quote;
    use syn::{Fields, FieldsUnnamed, parse2};

    #[test]
    fn escaped_braces_are_not_a_field() {
        let fields = Fields::Unnamed(parse2::<FieldsUnnamed>(quote!((u8))).unwrap());
        assert_eq!(
            with_named_fields("Write {{0}} for {0}, {{{0:?}}}.", &fields),
            "Write {{0}} for {__operator_field_0}, {{{__operator_field_0:?}}}."
        );
    }
}
