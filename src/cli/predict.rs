//! `gradshard predict`: the times of an experiment's cells on numbers of nodes that were not measured. Needs no MPI.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow};
use clap::Args;
use gradshard::cost::Sheet;
use gradshard::experiment::{Cell, Comparison, FlowChoice, Size};
use gradshard::job::Prepared;
use gradshard::plan::{Layout, Problem, Roles};
use gradshard::predict::simulate::MAYBE_BY_CLASSES;
use gradshard::predict::{
    Fabric, Forecast, Front, HeldOut, MachineModel, Observed, Subject, fit, forecast, held_out, trust,
};
use gradshard::results::ResultFile;
use gradshard::results::row::{CellRow, Status};
use serde_json::Value;

use super::cost::{OutputArgs, nodes, out};
use super::screen::TrustArgs;
use super::{Failure, TableFormat, input};

#[derive(Args)]
pub struct PredictArgs {
    /// The experiment whose cells are predicted, JSON
    experiment: PathBuf,
    /// Result file of jobs on this machine, with its limits. With several numbers of nodes (gradshard merge) the largest is
    /// predicted from the others, and the errors are printed
    #[arg(long, value_name = "RESULT")]
    from: PathBuf,
    /// Numbers of nodes to predict
    #[arg(long, value_name = "K,K", value_delimiter = ',', required = true, value_parser = clap::value_parser!(u64).range(1..=65536))]
    nodes: Vec<u64>,
    /// Ranks on each node [default: as in the result file]
    #[arg(long, value_name = "RANKS", value_parser = clap::value_parser!(u64).range(1..=1024))]
    ranks_per_node: Option<u64>,
    /// Racks whose links to others are narrower than their nodes' together: {"nodes_per_rack": 16, "taper": 4}, or a list of
    /// levels from the racks outwards, each perhaps with "latency_us" [default: every node reaches every other at full speed]
    #[arg(long, value_name = "JSON")]
    fabric: Option<String>,
    /// The same for the jobs of the result file
    #[arg(long, value_name = "JSON")]
    measured_fabric: Option<String>,
    /// Bandwidth of a node's network card a second, such as 12500MiB, instead of the measured one
    #[arg(long, value_name = "SIZE")]
    wire: Option<Size>,
    /// Price a round on this platform of nodes, JSON, such as configs/platforms/cluster-c5.json
    #[arg(long, value_name = "FILE")]
    platform: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    trust: TrustArgs,
}

/// A cell on a number of nodes with its forecast, or the reason why there is none.
struct Line {
    nodes: u64,
    comparison: Comparison,
    cell: Cell,
    forecast: Result<Forecast, String>,
}

/// Predicts the experiment's cells and prints the tables.
pub fn predict(args: &PredictArgs) -> Result<(), Failure> {
    let fabric = described("--fabric", args.fabric.as_deref())?;
    let measured_fabric = described("--measured-fabric", args.measured_fabric.as_deref())?;
    let platform = args.platform.as_deref().map(|file| nodes(Some(file))).transpose()?;
    let file = args.trust.open(&args.from).map_err(input)?;
    let observed = observed(&file, &args.from)?;
    let counts: Vec<u64> = observed.iter().map(|one| one.nodes).collect::<BTreeSet<u64>>().into_iter().collect();
    let Some((largest, smaller)) = counts.split_last() else {
        let said = "holds no measured cell of gradshard's own strategies, so that nothing can be compared";
        return Err(input(anyhow!("{}: {said}", args.from.display())));
    };
    let machine_on = |nodes: &[u64]| {
        let of_file = MachineModel::of_file(&file, nodes).with_context(|| args.from.display().to_string());
        let on_these: Vec<&Observed> = observed.iter().filter(|one| nodes.contains(&one.nodes)).collect();
        Ok::<_, Failure>(fit(&of_file.map_err(input)?, &measured_fabric, &on_these))
    };
    let left_out = !smaller.is_empty();
    let known = machine_on(if left_out { smaller } else { counts.as_slice() })?;
    let found = held_out(&known, &measured_fabric, observed.iter().filter(|one| one.nodes == *largest));
    let machine = machine_on(&counts)?;
    let machine = args.wire.map_or(machine.clone(), |Size(bytes)| machine.with_card(bytes as f64));
    let ranks = args.ranks_per_node.or_else(|| file.jobs.last().map(|job| job.ranks / job.nodes.max(1)));
    let mut lines = Vec::new();
    for &nodes in &args.nodes {
        lines.extend(lines_on(&args.experiment, nodes, ranks.unwrap_or(1).max(1), (&machine, &fabric), &found)?);
    }
    let mut forecasts = forecast_sheet(&lines, &machine);
    if let Some(nodes) = platform {
        let priced = |line: &Line, seconds: fn(&Forecast) -> f64| {
            line.forecast.as_ref().ok().map(|forecast| nodes.usd(line.nodes, seconds(forecast)).times(1000))
        };
        forecasts.column("usd_per_1000_rounds", &lines, |line| priced(line, |forecast| forecast.seconds));
        forecasts.column("usd_low", &lines, |line| priced(line, |forecast| forecast.low));
        forecasts.column("usd_high", &lines, |line| priced(line, |forecast| forecast.high));
        forecasts.note(format!(
            "usd: all nodes for 1,000 rounds at {} a node-hour ({})",
            nodes.prices.node_hour_usd.value, nodes.name
        ));
    }
    let sheets = [held_out_sheet(&found, left_out.then_some(smaller), *largest), forecasts, map_sheet(&lines)];
    match (&args.output.format, &args.output.table) {
        (TableFormat::Csv, None) => out(&sheets[1..2], &args.output),
        _ => out(&sheets, &args.output),
    }
}

/// The fabric that an option describes.
fn described(option: &str, text: Option<&str>) -> Result<Fabric, Failure> {
    let fabric = text.map_or(Ok(Fabric::default()), Fabric::parse);
    fabric.map_err(|error| input(anyhow!("{option}: {error}")))
}

/// The nodes of ranks in equal runs.
fn places(nodes: u64, ranks_on_node: u64) -> Vec<usize> {
    (0..nodes * ranks_on_node).map(|rank| (rank / ranks_on_node) as usize).collect()
}

fn subject(prepared: &Prepared, comparison: &Comparison, cell: &Cell, node_of: &[usize]) -> Result<Subject, String> {
    let layout = prepared.layout(comparison, node_of)?;
    let strategy = prepared.strategy(&cell.strategy).map_err(|error| error.to_string())?;
    let problem = in_equal_shards(prepared.unweighted(comparison, cell), &layout);
    let terms = prepared.terms(comparison, cell, strategy, layout.nodes());
    let plan = strategy.plan(&problem, &layout).map_err(|infeasible| infeasible.to_string());
    Ok(Subject { strategy: cell.strategy.clone(), form: cell.form, plan, problem, layout: Arc::clone(&layout), terms })
}

/// The problem with a gradient that equal shards make up, if it is large and grows by less than a thousandth: ranks with equal
/// shards do alike, and one is simulated for many.
fn in_equal_shards(problem: Arc<Problem>, layout: &Layout) -> Arc<Problem> {
    let parts = problem.shards.min(layout.aggregator_ranks().len() as u64);
    let elements = problem.elements.next_multiple_of(parts);
    let is_close = elements - problem.elements <= problem.elements / 1000;
    if parts * layout.ranks() as u64 >= MAYBE_BY_CLASSES && is_close {
        Arc::new(Problem { elements, ..Problem::clone(&problem) })
    } else {
        problem
    }
}

/// The measured cells of a file whose plans are known.
fn observed(file: &ResultFile, path: &Path) -> Result<Vec<Observed>, Failure> {
    let mut observed = Vec::new();
    for job in &file.jobs {
        let ranks_on_node = (job.ranks / job.nodes.max(1)).max(1);
        let node_of = places(job.nodes, ranks_on_node);
        let prepared = Prepared::understand(&file.experiment_json, path, &node_of).map_err(input)?;
        let rows = file.cells.iter().filter(|row| row.job == job.job && row.status == Status::Ok);
        for (row, seconds) in rows.filter_map(|row| Some((row, row.median_s?))) {
            let comparisons = &prepared.experiment.comparisons;
            let Some(comparison) = comparisons.iter().find(|other| other.index == row.comparison) else { continue };
            let Some(cell) = comparison.cells.iter().find(|cell| is_of(row, cell)) else { continue };
            let node_of = places(row.nodes, ranks_on_node);
            let subject = subject(&prepared, comparison, cell, &node_of).map_err(|error| input(anyhow!(error)))?;
            let is_own = subject.plan.as_ref().is_ok_and(|plan| plan.calls().is_empty());
            if is_own {
                observed.push(Observed { subject, nodes: row.nodes, seconds });
            }
        }
    }
    Ok(observed)
}

/// True if the row has this cell of its comparison.
fn is_of(row: &CellRow, cell: &Cell) -> bool {
    let form = cell.form;
    let flow = match cell.flow {
        FlowChoice::Auto => row.flow.starts_with("auto"),
        written => row.flow == written.to_string(),
    };
    let form = (row.radix, row.across, row.closing) == (form.radix, form.across, form.closing)
        && (row.algorithm, row.component) == (form.algorithm, form.component);
    let terms = (row.order, row.ready, row.caches) == (cell.order, cell.ready, cell.caches);
    let ceiling = row.ceiling_bytes == cell.ceiling.map(|bytes| bytes as f64);
    row.strategy == cell.strategy && row.shards == cell.shards && form && flow && terms && ceiling
}

/// The forecasts of the experiment's cells on a number of nodes.
fn lines_on(
    path: &Path,
    nodes: u64,
    ranks_on_node: u64,
    (machine, fabric): (&MachineModel, &Fabric),
    found: &[HeldOut],
) -> Result<Vec<Line>, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| input(anyhow!("{}: {error}", path.display())))?;
    let node_of = places(nodes, ranks_on_node);
    let prepared = Prepared::understand(&without_nodes(&text), path, &node_of).map_err(input)?;
    let mut lines = Vec::new();
    for comparison in &prepared.experiment.comparisons {
        for cell in &comparison.cells {
            let forecast = subject(&prepared, comparison, cell, &node_of).and_then(|subject| {
                let trust = trust(found, subject.kind());
                forecast(&subject, (machine, fabric), trust).map_err(|error| error.to_string())
            });
            lines.push(Line { nodes, comparison: comparison.clone(), cell: cell.clone(), forecast });
        }
    }
    Ok(lines)
}

/// The experiment on all nodes. What is no JSON object stays as it is, to be refused where experiments are read.
fn without_nodes(text: &str) -> String {
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(mut fields)) if fields.contains_key("nodes") => {
            fields.shift_remove("nodes");
            Value::Object(fields).to_string()
        }
        _ => text.to_owned(),
    }
}

fn percent(error: f64) -> String {
    format!("{:+.1} %", error * 100.0)
}

fn held_out_sheet(found: &[HeldOut], smaller: Option<&[u64]>, largest: u64) -> Sheet {
    let list = |nodes: &[u64]| nodes.iter().map(u64::to_string).collect::<Vec<_>>().join(" and ");
    let title = match smaller {
        Some(smaller) => format!("{largest} nodes predicted from {}", list(smaller)),
        None => format!("{largest} nodes, compared with themselves: only one number of nodes was measured"),
    };
    let mut sheet = Sheet::new("held-out", title);
    sheet.column("strategy", found, |held| format!("{}{}", held.strategy, held.form));
    sheet.column("end", found, |held| held.end.to_string());
    sheet.column("measured s", found, |held| held.measured);
    sheet.column("predicted s", found, |held| held.predicted);
    sheet.column("error", found, |held| percent(held.error()));
    sheet.column("above 10 %", found, |held| held.error().abs() > 0.1);
    let mut errors: Vec<f64> = found.iter().map(|held| held.error().abs()).collect();
    errors.sort_by(f64::total_cmp);
    if let (Some(median), Some(worst)) = (errors.get(errors.len() / 2), errors.last()) {
        sheet.note(format!("median error {:.1} %, worst {:.1} %", median * 100.0, worst * 100.0));
    }
    sheet
}

fn forecast_sheet(lines: &[Line], machine: &MachineModel) -> Sheet {
    let mut sheet = Sheet::new("forecast", format!("predicted from measurements on up to {} nodes", machine.nodes));
    let figure = |line: &Line, of: fn(&Forecast) -> f64| line.forecast.as_ref().ok().map(of);
    sheet.column("nodes", lines, |line| line.nodes);
    sheet.column("model", lines, |line| line.comparison.model.clone());
    sheet.column("N", lines, |line| line.comparison.clients);
    sheet.column("roles", lines, |line| match line.comparison.roles {
        Roles::Colocated => None,
        dedicated => Some(dedicated.to_string()),
    });
    sheet.column("end", lines, |line| line.comparison.end.to_string());
    sheet.column("strategy", lines, |line| format!("{}{}", line.cell.strategy, line.cell.form));
    sheet.column("M", lines, |line| line.cell.shards);
    sheet.column("flow", lines, |line| line.cell.flow.to_string());
    sheet.column("seconds", lines, |line| figure(line, |forecast| forecast.seconds));
    sheet.column("low", lines, |line| figure(line, |forecast| forecast.low));
    sheet.column("high", lines, |line| figure(line, |forecast| forecast.high));
    sheet.column("missed by", lines, |line| {
        line.forecast.as_ref().ok().and_then(|forecast| forecast.trust).map(|trust| trust.error.exp_m1())
    });
    sheet.column("remark", lines, |line| match &line.forecast {
        Err(reason) => format!("not predicted: {reason}"),
        Ok(forecast) => remarks(forecast),
    });
    sheet.note(
        "low to high: from the machine's fastest to its slowest figures, wider by what such predictions missed by, once for \
         each doubling of the nodes beyond the measured ones; no interval of a confidence level",
    );
    sheet
}

/// The problem of a row of the map: its cells with their forecasts, as far as there are any.
struct Place<'l> {
    line: &'l Line,
    known: Vec<(&'l Cell, &'l Forecast)>,
    front: Option<Front>,
}

impl<'l> Place<'l> {
    /// `lines` has at least one.
    fn of(lines: Vec<&'l Line>) -> Place<'l> {
        let known = lines.iter().filter_map(|line| Some((&line.cell, line.forecast.as_ref().ok()?)));
        let known: Vec<(&'l Cell, &'l Forecast)> = known.collect();
        let front = Front::of(&known.iter().map(|(_, forecast)| *forecast).collect::<Vec<_>>());
        Place { line: lines[0], known, front }
    }
}

/// For each number of nodes, gradient and end the strategy that is ahead, or those that are too close to tell.
fn map_sheet(lines: &[Line]) -> Sheet {
    let mut problems: BTreeMap<(u64, u64), Vec<&Line>> = BTreeMap::new();
    for line in lines {
        problems.entry((line.comparison.index, line.nodes)).or_default().push(line);
    }
    let places: Vec<Place<'_>> = problems.into_values().map(Place::of).collect();
    let name = |place: &Place<'_>, at: usize| {
        let Cell { strategy, form, flow, shards, .. } = place.known[at].0;
        let differ = |cells: &dyn Fn(&Cell) -> bool| place.known.iter().any(|(cell, _)| cells(cell));
        let flow = if differ(&|cell| cell.flow != *flow) { format!(", {flow}") } else { String::new() };
        let same = |cell: &Cell| (&cell.strategy, cell.form) == (strategy, *form) && cell.shards != *shards;
        let shards = if differ(&same) { format!(", M = {shards}") } else { String::new() };
        format!("{strategy}{form}{flow}{shards}")
    };
    let seconds = |place: &Place<'_>, at: usize| place.known[at].1.seconds;
    let mut sheet = Sheet::new("map", "which strategy is ahead; too close where intervals overlap");
    sheet.column("end", &places, |place| place.line.comparison.end.to_string());
    sheet.column("model", &places, |place| place.line.comparison.model.clone());
    sheet.column("MiB", &places, |place| {
        let comparison = &place.line.comparison;
        comparison.elements as f64 * comparison.dtype.size() as f64 / (1 << 20) as f64
    });
    sheet.column("N", &places, |place| place.line.comparison.clients);
    sheet.column("nodes", &places, |place| place.line.nodes);
    sheet.column("ahead", &places, |place| match &place.front {
        None => "nothing predicted".to_owned(),
        Some(front) if front.close.is_empty() => name(place, front.first),
        Some(_) => "too close".to_owned(),
    });
    sheet.column("seconds", &places, |place| place.front.as_ref().map(|front| seconds(place, front.first)));
    sheet.column("too close to tell", &places, |place| {
        let front = place.front.as_ref().filter(|front| !front.close.is_empty())?;
        let all = [front.first].iter().chain(&front.close).map(|at| name(place, *at)).collect::<Vec<_>>();
        Some(all.join("; "))
    });
    sheet.column("next is slower by", &places, |place| {
        let front = place.front.as_ref()?;
        Some(seconds(place, front.behind?) / seconds(place, front.first))
    });
    sheet.column("extrapolation", &places, |place| {
        place.known.first().is_some_and(|(_, forecast)| forecast.is_extrapolation())
    });
    sheet.note("next is slower by: so many times; the fastest whose interval does not overlap. Calls of the MPI library are not among them");
    sheet
}

fn remarks(forecast: &Forecast) -> String {
    let mut remarks = Vec::new();
    if forecast.stands_for > 1 {
        remarks.push(format!("one rank simulated for {}", forecast.stands_for));
    }
    if forecast.is_extrapolation() {
        remarks.push(format!("extrapolation to {:.0} times the measured nodes", forecast.times_measured));
    }
    match forecast.trust {
        None => remarks.push("never compared".to_owned()),
        Some(trust) if !trust.of_its_kind => remarks.push("missed by: the worst of all, as none is alike".to_owned()),
        Some(_) => {}
    }
    if forecast.is_doubtful() {
        remarks.push("doubtful: above 10 %".to_owned());
    }
    remarks.join("; ")
}
