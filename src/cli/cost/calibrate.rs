//! `gradshard cost calibrate`: fits the model of time.

use std::path::PathBuf;

use clap::Args;
use gradshard::cost::{Calibration, Field, Measurements, Sheet, calibrate};
use statrs::statistics::Statistics;

use super::{OutputArgs, asked};
use crate::cli::{Failure, input};

#[derive(Args)]
pub struct CalibrateArgs {
    /// Measurements, JSON [default: those of Barrak 2026, as in configs/measurements/barrak-2026.json]
    measurements: Option<PathBuf>,
    #[command(flatten)]
    functions: asked::FunctionsArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Makes three tables: fitted parameters, each deployment predicted from the others, and residuals.
pub fn sheets(args: &CalibrateArgs) -> Result<Vec<Sheet>, Failure> {
    let measurements = asked::measurements(args.measurements.as_deref())?;
    let platform = args.functions.read()?;
    let found = calibrate(&measurements, &platform).map_err(input)?;
    Ok(vec![parameters(&found, &measurements), left_out(&found, &measurements), residuals(&found, &measurements)])
}

fn parameters(found: &Calibration, measurements: &Measurements) -> Sheet {
    let title = format!("Speed fitted to {}", measurements.source);
    let mut sheet = Sheet::new("parameters", title, &["parameter", "value", "low_95", "high_95", "meaning"]);
    let speed = &found.speed;
    let names = [
        ("get_vcpu_s", "CPU time of a read request, s of one vCPU", false),
        ("read_mib_per_s", "bandwidth from the store to one function", true),
        ("put_s", "time of a write request without its bytes", false),
        ("write_mib_per_s", "bandwidth from one function to the store", true),
        ("sum_mib_per_vcpu_s", "rate at which one vCPU sums inputs", true),
    ];
    for ((name, meaning, is_rate), ranged) in names.into_iter().zip(found.parameters) {
        let turned = if is_rate {
            [1.0 / ranged.value, 1.0 / ranged.high, 1.0 / ranged.low]
        } else {
            [ranged.value, ranged.low, ranged.high]
        };
        let mut row: Vec<Field> = vec![name.into()];
        row.extend(turned.map(Field::from));
        row.push(meaning.into());
        sheet.rows.push(row);
    }
    for (name, value, meaning) in [
        ("spread", speed.spread.get(), "relative standard deviation of the times of equal functions in a round"),
        ("dispatch_s", speed.dispatch_s.get(), "time of a level beyond that of its slowest function"),
        (
            "deployment_spread",
            speed.deployment_spread.get(),
            "standard deviation of a left-out deployment around the model, of the logarithm",
        ),
    ] {
        sheet.rows.push(vec![name.into(), value.into(), Field::Null, Field::Null, meaning.into()]);
    }
    sheet.notes.push("Intervals: jackknife over deployments.".to_owned());
    sheet
}

fn left_out(found: &Calibration, measurements: &Measurements) -> Sheet {
    let columns =
        ["deployment", "wall_s", "predicted_s", "error_percent", "usd_per_1000", "predicted_usd", "usd_error_percent"];
    let mut sheet =
        Sheet::new("left-out", "Each deployment predicted from all others (cost counted as published)", &columns);
    let percent = |predicted: f64, measured: f64| (predicted / measured - 1.0) * 100.0;
    for row in &found.left_out {
        let (predicted_s, wall_s) = row.wall_s;
        let (predicted, usd) = row.usd;
        sheet.rows.push(vec![
            measurements.deployments[row.deployment].name.as_str().into(),
            wall_s.into(),
            predicted_s.into(),
            percent(predicted_s, wall_s).into(),
            usd.times(1000).into(),
            predicted.times(1000).into(),
            percent(predicted.to_f64(), usd.to_f64()).into(),
        ]);
    }
    let wall = found.left_out.iter().map(|row| (row.wall_s.0 / row.wall_s.1).ln()).quadratic_mean();
    let usd = found.price_error();
    sheet.notes.push(format!(
        "Root mean square error, left out: latency {:.1} %, cost {:.1} %.",
        wall * 100.0,
        usd * 100.0
    ));
    sheet
}

fn residuals(found: &Calibration, measurements: &Measurements) -> Sheet {
    let columns = [
        "deployment",
        "level",
        "time_of",
        "inputs",
        "object_mib",
        "memory_mib",
        "slowest_of",
        "measured_s",
        "residual_percent",
        "left_out_percent",
    ];
    let mut sheet = Sheet::new("residuals", "Residuals, 100 ln(predicted / measured)", &columns);
    for row in &found.residuals {
        let observation = &row.observation;
        sheet.rows.push(vec![
            measurements.deployments[observation.deployment].name.as_str().into(),
            u64::from(observation.level).into(),
            <&str>::from(observation.phase).into(),
            observation.inputs.into(),
            observation.object_mib.into(),
            observation.memory_mib.into(),
            observation.slowest_of.into(),
            observation.seconds.into(),
            (row.fitted * 100.0).into(),
            (row.left_out * 100.0).into(),
        ]);
    }
    for what in ["read", "function", "write", "sum"] {
        let of = || found.residuals.iter().filter(move |row| <&str>::from(row.observation.phase) == what);
        sheet.notes.push(format!(
            "{what}: {} rows, root mean square {:.1} %, left out {:.1} %.",
            of().count(),
            of().map(|row| row.fitted).quadratic_mean() * 100.0,
            of().map(|row| row.left_out).quadratic_mean() * 100.0
        ));
    }
    sheet
}
