"""Materials screening with rotationally exact PET potentials: Jobflow, FireWorks, MongoDB."""

__version__ = "0.1.0"
