//! `gradshard models`: lists the models of the catalogue, or one model's layers.

use clap::Args;
use gradshard::gradient::models::{catalogue, find};
use serde_json::json;

use super::{Failure, ListFormat, input, print};

#[derive(Args)]
pub struct ModelsArgs {
    /// Show the layers of this model
    model: Option<String>,
    /// How to print the list
    #[arg(long, value_enum, default_value = "text")]
    format: ListFormat,
}

/// Prints the models, or the layers of one model.
pub fn models(args: &ModelsArgs) -> Result<(), Failure> {
    let Some(name) = &args.model else { return print(&list(args.format)) };
    let model = find(name).map_err(input)?;
    let layers = model.layers().ok_or_else(|| input(anyhow::anyhow!("the layers of {name} are not known")))?;
    let text = match args.format {
        ListFormat::Text => {
            let widest = layers.iter().map(|layer| layer.name.len()).max().unwrap_or(0);
            let lines = layers
                .iter()
                .map(|layer| format!("{:<widest$}  {:>12}  {:?}\n", layer.name, layer.elements(), layer.shape));
            lines.collect::<String>()
        }
        ListFormat::Json => {
            format!("{:#}\n", json!({"name": model.name, "elements": model.elements, "layers": layers}))
        }
    };
    print(&text)
}

fn list(format: ListFormat) -> String {
    match format {
        ListFormat::Text => {
            let widest = catalogue().iter().map(|model| model.name.len()).max().unwrap_or(0);
            let lines = catalogue().iter().map(|model| {
                let mib = model.elements as f64 * 4.0 / f64::from(1 << 20);
                format!("{:<widest$}  {:>13}  {mib:>9.1} MiB f32  {}\n", model.name, model.elements, model.about)
            });
            lines.collect()
        }
        ListFormat::Json => {
            format!("{:#}\n", json!(catalogue()))
        }
    }
}
