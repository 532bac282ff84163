// Shots: outcomes of measurements of all qubits, drawn from the final states of a batch. Plans read probabilities.
#pragma once

#include <cstdint>

#include "batch.hpp"
#include "plan.hpp"

namespace qtm {

// What is drawn of every state. Shot j of state i takes number i * count + j of the stream of a seed, so that nothing
// depends on who draws what.
struct Shots {
    int64_t count;
    uint64_t seed;
};

// A function of outcomes of several values: [2^n, columns], row-major.
struct OutcomeTable {
    const double* values;
    int64_t columns;
};

// means: [size, columns], the mean over the shots of each state.
template <class Real>
void drawn_means(const Plan& plan, const Batch<Real>& batch, const Shots& shots, const OutcomeTable& table,
                 double* means);

// outcomes: [size, count], each the index of an amplitude.
template <class Real>
void drawn_outcomes(const Plan& plan, const Batch<Real>& batch, const Shots& shots, uint32_t* outcomes);

}  // namespace qtm
