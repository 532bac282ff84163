// AVX-512 where vectors outrun the caches: they wait longer for what lies behind those of a core, and do less when half
// full. Measured on Sapphire Rapids, as the others (benchmarks/README.md).
#pragma once

#include "costs.hpp"

namespace qtm::tuning {

inline constexpr Costs wide{.bytes_of_penalty = 1.2e6, .half_vector = 1.2, .unjoined = 1};

}  // namespace qtm::tuning
