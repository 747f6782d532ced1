//! Forms: the choices by which one strategy yields different plans for the same problem.

use std::fmt;

use crate::plan::algorithm::Algorithm;
use crate::plan::shape::{Binomial, Circulant, Digits, Ring, Shape, Star, TwoTrees};
use crate::plan::words::words;
use crate::plan::{End, LibraryName};

words! {
    /// The way in which sums or finished ranges travel between ranks or nodes.
    pub enum Way {
        #[default]
        /// Straight from everyone to the owner.
        Direct,
        /// From each to the next: a ring, or with one owner a chain.
        Ring,
        /// In ⌈log₂P⌉ rounds on a circulant graph.
        Circulant,
        /// In rounds by the digits of the distance, in the number system of `radix`.
        Radix,
        /// Along a binomial tree.
        Binomial,
        /// Half along one binary tree and half along another.
        TwoTree,
    }
}

impl Way {
    /// The tree along which a part travels. `radix` is at least 2.
    pub fn shape(self, radix: u64) -> Box<dyn Shape> {
        match self {
            Way::Direct => Box::new(Star),
            Way::Ring => Box::new(Ring),
            Way::Circulant => Box::new(Circulant),
            Way::Radix => Box::new(Digits(usize::try_from(radix).unwrap_or(usize::MAX))),
            Way::Binomial => Box::new(Binomial),
            Way::TwoTree => Box::new(TwoTrees),
        }
    }

    /// Parts of which each needs a tree of its own.
    pub fn trees(self) -> u64 {
        if self == Way::TwoTree { 2 } else { 1 }
    }
}

words! {
    /// The way in which finished ranges reach the ranks that want them.
    pub enum Closing {
        #[default]
        /// To the clients along the way of the sums, backwards; to the root straight.
        Back,
        /// Straight from the rank that has finished the range.
        Direct,
        /// From each to the next: allgather by a ring, or from one root a chain.
        Ring,
        /// In ⌈log₂P⌉ rounds on a circulant graph (allgather of Bruck and Träff).
        Circulant,
        /// Along a binomial tree: to the clients a broadcast, to the root a gather.
        Binomial,
        /// Half of each range along one binary tree and half along another.
        TwoTree,
        /// A piece of the range to each, which then go around a ring (broadcast of long messages; van de Geijn).
        ScatterAllgather,
    }
}

impl Closing {
    /// The way that it takes to the clients; None for those that take none of the ways of sums.
    pub fn way(self) -> Option<Way> {
        match self {
            Closing::Back | Closing::ScatterAllgather => None,
            Closing::Direct => Some(Way::Direct),
            Closing::Ring => Some(Way::Ring),
            Closing::Circulant => Some(Way::Circulant),
            Closing::Binomial => Some(Way::Binomial),
            Closing::TwoTree => Some(Way::TwoTree),
        }
    }

    /// True if it can reach this end. Where it cannot, it makes no cells.
    pub fn reaches(self, end: End) -> bool {
        match end {
            End::Scattered => self == Closing::Back,
            End::Root => matches!(self, Closing::Back | Closing::Direct | Closing::Binomial),
            End::Everywhere => true,
        }
    }
}

/// The choices that a strategy has beside the problem. A strategy heeds those that its knobs name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Form {
    /// Base of the number system in which distances are written, at least 2.
    pub radix: u64,
    /// The way of sums between nodes.
    pub across: Way,
    /// The way of finished ranges.
    pub closing: Closing,
    /// The algorithm of the MPI library's reducing call.
    pub algorithm: Algorithm,
    /// The component of the MPI library that its calls prefer.
    pub component: LibraryName,
}

/// Lists of choices, which together span forms. An empty list leaves the usual choice.
#[derive(Clone, Copy, Debug)]
pub struct Choices<'a> {
    /// Bases of the number system.
    pub radix: &'a [u64],
    /// Ways of sums between nodes.
    pub across: &'a [Way],
    /// Ways of finished ranges.
    pub closing: &'a [Closing],
    /// Algorithms of the MPI library.
    pub algorithm: &'a [Algorithm],
    /// Components of the MPI library, which the default algorithm goes with: a named one is of a component of its own.
    pub component: &'a [LibraryName],
}

impl Default for Choices<'_> {
    fn default() -> Self {
        Choices { radix: &[LEAST_RADIX], across: &[], closing: &[], algorithm: &[], component: &[] }
    }
}

/// The radix of PAT, with the fewest rounds.
pub const LEAST_RADIX: u64 = 2;

impl Default for Form {
    fn default() -> Self {
        let (across, closing, algorithm, component) = Default::default();
        Form { radix: LEAST_RADIX, across, closing, algorithm, component }
    }
}

/// The choices that differ from the defaults, each after a comma: `, radix 4, closing ring`.
impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let default = Form::default();
        if self.across != default.across {
            write!(f, ", across {}", self.across)?;
        }
        if self.radix != default.radix {
            write!(f, ", radix {}", self.radix)?;
        }
        if self.closing != default.closing {
            write!(f, ", closing {}", self.closing)?;
        }
        if self.algorithm != default.algorithm {
            write!(f, ", algorithm {}", self.algorithm)?;
        }
        if self.component != default.component {
            write!(f, ", component {}", self.component)?;
        }
        Ok(())
    }
}
