#!/usr/bin/env python3
"""What a user would run instead of gradshard: a weighted mean of clients' updates in numpy, and Flower's FedAvg.

    gradshard models resnet18 --format json | analysis/peers.py --clients 20 --rounds 5

Reads the model's layers from standard input, makes float32 updates that stay in memory, and prints one JSON object with
the seconds of each round of each peer:

  numpy-running-sum   acc = w0*g0; acc += wk*gk; acc /= total, as people write it: each wk*gk is a temporary
  numpy-blocked       the same in blocks that stay in cache, without temporaries: the best that plain numpy does
  flower-fedavg       flwr.server.strategy.aggregate.aggregate over the layers; it holds all weighted updates at once

A peer that is not installed, or for which memory does not suffice, is in "skipped" with the reason. Every result is
compared with the mean worked out in double precision at some places.
"""

import argparse
import json
import math
import os
import platform
import sys
import time

import numpy as np

BLOCK = 1 << 16
"""Elements of a block of numpy-blocked: an accumulator and a temporary of 256 KiB each."""


def available_bytes():
    """What the kernel says can still be allocated."""
    with open("/proc/meminfo") as meminfo:
        for line in meminfo:
            name, value = line.split(":")
            if name == "MemAvailable":
                return int(value.split()[0]) * 1024
    raise SystemExit("peers: /proc/meminfo has no MemAvailable")


def running_sum(updates, weights, total):
    """As people write it."""
    acc = weights[0] * updates[0]
    for weight, update in zip(weights[1:], updates[1:]):
        acc += weight * update
    acc /= total
    return acc


def blocked(updates, weights, total, out, scratch):
    """In blocks that stay in cache, into memory that is already there."""
    for begin in range(0, out.size, BLOCK):
        acc = out[begin : begin + BLOCK]
        product = scratch[: acc.size]
        np.multiply(updates[0][begin : begin + BLOCK], weights[0], out=acc)
        for weight, update in zip(weights[1:], updates[1:]):
            np.multiply(update[begin : begin + BLOCK], weight, out=product)
            acc += product
        acc /= total


def check(name, mean, updates, weights, total):
    """Ends the program if `mean` is wrong at any of 1000 places."""
    places = np.linspace(0, mean.size - 1, 1000).astype(np.int64)
    exact = sum(float(w) * u[places].astype(np.float64) for w, u in zip(weights, updates)) / total
    # Updates are below 1; each of N products and sums is off by half a unit in the last place at most.
    if not np.allclose(mean[places], exact, rtol=0, atol=2 * len(updates) * 2.0**-24):
        raise SystemExit(f"peers: {name} is wrong")


def timed(rounds, run):
    """Seconds of each of `rounds` calls, after one that is not counted; and the last result."""
    result = run()
    seconds = []
    for _ in range(rounds):
        del result
        begun = time.perf_counter()
        result = run()
        seconds.append(time.perf_counter() - begun)
    return seconds, result


def layered(update, shapes):
    """The layers of a flat update, without copying."""
    layers, at = [], 0
    for shape in shapes:
        size = math.prod(shape)
        layers.append(update[at : at + size].reshape(shape))
        at += size
    return layers


def main():
    """Parses, makes the updates, times every peer, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    if arguments.clients < 1 or arguments.rounds < 1:
        parser.error("--clients and --rounds: at least 1")
    model = json.load(sys.stdin)
    shapes = [layer["shape"] for layer in model["layers"]]
    elements, clients = model["elements"], arguments.clients
    gradient = 4 * elements
    if sum(math.prod(shape) for shape in shapes) != elements:
        raise SystemExit("peers: the layers do not add up to the model's elements")

    # The updates, one result, one temporary and some air.
    wanted, free = (clients + 3) * gradient, available_bytes()
    if wanted > free:
        raise SystemExit(f"peers: {model['name']} x {clients} needs {wanted >> 20} MiB; {free >> 20} MiB are available")
    random = np.random.default_rng(1)
    updates = [random.random(elements, dtype=np.float32) for _ in range(clients)]
    weights = [100 + k for k in range(clients)]
    total = sum(weights)

    seconds, skipped = {}, {}

    seconds["numpy-running-sum"], mean = timed(arguments.rounds, lambda: running_sum(updates, weights, total))
    check("numpy-running-sum", mean, updates, weights, total)

    scratch = np.empty(BLOCK, dtype=np.float32)

    def into_mean():
        blocked(updates, weights, total, mean, scratch)
        return mean

    mean.fill(0)
    seconds["numpy-blocked"], _ = timed(arguments.rounds, into_mean)
    check("numpy-blocked", mean, updates, weights, total)
    del mean

    flower = None
    wanted, free = (clients + 3) * gradient, available_bytes()
    if wanted > free:
        skipped["flower-fedavg"] = f"it holds all weighted updates: {wanted >> 20} MiB more, {free >> 20} MiB available"
    else:
        os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
        try:
            import flwr
            from flwr.server.strategy.aggregate import aggregate
        except ImportError as error:
            skipped["flower-fedavg"] = f"not installed: {error}"
        else:
            flower = flwr.__version__
            results = [(layered(update, shapes), weight) for update, weight in zip(updates, weights)]
            seconds["flower-fedavg"], layers = timed(arguments.rounds, lambda: aggregate(results))
            check("flower-fedavg", np.concatenate([layer.ravel() for layer in layers]), updates, weights, total)

    print(
        json.dumps(
            {
                "model": model["name"],
                "elements": elements,
                "clients": clients,
                "python": platform.python_version(),
                "numpy": np.__version__,
                "flower": flower,
                "seconds": seconds,
                "skipped": skipped,
            }
        )
    )


if __name__ == "__main__":
    main()
