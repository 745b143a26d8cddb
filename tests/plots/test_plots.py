"""The numbers in every plot, its units, and that it says what it cannot draw."""

import io
from functools import cache

import matplotlib
import numpy as np
import pytest
from ase.units import GPa
from pymatgen.core.elasticity.elastic import ElasticTensor
from scipy.spatial.transform import Rotation

from pet_flows.errors import PetFlowsError
from pet_flows.properties.elastic.directions import extremes, young_modulus
from pet_flows.properties.figure import draw, save
from pet_flows.properties.phonon.plot import point_name
from pet_flows.properties.registry import get_property, properties
from tests.plots import examples
from tests.plots.examples import C11, C12, C44, EXAMPLES, TITLE, cubic

OURS = {name: prop for name, prop in properties().items() if prop.compute.startswith("pet_flows.")}
PLOTS = [(name, plot) for name, prop in OURS.items() for plot in prop.plots]


def drawn(example, plot, **changes):
    if EXAMPLES[example.property] is example and not changes:
        return drawn_once(example.property, plot)
    return draw(get_property(example.property), example.data(**changes), plot)


@cache
def drawn_once(name, plot):
    return draw(get_property(name), EXAMPLES[name].data(), plot)


def lines(axes):
    """Label → x and y of each line that has one."""
    return {line.get_label(): line.get_data() for line in axes.lines}


def text_of(figure):
    return " ".join(t.get_text() for t in figure.findobj(matplotlib.text.Text))


@pytest.mark.parametrize(("name", "plot"), PLOTS)
def test_every_declared_plot_is_drawn_with_title_and_units(name, plot):
    figure = drawn(EXAMPLES[name], plot)
    assert figure.get_suptitle() == TITLE
    cartesian = [axes for axes in figure.axes if axes.name == "rectilinear"]
    assert cartesian
    for axes in cartesian:
        for label in (axes.get_xlabel(), axes.get_ylabel()):
            shared = not label
            assert shared or "(" in label or label == "step", label
    # nothing is cut off at the edges
    figure.draw_without_rendering()
    width, height = figure.bbox.size
    box = figure.get_tightbbox().transformed(figure.dpi_scale_trans)
    assert min(box.x0, box.y0) >= -1
    assert box.x1 <= width + 1
    assert box.y1 <= height + 1


def test_plots_leave_no_trace_in_matplotlib():
    from matplotlib import pyplot

    shown = pyplot.get_fignums()
    with matplotlib.rc_context({"font.size": 31.0}):
        before = dict(matplotlib.rcParams)
        figure = drawn(examples.eos(), "curve")
        assert dict(matplotlib.rcParams) == before
    assert max(t.get_fontsize() for t in figure.findobj(matplotlib.text.Text)) < 20
    assert pyplot.get_fignums() == shown


@pytest.mark.parametrize(
    ("ending", "begins"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")]
)
def test_formats(ending, begins, tmp_path):
    path = tmp_path / f"curve.{ending}"
    save(drawn(EXAMPLES["eos"], "curve"), path)
    assert path.read_bytes().startswith(begins)
    with pytest.raises(PetFlowsError, match="cannot be written"):
        save(drawn(EXAMPLES["eos"], "curve"), tmp_path / "nowhere" / "curve.png")


def test_names_that_do_not_exist():
    with pytest.raises(PetFlowsError, match="no plot of phonon 'band': did you mean 'bands'"):
        drawn(EXAMPLES["phonon"], "band")
    with pytest.raises(PetFlowsError, match="The property static has no plots"):
        drawn(EXAMPLES["static"], None)


def test_an_identifier_with_dollars_is_no_mathematics():
    data = EXAMPLES["eos"].data()
    figure = draw(get_property("eos"), type(data)("a$_$b", data.result, data.settings, dict))
    save(figure, io.BytesIO())
    assert figure.get_suptitle() == "a$_$b"


def test_equation_of_state():
    figure = drawn(EXAMPLES["eos"], "curve")
    shown = lines(figure.axes[0])
    volumes, above = shown["computed"]
    assert volumes == pytest.approx(EXAMPLES["eos"].result["volumes"])
    assert above / 1000 - 5.4 == pytest.approx(EXAMPLES["eos"].result["energies"], abs=1e-9)
    x, y = shown["Birch–Murnaghan fit"]
    assert np.interp(volumes, x, y) == pytest.approx(above, abs=0.05)
    assert [float(v[0]) for v in shown["minimum"]] == [20.0, 0.0]
    # B = V d²E/dV² at the minimum, from the curve that is drawn
    near = np.abs(x - 20.0) < 0.1
    curvature = 2 * np.polyfit(x[near] - 20.0, y[near] / 1000, 4)[-3]
    assert 20.0 * curvature / GPa == pytest.approx(100.0, rel=1e-3)
    said = text_of(figure)
    assert "20.000 Å³/atom" in said
    assert "100.0 GPa" in said


def test_bands_and_density():
    example = EXAMPLES["phonon"]
    arrays = example.arrays["phonon"]
    left, right = drawn(example, "bands").axes
    for band, line in enumerate(left.lines[:6]):  # the first line of the path, 0 to 10
        assert line.get_xdata() == pytest.approx(arrays["band_distances"][:11])
        assert line.get_ydata() == pytest.approx(arrays["band_frequencies"][:11, band])
    names = [t.get_text().strip() for t in left.get_xticklabels()]
    assert names == ["Γ", "X", "U$_{1}$|K", "Γ", "L"]
    assert left.get_xticks() == pytest.approx([0.0, 1.0, 1.4, 2.5, 3.4])
    assert left.get_ylim()[0] == 0.0
    shown = lines(right)
    assert shown["total"][0] == pytest.approx(arrays["total_dos"])
    assert shown["Ge"][0] == pytest.approx(arrays["projected_dos"][1])
    assert shown["Si"][1] == pytest.approx(arrays["frequency_points"])
    assert left.get_ylim() == right.get_ylim()


def test_imaginary_modes_are_below_zero():
    left, _ = drawn(examples.phonon(lowest=-2.0), "bands").axes
    assert left.get_ylim()[0] < -2.0
    assert "imaginary below zero" in left.get_ylabel()
    shaded = left.patches[0].get_extents().transformed(left.transData.inverted())
    assert shaded.y1 == pytest.approx(0.0, abs=1e-9)


def test_bands_or_density_alone():
    arrays = EXAMPLES["phonon"].arrays["phonon"]
    for part in ("band_", "total_dos"):
        example = examples.phonon()
        example.arrays["phonon"] = {k: v for k, v in arrays.items() if not k.startswith(part)}
        (axes,) = drawn(example, "bands").axes
        assert axes.get_ylabel() == "frequency (THz)"
    example.arrays["phonon"] = {"mesh_frequencies": arrays["mesh_frequencies"]}
    with pytest.raises(PetFlowsError, match="compute them with band_structure or dos"):
        drawn(example, "bands")


def test_names_of_points():
    assert [point_name(n) for n in ("GAMMA", "X", "SIGMA_0", "H_2")] == [
        "Γ", "X", "Σ$_{0}$", "H$_{2}$"
    ]  # fmt: skip


def test_thermal_curves_pass_through_the_points_of_the_record():
    left, right = drawn(EXAMPLES["phonon"], "thermal").axes
    for axes, label, key in (
        (left, "heat capacity $C_V$", "cv"),
        (left, "entropy $S$", "s"),
        (right, "free energy $F$", "f"),
    ):
        temperatures, values = lines(axes)[label]
        assert values == pytest.approx([p[key] for p in EXAMPLES["phonon"].result["thermal"]])
        # the curve is drawn just before its points, from another formula
        at = [line.get_label() for line in axes.lines].index(label)
        curve = axes.lines[at - 1]
        found = np.interp(temperatures, *curve.get_data())
        assert found == pytest.approx(values, abs=2e-3 * np.ptp(values))
    assert lines(left)["$3R$"][1][0] == pytest.approx(24.943, abs=1e-3)


def test_quasi_harmonic_minima_are_those_of_the_curves():
    example = EXAMPLES["qha"]
    (axes,) = drawn(example, "free_energy").axes
    volumes, energies = lines(axes)["minimum"]
    assert volumes == pytest.approx(example.result["volume_per_atom"])
    assert np.diff(energies) == pytest.approx([-30.0] * 3)  # meV/atom
    curves = [line for line in axes.lines if len(line.get_xdata()) == 200]
    assert len(curves) == 4
    for curve, volume, energy in zip(curves, volumes, energies, strict=True):
        x, y = curve.get_data()
        assert x[np.argmin(y)] == pytest.approx(volume, abs=0.02)
        assert y.min() == pytest.approx(energy, abs=0.01)
    panels = drawn(example, "expansion").axes
    assert panels[1].lines[0].get_ydata() == pytest.approx([0.0, 10.0, 20.0, 30.0])  # 10⁻⁶/K
    assert lines(panels[3])["$C_p$"][1] == pytest.approx(example.result["cp"])
    with pytest.raises(PetFlowsError, match="n_expanded"):
        drawn(example, "expansion", temperatures=[])


def test_conductivity_of_each_axis():
    (axes,) = drawn(EXAMPLES["kappa"], "conductivity").axes
    shown = lines(axes)
    assert shown["mean of the axes"][1] == pytest.approx([100.0, 40.0, 20.0, 10.0])
    assert shown["$\\kappa_{zz}$"][1] == pytest.approx([120.0, 48.0, 24.0, 12.0])
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    same = [
        {**p, "tensor": (p["mean"] * np.eye(3)).tolist()} for p in EXAMPLES["kappa"].result["kappa"]
    ]
    (axes,) = drawn(EXAMPLES["kappa"], "conductivity", kappa=same).axes
    assert set(lines(axes)) == {"isotropic", "$1/T$"}


def test_molecular_dynamics_in_time():
    example = EXAMPLES["md"]
    temperature, energy, pressure, volume = drawn(example, "run").axes
    assert temperature.lines[0].get_ydata() == pytest.approx(examples.HOT, rel=1e-9)
    assert lines(temperature)["target"][1] == pytest.approx([600.0, 600.0])
    potential = example.arrays["trajectory"]["potential"]
    shown = lines(energy)["potential"][1]
    assert shown == pytest.approx(1000 * (potential - potential[0]) / examples.N_ATOMS)
    # 2 K / 3 V + 0.01 eV/Å³, K of 8 atoms at 650 K: N k T
    cells = np.linalg.det(example.arrays["trajectory"]["cell"])
    expected = (examples.N_ATOMS * 8.617333e-5 * examples.HOT / cells + 0.01) / GPa
    assert pressure.lines[0].get_ydata() == pytest.approx(expected, rel=1e-6)
    assert lines(pressure)["target"][1] == pytest.approx([5.0, 7.0])  # a ramp
    assert volume.lines[0].get_ydata() == pytest.approx(cells / examples.N_ATOMS)
    shaded = temperature.patches[0].get_extents().transformed(temperature.transData.inverted())
    assert (shaded.x0, shaded.x1) == pytest.approx((0.0, 0.4), abs=1e-9)


def test_without_noise_the_centre_of_mass_has_no_temperature():
    temperature, _ = drawn(examples.md("nve"), "run").axes
    n = examples.N_ATOMS
    assert temperature.lines[0].get_ydata() == pytest.approx(examples.HOT * n / (n - 1), rel=1e-9)
    assert "target" not in lines(temperature)


def test_displacements_with_the_slope_of_diffusion():
    (axes,) = drawn(EXAMPLES["md"], "msd").axes
    (label,) = [name for name in lines(axes) if name.startswith("Li")]
    assert "(2.0 ± 0.1) × 10$^{-5}$ cm²/s" in label
    time, squares = lines(axes)[label]
    assert squares == pytest.approx(6 * examples.DIFFUSION * 1e4 * time + 0.15)
    slope = axes.lines[0]
    assert slope.get_linestyle() == "--"
    assert slope.get_ydata() == pytest.approx(squares, abs=1e-9)
    (axes,) = drawn(EXAMPLES["md"], "msd", diffusion=None, diffusion_error=None).axes
    assert set(lines(axes)) == {"Li", "Si"}


def test_pairs_and_vibrations():
    (axes,) = drawn(EXAMPLES["md"], "rdf").axes
    assert {"Li–Li", "Li–Si"} <= set(lines(axes))
    (axes,) = drawn(EXAMPLES["md"], "vdos").axes
    assert lines(axes)["Si"][1] == pytest.approx(EXAMPLES["md"].arrays["observables"]["vdos"][1])
    assert 12.0 < axes.get_xlim()[1] < 25.0  # not all the empty frequencies above


def test_path_of_a_relaxation():
    energy, force, volume = drawn(EXAMPLES["relax"], "path").axes
    assert energy.lines[0].get_ydata() == pytest.approx([100.0, 20.0, 1.0, 0.0])
    shown = force.lines[0].get_ydata()
    assert shown[[0, 1, 3]] == pytest.approx([0.5, 0.1, 0.0005])
    assert np.isnan(shown[2])  # zero by symmetry: it has no place on a logarithmic scale
    assert lines(force)["asked for"][1][0] == EXAMPLES["relax"].settings["fmax"]
    assert volume.lines[0].get_ydata() == pytest.approx([19.6, 19.9, 20.05, 20.0])
    crystal = examples.relax()
    crystal.result["path"]["max_force"] = [1e-17, 0.0, 3e-34, 2e-20]
    force = drawn(crystal, "path").axes[1]
    assert "zero by symmetry" in force.texts[0].get_text()
    assert force.get_ylim()[0] > 1e-6
    without = examples.relax()
    without.result["path"] = None
    with pytest.raises(PetFlowsError, match="This relaxation's path is not stored"):
        drawn(without, "path")


def directions(n=50):
    vectors = np.random.default_rng(0).normal(size=(n, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_young_modulus_of_cubic_crystals():
    s11 = (C11 + C12) / ((C11 - C12) * (C11 + 2 * C12))
    s12 = -C12 / ((C11 - C12) * (C11 + 2 * C12))
    s44 = 1 / C44
    n = directions()
    l, m, o = (n**2).T
    expected = 1 / (s11 - 2 * (s11 - s12 - s44 / 2) * (l * m + m * o + o * l))
    assert young_modulus(cubic(C11, C12, C44), n) == pytest.approx(expected, rel=1e-12)
    (largest, where), (smallest, there) = extremes(cubic(C11, C12, C44))
    assert (where, there) == ("(1, 1, 1)", "(1, 0, 0)")
    assert largest == pytest.approx(1 / (s11 - 2 * (s11 - s12 - s44 / 2) / 3))
    assert smallest == pytest.approx(1 / s11)


def test_young_modulus_turns_with_the_crystal():
    tensor = np.array(
        [
            [200, 70, 60, 5, -3, 8], [70, 150, 65, -6, 4, 2], [60, 65, 300, 7, 1, -9],
            [5, -6, 7, 50, 3, 4], [-3, 4, 1, 3, 60, -2], [8, 2, -9, 4, -2, 80],
        ],
        dtype=float,
    )  # fmt: skip
    turn = Rotation.from_euler("xyz", [0.3, -0.7, 1.1]).as_matrix()
    turned = np.array(ElasticTensor.from_voigt(tensor).rotate(turn, tol=1e-6).voigt)
    n = directions()
    assert young_modulus(turned, n @ turn.T) == pytest.approx(young_modulus(tensor, n), rel=1e-9)


def test_cuts_of_the_modulus():
    figure = drawn(EXAMPLES["elastic"], "modulus")
    (polar,) = [axes for axes in figure.axes if axes.name == "polar"]
    shown = lines(polar)
    assert set(shown) == {"xy, xz, yz", "(x+y) z"}  # of a cubic crystal
    compliance = np.linalg.inv(cubic(C11, C12, C44))
    angles, values = shown["(x+y) z"]
    assert values[np.isclose(angles, np.pi / 2)] == pytest.approx(1 / compliance[0, 0])
    along_111 = 1 / young_modulus(cubic(C11, C12, C44), np.ones(3) / np.sqrt(3))
    assert np.interp(np.arctan(1 / np.sqrt(2)), angles, values) == pytest.approx(
        1 / along_111, rel=1e-3
    )
    assert "along (1, 1, 1)" in text_of(figure)
    with pytest.raises(PetFlowsError, match="not stable against every strain"):
        drawn(EXAMPLES["elastic"], "modulus", stable=False, min_eigenvalue=-3.0)


def test_an_isotropic_solid_is_a_sphere():
    tensor = cubic(3.0, 1.0, 1.0)  # E = μ (3λ + 2μ) / (λ + μ), λ = μ = 1
    figure = drawn(EXAMPLES["elastic"], "modulus", tensor_ieee=tensor.tolist())
    (polar,) = [axes for axes in figure.axes if axes.name == "polar"]
    assert polar.lines[0].get_ydata() == pytest.approx(2.5)
