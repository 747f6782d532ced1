//! Describes where a rank runs: hardware, binding, memory limits, and software and settings that affect measurements.
//! Independent of MPI: each rank describes itself, and the caller gathers.

#[allow(unsafe_code)]
pub mod binding;
pub mod build_facts;
pub mod cgroup;
pub mod command_line;
pub mod core_sharing;
pub mod cpu_quota;
pub mod describe;
pub mod environment;
pub mod index_set;
pub mod interfaces;
pub mod launcher;
#[allow(unsafe_code)]
pub mod load;
pub mod memory;
pub mod parameter_files;
pub mod placement;
pub mod rack;
pub mod rank;
pub mod spread;
pub mod topology;
#[allow(unsafe_code)]
pub mod usage;

pub use core_sharing::cores_shared;
pub use describe::describe;
pub use interfaces::Carried;
pub use load::{Load, core_mhz};
pub use placement::{Placement, placement};
pub use rank::RankMachine;
pub use spread::Spread;
pub use usage::Usage;
