//! Carries out a plan: transports, flow, and the kernels that sum.

pub mod kernels;
