#!/usr/bin/env python3
"""Prints the memory figures of jobs/memory.sh as Markdown tables.

usage: memory.py DIR        the directory that jobs/memory.sh wrote
"""

import glob
import json
import math
import os
import statistics
import sys

MIB = 2.0**20


def cells(directory, name):
    path = os.path.join(directory, name + ".json")
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return json.load(file)["cells"]


def mib(number):
    return "-" if number is None else f"{number / MIB:.1f}"


def table(title, header, rows):
    if not rows:
        return
    widths = [max(len(str(row[at])) for row in [header, *rows]) for at in range(len(header))]
    line = lambda row: "| " + " | ".join(str(cell).ljust(width) for cell, width in zip(row, widths)) + " |"
    print(f"\n{title}\n")
    print(line(header))
    print("| " + " | ".join("-" * width for width in widths) + " |")
    for row in rows:
        print(line(row))


def shards(directory):
    rows = []
    names = [f"vgg16-shards-{m}" for m in (1, 2, 4, 8, 16)] + [f"vgg16-clients-{n}" for n in (4, 64)]
    for name in names:
        for cell in cells(directory, name):
            shard = -(-cell["elements"] // cell["shards"]) * 4
            memory = cell["memory"]
            seen = (memory["kernel"] or {}).get("round")
            limit = 1.05 * shard + 8 * MIB
            verdict = "failed" if seen is None else "met" if seen <= limit else "NOT MET"
            own = memory["aggregator"]["total"]
            rows.append([cell["shards"], cell["clients"], mib(shard), mib(own), mib(seen), mib(limit), verdict])
    header = ["M", "N", "shard MiB", "predicted", "seen by the kernel", "1.05 × shard + 8 MiB", "verdict"]
    table("An aggregator of sharded-direct, VGG-16, 1 MiB chunks, dedicated:", header, rows)


def surplus(directory):
    rows = []
    for cell in cells(directory, "surplus"):
        memory = cell["memory"]
        seen = (memory["kernel"] or {}).get("round")
        tracked, library = memory["aggregating_bytes"], memory["library_bytes"]
        gradient = cell["elements"] * 4
        share = "-" if library is None else f"{library / gradient:.2f}"
        flow = cell["flow"]
        rows.append([cell["model"], cell["strategy"], flow, cell["status"], mib(tracked), mib(seen), mib(library), share])
    header = ["model", "strategy", "flow", "status", "own MiB", "seen", "library", "of a gradient"]
    table("What the MPI library takes, 4 ranks, 4 clients streamed, per rank:", header, rows)


def feasibility(directory):
    found = {}
    for cell in cells(directory, "feasibility") + cells(directory, "feasibility-5gib"):
        key = (cell["model"], cell["strategy"], cell["shards"], cell["flow"])
        memory = cell["memory"]
        kernel = memory["kernel"]
        ran = "measured" if cell["status"] == "ok" else "fits, not run: " + cell["reason"].split(";")[0][:60]
        found[key] = (memory["aggregator"]["total"], memory["aggregating_bytes"], kernel["round"] if kernel else None, ran)
    rows = []
    for (model, strategy, shards, flow), (need, rank, seen, ran) in found.items():
        under = ["yes" if need <= ceiling * MIB else "no" for ceiling in (3008, 10240)]
        rank = mib(rank) if seen is not None else "-"
        rows.append([model, strategy, shards, flow, mib(need), *under, rank, mib(seen), ran if under[1] == "yes" else ""])
    header = ["model", "strategy", "M", "flow", "an aggregator, MiB", "3,008", "10,240", "its rank", "seen there", ""]
    table("Feasibility, N = 20, one aggregator:", header, rows)


def beyond(directory):
    rows = []
    for cell in cells(directory, "beyond-memory"):
        kernel = cell["memory"]["kernel"] or {}
        ingest, share = cell["ingest_bytes_per_s"], cell["share_of_limit"]
        rows.append([
            cell["model"],
            f"{cell['elements'] * 4 * cell['clients'] / 1e9:.0f}",
            cell["status"],
            "-" if cell["median_s"] is None else f"{cell['median_s']:.1f}",
            "-" if ingest is None else f"{ingest / 1e9:.2f}",
            "-" if share is None else f"{share:.3f}",
            "-" if cell.get("producing_share") is None else f"{cell['producing_share']:.2f}",
            mib(cell["memory"]["aggregator"]["total"]),
            mib(kernel.get("round")),
            cell["reason"][:80],
        ])
    header = ["model", "GB ingested", "status", "s", "GB/s", "of the memory limit", "producing", "predicted MiB", "seen", "reason"]
    table("Larger than memory, 20 clients streamed, M = 8, 1 MiB chunks:", header, rows)


def ceiling(directory):
    path = os.path.join(directory, "ceiling.json")
    if not os.path.exists(path) or os.path.getsize(path) == 0:
        return
    with open(path, encoding="utf-8") as file:
        found = json.load(file)
    rows = []
    for cell in found["cells"]:
        ratio = cell["measured_over_predicted"]
        predicted, largest = cell["predicted_elements"], cell["largest_elements"]
        rows.append([
            cell["strategy"],
            cell["shards"],
            cell["flow"],
            "-" if predicted is None else mib(predicted * cell["element_bytes"]),
            "-" if largest is None else mib(largest * cell["element_bytes"]),
            "-" if ratio is None else f"{ratio:.3f}",
            len(cell["tries"]),
        ])
    title = f"Largest gradient with {found['limit_bytes'] / MIB:.0f} MiB an aggregator, {found['ranks']} ranks:"
    table(title, ["strategy", "M", "flow", "predicted MiB", "found MiB", "ratio", "tries"], rows)


def cost(directory):
    """Pairs of successive blocks, of which the even one was watched: the median of their ratios, and its interval by
    order statistics (the sign test's)."""
    path = os.path.join(directory, "probe-cost.h5")
    if not os.path.exists(path):
        return
    try:
        import h5py
    except ImportError:
        print("What watching costs: h5py is needed to read the samples of", path, "\n")
        return
    with h5py.File(path) as file:
        rows = file["samples"][()]
    samples = [{name: row[name].item() for name in ("block", "seconds", "late_ranks")} for row in rows]
    # Rounds whose window was missed count for nothing.
    samples = [sample for sample in samples if not sample["late_ranks"]]
    seconds = {sample["block"]: sample["seconds"] for sample in samples}
    pairs = [(seconds[block], seconds[block + 1]) for block in seconds if block % 2 == 0 and block + 1 in seconds]
    ratios = sorted(watched / other for watched, other in pairs)
    count = len(ratios)
    if count < 10:
        return
    # The largest k with P(Binomial(count, 1/2) < k) <= 2.5 %.
    tail, k = 0.0, 0
    while tail + math.comb(count, k) / 2**count <= 0.025:
        tail += math.comb(count, k) / 2**count
        k += 1
    low, high = ratios[max(k - 1, 0)], ratios[min(count - k, count - 1)]
    table(
        "What watching costs a round of 128 MiB, 2 ranks, every second block watched:",
        ["pairs", "watched, median ms", "not watched", "median ratio", "95 % interval"],
        [[
            count,
            f"{statistics.median(pair[0] for pair in pairs) * 1e3:.3f}",
            f"{statistics.median(pair[1] for pair in pairs) * 1e3:.3f}",
            f"{statistics.median(ratios):.4f}",
            f"{low:.4f} to {high:.4f}",
        ]],
    )


def main():
    if len(sys.argv) != 2 or not os.path.isdir(sys.argv[1]):
        sys.exit(__doc__)
    for part in (shards, surplus, feasibility, beyond, ceiling, cost):
        part(sys.argv[1])


main()
