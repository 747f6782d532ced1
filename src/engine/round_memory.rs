//! The memory of a round on one rank: how much of it others read, and the location of each task in it.

use std::sync::atomic::Ordering;

use crate::engine::entry::{Entry, Located};
use crate::engine::ledger::{Entered, Ledger, Purpose};
use crate::engine::sum_input::SumMemory;
use crate::engine::task_board::TaskBoard;
use crate::engine::{Buffer, EngineError};
use crate::gradient::Element;
use crate::plan::lowering::{Hold, Lowering, SumTask};

/// Alignment of the finished ranges in a window, bytes.
const ALIGNMENT: u64 = 128;

/// Starts of a rank's sums and finished ranges.
#[derive(Clone, Copy)]
pub struct Areas<E> {
    shared_sums: *mut u8,
    private_sums: *mut u8,
    result: *mut E,
}

/// The memory that a round allocates during preparation.
pub struct Stock {
    pub buffers: Vec<Buffer>,
    pub ledger: Ledger,
    entered: Vec<Entered>,
}

impl Stock {
    pub fn new(ledger: Ledger) -> Self {
        Stock { buffers: Vec::new(), ledger, entered: Vec::new() }
    }

    pub fn take(&mut self, bytes: u64, purpose: Purpose) -> Result<*mut u8, EngineError> {
        let buffer = Buffer::entered(bytes as usize, &self.ledger, purpose)?;
        let start = buffer.as_ptr();
        self.buffers.push(buffer);
        Ok(start)
    }
}

impl<E: Element> Areas<E> {
    /// Allocates memory for sums and finished ranges: in the window if other ranks read them, otherwise in private
    /// buffers.
    pub fn allocate(lowering: &Lowering, board: &mut TaskBoard, stock: &mut Stock) -> Result<Self, EngineError> {
        let result_bytes = lowering.result_elements * size_of::<E>() as u64;
        let entries = lowering.tasks * size_of::<Entry>();
        let private_sums = stock.take(lowering.private_hold_bytes, Purpose::Accumulators)?;
        let Some(window) = &board.window else {
            let buffer = Buffer::zeroed(entries)?;
            board.entries = buffer.as_ptr();
            stock.buffers.push(buffer);
            let result = stock.take(result_bytes, Purpose::Result)?.cast();
            return Ok(Areas { shared_sums: std::ptr::null_mut(), private_sums, result });
        };
        board.entries = window.own().wrapping_add(board.of_clients[board.rank]);
        let shared_sums = board.entries.wrapping_add(entries);
        stock.entered.push(stock.ledger.enter(Purpose::Accumulators, lowering.shared_hold_bytes));
        let result = if lowering.shares_result {
            stock.entered.push(stock.ledger.enter(Purpose::Result, result_bytes));
            shared_sums.wrapping_add(lowering.shared_hold_bytes.next_multiple_of(ALIGNMENT) as usize).cast()
        } else {
            stock.take(result_bytes, Purpose::Result)?.cast()
        };
        Ok(Areas { shared_sums, private_sums, result })
    }

    /// Records the location of each task, on the board and for the other ranks of the node.
    pub fn place(self, lowering: &Lowering, board: &mut TaskBoard) {
        let nowhere = Located { entry: TaskBoard::entry(board.entries, 0), base: std::ptr::null() };
        board.own = vec![nowhere; lowering.tasks];
        let sums = lowering.sums.iter().map(|task| {
            let base: *const u8 = match task.hold {
                Hold::Result => self.result.wrapping_add(task.result_at as usize).cast_const().cast(),
                _ if task.exported => self.shared_sums.wrapping_add(task.hold_at as usize).cast_const(),
                _ => self.private_sums.wrapping_add(task.hold_at as usize).cast_const(),
            };
            (task.number, base)
        });
        let copies = lowering.copies.iter();
        let copies =
            copies.map(|copy| (copy.number, self.result.wrapping_add(copy.result_at as usize).cast_const().cast()));
        for (number, base) in sums.chain(copies) {
            let entry = TaskBoard::entry(board.entries, number);
            if board.window.is_some() {
                // SAFETY: the rank's own entry, in memory with room for all of its tasks. Offsets of private memory are
                // never read.
                unsafe {
                    (*entry)
                        .offset
                        .store((base.addr() as u64).wrapping_sub(board.entries.addr() as u64), Ordering::Release)
                };
            }
            board.own[number] = Located { entry: entry.cast_const(), base };
        }
    }

    /// Takes the memory of one sum.
    pub fn of_sum(self, task: &SumTask, board: &TaskBoard, stock: &mut Stock) -> Result<SumMemory<E>, EngineError> {
        let located = board.own[task.number];
        Ok(SumMemory {
            out: self.result.wrapping_add(task.result_at as usize),
            hold: located.base.cast_mut().cast(),
            scratch: stock.take(task.scratch * size_of::<E::Acc>() as u64, Purpose::Accumulators)?.cast(),
            slots: stock.take(task.slots * task.slot_bytes, Purpose::Staging)?,
            located,
        })
    }
}

/// Returns the sums and finished ranges that a rank shares with its node: the start and the length in bytes. None if it shares
/// none.
pub fn shared_ranges<E: Element>(lowering: &Lowering, board: &TaskBoard) -> Option<(*mut u8, usize)> {
    let entries = lowering.tasks * size_of::<Entry>();
    board.window.as_ref()?;
    Some((board.entries.wrapping_add(entries), window_bytes::<E>(lowering) - entries))
}

/// Returns the size of the memory that a rank shares with its node, bytes: entries, and sums and finished ranges that
/// others read.
pub fn window_bytes<E: Element>(lowering: &Lowering) -> usize {
    let sums = lowering.shared_hold_bytes.next_multiple_of(ALIGNMENT) as usize;
    let result = if lowering.shares_result { lowering.result_elements as usize * size_of::<E>() } else { 0 };
    lowering.tasks * size_of::<Entry>() + sums + result
}
