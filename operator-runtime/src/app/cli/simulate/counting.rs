//! Counts from outside how often an endpoint acted: some numbers in its answers, such as ids, increase by the same step
//! with each operation. A pure file.

use std::collections::BTreeMap;

use serde_json::Value;

/// A number this close to the present time is a time, which increases by itself.
const DAY: u64 = 86_400;

/// The whole numbers in an answer, by their JSON pointers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Numbers(BTreeMap<String, i64>);

impl Numbers {
    /// Reads the numbers of an answer. `now` is in seconds since 1970-01-01 UTC.
    pub(super) fn of(body: &[u8], now: u64) -> Self {
        let mut numbers = BTreeMap::new();
        if let Ok(value) = serde_json::from_slice::<Value>(body) {
            collect(&value, String::new(), &mut numbers);
        }
        numbers.retain(|_, number| !is_time(*number, now));
        Self(numbers)
    }

    /// The numbers that differ in another answer, with the difference.
    pub(super) fn steps_to<'n>(&'n self, later: &'n Self) -> impl Iterator<Item = (&'n str, i64)> {
        let steps = self.0.iter().filter_map(|(place, number)| {
            let step = later.0.get(place)?.checked_sub(*number)?;
            Some((place.as_str(), step))
        });
        steps.filter(|(_, step)| *step != 0)
    }

    /// How many steps lie between this answer and a later one; `None` if the number did not change by whole steps.
    pub(super) fn runs_until(&self, later: &Self, place: &str, step: i64) -> Option<i64> {
        let difference = later.0.get(place)?.checked_sub(*self.0.get(place)?)?;
        let runs = difference.checked_div(step)?;
        (difference.checked_rem(step)? == 0 && runs >= 0).then_some(runs)
    }

    /// A number that changed by the same step from each answer to the next, and its values.
    pub(super) fn even(answers: &[Self]) -> Option<String> {
        let (first, later) = answers.split_first()?;
        let is_even = |(place, step): &(&str, i64)| {
            let goes_on = |one: &Self, next: &Self| one.runs_until(next, place, *step) == Some(1);
            later.windows(2).all(|pair| goes_on(&pair[0], &pair[1]))
        };
        let (place, _) = first.steps_to(later.first()?).find(is_even)?;
        let values: Vec<String> = answers
            .iter()
            .filter_map(|one| one.0.get(place))
            .map(i64::to_string)
            .collect();
        Some(format!("{} counted {}", name(place), values.join(", ")))
    }
}

/// The name of a number, for messages.
pub(super) fn name(place: &str) -> String {
    format!("`{}`", place.trim_start_matches('/'))
}

fn collect(value: &Value, place: String, numbers: &mut BTreeMap<String, i64>) {
    match value {
        Value::Number(number) => drop(number.as_i64().map(|number| numbers.insert(place, number))),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(item, format!("{place}/{index}"), numbers);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                collect(field, format!("{place}/{name}"), numbers);
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// Whether a number is the present time in seconds, milliseconds, microseconds or nanoseconds.
fn is_time(number: i64, now: u64) -> bool {
    let Ok(number) = u64::try_from(number) else {
        return false;
    };
    [1, 1_000, 1_000_000, 1_000_000_000]
        .iter()
        .any(|unit| (number / unit).abs_diff(now) < DAY)
}

#[cfg(test)]
mod tests {
    use super::Numbers;

    const NOW: u64 = 1_800_000_000;

    fn numbers(bodies: &[&str]) -> Vec<Numbers> {
        bodies.iter().map(|body| Numbers::of(body.as_bytes(), NOW)).collect()
    }

    #[test]
    fn only_a_number_with_even_steps_counts() {
        let even = |bodies: &[&str]| Numbers::even(&numbers(bodies));
        assert_eq!(
            even(&[r#"{"id":1}"#, r#"{"id":2}"#, r#"{"id":3}"#]).unwrap(),
            "`id` counted 1, 2, 3"
        );
        assert_eq!(
            even(&[
                r#"{"a":[{"left":90}]}"#,
                r#"{"a":[{"left":65}]}"#,
                r#"{"a":[{"left":40}]}"#
            ])
            .unwrap(),
            "`a/0/left` counted 90, 65, 40"
        );
        assert_eq!(even(&[r#"{"id":1}"#, r#"{"id":2}"#, r#"{"id":4}"#]), None);
        assert_eq!(even(&[r#"{"id":1}"#, r#"{"id":1}"#, r#"{"id":1}"#]), None);
        assert_eq!(even(&["{}", "not JSON", r#"{"id":1}"#]), None);
        assert_eq!(even(&[]), None);
    }

    #[test]
    fn the_present_time_does_not_count() {
        let of = |body: &str| Numbers::of(body.as_bytes(), NOW);
        assert_eq!(of(r#"{"at":1800000003,"ms":1799999990123}"#), Numbers::default());
        assert_ne!(of(r#"{"at":1700000003}"#), Numbers::default());
    }

    #[test]
    fn runs_are_whole_steps_in_one_direction() {
        let [one, two] = <[_; 2]>::try_from(numbers(&[r#"{"id":10,"left":8}"#, r#"{"id":16,"left":2}"#])).unwrap();
        assert_eq!(one.runs_until(&two, "/id", 2), Some(3));
        assert_eq!(one.runs_until(&two, "/left", -3), Some(2));
        assert_eq!(one.runs_until(&two, "/id", 4), None);
        assert_eq!(one.runs_until(&two, "/id", -2), None);
        assert_eq!(one.runs_until(&two, "/id", 0), None);
        assert_eq!(one.runs_until(&two, "/other", 1), None);
    }
}
