//! Least squares of relative errors, with parameters that must not be negative.

use nalgebra::{DMatrix, DVector};

/// Number of steps after which the fit stops even if it has not converged.
const MOST_STEPS: usize = 100;
/// Relative change of every parameter below which the fit has converged.
const SETTLED: f64 = 1e-10;
/// Singular values below this share of the largest count as 0.
const SINGULAR: f64 = 1e-12;

/// Returns the x ≥ 0 that minimises Σ (ln aᵢ·x − ln yᵢ)². Each of `rows` is (aᵢ, yᵢ) with yᵢ > 0. The logarithms make
/// errors relative, so that a second and a minute count alike. The method is Gauss-Newton, starting from the fit of
/// (aᵢ·x − yᵢ) / yᵢ; every step is a non-negative least-squares problem. It is meant for at most ten parameters.
pub fn fit_relative(rows: &[(Vec<f64>, f64)]) -> Vec<f64> {
    let parameters = rows.first().map_or(0, |(row, _)| row.len());
    let weighted = |weights: &[f64], targets: &[f64]| {
        let matrix = DMatrix::from_fn(rows.len(), parameters, |i, j| rows[i].0[j] * weights[i]);
        not_negative(&matrix, &DVector::from_column_slice(targets))
    };
    let inverse: Vec<f64> = rows.iter().map(|(_, y)| 1.0 / y).collect();
    let mut x = weighted(&inverse, &vec![1.0; rows.len()]);
    for _ in 0..MOST_STEPS {
        let predicted: Vec<f64> = rows.iter().map(|(row, _)| dot(row, &x).max(f64::MIN_POSITIVE)).collect();
        let weights: Vec<f64> = predicted.iter().map(|p| 1.0 / p).collect();
        let targets: Vec<f64> = rows.iter().zip(&predicted).map(|((_, y), p)| 1.0 + (y / p).ln()).collect();
        let next = weighted(&weights, &targets);
        let settled = x.iter().zip(&next).all(|(a, b)| (a - b).abs() <= SETTLED * a.abs().max(b.abs()));
        x = next;
        if settled {
            break;
        }
    }
    x
}

/// Returns the dot product of `a` and `b`.
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Returns the x ≥ 0 that minimises |a x − b|². The solution equals the unconstrained solution for its positive
/// parameters alone. So the function solves every subset of the parameters without the constraint and takes the best
/// solution without a negative value. With few parameters there are few subsets.
fn not_negative(a: &DMatrix<f64>, b: &DVector<f64>) -> Vec<f64> {
    let parameters = a.ncols();
    let mut best = (b.norm_squared(), vec![0.0; parameters]);
    for set in 1_u32..1 << parameters {
        let columns: Vec<usize> = (0..parameters).filter(|column| set & (1 << column) != 0).collect();
        let svd = a.select_columns(&columns).svd(true, true);
        let largest = svd.singular_values.iter().copied().fold(0.0, f64::max);
        let Ok(solution) = svd.solve(b, largest * SINGULAR) else { continue };
        if solution.iter().any(|value| *value < 0.0) {
            continue;
        }
        let mut x = vec![0.0; parameters];
        columns.iter().zip(solution.iter()).for_each(|(column, value)| x[*column] = *value);
        let left = (a * DVector::from_column_slice(&x) - b).norm_squared();
        if left < best.0 {
            best = (left, x);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_rows_give_their_parameters_back() {
        let truth = [0.3, 2.0];
        let rows: Vec<(Vec<f64>, f64)> = [(1.0, 0.1), (1.0, 5.0), (2.0, 400.0), (3.0, 0.0)]
            .map(|(a, b)| (vec![a, b], a * truth[0] + b * truth[1]))
            .to_vec();
        let found = fit_relative(&rows);
        assert!(found.iter().zip(truth).all(|(f, t)| (f / t - 1.0).abs() < 1e-9), "{found:?}");
    }

    /// With one parameter, the least Σ (ln x − ln yᵢ)² is at the geometric mean, √(2 · 8) = 4.
    #[test]
    fn errors_are_relative() {
        let found = fit_relative(&[(vec![1.0], 2.0), (vec![1.0], 8.0)]);
        assert!((found[0] - 4.0).abs() < 1e-8, "{found:?}");
    }

    /// y falls with the second column, so its parameter would be negative. It is 0, and the first is the geometric
    /// mean.
    #[test]
    fn no_parameter_is_negative() {
        let found = fit_relative(&[(vec![1.0, 0.0], 8.0), (vec![1.0, 1.0], 2.0)]);
        assert!((found[0] - 4.0).abs() < 1e-8 && found[1] == 0.0, "{found:?}");
    }
}
