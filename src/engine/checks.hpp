// Whether the arrays of a program agree with each other.
#pragma once

#include "arrays.hpp"

namespace qtm {

// Throws std::invalid_argument, naming the array, where they do not. The first layer of a circuit that starts from
// halves has no runs.
void check(const ProgramArrays& arrays, bool starts_from_halves);

}  // namespace qtm
