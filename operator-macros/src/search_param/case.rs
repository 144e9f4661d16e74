//! The cases of serde's `rename_all`, for the names of variants.

use syn::LitStr;

use crate::error::Errors;

#[derive(Clone, Copy)]
pub(super) enum Case {
    Lower,
    Upper,
    Pascal,
    Camel,
    Snake,
    ScreamingSnake,
    Kebab,
    ScreamingKebab,
}

const CASES: [(&str, Case); 8] = [
    ("lowercase", Case::Lower),
    ("UPPERCASE", Case::Upper),
    ("PascalCase", Case::Pascal),
    ("camelCase", Case::Camel),
    ("snake_case", Case::Snake),
    ("SCREAMING_SNAKE_CASE", Case::ScreamingSnake),
    ("kebab-case", Case::Kebab),
    ("SCREAMING-KEBAB-CASE", Case::ScreamingKebab),
];

impl Case {
    pub(super) fn parse(literal: &LitStr, errors: &mut Errors) -> Option<Self> {
        let text = literal.value();
        let found = CASES.iter().find(|(name, _)| *name == text).map(|(_, case)| *case);
        if found.is_none() {
            errors.unknown(literal, "case", &text, &CASES.map(|(name, _)| name));
        }
        found
    }

    pub(super) fn apply(self, variant: &str) -> String {
        match self {
            Self::Lower => variant.to_ascii_lowercase(),
            Self::Upper => variant.to_ascii_uppercase(),
            Self::Pascal => variant.to_owned(),
            Self::Camel => {
                let mut letters = variant.chars();
                letters.next().map_or_else(String::new, |first| {
                    first.to_ascii_lowercase().to_string() + letters.as_str()
                })
            }
            Self::Snake => separated(variant),
            Self::ScreamingSnake => separated(variant).to_ascii_uppercase(),
            Self::Kebab => separated(variant).replace('_', "-"),
            Self::ScreamingKebab => separated(variant).replace('_', "-").to_ascii_uppercase(),
        }
    }
}

/// Separates words as serde does: every capital letter begins a word, so `HTTPStatus` becomes `h_t_t_p_status`.
fn separated(variant: &str) -> String {
    let mut words = String::new();
    for (index, letter) in variant.char_indices() {
        if index > 0 && letter.is_uppercase() {
            words.push('_');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::CASES;

    #[test]
    fn cases_are_those_of_serde() {
        let applied = CASES.map(|(_, case)| case.apply("VeryUrgent"));
        let expected = [
            "veryurgent",
            "VERYURGENT",
            "VeryUrgent",
            "veryUrgent",
            "very_urgent",
            "VERY_URGENT",
            "very-urgent",
            "VERY-URGENT",
        ];
        assert_eq!(applied, expected);
    }
}
