//! Tests the choices of the MPI library that calls take, and the messages for those that it has not.

use super::*;

/// The strategies and algorithms of the cells of an experiment with this field `native`.
fn algorithms_of(native: &str) -> Vec<(String, String)> {
    let strategies = r#"["sharded-direct", "native-reduce"]"#;
    let text = format!(
        r#"{{"models": ["resnet18"], "clients": 4, "shards": 1, "strategies": {strategies}, "native": {native}}}"#
    );
    resolved(&text).cells().map(|(_, cell)| (cell.strategy.clone(), cell.form.algorithm.to_string())).collect()
}

#[test]
fn a_library_call_takes_the_algorithms_that_it_has_and_other_strategies_none() {
    let cells = |list: &[(&str, &str)]| -> Vec<(String, String)> {
        list.iter().map(|(strategy, algorithm)| ((*strategy).to_owned(), (*algorithm).to_owned())).collect()
    };
    let direct = ("sharded-direct", "default");
    assert_eq!(algorithms_of("{}"), cells(&[direct, ("native-reduce", "default")]));
    let linear = r#"{"algorithm": ["linear", "default"]}"#;
    assert_eq!(algorithms_of(linear), cells(&[direct, ("native-reduce", "linear"), ("native-reduce", "default")]));
    let all = cells(&[
        direct,
        ("native-reduce", "default"),
        ("native-reduce", "linear"),
        ("native-reduce", "in-order_binary"),
    ]);
    assert_eq!(algorithms_of(r#"{"algorithm": "all"}"#), all);
    assert_eq!(algorithms_of(r#"{"algorithm": ["linear", "all"]}"#).len(), all.len());
    let segmented = [
        direct,
        ("native-reduce", "default"),
        ("native-reduce", "linear/64KiB"),
        ("native-reduce", "in-order_binary/64KiB"),
    ];
    assert_eq!(algorithms_of(r#"{"algorithm": "all/64KiB"}"#), cells(&segmented));
}

#[test]
fn an_algorithm_that_the_library_has_not_is_refused_with_those_that_it_has() {
    let text = r#"{"models": ["resnet18"], "clients": 4, "strategies": ["sharded-direct", "native-reduce"],
        "native": {"algorithm": ["linear", "ring"]}}"#;
    assert_eq!(
        refused(text),
        "native.algorithm[1]: this MPI library has no algorithm \"ring\": native-reduce has linear, in-order_binary, each also in segments"
    );
}

/// The components of the cells of an experiment with MPI_Reduce and this field `native`, and their algorithms.
fn components_of(native: &str) -> Vec<(String, String)> {
    let text =
        format!(r#"{{"models": ["resnet18"], "clients": 4, "strategies": "native-reduce", "native": {native}}}"#);
    let of = |form: Form| (form.component.to_string(), form.algorithm.to_string());
    resolved(&text).cells().map(|(_, cell)| of(cell.form)).collect()
}

#[test]
fn components_go_with_the_default_algorithm() {
    let cells = |list: &[(&str, &str)]| -> Vec<(String, String)> {
        list.iter().map(|(component, algorithm)| ((*component).to_owned(), (*algorithm).to_owned())).collect()
    };
    assert_eq!(components_of("{}"), cells(&[("default", "default")]));
    assert_eq!(components_of(r#"{"component": "sm"}"#), cells(&[("sm", "default")]));
    let both = r#"{"component": ["all", "tuned"], "algorithm": ["linear", "default"]}"#;
    let expected = [("default", "linear"), ("default", "default"), ("sm", "default"), ("tuned", "default")];
    assert_eq!(components_of(both), cells(&expected));
    // Strategies of gradshard's own take none.
    let text = r#"{"models": ["resnet18"], "clients": 4, "strategies": "sharded-direct", "native": {"component": ["sm", "default"]}}"#;
    assert_eq!(resolved(text).cell_count(), 1);
}

#[test]
fn a_component_that_the_library_has_not_is_refused_with_those_that_it_has() {
    let text = |native: &str| {
        format!(r#"{{"models": ["resnet18"], "clients": 4, "strategies": "native-reduce", "native": {native}}}"#)
    };
    assert_eq!(
        refused(&text(r#"{"component": ["sm", "xhc"]}"#)),
        "native.component[1]: this MPI library has no component \"xhc\" for collectives: it has sm, tuned"
    );
    assert_eq!(
        refused(&text(r#"{"component": "sm", "algorithm": "linear"}"#)),
        "native.component: a named algorithm is of a component of its own; add \"default\" to native.algorithm"
    );
}
