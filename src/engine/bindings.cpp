// The native module: checks arrays, releases the GIL, calls the engine.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <optional>
#include <stdexcept>
#include <tuple>

#include "dispatch.hpp"
#include "evaluate.hpp"
#include "gil.hpp"
#include "memory.hpp"
#include "processors.hpp"
#include "range.hpp"
#include "scratch.hpp"
#include "tensor.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

template <class Real>
using Matrix = nb::ndarray<const Real, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
template <class Real>
using Row = nb::ndarray<const Real, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Flags = nb::ndarray<const bool, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class Real>
using NumpyMatrix = nb::ndarray<nb::numpy, Real, nb::ndim<2>>;
template <class Real>
using NumpyRow = nb::ndarray<nb::numpy, Real, nb::ndim<1>>;

template <class Array, class Real = typename Array::Scalar>
Array make_array(std::initializer_list<size_t> shape) {
    size_t size = 1;
    for (size_t extent : shape) size *= extent;
    auto* data = new Real[size];
    nb::capsule owner(data, [](void* pointer) noexcept { delete[] static_cast<Real*>(pointer); });
    return Array(data, shape.size(), shape.begin(), owner);
}

std::string shape_text(size_t rows, size_t columns) {
    return "(" + std::to_string(rows) + ", " + std::to_string(columns) + ")";
}

template <class Real>
void require_shapes(const qtm::ProgramView& program, const Matrix<Real>& inputs, const Row<Real>& weights) {
    if (inputs.shape(1) != size_t(program.num_inputs))
        throw std::invalid_argument("inputs: expected shape (batch, " + std::to_string(program.num_inputs) + "), got " +
                                    shape_text(inputs.shape(0), inputs.shape(1)));
    if (weights.shape(0) != size_t(program.num_weights))
        throw std::invalid_argument("weights: expected " + std::to_string(program.num_weights) + " values, got " +
                                    std::to_string(weights.shape(0)));
}

// Index of the first value that is not finite, or -1. A sum of 0 * x is NaN exactly when some x is not finite.
template <class Real>
int64_t find_not_finite(const Real* data, size_t size) {
    constexpr size_t parts = 8;  // sums that do not wait for one another
    Real sum[parts] = {};
    size_t begin = 0;
    for (; begin + parts <= size; begin += parts)
        for (size_t i = 0; i < parts; ++i) sum[i] += data[begin + i] * Real(0);
    for (; begin < size; ++begin) sum[0] += data[begin] * Real(0);
    if (std::all_of(sum, sum + parts, [](Real part) { return part == 0; })) return -1;
    for (size_t i = 0; i < size; ++i)
        if (!std::isfinite(data[i])) return int64_t(i);
    return -1;
}

template <class Real>
void require_finite(const qtm::ProgramView& program, const qtm::Batch<Real>& batch) {
    const auto width = size_t(program.num_inputs);
    const int64_t input = find_not_finite(batch.inputs, size_t(batch.size) * width);
    if (input >= 0)
        throw std::invalid_argument("inputs: expected finite values, got " + std::to_string(batch.inputs[input]) +
                                    " in sample " + std::to_string(size_t(input) / width) + ", column " +
                                    std::to_string(size_t(input) % width) +
                                    "; clean the data, e.g. with torch.nan_to_num");
    const int64_t weight = find_not_finite(batch.weights, size_t(program.num_weights));
    if (weight >= 0)
        throw std::invalid_argument("weights: expected finite values, got " + std::to_string(batch.weights[weight]) +
                                    " at position " + std::to_string(weight) +
                                    "; a smaller learning rate may keep training stable");
}

// A negative number of threads: exactly so many.
template <class Real>
qtm::Batch<Real> batch_of(const Real* inputs, const Real* weights, int64_t size, int num_threads) {
    return {inputs, weights, size, std::abs(num_threads), num_threads < 0};
}

// Inputs and angles are finite: what is not comes from the observables.
template <class Real>
void require_finite_values(const qtm::ProgramView& program, const Real* values, int64_t size) {
    const auto width = size_t(program.num_observables);
    const int64_t found = find_not_finite(values, size_t(size) * width);
    if (found >= 0)
        throw std::invalid_argument(
            "observables: observable " + std::to_string(size_t(found) % width) + " has values beyond the range of " +
            (sizeof(Real) == 4 ? "single precision; compute in float64, or scale it" : "double precision; scale it"));
}

// A batch whose shapes and values are right.
template <class Real>
qtm::Batch<Real> checked(const qtm::ProgramView& program, const Matrix<Real>& inputs, const Row<Real>& weights,
                         int num_threads) {
    require_shapes(program, inputs, weights);
    const auto batch = batch_of(inputs.data(), weights.data(), int64_t(inputs.shape(0)), num_threads);
    require_finite(program, batch);
    return batch;
}

template <class Real>
NumpyMatrix<Real> values(const qtm::Plan& plan, Matrix<Real> inputs, Row<Real> weights, int num_threads) {
    const qtm::Batch<Real> batch = checked(plan.view(), inputs, weights, num_threads);
    auto result = make_array<NumpyMatrix<Real>, Real>({inputs.shape(0), size_t(plan.view().num_observables)});
    Real* out = result.data();
    {
        const qtm::GilReleased released;
        qtm::require_resolved(plan.view(), batch);
        qtm::values<Real>(plan, batch, out);
        require_finite_values(plan.view(), out, batch.size);
    }
    return result;
}

template <class Real>
using Tape = qtm::Tape<Real>;

template <class Real>
std::pair<NumpyMatrix<Real>, std::unique_ptr<Tape<Real>>> record(const qtm::Plan& plan, Matrix<Real> inputs,
                                                                 Row<Real> weights, int num_threads) {
    const qtm::Batch<Real> batch = checked(plan.view(), inputs, weights, num_threads);
    auto result = make_array<NumpyMatrix<Real>, Real>({inputs.shape(0), size_t(plan.view().num_observables)});
    Real* out = result.data();
    std::unique_ptr<Tape<Real>> tape;
    {
        const qtm::GilReleased released;
        qtm::require_resolved(plan.view(), batch);
        tape = qtm::record<Real>(plan, batch, out);
        require_finite_values(plan.view(), out, batch.size);
    }
    return {std::move(result), std::move(tape)};
}

template <class Real>
void require_tape_of(const Tape<Real>* tape, const qtm::Plan& plan, int64_t size) {
    if (tape != nullptr && tape->plan != plan.number())
        throw std::invalid_argument("tape: expected one that this engine has recorded, got that of another");
    if (tape != nullptr && tape->size != size)
        throw std::invalid_argument("tape: expected that of a batch of " + std::to_string(size) + ", got " +
                                    std::to_string(tape->size));
}

template <class Real>
using Gradients = std::tuple<std::optional<NumpyMatrix<Real>>, std::optional<NumpyRow<Real>>>;

template <class Real>
Gradients<Real> vector_jacobian_product(const qtm::Plan& plan, Matrix<Real> inputs, Row<Real> weights,
                                        Matrix<Real> cotangent, Flags wanted, int num_threads, bool imaginary,
                                        const Tape<Real>* tape) {
    const qtm::ProgramView& program = plan.view();
    const qtm::Batch<Real> batch = checked(program, inputs, weights, num_threads);
    if (cotangent.shape(0) != inputs.shape(0) || cotangent.shape(1) != size_t(program.num_observables))
        throw std::invalid_argument("cotangent: expected shape " +
                                    shape_text(inputs.shape(0), size_t(program.num_observables)) + ", got " +
                                    shape_text(cotangent.shape(0), cotangent.shape(1)));
    require_tape_of(tape, plan, batch.size);
    const auto num_inputs = size_t(program.num_inputs), num_weights = size_t(program.num_weights);
    if (wanted.shape(0) != num_inputs + num_weights)
        throw std::invalid_argument("wanted: expected one flag for each input and weight");
    bool wants_inputs = false, wants_weights = false;
    for (size_t i = 0; i < num_inputs; ++i) wants_inputs |= wanted.data()[i];
    for (size_t i = 0; i < num_weights; ++i) wants_weights |= wanted.data()[num_inputs + i];
    Gradients<Real> result;
    Real *input_gradient = nullptr, *weight_gradient = nullptr;
    if (wants_inputs) {
        std::get<0>(result) = make_array<NumpyMatrix<Real>, Real>({inputs.shape(0), num_inputs});
        input_gradient = std::get<0>(result)->data();
    }
    if (wants_weights) {
        std::get<1>(result) = make_array<NumpyRow<Real>, Real>({num_weights});
        weight_gradient = std::get<1>(result)->data();
    }
    {
        const qtm::GilReleased released;
        qtm::require_resolved(program, batch);
        qtm::vector_jacobian_product<Real>(
            plan, batch, cotangent.data(), imaginary ? qtm::Derivative::imaginary : qtm::Derivative::real,
            reinterpret_cast<const uint8_t*>(wanted.data()), tape, input_gradient, weight_gradient);
    }
    return result;
}

template <class Real>
using Cube = nb::ndarray<const Real, nb::ndim<3>, nb::c_contig, nb::device::cpu>;
template <class Real>
using NumpyCube = nb::ndarray<nb::numpy, Real, nb::ndim<3>>;

template <class Real>
std::tuple<std::optional<NumpyCube<Real>>, std::optional<NumpyMatrix<Real>>> vector_jacobian_products(
    const qtm::Plan& plan, Matrix<Real> inputs, Row<Real> weights, Cube<Real> cotangents, Flags wanted, int num_threads,
    bool imaginary) {
    const qtm::ProgramView& program = plan.view();
    const qtm::Batch<Real> batch = checked(program, inputs, weights, num_threads);
    const size_t count = cotangents.shape(0), rows = inputs.shape(0), columns = size_t(program.num_observables);
    if (cotangents.shape(1) != rows || cotangents.shape(2) != columns)
        throw std::invalid_argument("cotangents: expected shape (any, " + std::to_string(rows) + ", " +
                                    std::to_string(columns) + "), got (" + std::to_string(count) + ", " +
                                    std::to_string(cotangents.shape(1)) + ", " + std::to_string(cotangents.shape(2)) +
                                    ")");
    const auto num_inputs = size_t(program.num_inputs), num_weights = size_t(program.num_weights);
    if (wanted.shape(0) != num_inputs + num_weights)
        throw std::invalid_argument("wanted: expected one flag for each input and weight");
    const auto wants = [&](size_t begin, size_t end) {
        return std::any_of(wanted.data() + begin, wanted.data() + end, [](bool one) { return one; });
    };
    std::tuple<std::optional<NumpyCube<Real>>, std::optional<NumpyMatrix<Real>>> result;
    auto& [of_inputs, of_weights] = result;
    if (wants(0, num_inputs)) of_inputs = make_array<NumpyCube<Real>, Real>({count, rows, num_inputs});
    if (wants(num_inputs, num_inputs + num_weights))
        of_weights = make_array<NumpyMatrix<Real>, Real>({count, num_weights});
    Real* const input_gradient = of_inputs ? of_inputs->data() : nullptr;
    Real* const weight_gradient = of_weights ? of_weights->data() : nullptr;
    {
        const qtm::GilReleased released;
        qtm::require_resolved(program, batch);
        qtm::vector_jacobian_products<Real>(plan, batch, int64_t(count), cotangents.data(),
                                            imaginary ? qtm::Derivative::imaginary : qtm::Derivative::real,
                                            reinterpret_cast<const uint8_t*>(wanted.data()), input_gradient,
                                            weight_gradient);
    }
    return result;
}

// The calls that training makes, with tensors of PyTorch.

using qtm::Tensor;

template <class Real>
std::vector<Tensor<Real>> tensors(const nb::sequence& given, const char* what) {
    std::vector<Tensor<Real>> found;
    for (nb::handle one : given) found.emplace_back(one, what);
    return found;
}

// Weights in several sets, one after the other.
template <class Real>
std::vector<Real> joined(const std::vector<Tensor<Real>>& sets) {
    std::vector<Real> weights;
    for (const Tensor<Real>& set : sets) weights.insert(weights.end(), set.values(), set.values() + set.size());
    return weights;
}

template <class Real>
qtm::Batch<Real> checked(const qtm::ProgramView& program, const Tensor<Real>& inputs, int64_t size,
                         const std::vector<Real>& weights, int num_threads) {
    const Real* begin = inputs.values(size_t(size) * size_t(program.num_inputs));
    if (weights.size() != size_t(program.num_weights))
        throw std::invalid_argument("weights: expected " + std::to_string(program.num_weights) + " values, got " +
                                    std::to_string(weights.size()));
    const auto batch = batch_of(begin, weights.data(), size, num_threads);
    require_finite(program, batch);
    return batch;
}

template <class Real>
nb::tuple tensor_values(const qtm::Plan& plan, nb::handle inputs, int64_t size, const nb::sequence& sets,
                        int num_threads, bool recorded) {
    const Tensor<Real> from(inputs, "inputs");
    const std::vector<Real> weights = joined(tensors<Real>(sets, "weights"));
    const qtm::Batch<Real> batch = checked(plan.view(), from, size, weights, num_threads);
    nb::object values = from.like(size_t(size), size_t(plan.view().num_observables));
    Real* out = from.target(values);
    std::unique_ptr<Tape<Real>> tape;
    {
        const qtm::GilReleased released;
        qtm::require_resolved(plan.view(), batch);
        if (recorded)
            tape = qtm::record<Real>(plan, batch, out);
        else
            qtm::values<Real>(plan, batch, out);
        require_finite_values(plan.view(), out, size);
    }
    return nb::make_tuple(std::move(values), std::move(tape));
}

template <class Real>
nb::list tensor_gradients(const qtm::Plan& plan, nb::handle inputs, int64_t size, const nb::sequence& sets,
                          nb::handle cotangent, const std::vector<bool>& wants, int num_threads,
                          const Tape<Real>* tape) {
    const qtm::ProgramView& program = plan.view();
    const Tensor<Real> from(inputs, "inputs"), seed(cotangent, "cotangent");
    const std::vector<Tensor<Real>> from_sets = tensors<Real>(sets, "weights");
    const std::vector<Real> weights = joined(from_sets);
    const qtm::Batch<Real> batch = checked(program, from, size, weights, num_threads);
    const Real* seeds = seed.values(size_t(size) * size_t(program.num_observables));
    require_tape_of(tape, plan, size);
    if (wants.size() != 1 + from_sets.size())
        throw std::invalid_argument("wants: expected one flag for the inputs and for each set");
    nb::list gradients;
    std::vector<Real*> out;
    std::vector<uint8_t> wanted;
    for (size_t i = 0; i < wants.size(); ++i) {
        const Tensor<Real>& of = i == 0 ? from : from_sets[i - 1];
        nb::object gradient = wants[i] ? of.like() : nb::none();
        out.push_back(wants[i] ? of.target(gradient) : nullptr);
        wanted.insert(wanted.end(), i == 0 ? size_t(program.num_inputs) : of.size(), wants[i]);
        gradients.append(std::move(gradient));
    }
    std::vector<Real> gradient(weights.size());
    {
        const qtm::GilReleased released;
        qtm::vector_jacobian_product<Real>(plan, batch, seeds, qtm::Derivative::real, wanted.data(), tape, out[0],
                                           gradient.data());
    }
    const Real* begin = gradient.data();
    for (size_t i = 0; i < from_sets.size(); begin += from_sets[i++].size())
        if (wants[i + 1]) std::copy_n(begin, from_sets[i].size(), out[i + 1]);
    return gradients;
}

// Complex products that the phase before every layer takes for an amplitude; tables are not counted.
std::vector<int> products_of_phases(const qtm::ProgramView& view) {
    std::vector<int> products;
    for (int phase = 0; phase < view.num_layers; ++phase) {
        const bool has_constant = view.phase_constant_begin[phase] < view.phase_rest_begin[phase];
        const int rest = view.phase_group_begin[phase + 1] - view.phase_rest_begin[phase];
        products.push_back(phase == 0 ? 0 : 1 + has_constant + 2 * rest);
    }
    return products;
}

// The same keys as below.
template <class Real>
nb::dict step_schedule(const qtm::Plan& plan, int64_t batch_size, int num_threads, bool gradient) {
    const auto mode = gradient ? qtm::Mode::gradient_undoing_kets : qtm::Mode::values;
    const qtm::StepSchedule<Real> how = qtm::step_schedule<Real>(plan, batch_size, num_threads, mode);
    nb::dict result;
    for (const char* name : {"sweeps_of_layers", "products_of_phases"}) result[name] = std::vector<int>{};
    for (const char* name : {"measured_runs", "prefix_layers", "tape_bytes"}) result[name] = 0;
    result["lanes"] = how.kernel->lanes;
    result["is_spread"] = how.kernel->lane_bits > 0;
    result["samples_in_a_tile"] = how.kernel->lane_bits > 0 ? 1 : how.kernel->lanes;
    result["num_threads"] = how.num_threads;
    for (const char* name : {"keeps_kets", "shares_prefix", "absorbs_observables", "is_team", "tape_holds_kets"})
        result[name] = false;
    result["halves"] = nb::none();
    result["scratch_bytes"] = how.scratch_bytes * size_t(how.num_threads) + how.matrix_bytes;
    return result;
}

template <class Real>
nb::dict schedule(const qtm::Plan& plan, int64_t batch_size, int num_threads, bool gradient) {
    if (plan.steps() != nullptr) return step_schedule<Real>(plan, batch_size, num_threads, gradient);
    const auto purpose = gradient ? qtm::Purpose::recorded_gradient : qtm::Purpose::values;
    const qtm::Schedule<Real> how = qtm::schedule<Real>(plan, batch_size, num_threads, purpose);
    nb::dict result;
    std::vector<int> sweeps;
    for (int layer = 0; layer < how.view->num_layers; ++layer)
        sweeps.push_back(how.view->layer_sweep_begin[layer + 1] - how.view->layer_sweep_begin[layer]);
    result["sweeps_of_layers"] = sweeps;
    result["products_of_phases"] = products_of_phases(*how.view);
    int measured = 0;
    for (int run = 0; how.view->absorbs && run < how.view->num_runs; ++run) measured += how.view->run_is_measured[run];
    result["measured_runs"] = measured;
    result["prefix_layers"] = qtm::prefix_layers(*how.view);
    result["lanes"] = how.kernel->lanes;
    result["is_spread"] = how.kernel->lane_bits > 0;
    result["samples_in_a_tile"] = how.samples;
    result["num_threads"] = how.num_threads;
    result["keeps_kets"] = how.storage.mode == qtm::Mode::gradient_keeping_kets;
    result["shares_prefix"] = how.storage.shares_prefix;
    result["absorbs_observables"] = bool(how.view->absorbs);
    result["is_team"] = how.storage.is_team;
    result["halves"] = nb::none();
    if (how.plan->half(0) != nullptr)
        result["halves"] = nb::make_tuple(how.plan->half(0)->view().num_qubits, how.plan->half(1)->view().num_qubits,
                                          how.view->glue_bits);
    result["scratch_bytes"] = how.scratch_bytes * size_t(how.num_threads) + how.shared_bytes + how.prefix_bytes;
    result["tape_bytes"] = how.tape_bytes;
    result["tape_holds_kets"] = how.storage.taped == qtm::Taped::all;
    return result;
}

// Entries that the schema names, all of them and no others.
class KnownKeys {
   public:
    explicit KnownKeys(const nb::dict& entries) : entries_(entries) {}
    nb::handle operator[](const char* name) {
        ++count_;
        if (!entries_.contains(name)) throw std::invalid_argument(std::string("inconsistent program: no ") + name);
        return entries_[name];
    }
    void finish() const {
        if (entries_.size() != count_)
            throw std::invalid_argument("inconsistent program: entries that the schema lacks");
    }

   private:
    const nb::dict& entries_;
    size_t count_ = 0;
};

template <class Scalar>
void assign(std::vector<Scalar>& target, KnownKeys& arrays, const char* name) {
    const auto array = nb::cast<nb::ndarray<const Scalar, nb::ndim<1>, nb::c_contig, nb::device::cpu>>(arrays[name]);
    target.assign(array.data(), array.data() + array.size());
}

qtm::ProgramArrays arrays_of(const nb::dict& arrays, int num_qubits, int num_inputs, int num_weights) {
    qtm::ProgramArrays given;
    given.num_qubits = num_qubits;
    given.num_inputs = num_inputs;
    given.num_weights = num_weights;
    KnownKeys known(arrays);
#define QTM_ASSIGN(Scalar, name) assign(given.name, known, #name);
    QTM_PROGRAM_ARRAYS(QTM_ASSIGN)
#undef QTM_ASSIGN
#define QTM_ASSIGN(name) given.name = nb::cast<bool>(known[#name]);
    QTM_SWITCHES(QTM_ASSIGN)
#undef QTM_ASSIGN
    known.finish();
    return given;
}

std::optional<qtm::StepArrays> steps_of(const std::optional<nb::dict>& arrays) {
    if (!arrays) return std::nullopt;
    qtm::StepArrays given;
    KnownKeys known(*arrays);
#define QTM_ASSIGN(Scalar, name) assign(given.name, known, #name);
    QTM_STEP_ARRAYS(QTM_ASSIGN)
#undef QTM_ASSIGN
    known.finish();
    return given;
}

void construct(qtm::Plan* place, int num_qubits, int num_inputs, int num_weights, const nb::dict& arrays,
               const std::optional<nb::dict>& halved, const std::optional<nb::dict>& steps) {
    const auto given = [&](const nb::dict& of, int qubits) { return arrays_of(of, qubits, num_inputs, num_weights); };
    std::unique_ptr<const qtm::Plan> from_halves;
    if (halved) {
        qtm::Plan::Halves halves{};
        halves.glue_bits = nb::cast<int>((*halved)[qtm::key::glue]);
        halves.relative_cost = nb::cast<double>((*halved)[qtm::key::relative_cost]);
        for (int i = 0; i < 2; ++i) {
            const auto [qubits, of_half] =
                nb::cast<std::pair<int, nb::dict>>((*halved)[i == 0 ? qtm::key::low : qtm::key::high]);
            qtm::ProgramArrays half = given(of_half, qubits);
            half.is_half = true;
            halves.half[size_t(i)] = std::make_unique<const qtm::Plan>(std::move(half));
        }
        from_halves = std::make_unique<const qtm::Plan>(
            given(nb::cast<nb::dict>((*halved)[qtm::key::rest]), num_qubits), std::move(halves));
    }
    new (place) qtm::Plan(given(arrays, num_qubits), {}, std::move(from_halves), steps_of(steps));
}

// A whole number of bytes, as an int, a whole float such as 8e9, or what counts as an int (NumPy's).
std::optional<size_t> bytes_of(nb::handle given) {
    const auto refuse = [&] {
        throw nb::value_error(
            ("set_memory_budget: expected a whole number of bytes above 0, such as 8e9, or None for half "
             "of what this process may take; got " +
             std::string(nb::repr(given).c_str()))
                .c_str());
    };
    if (given.is_none()) return std::nullopt;
    if (PyFloat_Check(given.ptr())) {
        const double bytes = PyFloat_AS_DOUBLE(given.ptr());
        if (!(bytes >= 1 && bytes < 0x1p63 && bytes == std::floor(bytes))) refuse();
        return size_t(bytes);
    }
    if (PyBool_Check(given.ptr()) || !PyIndex_Check(given.ptr())) refuse();
    const nb::object whole = nb::steal(PyNumber_Index(given.ptr()));
    if (!whole.is_valid()) throw nb::python_error();
    int overflow = 0;
    const long long bytes = PyLong_AsLongLongAndOverflow(whole.ptr(), &overflow);
    if (overflow != 0 || bytes < 1) refuse();
    return size_t(bytes);
}

std::vector<std::string> instruction_sets() {
    std::vector<std::string> names;
    for (const qtm::Implementation* implementation : qtm::supported_implementations())
        names.emplace_back(implementation->name);
    return names;
}

}  // namespace

NB_MODULE(_engine, module) {
    nb::set_leak_warnings(false);  // the cache of engines lives until the interpreter ends
    nb::module_::import_("atexit").attr("register")(nb::cpp_function(&qtm::hold_other_threads));
    module.doc() = "The native state-vector engine. It knows nothing of Qiskit.";
    nb::class_<Tape<float>>(module, "Tape32", "States of a batch, from a forward to a backward call.");
    nb::class_<Tape<double>>(module, "Tape64", "States of a batch, from a forward to a backward call.");
    nb::class_<qtm::Plan>(module, "Engine", "A program made ready to run: immutable, safe to share between threads.")
        .def("__init__", &construct, "num_qubits"_a, "num_inputs"_a, "num_weights"_a, "arrays"_a,
             "halved"_a = nb::none(), "steps"_a = nb::none())
        .def("values", &values<float>, "inputs"_a.noconvert(), "weights"_a.noconvert(), "num_threads"_a,
             "Expectation values (batch, observables) for inputs (batch, inputs) and weights (weights,).")
        .def("values", &values<double>, "inputs"_a.noconvert(), "weights"_a.noconvert(), "num_threads"_a)
        .def("record", &record<float>, "inputs"_a.noconvert(), "weights"_a.noconvert(), "num_threads"_a,
             "Values as above, and a tape for `vector_jacobian_product` of the same inputs and weights; None where "
             "gradients would not profit from one.")
        .def("record", &record<double>, "inputs"_a.noconvert(), "weights"_a.noconvert(), "num_threads"_a)
        .def("vector_jacobian_product", &vector_jacobian_product<float>, "inputs"_a.noconvert(),
             "weights"_a.noconvert(), "cotangent"_a.noconvert(), "wanted"_a, "num_threads"_a, "imaginary"_a = false,
             "tape"_a = nb::none(),
             "Gradients of sum(cotangent * values): for the inputs (batch, inputs) and, summed over the batch, for the "
             "weights (weights,); None where `wanted` flags none of them. Imaginary: of 2 Im<k|O|dk> in place of the "
             "real "
             "part, up to the global phase of the state.")
        .def("vector_jacobian_product", &vector_jacobian_product<double>, "inputs"_a.noconvert(),
             "weights"_a.noconvert(), "cotangent"_a.noconvert(), "wanted"_a, "num_threads"_a, "imaginary"_a = false,
             "tape"_a = nb::none())
        .def("vector_jacobian_products", &vector_jacobian_products<float>, "inputs"_a.noconvert(),
             "weights"_a.noconvert(), "cotangents"_a.noconvert(), "wanted"_a, "num_threads"_a, "imaginary"_a = false,
             "The same for cotangents (any, batch, observables), from one way forward: for the inputs (any, batch, "
             "inputs) and the weights (any, weights).")
        .def("vector_jacobian_products", &vector_jacobian_products<double>, "inputs"_a.noconvert(),
             "weights"_a.noconvert(), "cotangents"_a.noconvert(), "wanted"_a, "num_threads"_a, "imaginary"_a = false)
        .def("tensor_values_float32", &tensor_values<float>, "inputs"_a, "size"_a, "weights"_a, "num_threads"_a,
             "recorded"_a,
             "As `values` and, if recorded, `record`, of tensors of this dtype; weights come in sets. A new tensor, "
             "and a "
             "tape or None.")
        .def("tensor_values_float64", &tensor_values<double>, "inputs"_a, "size"_a, "weights"_a, "num_threads"_a,
             "recorded"_a)
        .def("tensor_gradients_float32", &tensor_gradients<float>, "inputs"_a, "size"_a, "weights"_a, "cotangent"_a,
             "wants"_a, "num_threads"_a, "tape"_a.none(),
             "As `vector_jacobian_product`, likewise: a new tensor for the inputs and for each set, None where it is "
             "not "
             "wanted.")
        .def("tensor_gradients_float64", &tensor_gradients<double>, "inputs"_a, "size"_a, "weights"_a, "cotangent"_a,
             "wants"_a, "num_threads"_a, "tape"_a.none())
        .def("schedule_float32", &schedule<float>, "batch_size"_a, "num_threads"_a, "gradient"_a,
             "How a batch would be run in single precision, and the scratch memory it would take.")
        .def("schedule_float64", &schedule<double>, "batch_size"_a, "num_threads"_a, "gradient"_a,
             "How a batch would be run in double precision, and the scratch memory it would take.");
    module.def("instruction_sets", &instruction_sets, "Those this processor supports, best first.");
    module.def("instruction_set", [] { return std::string(qtm::implementation().name); }, "The one in use.");
    module.def("force_instruction_set", &qtm::force_implementation, "name"_a,
               "Changes the one in use; '' chooses as at start (QTM_INSTRUCTION_SET, else the best).");
    nb::enum_<qtm::Layouts>(module, "Layouts", "How states may lie in memory.")
        .value("any", qtm::Layouts::any, "Whichever is faster.")
        .value("batched", qtm::Layouts::batched, "A sample in every lane.")
        .value("spread", qtm::Layouts::spread, "One sample, its amplitudes in the lanes.");
    module.def("allow_layouts", &qtm::allow_layouts, "layouts"_a, "For tests and measurements.");
    module.def("force_halves", &qtm::force_halves, "forces"_a,
               "For tests and measurements: circuits start from halves wherever they can.");
    module.def("poison_scratch", &qtm::poison_scratch, "poisons"_a,
               "For tests: scratch memory starts as NaN, so that nothing is read before it is written.");
    module.def("memory_budget", &qtm::memory_budget, "Most bytes of scratch memory that one call may take.");
    module.def(
        "set_memory_budget", [](nb::handle bytes) { qtm::set_memory_budget(bytes_of(bytes)); }, "bytes"_a.none(),
        "Sets the most bytes of scratch memory that one call may take. None: half of what this process may take, by "
        "physical memory, the limits of its container, and its limits on address space and data.");
    module.def("memory_limit", &qtm::memory_limit, "root"_a = "",
               "What this process may take, going by the files of the system below `root`.");
    module.def("processor_quota", &qtm::processor_quota, "root"_a = "",
               "Processors that the container of this process may use, likewise; 0: no limit.");
    module.def("assume_processors", &qtm::assume_processors, "count"_a,
               "For tests: as if this process could use so many; 0: as many as it can.");
}
