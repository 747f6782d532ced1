//! The launcher of this process (mpirun, mpiexec or srun), read from the environment variables that it sets.

/// The launcher of this process and its own count of processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaunchedProcess {
    /// Name of the launcher, for messages.
    pub name: &'static str,
    /// Number of processes that the launcher started.
    pub processes: usize,
    /// Number of this process among them, from 0.
    pub rank: usize,
}

/// Finds the launcher that started this process. Returns None if the process was started by hand.
///
/// Slurm sets SLURM_NTASKS inside every sbatch script, although srun did not start the commands of the script. So only
/// SLURM_STEP_NUM_TASKS together with SLURM_PROCID counts as a start by srun.
pub fn launcher() -> Option<LaunchedProcess> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.trim().parse::<usize>().ok());
    let known = [
        ("mpirun (Open MPI)", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
        ("mpiexec (hydra)", "PMI_SIZE", "PMI_RANK"),
        ("srun", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID"),
    ];
    known.into_iter().find_map(|(name, size, rank)| {
        Some(LaunchedProcess { name, processes: number(size)?, rank: number(rank)? })
            .filter(|found| found.processes > 0)
    })
}
