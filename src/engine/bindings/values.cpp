// What is read from the final states of a batch.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>

#include <memory>

#include "../gil.hpp"
#include "../range.hpp"
#include "batch.hpp"
#include "bindings.hpp"

namespace qtm::bindings {

using namespace nb::literals;

namespace {

template <class Real>
NumpyMatrix<Real> values(const Plan& plan, Matrix<Real> inputs, Row<Real> weights, int num_threads) {
    const Batch<Real> batch = checked(plan.view(), inputs, weights, num_threads);
    auto result = make_array<NumpyMatrix<Real>, Real>({inputs.shape(0), size_t(plan.view().num_values)});
    Real* out = result.data();
    {
        const GilReleased released;
        require_resolved(plan.view(), batch);
        qtm::values<Real>(plan, batch, out);
        require_finite_values(plan.view(), out, batch.size);
    }
    return result;
}

template <class Real>
std::pair<NumpyMatrix<Real>, std::unique_ptr<Tape<Real>>> record(const Plan& plan, Matrix<Real> inputs,
                                                                 Row<Real> weights, int num_threads) {
    const Batch<Real> batch = checked(plan.view(), inputs, weights, num_threads);
    auto result = make_array<NumpyMatrix<Real>, Real>({inputs.shape(0), size_t(plan.view().num_values)});
    Real* out = result.data();
    std::unique_ptr<Tape<Real>> tape;
    {
        const GilReleased released;
        require_resolved(plan.view(), batch);
        tape = qtm::record<Real>(plan, batch, out);
        require_finite_values(plan.view(), out, batch.size);
    }
    return {std::move(result), std::move(tape)};
}

template <class Real>
nb::tuple tensor_values(const Plan& plan, nb::handle inputs, int64_t size, const nb::sequence& sets, int num_threads,
                        bool recorded) {
    const Tensor<Real> from(inputs, "inputs");
    const std::vector<Real> weights = joined(tensors<Real>(sets, "weights"));
    const Batch<Real> batch = checked(plan.view(), from, size, weights, num_threads);
    nb::object values = from.like(size_t(size), size_t(plan.view().num_values));
    Real* out = from.target(values);
    std::unique_ptr<Tape<Real>> tape;
    {
        const GilReleased released;
        require_resolved(plan.view(), batch);
        if (recorded)
            tape = qtm::record<Real>(plan, batch, out);
        else
            qtm::values<Real>(plan, batch, out);
        require_finite_values(plan.view(), out, size);
    }
    return nb::make_tuple(std::move(values), std::move(tape));
}

}  // namespace

void bind_values(Engine& engine) {
    engine
        .def("values", &values<float>, "inputs"_a.noconvert(), "weights"_a.noconvert(), "num_threads"_a,
             "Expectation values (batch, observables), or states as real and imaginary parts (batch, 2 * 2^n), for "
             "inputs (batch, inputs) and weights (weights,).")
        .def("values", &values<double>, "inputs"_a.noconvert(), "weights"_a.noconvert(), "num_threads"_a)
        .def("record", &record<float>, "inputs"_a.noconvert(), "weights"_a.noconvert(), "num_threads"_a,
             "Values as above, and a tape for `vector_jacobian_product` of the same inputs and weights; None where "
             "gradients would not profit from one.")
        .def("record", &record<double>, "inputs"_a.noconvert(), "weights"_a.noconvert(), "num_threads"_a)
        .def("tensor_values_float32", &tensor_values<float>, "inputs"_a, "size"_a, "weights"_a, "num_threads"_a,
             "recorded"_a,
             "As `values` and, if recorded, `record`, of tensors of this dtype; weights come in sets. A new tensor, "
             "and a tape or None.")
        .def("tensor_values_float64", &tensor_values<double>, "inputs"_a, "size"_a, "weights"_a, "num_threads"_a,
             "recorded"_a);
}

}  // namespace qtm::bindings
