//! Traces of all strategies: every message that is sent is received, once, with its bytes; the traffic is the plan's.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::simulate_tests::{each_plan, terms};
use super::{Trace, trace};
use crate::gradient::Dtype;
use crate::plan::{Flow, IntraNode, Layout, Order, Plan, Problem, traffic};

/// Messages by sender, receiver and tag, with their bytes: those sent and those received.
type Messages = BTreeMap<(usize, usize, u64), u64>;

fn of_smpi(text: &str) -> (Messages, Messages) {
    let (mut sent, mut received) = (Messages::new(), Messages::new());
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words[at].parse::<u64>().expect("a number");
        let rank = number(0) as usize;
        let twice = match words[1] {
            "isend" => sent.insert((rank, number(2) as usize, number(3)), number(4)),
            "irecv" => received.insert((number(2) as usize, rank, number(3)), number(4)),
            _ => None,
        };
        assert_eq!(twice, None, "two messages alike: {line}");
    }
    (sent, received)
}

fn of_goal(text: &str) -> (Messages, Messages) {
    let (mut sent, mut received) = (Messages::new(), Messages::new());
    let mut rank = 0;
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words[at].trim_end_matches('b').parse::<u64>().expect("a number");
        let twice = match words.get(..2) {
            Some(["rank", number]) => {
                rank = number.parse().expect("a rank");
                None
            }
            Some([_, "send"]) => sent.insert((rank, number(4) as usize, number(6)), number(2)),
            Some([_, "recv"]) => received.insert((number(4) as usize, rank, number(6)), number(2)),
            _ => None,
        };
        assert_eq!(twice, None, "two messages alike: {line}");
    }
    (sent, received)
}

fn each_trace(mut check: impl FnMut(&str, &Trace, u64)) {
    each_plan(|name, plan: &dyn Plan, problem: &Arc<Problem>, layout: &Arc<Layout>| {
        let terms = terms(Flow::Chunk { elements: 200 }, IntraNode::Messages, Order::Client, Dtype::F32);
        let found = trace(plan, problem, layout, &terms).unwrap_or_else(|error| panic!("{name}: {error}"));
        let bytes = traffic(plan, problem, layout, &terms).expect("of gradshard's own").ranks;
        check(name, &found, bytes.iter().map(|rank| rank.out).sum());
    });
}

#[test]
fn what_is_sent_is_received() {
    let mut traces = 0;
    each_trace(|name, found, bytes| {
        for (sent, received) in [of_smpi(&found.smpi()), of_goal(&found.goal())] {
            assert_eq!(sent, received, "{name}");
            assert_eq!(sent.values().sum::<u64>(), bytes, "{name}");
        }
        traces += 1;
    });
    assert!(traces > 500, "{traces}");
}

/// Every message that a rank waits for was posted before, and is waited for once.
#[test]
fn what_is_posted_is_taken() {
    each_trace(|name, found, _| {
        let mut open = std::collections::BTreeSet::new();
        for line in found.smpi().lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words[1] {
                "irecv" => assert!(open.insert([words[2], words[0], words[3]].map(str::to_owned)), "{name}: {line}"),
                "isend" => {
                    let key = [words[0], words[2], words[3]].map(|word| format!("{word} sent"));
                    assert!(open.insert(key), "{name}: {line}");
                }
                "wait" => {
                    let suffix = if words[2] == words[0] { " sent" } else { "" };
                    let key = [words[2], words[3], words[4]].map(|word| format!("{word}{suffix}"));
                    assert!(open.remove(&key), "{name}: {line}");
                }
                _ => {}
            }
        }
        assert!(open.is_empty(), "{name}: {open:?}");
    });
}
