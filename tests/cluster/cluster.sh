#!/usr/bin/env bash
# What the scripts of the virtual cluster share: where it lives, whether it is up, how it is cleared away. Sourced.

CLUSTER_HOME=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# The repository: nodes see it at the same path, as a cluster's shared file system would show it.
CLUSTER_ROOT=$(cd "$CLUSTER_HOME/../.." && pwd -P)
CLUSTER_RUN=${CLUSTER_RUN:-/run/gradshard-cluster}
# One group of control groups for each cluster, told apart by its run directory.
CLUSTER_CGROUP=gradshard-cluster-$(printf '%s' "$CLUSTER_RUN" | cksum | cut -d' ' -f1)
export CLUSTER_HOME CLUSTER_ROOT CLUSTER_RUN CLUSTER_CGROUP

cluster_say() { printf '%s\n' "cluster: $*" >&2; }

cluster_needs_root() {
  if [ "$(id -u)" -ne 0 ]; then
    cluster_say "this needs root: it makes network, process and mount namespaces"
    exit 2
  fi
}

# await SECONDS COMMAND...: waits until COMMAND succeeds; fails when the time is up.
await() {
  local tries=$(($1 * 50))
  shift
  while ! "$@"; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || return 1
    sleep 0.02
  done
}

# The process id, as seen from outside, of the cluster's first process; fails if the cluster is not up. The file holds
# the id and its process namespace, so that an id that the kernel has given to somebody else is never touched.
cluster_init() {
  local pid namespace
  read -r pid namespace 2>/dev/null <"$CLUSTER_RUN/init" || return 1
  [ -n "$namespace" ] && [ "$(readlink "/proc/$pid/ns/pid" 2>/dev/null)" = "$namespace" ] || return 1
  [ "$namespace" != "$(readlink /proc/self/ns/pid)" ] || return 1
  # A process that has ended and was not yet waited for still has an entry.
  ! grep -q '^State:[[:space:]]*Z' "/proc/$pid/status" 2>/dev/null || return 1
  printf '%s\n' "$pid"
}

cluster_is_down() { ! cluster_init >/dev/null; }

# True inside the cluster's process namespace.
cluster_is_here() {
  local pid namespace
  read -r pid namespace 2>/dev/null <"$CLUSTER_RUN/init" || return 1
  [ -n "$pid" ] && [ "$namespace" = "$(readlink /proc/self/ns/pid)" ]
}

# True while anything of the cluster lives, or another up.sh is about to start it.
cluster_is_locked() {
  [ -e "$CLUSTER_RUN/.gradshard-cluster" ] && ! flock -n "$CLUSTER_RUN/.gradshard-cluster" true 2>/dev/null
}
cluster_is_unlocked() { ! cluster_is_locked; }

# Removes what processes cannot take with them: control groups and the run directory. Only a directory that up.sh
# marked as its own is removed.
cluster_clear() {
  local group
  for group in "/sys/fs/cgroup/$CLUSTER_CGROUP" /sys/fs/cgroup/*/"$CLUSTER_CGROUP"; do
    [ -d "$group" ] || continue
    # A group stays busy for a moment after its last process was killed.
    await 5 remove_group "$group" || cluster_say "$group could not be removed"
  done
  if [ -e "$CLUSTER_RUN/.gradshard-cluster" ]; then
    rm -rf --one-file-system "$CLUSTER_RUN"
  fi
}

remove_group() {
  find "$1" -depth -type d -exec rmdir {} \; 2>/dev/null || true
  [ ! -d "$1" ]
}
