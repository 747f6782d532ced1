//! The option `--trust`, and the check of files from elsewhere without it.

use std::path::Path;

use clap::Args;
use gradshard::job::{Request, output_path};
use gradshard::results::ResultFile;
use gradshard::screening::{ScreeningError, Unchecked, read_results, screen};

/// The choice to read files without a check.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct TrustArgs {
    /// Read HDF5 files at once, and not in a process of their own first. A damaged file can then crash gradshard
    #[arg(long)]
    pub trust: bool,
}

impl TrustArgs {
    /// Checks result files.
    ///
    /// # Errors
    /// The first file that cannot be read.
    pub fn screen<'p>(self, files: impl IntoIterator<Item = &'p Path>) -> Result<(), ScreeningError> {
        if self.trust {
            return Ok(());
        }
        files.into_iter().try_for_each(|file| screen(Unchecked::Results(file)))
    }

    /// Checks a result file and reads it.
    ///
    /// # Errors
    /// The file is damaged, or [`ResultFile::open`] refuses it.
    pub fn open(self, path: &Path) -> anyhow::Result<ResultFile> {
        Ok(if self.trust { ResultFile::open(path)? } else { read_results(path)? })
    }

    /// Checks the files of gradients that a run reads, and the result file that it continues.
    ///
    /// # Errors
    /// The first file that cannot be read. The message names the experiment.
    pub fn screen_run(self, request: &Request) -> Result<(), String> {
        if self.trust {
            return Ok(());
        }
        if let Some(experiment) = &request.experiment {
            screen(Unchecked::Gradients(experiment))
                .map_err(|error| format!("{}: gradients: {error}", experiment.display()))?;
        }
        if !request.resume {
            return Ok(());
        }
        // If the experiment is not valid, the job says so.
        let Ok(output) = output_path(request) else { return Ok(()) };
        screen(Unchecked::Results(&output)).map_err(|error| error.to_string())
    }
}
