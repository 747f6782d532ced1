use super::*;
use crate::cost::platform::aws_lambda_s3;

fn published() -> (Measurements, Functions) {
    (Measurements::barrak_2026().unwrap(), aws_lambda_s3().unwrap())
}

fn near(found: f64, expected: f64, within: f64) {
    assert!((found / expected - 1.0).abs() < within, "{found}, not {expected}");
}

/// NumPy computed these values with its own design matrix from the same rows: 0.0281653, 1 / 0.0187671, 0.250657, 1 /
/// 0.0151990, 1 / 0.000198428.
#[test]
fn the_fit_is_numpys() {
    let (measurements, platform) = published();
    let speed = calibrate(&measurements, &platform).unwrap().speed;
    near(speed.get_vcpu_s.get(), 0.028_165_3, 1e-3);
    near(speed.read_mib_per_s.get(), 53.284_8, 1e-3);
    near(speed.put_s.get(), 0.250_657, 1e-3);
    near(speed.write_mib_per_s.get(), 65.793_7, 1e-3);
    near(speed.sum_mib_per_vcpu_s.get(), 5039.61, 1e-3);
}

/// Computed by hand from the five levels of equal functions with a published slowest time: (7.851122 / 6.851593 − 1) /
/// 1.02938 = 0.1417, 0.0937 and (299.372 / 274.458 − 1) / 1.4236 = 0.0638; without the 0.0526 s of dispatch, λ-FL's
/// leaves give 0.0687 and 0.1287.
#[test]
fn the_spread_is_that_of_the_slowest() {
    let (measurements, platform) = published();
    let speed = calibrate(&measurements, &platform).unwrap().speed;
    near(speed.spread.get(), (0.1417 + 0.0937 + 0.0638 + 0.0687 + 0.1287) / 5.0, 0.01);
    // The values 0.047828, 0.057718, 0.066822 are of the sharded deployments; 0.045772, 0.055628, 0.046017 and 0.048772
    // are of the roots.
    near(
        speed.dispatch_s.get(),
        (0.047_828 + 0.057_718 + 0.066_822 + 0.045_772 + 0.055_628 + 0.046_017 + 0.048_772) / 7.0,
        1e-4,
    );
}

/// The platform file contains the result of the calibration, to the written digits.
#[test]
fn the_committed_speed_is_the_calibrated_one() {
    let (measurements, platform) = published();
    let found = calibrate(&measurements, &platform).unwrap().speed;
    let written = platform.speed;
    for (found, written) in [
        (found.get_vcpu_s.get(), written.get_vcpu_s.get()),
        (found.read_mib_per_s.get(), written.read_mib_per_s.get()),
        (found.put_s.get(), written.put_s.get()),
        (found.write_mib_per_s.get(), written.write_mib_per_s.get()),
        (found.sum_mib_per_vcpu_s.get(), written.sum_mib_per_vcpu_s.get()),
        (found.spread.get(), written.spread.get()),
        (found.deployment_spread.get(), written.deployment_spread.get()),
        (found.dispatch_s.get(), written.dispatch_s.get()),
    ] {
        near(found, written, 1e-3);
    }
}

/// Exact measurements of a made-up platform give its speed back, and every left-out deployment is predicted.
#[test]
fn exact_measurements_give_the_speed_back() {
    let (mut measurements, mut platform) = published();
    platform.speed.spread = NotNegative::default();
    platform.speed.dispatch_s = NotNegative::default();
    platform.speed.read_mib_per_s = Positive::new(80.0).unwrap();
    let cases: Vec<Case> = measurements.deployments.iter().map(|d| measurements.case(d).unwrap()).collect();
    for (deployment, case) in measurements.deployments.iter_mut().zip(&cases).filter(|(d, _)| d.feasible) {
        let asked = Asked { memory_mib: deployment.memory_mib, ..Asked::default() };
        let truth = estimate(&case.workload().unwrap(), &platform, &asked);
        for (phase, level) in deployment.phases.iter_mut().zip(&truth.levels) {
            phase.of = Statistic::Mean;
            phase.read_s = Positive::new(level.mean.read_s);
            phase.sum_s = Positive::new(level.mean.sum_s);
            phase.write_s = Positive::new(level.mean.write_s);
            phase.function_s = Positive::new(level.mean_s);
            phase.slowest_s = None;
            phase.phase_s = Positive::new(level.phase_s);
        }
        deployment.billed = Billed::Mean;
        deployment.wall_s = Positive::new(truth.latency_s);
        deployment.usd_per_round = Some(truth.without_clients_usd());
    }
    let found = calibrate(&measurements, &platform).unwrap();
    near(found.speed.read_mib_per_s.get(), 80.0, 1e-6);
    near(found.speed.put_s.get(), platform.speed.put_s.get(), 1e-6);
    assert!(found.residuals.iter().all(|row| row.left_out.abs() < 1e-6));
    // With more than ten functions the level takes the mean once more; the fit does not include this.
    assert!(found.left_out.iter().all(|row| (row.wall_s.0 / row.wall_s.1 - 1.0).abs() < 1e-5));
}

/// With one of n values left out, the jackknife of the mean is its standard error, here √((1 + 0 + 1) / 2 / 3) with
/// t(2) = 4.302653.
#[test]
fn jackknife_of_a_mean_is_its_standard_error() {
    near(jackknife(&[2.5, 2.0, 1.5]), 4.302_653 * (1.0f64 / 3.0).sqrt(), 1e-6);
}

#[test]
fn too_little_is_refused() {
    let (measurements, platform) = published();
    let mut few = measurements.clone();
    few.deployments.truncate(2);
    assert_eq!(calibrate(&few, &platform), Err(CostError::TooFew(2)));
    let mut silent = measurements.clone();
    silent.deployments.retain(|d| d.feasible && d.strategy == "sharded-direct");
    silent.deployments.iter_mut().for_each(|d| d.phases[0].sum_s = None);
    assert_eq!(calibrate(&silent, &platform), Err(CostError::Unidentified("summing")));
    let mut wrong = measurements.clone();
    wrong.deployments[0].strategy = "tree-lambda".to_owned();
    assert!(calibrate(&wrong, &platform).unwrap_err().to_string().contains("tree-lambda-fl"));
    let mut level = measurements;
    level.deployments[0].phases[0].level = 2;
    assert!(calibrate(&level, &platform).unwrap_err().to_string().contains("level 2"));
}
