"""What Ray and HyperQueue do of tasks that do nothing: tasks a second, and one task's round trip in milliseconds."""

import contextlib
import json
import logging
import os
import sys
import tempfile
import time

TASKS = 10_000
SYNC = 2_000


def ray_figures():
    import ray

    ray.init(include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False)

    @ray.remote
    def nothing():
        return None

    @ray.remote
    class Actor:
        def nothing(self):
            return None

    def rate(call):
        begun = time.perf_counter()
        ray.get([call() for _ in range(TASKS)])
        return TASKS / (time.perf_counter() - begun)

    actor = Actor.remote()
    ray.get([nothing.remote() for _ in range(500)] + [actor.nothing.remote()])
    figures = {"ray_async": rate(nothing.remote), "ray_actor": rate(actor.nothing.remote)}
    times = []
    for _ in range(SYNC):
        begun = time.perf_counter()
        ray.get(nothing.remote())
        times.append((time.perf_counter() - begun) * 1e3)
    times.sort()
    ray.shutdown()
    return figures | {"ray_sync_p50": times[SYNC // 2], "ray_sync_p99": times[SYNC * 99 // 100]}


def hyperqueue_figures():
    from hyperqueue import Job
    from hyperqueue.cluster import LocalCluster, WorkerConfig

    tasks = TASKS // 5
    with tempfile.TemporaryDirectory() as folder, LocalCluster(folder) as cluster:
        for _ in range(16):
            cluster.start_worker(WorkerConfig(cores=4))
        client, job = cluster.client(), Job()
        for _ in range(tasks):
            job.program(["/bin/true"], stdout=None, stderr=None)
        begun = time.perf_counter()
        client.wait_for_jobs([client.submit(job)])
        return {"hyperqueue": tasks / (time.perf_counter() - begun)}


# What they say of themselves is no figure.
with contextlib.redirect_stdout(sys.stderr):
    found = ray_figures() | hyperqueue_figures()
# HyperQueue's threads outlive its cluster.
os.write(1, b"\n" + json.dumps(found).encode())
os._exit(0)
