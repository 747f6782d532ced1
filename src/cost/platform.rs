//! A platform: what it charges, what it allows, how fast it is. JSON, every constant with its source.

use std::path::Path;

use schemars::JsonSchema;
use serde::de::{self, Deserialize, DeserializeOwned, Deserializer};
use serde::{Deserialize as DeriveDeserialize, Serialize};

use crate::cost::{Functions, Nodes};
use crate::experiment::ExperimentError;
use crate::experiment::object::object;
use crate::experiment::parse::json;

/// A constant, and where it is from.
#[derive(Clone, Debug, PartialEq, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Sourced<T> {
    /// The constant.
    pub value: T,
    /// Who says so: a document, a measurement, a reason.
    #[schemars(length(min = 1))]
    pub source: String,
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Sourced<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(DeriveDeserialize)]
        #[serde(deny_unknown_fields)]
        struct Written<T> {
            value: T,
            source: String,
        }
        let Written { value, source } = object(deserializer)?;
        if source.trim().is_empty() {
            return Err(de::Error::custom("source is empty; say where the constant is from"));
        }
        Ok(Sourced { value, source })
    }
}

/// A number that is above 0 and finite.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, JsonSchema)]
pub struct Positive(#[schemars(extend("exclusiveMinimum" = 0))] f64);

impl Positive {
    /// `number`, if it is above 0 and finite.
    pub fn new(number: f64) -> Option<Positive> {
        (number > 0.0 && number.is_finite()).then_some(Positive(number))
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Positive {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = f64::deserialize(deserializer)?;
        Positive::new(number).ok_or_else(|| de::Error::custom(format!("{number}; write a number above 0")))
    }
}

/// A number that is not negative, and finite.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, JsonSchema)]
pub struct NotNegative(#[schemars(range(min = 0.0))] f64);

impl NotNegative {
    /// `number`, if it is not negative and finite.
    pub fn new(number: f64) -> Option<NotNegative> {
        (number >= 0.0 && number.is_finite()).then_some(NotNegative(number))
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl<'de> Deserialize<'de> for NotNegative {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = f64::deserialize(deserializer)?;
        NotNegative::new(number).ok_or_else(|| de::Error::custom(format!("{number}; write 0 or a number above it")))
    }
}

/// Where aggregators run and what that costs.
#[derive(Clone, Debug, PartialEq, JsonSchema)]
#[schemars(untagged, title = "gradshard platform")]
pub enum Platform {
    /// Each aggregator is the invocation of a function that reads and writes objects of a store.
    Functions(Box<Functions>),
    /// Nodes of a cluster, paid by the hour.
    Nodes(Box<Nodes>),
}

impl Platform {
    /// Reads a platform from `text`, the contents of `file`.
    ///
    /// # Errors
    /// If it is no platform: names the field, what is wrong and what would be right.
    pub fn parse(text: &str, file: &Path) -> Result<Platform, ExperimentError> {
        #[derive(DeriveDeserialize)]
        #[serde(rename_all = "lowercase")]
        enum Kind {
            Functions,
            Nodes,
        }
        #[derive(DeriveDeserialize)]
        struct OfKind {
            kind: Kind,
        }
        let OfKind { kind } = json(text, file)?;
        match kind {
            Kind::Functions => Ok(Platform::Functions(Box::new(json(text, file)?))),
            Kind::Nodes => Ok(Platform::Nodes(Box::new(json(text, file)?))),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Platform::Functions(functions) => &functions.name,
            Platform::Nodes(nodes) => &nodes.name,
        }
    }
}

/// AWS Lambda with S3 in us-east-1 as Barrak 2026 used them; configs/platforms/aws-lambda-s3.json.
pub const AWS_LAMBDA_S3: &str = include_str!("../../configs/platforms/aws-lambda-s3.json");
/// Nodes of a cloud by the hour; configs/platforms/cluster-c5.json.
pub const CLUSTER: &str = include_str!("../../configs/platforms/cluster-c5.json");

/// The platform whose text is [`AWS_LAMBDA_S3`].
///
/// # Errors
/// None while the committed file is valid, which a test shows.
pub fn aws_lambda_s3() -> Result<Functions, ExperimentError> {
    json(AWS_LAMBDA_S3, Path::new("configs/platforms/aws-lambda-s3.json"))
}

/// The platform whose text is [`CLUSTER`].
///
/// # Errors
/// None while the committed file is valid, which a test shows.
pub fn cluster() -> Result<Nodes, ExperimentError> {
    json(CLUSTER, Path::new("configs/platforms/cluster-c5.json"))
}

#[cfg(test)]
#[path = "platform_tests.rs"]
mod tests;
