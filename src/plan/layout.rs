//! Layout: which rank is on which node, and which ranks host clients and aggregators.

/// Which ranks do what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Roles {
    /// Every rank hosts clients and aggregators.
    #[default]
    Colocated,
    /// This many ranks, evenly spread, only aggregate; the others only host clients. None: half of the ranks.
    Dedicated(Option<u64>),
}

impl Roles {
    /// The name used in tables and files.
    pub fn name(self) -> &'static str {
        match self {
            Roles::Colocated => "colocated",
            Roles::Dedicated(_) => "dedicated",
        }
    }
}

impl std::fmt::Display for Roles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Roles::Dedicated(Some(ranks)) => write!(f, "dedicated ({ranks} aggregate)"),
            other => f.pad(other.name()),
        }
    }
}

/// Ranks on nodes, and who hosts what. Clients lie on their ranks in contiguous runs, so that clients that are
/// neighbours by number are neighbours in place.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    node_of: Vec<usize>,
    ranks_on_node: Vec<Vec<usize>>,
    /// The rack of each node, from 0.
    rack_of_node: Vec<usize>,
    roles: Roles,
    client_ranks: Vec<usize>,
    aggregator_ranks: Vec<usize>,
}

/// Why ranks cannot take these roles.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LayoutError {
    /// There is no rank at all.
    #[error("a layout needs at least one rank")]
    NoRanks,
    /// Dedicated roles need a rank of each kind.
    #[error(
        "roles: {asked} of {ranks} ranks cannot only aggregate; at least 1 must, and at least 1 must be left for clients"
    )]
    Dedicated {
        /// Ranks that should only aggregate.
        asked: u64,
        /// All ranks.
        ranks: u64,
    },
}

/// Which of `blocks` contiguous, even blocks holds `item` of `items`.
pub fn block_of(item: u64, items: u64, blocks: u64) -> u64 {
    (u128::from(item) * u128::from(blocks) / u128::from(items)) as u64
}

/// The items that [`block_of`] puts into `block`.
pub fn items_of(block: u64, items: u64, blocks: u64) -> std::ops::Range<u64> {
    let first = |b: u64| (u128::from(b) * u128::from(items)).div_ceil(u128::from(blocks)) as u64;
    first(block)..first(block + 1)
}

impl Layout {
    /// Ranks on the nodes that `node_of` names (rank r on node `node_of[r]`, nodes numbered by first appearance).
    pub fn new(node_of: &[usize], roles: Roles) -> Result<Self, LayoutError> {
        let ranks = node_of.len() as u64;
        if ranks == 0 {
            return Err(LayoutError::NoRanks);
        }
        let mut names: Vec<usize> = Vec::new();
        let mut numbered = Vec::with_capacity(node_of.len());
        let mut ranks_on_node: Vec<Vec<usize>> = Vec::new();
        let mut number_of = std::collections::HashMap::new();
        for (rank, name) in node_of.iter().enumerate() {
            let node = *number_of.entry(*name).or_insert_with(|| {
                names.push(*name);
                ranks_on_node.push(Vec::new());
                names.len() - 1
            });
            ranks_on_node[node].push(rank);
            numbered.push(node);
        }
        let all: Vec<usize> = (0..node_of.len()).collect();
        let (client_ranks, aggregator_ranks) = match roles {
            Roles::Colocated => (all.clone(), all),
            Roles::Dedicated(asked) => {
                let asked = asked.unwrap_or(ranks / 2);
                if asked == 0 || asked >= ranks {
                    return Err(LayoutError::Dedicated { asked, ranks });
                }
                let only: Vec<usize> = (0..asked).map(|i| ((i + 1) * ranks / asked - 1) as usize).collect();
                (all.into_iter().filter(|r| only.binary_search(r).is_err()).collect(), only)
            }
        };
        let rack_of_node = vec![0; ranks_on_node.len()];
        Ok(Layout { node_of: numbered, ranks_on_node, rack_of_node, roles, client_ranks, aggregator_ranks })
    }

    /// `ranks` ranks in equal runs on `nodes` nodes.
    pub fn even(ranks: usize, nodes: usize, roles: Roles) -> Result<Self, LayoutError> {
        let nodes = nodes.clamp(1, ranks.max(1));
        let node_of: Vec<usize> = (0..ranks).map(|r| block_of(r as u64, ranks as u64, nodes as u64) as usize).collect();
        Layout::new(&node_of, roles)
    }

    /// The same layout with the nodes in racks: `rack` names the rack of a node, given a rank of it. Racks are numbered by
    /// first appearance.
    #[must_use]
    pub fn in_racks<R: PartialEq>(mut self, rack: impl Fn(usize) -> R) -> Self {
        let mut names: Vec<R> = Vec::new();
        let number = |ranks: &Vec<usize>| {
            let name = rack(ranks[0]);
            names.iter().position(|known| *known == name).unwrap_or_else(|| {
                names.push(name);
                names.len() - 1
            })
        };
        self.rack_of_node = self.ranks_on_node.iter().map(number).collect();
        self
    }

    /// P.
    pub fn ranks(&self) -> usize {
        self.node_of.len()
    }

    /// K.
    pub fn nodes(&self) -> usize {
        self.ranks_on_node.len()
    }

    /// Number of racks, at least 1. A rack is a group of nodes whose links to other groups are shared.
    pub fn racks(&self) -> usize {
        self.rack_of_node.iter().max().map_or(1, |last| last + 1)
    }

    /// The rack of `rank`'s node, from 0.
    pub fn rack_of(&self, rank: usize) -> usize {
        self.rack_of_node[self.node_of[rank]]
    }

    /// The node of `rank`, from 0.
    pub fn node_of(&self, rank: usize) -> usize {
        self.node_of[rank]
    }

    /// The ranks on `node`, ascending.
    pub fn ranks_on_node(&self, node: usize) -> &[usize] {
        &self.ranks_on_node[node]
    }

    /// True if both ranks can reach the same memory.
    pub fn same_node(&self, a: usize, b: usize) -> bool {
        self.node_of[a] == self.node_of[b]
    }

    /// Who does what.
    pub fn roles(&self) -> Roles {
        self.roles
    }

    /// Ranks that may host clients, ascending.
    pub fn client_ranks(&self) -> &[usize] {
        &self.client_ranks
    }

    /// Ranks that may host aggregators, ascending.
    pub fn aggregator_ranks(&self) -> &[usize] {
        &self.aggregator_ranks
    }

    /// The rank that hosts `client` of `clients`.
    pub fn rank_of_client(&self, client: u64, clients: u64) -> usize {
        self.client_ranks[block_of(client, clients, self.client_ranks.len() as u64) as usize]
    }

    /// The clients, of `clients`, that `rank` hosts.
    pub fn clients_on(&self, rank: usize, clients: u64) -> std::ops::Range<u64> {
        match self.client_ranks.binary_search(&rank) {
            Ok(index) => items_of(index as u64, clients, self.client_ranks.len() as u64),
            Err(_) => 0..0,
        }
    }

    /// The aggregating rank, as a place among them, that a strategy over ranks lets `client` begin at: its own rank
    /// where every rank aggregates.
    pub fn home_of(&self, client: u64, clients: u64) -> usize {
        block_of(client, clients, self.aggregator_ranks.len() as u64) as usize
    }

    /// The clients, of `clients`, whose home is the aggregating rank `place`.
    pub fn clients_at(&self, place: usize, clients: u64) -> std::ops::Range<u64> {
        items_of(place as u64, clients, self.aggregator_ranks.len() as u64)
    }

    /// The places among the aggregating ranks that are the home of some of `clients` clients, ascending.
    pub fn homes(&self, clients: u64) -> Vec<usize> {
        (0..self.aggregator_ranks.len()).filter(|place| !self.clients_at(*place, clients).is_empty()).collect()
    }

    /// The place among the aggregating ranks of the one that hosts item `index` of `count`.
    pub fn spread_place(&self, index: u64, count: u64) -> usize {
        block_of(index, count, self.aggregator_ranks.len() as u64) as usize
    }

    /// The rank that hosts item `index` of `count` aggregators that are spread evenly, in order.
    pub fn spread(&self, index: u64, count: u64) -> usize {
        self.aggregator_ranks[self.spread_place(index, count)]
    }

    /// The items that [`Layout::spread`] puts on `rank`.
    pub fn spread_on(&self, rank: usize, count: u64) -> std::ops::Range<u64> {
        match self.aggregator_ranks.binary_search(&rank) {
            Ok(index) => items_of(index as u64, count, self.aggregator_ranks.len() as u64),
            Err(_) => 0..0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_and_items_agree() {
        for items in [1u64, 2, 3, 7, 20, 101] {
            for blocks in [1u64, 2, 3, 4, 5, 8, 30] {
                for block in 0..blocks {
                    for item in items_of(block, items, blocks) {
                        assert_eq!(block_of(item, items, blocks), block, "{item} of {items} in {blocks}");
                    }
                }
                let covered: u64 = (0..blocks).map(|b| items_of(b, items, blocks).count() as u64).sum();
                assert_eq!(covered, items);
            }
        }
    }

    #[test]
    fn every_client_has_one_host() {
        let layout = Layout::new(&[7, 7, 3, 3, 3], Roles::Dedicated(Some(2))).expect("roles fit");
        assert_eq!(layout.aggregator_ranks(), [1, 4]);
        assert_eq!(layout.client_ranks(), [0, 2, 3]);
        assert_eq!(layout.nodes(), 2);
        for client in 0..20 {
            let host = layout.rank_of_client(client, 20);
            assert!(layout.clients_on(host, 20).contains(&client));
        }
        assert_eq!(layout.clients_on(1, 20), 0..0);
    }

    #[test]
    fn dedicated_roles_need_two_kinds_of_ranks() {
        let refused = Layout::even(1, 1, Roles::Dedicated(None)).expect_err("one rank cannot be both");
        assert!(refused.to_string().contains("0 of 1 ranks"), "{refused}");
    }
}
