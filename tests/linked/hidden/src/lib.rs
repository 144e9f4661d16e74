//! A library whose only endpoint is in a private module that no code names.

mod private {
    use operator_runtime::operator_api;

    /// Says that it is served. Use it to see that it is.
    #[operator_api(GET, "/hidden")]
    async fn hidden() -> bool {
        true
    }
}
