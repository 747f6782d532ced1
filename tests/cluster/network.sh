# shellcheck shell=bash
# shellcheck disable=SC2154 # hosts is inside.sh's
# The nodes' network: every node's eth0 is on one bridge, on its rack's bridge, or on one switch in user space.
# inside.sh sources this file.

holder_of() { cat "$CLUSTER_RUN/nodes/$1.pid"; }
# in_network NODE COMMAND...: runs the command in the node's network.
in_network() {
  local holder
  holder=$(holder_of "$1")
  shift
  nsenter -t "$holder" -n -- "$@"
}

# limit_rate COMMAND...: puts tbf on a device. COMMAND is tc, or tc in a node's network. The burst must hold one packet
# of 64 KiB, as segmentation offload makes them; otherwise tbf cuts or drops it.
limit_rate() { "$@" root handle 1: tbf rate "$RATE" burst 128kb latency 20ms; }
# bits_of RATE: prints the bits per second of a rate as tc writes it.
bits_of() {
  local unit=${1%bit}
  numfmt --from=si "${unit^^}"
}
# limit_uplink DEVICE: puts tbf on one end of a rack's uplink. The burst is a millisecond's bytes and at least 20 KiB.
# With 20 KiB, an uplink of 1 Gbit/s loses a fifth of its rate. With 128 KiB, a message of 1 MB passes an uplink of
# 25 Mbit/s an eighth faster than its rate allows. tbf cuts packets of 64 KiB that exceed the burst.
limit_uplink() {
  local bits burst=20480
  bits=$(bits_of "$UPLINK")
  if [ $((bits / 8000)) -gt "$burst" ]; then burst=$((bits / 8000)); fi
  tc qdisc add dev "$1" root handle 1: tbf rate "$UPLINK" burst "$burst" latency 20ms
}

# make_bridge NAME: makes a bridge that forwards at once.
make_bridge() {
  ip link add "$1" type bridge stp_state 0 forward_delay 0
  ip link set "$1" up
}
# bridge_of HOST: prints the bridge of a host. Head has no rack: it is on the bridge that joins the racks.
bridge_of() {
  if [ "$RACKS" -eq 1 ] || [ "$1" = head ]; then echo bridge; else echo "rack$(rack_of "${1#node}")"; fi
}

if [ "$NET" = tap ]; then
  cc -O2 -Wall -Wextra -o "$CLUSTER_RUN/switch" "$CLUSTER_HOME/switch.c" || die "switch.c cannot be compiled"
  bits=0
  if [ -n "$RATE" ]; then bits=$(bits_of "$RATE"); fi
  # A real-time priority, where it is allowed, keeps the switch on time even if ranks occupy every core.
  priority=()
  if chrt -f 10 true 2>/dev/null; then priority=(chrt -f 10); fi
  "${priority[@]}" "$CLUSTER_RUN/switch" "${#hosts[@]}" "$bits" "$DELAY_US" >&2 &
  echo $! >"$CLUSTER_RUN/switch.pid"
  last_port() { ip link show "port$((${#hosts[@]} - 1))" >/dev/null 2>&1; }
  await 10 last_port || die "the switch did not start"
else
  make_bridge bridge
fi
if [ "$RACKS" -gt 1 ]; then
  for ((rack = 0; rack < RACKS; rack++)); do
    make_bridge "rack$rack"
    # What leaves the rack waits at up, and what enters it at down.
    ip link add "up$rack" type veth peer name "down$rack"
    ip link set "up$rack" master "rack$rack" up
    ip link set "down$rack" master bridge up
    if [ -n "$UPLINK" ]; then
      limit_uplink "up$rack"
      limit_uplink "down$rack"
    fi
  done
  for ((i = 0; i < NODES; i++)); do echo "node$i $(rack_of "$i")"; done >"$CLUSTER_RUN/racks"
fi

port=0
for host in "${hosts[@]}"; do
  holder=$(holder_of "$host")
  if [ "$NET" = tap ]; then
    ip link set "port$port" netns "$holder" name eth0
  else
    ip link add "port$port" type veth peer name eth0 netns "$holder"
    ip link set "port$port" master "$(bridge_of "$host")" up
  fi
  # The switch reads a node's port from the last byte of its address.
  in_network "$host" ip link set eth0 address "$(printf '02:00:00:00:00:%02x' $((port + 1)))"
  in_network "$host" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 2>/dev/null || true
  # Rounds follow pauses, and on clusters TCP does not begin slowly after each pause.
  in_network "$host" sysctl -qw net.ipv4.tcp_slow_start_after_idle=0 2>/dev/null || true
  in_network "$host" ip addr add "$(address "$host")/24" dev eth0
  in_network "$host" ip link set eth0 up
  # All machines use the same congestion control if the kernel has it.
  in_network "$host" ip route replace 10.77.0.0/24 dev eth0 src "$(address "$host")" congctl cubic 2>/dev/null || true
  if [ "$NET" = bridge ] && [ -n "$RATE" ]; then
    limit_rate in_network "$host" tc qdisc add dev eth0
    limit_rate tc qdisc add dev "port$port"
  fi
  port=$((port + 1))
done
