// Inner products of states with each other: what a call decides, and the interface of its kernels.
//
// Rows of states become panels: as many rows as a vector has lanes, side by side, number after number. A product of two
// panels is then a sum of outer products, whose sums stay in registers; and as <s|t> is the conjugate of <t|s>, half of
// the pairs of panels are multiplied.
#pragma once

#include <cstddef>
#include <cstdint>

#include "batch.hpp"
#include "plan.hpp"

namespace qtm {

// Compiled for one instruction set.
template <class Real>
struct GramKernel {
    int lanes;
    // Numbers from `states` on, of rows that are `stride` apart, into a panel [numbers, lanes]; lanes beyond the rows
    // are zero.
    void (*pack)(const Real* states, size_t stride, int rows, size_t numbers, Real* panel);
    // Adds sum conj(left) right over amplitudes to sums [lanes of the left, real and imaginary part, lanes of the
    // right]; the real part alone is half of the work.
    void (*add)(const Real* left, const Real* right, size_t amplitudes, bool is_real, Real* sums);
};

struct GramKernels {
    const GramKernel<float>* of_float;
    const GramKernel<double>* of_double;
};

// Inner products <s_i|s_j> of the final states of each `count` samples of a batch, which must read the state: products
// [size / count, count, count, real and imaginary part]. Real: imaginary parts are those of products with the first
// state of the `count`, and 0 elsewhere.
template <class Real>
void gram(const Plan& plan, const Batch<Real>& batch, int64_t count, bool is_real, Real* products);

}  // namespace qtm
