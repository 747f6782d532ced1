"""Faults in rounds on a store that speaks S3: functions that are killed, a store that stands still or is gone for 10 s, objects that are
cut off or changed. Each round must be right, to the bit, or fail with the object's name.

    store_faults.py PROGRAM COUNT -- STORE-COMMAND...

PROGRAM is gradshard-function with the feature s3. COUNT faults are tried, a fifth of each kind. STORE-COMMAND starts the store, which is
killed and started again, such as `garage -c FILE server --single-node --default-bucket`. The environment has GRADSHARD_BUCKET,
AWS_ENDPOINT_URL, AWS_REGION, AWS_DEFAULT_REGION, AWS_ALLOW_HTTP and the credentials, and whatever STORE-COMMAND needs
(GARAGE_DEFAULT_ACCESS_KEY, GARAGE_DEFAULT_SECRET_KEY, GARAGE_DEFAULT_BUCKET, GARAGE_RPC_SECRET). Needs boto3.
"""

import collections
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

import boto3

KINDS = ["killed function", "still store", "killed store", "cut-off object", "changed object"]
PATIENCE = 10.0


def children(process):
    """Numbers of the processes that the threads of a process have started."""
    found = []
    for task in pathlib.Path(f"/proc/{process}/task").glob("*/children"):
        try:
            found += [int(word) for word in task.read_text().split()]
        except OSError:
            pass
    return found


class Faults:
    def __init__(self, program, store_command):
        self.program, self.store_command = program, store_command
        self.bucket = os.environ["GRADSHARD_BUCKET"]
        self.client = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
        self.place = tempfile.TemporaryDirectory()
        self.here = pathlib.Path(self.place.name)
        experiment = {"models": 1 << 20, "clients": 6, "shards": 3, "strategies": ["sharded-direct"]}
        for name, strategy in [("sharded", "sharded-direct"), ("tree", "tree-lambda-fl")]:
            (self.here / f"{name}.json").write_text(json.dumps(experiment | {"strategies": [strategy]}))
        platform = json.loads(pathlib.Path("configs/platforms/aws-lambda-s3.json").read_text())
        # A request takes 0.1 s and a level begins 0.5 s late, so that there is time for a fault.
        platform["memory"]["mib_per_vcpu"]["value"] = 1
        platform["speed"] |= {"get_vcpu_s": 0.1, "put_s": 0.1, "dispatch_s": 0.5}
        (self.here / "platform.json").write_text(json.dumps(platform))
        self.start_store()

    def start_store(self):
        self.store = subprocess.Popen(self.store_command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while True:
            try:
                self.client.list_objects_v2(Bucket=self.bucket, MaxKeys=1)
                return
            except Exception:
                time.sleep(0.1)

    def objects(self):
        listed = self.client.list_objects_v2(Bucket=self.bucket, Prefix="faults/")
        return [entry["Key"] for entry in listed.get("Contents", [])]

    def remove_all(self):
        for key in self.objects():
            self.client.delete_object(Bucket=self.bucket, Key=key)

    def round(self, kind, name):
        """Carries one round out with a fault. Returns the row, the object that was hit, and the seconds."""
        command = [self.program, "round", self.here / f"{name}.json", "--trust", "--store", f"s3://{self.bucket}/faults"]
        command += ["--platform", self.here / "platform.json", "--keep-time=delay", "--attempts", "5"]
        begun, hit = time.monotonic(), None
        running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        # All clients' objects are there when the first level begins, 0.5 s later.
        clients = 18 if name == "sharded" else 6
        while running.poll() is None and len([key for key in self.objects() if "/client-" in key]) < clients:
            time.sleep(0.02)
        if kind == "killed function":
            time.sleep(0.5 + random.uniform(0, 0.6))
            for child in children(running.pid)[:1]:
                os.kill(child, signal.SIGKILL)
                hit = "a function"
        elif kind == "still store":
            time.sleep(random.uniform(0.3, 1.0))
            self.store.send_signal(signal.SIGSTOP)
            time.sleep(PATIENCE)
            self.store.send_signal(signal.SIGCONT)
            hit = "the store"
        elif kind == "killed store":
            time.sleep(random.uniform(0.3, 1.0))
            self.store.kill()
            self.store.wait()
            time.sleep(PATIENCE)
            self.start_store()
            hit = "the store"
        else:
            key = random.choice([key for key in self.objects() if "/client-" in key])
            body = bytearray(self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read())
            if kind == "cut-off object":
                body = body[: random.randrange(len(body))]
            else:
                body[random.randrange(len(body))] ^= 1 << random.randrange(8)
            self.client.put_object(Bucket=self.bucket, Key=key, Body=bytes(body))
            hit = key.rsplit("/", 1)[1]
        out, said = running.communicate()
        if not out:
            return {"status": "none", "reason": said.decode()}, hit, time.monotonic() - begun
        return json.loads(out.splitlines()[0]), hit, time.monotonic() - begun


def judged(kind, name, row, hit):
    """Says what came of a round; raises if that must not be."""
    ok, reason = row["status"] == "ok", row["reason"]
    secrets = [os.environ[key] for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")]
    assert not any(secret in json.dumps(row) for secret in secrets), "a credential in a row"
    if ok:
        differing = row["verification"]["differing_elements"]
        assert name != "sharded" or differing == 0, row
        assert row["verification"]["wrong_elements"] == 0, row
        if kind.endswith("object"):
            # Read before it was damaged: the round is right.
            return "right, as the object had been read"
        return "right, a function started again" if row["killed"] else "right, requests repeated or none lost"
    assert "object " in reason, row
    if kind.endswith("object"):
        assert f"object {hit}: " in reason, (hit, row)
    return "failed with the object's name"


def main():
    program, count = sys.argv[1], int(sys.argv[2])
    faults = Faults(program, sys.argv[sys.argv.index("--") + 1 :])
    outcomes, longest = collections.Counter(), collections.Counter()
    try:
        for number in range(count):
            kind, name = KINDS[number % len(KINDS)], ["sharded", "tree"][number // len(KINDS) % 2]
            row, hit, seconds = faults.round(kind, name)
            outcome = judged(kind, name, row, hit)
            outcomes[kind, outcome] += 1
            longest[kind] = max(longest[kind], seconds)
            faults.remove_all()
            print(f"{number + 1}: {kind}, {name}: {outcome}, {seconds:.1f} s", file=sys.stderr, flush=True)
    finally:
        faults.store.kill()
    for (kind, outcome), times in sorted(outcomes.items()):
        print(f"{times:3} {kind}: {outcome} (at most {longest[kind]:.1f} s)")
    print(f"{outcomes.total()} of {count}")


main()
