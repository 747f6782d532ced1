//! Checks whether memory suffices before it is touched, so that a model that does not fit ends with a message and not
//! with the out-of-memory killer.

use crate::engine::transport::{Transport, TransportError, agree, broadcast_numbers, gather_records};
use crate::machine::memory::RankRoom;

/// Returns an error, equal on all ranks, if the ranks of some node want more bytes than it has. `want` are this rank's
/// bytes, of which `shared` go to windows that the node shares. The error ends with the `remedy`. Collective.
pub fn ask(
    transport: &mut dyn Transport,
    what: &str,
    (want, shared): (u64, u64),
    remedy: &str,
) -> Result<Result<(), String>, TransportError> {
    let node_of = transport.node_of().to_vec();
    let all = gather_records(transport, &[want, shared])?.unwrap_or_default();
    let numbers = broadcast_numbers(transport, all.as_flattened())?;
    let node = node_of[transport.rank()];
    let on_node = |place: usize| -> u64 {
        let ranks = node_of.iter().enumerate().filter(|(_, other)| **other == node);
        ranks.filter_map(|(rank, _)| numbers.get(2 * rank + place)).sum()
    };
    let memory = RankRoom::here();
    let mut verdict = Ok(());
    let limits = [
        (on_node(0), memory.available_for_new_memory(), "memory"),
        (on_node(1), memory.available_for_shared_windows(), "shared memory"),
    ];
    for (asked, room, kind) in limits {
        if let Some(room) = room
            && asked > room.bytes
        {
            verdict = Err(format!(
                "{what} needs {} of {kind} on the node of rank {}, which has {} left ({}); {remedy}",
                binary(asked),
                transport.rank(),
                binary(room.bytes),
                room.limited_by
            ));
        }
    }
    agree(transport, verdict)
}

/// Formats bytes in MiB or GiB.
pub fn binary(bytes: u64) -> String {
    let mib = bytes as f64 / f64::from(1 << 20);
    if mib < 10_240.0 { format!("{mib:.1} MiB") } else { format!("{:.1} GiB", mib / 1024.0) }
}
