// Vector-Jacobian products of a batch.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <optional>
#include <tuple>

#include "../gil.hpp"
#include "../range.hpp"
#include "batch.hpp"
#include "bindings.hpp"

namespace qtm::bindings {

using namespace nb::literals;

namespace {

template <class Real>
using Gradients = std::tuple<std::optional<NumpyMatrix<Real>>, std::optional<NumpyRow<Real>>>;

template <class Real>
Gradients<Real> vector_jacobian_product(const Plan& plan, Matrix<Real> inputs, Row<Real> weights,
                                        Matrix<Real> cotangent, Flags wanted, int num_threads, bool imaginary,
                                        const Tape<Real>* tape) {
    const ProgramView& program = plan.view();
    const Batch<Real> batch = checked(program, inputs, weights, num_threads);
    if (cotangent.shape(0) != inputs.shape(0) || cotangent.shape(1) != size_t(program.num_values))
        throw std::invalid_argument("cotangent: expected shape " +
                                    shape_text(inputs.shape(0), size_t(program.num_values)) + ", got " +
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
        const GilReleased released;
        require_resolved(program, batch);
        qtm::vector_jacobian_product<Real>(
            plan, batch, cotangent.data(), imaginary ? Derivative::imaginary : Derivative::real,
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
    const Plan& plan, Matrix<Real> inputs, Row<Real> weights, Cube<Real> cotangents, Flags wanted, int num_threads,
    bool imaginary) {
    const ProgramView& program = plan.view();
    const Batch<Real> batch = checked(program, inputs, weights, num_threads);
    const size_t count = cotangents.shape(0), rows = inputs.shape(0), columns = size_t(program.num_values);
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
        const GilReleased released;
        require_resolved(program, batch);
        qtm::vector_jacobian_products<Real>(
            plan, batch, int64_t(count), cotangents.data(), imaginary ? Derivative::imaginary : Derivative::real,
            reinterpret_cast<const uint8_t*>(wanted.data()), input_gradient, weight_gradient);
    }
    return result;
}

// Inputs and sets of weights: as they are on a tape, for which they were looked at, or as they are given.
template <class Real>
class Variables {
   public:
    Variables(const ProgramView& program, nb::handle inputs, int64_t size, const nb::sequence& sets, int num_threads,
              const Tape<Real>* tape) {
        if (tape != nullptr) {
            size_t total = 0;
            for (nb::handle set : sets) total += widths_.emplace_back(num_elements(set));
            require_width(program, total);
            batch_ = batch_of(tape->inputs.data(), tape->weights.data(), size, num_threads);
            return;
        }
        inputs_.emplace(inputs, "inputs");
        const std::vector<Tensor<Real>> found = tensors<Real>(sets, "weights");
        for (const Tensor<Real>& set : found) widths_.push_back(set.size());
        weights_ = joined(found);
        batch_ = checked(program, *inputs_, size, weights_, num_threads);
    }
    Variables(const Variables&) = delete;
    Variables& operator=(const Variables&) = delete;

    const Batch<Real>& batch() const { return batch_; }
    const std::vector<size_t>& widths() const { return widths_; }  // of the sets

   private:
    std::optional<Tensor<Real>> inputs_;
    std::vector<Real> weights_;
    std::vector<size_t> widths_;
    Batch<Real> batch_{};
};

template <class Real>
nb::list tensor_gradients(const Plan& plan, nb::handle inputs, int64_t size, const nb::sequence& sets,
                          nb::handle cotangent, const std::vector<bool>& wants, int num_threads,
                          const Tape<Real>* tape) {
    const ProgramView& program = plan.view();
    require_tape_of(tape, plan, size);
    const Variables<Real> given(program, inputs, size, sets, num_threads, tape);
    const Tensor<Real> seed(cotangent, "cotangent");
    const Real* seeds = seed.values(size_t(size) * size_t(program.num_values));
    const std::vector<size_t>& widths = given.widths();
    if (wants.size() != 1 + widths.size())
        throw std::invalid_argument("wants: expected one flag for the inputs and for each set");
    nb::list gradients;
    std::vector<Real*> out;
    std::vector<uint8_t> wanted;
    for (size_t i = 0; i < wants.size(); ++i) {
        const size_t width = i == 0 ? size_t(program.num_inputs) : widths[i - 1];
        nb::object gradient = nb::none();
        out.push_back(nullptr);
        if (wants[i]) {
            gradient = i == 0 ? new_like(inputs) : new_like(nb::object(sets[i - 1]));
            const Tensor<Real> made(gradient, i == 0 ? "inputs" : "weights", true);
            out.back() = made.target(i == 0 ? size_t(size) * width : width);
        }
        wanted.insert(wanted.end(), width, wants[i]);
        gradients.append(std::move(gradient));
    }
    std::vector<Real> gradient(size_t(program.num_weights));
    {
        const GilReleased released;
        qtm::vector_jacobian_product<Real>(plan, given.batch(), seeds, Derivative::real, wanted.data(), tape, out[0],
                                           gradient.data());
    }
    const Real* begin = gradient.data();
    for (size_t i = 0; i < widths.size(); begin += widths[i++])
        if (wants[i + 1]) std::copy_n(begin, widths[i], out[i + 1]);
    return gradients;
}

}  // namespace

void bind_gradients(Engine& engine) {
    engine
        .def("vector_jacobian_product", &vector_jacobian_product<float>, "inputs"_a.noconvert(),
             "weights"_a.noconvert(), "cotangent"_a.noconvert(), "wanted"_a, "num_threads"_a, "imaginary"_a = false,
             "tape"_a = nb::none(),
             "Gradients of sum(cotangent * values): for the inputs (batch, inputs) and, summed over the batch, for the "
             "weights (weights,); None where `wanted` flags none of them. Imaginary: of 2 Im<k|O|dk> in place of the "
             "real part, up to the global phase of the state.")
        .def("vector_jacobian_product", &vector_jacobian_product<double>, "inputs"_a.noconvert(),
             "weights"_a.noconvert(), "cotangent"_a.noconvert(), "wanted"_a, "num_threads"_a, "imaginary"_a = false,
             "tape"_a = nb::none())
        .def("vector_jacobian_products", &vector_jacobian_products<float>, "inputs"_a.noconvert(),
             "weights"_a.noconvert(), "cotangents"_a.noconvert(), "wanted"_a, "num_threads"_a, "imaginary"_a = false,
             "The same for cotangents (any, batch, observables), from one way forward: for the inputs (any, batch, "
             "inputs) and the weights (any, weights).")
        .def("vector_jacobian_products", &vector_jacobian_products<double>, "inputs"_a.noconvert(),
             "weights"_a.noconvert(), "cotangents"_a.noconvert(), "wanted"_a, "num_threads"_a, "imaginary"_a = false)
        .def("tensor_gradients_float32", &tensor_gradients<float>, "inputs"_a, "size"_a, "weights"_a, "cotangent"_a,
             "wants"_a, "num_threads"_a, "tape"_a.none(),
             "As `vector_jacobian_product`, likewise: a new tensor for the inputs and for each set, None where it is "
             "not wanted.")
        .def("tensor_gradients_float64", &tensor_gradients<double>, "inputs"_a, "size"_a, "weights"_a, "cotangent"_a,
             "wants"_a, "num_threads"_a, "tape"_a.none());
}

}  // namespace qtm::bindings
