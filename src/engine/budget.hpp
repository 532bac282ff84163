// What is thrown where nothing fits the memory budget.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>

namespace qtm {

// What it takes, and what helps.
std::string over_budget_text(const std::string& what, size_t bytes, size_t budget, bool is_single);
template <class Real>
std::length_error over_budget(const std::string& what, size_t bytes, size_t budget) {
    return std::length_error(over_budget_text(what, bytes, budget, sizeof(Real) == sizeof(float)));
}

}  // namespace qtm
