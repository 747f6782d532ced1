"""A ReFrame test of a cluster's aggregation: every cell is right, and fast enough.

    reframe -c jobs/reframe -r -S GradshardCheck.gradshard=$PWD/target/release/gradshard

Give references for your system in `reference`, or on the command line:

    -S 'GradshardCheck.least_gb_per_s=5.0'
"""

import json
import os

import reframe as rfm
import reframe.utility.sanity as sn

HERE = os.path.dirname(os.path.abspath(__file__))


@rfm.simple_test
class GradshardCheck(rfm.RunOnlyRegressionTest):
    descr = "federated aggregation: shards, trees and the MPI library's own collectives"
    valid_systems = ["*"]
    valid_prog_environs = ["*"]

    gradshard = variable(str, value="gradshard")
    experiment = variable(str, value=os.path.join(HERE, "..", "..", "configs", "first-look.json"))
    # The strategy whose speed is judged, and its least GB/s; 0 judges nothing.
    strategy = variable(str, value="sharded-direct")
    least_gb_per_s = variable(float, value=0.0)
    num_tasks = 2

    @run_before("run")
    def command(self):
        self.executable = self.gradshard
        self.executable_opts = ["run", os.path.abspath(self.experiment), "--output", "result.h5", "--force"]
        self.postrun_cmds = [f"{self.gradshard} show result.h5 --format json >result.json"]
        if self.least_gb_per_s > 0:
            self.reference = {"*": {"gradient_rate": (self.least_gb_per_s, 0.0, None, "GB/s")}}

    @deferrable
    def cells(self):
        with open(os.path.join(self.stagedir, "result.json"), encoding="utf-8") as file:
            return json.load(file)["cells"]

    @deferrable
    def best(self):
        cells = [cell for cell in self.cells().evaluate() if cell["strategy"] == self.strategy and cell["median_s"]]
        return min(cells, key=lambda cell: cell["median_s"])

    @sanity_function
    def every_cell_is_right(self):
        failed = [cell for cell in self.cells().evaluate() if cell["status"] == "failed"]
        return sn.assert_eq(len(failed), 0, msg=f"failed cells: {failed}")

    @performance_function("GB/s")
    def gradient_rate(self):
        return self.best().evaluate()["gradient_bytes_per_s"] / 1e9

    @performance_function("1")
    def share_of_limit(self):
        """Limit over time; 0 where no limit is known, as with gradients that fit into the caches."""
        return self.best().evaluate()["share_of_limit"] or 0.0

    @performance_function("MiB")
    def library_memory(self):
        return max(cell["memory"]["library_bytes"] or 0 for cell in self.cells().evaluate()) / 2**20
