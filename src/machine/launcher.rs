//! Reads environment variables set by the launcher and the user: the shape of the job and settings of the MPI library.
//! Variables that may hold secrets are skipped.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Environment variables recorded with a result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launcher {
    /// Facts of the job: scheduler, nodes, tasks.
    pub job: BTreeMap<String, String>,
    /// Settings of the MPI library and its transports, set by the user, the site or options of mpirun.
    pub settings: BTreeMap<String, String>,
}

/// Names of variables that are facts of the job.
const JOB_NAMES: [&str; 25] = [
    "SLURM_NNODES",
    "SLURM_NTASKS",
    "SLURM_NTASKS_PER_NODE",
    "SLURM_TASKS_PER_NODE",
    "SLURM_CPUS_PER_TASK",
    "SLURM_CPU_BIND",
    "SLURM_DISTRIBUTION",
    "SLURM_MEM_PER_NODE",
    "SLURM_MEM_PER_CPU",
    "SLURM_MPI_TYPE",
    "SLURM_CLUSTER_NAME",
    "SLURM_PMIX_FENCE",
    "SLURM_STEP_ID",
    "SLURM_STEP_TASKS_PER_NODE",
    "PBS_JOBID",
    "PBS_NODEFILE",
    "LSB_JOBID",
    "JOB_ID",
    "OMPI_COMM_WORLD_SIZE",
    "OMPI_COMM_WORLD_LOCAL_SIZE",
    "OMPI_UNIVERSE_SIZE",
    "PMI_SIZE",
    "PMIX_VERSION",
    "MPI_LOCALNRANKS",
    "FLUX_JOB_ID",
];

/// Prefixes of settings of MPI libraries and of their transports.
const SETTING_PREFIXES: [&str; 10] =
    ["OMPI_MCA_", "PRTE_MCA_", "MPICH_", "MPIR_CVAR_", "HYDRA_", "I_MPI_", "MV2_", "UCX_", "FI_", "PSM2_"];

/// Prefixes by which launchers pass addresses, keys and directories to ranks; named like settings, but none.
const LAUNCHER_WIRING: [&str; 10] = [
    "OMPI_MCA_orte_",
    "OMPI_MCA_plm",
    "OMPI_MCA_routed",
    "OMPI_MCA_ess",
    "OMPI_MCA_pmix",
    "OMPI_MCA_initial_wdir",
    "OMPI_MCA_shmem_RUNTIME_QUERY_hint",
    "OMPI_MCA_mpi_oversubscribe",
    "PRTE_MCA_ess",
    "MPIR_CVAR_CH3_INTERFACE_HOSTNAME",
];

/// Parts of names, between underscores, that indicate secrets, personal data or free text.
const PRIVATE_PARTS: [&str; 17] = [
    "KEY",
    "TOKEN",
    "SECRET",
    "PASS",
    "PASSWORD",
    "PASSWD",
    "CRED",
    "CREDENTIAL",
    "JWT",
    "COOKIE",
    "USER",
    "UID",
    "GID",
    "GROUP",
    "ACCOUNT",
    "COMMENT",
    "EXTRA",
];

impl Launcher {
    /// Reads the variables of the calling process.
    pub fn here() -> Self {
        // vars() would panic at a value that is not UTF-8.
        Self::from_variables(
            std::env::vars_os()
                .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())),
        )
    }

    /// Selects from the given variables.
    pub fn from_variables(variables: impl Iterator<Item = (String, String)>) -> Self {
        let mut launcher = Launcher::default();
        for (name, value) in variables {
            if name.split('_').any(|part| PRIVATE_PARTS.contains(&part.to_ascii_uppercase().as_str())) {
                continue;
            }
            if JOB_NAMES.contains(&name.as_str()) || name.starts_with("SLURM_JOB_") {
                launcher.job.insert(name, value);
            } else if SETTING_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
                && !LAUNCHER_WIRING.iter().any(|prefix| name.starts_with(prefix))
            {
                launcher.settings.insert(name, value);
            }
        }
        launcher
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picked(names: &[&str]) -> (Vec<String>, Vec<String>) {
        let launcher = Launcher::from_variables(names.iter().map(|name| (name.to_string(), "v".to_owned())));
        (launcher.job.into_keys().collect(), launcher.settings.into_keys().collect())
    }

    #[test]
    fn settings_and_job_facts_are_told_apart() {
        let (job, settings) = picked(&[
            "SLURM_JOB_ID",
            "SLURM_JOB_NODELIST",
            "SLURM_NNODES",
            "OMPI_MCA_btl_vader_single_copy_mechanism",
            "MPIR_CVAR_REDUCE_SCATTER_INTRA_ALGORITHM",
            "UCX_TLS",
            "PATH",
            "HOME",
        ]);
        assert_eq!(job, ["SLURM_JOB_ID", "SLURM_JOB_NODELIST", "SLURM_NNODES"]);
        assert_eq!(
            settings,
            ["MPIR_CVAR_REDUCE_SCATTER_INTRA_ALGORITHM", "OMPI_MCA_btl_vader_single_copy_mechanism", "UCX_TLS"]
        );
    }

    #[test]
    fn secrets_persons_and_wiring_stay_out() {
        let (job, settings) = picked(&[
            "SLURM_JWT",
            "SLURM_JOB_USER",
            "SLURM_JOB_UID",
            "SLURM_JOB_ACCOUNT",
            "SLURM_JOB_COMMENT",
            "SLURM_JOB_EXTRA",
            "OMPI_MCA_orte_precondition_transports",
            "OMPI_MCA_orte_hnp_uri",
            "OMPI_MCA_plm_auth_token",
            "FI_SOME_SECRET",
            "AWS_SECRET_ACCESS_KEY",
            "PMIX_SERVER_URI41",
            "API_KEY",
        ]);
        assert!(job.is_empty() && settings.is_empty(), "{job:?} {settings:?}");
    }
}
