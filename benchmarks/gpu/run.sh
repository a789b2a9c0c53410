#!/usr/bin/env bash
# benchmarks/gpu/run.sh RESULTS [DATA_DIR [PART ...]]: runs all GPU measurements in a quarter of an hour. Each part has a time
# limit and writes its output to RESULTS/PART.md, even if it fails; the other parts still run. Parts: machine tests step
# full_scale packing. DATA_DIR holds MNIST/raw and optionally documents/; max_digit's images are made in it.
#
# On a machine without a network, whose Python has PyTorch, torchvision, pandas, pyarrow, scikit-learn, Pillow and psutil,
# with Ray and Optuna in site.tar.xz and MNIST in MNIST.tar.xz:
#
#   mkdir -p /tmp/site /tmp/data && tar -xJf site.tar.xz -C /tmp/site && tar -xJf MNIST.tar.xz -C /tmp/data
#   PYTHONPATH=/tmp/site benchmarks/gpu/run.sh RESULTS /tmp/data machine tests step full_scale    # within 10 minutes
#   PYTHONPATH=/tmp/site benchmarks/gpu/run.sh RESULTS /tmp/data packing                          # within 10 minutes
#
# SMALL=1 tries everything with tiny settings, also on a CPU.
set -uo pipefail

results=${1:?usage: benchmarks/gpu/run.sh RESULTS [DATA_DIR [PART ...]]}
mkdir -p "$results" && results=$(cd "$results" && pwd) || exit
data=${2:+$(cd "$2" && pwd)}
parts=("${@:3}")
[ ${#parts[@]} -gt 0 ] || parts=(machine tests step full_scale packing)
cd "$(dirname "$0")/../.." || exit
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1
# A virtual machine that receives memory as it uses it looks full to Ray, which would then kill workers
export RAY_memory_monitor_refresh_ms=${RAY_memory_monitor_refresh_ms:-0}
python=${PYTHON:-python3}
failed=0

# part NAME SECONDS COMMAND ...: runs a part; at its time limit it is interrupted, so that it can end its processes
part() {
    local name=$1 seconds=$2 start=$SECONDS code
    shift 2
    echo "== $name, at most $seconds s"
    timeout --signal=INT --kill-after=20 "$seconds" "$@" 2>>"$results/errors.log" | tee "$results/$name.md"
    code=${PIPESTATUS[0]}
    echo "== $name: ended with $code after $((SECONDS - start)) s"
    if [ "$code" != 0 ]; then
        failed=1
        tail -n 15 "$results/errors.log"
    fi
}

benchmark() {
    local name=$1 seconds=$2
    shift 2
    part "$name" "$seconds" "$python" -m "benchmarks.gpu.$name" ${data:+"data_dir=$data"} "$@"
}

small() { [ "${SMALL:-0}" = 1 ]; }

for each in "${parts[@]}"; do
    case $each in
    machine)
        part machine 60 "$python" -c '
import importlib.metadata as metadata, os, platform, subprocess
print("Python", platform.python_version(), "on", os.cpu_count(), "cores", platform.platform())
for name in ("torch", "torchvision", "ray", "optuna", "numpy", "pandas", "pyarrow"):
    print(name, metadata.version(name))
import torch
from ray._private.accelerators import NvidiaGPUAcceleratorManager as seen_by_ray
print("GPUs that PyTorch sees:", torch.cuda.device_count(), "and Ray:", seen_by_ray.get_current_node_num_accelerators(),
      flush=True)
subprocess.run("nvidia-smi; which nvidia-cuda-mps-control; df -h /dev/shm /tmp; free -g", shell=True)'
        ;;
    tests)
        mapfile -t files < <(grep -rl --include='*.py' 'mark\.gpu' tests)
        part tests 120 "$python" -m pytest -m gpu -rs -W default -p no:cacheprovider "${files[@]}"
        ;;
    step)
        arguments=()
        small && arguments=(train=1100 val=200 blocks=1 seeds=1 epochs=1 'candidates=[bertoldi,quick]')
        benchmark step 180 "${arguments[@]}"
        ;;
    full_scale)
        arguments=()
        small && arguments=(images=80 epochs=1 'larger_batches=[]' 'networks=[torch-max-digit]' pages=16 height=64 width=64)
        benchmark full_scale 200 "${arguments[@]}"
        ;;
    packing)
        arguments=()
        small && arguments=('packs=[1,2]' trials=3 rounds=1 epochs=1 train=1000 stock=1)
        benchmark packing 560 "${arguments[@]}"
        ;;
    *)
        echo "$each: unknown part"
        failed=1
        ;;
    esac
done
exit "$failed"
