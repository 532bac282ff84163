"""A slow, obvious planner, the judge of the fast one: it looks at every level on the way down."""

from dataclasses import dataclass, field

from qiskit_torch_module._program.gf2 import is_odd
from qiskit_torch_module._program.schedule import X, Z, _conjugate_to
from qiskit_torch_module._reading.polynomials import Polynomial


@dataclass
class Run:
    """A fused sequence of rotations of one virtual qubit, in order of time."""

    x: int
    z: int
    gates: list[tuple[int, Polynomial]] = field(default_factory=list)

    def append(self, axis, angle):
        if self.gates and self.gates[-1][0] == axis:
            angle = self.gates.pop()[1] + angle
        if angle.terms:
            self.gates.append((axis, angle))


@dataclass
class Level:
    """A layer of commuting runs and the phase after it: an angle for every mask of Z."""

    runs: list[Run] = field(default_factory=list)
    phase: dict[int, Polynomial] = field(default_factory=dict)


def levels_of(rotations, passes):
    """Layers as early as possible; and the phase of what acts on |0...0> by no more than a phase, and is dropped."""
    levels = []
    dropped = []
    for rotation in rotations:
        if rotation.axis != Z:
            _insert_rotation(levels, rotation, passes.fusion)
        elif not _insert_phase(levels, rotation.z, rotation.angle, passes.fusion):
            dropped.append(rotation.angle)
    levels, on_zero = _without_empty_layers(levels)
    if levels and not passes.product_state:
        levels.insert(0, Level([Run(x=1, z=1)]))  # the identity: what follows is no first layer
    return levels, -0.5 * Polynomial.sum([*dropped, *on_zero])


def _without_empty_layers(levels):
    """Angles may cancel: where no run is left, the phase joins the one before, or acts on |0...0> as nothing."""
    kept = []
    on_zero = []
    for level in levels:
        level.runs = [run for run in level.runs if run.gates]
        if level.runs:
            kept.append(level)
        elif kept:
            for mask, angle in level.phase.items():
                kept[-1].phase[mask] = kept[-1].phase.get(mask, Polynomial()) + angle
        else:
            on_zero.extend(level.phase.values())
    return kept, on_zero


def _insert_phase(levels, z, angle, fuse):
    """Puts a phase as early as it can act; False: it acts on |0...0>."""
    for level in reversed(levels):
        for run in level.runs:
            if fuse and run.z == z:
                run.append(Z, angle)
                return True
        if any(is_odd(run.x & z) for run in level.runs):
            level.phase[z] = level.phase.get(z, Polynomial()) + angle
            return True
    return False


def _insert_rotation(levels, rotation, fuse):
    x, z, is_flip = rotation.x, rotation.z, rotation.axis == X
    gates = [(rotation.axis, rotation.angle)]
    position = len(levels)
    while position > 0:
        level = levels[position - 1]
        # A phase of the same virtual qubit joins the run, where the run may start above it; any other that does not
        # commute stops the way down.
        above = levels[position].runs if position < len(levels) else []
        if fuse and z in level.phase and not any(is_odd(run.x & z) for run in above):
            gates.insert(0, (Z, level.phase.pop(z)))
            is_flip = False
        if any(is_odd(mask & x) for mask in level.phase):
            break
        same = next((run for run in level.runs if run.x == x and (is_flip or run.z == z)), None)
        if same is not None and not fuse:
            break
        if same is not None:
            for axis, angle in gates:
                same.append(axis, angle)
            return
        if any(is_odd(run.z & x) or (not is_flip and is_odd(run.x & z)) for run in level.runs):
            break
        position -= 1
    _start_run(levels, position, x, z if not is_flip else None, z, gates)


def _start_run(levels, position, x, z, preferred, gates):
    """Starts a run in the first level from `position` on that has room; for a pure flip (no z) any Z will do."""
    while position < len(levels) and z is None:
        z = _conjugate_to(x, [run.x for run in levels[position].runs], preferred)
        position += z is None
    if position == len(levels):
        levels.append(Level())
    run = Run(x, preferred if z is None else z)
    for axis, angle in gates:
        run.append(axis, angle)
    levels[position].runs.append(run)
