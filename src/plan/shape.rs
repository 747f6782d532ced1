//! Shapes: the trees along which a part of the gradient travels between the positions of a circle. Sums go along a shape
//! towards its owner; a closing goes along one in the other direction.

/// The positions between which one part travels, in a circle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Circle {
    /// The position where sums end and from where finished ranges leave.
    pub owner: usize,
    /// Positions, at least 1.
    pub positions: usize,
}

impl Circle {
    /// Steps from the owner up to a position, around the circle.
    pub fn after_owner(&self, position: usize) -> usize {
        (position + self.positions - self.owner) % self.positions
    }

    /// Steps from a position up to the owner, around the circle.
    pub fn before_owner(&self, position: usize) -> usize {
        (self.owner + self.positions - position) % self.positions
    }

    /// The position so many steps after the owner.
    pub fn position_after(&self, steps: usize) -> usize {
        (self.owner + steps) % self.positions
    }
}

/// The tree along which a part is summed.
pub trait Shape: Send + Sync {
    /// The position that takes the sum of `position`, which is not the owner's, and the round in which it does, from 1.
    /// The round must be later than those in which `position` receives.
    fn parent(&self, circle: &Circle, part: u64, position: usize) -> (usize, u32);

    /// True if a rank sends one message a round; see [`Plan::in_rounds`](crate::plan::Plan::in_rounds).
    fn in_rounds(&self) -> bool {
        false
    }
}

impl Shape for Box<dyn Shape> {
    fn parent(&self, circle: &Circle, part: u64, position: usize) -> (usize, u32) {
        self.as_ref().parent(circle, part, position)
    }

    fn in_rounds(&self) -> bool {
        self.as_ref().in_rounds()
    }
}

/// Every position sends to the owner.
pub struct Star;

impl Shape for Star {
    fn parent(&self, circle: &Circle, _part: u64, _position: usize) -> (usize, u32) {
        (circle.owner, 1)
    }
}

/// Every position sends to the next one (Patarasuk and Yuan, Bandwidth optimal all-reduce algorithms, 2009).
pub struct Ring;

impl Shape for Ring {
    fn parent(&self, circle: &Circle, _part: u64, position: usize) -> (usize, u32) {
        ((position + 1) % circle.positions, circle.after_owner(position) as u32)
    }
}

/// Distances to the owner lose the skip of their round (Träff, Optimal, non-pipelined reduce-scatter and allreduce
/// algorithms, arXiv:2410.14234). Skips are s₀ = P and sₖ = ⌈sₖ₋₁ / 2⌉ down to 1. In round k a rank sends the partial sums of
/// the owners at distances sₖ to sₖ₋₁ − 1 to the rank at distance sₖ.
pub struct Circulant;

impl Shape for Circulant {
    fn parent(&self, circle: &Circle, _part: u64, position: usize) -> (usize, u32) {
        let distance = circle.before_owner(position);
        let (mut skip, mut round) = (circle.positions.div_ceil(2), 1);
        while distance < skip {
            skip = skip.div_ceil(2);
            round += 1;
        }
        ((position + skip) % circle.positions, round)
    }

    fn in_rounds(&self) -> bool {
        true
    }
}

/// Distances to the owner lose their lowest digit that is not zero, in a number system of this radix, at least 2. Radix
/// 2: PAT (Jeaugey, PAT: a new algorithm for all-gather and reduce-scatter operations at scale, arXiv:2506.20252).
pub struct Digits(pub usize);

impl Shape for Digits {
    fn parent(&self, circle: &Circle, _part: u64, position: usize) -> (usize, u32) {
        let distance = circle.before_owner(position);
        let (mut place, mut round) = (1, 1);
        while (distance / place).is_multiple_of(self.0) {
            place *= self.0;
            round += 1;
        }
        let digit = distance / place % self.0;
        ((position + digit * place) % circle.positions, round)
    }

    fn in_rounds(&self) -> bool {
        true
    }
}

/// Numbers from the owner on lose their lowest set bit: the binomial tree.
pub struct Binomial;

impl Shape for Binomial {
    fn parent(&self, circle: &Circle, _part: u64, position: usize) -> (usize, u32) {
        let number = circle.after_owner(position);
        (circle.position_after(number & (number - 1)), number.trailing_zeros() + 1)
    }
}

/// Even parts go along one binary tree, odd parts along another, in which inner positions are leaves (Sanders, Speck and
/// Träff, Two-tree algorithms for full bandwidth broadcast, reduction and scan, 2009; NCCL's double binary tree). Both end at
/// the owner; the other positions have numbers 0 to n − 1. The depth is ⌈log₂P⌉ + 1.
pub struct TwoTrees;

/// The number that takes the sum of `number` > 0 of `n` in the first tree, whose root is number 0.
fn first_tree(number: usize, n: usize) -> usize {
    let bit = number & number.wrapping_neg();
    let cleared = number ^ bit;
    let parent = cleared | (bit << 1);
    if parent < n { parent } else { cleared }
}

/// The number in the second tree whose place `number` has in the first: the first tree mirrored, or where that would leave
/// inner ranks inner, shifted by one. Inverse with `backwards`.
fn in_second_tree(number: usize, n: usize, backwards: bool) -> usize {
    match (n.is_multiple_of(2), backwards) {
        (true, _) => n - 1 - number,
        (false, false) => (number + n - 1) % n,
        (false, true) => (number + 1) % n,
    }
}

impl Shape for TwoTrees {
    fn parent(&self, circle: &Circle, part: u64, position: usize) -> (usize, u32) {
        let (n, first) = (circle.positions - 1, part.is_multiple_of(2));
        let number = circle.after_owner(position) - 1;
        let own = if first { number } else { in_second_tree(number, n, false) };
        if own == 0 {
            return (circle.owner, usize::BITS - (n - 1).leading_zeros() + 1);
        }
        let parent = first_tree(own, n);
        let parent = if first { parent } else { in_second_tree(parent, n, true) };
        (circle.position_after(parent + 1), own.trailing_zeros() + 1)
    }
}
