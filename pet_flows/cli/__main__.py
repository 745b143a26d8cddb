"""``python -m pet_flows.cli``."""

from pet_flows.cli import main

main()
