// Shots of the final states of a batch.
#include "../draws.hpp"

#include "../gil.hpp"
#include "../range.hpp"
#include "batch.hpp"
#include "bindings.hpp"

namespace qtm::bindings {

using namespace nb::literals;

namespace {

template <class Real>
Batch<Real> checked_shots(const Plan& plan, const Matrix<Real>& inputs, const Row<Real>& weights, int64_t shots,
                          int num_threads) {
    if (plan.view().output != Output::probabilities)
        throw std::invalid_argument("shots: expected an engine that reads probabilities, got one that does not");
    if (shots < 1) throw std::invalid_argument("shots: expected a positive number, got " + std::to_string(shots));
    return checked(plan.view(), inputs, weights, num_threads);
}

template <class Real>
NumpyMatrix<double> means(const Plan& plan, Matrix<Real> inputs, Row<Real> weights, Matrix<double> table, int64_t shots,
                          uint64_t seed, int num_threads) {
    const Batch<Real> batch = checked_shots(plan, inputs, weights, shots, num_threads);
    if (table.shape(0) != size_t(1) << plan.view().num_qubits)
        throw std::invalid_argument("table: expected a row for each of " +
                                    std::to_string(size_t(1) << plan.view().num_qubits) + " outcomes, got " +
                                    std::to_string(table.shape(0)));
    auto result = make_array<NumpyMatrix<double>, double>({inputs.shape(0), table.shape(1)});
    double* out = result.data();
    {
        const GilReleased released;
        require_resolved(plan.view(), batch);
        drawn_means<Real>(plan, batch, {shots, seed}, {table.data(), int64_t(table.shape(1))}, out);
    }
    return result;
}

template <class Real>
NumpyMatrix<uint32_t> outcomes(const Plan& plan, Matrix<Real> inputs, Row<Real> weights, int64_t shots, uint64_t seed,
                               int num_threads) {
    const Batch<Real> batch = checked_shots(plan, inputs, weights, shots, num_threads);
    auto result = make_array<NumpyMatrix<uint32_t>, uint32_t>({inputs.shape(0), size_t(shots)});
    uint32_t* out = result.data();
    {
        const GilReleased released;
        require_resolved(plan.view(), batch);
        drawn_outcomes<Real>(plan, batch, {shots, seed}, out);
    }
    return result;
}

}  // namespace

void bind_draws(Engine& engine) {
    engine
        .def("drawn_means", &means<float>, "inputs"_a.noconvert(), "weights"_a.noconvert(), "table"_a.noconvert(),
             "shots"_a, "seed"_a, "num_threads"_a,
             "Of an engine that reads probabilities: means (batch, columns) over shots of each state, of the rows of a "
             "table "
             "(2^n, columns) that the outcomes choose. They depend on the seed, not on the number of threads.")
        .def("drawn_means", &means<double>, "inputs"_a.noconvert(), "weights"_a.noconvert(), "table"_a.noconvert(),
             "shots"_a, "seed"_a, "num_threads"_a)
        .def("drawn_outcomes", &outcomes<float>, "inputs"_a.noconvert(), "weights"_a.noconvert(), "shots"_a, "seed"_a,
             "num_threads"_a, "The outcomes themselves, shape (batch, shots): indices of amplitudes.")
        .def("drawn_outcomes", &outcomes<double>, "inputs"_a.noconvert(), "weights"_a.noconvert(), "shots"_a, "seed"_a,
             "num_threads"_a);
}

}  // namespace qtm::bindings
