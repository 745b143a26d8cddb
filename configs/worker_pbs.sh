#!/bin/bash
# qsub configs/worker_pbs.sh: workers of pet-flows on one node, one for each GPU, until there is
# nothing left to do or the time is over. Submit as many of these jobs as there should be nodes.
#PBS -N pet-flows
#PBS -l select=1:ncpus=32:ngpus=4
#PBS -l walltime=12:00:00
#PBS -j oe
#PBS -r y

cd "$PBS_O_WORKDIR" || exit 1
source ~/pet_flows/.venv/bin/activate

pet-flows check --device cuda || exit 1

# PBS kills without much warning: --time-limit, in s, is what ends the job in time
exec pet-flows worker --category pet-gpu --idle-timeout 600 --time-limit 43200 \
    --folder "${TMPDIR:-/tmp}/pet_flows_workers"
