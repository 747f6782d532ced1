//! The state of the machine between rounds: the rates of single passes over its memory and its wires.
//!
//! The limits are measured before the first round, and a machine whose host is shared changes its speed afterwards. A
//! pass close to a round says how fast the machine is then.

use std::time::Instant;

use super::figures::MachineLimits;
use super::memory::MemoryProbe;
use super::places::RankMap;
use super::share::Bottleneck;
use super::wire::WireProbe;
use crate::engine::transport::{Transport, TransportError, gather_records};

/// The rates of passes at one moment, bytes/s. None: not measured.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MachineState {
    /// The three-stream add by all workers of a node, the slowest node.
    pub memory: Option<f64>,
    /// Reading alone, the slowest node.
    pub reading: Option<f64>,
    /// Into each node while all nodes send to the next one, mean over the nodes.
    pub wire: Option<f64>,
}

/// The parts of the machine whose state is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// The nodes' memory.
    pub memory: bool,
    /// The wires between nodes.
    pub wires: bool,
}

impl Parts {
    /// Adds the part on which a bottleneck lies.
    pub fn add(&mut self, part: Bottleneck) {
        match part {
            Bottleneck::Memory | Bottleneck::Reading => self.memory = true,
            Bottleneck::Wire => self.wires = true,
        }
    }

    /// Encodes the parts as a number, which the ranks can exchange.
    pub fn to_bits(self) -> u64 {
        u64::from(self.memory) | u64::from(self.wires) << 1
    }

    /// Decodes [`Parts::to_bits`].
    pub fn from_bits(bits: u64) -> Parts {
        Parts { memory: bits & 1 > 0, wires: bits & 2 > 0 }
    }
}

/// Measures the state of the machine. It keeps its arrays, so that a measurement allocates nothing.
pub struct StateProbe {
    places: RankMap,
    memory: Option<MemoryProbe>,
    wires: Option<WireProbe>,
    /// Seconds that passes over the wires have taken.
    pub seconds_on_wires: f64,
    /// Reasons why some part is not measured.
    pub notes: Vec<String>,
}

impl StateProbe {
    /// Allocates arrays for the passes over `parts`. A part whose limits are unknown, or for which memory is missing, is left
    /// out, with a note. Collective.
    ///
    /// # Errors
    /// [`TransportError`] if the transport fails.
    pub fn new(
        transport: &mut dyn Transport,
        limits: &MachineLimits,
        parts: Parts,
    ) -> Result<StateProbe, TransportError> {
        let places = RankMap::find(transport)?;
        let mut probe = StateProbe { places, memory: None, wires: None, seconds_on_wires: 0.0, notes: Vec::new() };
        if parts.memory {
            match MemoryProbe::new(transport, &probe.places, limits)? {
                Ok(memory) => probe.memory = Some(memory),
                Err(reason) => probe.notes.push(format!("the state of the memory is not measured in blocks: {reason}")),
            }
        }
        if parts.wires {
            match WireProbe::new(transport, &probe.places, limits)? {
                Ok(wires) => probe.wires = Some(wires),
                Err(reason) => probe.notes.push(format!("the state of the wires is not measured in blocks: {reason}")),
            }
        }
        Ok(probe)
    }

    /// True if the state of the wires can be measured.
    pub fn has_wires(&self) -> bool {
        self.wires.is_some()
    }

    /// Measures the memory, and the wires if `wires`. The state is known on rank 0 and empty elsewhere. Collective; no other
    /// messages may be under way.
    ///
    /// # Errors
    /// [`TransportError`] if the transport fails.
    pub fn measure(&mut self, transport: &mut dyn Transport, wires: bool) -> Result<MachineState, TransportError> {
        let mut state = MachineState::default();
        if let Some(memory) = &mut self.memory {
            let own = memory.measure(transport, &self.places)?;
            if let Some(told) = gather_records(transport, &own)? {
                let of_nodes = |at: usize| told.iter().map(move |of| of[at]).filter(|rate| *rate > 0.0);
                let least = |at: usize| of_nodes(at).reduce(f64::min);
                (state.memory, state.reading) = (least(0), least(1));
            }
        }
        if let Some(passes) = self.wires.as_mut().filter(|_| wires) {
            let begun = Instant::now();
            state.wire = passes.measure(transport, &self.places)?;
            self.seconds_on_wires += begun.elapsed().as_secs_f64();
        }
        Ok(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::run_threads;
    use crate::roofline::figures::WireLimits;
    use crate::roofline::probe;

    #[test]
    fn parts_survive_the_journey() {
        for bits in 0..4 {
            assert_eq!(Parts::from_bits(bits).to_bits(), bits);
        }
        let mut parts = Parts::default();
        parts.add(Bottleneck::Reading);
        assert_eq!(parts, Parts { memory: true, wires: false });
    }

    /// A machine is about as fast as it was a moment ago.
    #[test]
    fn a_state_resembles_the_limits() {
        let states = run_threads(&[0, 1], |transport| {
            let limits = probe(transport).expect("threads");
            let parts = Parts { memory: true, wires: true };
            let mut probe = StateProbe::new(transport, &limits, parts).expect("threads");
            let state = probe.measure(transport, true).expect("threads");
            let without_wires = probe.measure(transport, false).expect("threads");
            (limits, state, without_wires, probe.notes)
        });
        let (limits, state, without_wires, notes) = &states[0];
        assert!(notes.is_empty(), "{notes:?}");
        let node = &limits.nodes[0];
        let wires = limits.wires.as_ref().and_then(WireLimits::one_stream_each);
        let then = [node.memory_bytes_per_s, node.read_bytes_per_s, wires].map(|rate| rate.expect("measured"));
        let now = [state.memory, state.reading, state.wire].map(|rate| rate.expect("measured"));
        // Other tests use the cores meanwhile.
        assert!(now.iter().zip(then).all(|(now, then)| (0.02..5.0).contains(&(now / then))), "{now:?} {then:?}");
        assert!(without_wires.wire.is_none() && without_wires.memory.is_some());
        assert_eq!(states[1].1, MachineState::default());
    }
}
