//! Values of all ranks on every rank.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::engine::transport::{Transport, TransportError};

/// Returns the values of all ranks on every rank, in rank order. A value that JSON cannot represent becomes the default.
/// Collective.
pub fn gather_everywhere<T: Serialize + DeserializeOwned + Default>(
    transport: &mut dyn Transport,
    mine: &T,
) -> Result<Vec<T>, TransportError> {
    // The values contain only numbers and names, so serialising them does not fail.
    let all = transport.gather(&serde_json::to_vec(mine).unwrap_or_default())?.unwrap_or_default();
    let list = transport.broadcast([b"[", all.join(&b',').as_slice(), b"]"].concat())?;
    let list: Vec<serde_json::Value> = serde_json::from_slice(&list).unwrap_or_default();
    Ok(list.into_iter().map(|value| serde_json::from_value(value).unwrap_or_default()).collect())
}
