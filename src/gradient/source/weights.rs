//! The clients' weights: their origin and their validity.

use crate::gradient::SourceError;

/// The origin of the clients' weights.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Weights {
    /// The files' usual key; 1 for every client if no file has it, and for generated gradients.
    #[default]
    Stored,
    /// The same weight for all clients.
    All(f64),
    /// One weight for each client, in client order.
    Each(Vec<f64>),
    /// This key of the files, which every client must have.
    Key(String),
}

impl Weights {
    /// Returns the files' key for weights, if one was named.
    pub fn key(&self) -> Option<&str> {
        match self {
            Weights::Key(key) => Some(key),
            _ => None,
        }
    }

    /// Returns the weights of `clients` clients; None if they are in files or their number differs.
    pub fn of(&self, clients: u64) -> Option<Vec<f64>> {
        let all = |weight| Some(vec![weight; usize::try_from(clients).ok()?]);
        match self {
            Weights::Stored => all(1.0),
            Weights::All(weight) => all(*weight),
            Weights::Each(weights) => (weights.len() as u64 == clients).then(|| weights.clone()),
            Weights::Key(_) => None,
        }
    }
}

/// Returns `weights` if they are valid for `clients` clients: as many, each finite and above zero, and each and their
/// sum within the range of binary32, in which sums over f32, f16 and bf16 gradients are formed.
pub fn checked(weights: Vec<f64>, clients: usize) -> Result<Vec<f64>, SourceError> {
    let wrong = |problem: String| Err(SourceError::Request(format!("weights: {problem}")));
    if weights.len() != clients {
        return wrong(format!("{} given for {clients} clients; there must be one a client", weights.len()));
    }
    for (client, &weight) in weights.iter().enumerate() {
        if !(weight.is_finite() && weight > 0.0) {
            return wrong(format!("client {client} has weight {weight}; a weight must be finite and above zero"));
        }
        if !(f64::from(f32::MIN_POSITIVE)..=f64::from(f32::MAX)).contains(&weight) {
            return wrong(format!(
                "client {client} has weight {weight:e}, which binary32 cannot hold; scale the weights"
            ));
        }
    }
    let sum: f64 = weights.iter().sum();
    if sum > f64::from(f32::MAX) {
        return wrong(format!("their sum {sum:e} is more than binary32 can hold; scale the weights"));
    }
    Ok(weights)
}

/// Returns the weights of clients in files, chosen by `asked`. `found[k]` is the weight in the file of client k.
/// `missing(k)` makes the error for a client k without one.
pub(super) fn asked_or_found(
    asked: &Weights,
    found: &[Option<f64>],
    missing: impl Fn(usize) -> SourceError,
) -> Result<Vec<f64>, SourceError> {
    let weights = match asked {
        Weights::Each(weights) => weights.clone(),
        Weights::All(weight) => vec![*weight; found.len()],
        Weights::Stored if found.iter().all(Option::is_none) => vec![1.0; found.len()],
        Weights::Stored | Weights::Key(_) => {
            let weights = found.iter().enumerate().map(|(client, weight)| weight.ok_or_else(|| missing(client)));
            weights.collect::<Result<_, _>>()?
        }
    };
    checked(weights, found.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_weights_as_they_are() {
        assert_eq!(checked(vec![1.0, 0.5, 4000.0], 3).unwrap(), [1.0, 0.5, 4000.0]);
        assert_eq!(checked(vec![], 0).unwrap(), [0.0; 0]);
    }

    #[test]
    fn names_the_client_and_the_value() {
        for (weight, shown) in [(0.0, "0"), (-2.5, "-2.5"), (f64::NAN, "NaN"), (f64::INFINITY, "inf"), (1e-60, "1e-60")]
        {
            let message = checked(vec![1.0, weight], 2).unwrap_err().to_string();
            assert!(message.contains("client 1") && message.contains(shown), "{message}");
        }
        assert!(checked(vec![1.0], 2).unwrap_err().to_string().contains("1 given for 2 clients"));
        assert!(checked(vec![3e38, 3e38], 2).unwrap_err().to_string().contains("sum"));
    }

    #[test]
    fn all_one_only_where_none_is_found() {
        let missing = |client| SourceError::Request(format!("no weight for {client}"));
        assert_eq!(asked_or_found(&Weights::Stored, &[None, None], missing).unwrap(), [1.0, 1.0]);
        assert_eq!(asked_or_found(&Weights::Stored, &[Some(2.0), Some(3.0)], missing).unwrap(), [2.0, 3.0]);
        assert_eq!(asked_or_found(&Weights::Each(vec![5.0, 6.0]), &[Some(2.0), None], missing).unwrap(), [5.0, 6.0]);
        assert_eq!(asked_or_found(&Weights::All(3.0), &[Some(2.0), None], missing).unwrap(), [3.0, 3.0]);
        let key = Weights::Key("n".into());
        for (asked, found) in [(&Weights::Stored, [Some(2.0), None]), (&key, [Some(2.0), None])] {
            assert!(asked_or_found(asked, &found, missing).unwrap_err().to_string().contains("no weight for 1"));
        }
        // A key requested by name must be present.
        assert!(asked_or_found(&key, &[None, None], missing).unwrap_err().to_string().contains("no weight for 0"));
    }
}
