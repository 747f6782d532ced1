//! Arguments that the commands of `gradshard cost` share: platform, measurements, models, sizes.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, anyhow};
use gradshard::cost::platform::{AWS_LAMBDA_S3, cluster};
use gradshard::cost::{Functions, Measurements, Nodes, Platform};
use gradshard::experiment::names::unknown;
use gradshard::gradient::models;
use gradshard::plan::strategies::{self, Strategy};

use crate::cli::{Failure, input};

/// Reads the platform from `file`. The default is AWS Lambda as Barrak 2026 used it.
pub fn platform(file: Option<&Path>) -> Result<Platform, Failure> {
    let Some(file) = file else {
        return Platform::parse(AWS_LAMBDA_S3, Path::new("configs/platforms/aws-lambda-s3.json")).map_err(input);
    };
    Platform::parse(&read(file)?, file).map_err(input)
}

/// Reads a platform of nodes from `file`. The default is a cluster of cloud nodes. Refuses a platform of functions.
pub fn nodes(file: Option<&Path>) -> Result<Nodes, Failure> {
    let Some(file) = file else { return cluster().map_err(input) };
    match platform(Some(file))? {
        Platform::Nodes(nodes) => Ok(*nodes),
        Platform::Functions(functions) => {
            let name = functions.name;
            Err(input(anyhow!("--platform: {name} consists of functions, but rounds of nodes are paid by the node")))
        }
    }
}

/// Reads a platform of functions from `file`, as [`platform`] does. Refuses a platform of nodes.
pub fn functions(file: Option<&Path>) -> Result<Functions, Failure> {
    match platform(file)? {
        Platform::Functions(functions) => Ok(*functions),
        Platform::Nodes(nodes) => {
            Err(input(anyhow!("--platform: {} consists of nodes; this command needs functions", nodes.name)))
        }
    }
}

/// Reads the measurements from `file`. The default is those of Barrak 2026.
pub fn measurements(file: Option<&Path>) -> Result<Measurements, Failure> {
    match file {
        None => Measurements::barrak_2026().map_err(input),
        Some(file) => Measurements::parse(&read(file)?, file).map_err(input),
    }
}

fn read(file: &Path) -> Result<String, Failure> {
    fs::read_to_string(file).with_context(|| file.display().to_string()).map_err(input)
}

/// Reads a model of the catalogue, or a number of elements. Returns its name and its number of elements.
pub fn model(text: &str) -> Result<(String, u64), Failure> {
    match text.parse::<u64>() {
        Ok(0) => Err(input(anyhow!("--model: 0 elements; there must be at least 1"))),
        Ok(elements) => Ok((text.to_owned(), elements)),
        Err(_) => {
            let model = models::find(text).map_err(|error| input(anyhow!("--model: {error}")))?;
            Ok((model.name.to_owned(), model.elements))
        }
    }
}

/// Finds the strategy with this name.
pub fn strategy(name: &str) -> Result<&'static dyn Strategy, Failure> {
    let unknown = || unknown("strategy", name, &strategies::names());
    strategies::find(name).ok_or_else(|| input(anyhow!("--strategy: {}", unknown())))
}

/// Finds the strategies with these names.
pub fn strategies(names: &[String]) -> Result<Vec<&'static dyn Strategy>, Failure> {
    names.iter().map(|name| strategy(name)).collect()
}

/// Most inputs of sums that one command prices, which takes a few seconds.
const MOST_INPUTS: u64 = 3 << 24;

/// Refuses to price plans that have `inputs` inputs of sums together, if these are too many.
pub fn affordable(inputs: u64) -> Result<(), Failure> {
    if inputs <= MOST_INPUTS {
        return Ok(());
    }
    Err(input(anyhow!(
        "--clients, --shards: {inputs} inputs of sums would have to be priced, and at most {MOST_INPUTS} are; write fewer or \
         smaller numbers"
    )))
}

/// Parses a number for which `fits` is true. The error is `wanted`.
pub fn number<T: FromStr>(text: &str, fits: impl Fn(&T) -> bool, wanted: &str) -> Result<T, String> {
    text.parse().ok().filter(fits).ok_or_else(|| wanted.to_owned())
}

/// Parses a whole number from 1 to 1,000,000.
pub fn count(text: &str) -> Result<u64, String> {
    number(text, |count| (1..=1_000_000).contains(count), "write a whole number from 1 to 1000000")
}

/// Parses a finite number above 0.
pub fn above_zero(text: &str) -> Result<f64, String> {
    number(text, |number: &f64| *number > 0.0 && number.is_finite(), "write a number above 0")
}

/// Parses a finite number that is not negative.
pub fn not_negative(text: &str) -> Result<f64, String> {
    number(text, |number: &f64| *number >= 0.0 && number.is_finite(), "write 0 or a number above it")
}

// A platform of functions, and changes to it. (A doc comment would become the help of the commands that flatten this
// struct.)
#[derive(clap::Args, Clone)]
pub struct FunctionsArgs {
    /// Platform of functions, JSON [default: AWS Lambda with S3, as in configs/platforms/aws-lambda-s3.json]
    #[arg(long, value_name = "FILE")]
    pub platform: Option<PathBuf>,
    /// Memory limit of a function in MiB, instead of the platform's
    #[arg(long, value_name = "MIB", value_parser = count)]
    pub limit: Option<u64>,
}

impl FunctionsArgs {
    /// Reads the platform and applies the changes.
    pub fn read(&self) -> Result<Functions, Failure> {
        let mut platform = functions(self.platform.as_deref())?;
        if let Some(limit) = self.limit {
            platform.memory.limit_mib.value = limit;
        }
        Ok(platform)
    }
}

/// Measurements, and functions whose speed they determine.
#[derive(clap::Args, Clone)]
pub struct CalibrationArgs {
    /// Measurements, JSON [default: those of Barrak 2026, as in configs/measurements/barrak-2026.json]
    measurements: Option<PathBuf>,
    #[command(flatten)]
    functions: FunctionsArgs,
}

impl CalibrationArgs {
    pub fn read(&self) -> Result<(Measurements, Functions), Failure> {
        Ok((measurements(self.measurements.as_deref())?, self.functions.read()?))
    }
}
