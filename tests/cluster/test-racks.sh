#!/usr/bin/env bash
# Checks the virtual cluster's racks: measures the rates inside racks and between them, and looks at the file of racks,
# at refused settings, and at what is left of clusters that were not completed. It takes about half a minute.
#
# It needs root, and what up.sh needs. Where that is missing it says so and ends with 0; with CI=true, with 1.
set -euo pipefail

if [ $# -gt 0 ]; then
  echo "usage: tests/cluster/test-racks.sh" >&2
  case $1 in -h | --help) exit 0 ;; esac
  exit 2
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
export CLUSTER_RUN=/run/gradshard-test-racks-$$
unset NET RATE DELAY_US RACKS UPLINK SLURM

skip_all() {
  echo "skipped: $1"
  if [ "${CI:-}" = true ]; then
    echo "test-racks.sh: CI=true, where this must run" >&2
    exit 1
  fi
  exit 0
}
[ "$(id -u)" -eq 0 ] || skip_all "virtual nodes need root"
unshare --net --pid --fork --mount --uts true 2>/dev/null || skip_all "this kernel or container allows no namespaces"
for program in ip tc python3; do
  command -v "$program" >/dev/null || skip_all "$program is missing (apt-get install iproute2 python3)"
done

clear_away() { "$here/down.sh" >/dev/null 2>&1 || true; }
trap clear_away EXIT
trap 'exit 130' INT TERM

bad=0
fail() {
  echo "FAILED: $*"
  bad=$((bad + 1))
}
# up [SETTING...] NODES: starts a cluster.
up() { env "${@:1:$#-1}" "$here/up.sh" "${@: -1}" || exit 1; }
# together LOW HIGH WHAT FLOW...: the flows, all at once, carry between LOW and HIGH Mbit/s in sum.
together() {
  local low=$1 high=$2 what=$3 said
  shift 3
  said=$("$here/flows.py" "$@") || said="sum nan"
  echo "$what: $said Mbit/s, wanted $low to $high"
  awk -v sum="${said##* }" -v low="$low" -v high="$high" 'BEGIN { exit !(sum + 0 >= low && sum + 0 <= high) }' || fail "$what"
}
# same WHAT WANTED FOUND
same() { [ "$2" = "$3" ] || fail "$1: wanted '$2', found '$3'"; }
# shellcheck disable=SC2016 # the node's shell expands it
racks_for_programs() { "$here/nsh" node1 '. $CLUSTER_HOME/mpi-environment.sh; echo "${GRADSHARD_RACKS:-none}"'; }
# nothing_left WHEN: the cluster has left neither files nor devices.
nothing_left() {
  [ ! -e "$CLUSTER_RUN" ] || fail "$1, $CLUSTER_RUN is left"
  same "$1, devices" "$devices" "$(ip -br link | cut -d' ' -f1 | sort | xargs)"
}
devices=$(ip -br link | cut -d' ' -f1 | sort | xargs)

# Goodput of TCP is at most 0.957 of a link. Three racks hold 2, 2 and 1 nodes.
up RACKS=3 UPLINK=20mbit RATE=100mbit 5
same "the file of racks" "node0 0 node1 0 node2 1 node3 1 node4 2" "$(xargs <"$CLUSTER_RUN/racks")"
same "GRADSHARD_RACKS" "$CLUSTER_RUN/racks" "$(racks_for_programs)"
together 90 96 "inside a rack" node0:node1
together 18 19.5 "between racks" node0:node2
# Flows to two racks share only the way out of theirs, and flows from two racks only the way in.
together 18 19.5 "out of a rack" node0:node2 node1:node4
together 18 19.5 "into a rack" node2:node0 node4:node1
together 36 39 "both ways at once" node0:node2 node3:node1
"$here/down.sh" >/dev/null
nothing_left "after down.sh"

up RATE=100mbit 4
[ ! -e "$CLUSTER_RUN/racks" ] || fail "a cluster without racks has a file of racks"
same "GRADSHARD_RACKS without racks" none "$(racks_for_programs)"
together 180 192 "without racks" node0:node2 node1:node3
"$here/down.sh" >/dev/null

# refused SETTING...: up.sh ends with 2 and one sentence.
refused() {
  local code=0 said
  said=$(env "$@" "$here/up.sh" 4 2>&1) || code=$?
  if [ "$code" -ne 2 ] || [ "$(wc -l <<<"$said")" -ne 1 ]; then fail "$*: code $code, $said"; fi
}
refused RACKS=0
refused RACKS=5
refused RACKS=two
refused RACKS=-1
refused RACKS=2 UPLINK=fast
refused RACKS=2 UPLINK=0mbit
refused RACKS=2 UPLINK=9999999gbit
refused UPLINK=25mbit
refused RACKS=2 NET=tap
refused RACKS=2 DELAY_US=100
nothing_left "after refusals"

# up.sh is killed at several moments, and down.sh ends what is there.
for moment in 0.1 0.2 0.3 0.4; do
  RACKS=4 UPLINK=25mbit setsid "$here/up.sh" 16 >/dev/null 2>&1 &
  starting=$!
  sleep "$moment"
  kill -KILL "$starting" 2>/dev/null || true
  wait "$starting" 2>/dev/null || true
  "$here/down.sh" >/dev/null || fail "down.sh after up.sh was killed after $moment s"
  nothing_left "after up.sh was killed after $moment s"
done

[ "$bad" -eq 0 ] || {
  echo "$bad failed"
  exit 1
}
echo "the racks are as they should be"
