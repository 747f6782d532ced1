use super::*;
use crate::cost::platform::aws_lambda_s3;
use crate::cost::sourced::{NotNegative, Positive};
use crate::cost::{Measurements, calibrate};
use crate::plan::strategies::find;

const MIB: f64 = 1_048_576.0;

fn question(quantity: Quantity, shards: u64) -> Question {
    let case = |name, shards| Case::new(find(name).unwrap(), 1, 20, shards);
    Question {
        sharded: case("sharded-direct", shards),
        tree: case("tree-lambda-fl", 1),
        quantity,
        sizes: (0.0625 * MIB, 16384.0 * MIB),
    }
}

/// A platform without summing and spread: 10 MiB/s in each direction, 1 s for a GET, 2 s for a PUT, with any memory.
fn by_hand() -> Functions {
    let mut platform = aws_lambda_s3().unwrap();
    let not_negative = |number| NotNegative::new(number).unwrap();
    platform.memory.mib_per_vcpu.value = Positive::new(1.0).unwrap();
    platform.speed.get_vcpu_s = not_negative(1.0);
    platform.speed.put_s = not_negative(2.0);
    platform.speed.read_mib_per_s = Positive::new(10.0).unwrap();
    platform.speed.write_mib_per_s = Positive::new(10.0).unwrap();
    platform.speed.sum_mib_per_vcpu_s = Positive::new(1e12).unwrap();
    platform.speed.spread = not_negative(0.0);
    platform.speed.dispatch_s = not_negative(0.0);
    platform
}

/// GradsSharding takes 20 (1 + s / 40) + 2 + s / 40, and λ-FL takes 9 (1 + s / 10) + 2 (2 + s / 10). They are equal at
/// 9 = 0.575 s.
#[test]
fn latency_crosses_where_algebra_says() {
    let found = question(Quantity::Latency, 4).crossing(&by_hand(), (1.0, 1.0)).unwrap();
    assert!((found.bytes() / MIB / (9.0 / 0.575) - 1.0).abs() < 1e-5, "{}", found.bytes() / MIB);
}

/// Reading and writing take no time for a request and 1 s for 10 MiB, memory is the same for every function, and a GiB for
/// a second costs 1,024 / 1,000 of a PUT; GETs are free. GradsSharding moves 21 s MiB and pays 20 + 4 PUTs where reads are
/// ranged (80 + 4 where not), λ-FL moves 29 s MiB and pays 20 + 5. So GradsSharding with ranged reads always wins, and with
/// an object a shard from 8 s / 10 = 84 − 25, which is s = 73.75 MiB.
#[test]
fn ranged_reads_need_no_put_a_shard() {
    let mut platform = by_hand();
    let usd = |text| crate::cost::Usd::parse(text).unwrap();
    platform.speed.get_vcpu_s = NotNegative::new(0.0).unwrap();
    platform.speed.put_s = NotNegative::new(0.0).unwrap();
    platform.memory.copies_of_input.value = Positive::new(1e-9).unwrap();
    platform.memory.runtime_mib.value = NotNegative::new(999.0).unwrap();
    platform.prices.gib_second_usd.value = usd("1.024");
    platform.prices.put_usd_per_1000.value = usd("1000");
    platform.prices.get_usd_per_1000.value = usd("0");
    let mut question = question(Quantity::CostWithClients, 4);
    let whole = question.crossing(&platform, (1.0, 1.0)).unwrap();
    assert!((whole.bytes() / MIB / 73.75 - 1.0).abs() < 1e-4, "{}", whole.bytes() / MIB);
    question.sharded.flow.ranged = true;
    assert_eq!(question.crossing(&platform, (1.0, 1.0)).unwrap(), Crossing::Always);
    // Twelve shards pay 20 + 12 PUTs: 8 s / 10 = 32 − 25.
    question.sharded.shards = 12;
    let twelve = question.crossing(&platform, (1.0, 1.0)).unwrap();
    assert!((twelve.bytes() / MIB / 8.75 - 1.0).abs() < 1e-4, "{}", twelve.bytes() / MIB);
}

/// If functions' time is free, only requests count. Sharding has more of them at any size, so it never wins. With free
/// client requests and one shard it has 20 reads against 24 and one write against five, so it always wins.
#[test]
fn always_and_never() {
    let mut platform = by_hand();
    platform.prices.gib_second_usd.value = crate::cost::Usd::default();
    let cost = Quantity::CostWithClients;
    assert_eq!(question(cost, 4).crossing(&platform, (1.0, 1.0)).unwrap(), Crossing::Never);
    let mut free = by_hand();
    free.prices.put_usd_per_1000.value = crate::cost::Usd::default();
    free.prices.get_usd_per_1000.value = crate::cost::Usd::default();
    assert_eq!(question(cost, 1).crossing(&free, (1.0, 1.0)).unwrap(), Crossing::Always);
}

/// A tree fits up to (3,008 − 450) / 3 = 852.67 MiB, and four shards fit up to four times that.
#[test]
fn what_fits_is_the_memory_rule() {
    let platform = aws_lambda_s3().unwrap();
    let question = question(Quantity::Latency, 4);
    let most = |case| question.largest_feasible(case, &platform, 1e6 * MIB).unwrap().unwrap() / MIB;
    assert!((most(&question.tree) - 2558.0 / 3.0).abs() < 0.01);
    assert!((most(&question.sharded) - 4.0 * 2558.0 / 3.0).abs() < 0.01);
}

/// The published prices of ResNet-18 and VGG-16 with the clients' requests (0.6945 against 0.3772 and 3.815 against
/// 10.275 dollars for 1,000 rounds) lie on different sides of 1. A straight line in log-log scale between them passes 1
/// at 110 MiB. The model's interval must contain this size and exclude the published 500 MiB, even for a single
/// deployment.
#[test]
fn the_published_crossover_is_excluded() {
    let platform = aws_lambda_s3().unwrap();
    let calibration = calibrate(&Measurements::barrak_2026().unwrap(), &platform).unwrap();
    let found = question(Quantity::CostWithClients, 4).answer(&platform, &calibration, 1.0).unwrap();
    let (left, right) = ((0.6945f64 / 0.3772).ln(), (3.815f64 / 10.275).ln());
    let line = (42.655f64.ln() + left / (left - right) * (512.32f64 / 42.655).ln()).exp();
    assert!((line - 110.0).abs() < 1.0, "{line}");
    assert!(found.fit.0 < line * MIB && line * MIB < found.fit.1, "{found:?}");
    assert!(found.single.0 < found.fit.0 && found.fit.1 < found.single.1 && found.single.1 < 500.0 * MIB, "{found:?}");
}
