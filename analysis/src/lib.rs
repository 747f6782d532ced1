//! gradshard-report: result files of gradshard as one page that answers the question at a glance, with its pictures and
//! tables beside it. Needs no MPI.

pub mod arguments;
pub mod axis;
pub mod caveat;
pub mod compare;
pub mod figure;
pub mod number;
pub mod page;
pub mod picture;
pub mod plots;
pub mod png;
pub mod render;
pub mod report;
pub mod source;
pub mod style;
pub mod tables;
pub mod write;
