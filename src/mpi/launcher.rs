//! Who started this process: what launchers leave in the environment.

/// A launcher's own count of what it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Launcher {
    /// Its name for messages.
    pub name: &'static str,
    /// How many processes it started.
    pub processes: usize,
    /// Which of them this one is.
    pub rank: usize,
}

/// The launcher that started this process; None when it was started by hand.
///
/// Inside an sbatch script SLURM_NTASKS is set although the script's own commands were not started by srun: only
/// SLURM_STEP_NUM_TASKS, together with SLURM_PROCID, tells of srun.
pub fn launcher() -> Option<Launcher> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.trim().parse::<usize>().ok());
    let known = [
        ("mpirun (Open MPI)", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
        ("mpiexec (hydra)", "PMI_SIZE", "PMI_RANK"),
        ("srun", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID"),
    ];
    known.into_iter().find_map(|(name, size, rank)| {
        Some(Launcher { name, processes: number(size)?, rank: number(rank)? }).filter(|found| found.processes > 0)
    })
}
