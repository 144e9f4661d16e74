//! Suggests the most similar known word for an unknown word.

/// The known word that was most likely meant, if a known word is similar enough.
pub(crate) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    known
        .into_iter()
        .map(|candidate| {
            (
                strsim::jaro_winkler(&word.to_lowercase(), &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|(likeness, _)| *likeness >= 0.8)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_misspelled_word_is_found_and_a_different_word_is_not() {
        let known = ["order_id", "amount_cents", "reason"];
        assert_eq!(nearest("orderId", known), Some("order_id"));
        assert_eq!(nearest("amount", known), Some("amount_cents"));
        assert_eq!(nearest("resaon", known), Some("reason"));
        assert_eq!(nearest("colour", known), None);
    }
}
