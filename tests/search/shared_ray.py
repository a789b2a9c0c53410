"""A Ray of two CPUs in a process of its own, until its input ends; it prints its address.

Of its own, since a Ray that is started in a process leaves tokens there that others of that process then fail on.
"""

import sys

from ray.cluster_utils import Cluster

if __name__ == "__main__":
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    print(f"address={cluster.address}", flush=True)
    sys.stdin.read()
    cluster.shutdown()
