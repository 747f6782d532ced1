"""Saves the updates that a Flower server aggregates.

    strategy = SaveUpdates(FedAvg(...), "updates")

Round 3 of client 7 becomes updates/round-3/client-7.safetensors, with num_examples as its weight. In an experiment:

    {"gradients": {"source": "safetensors", "path": "updates/round-3"}}
"""

import os

from gradshard import gradients


class SaveUpdates:
    """A Flower strategy that saves every client's update, and otherwise is the strategy that it wraps.

    Works with both of Flower's interfaces: strategies with aggregate_fit (flwr.server) and with aggregate_train
    (flwr.serverapp). What is saved is what clients send and the server averages: whole parameters with FedAvg. Layers that
    have no names are called 0000, 0001 … in their order.
    """

    def __init__(self, strategy, directory):
        self.strategy, self.directory = strategy, os.fspath(directory)
        # A strategy of flwr.serverapp runs its own loop, which must find the method that saves.
        for name, saving in (("aggregate_fit", self._saving_fit), ("aggregate_train", self._saving_train)):
            if hasattr(strategy, name):
                setattr(strategy, name, saving(getattr(strategy, name)))

    def __getattr__(self, name):
        return getattr(self.strategy, name)

    def _saving_fit(self, aggregate):
        def aggregate_fit(server_round, results, failures):
            from flwr.common import parameters_to_ndarrays

            for client, result in results:
                layers = parameters_to_ndarrays(result.parameters)
                tensors = {f"{number:04}": layer for number, layer in enumerate(layers)}
                self._save(server_round, client.cid, tensors, result.num_examples)
            return aggregate(server_round, results, failures)

        return aggregate_fit

    def _saving_train(self, aggregate):
        def aggregate_train(server_round, replies):
            replies = list(replies)
            for reply in replies:
                if reply.has_error():
                    continue
                (arrays,) = reply.content.array_records.values()
                (metrics,) = reply.content.metric_records.values()
                weight = metrics[getattr(self.strategy, "weighted_by_key", "num-examples")]
                tensors = {name: array.numpy() for name, array in arrays.items()}
                self._save(server_round, reply.metadata.src_node_id, tensors, weight)
            return aggregate(server_round, replies)

        return aggregate_train

    def _save(self, server_round, client, tensors, weight):
        directory = os.path.join(self.directory, f"round-{server_round}")
        os.makedirs(directory, exist_ok=True)
        gradients.save(os.path.join(directory, f"client-{client}.safetensors"), tensors, float(weight))
