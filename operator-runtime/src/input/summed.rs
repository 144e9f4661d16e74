//! The inputs whose sum a limit can bound.

use std::num::{NonZeroU8, NonZeroU16, NonZeroU32, NonZeroU64};

/// An input whose sum `#[operator(limit(sum = …))]` can bound: an unsigned integer.
#[diagnostic::on_unimplemented(
    message = "a limit cannot add up values of `{Self}`",
    label = "must be an unsigned integer",
    note = "take the input as a `u8`, `u16`, `u32` or `u64`, for example an amount in cents"
)]
pub trait SummedInput {
    /// The value.
    #[doc(hidden)]
    fn amount(&self) -> u64;
}

macro_rules! summed {
    ($($integer:ty => $non_zero:ty),*) => {$(
        impl SummedInput for $integer {
            fn amount(&self) -> u64 {
                (*self).into()
            }
        }

        impl SummedInput for $non_zero {
            fn amount(&self) -> u64 {
                self.get().into()
            }
        }
    )*};
}

summed!(u8 => NonZeroU8, u16 => NonZeroU16, u32 => NonZeroU32, u64 => NonZeroU64);
