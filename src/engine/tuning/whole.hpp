// AVX-512 on AMD's processors that do as much in a vector as others, from Zen 5 on: half a vector takes nearly as long
// as a whole one. Measured on Zen 5: training steps from 8 to 18 qubits, one thread, all layouts.
#pragma once

#include "costs.hpp"

namespace qtm::tuning {

inline constexpr Costs whole{.bytes_of_penalty = 2.5e6, .half_vector = 1.45, .unjoined = 3};

}  // namespace qtm::tuning
