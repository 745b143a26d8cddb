#!/bin/bash
# sbatch configs/worker_slurm.sh: workers of pet-flows on one node, one for each GPU, until there is
# nothing left to do or the time is over. Submit as many of these jobs as there should be nodes.
#SBATCH --job-name=pet-flows
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --gpus=4                  # all of one node: as many workers as there are here
#SBATCH --cpus-per-task=32        # shared by the workers; 4 to 8 for each GPU suffice
#SBATCH --time=12:00:00
#SBATCH --signal=B:TERM@30        # 30 s before the end; a worker gives up its jobs within 10 s
#SBATCH --open-mode=append
#SBATCH --requeue                 # begun again after a node failed; nothing is computed twice

# module load ...; or: conda activate ...
source ~/pet_flows/.venv/bin/activate

# where the weights are, if compute nodes have no network: download them on the login node before
# export HF_HOME=/shared/me/huggingface
# export JOBFLOW_CONFIG_FILE=/shared/me/jobflow.yaml FW_CONFIG_FILE=/shared/me/FW_config.yaml

pet-flows check --device cuda || exit 1

# exec: signals of the queue go to the worker, not to this script
exec pet-flows worker --category pet-gpu --idle-timeout 600 --time-limit 43200 \
    --folder "${SLURM_TMPDIR:-${TMPDIR:-/tmp}}/pet_flows_workers"
