//! The cost of an idle server: a dedicated server is paid while it waits for its clients to train.

use crate::cost::{Nodes, Usd};

/// A round of a dedicated server, which waits and then aggregates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ServerRound {
    /// Number of nodes that only aggregate.
    pub nodes: u64,
    /// Time for which the clients train and the server waits, seconds.
    pub train_s: f64,
    /// Time for which the server aggregates, seconds.
    pub aggregate_s: f64,
}

impl ServerRound {
    /// Returns the share of the time for which the server waits.
    pub fn idle_share(&self) -> f64 {
        self.train_s / (self.train_s + self.aggregate_s)
    }

    /// Returns the price of the waiting time.
    pub fn idle_usd(&self, platform: &Nodes) -> Usd {
        platform.usd(self.nodes, self.train_s)
    }

    /// Returns the price of the aggregation time.
    pub fn busy_usd(&self, platform: &Nodes) -> Usd {
        platform.usd(self.nodes, self.aggregate_s)
    }

    /// Returns the training time, seconds, above which functions at `functions_usd` per round cost less than the
    /// server. It is the time that their price buys of the server, minus the aggregation time; 0: functions always cost
    /// less.
    pub fn break_even_train_s(&self, functions_usd: Usd, platform: &Nodes) -> f64 {
        let a_second = platform.prices.node_hour_usd.value.to_f64() * self.nodes as f64 / 3600.0;
        (functions_usd.to_f64() / a_second - self.aggregate_s).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::Measurements;
    use crate::cost::platform::cluster;

    /// The shares that Barrak 2026 publishes, rounded there to a tenth of a percent.
    #[test]
    fn idle_shares_are_the_published_ones() {
        let published = Measurements::barrak_2026().unwrap().idle;
        assert_eq!(published.len(), 4);
        for row in published {
            let (train_s, aggregate_s) = (row.train_s.get(), row.aggregate_s.get());
            let share = ServerRound { nodes: 1, train_s, aggregate_s }.idle_share();
            assert!((share * 100.0 - row.idle_percent).abs() < 0.051, "{}: {share}", row.model);
        }
    }

    /// At $36 an hour a node costs one cent per second, so functions for three cents equal three seconds of one node.
    #[test]
    fn waiting_costs_what_the_clock_says() {
        let mut platform = cluster().unwrap();
        platform.prices.node_hour_usd.value = Usd::parse("36").unwrap();
        let round = ServerRound { nodes: 2, train_s: 30.0, aggregate_s: 0.5 };
        assert_eq!(
            (round.idle_usd(&platform).plain(), round.busy_usd(&platform).plain()),
            ("0.6".into(), "0.01".into())
        );
        let one = ServerRound { nodes: 1, ..round };
        assert!((one.break_even_train_s(Usd::parse("0.03").unwrap(), &platform) - 2.5).abs() < 1e-9);
        assert_eq!(one.break_even_train_s(Usd::default(), &platform), 0.0);
    }
}
