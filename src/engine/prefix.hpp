// The layers that are the same for all samples, and what their adjoint pass takes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "schedule.hpp"

namespace qtm {

// The one state of the shared prefix goes through a kernel of its own: spread, where the circuit allows it.
inline constexpr Storage prefix_storage{Mode::gradient_undoing_kets, false, Taped::nothing, false};

template <class Real>
const Kernel<Real>* prefix_kernel(const Plan& plan) {
    const auto [first, count] = kernels<Real>();
    const Kernel<Real>* found = nullptr;
    for (const Kernel<Real>* one = first; one < first + count; ++one)
        if (one->values != nullptr && plan.view(one->lane_bits, true, false) != nullptr)
            found = one;  // spread, if it is
    return found;
}

// The plans whose prefix a batch shares: the circuit, or its halves.
inline std::vector<const Plan*> prefix_plans(const Plan& plan) {
    if (plan.half(0) == nullptr) return {&plan};
    return {plan.half(0), plan.half(1)};
}

// The bras of the plans above, one after the other: numbers.
inline size_t prefix_length(const Plan& plan) {
    size_t length = 0;
    for (const Plan* one : prefix_plans(plan)) length += size_t(2) << one->view().num_qubits;
    return length;
}

// What the adjoint pass through a shared prefix takes: bras of each piece, and the scratch of its kernel.
template <class Real>
size_t prefix_bytes(const Plan& plan, const Storage& storage, int64_t pieces) {
    if (!storage.shares_prefix || storage.mode == Mode::values) return 0;
    size_t bytes = 0;
    for (const Plan* one : prefix_plans(plan)) {
        const Kernel<Real>* kernel = prefix_kernel<Real>(*one);
        bytes = std::max(bytes, kernel->scratch_bytes(*one->view(kernel->lane_bits, true, false), prefix_storage));
    }
    return bytes + prefix_length(plan) * sizeof(Real) * size_t(pieces);
}

}  // namespace qtm
