// A use of each macro, with options of every kind. `tests/ui/hygiene.rs` compiles these items beside items with every
// name in their expansions. Names of the prelude and derives of other crates would then mean something else, so these
// items use the aliases and types of `given` instead. An item or argument here must not have a name that an expansion
// uses, because that name would not be shadowed.

/// Finds things by each kind of option. Use it to see that names do not clash.
#[deprecated]
#[operator_api(GET, "/found", timeout = "2s", errors(Missing))]
#[operator(allow(similar_names))]
pub async fn found(
    _desk: &given::Desk,
    #[operator(extract)] _head: given::Head,
    /// A number with bounds.
    #[operator(default = given::MOST, min = 1, exclusive_max = 300, multiple_of = 5, allow(similar_names))]
    number: given::Cents,
    /// A text with bounds.
    #[operator(min_length = 2, format = "email", example = "ana@example.com")]
    word: given::Perhaps<given::Text>,
    /// A text with a default.
    #[operator(default, pattern = "^[a-z]*$")]
    other: given::Text,
    /// Which one of them.
    which: Which,
    /// How many there are.
    #[operator(exclusive_min = 0, max = 9)]
    counted: Counted,
    /// How it is called.
    #[operator(max_length = 9, rename = "called")]
    spelled: Named,
    /// A boolean with an example.
    #[operator(example = true)]
    truth: given::Truth,
    #[operator(flatten)] rest: given::Rest,
) -> given::Answer<given::Cents, Missing> {
    given::found(number, word, other, rest.first, truth, which, counted.0, spelled.inner)
}

#[doc = concat!("Keeps a thing", ".")]
#[operator_api(POST, "/kept", key(which), scope = "things:keep", tag = "Things")]
#[operator(limit(calls = 20, within = "1h"), limit(sum = which, max = 1_000, per = keeper, within = "24h"))]
pub async fn kept(
    _tx: &mut given::Transaction,
    /// Numbers with bounds.
    #[operator(min_items = 1, max_items = 3, unique_items, default = given::list())]
    numbers: given::List<given::Cents>,
    #[doc = concat!("Which", " one.")]
    #[operator(lenient)]
    which: given::Cents,
    /// Who keeps it.
    #[operator(secret)]
    keeper: given::Text,
    #[operator(flatten)] rest: given::Rest,
) -> given::List<given::Cents> {
    given::kept(numbers, which, keeper, rest.first)
}

/// Does nothing. Use it to see that this is possible.
#[operator_api(POST, read_only)]
pub async fn nothing() {}

/// Does nothing again and again. Use it to see that this is possible.
#[operator_api(POST, "/again", name = "nothing_again", effect = rerunnable)]
pub async fn again() {}

/// Notes that something has happened.
#[operator_event(custom = "sample.happened", timeout = "2s")]
pub async fn happened(
    _tx: &mut given::Transaction,
    _event: &given::Event,
    #[operator(extract)] _head: given::Head,
    payload: given::Cents,
) -> given::Answer<given::Cents, Missing> {
    given::answer(payload)
}

/// Gives the agent a context.
#[operator_event("conversation.setup")]
pub async fn begun() -> given::Context {
    given::context()
}

/// Records that a conversation has ended. A retry may run it again.
#[operator_event("conversation.ended", effect = rerunnable)]
pub async fn ended() {}

/// Which one it is.
#[derive(SearchParam)]
pub enum Which {
    /// The first.
    First,
    #[deprecated]
    Second,
}

#[derive(SearchParam)]
pub struct Counted(given::Cents);

#[derive(SearchParam)]
pub struct Named {
    inner: given::Text,
}

#[derive(SearchParams)]
pub struct Page {
    first: given::Perhaps<given::Cents>,
}

/// Why nothing is found.
#[derive(OperatorError)]
pub enum Missing {
    /// There is no {word}, {word:?}.
    #[operator(status = 404)]
    Word { word: given::Text },
    /// There is no {0}.
    #[operator(retryable)]
    Amount(given::Cents),
    #[operator(internal)]
    Disk { cause: given::Cause },
    #[operator(unknown)]
    Line(given::Cause),
}
