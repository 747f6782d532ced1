//! A platform: its prices, limits and speed, read from JSON. Every constant has its source.

use std::path::Path;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::cost::{Functions, Nodes};
use crate::experiment::ExperimentError;
use crate::experiment::parse::json;

/// The place where aggregators run, with its prices.
#[derive(Clone, Debug, PartialEq, JsonSchema)]
#[schemars(untagged, title = "gradshard platform")]
pub enum Platform {
    /// Each aggregator is the invocation of a function that reads and writes objects of a store.
    Functions(Box<Functions>),
    /// Nodes of a cluster that are paid by the hour.
    Nodes(Box<Nodes>),
}

impl Platform {
    /// Reads a platform from `text`, the contents of `file`.
    ///
    /// # Errors
    /// [`ExperimentError`] if the text is not a platform. It names the field, the error and the remedy.
    pub fn parse(text: &str, file: &Path) -> Result<Platform, ExperimentError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "lowercase")]
        enum PlatformKind {
            Functions,
            Nodes,
        }
        #[derive(Deserialize)]
        struct OfKind {
            kind: PlatformKind,
        }
        let OfKind { kind } = json(text, file)?;
        match kind {
            PlatformKind::Functions => Ok(Platform::Functions(Box::new(json(text, file)?))),
            PlatformKind::Nodes => Ok(Platform::Nodes(Box::new(json(text, file)?))),
        }
    }
}

/// AWS Lambda with S3 in us-east-1 as Barrak 2026 used them: configs/platforms/aws-lambda-s3.json.
pub const AWS_LAMBDA_S3: &str = include_str!("../../configs/platforms/aws-lambda-s3.json");
/// Cloud nodes paid by the hour: configs/platforms/cluster-c5.json.
pub const CLUSTER: &str = include_str!("../../configs/platforms/cluster-c5.json");

/// Reads [`AWS_LAMBDA_S3`].
///
/// # Errors
/// None as long as the committed file is valid, which a test checks.
pub fn aws_lambda_s3() -> Result<Functions, ExperimentError> {
    json(AWS_LAMBDA_S3, Path::new("configs/platforms/aws-lambda-s3.json"))
}

/// Reads [`CLUSTER`].
///
/// # Errors
/// None as long as the committed file is valid, which a test checks.
pub fn cluster() -> Result<Nodes, ExperimentError> {
    json(CLUSTER, Path::new("configs/platforms/cluster-c5.json"))
}

#[cfg(test)]
#[path = "platform_tests.rs"]
mod tests;
