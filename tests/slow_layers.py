"""A slow, obvious planner, the judge of the fast one: it looks at every layer on the way down."""

from dataclasses import dataclass, field

from qiskit_torch_module._program.gf2 import is_odd
from qiskit_torch_module._program.layers import X, Z, _conjugate_to
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
class Layer:
    """A layer of commuting runs and the phase after it: an angle for every mask of Z."""

    runs: list[Run] = field(default_factory=list)
    phase: dict[int, Polynomial] = field(default_factory=dict)


def layers_of(rotations, passes):
    """Layers as early as possible; and the phase of what acts on |0...0> by no more than a phase, and is dropped."""
    layers = []
    dropped = []
    for rotation in rotations:
        if rotation.axis != Z:
            _insert_rotation(layers, rotation, passes.fusion)
        elif not _insert_phase(layers, rotation.z, rotation.angle, passes.fusion):
            dropped.append(rotation.angle)
    layers, on_zero = _without_empty_layers(layers)
    if layers and not passes.product_state:
        layers.insert(0, Layer([Run(x=1, z=1)]))  # the identity: what follows is no first layer
    return layers, -0.5 * Polynomial.sum([*dropped, *on_zero])


def _without_empty_layers(layers):
    """Angles may cancel: where no run is left, the phase joins the one before, or acts on |0...0> as nothing."""
    kept = []
    on_zero = []
    for layer in layers:
        layer.runs = [run for run in layer.runs if run.gates]
        if layer.runs:
            kept.append(layer)
        elif kept:
            for mask, angle in layer.phase.items():
                kept[-1].phase[mask] = kept[-1].phase.get(mask, Polynomial()) + angle
        else:
            on_zero.extend(layer.phase.values())
    return kept, on_zero


def _insert_phase(layers, z, angle, fuse):
    """Puts a phase as early as it can act; False: it acts on |0...0>."""
    for layer in reversed(layers):
        for run in layer.runs:
            if fuse and run.z == z:
                run.append(Z, angle)
                return True
        if any(is_odd(run.x & z) for run in layer.runs):
            layer.phase[z] = layer.phase.get(z, Polynomial()) + angle
            return True
    return False


def _insert_rotation(layers, rotation, fuse):
    x, z, is_flip = rotation.x, rotation.z, rotation.axis == X
    gates = [(rotation.axis, rotation.angle)]
    position = len(layers)
    while position > 0:
        layer = layers[position - 1]
        # A phase of the same virtual qubit joins the run, where the run may start above it; any other that does not
        # commute stops the way down.
        above = layers[position].runs if position < len(layers) else []
        if fuse and z in layer.phase and not any(is_odd(run.x & z) for run in above):
            gates.insert(0, (Z, layer.phase.pop(z)))
            is_flip = False
        if any(is_odd(mask & x) for mask in layer.phase):
            break
        same = next((run for run in layer.runs if run.x == x and (is_flip or run.z == z)), None)
        if same is not None and not fuse:
            break
        if same is not None:
            for axis, angle in gates:
                same.append(axis, angle)
            return
        if any(is_odd(run.z & x) or (not is_flip and is_odd(run.x & z)) for run in layer.runs):
            break
        position -= 1
    _start_run(layers, position, x, z if not is_flip else None, z, gates)


def _start_run(layers, position, x, z, preferred, gates):
    """Starts a run in the first layer from `position` on that has room; for a pure flip (no z) any Z will do."""
    while position < len(layers) and z is None:
        z = _conjugate_to(x, [run.x for run in layers[position].runs], preferred)
        position += z is None
    if position == len(layers):
        layers.append(Layer())
    run = Run(x, preferred if z is None else z)
    for axis, angle in gates:
        run.append(axis, angle)
    layers[position].runs.append(run)
