//! `tree-kary`: a complete tree over ranks, four children each.

use std::sync::Arc;

use super::tree_over_ranks::over_ranks;
use super::{Family, Knobs, Strategy};
use crate::plan::{Infeasible, Layout, Plan, Problem};

/// Children of a rank.
const CHILDREN: usize = 4;

/// The complete tree in which rank r sends to ⌊(r − 1) / 4⌋.
pub struct TreeKary;

impl Strategy for TreeKary {
    fn name(&self) -> &'static str {
        "tree-kary"
    }
    fn family(&self) -> Family {
        Family::Tree
    }
    fn about(&self) -> &'static str {
        "a complete tree over ranks, four children each"
    }
    fn knobs(&self) -> Knobs {
        Knobs::TREE
    }
    fn plan(&self, problem: &Arc<Problem>, layout: &Arc<Layout>) -> Result<Box<dyn Plan>, Infeasible> {
        Ok(Box::new(over_ranks(problem, layout, |seat| (seat - 1) / CHILDREN)))
    }
}
