# shellcheck shell=bash
# A real Slurm on the virtual nodes: slurmctld on head and a slurmd on each node. inside.sh sources this file.

mkdir -p "$CLUSTER_RUN/munge" "$CLUSTER_RUN/controller"
chmod 755 "$CLUSTER_RUN" "$CLUSTER_RUN/munge"
dd if=/dev/urandom of="$CLUSTER_RUN/munge/key" bs=128 count=1 status=none
chmod 400 "$CLUSTER_RUN/munge/key"
# Unix sockets are independent of network namespaces, so one munged serves every node.
munged --origin=127.0.0.1 --socket="$CLUSTER_RUN/munge/socket" --key-file="$CLUSTER_RUN/munge/key" \
  --pid-file="$CLUSTER_RUN/munge/pid" --log-file="$CLUSTER_RUN/munge/log" --seed-file="$CLUSTER_RUN/munge/seed" \
  --num-threads=4

tasks=task/none
gather=jobacct_gather/linux
gather_parameters=JobAcctGatherParams=OverMemoryKill
if [ "$CGROUP" = 1 ]; then
  tasks=task/cgroup
  gather=jobacct_gather/cgroup
  gather_parameters=
fi
# cred_expire is the delay before a requeued job may start again. Its default is two minutes.
cat >"$CLUSTER_RUN/slurm.conf" <<CONF
ClusterName=virtual
SlurmctldHost=head($(address head))
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$CLUSTER_RUN/munge/socket,cred_expire=5
CredType=cred/munge
SlurmctldPort=6817
SlurmdPort=6818
SrunPortRange=60001-63000
StateSaveLocation=$CLUSTER_RUN/controller
SlurmctldPidFile=$CLUSTER_RUN/controller/pid
SlurmctldLogFile=$CLUSTER_RUN/controller/log
SlurmdSpoolDir=$CLUSTER_RUN/%n/spool
SlurmdPidFile=$CLUSTER_RUN/%n/slurmd.pid
SlurmdLogFile=$CLUSTER_RUN/%n/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=$tasks
JobAcctGatherType=$gather
JobAcctGatherFrequency=task=1
$gather_parameters
JobCompType=jobcomp/filetxt
JobCompLoc=$CLUSTER_RUN/controller/finished-jobs.txt
MpiDefault=pmix
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=$((MEM / CPUS))
SlurmdParameters=config_overrides
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_min_interval=0
PropagateResourceLimits=NONE
ReturnToService=2
SlurmctldTimeout=30
SlurmdTimeout=15
KillWait=3
MinJobAge=600
SlurmdDebug=verbose
SlurmctldDebug=verbose
NodeName=node[0-$((NODES - 1))] NodeAddr=10.77.0.[10-$((9 + NODES))] Boards=1 SocketsPerBoard=1 CoresPerSocket=$CPUS ThreadsPerCore=1 RealMemory=$MEM State=UNKNOWN
PartitionName=debug Nodes=ALL Default=YES MaxTime=60 State=UP OverSubscribe=NO
CONF
cat >"$CLUSTER_RUN/cgroup.conf" <<'CONF'
CgroupMountpoint=/sys/fs/cgroup
CgroupAutomount=no
CgroupPlugin=cgroup/v1
ConstrainRAMSpace=yes
ConstrainSwapSpace=no
ConstrainCores=no
ConstrainDevices=no
CONF

"$CLUSTER_HOME/nsh" head slurmctld -f "$CLUSTER_RUN/slurm.conf" -c
for ((i = 0; i < NODES; i++)); do
  mkdir -p "$CLUSTER_RUN/node$i/spool"
  "$CLUSTER_HOME/nsh" "node$i" slurmd -f "$CLUSTER_RUN/slurm.conf" -N "node$i"
done
all_idle() {
  [ "$("$CLUSTER_HOME/nsh" head sinfo -h -N -t idle -o %N 2>/dev/null | sort -u | wc -l)" -eq "$NODES" ]
}
await 20 all_idle || {
  "$CLUSTER_HOME/nsh" head sinfo -N -l >&2 || true
  tail -n 20 "$CLUSTER_RUN/controller/log" >&2 || true
  die "not every node of Slurm is idle after 20 s"
}
