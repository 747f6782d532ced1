#!/usr/bin/env python3
"""Prints the table of performance targets from the results that jobs/targets.sh left in a directory.

    analysis/targets.py results/targets-20250131-174500

Reads what `gradshard show --format json`, analysis/peers.py and the C references of benches/reference/ print. A ratio of
two strategies comes from one run, of their median times; its interval is made of the ends of the medians' 95 %
intervals, so it is wider than needed. Where there are several launches, the ratio is the median of the launches' ratios,
and the table has their range, from the smallest to the largest; programs that are compared were launched in turn. A target
is met if both ends of the interval or range meet it, not met if neither the value nor an end does, and otherwise not shown.
Needs the standard library alone.
"""

import json
import re
import statistics
import sys
from pathlib import Path

SHARDED = ("sharded-direct", "sharded-ring", "sharded-halving", "sharded-node-aware")


class Missing(Exception):
    """Why a number is not there."""


class Row:
    """One line of the table: what was aimed at, what came out. `meets` says whether a number meets the target."""

    def __init__(self, what, target, value, low, high, meets, note="", exact=False):
        self.what, self.target, self.value, self.low, self.high, self.meets, self.note = (
            what, target, value, low, high, meets, note,
        )  # fmt: skip
        self.exact, self.launches = exact, 0

    def verdict(self):
        """The claim that the numbers allow."""
        if self.low is None:
            return ("met" if self.meets(self.value) else "NOT MET") if self.exact else "not shown"
        met = [self.meets(number) for number in (self.low, self.value, self.high)]
        return "met" if all(met) else "not shown" if any(met) else "NOT MET"

    def cells(self):
        """Texts of the line's columns."""
        if self.value is None:
            return (self.what, self.target, "-", "-", "-", self.note)
        ends = "-" if self.low is None else f"{self.low:.3g} to {self.high:.3g}"
        if self.launches:
            ends += f", range of {self.launches}"
        return (self.what, self.target, f"{self.value:.3g}", ends, self.verdict(), self.note)


def load(path):
    """A file's JSON; Missing if the row did not run, or a program was ended before it printed."""
    if not path.exists():
        raise Missing("not run")
    try:
        return json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise Missing(f"{path.name} holds no JSON: {error}") from error


def pick(cells, names, **wanted):
    """The fastest cell of these strategies; Missing if none was measured."""
    chosen = [c for c in cells if c["strategy"] in names and all(c[key] == value for key, value in wanted.items())]
    measured = [c for c in chosen if c["status"] == "ok" and c["median_s"]]
    if not measured:
        reasons = "; ".join(f"{c['strategy']}: {c['status']}: {c['reason']}" for c in chosen)
        raise Missing(reasons or f"no cell of {', '.join(names)}")
    return min(measured, key=lambda c: c["median_s"])


def times_faster(fast, slow):
    """How many times faster, with the interval; its ends are None without intervals of the medians."""
    ratio = slow["median_s"] / fast["median_s"]
    if None in (fast["ci_low_s"], slow["ci_low_s"]):
        return ratio, None, None
    return ratio, slow["ci_low_s"] / fast["ci_high_s"], slow["ci_high_s"] / fast["ci_low_s"]


def faster_row(what, target, fast, slow):
    """A line that says `fast` must be `target` times faster than `slow`."""
    ratio, low, high = times_faster(fast, slow)
    note = f"{describe(fast)} {milliseconds(fast)}, {describe(slow)} {milliseconds(slow)}"
    return Row(what, f">= {target:g} x", ratio, low, high, lambda ratio: ratio >= target, note)


def describe(cell):
    """Strategy, flow, and the MPI library's algorithm or component where it was chosen."""
    name = cell["strategy"] if cell["flow"] == "whole" else f"{cell['strategy']} {cell['flow']}"
    chosen = [cell.get(choice, "default") for choice in ("algorithm", "component")]
    return " ".join([name] + [word for word in chosen if word != "default"])


def milliseconds(cell):
    """The median."""
    return f"{cell['median_s'] * 1e3:.3g} ms"


def share_row(what, target, cell):
    """A line for a cell's share of the limit, with its interval over blocks."""
    share = cell.get("share_of_limit")
    if share is None:
        note = f"the result has no share_of_limit; {describe(cell)} took {milliseconds(cell)}"
        return Row(what, f">= {target:.2f}", None, None, None, None, note)
    low, high = cell["share_low"], cell["share_high"]
    meets = lambda share: share >= target  # noqa: E731
    return Row(what, f">= {target:.2f}", share, low, high, meets, f"{describe(cell)} {milliseconds(cell)}")


def launches(directory, row):
    """Pairs of gradshard's cells and the peer's output, one a launch."""
    pairs = []
    for path in sorted(directory.glob(f"{row}-[0-9]*.json")):
        number = path.stem.rsplit("-", 1)[1]
        peer = directory / f"{row}-peer-{number}.json"
        if peer.exists():
            pairs.append((load(path)["cells"], load(peer)))
    if not pairs:
        raise Missing("not run")
    return pairs


def launched_row(what, target, pairs, strategy, peer_seconds, meets, as_overhead=False):
    """A line over launches in turn: `peer_seconds(peer)` is a peer's list of times, or None."""
    ratios, ours, theirs = [], [], []
    for cells, peer in pairs:
        seconds = peer_seconds(peer)
        if not seconds:
            raise Missing("; ".join(peer.get("skipped", {}).values()) or "the peer has no times")
        ours.append(pick(cells, (strategy,))["median_s"])
        theirs.append(statistics.median(seconds))
        ratios.append(ours[-1] / theirs[-1] - 1 if as_overhead else theirs[-1] / ours[-1])
    value, scale = statistics.median(ratios), 100 if as_overhead else 1
    note = (
        f"{len(pairs)} launches each: {strategy} {statistics.median(ours) * 1e3:.4g} ms"
        f" ({min(ours) * 1e3:.4g} to {max(ours) * 1e3:.4g}), peer {statistics.median(theirs) * 1e3:.4g} ms"
        f" ({min(theirs) * 1e3:.4g} to {max(theirs) * 1e3:.4g})"
    )
    row = Row(what, target, value * scale, min(ratios) * scale, max(ratios) * scale, meets, note)
    row.launches = len(pairs)
    return row


def size_bytes(text):
    """Bytes of a chunk size such as 1MiB or auto (256KiB)."""
    match = re.search(r"([\d.]+) ?(B|KiB|MiB|GiB)\b", text)
    if not match:
        raise Missing(f"flow {text!r} names no chunk size")
    return float(match[1]) * {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[match[2]]


def chunked_rows(cells):
    """Chunked against whole; and whether memory is that of chunks, two in flight for each input and the sum."""
    for way in ("shared", "messages"):
        of_way = [c for c in cells if c["intra_node"] == way]
        whole = pick(of_way, ("tree-lambda-fl",), flow="whole")
        chunked = pick([c for c in of_way if c["flow"] != "whole"], ("tree-lambda-fl",))
        row = faster_row(f"tree-lambda-fl 512 MiB, 4 ranks, {way}: chunked against whole", 1, chunked, whole)
        row.target, row.meets = "> 1 x", lambda ratio: ratio > 1
        yield row
        fan_in = int(chunked["clients"] ** 0.5 - 1e-9) + 1
        predicted = chunked["memory"]["predicted"]
        held = (predicted["accumulators"] + predicted["staging"]) / size_bytes(chunked["flow"])
        note = f"{chunked['flow']} chunks held by the rank that holds most, fan-in {fan_in}; whole holds "
        predicted = whole["memory"]["predicted"]
        note += f"{(predicted['accumulators'] + predicted['staging']) / size_bytes(chunked['flow']):g}"
        # The root may lie on a leaf's rank: two aggregators.
        bound = 2 * 2 * (fan_in + 1)
        yield Row(f"the same: memory beside gradients and result, {way}", f"<= {bound} chunks", held, None, None,
                  lambda held: held <= bound, note, exact=True)  # fmt: skip


def runs(directory, row):
    """The cells of every launch of a row."""
    paths = sorted(directory.glob(f"{row}-[0-9]*.json"))
    if not paths:
        raise Missing("not run")
    return [load(path)["cells"] for path in paths]


def over_launches(row, rows):
    """One line of the lines that each launch would make: its value is their median."""
    values = [one.value for one in rows]
    if None in values:
        raise Missing(next(one.note for one in rows if one.value is None))
    row.value, row.low, row.high = statistics.median(values), min(values), max(values)
    row.launches = len(rows)
    row.note = f"{len(rows)} launches: {together([one.note for one in rows])}"
    return row


def together(notes):
    """Of "a 2 ms, b 5 ms" and "a 3 ms, c 4 ms": "a 2 to 3 ms, b or c 4 to 5 ms"."""
    places = []
    for parts in zip(*(note.split(", ") for note in notes)):
        found = [part.rsplit(" ", 2) for part in parts]
        if any(len(words) != 3 or words[2] != "ms" for words in found):
            return "; ".join(notes)
        times = sorted((words[1] for words in found), key=float)
        names = " or ".join(dict.fromkeys(words[0] for words in found))
        places.append(f"{names} {times[0] if times[0] == times[-1] else f'{times[0]} to {times[-1]}'} ms")
    return ", ".join(places)


def share_over_launches(what, target, cells):
    """The share of the limit of the same cell of each launch."""
    return over_launches(share_row(what, target, cells[0]), [share_row(what, target, cell) for cell in cells])


def faster_over_launches(what, target, pairs):
    """How many times faster in each launch."""
    return over_launches(faster_row(what, target, *pairs[0]), [faster_row(what, target, *pair) for pair in pairs])


def two_clients(directory):
    found = runs(directory, "two-clients")
    pairs = [(pick(cells, ("sharded-direct",)), pick(cells, native_names(cells))) for cells in found]
    what = "2 ranks, N = 2, 128 MiB: sharded-direct against the library's best way to the same end"
    yield faster_over_launches(what, 10, pairs)
    yield share_over_launches("the same: share of the memory limit", 0.85, [direct for direct, _ in pairs])


def vgg16(directory):
    found = [pick(cells, ("sharded-direct",)) for cells in runs(directory, "vgg16")]
    yield share_over_launches("2 ranks, N = 20, VGG-16: share of the memory limit", 0.85, found)


def native_names(cells):
    return tuple({c["strategy"] for c in cells if c["strategy"].startswith("native-")})


def oversubscribed(directory):
    found = runs(directory, "oversubscribed")
    pairs = [(pick(cells, SHARDED), pick(cells, native_names(cells))) for cells in found]
    yield faster_over_launches("4 ranks on few cores, 128 MiB: best sharded against best native", 8, pairs)


def small(directory):
    cells = load(directory / "small.json")["cells"]
    for model in ("4KiB", "64KiB"):
        sharded, native = pick(cells, SHARDED, model=model), pick(cells, native_names(cells), model=model)
        yield faster_row(f"4 ranks, {model}: best sharded against best native", 1, sharded, native)


def chunked(directory):
    yield from chunked_rows(load(directory / "chunked.json")["cells"])


def wire_1(directory):
    cells = load(directory / "wire-1.json")["cells"]
    for name in ("sharded-direct", "sharded-ring"):
        yield share_row(f"4 nodes x 1 rank, 1 Gbit/s, 42.7 MiB: {name}, share of the wire", 0.9, pick(cells, (name,)))


def wire_1_delay(directory):
    cells = load(directory / "wire-1-delay.json")["cells"]
    for name in ("sharded-direct", "sharded-ring"):
        what = f"4 nodes x 1 rank, 1 Gbit/s, 200 µs, 42.7 MiB: {name}, share of the wire"
        yield share_row(what, 0.9, pick(cells, (name,)))


def wire_2_delay(directory):
    cell = pick(load(directory / "wire-2-delay.json")["cells"], ("sharded-node-aware",))
    what = "4 nodes x 2 ranks, 1 Gbit/s, 200 µs, 42.7 MiB: sharded-node-aware, share of the wire"
    yield share_row(what, 0.9, cell)


def nodes(directory):
    """No target: how many times faster the best sharded strategy is than the library's, for each number of nodes."""
    cells = load(directory / "nodes.json")["cells"]
    for model in ("resnet18", "vgg16"):
        for count in (1, 2, 4, 8):
            here = [c for c in cells if c["model"] == model and c["nodes"] == count]
            sharded = pick(here, SHARDED)
            for native in ("native-reduce-scatter", "native-reduce"):
                what = f"{count} node(s) x 1 rank, 1 Gbit/s, {model}: best sharded against {native}"
                row = faster_row(what, 1, sharded, pick(here, (native,)))
                share = sharded.get("share_of_limit")
                row.note += "" if share is None else f"; sharded at {share:.2f} of the limit"
                yield row


def wire_2(directory):
    cell = pick(load(directory / "wire-2.json")["cells"], ("sharded-node-aware",))
    yield share_row("4 nodes x 2 ranks, 1 Gbit/s, 42.7 MiB: sharded-node-aware, share of the wire", 0.9, cell)


def peer_row(pairs, what, target, seconds):
    meets = lambda ratio: ratio >= target  # noqa: E731
    return launched_row(what, f">= {target:g} x", pairs, "sharded-direct", seconds, meets)


def best_numpy(peer):
    """The times of the faster of numpy's two forms."""
    forms = [times for name, times in peer["seconds"].items() if name.startswith("numpy-")]
    return min(forms, key=statistics.median)


def peers_vgg16(directory):
    pairs = launches(directory, "peers-vgg16")
    running = lambda peer: peer["seconds"]["numpy-running-sum"]  # noqa: E731
    yield peer_row(pairs, "VGG-16 x 20 against numpy's running sum", 5, running)


def peers_resnet18(directory):
    pairs = launches(directory, "peers-resnet18")
    flower = lambda peer: peer["seconds"].get("flower-fedavg")  # noqa: E731
    yield peer_row(pairs, "ResNet-18 x 20 against Flower's FedAvg aggregate", 6, flower)
    yield peer_row(pairs, "ResNet-18 x 20 against the best of numpy", 1.5, best_numpy)


def overhead(directory):
    for name, what in (("128mib", "N = 2, 128 MiB"), ("resnet18", "N = 20, ResNet-18")):
        pairs = launches(directory, f"overhead-{name}")
        meets = lambda over: over < 5  # noqa: E731
        row = launched_row(f"engine over a hand-written C loop, 2 ranks, {what}", "< 5 %", pairs, "sharded-direct",
                           lambda peer: peer["seconds"], meets, as_overhead=True)  # fmt: skip
        _, peer = pairs[-1]
        rate = peer["add_bytes"] / statistics.median(peer["add_seconds"])
        row.note += f"; its three-stream add {rate / 1e9:.3g} GB/s"
        yield row


def collectives(directory):
    launched = launches(directory, "collectives")
    calls = (("native-reduce-scatter", "scattered", "reduce_scatter_seconds"), ("native-reduce", "root", "reduce_seconds"))
    for strategy, end, key in calls:
        # At another end the strategy makes a second call.
        pairs = [([cell for cell in cells if cell["end"] == end], peer) for cells, peer in launched]
        meets = lambda over: abs(over) <= 3  # noqa: E731
        yield launched_row(f"{strategy} over the same in C (call, divide), 2 ranks, 128 MiB", "+- 3 %", pairs, strategy,
                           lambda peer, key=key: peer[key], meets, as_overhead=True)  # fmt: skip


ROWS = {
    "two-clients": two_clients,
    "vgg16": vgg16,
    "oversubscribed": oversubscribed,
    "small": small,
    "chunked": chunked,
    "wire-1": wire_1,
    "wire-2": wire_2,
    "wire-1-delay": wire_1_delay,
    "wire-2-delay": wire_2_delay,
    "nodes": nodes,
    "peers-vgg16": peers_vgg16,
    "peers-resnet18": peers_resnet18,
    "overhead": overhead,
    "collectives": collectives,
}


def table(directory):
    """Every row's lines; what is missing says why."""
    for name, read in ROWS.items():
        for ending in ("skipped", "failed"):
            said = directory / f"{name}.{ending}"
            if said.exists():
                yield Row(name, "-", None, None, None, None, f"{ending}: {said.read_text().strip()}")
                break
        else:
            try:
                for row in read(directory):
                    yield row
            except Missing as missing:
                yield Row(name, "-", None, None, None, None, f"not measured: {missing}")


def main():
    """Prints the table as Markdown."""
    if len(sys.argv) != 2 or sys.argv[1] in ("-h", "--help"):
        print("usage: analysis/targets.py DIRECTORY", file=sys.stderr)
        raise SystemExit(0 if "-h" in sys.argv or "--help" in sys.argv else 2)
    directory = Path(sys.argv[1])
    if not directory.is_dir():
        raise SystemExit(f"targets: {directory}: no such directory")
    header = ("what", "target", "measured", "interval or range", "verdict", "how")
    lines = [header, *(row.cells() for row in table(directory))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for number, line in enumerate(lines):
        print("| " + " | ".join(f"{text:<{width}}" for text, width in zip(line, widths)) + " |")
        if number == 0:
            print("| " + " | ".join("-" * width for width in widths) + " |")


if __name__ == "__main__":
    main()
