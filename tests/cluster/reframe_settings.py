# ReFrame's settings for the virtual cluster, whose Slurm keeps no accounts: jobs are looked up with squeue.
site_configuration = {
    "systems": [
        {
            "name": "virtual",
            "hostnames": [".*"],
            "partitions": [{"name": "debug", "scheduler": "squeue", "launcher": "srun", "environs": ["builtin"]}],
        }
    ]
}
