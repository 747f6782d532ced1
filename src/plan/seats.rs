//! Seats: the places between which the partial sums of a forest travel, and the clients that enter at each.

use crate::plan::shape::Circle;
use crate::plan::{Layout, Problem};

/// Seats in a circle, each with the clients whose gradients enter the sum there. Every seat has a client.
pub struct Seats {
    /// Clients of each seat, ascending.
    clients: Vec<Vec<u64>>,
    /// The ranks of each seat, ascending, of which one works on a part.
    ranks: Vec<Vec<usize>>,
    /// Number of the place or node that each seat stands for, ascending.
    numbers: Vec<usize>,
    /// True if numbers are those of nodes, false if of places among the aggregating ranks.
    nodes: bool,
}

/// The seats as one part sees them: its owner among them, with or without clients.
pub struct Table<'a> {
    seats: &'a Seats,
    /// The positions.
    pub circle: Circle,
    owner_rank: usize,
    /// The owner's place among the ranks of its seat: on other seats the rank of this place works on the part.
    lane: usize,
}

impl Seats {
    /// A seat for each aggregating rank where clients are at home.
    pub fn of_ranks(problem: &Problem, layout: &Layout) -> Seats {
        let numbers = layout.homes(problem.clients());
        Seats {
            clients: numbers.iter().map(|place| layout.clients_at(*place, problem.clients()).collect()).collect(),
            ranks: numbers.iter().map(|place| vec![layout.aggregator_ranks()[*place]]).collect(),
            numbers,
            nodes: false,
        }
    }

    /// A seat for each node where clients enter: their own node, or where none of its ranks aggregates that of their home.
    pub fn of_nodes(problem: &Problem, layout: &Layout) -> Seats {
        let mut ranks: Vec<Vec<usize>> = vec![Vec::new(); layout.nodes()];
        for rank in layout.aggregator_ranks() {
            ranks[layout.node_of(*rank)].push(*rank);
        }
        let all = problem.clients();
        let mut clients: Vec<Vec<u64>> = vec![Vec::new(); layout.nodes()];
        for client in 0..all {
            let own = layout.node_of(layout.rank_of_client(client, all));
            let home = layout.aggregator_ranks()[layout.home_of(client, all)];
            clients[if ranks[own].is_empty() { layout.node_of(home) } else { own }].push(client);
        }
        let numbers: Vec<usize> = (0..layout.nodes()).filter(|node| !clients[*node].is_empty()).collect();
        Seats {
            clients: numbers.iter().map(|node| std::mem::take(&mut clients[*node])).collect(),
            ranks: numbers.iter().map(|node| std::mem::take(&mut ranks[*node])).collect(),
            numbers,
            nodes: true,
        }
    }

    /// The circle of a part whose owner is the aggregating rank at `place`.
    pub fn around<'a>(&'a self, layout: &Layout, place: usize) -> Table<'a> {
        let owner_rank = layout.aggregator_ranks()[place];
        let number = if self.nodes { layout.node_of(owner_rank) } else { place };
        let (owner, extra, lane) = match self.numbers.binary_search(&number) {
            Ok(seat) => (seat, 0, self.ranks[seat].iter().position(|rank| *rank == owner_rank).unwrap_or(0)),
            Err(between) => (between, 1, 0),
        };
        Table { seats: self, circle: Circle { owner, positions: self.numbers.len() + extra }, owner_rank, lane }
    }
}

impl Table<'_> {
    /// The seat at a position; None for an owner without clients.
    fn seat(&self, position: usize) -> Option<usize> {
        let Circle { owner, positions } = self.circle;
        if positions == self.seats.numbers.len() || position < owner {
            Some(position)
        } else {
            (position > owner).then(|| position - 1)
        }
    }

    /// The rank that works on the part at a position.
    pub fn rank(&self, position: usize) -> usize {
        match self.seat(position) {
            Some(seat) if position != self.circle.owner => {
                let ranks = &self.seats.ranks[seat];
                ranks[self.lane % ranks.len()]
            }
            _ => self.owner_rank,
        }
    }

    /// The clients that enter at a position.
    pub fn clients(&self, position: usize) -> &[u64] {
        self.seat(position).map_or(&[], |seat| &self.seats.clients[seat])
    }
}
