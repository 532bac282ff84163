// Vectors of up to 32 bytes (AVX2, NEON, what a compiler assumes), and AVX-512 on AMD's processors before Zen 5,
// which have caches as fast. Measured on Zen 4: training steps from 8 to 18 qubits, three layers of runs.
#pragma once

#include "costs.hpp"

namespace qtm::tuning {

inline constexpr Costs narrow{.bytes_of_penalty = 2.5e6, .half_vector = 1.06, .unjoined = 1};

}  // namespace qtm::tuning
