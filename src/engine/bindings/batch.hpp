// A batch as it comes from Python, in arrays of NumPy or tensors of PyTorch: its shapes and values are checked here.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <vector>

#include "../evaluate.hpp"
#include "../tensor.hpp"

namespace qtm::bindings {

namespace nb = nanobind;

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

inline std::string shape_text(size_t rows, size_t columns) {
    std::string text("(");  // GCC 12 warns of "(" + a string
    return text.append(std::to_string(rows)).append(", ").append(std::to_string(columns)).append(")");
}

template <class Real>
void require_shapes(const ProgramView& program, const Matrix<Real>& inputs, const Row<Real>& weights) {
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
void require_finite(const ProgramView& program, const Batch<Real>& batch) {
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
Batch<Real> batch_of(const Real* inputs, const Real* weights, int64_t size, int num_threads) {
    return {inputs, weights, size, std::abs(num_threads), num_threads < 0};
}

// Inputs and angles are finite: what is not comes from the observables.
template <class Real>
void require_finite_values(const ProgramView& program, const Real* values, int64_t size) {
    if (program.output != Output::expectation_values) return;  // amplitudes are of norm 1
    const auto width = size_t(program.num_observables);
    const int64_t found = find_not_finite(values, size_t(size) * width);
    if (found >= 0)
        throw std::invalid_argument(
            "observables: observable " + std::to_string(size_t(found) % width) + " has values beyond the range of " +
            (sizeof(Real) == 4 ? "single precision; compute in float64, or scale it" : "double precision; scale it"));
}

// A batch whose shapes and values are right.
template <class Real>
Batch<Real> checked(const ProgramView& program, const Matrix<Real>& inputs, const Row<Real>& weights, int num_threads) {
    require_shapes(program, inputs, weights);
    const auto batch = batch_of(inputs.data(), weights.data(), int64_t(inputs.shape(0)), num_threads);
    require_finite(program, batch);
    return batch;
}

// The calls that training makes, with tensors of PyTorch.

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

inline void require_width(const ProgramView& program, size_t num_weights) {
    if (num_weights != size_t(program.num_weights))
        throw std::invalid_argument("weights: expected " + std::to_string(program.num_weights) + " values, got " +
                                    std::to_string(num_weights));
}

template <class Real>
Batch<Real> checked(const ProgramView& program, const Tensor<Real>& inputs, int64_t size,
                    const std::vector<Real>& weights, int num_threads) {
    const Real* begin = inputs.values(size_t(size) * size_t(program.num_inputs));
    require_width(program, weights.size());
    const auto batch = batch_of(begin, weights.data(), size, num_threads);
    require_finite(program, batch);
    return batch;
}

template <class Real>
void require_tape_of(const Tape<Real>* tape, const Plan& plan, int64_t size) {
    if (tape != nullptr && tape->plan != plan.number())
        throw std::invalid_argument("tape: expected one that this engine has recorded, got that of another");
    if (tape != nullptr && tape->size != size)
        throw std::invalid_argument("tape: expected that of a batch of " + std::to_string(size) + ", got " +
                                    std::to_string(tape->size));
}

}  // namespace qtm::bindings
