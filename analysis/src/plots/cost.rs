//! Draws the cost of rounds on serverless functions against model size, with the sizes from which sharding is cheaper.

use std::collections::BTreeMap;

use gradshard::cost::crossover::{Crossing, Quantity, Question};
use gradshard::cost::platform::aws_lambda_s3;
use gradshard::cost::workload::MIB;
use gradshard::cost::{Asked, Calibration, Case, CostError, Functions, Measurements, calibrate, estimate};
use gradshard::gradient::Dtype;
use gradshard::plan::strategies::find;
use gradshard::results::distinct::distinct;
use gradshard::results::row::CellRow;

use super::Context;
use crate::axis::{Axis, Unit};
use crate::caveat::Caveat;
use crate::figure::Figure;
use crate::number::{ascending, bytes, percent};
use crate::picture::{Picture, Sign};
use crate::style::{LIMIT, Style, of_strategy};

/// Number of points of a curve per doubling of the size.
const A_DOUBLING: f64 = 3.0;
/// Number of rounds that a price is for.
const ROUNDS: f64 = 1000.0;
/// Range of gradient sizes in bytes in which crossings are searched, as in `gradshard cost crossover`.
const CROSSINGS: (f64, f64) = (0.0625 * MIB, 16384.0 * MIB);
/// Largest number of clients for which crossings are searched, as each search makes thousands of plans.
const CLIENTS: u64 = 200;

/// A platform and its calibration, from which prices are calculated.
pub struct Prices {
    platform: Functions,
    calibration: Calibration,
}

impl Prices {
    /// Prices of AWS Lambda with S3, calibrated on Barrak 2026, as in `gradshard cost`.
    ///
    /// # Errors
    /// The committed files are not valid.
    pub fn new() -> anyhow::Result<Prices> {
        let platform = aws_lambda_s3()?;
        let calibration = calibrate(&Measurements::barrak_2026()?, &platform)?;
        Ok(Prices { platform, calibration })
    }

    /// Dollars for [`ROUNDS`] rounds with the clients' own requests, for a gradient of `size` bytes. None if a
    /// function's limits do not allow it.
    fn of(&self, case: &Case, size: f64) -> Result<Option<f64>, CostError> {
        let elements = ((size / case.dtype.size() as f64).round() as u64).max(1);
        let found = estimate(&Case { elements, ..case.clone() }.workload()?, &self.platform, &Asked::default());
        Ok(found.infeasible.is_none().then(|| found.usd().to_f64() * ROUNDS))
    }
}

/// The curve of one or several strategies with the same prices.
struct Curve {
    /// The strategies, which cost the same at every size.
    names: Vec<&'static str>,
    case: Case,
    style: Style,
    points: Vec<(f64, f64)>,
}

impl Curve {
    fn is_sharded(&self) -> bool {
        self.names.iter().any(|name| name.starts_with("sharded-"))
    }

    fn name(&self) -> String {
        let shards = if self.is_sharded() { format!(", M = {}", self.case.shards) } else { String::new() };
        format!("{}{shards}", self.names.join(" = "))
    }
}

/// Draws expected dollars against model size for the strategies and shard counts of `cells`, which share N and the
/// element type. Each strategy has the M that costs least at the largest model. None if no strategy has a price, as the
/// MPI library's have none.
///
/// # Errors
/// A case cannot be priced.
pub fn cost(cells: &[&CellRow], prices: &Prices, context: &Context) -> anyhow::Result<Option<Figure>> {
    let Some(first) = cells.first() else { return Ok(None) };
    let dtype = first.dtype;
    let mut models = ascending(cells.iter().map(|cell| cell.gradient_bytes() as f64));
    let (least, largest) = (models[0].clamp(MIB / 16.0, MIB), models[models.len() - 1].max(4096.0 * MIB));
    let steps = ((largest / least).log2() * A_DOUBLING).ceil();
    let between = (0..=steps as u32).map(|s| least * (largest / least).powf(f64::from(s) / steps));
    models.retain(|model| *model >= least);
    let sizes = ascending(between.chain(models.iter().copied()));
    let curves = curves(cells, dtype, prices, &models, &sizes)?;
    let all = || curves.iter().flat_map(|curve| &curve.points);
    let Some(x) = Axis::bytes("gradient size |θ|", all().map(|point| point.0)) else { return Ok(None) };
    let Some(y) = Axis::log("dollars for 1,000 rounds", all().map(|point| point.1), Unit::Dollars) else {
        return Ok(None);
    };
    let mut picture = Picture::new(x, y);
    for curve in &curves {
        picture.begin(curve.names[0], String::new());
        picture.line(curve.points.clone(), curve.style.colour, 1.8, false);
        picture.explain(Sign::Mark(curve.style), &curve.name());
        for point in curve.points.iter().filter(|point| models.contains(&point.0)) {
            let price = Unit::Dollars.text(point.1);
            picture.begin(curve.names[0], format!("{}, {}: {price}", curve.name(), bytes(point.0)));
            picture.dot(*point, curve.style, false);
        }
    }
    picture.begin("", String::new());
    let crossings = crossings(&curves, prices, &mut picture)?;
    let limit = prices.platform.memory.limit_mib.value;
    let caption = format!(
        "Expected dollars on {}, N = {}, whole objects, clients' own requests included. Each strategy has the \
         file's M above 1 that costs least at the largest model. Marks: the file's models. Lines end at a \
         function's limit of {limit} MiB or of time. {crossings}Prices by `gradshard cost`.",
        prices.platform.name, first.clients,
    );
    let caveats = vec![Caveat::Calculation { left_out: percent(prices.calibration.price_error()) }];
    Ok(Some(context.figure("cost-over-size", "Cost on functions against model size", picture, caption, caveats)))
}

fn curves(
    cells: &[&CellRow],
    dtype: Dtype,
    prices: &Prices,
    models: &[f64],
    sizes: &[f64],
) -> anyhow::Result<Vec<Curve>> {
    let mut shards: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for (strategy, m) in distinct(cells.iter().map(|cell| (cell.strategy.as_str(), cell.shards))) {
        shards.entry(strategy).or_default().push(m);
    }
    let mut curves: Vec<Curve> = Vec::new();
    for (name, mut shards) in shards {
        let Some(strategy) = find(name) else { continue };
        // With one shard the strategy is a single server, so larger M are preferred.
        if shards.iter().any(|m| *m > 1) {
            shards.retain(|m| *m > 1);
        }
        let mut best: Option<(bool, f64, Case)> = None;
        for m in shards {
            let case = Case { dtype, ..Case::new(strategy, 1, cells[0].clients, m) };
            let at = models.last().copied().unwrap_or(MIB);
            let price = match prices.of(&case, at) {
                Err(CostError::Collective { .. } | CostError::Infeasible(_)) => continue,
                price => price?,
            };
            // If no M is feasible, the largest one is nearest to it.
            let rank = (price.is_none(), price.unwrap_or(-(m as f64)));
            if best.as_ref().is_none_or(|held| rank < (held.0, held.1)) {
                best = Some((rank.0, rank.1, case));
            }
        }
        let Some((_, _, case)) = best else { continue };
        let mut points = Vec::new();
        for size in sizes {
            if let Some(price) = prices.of(&case, *size)? {
                points.push((*size, price));
            }
        }
        match curves.iter_mut().find(|curve| curve.points == points) {
            Some(same) => same.names.push(strategy.name()),
            None if points.is_empty() => {}
            None => curves.push(Curve { names: vec![strategy.name()], case, style: of_strategy(name), points }),
        }
    }
    Ok(curves)
}

/// Draws the sizes from which the sharded strategy that costs least at the largest size is cheaper than each tree.
/// Returns a text about them.
fn crossings(curves: &[Curve], prices: &Prices, picture: &mut Picture) -> anyhow::Result<String> {
    let last = |curve: &Curve| curve.points.last().map_or((0.0, f64::INFINITY), |point| (-point.0, point.1));
    let sharded = curves.iter().filter(|curve| curve.is_sharded());
    let Some(sharded) = sharded.min_by(|a, b| last(a).partial_cmp(&last(b)).unwrap_or(std::cmp::Ordering::Equal))
    else {
        return Ok(String::new());
    };
    if sharded.case.clients > CLIENTS {
        return Ok(format!("Crossings are not looked for with more than {CLIENTS} clients. "));
    }
    let mut said = Vec::new();
    for tree in curves.iter().filter(|curve| !curve.is_sharded()) {
        let question = Question {
            sharded: sharded.case.clone(),
            tree: tree.case.clone(),
            quantity: Quantity::CostWithClients,
            sizes: CROSSINGS,
        };
        let found = question.answer(&prices.platform, &prices.calibration, 1.0)?;
        let name = tree.names.join(" = ");
        said.push(match found.crossing {
            Crossing::From(from) => {
                if let Some(price) = prices.of(&tree.case, from)? {
                    picture.whisker((found.fit.0, price), (found.fit.1, price), LIMIT);
                    picture.dot((from, price), Style { colour: LIMIT, ..tree.style }, true);
                    picture
                        .explain(Sign::Hollow(Style { colour: LIMIT, ..tree.style }), "sharding begins to be cheaper");
                }
                format!("than {name} from {} [{}, {}]", bytes(from), bytes(found.fit.0), bytes(found.fit.1))
            }
            Crossing::Always => format!("than {name} at every size"),
            Crossing::Never => format!("than {name} at no size"),
        });
    }
    Ok(if said.is_empty() {
        String::new()
    } else {
        format!("{} costs less {} (95 % intervals of the fit). ", sharded.name(), said.join(", "))
    })
}
