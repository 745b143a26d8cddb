"""Materials screening with rotationally exact PET potentials: Jobflow, FireWorks, MongoDB."""

from pathlib import Path

__version__ = "0.1.0"

#: where the process stood before any job changed into a run folder; relative paths start here
START_DIRECTORY = Path.cwd()
