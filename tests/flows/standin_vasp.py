"""An executable in the place of VASP: it leaves a recorded run, and is given VASP's own inputs.

The run is that of tests/dft/data. It is of another cell of silicon than any that is asked for.
"""

import shutil
import sys
from pathlib import Path

RECORDED = Path(__file__).parents[1] / "dft" / "data" / "Si64_displaced.vasprun.xml.gz"
#: what emmet reads of an OUTCAR, as VASP writes it
OUTCAR = """\
 running on    4 total cores
   k-points           NKPTS =      2   number of bands    NBANDS=    164
   IBRION =     -1    ionic relax: 0-MD 1-quasi-New 2-CG
   total plane-waves  NPLWV =  85184
 maximum and minimum number of plane-waves per node :      2903     2891
    total drift:                                0.000000      0.000000     -0.000001
 General timing and accounting informations for this job:
                  Total CPU time used (sec):        3.528
                            User time (sec):        3.271
                          System time (sec):        0.257
                         Elapsed time (sec):        4.100
"""


def main() -> None:
    for name in ("INCAR", "KPOINTS", "POSCAR", "POTCAR.spec"):
        if not Path(name).exists():
            sys.exit(f"there is no {name}")
    shutil.copy(RECORDED, "vasprun.xml.gz")
    Path("OUTCAR").write_text(OUTCAR)
    shutil.copy("POSCAR", "CONTCAR")


if __name__ == "__main__":
    main()
