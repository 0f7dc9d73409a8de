//! The native half of tailrace: Singer's lines to runs, and runs to Arrow columns, in one pass over the bytes.
//!
//! What isn't certain is left to the Python package's reference decoder, so that both always say the same.

pub mod columns;
pub mod csv;
pub mod decode;
pub mod delimited;
pub mod envelope;
pub mod json;
pub mod keywords;
pub mod layout;
#[cfg(feature = "python")]
mod loading;
pub mod number;
pub mod numeral;
pub mod pgcopy;
#[cfg(feature = "python")]
mod python;
pub mod refusals;
#[cfg(feature = "python")]
mod refused;
pub mod run;
pub mod split;
pub mod tape;
pub mod text;
pub mod time;
pub mod unfit;
pub mod unknown_fields;
pub mod values;
