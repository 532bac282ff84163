#include "budget.hpp"

#include <cstdint>

namespace qtm {
namespace {

// Bytes as a reader wants them.
std::string in_units(size_t bytes) {
    if (bytes < 1024) return std::to_string(bytes) + " B";
    double value = double(bytes);
    const char* prefix = "KMGTPE";
    for (value /= 1024; value >= 1024; value /= 1024) ++prefix;
    const auto tenths = int64_t(value * 10);
    return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " " + *prefix + "iB";
}

}  // namespace

std::string over_budget_text(const std::string& what, size_t bytes, size_t budget, bool is_single) {
    std::string needed = in_units(bytes), allowed = in_units(budget);
    if (needed == allowed) needed = std::to_string(bytes) + " B", allowed = std::to_string(budget) + " B";
    return what + " needs " + needed + " of memory, but the budget is " + allowed +
           "; raise it with set_memory_budget, " + (is_single ? "" : "use float32, which takes half of it, ") +
           "or use fewer qubits";
}

}  // namespace qtm
