"""Reads a result file with h5py alone and checks it against numbers written down here.

Called by tests/h5py_reads.rs, which writes the file. Needs no part of gradshard.
"""

import hashlib
import json
import math
import sys

import h5py

NONE = 2**64 - 1


def same(found, right):
    assert found == right, f"found {found!r}, expected {right!r}"


def main(path):
    with h5py.File(path, "r") as f:
        same(f.attrs["format"], "gradshard results")
        same(int(f.attrs["schema_version"]), 8)
        same(f.attrs["created"][-1], "Z")
        same(f.attrs["gradshard_version"].count("."), 2)
        same(
            sorted(f),
            "blocks cells environment experiment jobs memory_kernel memory_predicted memory_tracked "
            "pooled_ratios rank_producing_seconds rank_seconds rank_start_seconds ratios samples".split(),
        )

        given = f["experiment"][()]
        same(given, '{ "name": "first-look", "note": "θ" }\n'.encode())
        same(f["experiment"].attrs["sha256"], hashlib.sha256(given).hexdigest())
        environment = json.loads(f["environment"].asstr()[()])
        same(environment, {"mpi_library": "Open MPI", "cores": 2, "load": 0.5, "shared": True, "hosts": ["a", "b"]})
        attributes = f["environment"].attrs
        same(sorted(attributes), ["cores", "load", "mpi_library", "shared"])
        same((attributes["mpi_library"], int(attributes["cores"]), float(attributes["load"])), ("Open MPI", 2, 0.5))
        assert bool(attributes["shared"])

        cells = f["cells"]
        same(len(cells), 2)
        same(list(cells.dtype.names[:4]), ["job", "cell", "comparison", "strategy"])
        assert set(cells.attrs) == set(cells.dtype.names), "every column is documented, and nothing else"
        assert cells.attrs["median_s"].startswith("[s] ")
        assert cells.attrs["memory_result"].startswith("[B] ")
        good, bad = cells[0], cells[1]
        same([good["strategy"].decode(), good["status"].decode(), good["reason"].decode()], ["sharded-direct", "ok", ""])
        same([int(good["elements"]), float(good["median_s"])], [1000003, 0.125])
        assert math.isnan(good["ci_low_s"])
        same([int(good["memory_" + p]) for p in ("resident", "accumulators", "staging", "result")], [4, 3, 2, 1])
        assert bool(good["verified"])
        same([int(good["verification_differing_elements"]), int(good["verification_max_ulp"])], [7, 2])
        same(good["verification_reference"].decode(), "flat server")
        same([good[name].decode() for name in ("family", "end", "dtype", "limit_part")], ["sharded", "everywhere", "f32", ""])
        same([bad["status"].decode(), bad["reason"].decode()], ["infeasible", "needs 12 GiB, “all” of it"])
        assert not bool(bad["verified"]) and math.isnan(bad["median_s"])
        same(int(bad["verification_differing_elements"]), NONE)

        same([good["stopped"].decode(), int(good["looks"]), int(good["blocks"])], ["precise", 2, 20])
        same([int(good["warm_up_samples"]), bool(good["drifts"])], [3, False])
        same([float(good["lag1_autocorrelation"]), float(good["effective_samples"])], [0.5, 6.0])
        assert math.isnan(bad["lag1_autocorrelation"]) and bad["stopped"].decode() == ""

        ratios = f["ratios"]
        assert set(ratios.attrs) == set(ratios.dtype.names), "every column of a ratio is documented"
        (ratio,) = ratios[()]
        same([int(ratio[name]) for name in ("comparison", "cell", "baseline", "blocks")], [4, 1, 0, 20])
        same([float(ratio[name]) for name in ("estimate", "ci_low", "alpha")], [1.5, 1.25, 0.0125])
        same([float(ratio[name]) for name in ("p", "p_holm", "p_same_holm", "margin")], [0.001, 0.004, 1.0, 0.02])
        assert math.isnan(ratio["ci_high"]) and ratios.attrs["ci_high"].startswith("[1] ")
        same(ratio["verdict"].decode(), "slower")

        jobs = f["jobs"]
        assert set(jobs.attrs) == set(jobs.dtype.names) and set(f["pooled_ratios"].attrs) == set(f["pooled_ratios"].dtype.names)
        same([(int(job["job"]), job["file"].decode(), len(job["id"])) for job in jobs], [(0, "", 32)])
        same(json.loads(jobs[0]["environment"]), environment)
        same([len(f["pooled_ratios"]), int(good["job"]), int(bad["job"]), int(ratio["job"])], [0, 0, 0, 0])

        samples = f["samples"]
        names = "job cell block place seconds late_ranks superseded involuntary_switches off_core_seconds ranks"
        same(samples.dtype.names, tuple(names.split()))
        same([tuple(row) for row in samples[()].tolist()], [(0, 0, 0, 1, 0.25, 0, 0, 3, 0.5, 3), (0, 0, 1, 0, 0.125, 1, 0, 3, 0.5, 2)])
        starts = f["rank_start_seconds"]
        same(starts[0].tolist(), [2.0, 2.0, 2.0])
        assert math.isnan(starts[1, 2]) and starts.attrs["unit"] == "s" and starts.attrs["axes"] == "sample, rank"

        blocks = f["blocks"]
        assert set(blocks.attrs) == set(blocks.dtype.names), "every column of a block is documented"
        (block,) = blocks[()]
        same([int(block[name]) for name in ("comparison", "block", "rounds", "missed_windows", "cores")], [4, 1, 6, 1, 2])
        same([float(block[name]) for name in ("began_unix_s", "busy_core_seconds")], [1.5e9, 0.25])
        assert math.isnan(block["cpu_mhz_min"]) and block["start"].decode() == "window"
        seconds = f["rank_seconds"][()]
        same(seconds.shape, (2, 3))
        same(seconds[0].tolist(), [0.25, 0.125, 0.0625])
        same(seconds[1, :2].tolist(), [0.125, 0.0])
        assert math.isnan(seconds[1, 2])
        same(f["rank_producing_seconds"][0].tolist(), [0.5, 1.0, 2.0])
        same(f["rank_seconds"].attrs["unit"], "s")

        memory = f["memory_predicted"]
        same(list(memory.attrs["purposes"]), ["resident", "accumulators", "staging", "result"])
        same(memory.shape, (2, 2, 4))
        same(memory[0].tolist(), [[4, 3, 2, 1], [0, 0, 0, 9]])
        assert (memory[1] == memory.attrs["missing"]).all() and int(memory.attrs["missing"]) == NONE
        tracked = f["memory_tracked"]
        same(tracked[0].tolist(), [[4, 3, 2, 1], [NONE] * 4])
        same(list(tracked.attrs["purposes"]), list(memory.attrs["purposes"]))
        kernel = f["memory_kernel"]
        same(list(kernel.attrs["figures"]), ["round", "resident", "baseline", "neighbours", "group_peak"])
        same(kernel[0].tolist(), [[7, 4, 100, 50, 1000], [NONE] * 5])
    print("h5py reads it all")


main(sys.argv[1])
