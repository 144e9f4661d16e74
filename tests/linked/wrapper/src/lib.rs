//! A company's own crate, which re-exports the runtime in several ways.

pub use operator_runtime as rt;
pub use {serde, tokio};

/// Everything in the runtime.
pub mod all {
    pub use operator_runtime::*;
}

/// Makes an endpoint that says hello in one language.
#[macro_export]
macro_rules! greeting {
    ($name:ident, $path:literal, $hello:literal) => {
        #[doc = concat!("Says ", $hello, ". Use it to greet.")]
        #[$crate::rt::operator_api(GET, $path, crate = $crate::rt)]
        async fn $name() -> &'static str {
            $hello
        }
    };
}
