#!/usr/bin/env bash
# A mim4dd study on a Slurm cluster: Ray on every node of the allocation, the driver on the first.
#
# Change the lines marked CHANGE:
#   partition    where you may run
#   nodes        how many machines
#   cpus         the cores of each; so many trials at once
#   gpus         take one # off for GPUs, and add --gpus-per-trial to the study
#   time         three minutes before its end Slurm says SIGTERM: running trials are saved
#   environment  the checkout, and a virtual environment with its dependencies that all nodes see
#   study        which one, its flags, and its folder on a disk that outlives the job
#
#   sbatch slurm.sh        # and again: jobs of this name run one after the other, each goes on where the last one ended
#   python -m studies.engine.status ~/runs/sensitivity
#   python -m studies.engine.tracking sync ~/runs/sensitivity --tracking-uri http://HOST:5000
#SBATCH --job-name=mim4dd
#SBATCH --partition=standard # CHANGE: partition
#SBATCH --nodes=4 # CHANGE: nodes
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=32 # CHANGE: cpus
##SBATCH --gpus-per-node=1 # CHANGE: gpus
#SBATCH --time=12:00:00 # CHANGE: time
#SBATCH --signal=B:TERM@180
#SBATCH --dependency=singleton
# Two Rays on a machine would meet on their ports; a study outlives the loss of a node that is not the first.
#SBATCH --exclusive
#SBATCH --no-kill
set -euo pipefail

cd "$HOME/mim4dd" # CHANGE: environment
source "$HOME/mim4dd/.venv/bin/activate" # CHANGE: environment
STUDY=(studies/sensitivity.py --seeds 0-4 --settings 64 --offline) # CHANGE: study
OUT=$HOME/runs/sensitivity # CHANGE: study
PORT=6379

export RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0 OMP_WAIT_POLICY=passive
# Before its path is exported: with a path to a file that is not there, Ray makes none.
(umask 077 && ray get-auth-token --generate >/dev/null)
export RAY_AUTH_TOKEN_PATH=${RAY_AUTH_TOKEN_PATH:-$HOME/.ray/auth_token}
chmod 600 "$RAY_AUTH_TOKEN_PATH"

# This script runs on the first node. Its name may stand for the loopback in /etc/hosts, which others cannot reach.
HEAD=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | awk 'NR == 1')
IP=$( (hostname --ip-address; hostname --all-ip-addresses) | tr ' ' '\n' \
  | awk '/^[0-9]+[.][0-9.]+$/ && !/^127[.]/ && !found++')
# Slurm 22.05 and newer give a step one core unless it asks; one node's end must not end the step of the others.
STEP=(srun --ntasks-per-node=1 --cpus-per-task="$SLURM_CPUS_PER_TASK" --kill-on-bad-exit=0 --no-kill)
NODES=()
finish() {
  kill "${NODES[@]}" 2>/dev/null || true
  wait
}
trap finish EXIT

"${STEP[@]}" --nodes=1 --ntasks=1 --nodelist="$HEAD" ray start --head --block --node-ip-address="$IP" --port="$PORT" \
  --num-cpus="$SLURM_CPUS_PER_TASK" --include-dashboard=false &
NODES+=($!)
for _ in {1..120}; do
  if (exec 3<>"/dev/tcp/$IP/$PORT") 2>/dev/null; then break; fi
  sleep 1
done
OTHERS=$((SLURM_JOB_NUM_NODES - 1))
if ((OTHERS > 0)); then
  "${STEP[@]}" --nodes="$OTHERS" --ntasks="$OTHERS" --exclude="$HEAD" ray start --block --address="$IP:$PORT" \
    --num-cpus="$SLURM_CPUS_PER_TASK" &
  NODES+=($!)
fi

READY=false
for _ in {1..30}; do
  if SAID=$(python -m cluster.preflight --address "$IP:$PORT" --nodes "$SLURM_JOB_NUM_NODES" --out "$OUT" 2>&1); then
    READY=true
    break
  fi
  sleep 5
done
echo "$SAID"
if [[ $READY == false ]]; then exit 1; fi

# In the background, so that this shell hears SIGTERM at once and passes it on.
python "${STUDY[@]}" --address "$IP:$PORT" --out "$OUT" &
DRIVER=$!
trap 'kill -TERM "$DRIVER"' TERM
# A signal ends a wait early, while the driver still saves its trials.
while kill -0 "$DRIVER" 2>/dev/null; do wait "$DRIVER" || true; done
STATUS=0
wait "$DRIVER" || STATUS=$?
exit "$STATUS"
