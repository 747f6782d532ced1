"""Holds a report against its result file, read by h5py: check_report.py FILE DIR.

Called by tests/report.rs. Needs no part of gradshard.
"""

import csv
import html.parser
import math
import os
import re
import sys
import xml.etree.ElementTree as ET

import h5py

VOID = {"meta", "br", "hr", "link"}


class Page(html.parser.HTMLParser):
    """Checks that tags nest, and collects rows of tables, answers and addresses."""

    def __init__(self):
        super().__init__()
        self.open, self.rows, self.answers, self.links, self.ids = [], [], [], [], []
        self.within_answers = False

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        assert "src" not in attributes, attributes
        if "href" in attributes:
            self.links.append([attributes["href"], attributes.get("aria-label"), ""])
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if tag == "th":
            assert attributes.get("scope") in ("col", "row"), attributes
        if tag == "svg":
            assert attributes["role"] == "img" and re.search(r"\d", attributes["aria-label"]), attributes
        if tag in ("ul", "ol"):
            self.within_answers = attributes.get("class") == "answers"
        if tag in VOID:
            return
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag == "td" or attributes.get("scope") == "row":
            self.rows[-1].append("")
        if tag == "li" and self.within_answers:
            self.answers.append("")

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        found = self.open.pop()
        assert found == tag, f"</{tag}> closes <{found}>"

    def handle_data(self, data):
        if "a" in self.open:
            self.links[-1][2] += data
        if "td" in self.open or ("th" in self.open and "tbody" in self.open):
            self.rows[-1][-1] += data
        elif "li" in self.open and self.within_answers:
            self.answers[-1] += data


def seconds(text):
    number, unit = text.split()
    return float(number) * {"s": 1, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}[unit]


def near(found, right, part, what):
    assert abs(found / right - 1) < part, f"{what}: {found}, expected {right}"


def svg(directory, name):
    root = ET.parse(os.path.join(directory, name + ".svg")).getroot()
    return [(element.tag.split("}")[1], element.attrib, (element.text or "").strip()) for element in root.iter()]


def main(path, directory):
    with h5py.File(path) as file:
        cells, ratios, samples = file["cells"][()], file["ratios"][()], file["samples"][()]
    of = {int(cell["cell"]): cell for cell in cells}
    page = Page()
    with open(os.path.join(directory, "index.html"), encoding="utf-8") as file:
        page.feed(file.read())
    assert page.open == [], page.open
    assert len(page.ids) == len(set(page.ids)), "an id is given twice"
    leads = {}
    for address, label, text in page.links:
        there = address[1:] in page.ids if address.startswith("#") else os.path.exists(os.path.join(directory, address))
        assert there, f"{address} is not there"
        # A name leads to one place.
        assert (label or text).strip(), address
        assert leads.setdefault((label or text).strip(), address) == address, (label, text, address)
    assert page.links[0][0] == "#answer", "the first link skips to the answer"

    # Every cell is a row of a table, with its median, interval, sample count, memory and differing elements.
    rows = [row for row in page.rows if len(row) == 15]
    assert len(rows) == len(cells), (len(rows), len(cells))
    for row, cell in zip(rows, cells):
        assert [row[0], int(row[1]), row[2]] == [cell["strategy"].decode(), int(cell["shards"]), cell["flow"].decode()]
        assert row[14].startswith(cell["status"].decode())
        if cell["status"] != b"ok":
            continue
        near(seconds(row[3]), cell["median_s"], 1e-3, "median")
        low, high = re.fullmatch(r"([\d.]+)–([\d.]+) (\S+)", row[4]).group(1, 2)
        near(seconds(f"{low} {row[4].split()[-1]}"), cell["ci_low_s"], 1e-3, "lower end")
        near(seconds(f"{high} {row[4].split()[-1]}"), cell["ci_high_s"], 1e-3, "upper end")
        assert int(row[5]) == cell["samples"]
        near(float(row[7].split()[0]) * 1e9, cell["gradient_bytes_per_s"], 6e-3, "throughput")
        near(float(row[8].split()[0]) / 100, cell["share_of_limit"], 6e-3, "share")
        unit = {"B": 1, "KiB": 2**10, "MiB": 2**20}
        near(float(row[9].split()[0]) * unit[row[9].split()[1]], cell["aggregating_bytes"], 6e-3, "memory")
        near(float(row[10].split()[0]) * unit[row[10].split()[1]], cell["kernel_round"], 6e-3, "seen")
        assert int(row[12].replace(",", "")) == cell["verification_differing_elements"]

    # The answer: the best of each family by its median, and the ratio of the two.
    for comparison in sorted(set(int(cell["comparison"]) for cell in cells)):
        timed = [c for c in cells if c["comparison"] == comparison and c["status"] == b"ok"]
        best = {f: min((c for c in timed if c["family"] == f), key=lambda c: c["median_s"]) for f in (b"sharded", b"tree")}
        (ratio,) = [r for r in ratios if {int(r["cell"]), int(r["baseline"])} == {int(c["cell"]) for c in best.values()}]
        answer = next(a for a in page.answers if a.startswith(best[b"tree"]["model"].decode()))
        times = float(re.search(r"([\d.]+)× \[", answer).group(1))
        slower = of[int(ratio["cell"])]["family"] == b"tree"
        near(times, ratio["estimate"] if slower else 1 / ratio["estimate"], 6e-3, answer)
        assert ("Shard. " in answer) == slower, answer

    # The tables as CSV, to the last digit.
    with open(os.path.join(directory, "cells.csv"), encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == len(cells)
    for row, cell in zip(table, cells):
        assert row["label"] == "made" and row["model"] == cell["model"].decode()
        if not math.isnan(cell["median_s"]):
            assert float(row["median_s"]) == cell["median_s"]
    with open(os.path.join(directory, "ratios.csv"), encoding="utf-8", newline="") as file:
        assert [float(row["estimate"]) for row in csv.DictReader(file)] == [float(r["estimate"]) for r in ratios]

    # The picture of samples: a circle a round of each strategy's fastest cell, at its time on the axis.
    first = [c for c in cells if c["comparison"] == 0 and c["status"] == b"ok"]
    fastest = {}
    for cell in sorted(first, key=lambda c: c["median_s"]):
        fastest.setdefault(cell["strategy"], cell)
    name = next(n for n in sorted(os.listdir(directory)) if n.startswith("m0") and n.endswith("distribution.svg"))
    elements = svg(directory, name[:-4])
    ticks = []
    for tag, attributes, text in elements:
        if tag == "text" and attributes["text-anchor"] == "middle" and re.fullmatch(r"[\d.]+ (s|ms|µs|ns)", text):
            ticks.append((float(attributes["x"]), math.log(seconds(text))))
    (x0, t0), (x1, t1) = ticks[0], ticks[-1]
    drawn = sorted(math.exp(t0 + (float(a["cx"]) - x0) * (t1 - t0) / (x1 - x0)) for tag, a, _ in elements if tag == "circle")
    right = sorted(s["seconds"] for s in samples if int(s["cell"]) in {int(c["cell"]) for c in fastest.values()})
    assert len(drawn) == len(right), (len(drawn), len(right))
    for found, expected in zip(drawn, right):
        near(found, expected, 0.02, "a sample")

    # The speed-up over the least number of shards, in the text of each mark.
    elements = svg(directory, name[:-4].replace("distribution", "speed-up-over-shards"))
    said = [re.fullmatch(r"sharded-direct, shards M (\d+): ([\d.]+)×", text) for tag, _, text in elements if tag == "title"]
    said = {int(match.group(1)): float(match.group(2)) for match in said if match}
    direct = {int(c["shards"]): c["median_s"] for c in first if c["strategy"] == b"sharded-direct"}
    assert said.keys() == direct.keys() and len(said) > 1, said
    for shards, times in said.items():
        near(times, direct[min(direct)] / direct[shards], 6e-3, "a speed-up")

    # Bars of the share of the limit: their widths are in the ratio of the shares.
    elements = svg(directory, name[:-4].replace("distribution", "share-of-limit"))
    bars = [float(a["width"]) for tag, a, _ in elements if tag == "rect" and a.get("fill", "") not in ("none", "#FFFFFF")]
    shares = sorted((float(c["share_of_limit"]) for c in fastest.values()), reverse=True)
    assert len(bars) == len(shares), (bars, shares)
    for bar, share in zip(bars, shares):
        near(bar / bars[0], share / shares[0], 0.02, "a bar")
    print("the report says what the file says")


main(sys.argv[1], sys.argv[2])
