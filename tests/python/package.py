"""Checks the Python package of analysis/python against other sources: gradshard's JSON, NumPy's weighted mean, and Flower's.

    package.py read FILE | convert | flower        in an empty directory; GRADSHARD is the program

Called by tests/python_package.rs.
"""

import json
import os
import subprocess
import sys

import numpy as np

import gradshard

PROGRAM = os.environ["GRADSHARD"]
SHAPES = {"fc.weight": (30, 20), "fc.bias": (30,)}


def read(path):
    shown = json.loads(subprocess.check_output([PROGRAM, "show", path, "--format", "json"], stderr=subprocess.DEVNULL))
    result = gradshard.read(path)
    cells, expected = result.cells, shown["cells"]
    assert len(cells) == len(expected) == 3
    for name in ("strategy", "status", "elements", "samples"):
        assert list(cells[name]) == [cell[name] for cell in expected], name
    assert [None if np.isnan(x) else x for x in cells["median_s"]] == [cell["median_s"] for cell in expected]
    assert all(cells[name].dtype == "category" for name in ("strategy", "end", "status"))
    assert cells["reason"].dtype != "category" and "ceiling" in cells["reason"][2]
    assert cells["verification_differing_elements"].isna().tolist() == [False, False, True]
    assert cells["elements"].sum() == 3 * 1000
    assert cells.attrs["units"]["median_s"] == "s" and cells.attrs["units"]["aggregating_bytes"] == "B"
    assert "median" in cells.attrs["meanings"]["median_s"]
    counted = result.rounds.groupby("strategy", observed=True)["seconds"].agg(["count", "median"])
    for cell in expected[:2]:
        assert counted["count"][cell["strategy"]] == cell["samples"] > 0
        assert counted["median"][cell["strategy"]] == cell["median_s"]
    assert len(result.samples) >= len(result.rounds) and len(result.blocks) >= 10 and len(result.jobs) == 1
    assert list(result.ratios["verdict"]) == [ratio["verdict"] for ratio in shown["ratios"]]
    assert list(result.answers["sentence"]) == [answer["sentence"] for answer in shown["answers"]] != []
    assert result.experiment["models"] == 1000 and result.environment["ranks"] == 2
    assert len(result.pooled_ratios) == 0


def aggregated(directory):
    """Returns what gradshard makes of the updates in a directory."""
    experiment = {
        "gradients": {"source": "safetensors", "path": directory},
        "strategies": "tree-central",
        "repeat": {"blocks": 1, "warmup": 0},
    }
    with open("made.json", "w", encoding="utf-8") as file:
        json.dump(experiment, file)
    command = [PROGRAM, "run", "made.json", "--threads", "1", "--no-limits", "--quiet", "--force", "--keep-result", "kept"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (kept,) = os.listdir("kept")
    result = np.load(os.path.join("kept", kept))
    os.remove(os.path.join("kept", kept))
    return result


def close(found, clients, weights):
    """Compares with the weighted mean in f64 of the clients' tensors, concatenated in order of their names."""
    flat = [np.concatenate([client[name].ravel() for name in sorted(client)]).astype(np.float64) for client in clients]
    np.testing.assert_allclose(found, np.average(flat, axis=0, weights=weights), rtol=1e-5, atol=1e-7)


def made(clients):
    random = np.random.default_rng(5)
    return [{name: random.standard_normal(shape).astype(np.float32) for name, shape in SHAPES.items()} for _ in range(clients)]


def convert_with(write, extension):
    weights = [10, 30, 5]
    clients = made(3)
    os.makedirs(f"updates-{extension}")
    for number, (tensors, weight) in enumerate(zip(clients, weights)):
        write(f"updates-{extension}/c{number}.{extension}", {**tensors, "bn.num_batches_tracked": np.int64(7), "num_samples": np.int64(weight)})
    files = [f"updates-{extension}/c{number}.{extension}" for number in range(3)]
    command = [sys.executable, "-m", "gradshard.convert", *files, "--output", f"converted-{extension}"]
    said = subprocess.check_output(command, text=True)
    assert said.count("left out: bn.num_batches_tracked") == 3, said
    close(aggregated(f"converted-{extension}"), clients, weights)
    again = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    assert again.returncode != 0 and "exists" in again.stderr and "Traceback" not in again.stderr, again.stderr


def convert():
    convert_with(lambda path, tensors: np.savez(path, **tensors), "npz")
    try:
        import torch
    except ImportError:
        print("no torch, so state_dict files were not tried")
        return
    convert_with(lambda path, tensors: torch.save({name: torch.as_tensor(t) for name, t in tensors.items()}, path), "pt")


def flower():
    """Both interfaces of Flower: its own aggregation and gradshard's agree on the updates that were saved."""
    from unittest.mock import Mock

    from flwr.app import Array, ArrayRecord, Message, Metadata, MetricRecord, RecordDict
    from flwr.common import Code, FitRes, Status, ndarrays_to_parameters, parameters_to_ndarrays
    from flwr.server.client_proxy import ClientProxy
    from flwr.server.strategy import FedAvg
    from flwr.serverapp.strategy import FedAvg as FedAvgOfMessages

    from gradshard.flower import SaveUpdates

    weights, clients = [10, 30, 5], made(3)

    def agree(directory, layers):
        assert len(os.listdir(directory)) == 3
        flat = np.concatenate([layer.ravel() for layer in layers])
        np.testing.assert_allclose(aggregated(directory), flat, rtol=1e-5, atol=1e-7)

    strategy = SaveUpdates(FedAvg(min_fit_clients=2), "fit")
    assert strategy.min_fit_clients == 2
    results = []
    for number, (tensors, weight) in enumerate(zip(clients, weights)):
        proxy = Mock(spec=ClientProxy, cid=str(number))
        parameters = ndarrays_to_parameters(list(tensors.values()))
        results.append((proxy, FitRes(Status(Code.OK, ""), parameters, weight, {})))
    parameters, _ = strategy.aggregate_fit(2, results, [])
    agree("fit/round-2", parameters_to_ndarrays(parameters))

    # The strategy's own loop, with replies that no network carried.
    replies = []
    for number, (tensors, weight) in enumerate(zip(clients, weights)):
        arrays = ArrayRecord({name: Array(tensor) for name, tensor in tensors.items()})
        content = RecordDict({"arrays": arrays, "metrics": MetricRecord({"num-examples": weight})})
        metadata = Metadata(1, "", number, 0, "", "", 0.0, 60.0, "train")
        replies.append(Message(content, metadata=metadata))
    strategy = SaveUpdates(FedAvgOfMessages(fraction_evaluate=0.0), "train")
    strategy.strategy.configure_train = lambda *arguments: []
    grid = Mock()
    grid.send_and_receive.side_effect = [replies, []]
    arrays = strategy.start(grid, ArrayRecord(), num_rounds=1).arrays
    agree("train/round-1", [arrays[name].numpy() for name in sorted(SHAPES)])


if __name__ == "__main__":
    {"read": read, "convert": convert, "flower": flower}[sys.argv[1]](*sys.argv[2:])
    print(f"{sys.argv[1]}: all is as expected")
