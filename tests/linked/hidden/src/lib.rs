//! A library whose only endpoint is in a private module that no code names.

mod private {
    use operator_runtime::operator_api;

    /// Answers with true. Use it to see that this endpoint is served.
    #[operator_api(GET, "/hidden")]
    async fn hidden() -> bool {
        true
    }
}
