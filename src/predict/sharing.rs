//! Max-min fair sharing of resources by flows (Bertsekas and Gallager, Data Networks, 1992, section 6.5.2): all rates grow
//! together until a resource is used up or a flow reaches its own limit; the flows concerned keep their rate and the
//! others grow on.
//!
//! Rates change only for flows that share a resource, directly or through others, with one that began or ended.

use arrayvec::ArrayVec;

/// Greatest number of resources that a flow uses.
const MOST_USES: usize = 12;
/// Relative difference below which two levels are the same.
const SAME: f64 = 1e-9;

/// The resources that a flow uses, each with the amount that a unit of the flow takes of it.
pub type Uses = ArrayVec<(usize, f64), MOST_USES>;

/// Time in nanoseconds from the start of the round.
pub type Nanoseconds = u64;

/// Nanoseconds in `seconds`, rounded.
pub fn nanoseconds(seconds: f64) -> Nanoseconds {
    (seconds * 1e9).round() as Nanoseconds
}

#[derive(Default)]
struct Fluid {
    uses: Uses,
    /// Greatest rate, units a second.
    most: f64,
    rate: f64,
    remaining: f64,
    since: Nanoseconds,
    /// Grows whenever the end of the flow changes.
    version: u32,
    mark: u64,
}

#[derive(Default)]
struct Resource {
    /// Units a second.
    capacity: f64,
    flows: Vec<usize>,
    mark: u64,
    /// The part of the capacity that no settled flow takes.
    left: f64,
    /// Capacity that the flows which are not settled take together for each unit of their common rate.
    weight: f64,
    /// Flows that are not settled.
    open: usize,
}

/// The end of a flow, valid while the flow has this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FlowEnd {
    /// The flow.
    pub flow: usize,
    /// Its version.
    pub version: u32,
}

/// Flows that share resources.
#[derive(Default)]
pub struct Sharing {
    resources: Vec<Resource>,
    flows: Vec<Fluid>,
    unused: Vec<usize>,
    /// Resources whose flows have changed.
    changed: Vec<usize>,
    /// Flows without a resource that have begun.
    alone: Vec<usize>,
    mark: u64,
}

impl Sharing {
    /// Adds a resource with this capacity, units a second.
    pub fn resource(&mut self, capacity: f64) -> usize {
        self.resources.push(Resource { capacity, ..Resource::default() });
        self.resources.len() - 1
    }

    /// Begins a flow of `amount` units, of at most `most` units a second. It has a rate after the next
    /// [`Sharing::settle`].
    pub fn start(&mut self, uses: &Uses, most: f64, amount: f64, now: Nanoseconds) -> usize {
        let flow = self.unused.pop().unwrap_or_else(|| {
            self.flows.push(Fluid::default());
            self.flows.len() - 1
        });
        let version = self.flows[flow].version + 1;
        // A rate of −1 differs from every rate, so the first one counts as a change.
        self.flows[flow] =
            Fluid { uses: uses.clone(), most, rate: -1.0, remaining: amount, since: now, version, ..Fluid::default() };
        for (resource, _) in uses {
            self.resources[*resource].flows.push(flow);
            self.changed.push(*resource);
        }
        if uses.is_empty() {
            self.alone.push(flow);
        }
        flow
    }

    /// Lets a flow that has ended go on with `amount` further units at its rate. Returns the new end.
    pub fn go_on(&mut self, flow: usize, amount: f64, now: Nanoseconds) -> (Nanoseconds, FlowEnd) {
        let fluid = &mut self.flows[flow];
        (fluid.remaining, fluid.since) = (amount, now);
        fluid.version += 1;
        (fluid.end(now), FlowEnd { flow, version: fluid.version })
    }

    /// Ends a flow.
    pub fn stop(&mut self, flow: usize) {
        let uses = std::mem::take(&mut self.flows[flow].uses);
        self.flows[flow].version += 1;
        for (resource, _) in uses {
            let flows = &mut self.resources[resource].flows;
            if let Some(place) = flows.iter().position(|other| *other == flow) {
                flows.swap_remove(place);
            }
            self.changed.push(resource);
        }
        self.unused.push(flow);
    }

    /// True if `end` is the end of its flow still.
    pub fn is_valid(&self, end: FlowEnd) -> bool {
        self.flows[end.flow].version == end.version
    }

    /// Gives every flow its rate, and reports the new ends of those whose rate has changed.
    pub fn settle(&mut self, now: Nanoseconds, mut ends: impl FnMut(Nanoseconds, FlowEnd)) {
        for flow in std::mem::take(&mut self.alone) {
            let most = self.flows[flow].most;
            self.set_rate(flow, most, now, &mut ends);
        }
        self.mark += 1;
        let mut changed = std::mem::take(&mut self.changed);
        for first in changed.drain(..) {
            if std::mem::replace(&mut self.resources[first].mark, self.mark) == self.mark {
                continue;
            }
            match self.resources[first].flows[..] {
                [] => {}
                [flow] if self.is_alone(flow) => self.fill_alone(flow, now, &mut ends),
                _ => {
                    let (resources, flows) = self.connected(first);
                    self.fill(&resources, flows, now, &mut ends);
                }
            }
        }
        self.changed = changed;
    }

    /// True if a flow shares no resource.
    fn is_alone(&self, flow: usize) -> bool {
        self.flows[flow].uses.iter().all(|(resource, _)| self.resources[*resource].flows.len() == 1)
    }

    /// Gives a flow that shares nothing its rate.
    fn fill_alone(&mut self, flow: usize, now: Nanoseconds, ends: &mut impl FnMut(Nanoseconds, FlowEnd)) {
        let Fluid { uses, most, .. } = &self.flows[flow];
        let mut rate = *most;
        for (resource, weight) in uses {
            let of = &mut self.resources[*resource];
            of.mark = self.mark;
            rate = rate.min(of.capacity / weight);
        }
        self.set_rate(flow, rate, now, ends);
    }

    /// The resources and flows that are connected with `first`.
    fn connected(&mut self, first: usize) -> (Vec<usize>, Vec<usize>) {
        let (mut resources, mut flows) = (vec![first], Vec::new());
        self.resources[first].mark = self.mark;
        let mut at = 0;
        while at < resources.len() {
            let known = flows.len();
            for &flow in &self.resources[resources[at]].flows {
                if self.flows[flow].mark != self.mark {
                    self.flows[flow].mark = self.mark;
                    flows.push(flow);
                }
            }
            for &flow in &flows[known..] {
                for &(other, _) in &self.flows[flow].uses {
                    if self.resources[other].mark != self.mark {
                        self.resources[other].mark = self.mark;
                        resources.push(other);
                    }
                }
            }
            at += 1;
        }
        (resources, flows)
    }

    /// Fills the resources of one connected part.
    fn fill(
        &mut self,
        resources: &[usize],
        mut flows: Vec<usize>,
        now: Nanoseconds,
        ends: &mut impl FnMut(Nanoseconds, FlowEnd),
    ) {
        for &resource in resources {
            let of = &mut self.resources[resource];
            (of.left, of.weight, of.open) = (of.capacity, 0.0, of.flows.len());
        }
        for &flow in &flows {
            for (resource, weight) in &self.flows[flow].uses {
                self.resources[*resource].weight += weight;
            }
        }
        while !flows.is_empty() {
            let shares = resources.iter().map(|resource| self.resources[*resource].share());
            let limits = flows.iter().map(|flow| self.flows[*flow].most);
            let level = shares.chain(limits).fold(f64::INFINITY, f64::min);
            let near = level * (1.0 + SAME);
            let is_settled = |flow: &usize| {
                let fluid = &self.flows[*flow];
                fluid.most <= near || fluid.uses.iter().any(|(resource, _)| self.resources[*resource].share() <= near)
            };
            let (settled, others): (Vec<usize>, Vec<usize>) = flows.iter().copied().partition(is_settled);
            for flow in settled {
                let rate = level.min(self.flows[flow].most);
                for (resource, weight) in self.flows[flow].uses.clone() {
                    let of = &mut self.resources[resource];
                    of.left = (of.left - rate * weight).max(0.0);
                    of.weight -= weight;
                    of.open -= 1;
                }
                self.set_rate(flow, rate, now, ends);
            }
            flows = others;
        }
    }

    fn set_rate(&mut self, flow: usize, rate: f64, now: Nanoseconds, ends: &mut impl FnMut(Nanoseconds, FlowEnd)) {
        let fluid = &mut self.flows[flow];
        if fluid.rate > 0.0 && (fluid.rate - rate).abs() <= rate * SAME {
            return;
        }
        if fluid.rate > 0.0 {
            let passed = (now - fluid.since) as f64 * 1e-9;
            fluid.remaining = (fluid.remaining - fluid.rate * passed).max(0.0);
        }
        (fluid.rate, fluid.since) = (rate, now);
        fluid.version += 1;
        ends(fluid.end(now), FlowEnd { flow, version: fluid.version });
    }
}

impl Fluid {
    fn end(&self, now: Nanoseconds) -> Nanoseconds {
        now + nanoseconds(self.remaining / self.rate)
    }
}

impl Resource {
    /// The rate up to which the flows that are not settled can grow together.
    fn share(&self) -> f64 {
        // The number tells whether a flow is left, as rounding leaves a trace of weight.
        if self.open > 0 { self.left / self.weight } else { f64::INFINITY }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rates of flows, from the time that each takes for one unit while none ends.
    fn rates(capacities: &[f64], flows: &[(&[(usize, f64)], f64)]) -> Vec<f64> {
        let mut sharing = Sharing::default();
        for capacity in capacities {
            sharing.resource(*capacity);
        }
        let begun: Vec<usize> =
            flows.iter().map(|(uses, most)| sharing.start(&uses.iter().copied().collect(), *most, 1.0, 0)).collect();
        sharing.settle(0, |_, _| ());
        begun.iter().map(|flow| sharing.flows[*flow].rate).collect()
    }

    fn near(found: &[f64], expected: &[f64]) {
        let close = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-6;
        assert!(found.len() == expected.len() && found.iter().zip(expected).all(close), "{found:?}, not {expected:?}");
    }

    /// The example of Bertsekas and Gallager's kind: a long flow shares a link of 1 with two others, one of which then
    /// gets what the long flow leaves of a link of 2.
    #[test]
    fn what_one_flow_cannot_use_others_get() {
        let free = f64::INFINITY;
        let flows: [(&[(usize, f64)], f64); 3] =
            [(&[(0, 1.0), (1, 1.0)], free), (&[(0, 1.0)], free), (&[(1, 1.0)], free)];
        near(&rates(&[1.0, 2.0], &flows), &[0.5, 0.5, 1.5]);
        // A limit of its own leaves the others more.
        let flows: [(&[(usize, f64)], f64); 2] = [(&[(0, 1.0)], 0.2), (&[(0, 1.0)], free)];
        near(&rates(&[1.0], &flows), &[0.2, 0.8]);
        // A flow of weight 2 takes twice as much of the resource for the same rate.
        let flows: [(&[(usize, f64)], f64); 2] = [(&[(0, 2.0)], free), (&[(0, 1.0)], free)];
        near(&rates(&[3.0], &flows), &[1.0, 1.0]);
    }

    #[test]
    fn a_flow_speeds_up_when_another_ends() {
        let mut sharing = Sharing::default();
        let link = sharing.resource(10.0);
        let uses: Uses = [(link, 1.0)].into_iter().collect();
        let first = sharing.start(&uses, f64::INFINITY, 10.0, 0);
        let second = sharing.start(&uses, f64::INFINITY, 5.0, 0);
        let mut ends = Vec::new();
        sharing.settle(0, |at, end| ends.push((at, end)));
        let of = |ends: &[(Nanoseconds, FlowEnd)], flow| ends.iter().rev().find(|(_, end)| end.flow == flow).copied();
        let (at, end) = of(&ends, second).expect("it ends");
        assert!(at == 1_000_000_000 && sharing.is_valid(end));
        sharing.stop(second);
        sharing.settle(at, |at, end| ends.push((at, end)));
        // 5 of 10 units are left, at 10 units a second.
        let (at, end) = of(&ends, first).expect("it ends");
        assert!(at == 1_500_000_000 && sharing.is_valid(end), "{at}");
        assert!(!sharing.is_valid(of(&ends[..2], first).expect("the earlier end").1));
    }
}
