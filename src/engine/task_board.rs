//! The board of a rank: where its tasks and the readiness of its clients are told to the other ranks of its node.

use std::sync::atomic::Ordering;

use crate::engine::entry::{Entry, Located};
use crate::engine::spec::Spec;
use crate::engine::transport::Shared;
use crate::plan::lowering::TaskRef;
use crate::plan::{IntraNode, Ready, Residency, Terms};

/// The memory of a rank's tasks, with access to that of other ranks of its node.
pub(super) struct TaskBoard {
    pub rank: usize,
    /// Memory that the ranks of a node share for the round: entries, sums and finished ranges. Creating and dropping it
    /// is collective.
    pub window: Option<Box<dyn Shared>>,
    /// Start of the entries of this rank's tasks.
    pub entries: *mut u8,
    /// Bytes of the entries of clients, which come before those of tasks, on each rank of the node; 0 if clients are not
    /// checked.
    pub of_clients: Vec<usize>,
    /// Location of each task of this rank.
    pub own: Vec<Located>,
}

impl TaskBoard {
    /// The board of `rank` before anything is placed. `of_clients` and `window` are the fields of the same names.
    pub fn new(rank: usize, of_clients: Vec<usize>, window: Option<Box<dyn Shared>>) -> TaskBoard {
        TaskBoard { rank, window, entries: std::ptr::null_mut(), of_clients, own: Vec::new() }
    }

    /// The number of this rank's clients that have an entry.
    pub fn clients(&self) -> usize {
        self.of_clients.get(self.rank).copied().unwrap_or(0) / size_of::<Entry>()
    }

    /// The entry with this number of those that begin at `base`.
    pub fn entry(base: *mut u8, number: usize) -> *mut Entry {
        base.wrapping_add(number * size_of::<Entry>()).cast()
    }

    /// The start of the memory that `rank` shares for the round; null without a window.
    fn start_of(&self, rank: usize) -> *mut u8 {
        self.window.as_ref().map_or(std::ptr::null_mut(), |window| window.of(rank))
    }

    /// The entry of the `index`th client of `rank`; null if clients are not checked, or need not be on their own rank.
    pub fn client(&self, rank: usize, index: u64) -> *const Entry {
        if self.of_clients[rank] == 0 || rank == self.rank {
            return std::ptr::null();
        }
        TaskBoard::entry(self.start_of(rank), index as usize).cast_const()
    }

    /// The entries of this rank's own clients.
    pub fn own_clients(&self) -> impl Iterator<Item = &Entry> {
        // SAFETY: the window has an entry for each client of this rank, zero at first, and outlives the board.
        (0..self.clients()).map(|index| unsafe { &*TaskBoard::entry(self.start_of(self.rank), index) })
    }

    /// The place of a task of this rank, or of one of its node.
    pub fn locate(&self, task: TaskRef) -> Located {
        if task.rank == self.rank {
            return self.own[task.number];
        }
        let base = self.start_of(task.rank).wrapping_add(self.of_clients[task.rank]);
        let entry = TaskBoard::entry(base, task.number);
        // SAFETY: the other rank's window has an entry for each of its tasks, written before the exchange in `prepare`.
        let offset = unsafe { (*entry).offset.load(Ordering::Acquire) };
        Located { entry: entry.cast_const(), base: base.wrapping_add(offset as usize).cast_const() }
    }
}

/// Returns, for each rank, the bytes of an entry for each of its clients. There are none if nobody checks that clients are
/// ready, or if the rank is alone on its node.
pub(super) fn client_entries(spec: &Spec<'_>) -> Vec<usize> {
    let Terms { ready, intra_node, residency, .. } = spec.terms;
    let read = ready != Ready::Assumed && (intra_node, residency) == (IntraNode::Shared, Residency::Resident);
    let clients = |rank: usize| {
        let clients = spec.layout.clients_on(rank, spec.problem.clients());
        let shared = read && spec.layout.ranks_on_node(spec.layout.node_of(rank)).len() > 1;
        if shared { (clients.end - clients.start) as usize * size_of::<Entry>() } else { 0 }
    };
    (0..spec.layout.ranks()).map(clients).collect()
}
