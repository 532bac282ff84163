// Inner products of the final states of a batch.
#include "../gram.hpp"

#include "../gil.hpp"
#include "../range.hpp"
#include "batch.hpp"
#include "bindings.hpp"

namespace qtm::bindings {

using namespace nb::literals;

namespace {

template <class Real>
using NumpyProducts = nb::ndarray<nb::numpy, Real, nb::ndim<4>>;

template <class Real>
NumpyProducts<Real> gram(const Plan& plan, Matrix<Real> inputs, Row<Real> weights, int64_t count, int num_threads,
                         bool is_real) {
    if (plan.view().output != Output::state)
        throw std::invalid_argument("gram: expected an engine that reads the state, got one that does not");
    const auto rows = int64_t(inputs.shape(0));
    if (count < 1 || rows % count != 0)
        throw std::invalid_argument("count: expected a positive number that divides " + std::to_string(rows) +
                                    " samples, got " + std::to_string(count));
    const Batch<Real> batch = checked(plan.view(), inputs, weights, num_threads);
    auto result = make_array<NumpyProducts<Real>, Real>({size_t(rows / count), size_t(count), size_t(count), 2});
    Real* out = result.data();
    {
        const GilReleased released;
        require_resolved(plan.view(), batch);
        qtm::gram<Real>(plan, batch, count, is_real, out);
    }
    return result;
}

}  // namespace

void bind_gram(Engine& engine) {
    engine
        .def("gram", &gram<float>, "inputs"_a.noconvert(), "weights"_a.noconvert(), "count"_a, "num_threads"_a,
             "is_real"_a = false,
             "Of an engine that reads the state: inner products <s_i|s_j> of the states of each `count` samples, shape "
             "(batch / count, count, count, 2), real and imaginary parts; if real, the latter are those of products "
             "with the first state, and 0 elsewhere.")
        .def("gram", &gram<double>, "inputs"_a.noconvert(), "weights"_a.noconvert(), "count"_a, "num_threads"_a,
             "is_real"_a = false);
}

}  // namespace qtm::bindings
