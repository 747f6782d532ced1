//! The text of the experiment that a request asks for: that of a file, with the command line's values in the place of the
//! file's. The new text is stored, so that the result file describes what was carried out.

use serde_json::{Value, json};

use crate::experiment::size_sweep::SizeSweep;
use crate::experiment::starter::starter;
use crate::experiment::{self, Gradients, WrittenExperiment};
use crate::gradient::Dtype;
use crate::job::Request;

/// Most seconds of a comparison of an experiment that no file describes.
const MAX_SECONDS: u64 = 10;

/// Returns the text. Faults of the file are reported as in the file, not as in the new text.
///
/// # Errors
/// The file cannot be read or is no experiment, or an option does not suit it.
pub(super) fn text(request: &Request) -> Result<String, String> {
    let path = request.file();
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = match &request.experiment {
        Some(path) => std::fs::read_to_string(path).map_err(|error| named(&error))?,
        // Every rank is a client. The sizes replace the model.
        None => starter(json!([1]), json!([{"per_rank": 1}]), MAX_SECONDS).to_string(),
    };
    if request.nodes.is_none() && request.sizes.is_none() && request.strategies.is_none() {
        return Ok(text);
    }
    let written = experiment::parse(&text, path).map_err(|error| error.to_string())?;
    let mut object: Value = serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|error| named(&error))?;
    if let Some(nodes) = &request.nodes {
        object["nodes"] = json!(nodes);
    }
    if let Some(strategies) = &request.strategies {
        object["strategies"] = json!(strategies);
    }
    if let Some(sizes) = &request.sizes {
        object["models"] = models(&written, sizes).map_err(|problem| format!("--sizes: {problem}"))?;
    }
    serde_json::to_string_pretty(&object).map_err(|error| named(&error))
}

/// A model of each size, named after it.
fn models(written: &WrittenExperiment, sizes: &SizeSweep) -> Result<Value, String> {
    if matches!(written.gradients, Gradients::Files { .. }) {
        return Err("the experiment reads gradients from files, which have their size".to_owned());
    }
    let dtype = match written.dtype.as_ref().map_or(&[Dtype::F32][..], |dtypes| dtypes.values()) {
        [dtype] => *dtype,
        dtypes => return Err(format!("the experiment has {} dtypes, but a size needs one", dtypes.len())),
    };
    let bytes = dtype.size() as u64;
    let model = |size: &experiment::Size| {
        if size.bytes().is_multiple_of(bytes) {
            Ok(json!({"name": size.to_string(), "elements": size.bytes() / bytes}))
        } else {
            Err(format!("{size} is no whole number of elements of {dtype}, which take {bytes} B each"))
        }
    };
    sizes.0.iter().map(model).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    fn asked(experiment: &str, sizes: &str) -> Result<Value, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("e.json");
        fs::write(&path, experiment).unwrap();
        let sizes = Some(sizes.parse().unwrap());
        let text = text(&Request { sizes, ..Request::new(path) })?;
        Ok(serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn sizes_replace_the_models() {
        let found = asked(r#"{"models": "vgg16", "dtype": "f64", "clients": 3}"#, "4KiB:64KiB").unwrap();
        let models = json!([
            {"name": "4KiB", "elements": 512}, {"name": "16KiB", "elements": 2048}, {"name": "64KiB", "elements": 8192}
        ]);
        assert_eq!((&found["models"], &found["clients"]), (&models, &json!(3)));
    }

    #[test]
    fn sizes_that_do_not_suit_are_refused() {
        let refused = |experiment: &str, sizes: &str| asked(experiment, sizes).unwrap_err();
        let said = refused(r#"{"models": 5, "dtype": ["f32", "f64"]}"#, "4KiB");
        assert_eq!(said, "--sizes: the experiment has 2 dtypes, but a size needs one");
        let said = refused(r#"{"models": 5}"#, "4KiB,6");
        assert_eq!(said, "--sizes: 6B is no whole number of elements of f32, which take 4 B each");
        let files = r#"{"gradients": {"source": "npy", "path": "g"}}"#;
        assert_eq!(refused(files, "4"), "--sizes: the experiment reads gradients from files, which have their size");
        assert!(refused(r#"{"modles": 5}"#, "4").contains("modles"));
    }

    #[test]
    fn without_a_file_every_rank_is_a_client() {
        let request = Request {
            experiment: None::<PathBuf>,
            sizes: Some("1MiB".parse().unwrap()),
            strategies: Some(vec!["tree-two".to_owned()]),
            nodes: Some(vec![1, 2]),
            ..Request::default()
        };
        let found: Value = serde_json::from_str(&text(&request).unwrap()).unwrap();
        assert_eq!(found["models"], json!([{"name": "1MiB", "elements": 262144}]));
        assert_eq!(found["clients"], json!([{"per_rank": 1}]));
        assert_eq!((&found["strategies"], &found["nodes"]), (&json!(["tree-two"]), &json!([1, 2])));
    }
}
