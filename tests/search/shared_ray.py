"""Runs a Ray of two CPUs in its own process until its input ends, and prints its address.

A Ray that is started in a process leaves tokens there, on which later ones in that process fail.
"""

import sys

from ray.cluster_utils import Cluster

if __name__ == "__main__":
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    print(f"address={cluster.address}", flush=True)
    sys.stdin.read()
    cluster.shutdown()
