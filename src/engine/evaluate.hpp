// One call for a whole batch: cuts it into tiles, spreads them over threads, sums the gradients up.
#pragma once

#include <cstdint>
#include <memory>

#include "batch.hpp"
#include "plan.hpp"
#include "schedule.hpp"

namespace qtm {

// values: [size, num_values], row-major: what is read from every final state.
template <class Real>
void values(const Plan& plan, const Batch<Real>& batch, Real* values);

// The same with a tape, where gradients will profit from one; otherwise null.
template <class Real>
std::unique_ptr<Tape<Real>> record(const Plan& plan, const Batch<Real>& batch, Real* values);

// input_gradient [size, num_inputs] and weight_gradient [num_weights] may be null where not wanted; wanted_variable
// [num_inputs + num_weights] says of which variables gradients are needed; a tape of the same batch may be given, and
// serves real derivatives.
template <class Real>
void vector_jacobian_product(const Plan& plan, const Batch<Real>& batch, const Real* cotangent, Derivative derivative,
                             const uint8_t* wanted_variable, const Tape<Real>* tape, Real* input_gradient,
                             Real* weight_gradient);

// The same for several cotangents [count, size, num_values], from one way forward: gradients [count, size,
// num_inputs] and [count, num_weights].
template <class Real>
void vector_jacobian_products(const Plan& plan, const Batch<Real>& batch, int64_t count, const Real* cotangent,
                              Derivative derivative, const uint8_t* wanted_variable, Real* input_gradient,
                              Real* weight_gradient);

}  // namespace qtm
