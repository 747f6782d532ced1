//! Max-min fair sharing of resources by flows (Bertsekas and Gallager, Data Networks, 1992, section 6.5.2): all rates grow
//! together until a resource is used up or a flow reaches its own limit; the flows concerned keep their rate and the
//! others grow on.
//!
//! When a flow begins or ends, its neighbours get new rates, and others only if they lose their bottleneck thereby.

use arrayvec::ArrayVec;

use super::ends::{Ends, Nanoseconds, nanoseconds};

/// Greatest number of resources that a flow uses.
const MOST_USES: usize = 12;
/// Relative difference below which two levels are the same.
const SAME: f64 = 1e-9;
/// Relative difference up to which a flow still has its bottleneck; sums of rates are not exact.
const NEAR: f64 = 1e-8;
/// Rounds after which all connected flows are filled at once.
const MOST_ROUNDS: usize = 6;

/// The resources that a flow uses, each with the amount that a unit of the flow takes of it.
pub type Uses = ArrayVec<(usize, f64), MOST_USES>;

#[derive(Default)]
struct Fluid {
    uses: Uses,
    /// Greatest rate, units a second.
    most: f64,
    rate: f64,
    /// The rate that it gets when the flows around it have theirs.
    next: f64,
    remaining: f64,
    since: Nanoseconds,
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
    /// The part of the capacity that is used, and the rate of its fastest flow.
    used: f64,
    top: f64,
    /// True if flows have come or gone.
    changed: bool,
}

/// Flows that get new rates together, and the resources that they use, each with its state before.
#[derive(Default)]
struct Filled {
    flows: Vec<usize>,
    resources: Vec<(usize, (f64, f64))>,
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
    ends: Ends,
    numbers: u64,
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
        // A rate of −1 differs from every rate, so the first one counts as a change.
        self.flows[flow] =
            Fluid { uses: uses.clone(), most, rate: -1.0, remaining: amount, since: now, ..Fluid::default() };
        for (resource, _) in uses {
            self.resources[*resource].flows.push(flow);
            self.changed.push(*resource);
        }
        if uses.is_empty() {
            self.alone.push(flow);
        }
        flow
    }

    /// A number greater than those before, which puts things that happen at the same moment in an order.
    pub fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// The moment at which the next flow ends, with its number.
    pub fn next_end(&self) -> Option<(Nanoseconds, u64)> {
        self.ends.first().map(|(moment, _)| moment)
    }

    /// Takes the flow that ends next. It keeps its rate until it is stopped or goes on.
    pub fn take_end(&mut self) -> Option<usize> {
        let (_, flow) = self.ends.first()?;
        self.ends.remove(flow);
        Some(flow)
    }

    /// Lets a flow that has ended go on with `amount` further units at its rate.
    pub fn go_on(&mut self, flow: usize, amount: f64, now: Nanoseconds) {
        let fluid = &mut self.flows[flow];
        (fluid.remaining, fluid.since) = (amount, now);
        let end = fluid.end(now);
        let number = self.number();
        self.ends.set(flow, (end, number));
    }

    /// Ends a flow.
    pub fn stop(&mut self, flow: usize) {
        let uses = std::mem::take(&mut self.flows[flow].uses);
        self.ends.remove(flow);
        for (resource, _) in uses {
            let flows = &mut self.resources[resource].flows;
            if let Some(place) = flows.iter().position(|other| *other == flow) {
                flows.swap_remove(place);
            }
            self.changed.push(resource);
        }
        self.unused.push(flow);
    }

    /// Gives every flow its rate.
    pub fn settle(&mut self, now: Nanoseconds) {
        for flow in std::mem::take(&mut self.alone) {
            let most = self.flows[flow].most;
            self.set_rate(flow, most, now);
        }
        let mut changed = std::mem::take(&mut self.changed);
        changed.iter().for_each(|resource| self.resources[*resource].changed = true);
        for first in changed.drain(..) {
            if !std::mem::take(&mut self.resources[first].changed) {
                continue;
            }
            match self.resources[first].flows[..] {
                [] => self.resources[first].note(0.0, 0.0),
                [flow] if self.is_alone(flow) => self.fill_alone(flow, now),
                _ => self.fill_around(first, now),
            }
        }
        self.changed = changed;
    }

    /// True if a flow shares no resource.
    fn is_alone(&self, flow: usize) -> bool {
        self.flows[flow].uses.iter().all(|(resource, _)| self.resources[*resource].flows.len() == 1)
    }

    /// Gives a flow that shares nothing its rate.
    fn fill_alone(&mut self, flow: usize, now: Nanoseconds) {
        let Fluid { uses, most, .. } = &self.flows[flow];
        let limits = uses.iter().map(|(resource, weight)| self.resources[*resource].capacity / weight);
        let rate = limits.fold(*most, f64::min);
        for (resource, weight) in uses {
            self.resources[*resource].changed = false;
            self.resources[*resource].note(rate * weight, rate);
        }
        self.set_rate(flow, rate, now);
    }

    /// Gives the flows of a resource that has changed new rates, and then as many others as must have new ones too. Rates are
    /// max-min fair, and only then, if every flow has a bottleneck: a resource that is used up, of whose flows none is faster
    /// (Bertsekas and Gallager). So whoever has one still keeps its rate.
    fn fill_around(&mut self, first: usize, now: Nanoseconds) {
        self.mark += 1;
        let mut filled = Filled::default();
        self.take_in(first, &mut filled);
        for round in 0.. {
            if round == MOST_ROUNDS {
                (0..).map_while(|at| self.take_all_near(at, &mut filled)).for_each(drop);
            }
            self.fill(&mut filled);
            let more = self.without_bottleneck(&filled);
            if more.is_empty() {
                break;
            }
            more.into_iter().for_each(|flow| self.take(flow, &mut filled));
        }
        for &flow in &filled.flows {
            self.set_rate(flow, self.flows[flow].next, now);
        }
    }

    /// Takes in the flows of a resource, and of those resources of theirs that have changed.
    fn take_in(&mut self, resource: usize, filled: &mut Filled) {
        let mut open = vec![resource];
        while let Some(resource) = open.pop() {
            for at in 0..self.resources[resource].flows.len() {
                let known = filled.resources.len();
                self.take(self.resources[resource].flows[at], filled);
                for &(other, _) in &filled.resources[known..] {
                    if std::mem::take(&mut self.resources[other].changed) {
                        open.push(other);
                    }
                }
            }
        }
    }

    /// Takes in the flows of the resource at this place, if there is one.
    fn take_all_near(&mut self, at: usize, filled: &mut Filled) -> Option<()> {
        let (resource, _) = *filled.resources.get(at)?;
        (0..self.resources[resource].flows.len()).for_each(|at| self.take(self.resources[resource].flows[at], filled));
        Some(())
    }

    fn take(&mut self, flow: usize, filled: &mut Filled) {
        let fluid = &mut self.flows[flow];
        if std::mem::replace(&mut fluid.mark, self.mark) == self.mark {
            return;
        }
        filled.flows.push(flow);
        for (resource, _) in &fluid.uses {
            let of = &mut self.resources[*resource];
            if std::mem::replace(&mut of.mark, self.mark) != self.mark {
                filled.resources.push((*resource, (of.used, of.top)));
            }
        }
    }

    /// The flows that have no bottleneck beside the new rates of those that were filled, or keep one of these from having one.
    fn without_bottleneck(&self, filled: &Filled) -> Vec<usize> {
        let is_other = |flow: &&usize| self.flows[**flow].mark != self.mark;
        let mut more = Vec::new();
        for &(resource, before) in &filled.resources {
            let of = &self.resources[resource];
            if !of.is_as(before) {
                let others = of.flows.iter().filter(is_other);
                more.extend(others.filter(|flow| !self.has_bottleneck(&self.flows[**flow], self.flows[**flow].rate)));
            }
        }
        for &flow in &filled.flows {
            let fluid = &self.flows[flow];
            if !self.has_bottleneck(fluid, fluid.next) {
                let beside = fluid.uses.iter().flat_map(|(resource, _)| &self.resources[*resource].flows);
                more.extend(beside.filter(is_other).filter(|other| self.flows[**other].rate > fluid.next));
            }
        }
        more
    }

    fn has_bottleneck(&self, fluid: &Fluid, rate: f64) -> bool {
        let rate = rate * (1.0 + NEAR);
        rate >= fluid.most || fluid.uses.iter().any(|(resource, _)| self.resources[*resource].holds_back(rate))
    }

    /// Shares what other flows leave of the resources.
    fn fill(&mut self, filled: &mut Filled) {
        for &(resource, _) in &filled.resources {
            let of = &self.resources[resource];
            let others = of.flows.iter().map(|flow| &self.flows[*flow]).filter(|fluid| fluid.mark != self.mark);
            let (mut used, mut top, mut count) = (0.0, 0.0f64, 0);
            for fluid in others {
                used += fluid.rate.max(0.0) * fluid.weight_on(resource);
                top = top.max(fluid.rate);
                count += 1;
            }
            let of = &mut self.resources[resource];
            (of.left, of.weight, of.open) = ((of.capacity - used).max(0.0), 0.0, of.flows.len() - count);
            of.note(used, top);
        }
        for &flow in &filled.flows {
            for (resource, weight) in &self.flows[flow].uses {
                self.resources[*resource].weight += weight;
            }
        }
        let mut flows = filled.flows.clone();
        while !flows.is_empty() {
            let shares = filled.resources.iter().map(|(resource, _)| self.resources[*resource].share());
            let limits = flows.iter().map(|flow| self.flows[*flow].most);
            let level = shares.chain(limits).fold(f64::INFINITY, f64::min);
            let near = level * (1.0 + SAME);
            let is_settled = |flow: &usize| {
                let fluid = &self.flows[*flow];
                fluid.most <= near || fluid.uses.iter().any(|(resource, _)| self.resources[*resource].share() <= near)
            };
            let (settled, others): (Vec<usize>, Vec<usize>) = flows.iter().copied().partition(is_settled);
            for flow in settled {
                let fluid = &mut self.flows[flow];
                fluid.next = level.min(fluid.most);
                for (resource, weight) in &fluid.uses {
                    let of = &mut self.resources[*resource];
                    let taken = fluid.next * weight;
                    of.left = (of.left - taken).max(0.0);
                    of.weight -= weight;
                    of.open -= 1;
                    of.note(of.used + taken, of.top.max(fluid.next));
                }
            }
            flows = others;
        }
    }

    fn set_rate(&mut self, flow: usize, rate: f64, now: Nanoseconds) {
        let fluid = &mut self.flows[flow];
        if fluid.rate > 0.0 && (fluid.rate - rate).abs() <= rate * SAME {
            return;
        }
        if fluid.rate > 0.0 {
            let passed = (now - fluid.since) as f64 * 1e-9;
            fluid.remaining = (fluid.remaining - fluid.rate * passed).max(0.0);
        }
        (fluid.rate, fluid.since) = (rate, now);
        let end = fluid.end(now);
        let number = self.number();
        self.ends.set(flow, (end, number));
    }
}

impl Fluid {
    /// The amount of a resource that a unit of the flow takes.
    fn weight_on(&self, resource: usize) -> f64 {
        self.uses.iter().filter(|(used, _)| *used == resource).map(|(_, weight)| weight).sum()
    }

    fn end(&self, now: Nanoseconds) -> Nanoseconds {
        now + nanoseconds(self.remaining / self.rate)
    }
}

impl Resource {
    fn note(&mut self, used: f64, top: f64) {
        (self.used, self.top) = (used, top);
    }

    /// True if it is used as before.
    fn is_as(&self, (used, top): (f64, f64)) -> bool {
        (self.used - used).abs() <= SAME * self.capacity && (self.top - top).abs() <= SAME * top
    }

    /// True if it is the bottleneck of a flow with this rate.
    fn holds_back(&self, rate: f64) -> bool {
        self.used >= self.capacity * (1.0 - NEAR) && rate >= self.top
    }

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
        sharing.settle(0);
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

    /// After every change the rates must be those of all flows filled at once, which the two tests around this one know by
    /// hand.
    #[test]
    fn rates_around_a_change_are_those_of_all_filled_anew() {
        use rand::{RngExt, SeedableRng};
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        for nodes in [3usize, 6, 12] {
            let capacities: Vec<f64> = (0..2 * nodes + 2).map(|_| random.random_range(1..4) as f64).collect();
            let mut sharing = Sharing::default();
            for capacity in &capacities {
                sharing.resource(*capacity);
            }
            let mut flows: Vec<(usize, Uses, f64)> = Vec::new();
            for change in 0..400 {
                if flows.len() > 1 && random.random_range(0..5) < 2 {
                    sharing.stop(flows.swap_remove(random.random_range(0..flows.len())).0);
                } else {
                    let ends = [random.random_range(0..nodes), nodes + random.random_range(0..nodes)];
                    let mut uses: Uses = ends.into_iter().map(|end| (end, 1.0)).collect();
                    if random.random_range(0..4) == 0 {
                        uses.push((2 * nodes + random.random_range(0..2), 0.5));
                    }
                    let most = if random.random_range(0..4) == 0 { 0.3 } else { f64::INFINITY };
                    flows.push((sharing.start(&uses, most, 1.0, 0), uses, most));
                }
                if change % 3 == 0 {
                    continue;
                }
                sharing.settle(0);
                let anew: Vec<(&[(usize, f64)], f64)> =
                    flows.iter().map(|(_, uses, most)| (&uses[..], *most)).collect();
                let found: Vec<f64> = flows.iter().map(|(flow, ..)| sharing.flows[*flow].rate).collect();
                near(&found, &rates(&capacities, &anew));
            }
        }
    }

    #[test]
    fn a_flow_speeds_up_when_another_ends() {
        let mut sharing = Sharing::default();
        let link = sharing.resource(10.0);
        let uses: Uses = [(link, 1.0)].into_iter().collect();
        let first = sharing.start(&uses, f64::INFINITY, 10.0, 0);
        let second = sharing.start(&uses, f64::INFINITY, 5.0, 0);
        sharing.settle(0);
        assert_eq!(sharing.next_end().map(|(at, _)| at), Some(1_000_000_000));
        assert_eq!(sharing.take_end(), Some(second));
        sharing.stop(second);
        sharing.settle(1_000_000_000);
        // 5 of 10 units are left, at 10 units a second.
        assert_eq!(sharing.next_end().map(|(at, _)| at), Some(1_500_000_000));
        assert_eq!(sharing.take_end(), Some(first));
        assert_eq!(sharing.take_end(), None);
    }
}
