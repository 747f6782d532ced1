#!/usr/bin/env python3
"""Measures TCP between the nodes of the virtual cluster that CLUSTER_RUN names.

usage: flows.py [--seconds S] FROM:TO [FROM:TO ...]

All flows run at once, each from one node to another. Prints a line with the rate of each flow in Mbit/s, and their sum.
All rates are measured in the same S seconds (default 3). They begin after all flows have begun, because TCP needs a
moment to find the rate and a burst passes a link faster than its rate.
"""

import os
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
PORT = 7000
# Seconds from the start of the senders to the measurement.
WARM_UP = 2.0


def address(node):
    return "10.77.0.%d" % (10 + int(node.removeprefix("node")))


def send(to, port):
    """Sends zeros until the receiver has gone."""
    block = bytes(1 << 16)
    with socket.create_connection((to, port), timeout=10) as link:
        try:
            while True:
                link.sendall(block)
        except (BrokenPipeError, ConnectionResetError):
            pass


def receive(port):
    """Prints the bits per second that arrive between two times. Reads the times after it has said that it listens."""
    with socket.create_server(("", port)) as door:
        print("listening", flush=True)
        # Nodes have the machine's clock.
        begin, end = map(float, sys.stdin.readline().split())
        door.settimeout(10)
        link, _ = door.accept()
    got = 0
    with link:
        link.settimeout(end + 10 - time.monotonic())
        if time.monotonic() >= begin:
            sys.exit("the flow began too late")
        while True:
            size = len(link.recv(1 << 18))
            now = time.monotonic()
            if now >= end:
                break
            if size == 0:
                sys.exit("the sender ended too early")
            if now >= begin:
                got += size
    print(8 * got / (end - begin), flush=True)


def on(node, *words):
    command = [os.path.join(HERE, "nsh"), node, "exec", sys.executable, os.path.join(HERE, "flows.py"), *words]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def measure(flows, seconds):
    """Returns the rate of each flow in Mbit/s."""
    receivers = [on(to, "receive", str(PORT + i)) for i, (_, to) in enumerate(flows)]
    for receiver in receivers:
        if receiver.stdout.readline() != "listening\n":
            sys.exit("a receiver does not listen")
    senders = [on(source, "send", address(to), str(PORT + i)) for i, (source, to) in enumerate(flows)]
    begin = time.monotonic() + WARM_UP
    for receiver in receivers:
        receiver.stdin.write(f"{begin} {begin + seconds}\n")
        receiver.stdin.flush()
    said = [receiver.communicate()[0] for receiver in receivers]
    for sender in senders:
        sender.communicate()
    if not all(said):
        sys.exit("a flow was not measured")
    return [float(line) / 1e6 for line in said]


def main():
    words = sys.argv[1:]
    seconds = 3.0
    if words[:1] == ["--seconds"] and len(words) > 1:
        seconds = float(words[1])
        words = words[2:]
    if not words or any(word.count(":") != 1 for word in words):
        sys.exit(__doc__)
    rates = measure([word.split(":") for word in words], seconds)
    print(" ".join(f"{rate:.2f}" for rate in rates), "sum", f"{sum(rates):.2f}")


if sys.argv[1:2] == ["send"]:
    send(sys.argv[2], int(sys.argv[3]))
elif sys.argv[1:2] == ["receive"]:
    receive(int(sys.argv[2]))
else:
    main()
