//! The page that `dev` serves: its assets, who may use it, and what it is told. The routes are in `app/console.rs`.

pub(crate) mod comparison;
pub(crate) mod guard;
mod mistakes;
pub(crate) mod page;
mod pasted;
mod request;
pub(crate) mod signed;
