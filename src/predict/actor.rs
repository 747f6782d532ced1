//! A rank's part in a simulated round. It takes up duties in the order in which `engine/round.rs` and its tasks do.

use super::simulation::Simulation;
use super::state::{Action, Duty, Job};
use super::work::{CoreWork, Pass};
use crate::gradient::Range;
use crate::plan::Order;
use crate::plan::lowering::{Feed, Hold, Origin, Taker, TaskRef};

/// Elements that a sum in rounds adds at a time.
const GO: u64 = 256 * 1024;

impl Simulation<'_> {
    /// Lets a rank carry out its duties until its core is occupied or nothing is left.
    pub fn attend(&mut self, rank: usize) {
        while self.actors[rank].job.is_none()
            && let Some(duty) = self.actors[rank].next_duty()
        {
            match duty {
                Duty::Out(out) => self.try_send(rank, out),
                Duty::Turn => self.take_turns(rank),
                Duty::Sum(sum) if self.actors[rank].in_rounds => self.add_stretch(rank, sum),
                Duty::Sum(sum) => self.add_piece(rank, sum),
                Duty::In(stream) => self.take_in(rank, stream),
            }
        }
    }

    /// Notes, if somebody asks for a trace, that a rank takes a piece from these streams and adds.
    fn trace_pass(&mut self, rank: usize, taken: Vec<usize>, piece: u64, pass: Pass) {
        if self.trace.is_empty() {
            return;
        }
        taken.into_iter().for_each(|conduit| self.trace_take(rank, conduit, piece));
        let inputs = pass.gradients + pass.others + u64::from(pass.has_lead);
        self.note(rank, Action::Compute(pass.elements * inputs));
    }

    fn trace_take(&mut self, rank: usize, conduit: usize, piece: u64) {
        if !self.trace.is_empty() {
            self.note(rank, Action::Take(self.envelope(conduit, piece, false)));
        }
    }

    /// Notes that a rank sends the next piece of a stream, and before it waits for those that must have left.
    fn trace_send(&mut self, rank: usize, out: usize) {
        let of = &self.actors[rank].outs[out];
        let (conduit, piece, depth, in_turns) = (of.conduit, of.next, of.stream.depth, of.stream.in_turns);
        if let Some(before) = piece.checked_sub(depth) {
            self.note(rank, Action::Left(self.envelope(conduit, before, true)));
        }
        let sent = self.envelope(conduit, piece, true);
        if in_turns {
            let turns = &mut self.actors[rank].turns;
            turns.sent.push_back(sent);
            if turns.sent.len() as u64 > turns.most
                && let Some(oldest) = turns.sent.pop_front()
            {
                self.note(rank, Action::Left(oldest));
            }
        }
        self.note(rank, Action::Send(sent));
    }

    /// The work of a rank's core is done: its effect comes.
    pub fn finish(&mut self, rank: usize) {
        match self.actors[rank].job.take() {
            Some(Job::Send(out)) => self.has_sent(rank, out),
            Some(Job::Add { sum, inputs }) => self.has_added(rank, sum, &inputs),
            Some(Job::Stretch { sum, first, last, from, length, stream }) => {
                let of = &mut self.actors[rank].sums[sum];
                of.done[first..=last].fill(from + length);
                if last + 1 == of.done.len() {
                    let task = TaskRef { rank, number: of.task.number };
                    self.produced(task, from + length);
                }
                self.call(rank, Duty::Sum(sum));
                if let Some(stream) = stream {
                    self.actors[rank].ins[stream].of_piece += 1;
                }
                // Whatever waited for earlier inputs of the sum can go on.
                (0..self.actors[rank].ins.len()).for_each(|stream| self.call(rank, Duty::In(stream)));
            }
            Some(Job::Keep { stream, number, produced }) => {
                self.produced(TaskRef { rank, number }, produced);
                self.actors[rank].ins[stream].of_piece += 1;
                self.call(rank, Duty::In(stream));
            }
            None => {}
        }
    }

    /// Records that a task has so many elements, and tells those that read it.
    fn produced(&mut self, task: TaskRef, elements: u64) {
        let entry = &mut self.actors[task.rank].entries[task.number];
        entry.produced = elements;
        let readers = std::mem::take(&mut entry.readers);
        readers.iter().for_each(|(rank, duty)| self.call(*rank, *duty));
        self.actors[task.rank].entries[task.number].readers = readers;
    }

    /// Records that the reader of a task needs its first pieces no longer.
    fn consumed(&mut self, task: TaskRef, pieces: u64) {
        let entry = &mut self.actors[task.rank].entries[task.number];
        entry.consumed = pieces;
        if let Some(sum) = entry.sum {
            self.call(task.rank, Duty::Sum(sum));
        }
    }

    fn elements_of(&self, task: TaskRef) -> u64 {
        self.actors[task.rank].entries[task.number].produced
    }

    /// Begins to send the next piece of a stream, if it is there and may leave.
    fn try_send(&mut self, rank: usize, out: usize) {
        let actor = &self.actors[rank];
        let of = &actor.outs[out];
        if of.is_over() || of.next - of.left >= of.stream.depth {
            return;
        }
        if actor.in_rounds && of.stream.turn > actor.outs[actor.first_open].stream.turn {
            return;
        }
        let is_there = of.strip.parts(of.next).all(|(segment, range)| match of.stream.segments[segment].origin {
            Origin::Gradient { .. } => true,
            Origin::Task { task, start, .. } => self.elements_of(task) >= range.end - start,
        });
        if !is_there {
            return;
        }
        let packed = if of.stream.slot_bytes > 0 {
            self.model.copy(of.strip.bytes(of.next, self.widths))
        } else {
            CoreWork::default()
        };
        self.begin(rank, Job::Send(out), self.model.messages(1).and(packed));
    }

    fn has_sent(&mut self, rank: usize, out: usize) {
        if !self.trace.is_empty() {
            self.trace_send(rank, out);
        }
        let actor = &mut self.actors[rank];
        actor.outs[out].next += 1;
        if actor.outs[out].stream.in_turns {
            actor.turns.under_way += 1;
            actor.turns.at = (actor.turns.at + 1) % actor.turns.order.len();
        }
        if actor.in_rounds {
            let turn = actor.outs[actor.first_open].stream.turn;
            while actor.first_open + 1 < actor.outs.len() && actor.outs[actor.first_open].is_over() {
                actor.first_open += 1;
            }
            let now = actor.outs[actor.first_open].stream.turn;
            if now > turn {
                let opened = (0..actor.outs.len()).filter(|out| actor.outs[*out].stream.turn == now);
                opened.collect::<Vec<_>>().into_iter().for_each(|out| actor.queue(Duty::Out(out)));
            }
        }
        let (conduit, longest) = (actor.outs[out].conduit, actor.outs[out].strip.bytes(0, self.widths));
        let duty = actor.out_duty(out);
        self.send(conduit, longest);
        self.call(rank, duty);
    }

    /// Records that the oldest message of a stream has left its rank.
    pub fn has_left(&mut self, rank: usize, out: usize) {
        let actor = &mut self.actors[rank];
        let of = &mut actor.outs[out];
        of.left += 1;
        if of.stream.in_turns {
            actor.turns.under_way -= 1;
        }
        let of = &actor.outs[out];
        let (left, duty) = (of.left, actor.out_duty(out));
        if let [segment] = of.stream.segments[..]
            && let Origin::Task { task, ring: Some(_), .. } = segment.origin
        {
            self.consumed(task, left);
        }
        self.call(rank, duty);
    }

    fn take_turns(&mut self, rank: usize) {
        let actor = &mut self.actors[rank];
        let turns = &mut actor.turns;
        if turns.under_way >= turns.most {
            return;
        }
        for _ in 0..turns.order.len() {
            let out = turns.order[turns.at];
            if !actor.outs[out].is_over() {
                self.try_send(rank, out);
                return;
            }
            turns.at = (turns.at + 1) % turns.order.len();
        }
    }

    /// Posts the receives of a sum for which there are free slots.
    fn post_of_sum(&mut self, rank: usize, sum: usize) {
        loop {
            let of = &mut self.actors[rank].sums[sum];
            let inputs = of.staged.len() as u64;
            if inputs == 0 || of.free.is_empty() || of.posted == inputs * of.task.pieces {
                return;
            }
            let slot = (of.posted % of.free.len() as u64) as usize;
            if !of.free[slot] {
                return;
            }
            of.free[slot] = false;
            let input = of.staged[(of.posted % inputs) as usize];
            of.posted += 1;
            if let Some(conduit) = of.conduits[input] {
                self.post(conduit);
            }
        }
    }

    /// True if an input of the current piece of a sum is there.
    fn is_there(&self, rank: usize, sum: usize, input: usize, piece: Range) -> bool {
        let of = &self.actors[rank].sums[sum];
        match of.task.feeds[input] {
            Feed::Growing { task, range, .. } => self.elements_of(task) >= piece.end - range.start,
            Feed::Received { .. } => {
                let slot = of.staged.binary_search(&input).ok().and_then(|place| of.slot(of.piece, place));
                let complete = of.conduits[input].map_or(0, |conduit| self.network.conduits[conduit].complete());
                slot.is_some() && complete > of.piece
            }
            _ => true,
        }
    }

    /// Begins to add what is there to the current piece of a sum.
    fn add_piece(&mut self, rank: usize, sum: usize) {
        if self.actors[rank].sums[sum].is_done() {
            return;
        }
        self.post_of_sum(rank, sum);
        let of = &self.actors[rank].sums[sum];
        if let Hold::Ring(ring) = of.task.hold
            && of.next == 0
            && of.piece >= ring.max(1)
            && self.actors[rank].entries[of.task.number].consumed < of.piece + 1 - ring.max(1)
        {
            return;
        }
        let range = of.task.piece_range(of.piece);
        let (count, arrival) = (of.task.feeds.len(), self.order == Order::Arrival);
        let mut inputs = Vec::new();
        for input in if arrival { 0 } else { of.next }..count {
            if of.summed[input] {
                continue;
            }
            if self.is_there(rank, sum, input, range) {
                inputs.push(input);
            } else if !arrival {
                break;
            }
        }
        if inputs.is_empty() && count > 0 {
            return;
        }
        let gradients = inputs.iter().filter(|input| matches!(of.task.feeds[**input], Feed::Resident { .. })).count();
        let received = inputs.iter().filter(|input| of.conduits[**input].is_some()).count();
        let pass = Pass {
            elements: range.len(),
            gradients: gradients as u64,
            others: (inputs.len() - gradients) as u64,
            has_lead: of.next > 0,
            finishes: of.next + inputs.len() == count && of.task.hold == Hold::Result,
        };
        let taken = inputs.iter().filter_map(|input| of.conduits[*input]).collect();
        let piece = of.piece;
        self.trace_pass(rank, taken, piece, pass);
        let work = self.model.messages(received as u64).and(self.model.pass(pass));
        self.begin(rank, Job::Add { sum, inputs }, work);
    }

    fn has_added(&mut self, rank: usize, sum: usize, inputs: &[usize]) {
        let mut released = Vec::new();
        let of = &mut self.actors[rank].sums[sum];
        for &input in inputs {
            of.summed[input] = true;
            if let Feed::Growing { task, hold: Hold::Ring(_), .. } = of.task.feeds[input] {
                released.push((task, of.piece + 1));
            }
            if let Some(slot) = of.staged.binary_search(&input).ok().and_then(|place| of.slot(of.piece, place)) {
                of.free[slot] = true;
            }
        }
        of.next += inputs.len();
        let mut complete = None;
        if of.next == of.task.feeds.len() {
            let range = of.task.piece_range(of.piece);
            complete = Some((TaskRef { rank, number: of.task.number }, range.end - of.task.range.start));
            of.piece += 1;
            of.next = 0;
            of.summed.fill(false);
        }
        self.post_of_sum(rank, sum);
        self.call(rank, Duty::Sum(sum));
        released.into_iter().for_each(|(task, pieces)| self.consumed(task, pieces));
        if let Some((task, elements)) = complete {
            self.produced(task, elements);
        }
    }

    /// Begins to add one stretch of the inputs of a sum in rounds that need no message.
    fn add_stretch(&mut self, rank: usize, sum: usize) {
        let of = &self.actors[rank].sums[sum];
        let feeds = &of.task.feeds;
        let is_gradient = |feed: &Feed| matches!(feed, Feed::Resident { .. });
        for input in 0..feeds.len() {
            let (from, limit) = (of.done[input], limit(&of.done, input, of.task.range));
            if from >= limit {
                continue;
            }
            let (row, length) = match feeds[input] {
                Feed::Resident { .. } => {
                    let rest = feeds[input..].iter().zip(&of.done[input..]);
                    let row = rest.take_while(|(feed, done)| **done == from && is_gradient(feed)).count();
                    let followed = matches!(feeds.get(input + row), Some(Feed::Delivered { .. }));
                    (row, if followed { 0 } else { GO.min(limit - from) })
                }
                Feed::Growing { task, range, .. } => {
                    let there = self.elements_of(task).saturating_sub(of.task.range.start - range.start).min(limit);
                    (1, there.saturating_sub(from).min(GO))
                }
                _ => (1, 0),
            };
            if length > 0 {
                let last = input + row - 1;
                let gradients = if is_gradient(&feeds[input]) { row as u64 } else { 0 };
                let pass = Pass {
                    elements: length,
                    gradients,
                    others: row as u64 - gradients,
                    has_lead: input > 0,
                    finishes: last + 1 == feeds.len() && of.task.hold == Hold::Result,
                };
                let job = Job::Stretch { sum, first: input, last, from, length, stream: None };
                self.trace_pass(rank, Vec::new(), 0, pass);
                return self.begin(rank, job, self.model.pass(pass));
            }
        }
    }

    /// Posts the receives of a stream and begins to take what has come, in order.
    fn take_in(&mut self, rank: usize, stream: usize) {
        loop {
            let of = &self.actors[rank].ins[stream];
            let conduit = of.conduit;
            let posted = self.network.conduits[conduit].posted;
            if posted < of.stream.pieces && posted < of.delivered + of.stream.depth {
                self.post(conduit);
                continue;
            }
            if self.network.conduits[conduit].complete() <= of.delivered {
                return;
            }
            let Some((segment, range)) = of.strip.parts(of.delivered).nth(of.of_piece) else {
                let of = &mut self.actors[rank].ins[stream];
                of.delivered += 1;
                of.of_piece = 0;
                continue;
            };
            let arrival = self.model.messages(u64::from(of.of_piece == 0));
            match of.stream.segments[segment].target {
                Taker::Copy { number } => {
                    let width = self.widths[usize::from(of.strip.is_wide(segment))];
                    let copied = if of.stream.slot_bytes > 0 {
                        self.model.copy(range.len() * width)
                    } else {
                        CoreWork::default()
                    };
                    let produced = range.end - of.stream.segments[segment].range.start;
                    let (first, piece) = (of.of_piece == 0, of.delivered);
                    if first {
                        self.trace_take(rank, conduit, piece);
                    }
                    return self.begin(rank, Job::Keep { stream, number, produced }, arrival.and(copied));
                }
                Taker::Sum { task, feed } => return self.take(rank, (task, feed), range, stream, arrival),
            }
        }
    }

    /// Begins to add a segment of a stream to a sum in rounds, if its turn has come.
    fn take(&mut self, rank: usize, (sum, input): (usize, usize), range: Range, stream: usize, arrival: CoreWork) {
        let of = &self.actors[rank].sums[sum];
        let from = range.start - of.task.range.start;
        let before = of.task.feeds[..input].iter().zip(&of.done[..input]).rev();
        let with = before.take_while(|(feed, done)| **done == from && matches!(feed, Feed::Resident { .. })).count();
        let first = input - with;
        if from != of.done[input] || from + range.len() > limit(&of.done, first, of.task.range) {
            return;
        }
        let pass = Pass {
            elements: range.len(),
            gradients: with as u64,
            others: 1,
            has_lead: first > 0,
            finishes: input + 1 == of.task.feeds.len() && of.task.hold == Hold::Result,
        };
        let job = Job::Stretch { sum, first, last: input, from, length: range.len(), stream: Some(stream) };
        let of = &self.actors[rank].ins[stream];
        let (taken, piece) = (if of.of_piece == 0 { vec![of.conduit] } else { Vec::new() }, of.delivered);
        self.trace_pass(rank, taken, piece, pass);
        self.begin(rank, job, arrival.and(self.model.pass(pass)));
    }
}

/// Elements up to which an input may be summed: as far as the one before it.
fn limit(done: &[u64], input: usize, range: Range) -> u64 {
    input.checked_sub(1).map_or(range.len(), |before| done[before])
}
