//! Two result files side by side: their answers, and the median of every cell that both have.
//!
//! The rounds of two jobs share no blocks, so that a ratio of their medians has no interval here and no claim is made from
//! it: a slow machine is not told from a slow program. `gradshard-report --baseline` tests that.

use std::collections::BTreeMap;

use super::answer::answer;
use super::number::{TimeUnit, about, about_mebibytes, gigabytes};
use super::page::{Align, Grid, Page, printable};
use super::view::View;
use crate::results::ResultFile;
use crate::results::row::CellRow;
use crate::stats::summarise;

/// A file and its name on the page.
pub type NamedFile<'f> = (&'f str, &'f ResultFile);

/// The problem, layout and end of a cell: what its comparison is about.
fn place(cell: &CellRow) -> String {
    let CellRow { model, elements, dtype, clients, ranks, nodes, roles, end, residency, .. } = cell;
    let nodes = if *nodes == 1 { "1 node".to_owned() } else { format!("{nodes} nodes") };
    format!(
        "{} ({elements} {dtype}), N {clients}, {ranks} ranks on {nodes}, {roles}, {residency}, end {end}",
        printable(model)
    )
}

/// The strategy of a cell with its settings.
fn settings(cell: &CellRow) -> [String; 4] {
    let ceiling =
        cell.ceiling_bytes.map_or(String::new(), |bytes| format!("ceiling {}", about_mebibytes(bytes as u64)));
    let CellRow { intra_node, order, ready, caches, .. } = cell;
    // The length of chunks follows from the problem, which is the same.
    let flow = if cell.flow.starts_with("auto") { "auto".to_owned() } else { printable(&cell.flow) };
    [
        printable(&cell.formed()),
        cell.shards.to_string(),
        flow,
        format!("{intra_node} {order} {ready} {caches} {ceiling}"),
    ]
}

/// The page, `width` columns wide: the answers of both files, a table for each comparison that both have, and the cells that
/// only one of them has.
pub fn side_by_side(files: [NamedFile<'_>; 2], width: usize) -> String {
    let mut page = Page::new(width);
    let views = files.map(|(_, file)| View::of(file));
    for ((name, file), view) in files.iter().zip(&views) {
        page.paragraph(&format!("{name}: {}", speed(file)), 2);
        answer(&mut page, view);
        page.gap();
    }
    let mut places: BTreeMap<String, [Vec<&CellRow>; 2]> = BTreeMap::new();
    for (side, view) in views.iter().enumerate() {
        view.file().cells.iter().for_each(|cell| places.entry(place(cell)).or_default()[side].push(cell));
    }
    let mut lone = [0, 0];
    for (title, [first, second]) in &mut places {
        first.sort_by(|one, other| seconds(one).total_cmp(&seconds(other)).then(one.cell.cmp(&other.cell)));
        let pairs: Vec<(&CellRow, &CellRow)> = first
            .iter()
            .filter_map(|one| Some((*one, *second.iter().find(|other| settings(other) == settings(one))?)))
            .collect();
        lone[0] += first.len() - pairs.len();
        lone[1] += second.len() - pairs.len().min(second.len());
        if !pairs.is_empty() {
            page.paragraph(title, 2);
            page.grid(&table(&pairs));
            page.gap();
        }
    }
    for ((name, _), lone) in files.iter().zip(lone).filter(|(_, lone)| *lone > 0) {
        page.paragraph(&format!("cells that only {name} has: {lone}"), 2);
    }
    let text = "A: the first file; B: the second. Ratios of two jobs have no interval here, as they share no blocks; \
                gradshard-report B --baseline A tests what changed, and heeds the speed of the machine.";
    page.paragraph(text, 0);
    page.into_text()
}

/// The median bandwidth of memory in a file's blocks, by which two machines are told apart.
fn speed(file: &ResultFile) -> String {
    let bandwidths: Vec<f64> = file.blocks.iter().filter_map(|block| block.memory_bytes_per_s).collect();
    let machine =
        summarise(&bandwidths).map_or("not measured".to_owned(), |of| format!("{} GB/s", gigabytes(of.median)));
    format!("begun {}, bandwidth of memory {machine}", file.created)
}

fn seconds(cell: &CellRow) -> f64 {
    cell.timed().unwrap_or(f64::INFINITY)
}

fn table(pairs: &[(&CellRow, &CellRow)]) -> Grid {
    let names = ["M", "flow", "A", "B", "B/A", "own A", "own B"];
    let columns = [("  strategy", Align::Left)].into_iter().chain(names.map(|name| (name, Align::Right)));
    let mut grid = Grid::new(columns.collect());
    let time = |cell: &CellRow| match cell.timed() {
        Some(seconds) => format!("{} {}", TimeUnit::of(seconds).show(seconds), TimeUnit::of(seconds).name),
        None => cell.status.to_string(),
    };
    for (one, other) in pairs {
        let ratio = one.timed().zip(other.timed()).map_or("-".to_owned(), |(one, other)| about(other / one));
        let [strategy, shards, flow, _] = settings(one);
        let memory = [one, other].map(|cell| about_mebibytes(cell.aggregating_bytes));
        let mut row = vec![format!("  {strategy}"), shards, flow, time(one), time(other), ratio];
        row.extend(memory);
        grid.push(row);
    }
    grid
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::row::Status;
    use crate::results::show::page::WIDTH;
    use crate::results::show::samples;

    #[test]
    fn cells_are_matched_by_what_they_are() {
        let one = samples::file();
        let mut other = samples::file();
        // Another order and other numbers; one cell is of another size, and one was not measured.
        other.cells.reverse();
        (other.cells[3].median_s, other.cells[3].cell) = (Some(0.02469), 7);
        other.cells[1].elements = 5;
        other.cells[2].status = Status::Failed;
        let page = side_by_side([("a.h5", &one), ("b.h5", &other)], WIDTH);
        let row = |strategy: &str| {
            let line = page
                .lines()
                .find(|line| line.starts_with(&format!("  {strategy} ")))
                .unwrap_or_else(|| panic!("{page}"));
            line.split_whitespace().map(str::to_owned).collect::<Vec<String>>().join(" ")
        };
        // 24.69 / 12.345 is 2.
        assert_eq!(row("sharded-direct"), "sharded-direct 4 1MiB 12.35 ms 24.69 ms 2.00 1.50 1.50");
        assert_eq!(row("tree-lambda-fl"), "tree-lambda-fl 1 1MiB 950.0 ms failed - 0 0");
        assert!(!page.contains("\n  native-reduce-scatter-block"), "{page}");
        assert!(page.contains("cells that only a.h5 has: 1\ncells that only b.h5 has: 1"), "{page}");
        assert!(
            page.contains("odd (1000003 f32), N 20, 4 ranks on 2 nodes, colocated, resident, end everywhere\n"),
            "{page}"
        );
        assert!(page.lines().all(|line| line.chars().count() <= WIDTH), "{page}");
    }
}
