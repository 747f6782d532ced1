//! `gradshard cost calibrate`: fits the model of time.

use gradshard::cost::calibrate::Ranged;
use gradshard::cost::{Calibration, Measurements, Sheet, calibrate};
use statrs::statistics::Statistics;

use super::asked::CalibrationArgs;
use crate::cli::{Failure, input};

/// Makes three tables: fitted parameters, each deployment predicted from the others, and residuals.
pub fn sheets(args: &CalibrationArgs) -> Result<Vec<Sheet>, Failure> {
    let (measurements, platform) = args.read()?;
    let found = calibrate(&measurements, &platform).map_err(input)?;
    Ok(vec![parameters(&found, &measurements), left_out(&found, &measurements), residuals(&found, &measurements)])
}

fn parameters(found: &Calibration, measurements: &Measurements) -> Sheet {
    let title = format!("Speed fitted to {}", measurements.source);
    let mut sheet = Sheet::new("parameters", title);
    let speed = &found.speed;
    let fitted = [
        ("get_vcpu_s", "CPU time of a read request, s of one vCPU", false),
        ("read_mib_per_s", "bandwidth from the store to one function", true),
        ("put_s", "time of a write request without its bytes", false),
        ("write_mib_per_s", "bandwidth from one function to the store", true),
        ("sum_mib_per_vcpu_s", "rate at which one vCPU sums inputs", true),
    ];
    let derived = [
        ("spread", speed.spread.get(), "relative standard deviation of the times of equal functions in a round"),
        ("dispatch_s", speed.dispatch_s.get(), "time of a level beyond that of its slowest function"),
        (
            "deployment_spread",
            speed.deployment_spread.get(),
            "standard deviation of a left-out deployment around the model, of the logarithm",
        ),
    ];
    let fitted = fitted.into_iter().zip(found.parameters).map(|((name, meaning, is_rate), ranged)| {
        // The interval of a rate is that of its inverse, turned around.
        let Ranged { value, low, high } = ranged;
        let [value, low, high] = if is_rate { [value, high, low].map(f64::recip) } else { [value, low, high] };
        (name, value, Some((low, high)), meaning)
    });
    let rows: Vec<_> = fitted.chain(derived.map(|(name, value, meaning)| (name, value, None, meaning))).collect();
    sheet.column("parameter", &rows, |(name, ..)| *name);
    sheet.column("value", &rows, |(_, value, ..)| *value);
    sheet.column("low_95", &rows, |(_, _, interval, _)| interval.map(|(low, _)| low));
    sheet.column("high_95", &rows, |(_, _, interval, _)| interval.map(|(_, high)| high));
    sheet.column("meaning", &rows, |(.., meaning)| *meaning);
    sheet.note("Intervals: jackknife over deployments.");
    sheet
}

fn left_out(found: &Calibration, measurements: &Measurements) -> Sheet {
    let mut sheet = Sheet::new("left-out", "Each deployment predicted from all others (cost counted as published)");
    let percent = |predicted: f64, measured: f64| (predicted / measured - 1.0) * 100.0;
    let rows = &found.left_out;
    sheet.column("deployment", rows, |row| measurements.deployments[row.deployment].name.as_str());
    sheet.column("wall_s", rows, |row| row.wall_s.1);
    sheet.column("predicted_s", rows, |row| row.wall_s.0);
    sheet.column("error_percent", rows, |row| percent(row.wall_s.0, row.wall_s.1));
    sheet.column("usd_per_1000", rows, |row| row.usd.1.times(1000));
    sheet.column("predicted_usd", rows, |row| row.usd.0.times(1000));
    sheet.column("usd_error_percent", rows, |row| percent(row.usd.0.to_f64(), row.usd.1.to_f64()));
    let wall = found.left_out.iter().map(|row| (row.wall_s.0 / row.wall_s.1).ln()).quadratic_mean();
    let usd = found.price_error();
    sheet.note(format!("Root mean square error, left out: latency {:.1} %, cost {:.1} %.", wall * 100.0, usd * 100.0));
    sheet
}

fn residuals(found: &Calibration, measurements: &Measurements) -> Sheet {
    let mut sheet = Sheet::new("residuals", "Residuals, 100 ln(predicted / measured)");
    let rows = &found.residuals;
    sheet.column("deployment", rows, |row| measurements.deployments[row.observation.deployment].name.as_str());
    sheet.column("level", rows, |row| row.observation.level);
    sheet.column("time_of", rows, |row| <&str>::from(row.observation.phase));
    sheet.column("inputs", rows, |row| row.observation.inputs);
    sheet.column("object_mib", rows, |row| row.observation.object_mib);
    sheet.column("memory_mib", rows, |row| row.observation.memory_mib);
    sheet.column("slowest_of", rows, |row| row.observation.slowest_of);
    sheet.column("measured_s", rows, |row| row.observation.seconds);
    sheet.column("residual_percent", rows, |row| row.fitted * 100.0);
    sheet.column("left_out_percent", rows, |row| row.left_out * 100.0);
    for what in ["read", "function", "write", "sum"] {
        let of = || found.residuals.iter().filter(move |row| <&str>::from(row.observation.phase) == what);
        sheet.note(format!(
            "{what}: {} rows, root mean square {:.1} %, left out {:.1} %.",
            of().count(),
            of().map(|row| row.fitted).quadratic_mean() * 100.0,
            of().map(|row| row.left_out).quadratic_mean() * 100.0
        ));
    }
    sheet
}
