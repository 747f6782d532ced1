//! A plan as a drawing: clients at the left, aggregators by level to their right, a box a node, lines as thick as what
//! they carry. Where there are hundreds of something it is drawn in groups, and the groups say how many they are.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use super::{PlanPicture, flow_name, grouped};
use crate::plan::{Input, Kind, Step, parts};

/// Things of one kind that are drawn one by one; more are drawn by rank, and more ranks by node.
const MOST_SINGLE: u64 = 48;
/// Boxes; of more nodes neighbouring ones share a box.
const MOST_BOXES: usize = 24;
/// Inputs that are looked at; beyond, drawing would take minutes.
const MOST_INPUTS: u64 = 4_000_000;

/// Pixels.
const COLUMN: f64 = 210.0;
const ROW: f64 = 24.0;
const LEFT: f64 = 96.0;
const TOP: f64 = 86.0;

/// A place in the drawing: the box, the column (0 for clients), and within it whatever is not drawn together.
type Dot = (usize, u32, u64);

/// The box that is drawn at a place.
#[derive(Clone, Debug, Default)]
struct Item {
    first: u64,
    last: u64,
    count: u64,
    /// Elements of its steps together.
    elements: u64,
    output: &'static str,
}

/// Bytes between two places, whether any of them leave a node, and whether all stay on a rank.
#[derive(Clone, Copy, Debug, Default)]
struct Edge {
    bytes: u64,
    between_nodes: bool,
    between_ranks: bool,
}

#[derive(Debug, Default)]
struct Drawing {
    items: BTreeMap<Dot, Item>,
    edges: BTreeMap<(Dot, Dot), Edge>,
}

/// How finely a kind of thing is drawn.
#[derive(Clone, Copy)]
enum Grain {
    Single,
    Rank,
    Box,
}

impl Grain {
    fn of(count: u64, ranks: u64) -> Grain {
        match (count, ranks) {
            (..=MOST_SINGLE, _) => Grain::Single,
            (_, ..=MOST_SINGLE) => Grain::Rank,
            _ => Grain::Box,
        }
    }

    fn index(self, number: u64, rank: usize) -> u64 {
        match self {
            Grain::Single => number,
            Grain::Rank => rank as u64,
            Grain::Box => 0,
        }
    }
}

impl PlanPicture<'_> {
    /// As SVG, light and dark. Refused, with the number of inputs, where it would take minutes.
    pub fn svg(&self, out: &mut impl Write) -> Result<(), String> {
        if self.edges() > MOST_INPUTS {
            return Err(format!("more than {MOST_INPUTS} inputs are not drawn: fewer clients or shards"));
        }
        let drawing = self.drawing();
        write_svg(self, &drawing, out).map_err(|error| error.to_string())
    }

    /// The box of a node: its own, or one that neighbouring nodes share.
    fn box_of(&self, rank: usize) -> usize {
        let nodes = self.layout.nodes();
        self.layout.node_of(rank) / nodes.div_ceil(MOST_BOXES)
    }

    fn drawing(&self) -> Drawing {
        let (plan, layout, clients) = (self.plan, self.layout, self.problem.clients());
        let mut of_level: BTreeMap<u32, (u64, std::collections::BTreeSet<usize>)> = BTreeMap::new();
        for step in parts(plan).flat_map(|(_, steps)| steps) {
            let level = of_level.entry(step.level).or_default();
            level.0 += 1;
            level.1.insert(step.rank);
        }
        let grains: BTreeMap<u32, Grain> =
            of_level.iter().map(|(level, (count, ranks))| (*level, Grain::of(*count, ranks.len() as u64))).collect();
        let of_clients = Grain::of(clients, layout.client_ranks().len() as u64);
        let mut drawing = Drawing::default();
        let home = |client: u64| layout.rank_of_client(client, clients);
        let client_at = |client: u64| {
            let rank = home(client);
            (self.box_of(rank), 0, of_clients.index(client, rank))
        };
        for client in 0..clients {
            drawing.add(client_at(client), client, 0, "");
        }
        let step_at = |number: u64, step: &Step| {
            let grain = grains.get(&step.level).copied().unwrap_or(Grain::Box);
            (self.box_of(step.rank), step.level, grain.index(number, step.rank))
        };
        for (first, steps) in parts(plan) {
            for (number, step) in (first..).zip(&steps) {
                let (to, elements) = (step_at(number, step), step.range.len());
                drawing.add(to, number, elements, step.word());
                for input in &step.inputs {
                    let (from, rank, wide) = match input {
                        Input::Client(client) => (client_at(*client), home(*client), false),
                        Input::Step(place) => {
                            let source = &steps[*place];
                            (step_at(first + *place as u64, source), source.rank, step.kind != Kind::Copy)
                        }
                    };
                    let size = if wide { self.terms.dtype.accumulator_size() } else { self.terms.dtype.size() };
                    drawing.join(
                        (from, rank),
                        (to, step.rank),
                        elements * size as u64,
                        layout.same_node(rank, step.rank),
                    );
                }
            }
        }
        drawing
    }
}

impl Drawing {
    fn add(&mut self, at: Dot, number: u64, elements: u64, output: &'static str) {
        let item = self.items.entry(at).or_insert(Item { first: number, output, ..Item::default() });
        item.last = number;
        item.count += 1;
        item.elements += elements;
        if item.output != output {
            item.output = "mixed";
        }
    }

    fn join(&mut self, (from, one): (Dot, usize), (to, other): (Dot, usize), bytes: u64, same_node: bool) {
        let edge = self.edges.entry((from, to)).or_default();
        edge.bytes += bytes;
        edge.between_nodes |= !same_node;
        edge.between_ranks |= one != other;
    }
}

fn mebibytes(bytes: u64) -> String {
    let mib = bytes as f64 / f64::from(1 << 20);
    if mib >= 10.0 {
        format!("{mib:.0} MiB")
    } else if mib >= 0.1 {
        format!("{mib:.2} MiB")
    } else {
        format!("{} B", grouped(bytes))
    }
}

const STYLE: &str = "text{font:12px sans-serif;fill:#1c2126}.small{font-size:10.5px;fill:#5a636b;paint-order:stroke;stroke:#fff;stroke-width:3px}.title{font-size:15px;\
    font-weight:bold}.ground{fill:#fff}.box{fill:#f3f5f7;stroke:#c6ccd2}.client{fill:#0072b2}.partial{fill:#c77700}\
    .result{fill:#2b9e8f}.copy{fill:#6a7f10}.library{fill:#5e1a8a}.rank{stroke:#b9c0c7}.node{stroke:#5a636b}.wire{stroke:#c23b0a}\
    .edge{fill:none;stroke-opacity:.6}.bad{fill:#b8261a}@media (prefers-color-scheme:dark){text{fill:#e6e9ec}\
    .small{fill:#a3acb4;stroke:#16191c}.ground{fill:#16191c}.box{fill:#20252a;stroke:#444c54}.client{fill:#4fb3f0}.partial{fill:#f5b041}\
    .result{fill:#7fe0cf}.copy{fill:#b5cf45}.library{fill:#c98bf5}.rank{stroke:#4b535b}.node{stroke:#a3acb4}.wire{stroke:#ff8a65}.bad{fill:#ff8a75}}";

fn write_svg(picture: &PlanPicture<'_>, drawing: &Drawing, out: &mut impl Write) -> fmt::Result {
    let columns = drawing.items.keys().map(|(_, column, _)| *column).max().unwrap_or(0);
    let wide = (LEFT + COLUMN * f64::from(columns + 1) + 10.0).max(620.0);
    // Each box is as high as its fullest column.
    let mut heights: BTreeMap<usize, BTreeMap<u32, u64>> = BTreeMap::new();
    for (at, column, _) in drawing.items.keys() {
        *heights.entry(*at).or_default().entry(*column).or_default() += 1;
    }
    let mut tops: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
    let mut top = TOP;
    for (at, of_columns) in &heights {
        let rows = of_columns.values().copied().max().unwrap_or(1) as f64;
        let height = rows * ROW + 16.0;
        tops.insert(*at, (top, height));
        top += height + 12.0;
    }
    let mut places: BTreeMap<Dot, (f64, f64)> = BTreeMap::new();
    let mut filled: BTreeMap<(usize, u32), u64> = BTreeMap::new();
    for place in drawing.items.keys() {
        let (at, column, _) = *place;
        let (begin, height) = tops.get(&at).copied().unwrap_or((TOP, 0.0));
        let rows = heights.get(&at).and_then(|of| of.get(&column)).copied().unwrap_or(1) as f64;
        let row = filled.entry((at, column)).or_default();
        // Columns with fewer things spread over the box's height.
        let y = begin + (height / rows) * (*row as f64 + 0.5);
        *row += 1;
        places.insert(*place, (LEFT + COLUMN * f64::from(column) + 14.0, y));
    }
    let high = top + 40.0;
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{wide:.0}\" height=\"{high:.0}\" viewBox=\"0 0 {wide:.0} {high:.0}\" role=\"img\" \
         aria-label=\"plan of {}\">\n<style>{STYLE}</style>\n<rect class=\"ground\" width=\"100%\" height=\"100%\"/>",
        picture.strategy
    )?;
    write_head(picture, columns, out)?;
    for (at, (begin, height)) in &tops {
        let width = wide - 20.0;
        writeln!(
            out,
            "<rect class=\"box\" x=\"10\" y=\"{begin:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"6\"/>"
        )?;
        writeln!(out, "<text x=\"18\" y=\"{:.1}\">{}</text>", begin + 18.0, box_name(picture, *at))?;
    }
    let most = drawing.edges.values().map(|edge| edge.bytes).max().unwrap_or(0);
    for ((from, to), edge) in &drawing.edges {
        let (Some(a), Some(b)) = (places.get(from), places.get(to)) else { continue };
        let class = match (edge.between_nodes, edge.between_ranks) {
            (true, _) => "wire",
            (_, true) => "node",
            _ => "rank",
        };
        let width = 0.5 + 4.5 * (edge.bytes as f64 / most.max(1) as f64).sqrt();
        let (x0, x1) = (a.0 + 6.0, b.0 - 6.0);
        let bend = (x1 - x0) / 2.0;
        writeln!(
            out,
            "<path class=\"edge {class}\" stroke-width=\"{width:.2}\" d=\"M{x0:.1},{:.1}C{:.1},{:.1} {:.1},{:.1} {x1:.1},{:.1}\"><title>{}</title></path>",
            a.1,
            x0 + bend,
            a.1,
            x1 - bend,
            b.1,
            b.1,
            mebibytes(edge.bytes)
        )?;
    }
    for (place, item) in &drawing.items {
        if let Some((x, y)) = places.get(place) {
            write_item(picture, place.1, item, (*x, *y), out)?;
        }
    }
    writeln!(
        out,
        "<text class=\"small\" x=\"12\" y=\"{:.1}\">Lines: bytes of a round, thickest {}; orange between nodes, dark between ranks of a node, light \
         inside a rank.</text>\n</svg>",
        high - 14.0,
        mebibytes(most)
    )
}

fn write_head(picture: &PlanPicture<'_>, columns: u32, out: &mut impl Write) -> fmt::Result {
    let (problem, layout) = (picture.problem, picture.layout);
    writeln!(
        out,
        "<text class=\"title\" x=\"12\" y=\"24\">{}: N = {}, M = {}, |θ| = {}</text>\n<text class=\"small\" x=\"12\" y=\"42\">{} elements {}, \
         flow {}, {} ranks on {} nodes, {}</text>",
        picture.strategy,
        grouped(problem.clients()),
        grouped(problem.shards),
        mebibytes(problem.elements * picture.terms.dtype.size() as u64),
        grouped(problem.elements),
        picture.terms.dtype,
        flow_name(&picture.terms),
        layout.ranks(),
        layout.nodes(),
        layout.roles(),
    )?;
    if picture.checked.is_err() {
        writeln!(out, "<text class=\"bad\" x=\"12\" y=\"58\">NOT SOUND: see --format text</text>")?;
    }
    for column in 0..=columns {
        let x = LEFT + COLUMN * f64::from(column) + 4.0;
        let name = if column == 0 { "clients".to_owned() } else { format!("level {column}") };
        writeln!(out, "<text class=\"small\" x=\"{x:.1}\" y=\"76\">{name}</text>")?;
    }
    Ok(())
}

fn box_name(picture: &PlanPicture<'_>, at: usize) -> String {
    let nodes = picture.layout.nodes();
    let each = nodes.div_ceil(MOST_BOXES);
    let (first, last) = (at * each, ((at + 1) * each).min(nodes) - 1);
    if first == last { format!("node {first}") } else { format!("nodes {first}–{last}") }
}

fn write_item(
    picture: &PlanPicture<'_>,
    column: u32,
    item: &Item,
    (x, y): (f64, f64),
    out: &mut impl Write,
) -> fmt::Result {
    let size = mebibytes(item.elements * picture.terms.dtype.size() as u64);
    let (class, label) = match (column, item.count) {
        (0, 1) => ("client", item.first.to_string()),
        (0, count) => ("client", format!("{}–{} ({})", item.first, item.last, grouped(count))),
        (_, 1) => (class_of(item.output), format!("{} {}: {size}", item.output, item.first)),
        (_, count) => (class_of(item.output), format!("{} × {}: {size}", grouped(count), item.output)),
    };
    if column == 0 {
        writeln!(out, "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"6\"/>")?;
    } else {
        writeln!(
            out,
            "<rect class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"12\" height=\"12\" rx=\"2\"/>",
            x - 6.0,
            y - 6.0
        )?;
    }
    // Clients' names stand before them, where no line passes.
    let (at, anchor) = if column == 0 { (x - 10.0, "end") } else { (x + 10.0, "start") };
    writeln!(out, "<text class=\"small\" x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{label}</text>", y + 4.0)
}

fn class_of(word: &'static str) -> &'static str {
    if word == "mixed" { "partial" } else { word }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::plan::{Layout, Problem, Roles, Terms, check, strategies};

    fn drawn(strategy: &str, clients: u64, shards: u64, ranks: usize, nodes: usize) -> String {
        let layout = Arc::new(Layout::even(ranks, nodes, Roles::Colocated).expect("a layout"));
        let problem = Arc::new(Problem::unweighted(1 << 20, clients, shards));
        let plan = strategies::find(strategy).expect("known").plan(&problem, &layout).expect("feasible");
        let terms = Terms::default();
        let checked = check(plan.as_ref(), &problem, &layout);
        let picture = PlanPicture { strategy, plan: plan.as_ref(), problem: &problem, layout: &layout, terms, checked };
        let mut text = String::new();
        picture.svg(&mut text).expect("drawn");
        text
    }

    /// 20 clients and 4 aggregators of 1 MiB in all, each taking a quarter of each client: 80 lines of 0.25 MiB, all as
    /// thick; of the four ranks on two nodes each aggregator has half the clients on its own node.
    #[test]
    fn every_client_aggregator_and_line_of_a_small_plan_is_there() {
        let svg = drawn("sharded-direct", 20, 4, 4, 2);
        let count = |what: &str| svg.matches(what).count();
        assert_eq!((count("<circle"), count("class=\"result\""), count("class=\"box\"")), (20, 4, 2));
        assert_eq!((count("class=\"edge"), count("edge wire")), (80, 40));
        assert_eq!((count("stroke-width=\"5.00\""), count("<title>1.00 MiB</title>")), (80, 80));
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
    }

    #[test]
    fn hundreds_are_drawn_in_groups_and_stay_small() {
        for strategy in ["sharded-direct", "tree-lambda-fl", "sharded-node-aware", "native-reduce-scatter"] {
            let svg = drawn(strategy, 1000, 200, 200, 50);
            assert!(svg.len() < 300_000, "{strategy}: {} bytes", svg.len());
            assert!(svg.matches("class=\"box\"").count() <= MOST_BOXES, "{strategy}");
        }
        assert!(drawn("sharded-direct", 1000, 200, 200, 50).contains("nodes 0–2"));
    }

    /// Draws, for each rank, its local sum and its part in the call.
    #[test]
    fn calls_of_the_library_are_drawn_by_rank() {
        let svg = drawn("native-reduce-scatter", 8, 4, 4, 2);
        assert_eq!((svg.matches("class=\"partial\"").count(), svg.matches("class=\"library\"").count()), (4, 4));
    }
}
