// What was measured of products of states.
#pragma once

#include <cstddef>

namespace qtm::tuning {

// Panels of so many bytes stay in the second cache while all of them are multiplied with each other.
inline constexpr size_t most_panel_bytes = size_t(5) << 18;

}  // namespace qtm::tuning
