//! Gradients in safetensors files: a file for each client, or one file of all clients with a name prefix for each
//! client's tensors.
//!
//! A gradient is the client's tensors concatenated in byte order of their names. The header's metadata holds the
//! weights: `num_samples` in a client's own file, `client_00.num_samples` in a shared one (the prefix with its
//! separator, then the key).

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::stored::{StoredFile, StoredGradients, StoredPlace, StoredRun};
use super::weights::{self, Weights};
use crate::gradient::{Dtype, Range, SourceError};

mod header;

use header::{Header, Tensor};

/// Default metadata key of a client's weight.
const WEIGHT_KEY: &str = "num_samples";

/// One client as described by the header of its file.
struct SafetensorsClient<'a> {
    file: usize,
    header: &'a Header,
    /// Prefix of its tensors' names, including the separator; empty if the file holds one client.
    prefix: &'a str,
    /// The tensors by name without the prefix.
    tensors: BTreeMap<&'a str, &'a Tensor>,
}

/// Opens the gradients in `files`, each of which is a client, in the given order. If the file was `named` itself and its
/// metadata lacks the bare weight key, which a client's own file would have, it holds all clients. A client's names then
/// agree up to the first `.` or `/`; clients are in byte order of these prefixes.
///
/// `asked` tells where the weights come from: the experiment or the metadata. If no client has any, each weighs 1.
pub fn open(files: &[PathBuf], named: bool, asked: &Weights) -> Result<StoredGradients, SourceError> {
    let key = asked.key().unwrap_or(WEIGHT_KEY);
    let headers = files.iter().map(|path| Header::read(path)).collect::<Result<Vec<_>, _>>()?;
    let clients = match &headers[..] {
        [] => return Err(SourceError::Request("no safetensors file was given".into())),
        [header] if named && !header.metadata.contains_key(key) => by_prefix(header)?,
        headers => headers
            .iter()
            .enumerate()
            .map(|(file, header)| {
                let tensors = header.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
                SafetensorsClient { file, header, prefix: "", tensors }
            })
            .collect(),
    };
    let dtype = one_dtype(&headers)?;
    let first = &clients[0];
    for client in &clients[1..] {
        if let Some(problem) = difference(client, first) {
            return Err(SourceError::content(&client.header.path, problem));
        }
    }
    let found = clients.iter().map(|client| weight(client, key)).collect::<Result<Vec<_>, _>>()?;
    let weights = weights::asked_or_found(asked, &found, |client| {
        let client = &clients[client];
        client.header.wrong(format!(
            "has no metadata \"{}{key}\", which is this client's weight; give it, or give all weights in the \
             experiment",
            client.prefix
        ))
    })?;
    let elements = first.tensors.values().map(|tensor| tensor.elements()).sum();
    let clients = clients.iter().map(|client| (client.file, StoredPlace::Runs(runs(client, dtype)))).collect();
    let files = files.iter().map(|path| StoredFile::new(path)).collect();
    Ok(StoredGradients { files, clients, dtype, elements, weights })
}

/// Groups the tensors of one file into clients by the prefixes of their names.
fn by_prefix(header: &Header) -> Result<Vec<SafetensorsClient<'_>>, SourceError> {
    let mut clients: BTreeMap<&str, BTreeMap<&str, &Tensor>> = BTreeMap::new();
    for (name, tensor) in &header.tensors {
        let Some(end) = name.find(['.', '/']) else {
            return Err(header.wrong(format!(
                "tensor \"{name}\" names no client; in one file of all clients a name is client.tensor or \
                 client/tensor (a file that is one client is named by its directory or a glob)"
            )));
        };
        let (prefix, rest) = name.split_at(end + 1);
        clients.entry(prefix).or_default().insert(rest, tensor);
    }
    Ok(clients.into_iter().map(|(prefix, tensors)| SafetensorsClient { file: 0, header, prefix, tensors }).collect())
}

/// Returns the common type of all tensors.
fn one_dtype(headers: &[Header]) -> Result<Dtype, SourceError> {
    let mut seen: Option<(Dtype, &str, &Header)> = None;
    for header in headers {
        for (name, tensor) in &header.tensors {
            let Some(dtype) = tensor.dtype else {
                return Err(header.wrong(format!(
                    "tensor \"{name}\" is {}; a gradient is F32, F64, F16 or BF16, so leave out counters such as \
                     num_batches_tracked",
                    tensor.stored_as
                )));
            };
            match seen {
                Some((first, first_name, first_header)) if first != dtype => {
                    return Err(header.wrong(format!(
                        "tensor \"{name}\" is {dtype}, but \"{first_name}\" in {} is {first}; all must be of one \
                         type",
                        first_header.path.display()
                    )));
                }
                Some(_) => {}
                None => seen = Some((dtype, name, header)),
            }
        }
    }
    seen.map(|(dtype, ..)| dtype).ok_or_else(|| SourceError::content(&headers[0].path, "holds no tensor"))
}

/// Describes how the tensors of `client` differ from those of `first`; None if they do not.
fn difference(client: &SafetensorsClient, first: &SafetensorsClient) -> Option<String> {
    let shown = |client: &SafetensorsClient| match client.prefix {
        "" => client.header.path.display().to_string(),
        prefix => format!("client \"{}\"", &prefix[..prefix.len() - 1]),
    };
    let (own, other) = (shown(client), shown(first));
    if let Some(name) = first.tensors.keys().find(|name| !client.tensors.contains_key(*name)) {
        return Some(format!("{own} has no tensor \"{name}\", which {other} has; clients must have the same tensors"));
    }
    for (name, tensor) in &client.tensors {
        let Some(expected) = first.tensors.get(name) else {
            return Some(format!("{own} has a tensor \"{name}\", which {other} has not; clients must have the same"));
        };
        if tensor.shape != expected.shape {
            return Some(format!(
                "\"{name}\" of {own} has shape {:?}, but {other} has {:?}; clients must have the same shapes",
                tensor.shape, expected.shape
            ));
        }
    }
    None
}

/// Returns the weight of `client` in its file's metadata; None if it is absent.
fn weight(client: &SafetensorsClient, key: &str) -> Result<Option<f64>, SourceError> {
    let key = format!("{}{key}", client.prefix);
    let Some(text) = client.header.metadata.get(&key) else {
        return Ok(None);
    };
    match text.trim().parse() {
        Ok(weight) if weight > 0.0 && f64::is_finite(weight) => Ok(Some(weight)),
        _ => Err(client.header.wrong(format!(
            "metadata \"{key}\" is \"{text}\"; a weight must be a number that is finite and above zero"
        ))),
    }
}

/// Returns the runs of `client`'s elements. Tensors that are consecutive in the file as well share a run.
fn runs(client: &SafetensorsClient, dtype: Dtype) -> Vec<StoredRun> {
    let mut runs: Vec<StoredRun> = Vec::new();
    let mut start = 0;
    for tensor in client.tensors.values() {
        let range = Range::new(start, start + tensor.elements());
        start = range.end;
        match runs.last_mut() {
            Some(last) if last.offset + last.range.len() * dtype.size() as u64 == tensor.offset => {
                last.range.end = range.end;
            }
            _ => runs.push(StoredRun { range, offset: tensor.offset }),
        }
    }
    runs
}

#[cfg(test)]
mod tests;
