//! `gradshard schema`: prints the JSON schema of experiments, from which configs/experiment.schema.json is made.

use gradshard::experiment::schema;
use gradshard::gradient::models::catalogue;
use gradshard::plan::strategies;

use super::{Failure, print};

/// Prints the schema, with the strategies and the models that this build knows.
pub fn schema() -> Result<(), Failure> {
    let models: Vec<&str> = catalogue().iter().map(|model| model.name).collect();
    let schema =
        schema::schema(&strategies::names(), &models).map_err(|problem| Failure::Other(anyhow::anyhow!(problem)))?;
    print(&format!("{schema:#}\n"))
}
