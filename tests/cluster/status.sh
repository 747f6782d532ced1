#!/usr/bin/env bash
# Prints whether the virtual cluster of CLUSTER_RUN is up, and the state of its nodes. Exit code 0: up and well; 1: up
# with a fault; 3: down.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=cluster.sh
. "$(dirname "${BASH_SOURCE[0]}")/cluster.sh"
if [ $# -gt 0 ]; then
  echo "usage: [CLUSTER_RUN=DIR] tests/cluster/status.sh" >&2
  case $1 in -h | --help) exit 0 ;; esac
  exit 2
fi
cluster_needs_root

if cluster_is_down; then
  if [ -e "$CLUSTER_RUN" ]; then
    echo "down; $CLUSTER_RUN is left of one that was killed: down.sh removes it"
  else
    echo "down"
  fi
  exit 3
fi
if [ ! -e "$CLUSTER_RUN/ready" ]; then
  echo "starting"
  exit 1
fi
echo "up: $(tr '\n' ' ' <"$CLUSTER_RUN/settings")"
code=0
nodes=$(sed -n 's/^nodes=//p' "$CLUSTER_RUN/settings")
for ((i = -1; i < nodes; i++)); do
  name="node$i"
  [ "$i" -ge 0 ] || name="head"
  # The second word is the state. A working tap device is UNKNOWN.
  if ! link=$("$CLUSTER_HOME/nsh" "$name" ip -br link show eth0 2>/dev/null | awk '{ print $2 }'); then
    link=
  fi
  case $link in
    UP | UNKNOWN) link=up ;;
    '') link="cannot be reached" ;;
    *) link="link is $link" ;;
  esac
  [ "$link" = up ] || code=1
  printf '%-6s %-14s %s\n' "$name" "$("$CLUSTER_HOME/nsh" "$name" hostname -I 2>/dev/null || true)" "$link"
done
# shellcheck disable=SC2016 # the node's shell expands these
if grep -q '^net=tap' "$CLUSTER_RUN/settings" &&
  ! "$CLUSTER_HOME/nsh" head 'kill -0 "$(cat "$CLUSTER_RUN/switch.pid")"' 2>/dev/null; then
  echo "the switch has ended"
  code=1
fi
if grep -q '^slurm=1' "$CLUSTER_RUN/settings"; then
  "$CLUSTER_HOME/nsh" head 'timeout 10 sinfo -N -o "%N %T %c cores %m MiB %E"' || code=1
fi
exit "$code"
