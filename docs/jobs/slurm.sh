#!/bin/bash
# A training on two machines of four GPUs each: sbatch docs/jobs/slurm.sh
#
# Three minutes before its time is over it writes a checkpoint and queues itself again, and then goes
# on where it stopped. Change what is told below to fit your cluster.
#SBATCH --job-name=kineograph
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=32
#SBATCH --time=04:00:00
#SBATCH --signal=B:TERM@180
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=kineograph-%j.log
set -u

RECIPE=${RECIPE:-shapes}                  # a recipe, or the TOML of one
RUN=${RUN:-$SLURM_SUBMIT_DIR/runs/shapes} # on storage that all machines see
FIRST=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)

# A fresh store for each attempt: what processes that died left in it would be taken for the new ones'.
export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
export OMP_NUM_THREADS=8

resume=()
[ -e "$RUN/config.toml" ] && resume=(--resume)

told=
trap 'told=yes; kill -TERM "$job"' TERM # torchrun passes it on
srun torchrun \
    --nnodes "$SLURM_NNODES" --nproc-per-node "$SLURM_GPUS_ON_NODE" --max-restarts 3 \
    --rdzv-backend c10d --rdzv-endpoint "$FIRST:29400" --rdzv-id "$SLURM_JOB_ID" \
    -m kineograph train "$RECIPE" --out "$RUN" "${resume[@]}" &
job=$!
wait "$job"
code=$?
if [ -n "$told" ]; then
    wait "$job" # the first was cut short by the signal
    scontrol requeue "$SLURM_JOB_ID"
    exit 0
fi
exit "$code"
