//! What a store provides for endpoints with limits.

use super::{BoxFuture, StoreError};
pub use crate::limit::{Holder, LimitedValue, Reservation, Reserved};

/// A store that counts what operations reserve of limits.
///
/// An implementation is correct if it passes [`contract::check`](super::contract::check). Its rules:
///
/// - A reservation lasts for its window, by the store's own clock. What has ended does not count.
/// - It is granted if the sum of all reservations of the value stays within the maximum; otherwise nothing changes.
/// - An operation has one reservation of a value. Asking again as the same attempt changes nothing. A later attempt takes
///   the reservation over, and its window begins anew; it may reserve more, never less.
/// - Each step on a value is atomic for all programs that share the store, and as durable as a record.
pub trait Limits: Send + Sync {
    /// Reserves a part of a limit, or says that there is no room.
    fn reserve(&self, asked: Reservation) -> BoxFuture<'_, Result<Reserved, StoreError>>;

    /// Ends what this attempt, or an earlier one of its operation, has reserved of the value, or of all values. A person
    /// who settles an operation does not know the values, so looking through all of them may take a while.
    fn give_back(&self, holder: Holder, value: Option<LimitedValue>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// The sum of what is reserved of the value.
    fn used(&self, value: LimitedValue) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// Removes at most `limit` reservations that have ended, so that no call waits for long. `limit` counts reservations,
    /// not values: if more of one value have ended, the rest stay, and still do not count. Returns whether there may be
    /// more that can be removed now. A store whose reservations expire by themselves removes nothing.
    fn remove_ended(&self, limit: u32) -> BoxFuture<'_, Result<bool, StoreError>>;
}
