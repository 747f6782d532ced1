use super::*;
use crate::cost::Case;
use crate::cost::platform::aws_lambda_s3;
use crate::cost::sourced::{NotNegative, Positive};
use crate::plan::strategies::find;

/// AWS's prices with a speed that is easy to calculate with: reads at 10 MiB/s, writes at 20 MiB/s, sums at 100 MiB/s
/// per vCPU, 0.5 s for a PUT, 0.1 CPU seconds for a GET, 1 s for a level.
fn slow() -> Functions {
    let mut platform = aws_lambda_s3().unwrap();
    let positive = |number| Positive::new(number).unwrap();
    let not_negative = |number| NotNegative::new(number).unwrap();
    platform.memory.mib_per_vcpu.value = positive(1000.0);
    platform.speed.get_vcpu_s = not_negative(0.1);
    platform.speed.read_mib_per_s = positive(10.0);
    platform.speed.put_s = not_negative(0.5);
    platform.speed.write_mib_per_s = positive(20.0);
    platform.speed.sum_mib_per_vcpu_s = positive(100.0);
    platform.speed.spread = not_negative(0.0);
    platform.speed.dispatch_s = not_negative(1.0);
    platform
}

fn priced(case: &Case, platform: &Functions, asked: &Asked) -> Estimate {
    estimate(&case.workload().unwrap(), platform, asked)
}

/// The memory that Barrak 2026 publishes for VGG-16 and the 5 GiB model. The same rule gives ResNet-18 3 · 10.664 + 450
/// = 481.99 and 3 · 42.655 + 450 = 577.96 (the published 472 and 536 are for two copies), and GPT-2 Large 3 · 738.17 +
/// 450 = 2664.5.
#[test]
fn memory_is_by_the_published_rule() {
    let platform = aws_lambda_s3().unwrap();
    for (elements, strategy, shards, memory, feasible) in [
        (11_181_642, "sharded-direct", 4, 482, true),
        (11_181_642, "tree-lambda-fl", 1, 578, true),
        (134_301_514, "sharded-direct", 4, 835, true),
        (134_301_514, "tree-lambda-fl", 1, 1987, true),
        (134_301_514, "tree-lifl", 1, 1987, true),
        (774_030_080, "sharded-direct", 4, 2665, true),
        (774_030_080, "tree-lifl", 1, 9309, false),
        (1_342_177_280, "sharded-direct", 8, 2370, true),
        (1_342_177_280, "tree-lambda-fl", 1, 15_810, false),
        (1, "tree-central", 1, 451, true),
    ] {
        let found = priced(&Case::new(find(strategy).unwrap(), elements, 20, shards), &platform, &Asked::default());
        assert_eq!((found.memory_mib, found.infeasible.is_none()), (memory, feasible), "{strategy} {elements}");
    }
}

/// The prices that Barrak 2026 publishes for functions, from its own durations: ResNet-18, VGG-16 and 5 GiB sharded,
/// and VGG-16 by λ-FL.
#[test]
fn durations_have_the_published_price() {
    let platform = aws_lambda_s3().unwrap();
    let price = |seconds, memory, count| function_usd(seconds, memory, &platform).times(count).to_f64();
    for (ours, published) in [
        (price(6.851_593, 472, 4), 0.000_210_544_168_273_041_13),
        (price(61.275_476, 835, 4), 0.003_331_062_803_733_245),
        (price(274.457_672, 2370, 8), 0.084_696_091_638_763_32),
        (price(68.375_324, 1987, 4) + price(39.813_688, 1987, 1), 0.010_132_781_906_463_073),
    ] {
        // The published durations have a resolution of a microsecond.
        assert!((ours / published - 1.0).abs() < 1e-7, "{ours}, not {published}");
    }
}

/// The published prices of a round's requests: 80 · 0.0000004 + 4 · 0.000005 and so on; the clients make N·M and N
/// requests.
#[test]
fn requests_have_the_published_price() {
    let platform = aws_lambda_s3().unwrap();
    for (strategy, requests, clients) in [
        ("sharded-direct", "0.000052", "0.000432"),
        ("tree-lambda-fl", "0.0000346", "0.000108"),
        ("tree-lifl", "0.000067", "0.000108"),
    ] {
        let found = priced(&Case::new(find(strategy).unwrap(), 11_181_642, 20, 4), &platform, &Asked::default());
        assert_eq!((found.requests_usd.plain(), found.clients_usd.plain()), (requests.into(), clients.into()));
    }
}

/// λ-FL with N = 20 and 20 MiB needs 3 · 20 + 450 = 510 MiB, which is 0.51 vCPU. A leaf reads in 5 · 0.1 / 0.51 + 100 /
/// 10, sums in 100 / 51, and writes in 0.5 + 1; the root takes 4 · 0.1 / 0.51 + 8, 80 / 51 and 1.5.
#[test]
fn a_tree_by_hand() {
    let case = Case::new(find("tree-lambda-fl").unwrap(), 20 << 18, 20, 1);
    let found = priced(&case, &slow(), &Asked::default());
    let leaf = 0.5 / 0.51 + 10.0 + 100.0 / 51.0 + 1.5;
    let root = 0.4 / 0.51 + 8.0 + 80.0 / 51.0 + 1.5;
    assert_eq!(found.memory_mib, 510);
    assert!((found.latency_s - (leaf + root + 2.0)).abs() < 1e-9, "{}", found.latency_s);
    assert!((found.function_s - (4.0 * leaf + root)).abs() < 1e-9);
    let usd = (4.0 * leaf + root) * 510.0 / 1024.0 * 0.000_016_666_7;
    assert!((found.functions_usd.to_f64() / usd - 1.0).abs() < 1e-8);
    // Every invocation has a cold start: five are paid, and two levels wait.
    let cold = priced(&case, &slow(), &Asked { cold_start_s: 3.0, ..Asked::default() });
    assert!((cold.latency_s - found.latency_s - 6.0).abs() < 1e-9);
    assert!((cold.function_s - found.function_s - 15.0).abs() < 1e-9);
    // More memory than needed costs more; less memory is infeasible.
    let large = priced(&case, &slow(), &Asked { memory_mib: Some(3008), ..Asked::default() });
    assert!(large.infeasible.is_none() && large.functions_usd > found.functions_usd);
    let small = priced(&case, &slow(), &Asked { memory_mib: Some(509), ..Asked::default() });
    assert_eq!(small.infeasible.as_deref(), Some("needs 510 MiB, not 509 MiB"));
}

/// The same in chunks of 8 MiB: 3 · 8 + 450 = 474 MiB, and pieces of 8, 8 and 4 MiB. A leaf has 15 reads and writes
/// three parts with five requests.
#[test]
fn a_chunked_tree_by_hand() {
    let case = Case { flow: "8MiB".parse().unwrap(), ..Case::new(find("tree-lambda-fl").unwrap(), 20 << 18, 20, 1) };
    let found = priced(&case, &slow(), &Asked::default());
    assert_eq!((found.memory_mib, found.gets, found.puts), (474, 4 * 15 + 12, 25));
    let leaf = 1.5 / 0.474 + 10.0 + 100.0 / 47.4 + 2.5 + 1.0;
    assert!((found.levels[0].mean_s - leaf).abs() < 1e-9);
    assert!(found.infeasible.is_none());
    let small = Case { flow: "1MiB".parse().unwrap(), ..case };
    assert!(priced(&small, &slow(), &Asked::default()).infeasible.unwrap().contains("at least 5 MiB"));
}

/// Billing: 2.0004 s are billed as 2,001 ms, and a thousand invocations cost $0.0002.
#[test]
fn steps_and_invocations_are_billed() {
    let mut platform = slow();
    platform.prices.billed_step_ms.value = NotNegative::new(1.0).unwrap();
    assert_eq!(function_usd(2.0004, 1024, &platform), function_usd(2.001, 1024, &platform));
    assert_eq!(function_usd(2.001, 1024, &platform).plain(), "0.000033350067");
    assert_eq!(function_usd(2.0, 1024, &platform).plain(), "0.0000333334");
    platform.prices.invocation_usd_per_1000.value = Usd::parse("0.0002").unwrap();
    let found = priced(&Case::new(find("tree-lambda-fl").unwrap(), 1000, 20, 1), &platform, &Asked::default());
    assert_eq!(found.requests_usd.plain(), "0.0000356");
    // On a platform that bills CPU separately, 1,024 MiB come with 1.024 vCPUs.
    platform.prices.vcpu_second_usd.value = Usd::parse("0.001").unwrap();
    assert_eq!(function_usd(2.0, 1024, &platform).plain(), "0.0020813334");
}

/// In 900 s at 10 MiB/s a function reads 9,000 MiB. 20 clients with 500 MiB are too much for one function, but not for
/// four shards.
#[test]
fn an_invocation_has_a_longest_time() {
    let mut platform = slow();
    platform.memory.limit_mib.value = 100_000;
    let whole = priced(&Case::new(find("tree-central").unwrap(), 500 << 18, 20, 1), &platform, &Asked::default());
    assert!(whole.infeasible.unwrap().contains("the limit is 900 s"));
    let sharded = priced(&Case::new(find("sharded-direct").unwrap(), 500 << 18, 20, 4), &platform, &Asked::default());
    assert_eq!(sharded.infeasible, None);
}
