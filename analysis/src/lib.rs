//! gradshard-report: makes an HTML page from result files of gradshard, which answers whether to shard or to build a
//! tree, and writes its pictures and tables as files. Needs no MPI.

pub mod anchor;
pub mod anonymous;
pub mod arguments;
pub mod axis;
pub mod caveat;
pub mod compare;
pub mod figure;
pub mod functions_table;
pub mod html_table;
pub mod matrix;
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
