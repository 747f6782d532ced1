# shellcheck shell=sh
# The settings of Open MPI for the virtual cluster. Source this file on a node, which knows CLUSTER_HOME:
#   nsh node0 '. $CLUSTER_HOME/mpi-environment.sh; mpirun.openmpi --host node0:2,node1:2 -n 4 PROGRAM'
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_plm_rsh_agent="$CLUSTER_HOME/nsh" OMPI_MCA_plm_rsh_no_tree_spawn=0
# Open MPI uses shared memory inside a node and TCP between nodes, on the cluster's network only.
export OMPI_MCA_pml=ob1 OMPI_MCA_btl=self,vader,tcp
export OMPI_MCA_btl_tcp_if_include=eth0 OMPI_MCA_oob_tcp_if_include=eth0
# All nodes share the machine's cores. Ranks that are bound by each node's own count would gather on the first cores.
export OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_mpi_yield_when_idle=1
# These settings are for srun. Without the first, a crashed rank leaves the others waiting. With the default fence,
# MPI_Init of Open MPI 4.1.4 sometimes crashes at 16 ranks.
export SLURM_KILL_BAD_EXIT=1 SLURM_PMIX_FENCE=ring
# The racks of the nodes, if there are several: one line a node, with its name and its rack.
if [ -e "$CLUSTER_RUN/racks" ]; then export GRADSHARD_RACKS="$CLUSTER_RUN/racks"; fi
