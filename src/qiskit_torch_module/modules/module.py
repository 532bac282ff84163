"""A quantum circuit as a PyTorch module."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from .._core.arguments import flag, thread_count
from .._core.collector import without_collections
from .._core.torch_internals import break_graph, constant_when_compiled
from .._core.transforms import is_differentiated
from .._differentiation import autograd, operators
from .._differentiation.named import name_elsewhere, name_in_text
from .._engine import ready_variables
from .._program.cache import cached_program
from .._program.output import Output
from .._program.program import Program
from .._reading.definitions import copied
from .._reading.measurements import Measurements, with_measurements, without_measurements
from .._reading.observables import Observables
from .._reading.parameters import parameter_list, parameter_sets
from .._simulation.choose import AUTO, Runners, method_of
from .._simulation.columns import variables_for, with_derived_columns
from .._simulation.method import Method, Spending
from .._simulation.native import joined
from .._simulation.reading import read
from .._simulation.states import traced
from .._storage.blueprint import SavedCircuit
from ..outputs.columns import as_output
from ..outputs.trainable import Sums, Trainable, known, names_of, taken_apart, trained_in
from .connectors import arguments_of
from .initial import Initial, initial_values, seeded
from .inputs import is_ready, one_of, prepared, require_numbers, require_sizes
from .sampling import sampled
from .sets import is_flat, own_name, rename_entries, set_initials, set_names
from .shown import html_of_quantum, shown_dtype, shown_observables
from .watching import forget_watchers

if TYPE_CHECKING:
    from .network import QNN


class QuantumModule(torch.nn.Module):
    """Expectation values of a parameterised circuit, or other outputs, with exact gradients.

    Simulates the state vector in the native engine: in complex64 for float32 parameters, in complex128 for float64
    (the default dtype of PyTorch at construction decides; ``.double()`` and ``.float()`` change it later).

    Args:
        circuit: Unitary circuit. Measurements at its end say what `sample` reads, and observables replace them; one in
            the middle is refused.
        encoding_params: Parameters that take the columns of the input, in this order; None: the module has no input.
        variational_params: Trainable parameters: one sequence, or a sequence of sets; None: there are none.
        variational_params_names: Name of each set, under which it becomes an ``nn.Parameter`` of the module; default
            ``variational_0``, ``variational_1``, ..., and ``variational`` for one flat sequence of parameters. One name
            for several sets gets numbers: "foo" gives ``foo_0``, ``foo_1``, ...
        variational_params_initial: How each set starts, or all of them: "constant" (1), "uniform" (0 to 2 pi),
            "normal" (0, 1), a pair such as ``("normal", {"std": 0.1})``, explicit values, or a function that fills a
            vector in place, such as those of ``torch.nn.init`` and of `qiskit_torch_module.initializers`.
        seed_init: Seed for the initial values; the global random state is left as it was.
        observables: "individualZ" (output q is <Z> of qubit q), "tensoredZ" (one output, Z on all qubits), a Pauli
            label, a Qiskit operator, or a sequence of them; one output each. Or an output of
            `qiskit_torch_module.outputs`; those that are one number each may be in a sequence, too, as sums with
            coefficients that are trained.
        num_threads_forward: Threads for values; 0: as ``torch.get_num_threads()``.
        num_threads_backward: Threads for gradients, likewise.
        encoding_gradients_flag: Gradients with respect to the input follow its ``requires_grad``; False forces them
            off.
        method: What computes: the name of a method, or one of `qiskit_torch_module.methods`; "auto": the cheapest exact
            one, for each size, dtype and device of a batch.

    Raises:
        TypeError: an argument is of the wrong kind.
        ValueError: an argument cannot be used; the message names the gate or parameter and a remedy.

    Source: Meyer et al., "Qiskit-Torch-Module: Fast Prototyping of Quantum Neural Networks", arXiv:2404.06314.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> model = qtm.QuantumModule(
        ...     circuit, x, w, observables=["ZI", "XX"], seed_init=0
        ... )
        >>> values = model(torch.rand(5, 2))
        >>> values.shape
        torch.Size([5, 2])
        >>> values.sum().backward()
        >>> model.variational.grad.shape
        torch.Size([8])
    """

    _sums: Sums | None = None  # how columns are made of what is read; None: they are that
    _has_right_sizes: bool = False  # whether sets were counted since one was assigned

    def __init__(
        self,
        circuit: QuantumCircuit,
        encoding_params: Iterable[Parameter] | None = None,
        variational_params: Iterable[Any] | None = None,
        variational_params_names: Sequence[str] | str | None = None,
        variational_params_initial: Initial | Sequence[Initial] = "uniform",
        seed_init: int | None = None,
        observables: Observables | Output | Trainable = "individualZ",
        num_threads_forward: int = 0,
        num_threads_backward: int = 0,
        encoding_gradients_flag: bool | None = None,
        method: str | Method = AUTO,
    ) -> None:
        super().__init__()
        self.encoding_parameters = parameter_list(encoding_params, "encoding_params")
        sets = list(variational_params) if isinstance(variational_params, Iterator) else variational_params
        self.variational_parameters = parameter_sets(sets, "variational_params")
        unmeasured, self._measurements = without_measurements(circuit)
        read = observables
        if isinstance(observables, Output) and self._measurements.written:
            observables = observables.measured(self._measurements.written)
        if isinstance(circuit, QuantumCircuit):  # the compiler says what else is wrong
            observables = known(observables, circuit.num_qubits)
            read, self._sums = taken_apart(observables)
            read = as_output(read, circuit.num_qubits)
        self._compile(circuit, unmeasured, read, method)
        self._names = set_names(variational_params_names, len(self.variational_parameters), is_flat=is_flat(sets))
        self._initials = set_initials(variational_params_initial, len(self._names))
        self._observables = copy.deepcopy(observables)  # later changes by the caller are no part of the model
        if encoding_gradients_flag is not None:
            encoding_gradients_flag = flag(encoding_gradients_flag, "encoding_gradients_flag")
        self._encoding_gradients_flag = encoding_gradients_flag
        self.set_num_threads_forward(num_threads_forward)
        self.set_num_threads_backward(num_threads_backward)
        self._register(seed_init)  # last: it sees which names are taken

    @classmethod
    def from_qnn(cls, qnn: Any, **options: Any) -> QuantumModule:
        """The module that does what a network of qiskit-machine-learning does, with exact gradients.

        Args:
            qnn: An ``EstimatorQNN`` or ``SamplerQNN``, or the ``TorchConnector`` around it, whose weights are taken
                over. Of a ``SamplerQNN``, probabilities are exact whatever its sampler, and its ``interpret`` is called
                once for each outcome.
            options: Further arguments of the constructor; they take precedence over the network.

        Raises:
            TypeError: another kind of network.
            ValueError: as the constructor.
        """
        return cls(**{**arguments_of(qnn, options), **options})

    @property
    def qnn(self) -> QNN:
        """Arrays in and arrays out, the interface of version 1.0."""
        from .network import QNN

        return QNN.of(self)

    def __getattr__(self, name: str) -> Any:
        # The only set of a module is also known by the names it has in other programs.
        return super().__getattr__(own_name(name, self.__dict__.get("_names", ())))

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        forget_watchers(self)
        program = self.__dict__.get("_program")
        if isinstance(program, Program):
            program.evolution.set_circuit(self._circuit)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *arguments: Any) -> None:
        rename_entries(state_dict, prefix, self._names)
        super()._load_from_state_dict(state_dict, prefix, *arguments)

    # With a method, whose choice puts the circuit into layers.
    @without_collections
    def _compile(
        self, circuit: QuantumCircuit, unmeasured: QuantumCircuit, read: Observables | Output, method: str | Method
    ) -> None:
        program = cached_program(unmeasured, read, self.encoding_parameters, self.variational_parameters)
        self._circuit: QuantumCircuit | SavedCircuit = copied(circuit)
        self._num_qubits: int = circuit.num_qubits
        self._compute(program, method_of(method))

    def _compute(self, program: Program, method: Method | None) -> None:
        program.evolution.set_circuit(self._circuit)
        self._program, self._runners = program, Runners(program, method)
        self._runners.require_method()
        # What the compiler of PyTorch may trace: programs for which operators stand, by the name of their method.
        self._traced = (traced(program), *program.others)
        self._name_in_text = name_in_text(self._traced[0], method)

    def _register(self, seed: int | None) -> None:
        if not self._names:  # dtype and device, which weights would tell otherwise
            self.register_buffer("_like", torch.empty(0), persistent=False)
        with seeded(seed):
            self._register_parameters(self._initial_values(), "variational_params_names")
            self._register_parameters(self._initial_coefficients(), "name of Trainable")

    def _register_parameters(self, initial: Iterator[tuple[str, torch.Tensor]], argument: str) -> None:
        for name, values in initial:
            if self._is_taken(name):
                raise ValueError(f"{argument}: '{name}' is taken by the module; choose another name")
            self.register_parameter(name, torch.nn.Parameter(values))

    def _is_taken(self, name: str) -> bool:
        """Not by hasattr, which would ask properties of a module that is half made."""
        own = own_name(name, self._names)
        return hasattr(type(self), name) or any(
            own in held for held in (self.__dict__, self._parameters, self._buffers, self._modules)
        )

    def _initial_values(self) -> Iterator[tuple[str, torch.Tensor]]:
        for name, parameters, initial in zip(self._names, self.variational_parameters, self._initials, strict=True):
            yield name, initial_values(initial, len(parameters), f"variational_params_initial of '{name}'")

    def _initial_coefficients(self) -> Iterator[tuple[str, torch.Tensor]]:
        trained = trained_in(self._observables)
        for name, one in zip(names_of(trained), trained, strict=True):
            yield name, initial_values(one.initial, one.size, f"initial of '{name}'")

    def _coefficients(self) -> list[torch.Tensor]:
        """Those of sums of observables, in order."""
        return [] if self._sums is None else [getattr(self, name) for name in names_of(trained_in(self._observables))]

    def reset_parameters(self, seed: int | None = None) -> None:
        """Starts every set, and trained coefficients of observables, anew, as at construction.

        Args:
            seed: Seed for the new values; the global random state is then left as it was. None: the global state.
        """
        with seeded(seed, "seed"), torch.no_grad():
            for name, values in (*self._initial_values(), *self._initial_coefficients()):
                getattr(self, name).copy_(values)

    def forward(self, input: torch.Tensor | None = None, input_tensor: torch.Tensor | None = None) -> torch.Tensor:
        """Expectation values of all observables.

        Args:
            input: Shape (..., input_size); None (the same as shape (0,)) where the circuit has no encoding
                parameters. Integers, lists and NumPy arrays take the dtype of the parameters; tensors in lists are
                stacked.
            input_tensor: What version 1.0 called the input.

        Returns:
            Shape (..., output_size), or ``(..., *shape)`` for an `Output` of another shape. Its dtype is that of the
            parameters, or ``torch.promote_types`` of this and the input's where that is a tensor of floating-point
            numbers: float64 with float32 gives float64, bfloat16 with bfloat16 gives bfloat16, bfloat16 with float32
            gives float32. Results in float16 and bfloat16 are computed in float32 and rounded at the end. A module
            without weights has the default dtype of PyTorch at its construction; ``.double()`` and the like change it.

        Raises:
            TypeError: the input is sparse, nested, or no real numbers, or a dtype is none of these; or either the
                input or the parameters are on the meta device, but not both.
            ValueError: the input has the wrong width or a value that is not finite, or a set the wrong size.
        """
        threads = self._num_threads_forward, self._num_threads_backward
        if input_tensor is not None:
            input = one_of(input, input_tensor)
        if (ready := self._ready_variables(input)) is not None:
            try:
                values = autograd.values_of_ready(self._runners(ready[0]), threads, ready)
            except (ValueError, IndexError):
                self._require_sizes(ready[1:])  # of tensors that torch.func puts in their place
                raise
            return values if self._sums is None else self._sums.of(values, self._coefficients())
        inputs, weights, dtype = self._variables(input)
        flat, weights = self._all_variables(inputs, weights)
        if torch.compiler.is_compiling():
            values = self._compiled_values(threads, flat, weights)
        else:
            values = autograd.values(self._runners(flat), threads, flat, *weights)
        if self._sums is not None:
            values = self._sums.of(values, self._coefficients())
        if inputs.ndim != 2:
            values = values.reshape((*inputs.shape[:-1], *values.shape[1:]))
        return values if dtype is None or values.is_complex() else values.to(dtype)

    def cost(self, input: torch.Tensor | None = None) -> Spending:
        """What a call with this input sends to a device, and the ``backward`` after it; nothing is sent for it.

        Under ``torch.no_grad()`` there is no ``backward``: that is what values alone cost. Weights and inputs that do
        not require gradients have none. Methods that compute here send nothing.

        Args:
            input: As for `forward`.

        Returns:
            Jobs, PUBs, circuits and shots (`qiskit_torch_module.methods.Spending`).

        Raises:
            TypeError, ValueError: as `forward`.

        Example:
            >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
            >>> sampled = qtm.QuantumModule(
            ...     circuit, x, w, method=qtm.methods.Shots(100), seed_init=0
            ... )
            >>> with torch.no_grad():
            ...     sampled.cost(torch.zeros(3, 2)).shots
            300
        """
        inputs, weights, _ = self._variables(input)
        flat, weights = self._all_variables(inputs, weights)
        wants = [torch.is_grad_enabled() and variables.requires_grad for variables in (flat, *weights)]
        return self._runners(flat).spending(flat, weights, wants)

    def sample(
        self,
        input: Any = None,
        shots: int = 1024,
        generator: torch.Generator | int | None = None,
        as_tensor: bool = False,
    ) -> Any:
        """Bits that measurements find: the classical bits of a circuit that ends with measurements, else all qubits.

        Shots are drawn from exact probabilities of the native engine, in double precision, on the CPU. They have no
        gradients; their probabilities do (`qiskit_torch_module.outputs.Probabilities`).

        Args:
            input: As for `forward`.
            shots: How many, for each row of the input.
            generator: Of random numbers: a generator of PyTorch, or a seed; None: the global one, which
                ``torch.manual_seed`` seeds.
            as_tensor: Bits as a tensor in place of a Qiskit ``BitArray`` (which there is from Qiskit 1.0 on).

        Returns:
            A ``BitArray`` of shape (...); or a tensor (..., shots, bits) of 0 and 1, dtype uint8, on the device of the
            module, whose column i is qubit or classical bit i.

        Raises:
            TypeError: an argument is of the wrong kind.
            ValueError: there are no shots, more than the memory budget holds, or the input cannot be used.

        Example:
            >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
            >>> model = qtm.QuantumModule(circuit, x, w, seed_init=0)
            >>> bits = model.sample(torch.zeros(3, 2), shots=100, as_tensor=True)
            >>> bits.shape, bits.dtype
            (torch.Size([3, 100, 2]), torch.uint8)
        """
        return sampled(self, input, shots, generator, as_tensor)

    def register_parameter(self, name: str, param: torch.nn.Parameter | None) -> None:
        """As in ``torch.nn.Module``, which assignments come by, too: the next call counts the numbers of each set."""
        self._has_right_sizes = False
        super().register_parameter(name, param)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """As in ``torch.nn.Module``, but does not look for submodules where there are none: that takes 10 us."""
        if self._modules or not set_to_none or "_is_replica" in self.__dict__:
            return super().zero_grad(set_to_none)
        for parameter in self._parameters.values():
            if parameter is not None:
                parameter.grad = None

    def _compiled_values(
        self, threads: tuple[int, int], inputs: torch.Tensor, weights: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        name = self._name_in_text if inputs.is_cpu else self._name_elsewhere(inputs.device.type)
        if name is not None:
            if self._write_program():
                break_graph()  # what is traced is run as it is instead
            return self._traced_values(name, threads, inputs, weights)
        return autograd.values(self._runners(inputs), threads, inputs, *weights)

    @constant_when_compiled
    def _name_elsewhere(self, device: str) -> str | None:
        """That of the method in the text of operators on a GPU; None: they do not stand for it there."""
        return name_elsewhere(self._traced[0], self._runners.method, device)

    def _traced_values(
        self, name: str, threads: tuple[int, int], inputs: torch.Tensor, weights: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """By operators, and by what PyTorch reads from the states that they give."""
        computed: list[torch.Tensor] = []
        for program in self._traced:
            columns, sets = inputs, weights
            if computed:
                columns, sets = variables_for(program.evolution, self._program.evolution, inputs, weights)
            text = f"{name}{program.text}"
            computed.append(operators.values(columns, joined(sets, columns), text, *threads))
        return computed[0] if self._traced[0] is self._program else read(self._program, *computed)

    @constant_when_compiled
    def _write_program(self) -> bool:
        """The compiler of PyTorch runs this while it traces, without looking inside, and then finds ``text``.

        Returns whether it traces derivatives of ``torch.func``, which registered operators do not have.
        """
        if self._name_in_text is not None:
            for program in self._traced:
                operators.text_of(program)
        return is_differentiated()

    def __prepare_scriptable__(self) -> None:
        raise TypeError(
            "QuantumModule: torch.jit.script reads Python, and this module is native; use torch.jit.trace, "
            "torch.compile or torch.export"
        )

    def _ready_variables(self, input: Any) -> tuple[torch.Tensor, ...] | None:
        """The input and all sets, where nothing is to be done before the engine reads them: asked in every step."""
        if torch.compiler.is_compiling() or self._encoding_gradients_flag is False:
            return None
        if self._program.evolution.has_derived:
            return None
        width = len(self.encoding_parameters)
        found: tuple[torch.Tensor, ...] | None = ready_variables(input, self._parameters, self._names, width)
        if found is not None and not self._has_right_sizes:
            self._require_sizes(found[1:])
            self._has_right_sizes = True
        return found

    def _require_sizes(self, weights: Sequence[torch.Tensor]) -> None:
        require_sizes(weights, self._names, self.variational_parameters)

    def _variables(self, input: Any) -> tuple[torch.Tensor, Sequence[torch.Tensor], torch.dtype | None]:
        """The input as a tensor of the right width, and all sets, of the dtype to compute in; that of the result.

        None: the result has the dtype in which it is computed.
        """
        weights = self.variational_
        width, own = len(self.encoding_parameters), weights or self._without_weights()
        self._require_sizes(weights)
        if is_ready(input, width, own):
            require_numbers(input, weights)
            return input, weights, None
        inputs, dtype = prepared(input, width, own)
        require_numbers(inputs, weights)
        return inputs, [vector.to(inputs.dtype) for vector in weights], dtype

    def _all_variables(
        self, inputs: torch.Tensor, weights: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, Sequence[torch.Tensor]]:
        """Inputs as a matrix, and sets, both with the variables that are computed from others."""
        if self._encoding_gradients_flag is False:
            inputs = inputs.detach()
        flat = inputs if inputs.ndim == 2 else inputs.reshape(math.prod(inputs.shape[:-1]), self.input_size)
        if not self._program.evolution.has_derived:
            return flat, weights
        if torch.compiler.is_compiling() and self._write_program():
            break_graph()
        flat, all_weights = with_derived_columns(self._program.evolution, flat, joined(weights, flat))
        return flat, [all_weights]

    def _without_weights(self) -> list[torch.Tensor]:
        """A tensor with the dtype and device that weights would have."""
        buffer = self._buffers.get("_like")
        return [torch.empty(0) if buffer is None else buffer]  # None: pickled by version 2.0

    @property
    def variational_(self) -> list[torch.nn.Parameter]:
        """The trainable sets, in order; each is also an attribute under its own name."""
        # Not by getattr, which is slow to find parameters; parametrized ones are attributes only.
        own: dict[str, Any] = self._parameters
        return [own[name] if name in own else getattr(self, name) for name in self._names]

    @property
    def variational_names(self) -> list[str]:
        """Names of the trainable sets, in order."""
        return list(self._names)

    @property
    def observables(self) -> Observables | Output | Trainable:
        """A copy of the observables as they were given."""
        return copy.deepcopy(self._observables)

    @property
    def method(self) -> Method | str:
        """What computes, a method or "auto"."""
        return self._runners.method or AUTO

    @property
    def encoding_gradients_flag(self) -> bool | None:
        """Where it is False, gradients with respect to the input are forced off."""
        return self._encoding_gradients_flag

    @property
    def num_trainable_parameters(self) -> int:
        """Number of trainable parameters in all sets together."""
        return sum(len(parameters) for parameters in self.variational_parameters)

    @property
    def input_size(self) -> int:
        """Number of encoding parameters, the width of the input."""
        return len(self.encoding_parameters)

    @property
    def output_size(self) -> int:
        """Number of observables, the width of the output; how many numbers an `Output` reads from a sample."""
        return self._program.output_size if self._sums is None else self._sums.num_columns

    @property
    def circuit(self) -> QuantumCircuit:
        """A copy of the circuit as it was given.

        Raises:
            RuntimeError: the module comes from a file that holds what the circuit was compiled to, but not itself.
        """
        if isinstance(self._circuit, SavedCircuit):
            self._circuit = with_measurements(self._circuit.built(), self._final_measurements())
        return copied(self._circuit)

    def _final_measurements(self) -> Measurements:
        measurements: Measurements = self.__dict__.get("_measurements", Measurements())  # none: pickled by version 2.0
        return measurements

    def _restore(
        self, program: Program, circuit: SavedCircuit, observables: Observables, measurements: Measurements
    ) -> None:
        """Replaces what was compiled at construction by what comes from a file."""
        for one in (program, *program.others):
            one.evolution.set_origins({parameter: index for index, parameter in enumerate(circuit.parameters)})
        self._circuit, self._num_qubits = circuit, circuit.num_qubits
        self._compute(program, self._runners.method)
        self._observables, self._measurements = observables, measurements
        _, self._sums = taken_apart(observables)
        self._register_parameters(self._initial_coefficients(), "name of Trainable")

    @property
    def num_threads_forward(self) -> int:
        """Threads for values; 0 means ``torch.get_num_threads()``."""
        return self._num_threads_forward

    @property
    def num_threads_backward(self) -> int:
        """Threads for gradients; 0 means ``torch.get_num_threads()``."""
        return self._num_threads_backward

    def set_num_threads_forward(self, num_threads_forward: int) -> None:
        """Sets the threads for values; 0: as ``torch.get_num_threads()``."""
        self._num_threads_forward = thread_count(num_threads_forward, "num_threads_forward")

    def set_num_threads_backward(self, num_threads_backward: int) -> None:
        """Sets the threads for gradients; 0: as ``torch.get_num_threads()``."""
        self._num_threads_backward = thread_count(num_threads_backward, "num_threads_backward")

    def set_variational_gradients_flag(self, variational_gradients_flag: Sequence[bool] | bool) -> None:
        """Switches training of each set, or of all, on or off: sets ``requires_grad`` of its ``nn.Parameter``.

        Raises:
            TypeError: something other than truth values.
            ValueError: not as many as sets.
        """
        sets = self.variational_
        if isinstance(variational_gradients_flag, str) or not isinstance(variational_gradients_flag, Iterable):
            variational_gradients_flag = [variational_gradients_flag] * len(sets)
        flags = [flag(given, "variational_gradients_flag") for given in variational_gradients_flag]
        if len(flags) != len(sets):
            raise ValueError(f"variational_gradients_flag: expected one flag for all or {len(sets)}, got {len(flags)}")
        for weights, is_trained in zip(sets, flags, strict=True):
            weights.requires_grad_(is_trained)

    def draw(self, *arguments: Any, **options: Any) -> Any:
        """Draws the circuit: arguments and result are those of ``QuantumCircuit.draw``."""
        return self.circuit.draw(*arguments, **options)

    def _repr_html_(self) -> str:
        """For notebooks."""
        return html_of_quantum(self)

    def extra_repr(self) -> str:
        """Qubits, sizes, what comes out, trainable sets, and the method if one was chosen, for ``print``."""
        names = [*self._names, *names_of(trained_in(self._observables))]
        sets = ", ".join(f"{name}={len(getattr(self, name))}" for name in names)
        return (
            f"num_qubits={self._num_qubits}, input_size={self.input_size}, output_size={self.output_size}, "
            f"observables={shown_observables(self._observables)}, dtype={shown_dtype(self)}, "
            f"trainable: {sets or 'none'}" + ("" if self.method == AUTO else f", method={self.method!r}")
        )
