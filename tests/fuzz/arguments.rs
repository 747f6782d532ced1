//! Command lines: a command with options that it has, and values that are mostly right.

use gradshard::plan::strategies;
use proptest::collection::vec;
use proptest::prelude::*;

/// An option with its value, an option alone, or nothing.
type Words = Vec<String>;

/// A number that is mostly small, and sometimes an extreme.
fn number(most: u64) -> BoxedStrategy<String> {
    let odd = prop_oneof![
        Just("0"),
        Just("-1"),
        Just("1e9"),
        Just("1048576"),
        Just("18446744073709551615"),
        Just("λ"),
        Just("")
    ];
    prop_oneof![60 => (1..=most).prop_map(|number| number.to_string()), 1 => odd.prop_map(str::to_owned)].boxed()
}

fn word(words: &[&str]) -> BoxedStrategy<String> {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    prop_oneof![60 => prop::sample::select(words), 1 => "[a-z0-9=,./-]{0,12}"].boxed()
}

fn strategy() -> BoxedStrategy<String> {
    word(&strategies::names().into_iter().filter(|name| !name.starts_with("native")).collect::<Vec<_>>())
}

/// The option in a third of the cases.
fn option(name: &'static str, value: BoxedStrategy<String>) -> BoxedStrategy<Words> {
    prop_oneof![2 => Just(vec![]), 1 => value.prop_map(move |value| vec![name.to_owned(), value])].boxed()
}

fn flag(name: &'static str) -> BoxedStrategy<Words> {
    prop_oneof![6 => Just(vec![]), 1 => Just(vec![name.to_owned()])].boxed()
}

fn command(words: &[&str], options: Vec<BoxedStrategy<Words>>) -> BoxedStrategy<Vec<String>> {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    options.prop_map(move |options| words.iter().cloned().chain(options.into_iter().flatten()).collect()).boxed()
}

fn plan() -> BoxedStrategy<Vec<String>> {
    let needed = |name: &'static str, value: BoxedStrategy<String>| {
        value.prop_map(move |value| vec![name.to_owned(), value]).boxed()
    };
    let elements = prop_oneof![number(1 << 30), word(&["resnet18", "vgg16"])].boxed();
    command(
        &["plan"],
        vec![
            needed("--strategy", strategy()),
            needed("--elements", elements),
            option("--clients", number(300)),
            option("--shards", number(100)),
            option("--ranks", number(64)),
            option("--radix", number(16)),
            option("--flow", word(&["whole", "auto", "1MiB", "1B"])),
            option("--dtype", word(&["f32", "f16", "bf16", "f64"])),
            option("--end", word(&["everywhere"])),
            option("--intra-node", word(&["shared", "messages"])),
            option("--format", word(&["text", "json", "dot"])),
            flag("--traffic"),
            flag("--streamed"),
        ],
    )
}

fn priced() -> Vec<BoxedStrategy<Words>> {
    vec![
        option("--strategy", strategy()),
        option("--clients", number(200)),
        option("--shards", number(32)),
        option("--flow", word(&["whole", "64MiB", "whole,1MiB", "ranged,ranged:8MiB"])),
        option("--format", word(&["text", "json"])),
    ]
}

fn cost() -> BoxedStrategy<Vec<String>> {
    let mut estimate = priced();
    estimate.push(option("--model", word(&["resnet18", "vgg16", "1000", "resnet18,vgg16"])));
    estimate.push(option("--throughput", number(100)));
    estimate.push(option("--memory", number(10_000)));
    estimate.push(flag("--levels"));
    let mut best = priced();
    best.push(Just(vec!["--model".to_owned(), "vgg16".to_owned()]).boxed());
    let mut crossover = priced();
    crossover.push(option("--limit", number(10_000)));
    prop_oneof![
        8 => command(&["cost"], estimate),
        2 => command(&["cost", "best-shards"], best),
        1 => command(&["cost", "crossover"], crossover),
        1 => command(&["cost", "tables"], vec![]),
        1 => command(&["cost", "calibrate"], vec![]),
    ]
    .boxed()
}

fn run() -> BoxedStrategy<Vec<String>> {
    command(
        &["run", "e.json", "--no-limits", "--dry-run"],
        vec![
            option("--threads", number(6)),
            option("--output", word(&["r.h5", "no/such/r.h5", "/dev/null"])),
            option("--nodes", number(1)),
            option("--sizes", word(&["4KiB:1GiB", "4:64:2,1MiB", "1B:1TiB", "1GiB:1KiB", "0:4", "6"])),
            option("--strategies", word(&["tree-two", "sharded-ring,tree-two", "tree-two,tree-two"])),
            flag("--force"),
            flag("--ignore-prediction"),
            flag("--trust"),
        ],
    )
}

/// A command line without the program.
pub fn line() -> impl Strategy<Value = Vec<String>> {
    let rest = prop_oneof![
        Just(vec!["strategies"]),
        Just(vec!["models"]),
        Just(vec!["models", "resnet18"]),
        Just(vec!["schema"]),
        Just(vec!["--help"]),
        Just(vec!["show", "e.json"]),
        Just(vec!["merge", "a.h5", "e.json"]),
    ];
    let rest = rest.prop_map(|words| words.into_iter().map(str::to_owned).collect::<Vec<String>>());
    let odd = vec(prop_oneof!["[ -~]{0,10}", any::<String>().prop_map(|text| text.replace('\0', ""))], 0..4);
    // It measures for seconds, and has hardly an option.
    let machine = command(&["machine"], vec![option("--format", word(&["text", "json"]))]);
    prop_oneof![240 => plan(), 160 => cost(), 60 => run(), 60 => rest, 20 => odd, 1 => machine]
}
