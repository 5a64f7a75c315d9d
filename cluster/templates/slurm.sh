#!/usr/bin/env bash
# A mim4dd study on a Slurm cluster: Ray on every node of the allocation, the driver on the first.
#
# Change the lines marked CHANGE:
#   partition    where you may run
#   nodes        how many machines
#   cpus         the cores of each; so many trials at once
#   time         Slurm says SIGTERM before the end: running trials are saved, and the same script goes on
#   environment  a virtual environment with mim4dd's dependencies that all nodes see
#   study        which one, and its flags
#
#   sbatch slurm.sh        # and again, until `python -m studies.engine.status OUT` says that it is finished
#SBATCH --job-name=mim4dd
#SBATCH --partition=standard # CHANGE: partition
#SBATCH --nodes=4 # CHANGE: nodes
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=32 # CHANGE: cpus
#SBATCH --time=12:00:00 # CHANGE: time
#SBATCH --signal=B:TERM@180
set -euo pipefail

source "$HOME/mim4dd/.venv/bin/activate" # CHANGE: environment
cd "$HOME/mim4dd" # CHANGE: environment
STUDY=(studies/sensitivity.py --seeds 0-4 --settings 64) # CHANGE: study
OUT=${OUT:-$HOME/runs/sensitivity} # CHANGE: study

export RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0 OMP_WAIT_POLICY=passive
export RAY_AUTH_TOKEN_PATH=$HOME/.ray/token-$SLURM_JOB_ID
mkdir -p "$HOME/.ray"
(umask 077 && ray get-auth-token --generate >"$RAY_AUTH_TOKEN_PATH")

HEAD=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
ADDRESS=$(srun --nodes=1 --ntasks=1 --nodelist="$HEAD" hostname --ip-address | awk '{print $1}'):6379
CHILDREN=()
finish() {
  kill "${CHILDREN[@]}" 2>/dev/null || true
  rm -f "$RAY_AUTH_TOKEN_PATH"
}
trap finish EXIT

srun --nodes=1 --ntasks=1 --nodelist="$HEAD" \
  ray start --head --block --port=6379 --num-cpus="$SLURM_CPUS_PER_TASK" --include-dashboard=false &
CHILDREN+=($!)
if ((SLURM_JOB_NUM_NODES > 1)); then
  sleep 20 # the head must answer before others ask it
  srun --nodes=$((SLURM_JOB_NUM_NODES - 1)) --ntasks=$((SLURM_JOB_NUM_NODES - 1)) --exclude="$HEAD" \
    ray start --block --address="$ADDRESS" --num-cpus="$SLURM_CPUS_PER_TASK" &
  CHILDREN+=($!)
fi

for _ in $(seq 30); do
  if python -m cluster.preflight --address "$ADDRESS" --out "$OUT" --nodes "$SLURM_JOB_NUM_NODES"; then break; fi
  sleep 5
done

# In the background, so that this shell hears SIGTERM at once and passes it on.
python "${STUDY[@]}" --address "$ADDRESS" --out "$OUT" --offline &
DRIVER=$!
trap 'kill -TERM "$DRIVER"' TERM
STATUS=0
wait "$DRIVER" || STATUS=$?
if kill -0 "$DRIVER" 2>/dev/null; then wait "$DRIVER" || STATUS=$?; fi
exit "$STATUS"
